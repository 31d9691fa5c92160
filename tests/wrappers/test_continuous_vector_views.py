"""`gymnasium.make_vec` of the best-response ids on continuous games: spaces, episodes that end, who moves, errors."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from oracle.two_sides import two_sides

import kofn.envs
from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.wrappers.continuous_vector import N_CELLS
from kofn.wrappers.continuous_vector_views import global_best_response_vec, local_best_response_vec
from kofn.wrappers.vector_views import VectorView

SIDES: dict[str, tuple[str, dict[str, Any]]] = {
    "global": ("GlobalBestResponse", {"k": 2}),
    "own": ("LocalBestResponse", {"reward": "own", "global_policy": Follow(k=2)}),
    "team": ("LocalBestResponse", {"local_policy": Chase()}),
    "shared": ("LocalBestResponse", {"deviation": "shared"}),
}
every_side = pytest.mark.parametrize("side", SIDES)
SIZES: dict[str, Any] = {"game": "cluster_line", "n_agents": 6, "max_cycles": 3}


def make(side: str, **options: Any) -> Any:
    name, fixed = SIDES[side]
    return gymnasium.make_vec(f"kofn.envs:kofn/{name}-v0", **{"num_envs": 4, **SIZES, **fixed, **options})


@every_side
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_conventions(side: str, mode: AutoresetMode) -> None:
    name, fixed = SIDES[side]
    views, alone = make(side, autoreset_mode=mode), gymnasium.make(f"kofn/{name}-v0", **SIZES, **fixed)
    assert views.metadata["autoreset_mode"] is mode
    assert (views.num_envs, views.spec.id) == (4, f"kofn/{name}-v0")
    assert (views.single_observation_space, views.single_action_space) == (alone.observation_space, alone.action_space)
    assert views.observation_space == batch_space(alone.observation_space, 4)
    assert views.discount == kofn.envs.cluster_line.game().discount
    views.action_space.seed(0)
    observations, _ = views.reset(seed=0)
    assert observations in views.observation_space
    period = 4 if mode is AutoresetMode.NEXT_STEP else 3
    for t in range(1, 9):
        observations, rewards, terminations, truncations, infos = views.step(views.action_space.sample())
        assert observations in views.observation_space
        assert (rewards.shape, rewards.dtype, terminations.any()) == ((4,), np.float64, False)
        assert truncations.tolist() == [t % period == 3 % period] * 4
        assert (rewards == 0).all() == (mode is AutoresetMode.NEXT_STEP and t % 4 == 0)
        assert ("final_obs" in infos) == (mode is AutoresetMode.SAME_STEP and truncations[0])
        if mode is AutoresetMode.DISABLED and truncations[0]:
            with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before the next step\(\)"):
                views.step(views.action_space.sample())
            views.reset(options={"reset_mask": truncations})


@every_side
def test_of_one_population_they_are_the_single_view(side: str) -> None:
    name, fixed = SIDES[side]
    views, alone = make(side, num_envs=1), gymnasium.make(f"kofn/{name}-v0", **SIZES, **fixed)
    assert (views.reset(seed=3)[0][0] == alone.reset(seed=3)[0]).all()
    views.action_space.seed(1)
    for _ in range(3):
        action = views.action_space.sample()
        found, expected = views.step(action), alone.step(action[0] if side == "shared" else int(action[0]))
        assert (found[0][0] == expected[0]).all()
        assert (found[1][0], found[3][0]) == (expected[1], expected[3])


def test_every_fleet_takes_the_actions_of_its_own_cells() -> None:
    """In population 0 only those on the left change sides, in population 1 only those on the right."""
    views: Any = local_best_response_vec(2, two_sides(), n_agents=5, max_cycles=9, deviation="shared")
    views.reset(seed=0)
    left = np.arange(N_CELLS) < N_CELLS // 2
    before = views.simulator.local_states
    _, rewards, *_ = views.step(np.array([left, ~left], dtype=int))
    on_the_left = before < 0.5
    crossing = np.where([[True], [False]], on_the_left, ~on_the_left)
    assert views.simulator.local_states == pytest.approx(np.where(crossing, 1 - before, before))
    assert rewards == pytest.approx(0.7 - 0.1 * crossing.mean(axis=1), abs=1e-6)
    assert crossing[0].mean() != crossing[1].mean()  # mixing the populations up would show


def test_finite_games_have_theirs() -> None:
    for name in ("GlobalBestResponse", "LocalBestResponse"):
        views = gymnasium.make_vec(f"kofn.envs:kofn/{name}-v0", num_envs=2, game="formation", n_agents=5)
        assert isinstance(views, VectorView)


@pytest.mark.parametrize(
    ("side", "options", "error", "message"),
    [
        ("global", {"num_envs": 0}, ValueError, "num_envs must be at least 1; got 0"),
        ("global", {"autoreset_mode": "Never"}, ValueError, "autoreset_mode must be one of .*; got 'Never'"),
        ("global", {"obs_mode": "discrete"}, ValueError, "obs_mode must be one of 'box'; got 'discrete'"),
        ("global", {"local_policy": "stay"}, ValueError, "local_policy must be one of 'uniform'; got 'stay'"),
        ("global", {"k": 7}, ValueError, "k must be between 1 and 6; got 7"),
        ("shared", {"reward": "own"}, ValueError, "reward='own' is one agent's: it needs deviation='tagged'"),
        ("own", {"k": 3}, ValueError, "k must be that of global_policy, 2; got 3"),
        ("own", {"global_policy": np.ones(3)}, TypeError, r"global_policy must be 'uniform' or have act\(...\)"),
    ],
)
def test_other_arguments_are_refused(side: str, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(side, **options)


def test_other_actions_and_masks_are_refused() -> None:
    views = global_best_response_vec(2, two_sides(), n_agents=3)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        views.step(np.zeros(2, dtype=int))
    views.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must be between 0 and 1; entry \[1\] is 2"):
        views.step(np.array([0, 2]))
    with pytest.raises(ValueError, match="reset_mask must choose every population, as all end at once; got"):
        views.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(TypeError, match="reset_mask must be bool; got dtype <U3"):
        views.reset(options={"reset_mask": "yes"})
    with pytest.raises(ValueError, match=r"reset_mask must choose among 2 populations; got \[True, True, True\]"):
        views.reset(options={"reset_mask": [True] * 3})
    fleets = local_best_response_vec(2, two_sides(), n_agents=3, deviation="shared")
    fleets.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must have shape \[2, 40\]; got \[2\]"):
        fleets.step(np.zeros(2, dtype=int))
