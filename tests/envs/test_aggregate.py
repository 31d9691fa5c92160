"""Aggregate games: paid by the mean statistic, of all agents or of a sample; the rest is the tables'."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from kofn.envs import Game, IndividualSimulator, PopulationEnv, Streams, TabularGame
from kofn.envs.aggregate import AggregateGame, AggregateSimulator
from kofn.envs.interface import OpenGame
from kofn.envs.observations import OBS_MODES
from kofn.wrappers import SubsampleObservation


def square(means: Any) -> Any:
    return means**2


@pytest.fixture
def tables(random_game: Callable[..., TabularGame]) -> TabularGame:
    return random_game(1, n_global=3, n_local=4, n_global_actions=5, n_local_actions=2)


def make(tables: TabularGame, reward: Any = square) -> AggregateGame:
    return AggregateGame(tables=tables, reward_of_mean=reward)


def test_moves_are_those_of_the_tables_and_rewards_those_of_the_mean(tables: TabularGame) -> None:
    ours = AggregateSimulator(make(tables), 6, n_populations=8)
    theirs = IndividualSimulator(tables, 6, n_populations=8)
    ours.reset(Streams.from_seed(0))
    theirs.reset(Streams.from_seed(0))
    rng = np.random.default_rng(1)
    for _ in range(4):
        a_g, a_l = rng.integers(0, 5, 8), rng.integers(0, 2, (8, 6))
        s_g, s_l = ours.global_states, ours.local_states
        statistic = tables.local_reward[s_l, s_g[:, None], a_l]
        payment = ours.step(a_g, a_l)
        theirs.step(a_g, a_l)
        np.testing.assert_allclose(payment.global_reward, tables.global_reward[s_g, a_g])
        np.testing.assert_allclose(payment.local_reward_mean, statistic.mean(axis=1) ** 2)
        sampled = np.array([4, 1, 2])
        expected = tables.global_reward[s_g, a_g] + statistic[:, sampled].mean(axis=1) ** 2
        np.testing.assert_allclose(ours.sampled_reward(sampled), expected)
        np.testing.assert_array_equal(ours.local_states, theirs.local_states)
        np.testing.assert_array_equal(ours.global_states, theirs.global_states)
        assert ours.info()["aggregate"] == pytest.approx(statistic[0].sum())


def test_an_affine_reward_is_the_structured_game(tables: TabularGame) -> None:
    aggregate, plain = PopulationEnv(make(tables, lambda means: means), 5), PopulationEnv(tables, 5)
    assert (aggregate.metadata["structured"], plain.metadata["structured"]) == (False, True)
    first, second = aggregate.reset(seed=3), plain.reset(seed=3)
    assert data_equivalence(first, second, exact=True)
    actions = dict.fromkeys(plain.possible_agents, 1)
    (observations, rewards, *_, infos), (others, paid, *_, told) = aggregate.step(actions), plain.step(actions)
    assert data_equivalence(observations, others, exact=True)
    assert rewards == pytest.approx(paid)
    aggregate_info = infos["global_0"]
    assert aggregate_info.pop("aggregate") == pytest.approx(5 * told["global_0"]["reward_local_mean"])
    assert aggregate_info == pytest.approx(told["global_0"])


@pytest.mark.parametrize("obs_mode", OBS_MODES)
def test_a_limited_manager_sees_its_sample_and_is_told_its_reward(tables: TabularGame, obs_mode: Any) -> None:
    env = SubsampleObservation(PopulationEnv(make(tables), 7, obs_mode=obs_mode), 3)
    observations, infos = env.reset(seed=0)
    assert "aggregate" not in infos["global_0"]
    simulator: Any = env.unwrapped.simulator
    s_g, s_l = simulator.global_states[0], simulator.local_states[0]
    sampled = infos["global_0"]["sampled_agents"]
    encoding: Any = env.global_encoding
    own, counts = encoding.decode(np.asarray(observations["global_0"])[None])
    assert (own[0], counts[0].tolist()) == (s_g, np.bincount(s_l[sampled], minlength=4).tolist())
    _, _, _, _, infos = env.step(dict.fromkeys(env.possible_agents, 1))
    expected = tables.global_reward[s_g, 1] + tables.local_reward[s_l[sampled], s_g, 1].mean() ** 2
    assert infos["global_0"]["reward_sampled"] == pytest.approx(expected)


def test_an_episode_begins_without_an_aggregate(tables: TabularGame) -> None:
    env = PopulationEnv(make(tables), 3, max_cycles=1)
    for seed in (0, None):
        _, infos = env.reset(seed=seed)
        assert infos["global_0"] == {}
        _, _, _, _, infos = env.step(dict.fromkeys(env.possible_agents, 0))
        assert "aggregate" in infos["global_0"]


def test_kind(tables: TabularGame) -> None:
    game = make(tables)
    assert isinstance(game, OpenGame)
    assert not isinstance(game, Game)
    assert (game.n_global_states, game.n_local_states, game.n_global_actions, game.n_local_actions) == (3, 4, 5, 2)
    assert game.discount == tables.discount


@pytest.mark.parametrize(
    ("reward", "error", "message"),
    [
        (3, TypeError, r"reward_of_mean must be a function of means \[...\]; got 3"),
        (lambda _: 0.0, ValueError, r"one reward per mean, shape \[2\]; got \[\]"),
        (lambda means: means[:, None], ValueError, r"one reward per mean, shape \[2\]; got \[2, 1\]"),
        (lambda means: np.log(means - means.max()), ValueError, "reward_of_mean must be finite; at the mean .* it is"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_bad_rewards_are_refused(tables: TabularGame, reward: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(tables, reward)


def test_tables_must_be_a_tabular_game() -> None:
    with pytest.raises(TypeError, match="tables must be a TabularGame; got str"):
        AggregateGame(tables="warehouse", reward_of_mean=square)  # type: ignore[arg-type]  # what is tested


def test_the_authors_timing_is_refused(tables: TabularGame) -> None:
    with pytest.raises(ValueError, match="local_timing must be 'paper' in a game of type AggregateGame; got 'code'"):
        PopulationEnv(make(tables), 3, local_timing="code")
