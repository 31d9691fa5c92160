"""Vector views of continuous games: what is observed, paid and ended, and who moves."""

from typing import Any

import numpy as np
import pytest
from oracle.two_sides import two_sides

from kofn.envs.cluster_line import game
from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.wrappers.continuous_vector import ContinuousGlobalVector, ContinuousLocalVector
from kofn.wrappers.sb3_vec_env import sb3_vec_env


class Right:
    """A global agent that stands on the right."""

    k = 1

    def act(self, global_states: Any, *_: Any) -> Any:
        return np.ones(len(global_states), dtype=np.int64)


def test_the_global_view_plays_its_game() -> None:
    """Robots follow Chase: rewards are r_g plus the mean of what the simulator paid."""
    view = ContinuousGlobalVector("cluster_line", 3, k=10, local_policy=Chase(), n_agents=40, max_cycles=5)
    observations, _ = view.reset(seed=1)
    assert view.observation_space.contains(observations)
    assert observations[:, 0].tolist() == view.simulator.global_states.tolist()
    assert observations[:, 1:].sum(axis=1) == pytest.approx(np.ones(3))
    assert view.discount == 0.95
    before = view.simulator.global_states
    _, rewards, terminated, truncated, infos = view.step(np.array([0, 2, 4]))
    own = view.game.pay_global(np.random.default_rng(), before, np.array([0, 2, 4]))
    assert rewards == pytest.approx(own + view.simulator.local_rewards.mean(axis=1), abs=1e-5)
    assert (terminated.any(), truncated.any(), infos) == (False, False, {})


def test_episodes_end_at_once_and_new_ones_begin_in_the_same_step() -> None:
    view = ContinuousGlobalVector(two_sides(), 4, n_agents=3, max_cycles=2)
    first, _ = view.reset(seed=0)
    view.step(np.zeros(4, dtype=int))
    observations, _, terminated, truncated, infos = view.step(np.zeros(4, dtype=int))
    assert truncated.all()
    assert not terminated.any()
    assert (infos["final_obs"][:, 0] == 0).all()
    assert (observations[:, 0] == 0.5).all()  # new starts
    assert view.timestep == 0
    assert first.shape == (4, 3)


def test_the_beacon_may_be_blind_to_itself() -> None:
    assert ContinuousGlobalVector(two_sides(), 1, n_agents=3, observe_global_state=False).reset()[0].shape == (1, 2)
    blind = game(observe_global_state=False)
    assert ContinuousGlobalVector(blind, 1, n_agents=3).single_observation_space.shape == (5,)


def test_a_tagged_agent_is_paid_its_own_or_the_teams_reward() -> None:
    """Everybody at 0.2 or 0.8 stays but the tagged one, which changes sides: paid 1 - |s - 0.5| - 0.1 = 0.6."""
    views = {
        reward: ContinuousLocalVector(
            two_sides(), 50, global_policy=Right(), local_policy=Chase(reach=0), reward=reward, n_agents=4
        )
        for reward in ("own", "team")
    }
    for view in views.values():
        view.reset(seed=0)
    paid = {name: view.step(np.ones(50, dtype=int))[1] for name, view in views.items()}
    assert paid["own"] == pytest.approx(np.full(50, 0.6), abs=1e-6)
    assert paid["team"] == pytest.approx(np.full(50, (0.6 + 3 * 0.7) / 4), abs=1e-6)
    moved = views["own"].simulator.local_states
    assert (np.abs(moved - np.median(moved, axis=1)[:, None]) > 0.5).sum(axis=1).tolist() == [1] * 50
    assert views["own"].single_observation_space.shape == (2,)


def test_another_agent_is_tagged_in_every_episode() -> None:
    view = ContinuousLocalVector(two_sides(), 200, global_policy=Right(), n_agents=4, max_cycles=1)
    view.reset(seed=0)
    found = np.bincount(view.tagged, minlength=4) / 200
    assert np.abs(found - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / 200)
    old = view.tagged
    view.step(np.zeros(200, dtype=int))
    assert (view.tagged != old).any()


def test_a_shared_deviation_moves_everybody() -> None:
    view = ContinuousLocalVector(two_sides(), 3, global_policy=Right(), deviation="shared", n_agents=4, max_cycles=9)
    observations, _ = view.reset(seed=0)
    start = view.simulator.local_states
    assert observations.shape == (12, 2)
    assert (observations[:, 0].reshape(3, 4) == start).all()
    actions = np.arange(12) % 2
    _, rewards, *_ = view.step(actions)
    assert view.simulator.local_states == pytest.approx(np.where(actions.reshape(3, 4) == 1, 1 - start, start))
    assert rewards == pytest.approx(np.full(12, 0.7 - 0.05), abs=1e-6)  # everybody is paid the team's


def test_the_same_seed_gives_the_same_episodes() -> None:
    def play(seed: int) -> Any:
        view = ContinuousLocalVector("cluster_line", 4, global_policy=Follow(k=3), n_agents=9, max_cycles=3)
        found = [view.reset(seed=seed)[0]]
        return np.stack(found + [view.step(np.zeros(4, dtype=int))[0] for _ in range(7)])

    assert (play(5) == play(5)).all()
    assert (play(5) != play(6)).any()


def test_stable_baselines3_can_play_it() -> None:
    pytest.importorskip("stable_baselines3")
    env = sb3_vec_env(ContinuousGlobalVector(two_sides(), 5, n_agents=3, max_cycles=2), reward_scale=10.0)
    env.seed(0)
    env.reset()
    _, rewards, _, _ = env.step(np.zeros(5, dtype=int))
    assert ((rewards > 6 - 1e-4) & (rewards < 7 + 1e-4)).all()  # 0.7 per robot, 0.6 for one that changed sides
    _, _, dones, infos = env.step(np.zeros(5, dtype=int))
    assert dones.all()
    assert all(info["terminal_observation"][0] == 0 for info in infos)


def make(**options: Any) -> ContinuousGlobalVector:
    return ContinuousGlobalVector(**{"game": two_sides(), "n_populations": 2, "n_agents": 3, **options})


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: make(game="warehouse_dispatch"), TypeError, "game must be a ContinuousGame or the name of one"),
        (lambda: make(n_agents=None), TypeError, "n_agents must be given for a game that is not registered"),
        (lambda: make(n_populations=0), ValueError, "n_populations must be at least 1; got 0"),
        (lambda: make(k=4), ValueError, "k must .* 3; got 4"),
        (lambda: make(max_cycles=0), ValueError, "max_cycles must be at least 1; got 0"),
        (lambda: make().step(np.zeros(2, dtype=int)), RuntimeError, r"call reset\(\) before step\(\)"),
        (lambda: started().step(np.zeros(2)), TypeError, "actions must be integers; got dtype float64"),
        (lambda: started().step(np.zeros(3, dtype=int)), ValueError, r"shape \[2\]; got \[3\]"),
        (lambda: started().step(np.array([0, 2])), ValueError, r"actions must be between 0 and 1; entry \[1\] is 2"),
        (
            lambda: ContinuousLocalVector(two_sides(), 2, global_policy=Right(), n_agents=3, deviation="all"),  # type: ignore[arg-type]
            ValueError,
            "deviation must be one of 'tagged', 'shared'; got 'all'",
        ),
        (
            lambda: ContinuousLocalVector(two_sides(), 2, global_policy=Right(), n_agents=3, reward="none"),  # type: ignore[arg-type]
            ValueError,
            "reward must be one of 'team', 'own'; got 'none'",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(act: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        act()


def started() -> ContinuousGlobalVector:
    view = make()
    view.reset(seed=0)
    return view
