"""Vector views: the laws of the single views, Gymnasium's conventions, episodes that end, errors."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from scipy import stats

import kofn.envs
from kofn.envs import TabularGame
from kofn.envs.observations import OBS_MODES
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.samplers import DistanceWeighted, Stratified
from kofn.wrappers.vector_views import VectorView, global_best_response_vec, local_best_response_vec

Games = Callable[..., TabularGame]
MakeVector = Callable[..., VectorView]

SIDES: list[Any] = [
    pytest.param(global_best_response_vec, GlobalBestResponse, {}, id="global"),
    pytest.param(local_best_response_vec, LocalBestResponse, {"deviation": "tagged"}, id="tagged"),
    pytest.param(local_best_response_vec, LocalBestResponse, {"deviation": "shared"}, id="shared"),
]
every_side = pytest.mark.parametrize(("vector", "single", "options"), SIDES)


def local_table() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(2), (3, 2))


def dispatcher_table() -> np.ndarray:
    """Stochastic, over histograms of 2 of 3 states."""
    return np.random.default_rng(1).dirichlet(np.ones(2), (2, 6))


def arguments(options: dict[str, Any]) -> dict[str, Any]:
    fixed = {"local_policy": local_table(), "n_agents": 4, "k": 2, "max_cycles": 3}
    return {**fixed, **options, **({"global_policy": dispatcher_table()} if "deviation" in options else {})}


def chosen(space: gymnasium.Space[Any], observation: Any) -> Any:
    """An action that depends on what is seen, so that a view with wrong observations plays otherwise."""
    last = int(np.argmax(np.atleast_1d(observation)[-2:]))
    return last if isinstance(space, gymnasium.spaces.Discrete) else np.array([last, 1 - last, last])


def outcomes(vector: MakeVector, game: TabularGame, options: dict[str, Any], seed: int) -> list[Any]:
    """(last observation, return) of 4000 episodes."""
    envs = vector(4000, game, **arguments(options))
    observations, _ = envs.reset(seed=seed)
    paid = []
    for _ in range(3):
        actions = np.array([chosen(envs.single_action_space, row) for row in observations])
        observations, rewards, _, _, _ = envs.step(actions)
        paid.append(rewards)
    totals = np.round(np.sum(paid, axis=0), 6).tolist()
    return [(row.tolist(), total) for row, total in zip(observations, totals, strict=True)]


def single_outcomes(make: Any, game: TabularGame, options: dict[str, Any]) -> list[Any]:
    """The same of 1500 episodes of the single view."""
    env, found = make(game, **arguments(options)), []
    for episode in range(1500):
        observation, _ = env.reset(seed=0 if episode == 0 else None)
        paid = []
        for _ in range(3):
            observation, reward, _, _, _ = env.step(chosen(env.action_space, observation))
            paid.append(reward)
        found.append((observation.tolist(), round(sum(paid), 6)))
    return found


def p_of_same_law(first: list[Any], second: list[Any]) -> float:
    """Two-sample chi-square over the outcomes seen at least ten times, the others pooled."""
    names = {str(row): i for i, row in enumerate(first + second)}
    tables = np.zeros((2, len(first) + len(second)))
    for table, rows in zip(tables, (first, second), strict=True):
        for row in rows:
            table[names[str(row)]] += 1
    rare = tables.sum(axis=0) < 10
    pooled = np.column_stack([tables[:, ~rare], tables[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    assert pooled.shape[1] > 3
    return float(stats.chi2_contingency(pooled, correction=False).pvalue)


@every_side
def test_a_vector_view_has_the_law_of_the_single_view(
    vector: MakeVector, single: Any, options: dict[str, Any], random_game: Games
) -> None:
    """The return of three steps and the last observation, jointly: they tell where agents were and how they moved."""
    game = random_game(3, n_local=3)
    # Few different rewards, so that their laws can be compared.
    game = TabularGame(**{**vars(game), "local_reward": np.round(game.local_reward), "global_reward": np.eye(2)})
    assert p_of_same_law(outcomes(vector, game, options, 1), single_outcomes(single, game, options)) > 1e-4


def test_the_comparison_can_fail(random_game: Games) -> None:
    game = random_game(3, n_local=3)
    game = TabularGame(**{**vars(game), "local_reward": np.round(game.local_reward), "global_reward": np.eye(2)})
    shorter = outcomes(global_best_response_vec, game, {"k": 1}, 1)
    assert p_of_same_law(shorter, outcomes(global_best_response_vec, game, {}, 2)) < 1e-4


@every_side
@pytest.mark.parametrize("obs_mode", OBS_MODES)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_conventions(
    vector: MakeVector, single: Any, options: dict[str, Any], obs_mode: Any, mode: AutoresetMode, random_game: Games
) -> None:
    game = random_game(4, n_local=3)
    envs = vector(5, game, **arguments(options), obs_mode=obs_mode, autoreset_mode=mode)
    alone = single(game, **arguments(options), obs_mode=obs_mode)
    assert envs.metadata["autoreset_mode"] is mode
    assert (envs.single_observation_space, envs.single_action_space) == (alone.observation_space, alone.action_space)
    assert envs.observation_space == batch_space(alone.observation_space, 5)
    assert envs.action_space == batch_space(alone.action_space, 5)
    assert envs.discount == game.discount
    envs.action_space.seed(0)
    observations, infos = envs.reset(seed=0)
    assert observations in envs.observation_space
    assert infos.get("others", np.array([None]))[0] == getattr(envs._side, "others", None)
    for t in range(1, 8):
        observations, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
        assert observations in envs.observation_space
        assert (rewards.shape, rewards.dtype, terminations.dtype) == ((5,), np.float64, np.bool_)
        assert not terminations.any()
        period = 4 if mode is AutoresetMode.NEXT_STEP else 3
        assert truncations.tolist() == [t % period == 3 % period] * 5
        resting = mode is AutoresetMode.NEXT_STEP and t % 4 == 0
        assert (rewards == 0).all() == resting
        assert ("final_obs" in infos) == (mode is AutoresetMode.SAME_STEP and truncations[0])
        if mode is AutoresetMode.DISABLED and truncations[0]:
            observations, _ = envs.reset(options={"reset_mask": truncations})
    assert vars(envs)["_view"].k == 2


def test_final_observations_and_infos_are_kept(random_game: Games) -> None:
    """Of two equal environments, one resets in the same step: its last observations are what the other returns."""
    game = random_game(5, n_local=3)
    same, other = (
        global_best_response_vec(4, game, **arguments({}), autoreset_mode=mode) for mode in ("SameStep", "Disabled")
    )
    same.reset(seed=1)
    other.reset(seed=1)
    for _ in range(3):
        found, expected = same.step(np.ones(4, dtype=int)), other.step(np.ones(4, dtype=int))
    np.testing.assert_array_equal(np.stack(found[4]["final_obs"]), expected[0])
    assert found[4]["_final_obs"].all()
    assert not found[4]["_reward_global"].any()
    np.testing.assert_array_equal(found[4]["final_info"]["reward_global"], expected[4]["reward_global"])
    assert (found[0] != expected[0]).any()


@every_side
def test_populations_may_start_anew_while_others_go_on(
    vector: MakeVector, single: Any, options: dict[str, Any], random_game: Games
) -> None:
    envs = vector(6, random_game(6, n_local=3), **arguments(options), autoreset_mode="Disabled")
    mask = np.array([True, False, False, True, False, False])
    with pytest.raises(RuntimeError, match=r"call reset\(\) before"):
        envs.reset(options={"reset_mask": mask})
    envs.reset(seed=0)
    envs.action_space.seed(0)
    envs.step(envs.action_space.sample())
    populations = envs._side._populations.simulator  # type: ignore[attr-defined]  # white box
    kept = populations.counts
    before = kept.copy()
    envs.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(kept, before)  # whoever holds the old counts keeps them
    np.testing.assert_array_equal(populations.counts[~mask], before[~mask])
    ends = [envs.step(envs.action_space.sample())[3].tolist() for _ in range(2)]
    assert ends == [[False] * 6, (~mask).tolist()]
    with pytest.raises(RuntimeError, match="the episode of population 1 is over: reset it before the next step"):
        envs.step(envs.action_space.sample())


@every_side
def test_the_seed_decides_everything(vector: MakeVector, single: Any, options: Any, random_game: Games) -> None:
    def run(seed: Any) -> list[Any]:
        envs = vector(3, random_game(7, n_local=3), **arguments(options))
        envs.action_space.seed(0)
        found = [envs.reset(seed=seed)[0].tolist()]
        for _ in range(6):
            observations, rewards, *_ = envs.step(envs.action_space.sample())
            found.append([observations.tolist(), rewards.tolist()])
        return found

    assert run(1) == run(1)
    assert run([1, 2, 3]) == run([1, 2, 3])
    assert run(1) != run(2)


@pytest.mark.parametrize("name", ["GlobalBestResponse", "LocalBestResponse"])
def test_make_vec_finds_them(name: str) -> None:
    envs: Any = gymnasium.make_vec(f"kofn/{name}-v0", num_envs=3, game="warehouse_dispatch", autoreset_mode="SameStep")
    assert isinstance(envs, VectorView)
    assert (envs.num_envs, envs.n_agents, envs.spec.id) == (3, 1000, f"kofn/{name}-v0")
    assert "kofn" in kofn.envs.__name__
    assert envs.reset(seed=0)[0].shape == (3, 10)
    assert gymnasium.make_vec(f"kofn/{name}-v0", 2, "sync", game="warehouse_dispatch").num_envs == 2


def test_samplers_that_draw_from_counts_may_be_used(random_game: Games) -> None:
    game = random_game(8, n_local=3)
    options = arguments({"sampler": Stratified(np.array([0, 1, 1]))})
    assert global_best_response_vec(2, game, **options).reset(seed=0)[0].shape == (2, 5)

    def near(states: Any, s_g: Any) -> Any:
        return np.zeros(len(states))

    with pytest.raises(ValueError, match="sampler must draw from counts in a vector view"):
        global_best_response_vec(2, game, **arguments({"sampler": DistanceWeighted(near)}))


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, 1], ValueError, r"actions must have shape \[3\]; got \[2\]"),
        ([0, 2, 1], ValueError, r"actions must be between 0 and 1; entry \[1\] is 2"),
        ([0, 1, -1], ValueError, r"actions must be between 0 and 1; entry \[2\] is -1"),
        ([0.0, 1.0, 1.0], TypeError, "actions must be integers; got dtype float64"),
    ],
)
def test_other_actions_are_refused(actions: Any, error: Any, message: str, random_game: Games) -> None:
    envs = global_best_response_vec(3, random_game(9, n_local=3), **arguments({}))
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        envs.step(np.zeros(3, dtype=int))
    envs.reset(seed=0)
    with pytest.raises(error, match=message):
        envs.step(actions)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ([1, 0, 1], TypeError, "reset_mask must be bool; got dtype int64"),
        ([True, False], ValueError, r"reset_mask must choose among 3 populations; got \[True, False\]"),
        ([False] * 3, ValueError, "reset_mask must choose among 3 populations"),
    ],
)
def test_other_masks_are_refused(mask: Any, error: Any, message: str, random_game: Games) -> None:
    envs = global_best_response_vec(3, random_game(9, n_local=3), **arguments({}))
    envs.reset(seed=0)
    with pytest.raises(error, match=message):
        envs.reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1; got 0"),
        ({"autoreset_mode": "Never"}, "autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled'; got 'Never'"),
        ({"k": 5}, "k must be between 1 and 4; got 5"),
    ],
)
def test_other_arguments_are_refused(options: dict[str, Any], message: str, random_game: Games) -> None:
    given = {"num_envs": 2, "game": random_game(9, n_local=3), **arguments({}), **options}
    with pytest.raises(ValueError, match=message):
        global_best_response_vec(**given)


def test_tagged_agents_may_be_paid_their_own(random_game: Games) -> None:
    game = random_game(9, n_local=3)
    options = {**arguments({"deviation": "tagged"}), "reward": "own", "obs_mode": "multidiscrete", "max_cycles": 2}
    envs = local_best_response_vec(50, game, **options)
    seen, _ = envs.reset(seed=0)
    for _ in range(2):
        actions = np.arange(50) % 2
        expected = game.local_reward[seen[:, 0], seen[:, 1], actions]
        seen, rewards, *_ = envs.step(actions)
        np.testing.assert_allclose(rewards, expected, rtol=1e-12)
    assert not envs.step(actions)[1].any()  # which begins new episodes
    with pytest.raises(ValueError, match="reward='own' is one agent's: it needs deviation='tagged'"):
        local_best_response_vec(2, game, **{**options, "deviation": "shared"})


def test_stable_baselines_trains_on_it() -> None:
    """The adapter of `sb3_vec_env`, 64 populations of a thousand robots."""
    sb3 = pytest.importorskip("stable_baselines3")
    from kofn.wrappers.sb3_vec_env import sb3_vec_env  # noqa: PLC0415  # an optional library

    envs = global_best_response_vec(64, "warehouse_dispatch", k=10, max_cycles=5, autoreset_mode="SameStep")
    model = sb3.PPO("MlpPolicy", sb3_vec_env(envs), n_steps=8, batch_size=128, n_epochs=1, gamma=envs.discount, seed=0)
    model.learn(1024)
    assert model.num_timesteps == 1024
