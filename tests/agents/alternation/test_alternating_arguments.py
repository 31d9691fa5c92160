"""Arguments and settings of the alternating driver: defaults, tables as policies, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from quick_alternation import model_of

from kofn.agents import AlternatingConfig, AlternatingMARL, LumpedChain
from kofn.envs import TabularGame
from kofn.envs.warehouse_dispatch import parallel_env

Games = Callable[..., TabularGame]


def test_defaults_of_eta_and_horizon(random_game: Games) -> None:
    """eta is 0.5% of the range of values; the horizon leaves out at most a quarter of it."""
    game = random_game(0)
    model = model_of(game, config=None)
    assert model.eta == pytest.approx(0.005 * game.value_bound)
    assert 0.9**model.horizon * game.value_bound <= model.eta / 4 < 0.9 ** (model.horizon - 1) * game.value_bound
    assert model.config == AlternatingConfig()
    assert model_of(game).horizon == 40
    assert model_of(game).eta == 0.02


def test_the_horizon_of_negative_rewards_leaves_out_no_more(random_game: Games) -> None:
    """The potential that rollouts report is Phi within eta/4 and their noise, however far below zero rewards are."""
    game = random_game(0)
    game = replace(game, global_reward=game.global_reward - 1000)
    result = model_of(game, config=AlternatingConfig(n_rollouts=100, max_alternations=1)).learn()
    exact = LumpedChain.exact(game, result.global_policy, result.local_policy, 6).potential
    assert abs(result.potential - exact) <= result.eta / 4 + 4 * result.standard_error


def test_local_policy_may_be_given_as_a_table(random_game: Games) -> None:
    table = np.full((2, 2, 2), [0.25, 0.75])
    model = model_of(random_game(0), local_policy=table, global_policy=np.array([[0, 1, 1], [1, 0, 1]]))
    assert (model.local_policy.table == table).all()
    assert model.global_policy.table.tolist() == [[0, 1, 1], [1, 0, 1]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"global_policy": "best"}, ValueError, "global_policy must be one of 'uniform', 'keep'; got 'best'"),
        ({"local_policy": "best"}, ValueError, "local_policy must be one of 'uniform', 'stay'; got 'best'"),
        ({"local_policy": np.ones((2, 2, 2))}, ValueError, r"rows that sum to 1 .* row \[0, 0\] sums to 2"),
        ({"local_policy": np.full((2, 3, 2), 0.5)}, ValueError, "the local policy must match the game's"),
        ({"global_policy": np.zeros((2, 4), dtype=int)}, ValueError, r"must have shape \[any, 3\]; got \[2, 4\]"),
        ({"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        ({"seed": 1.5}, TypeError, "seed must be a nonnegative integer"),
    ],
)
def test_arguments_out_of_range_are_refused(
    random_game: Games, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        model_of(random_game(0), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_alternations": 0}, ValueError, "max_alternations must be at least 1; got 0"),
        ({"max_alternations": 1.0}, TypeError, r"max_alternations must be an integer; got 1\.0"),
        ({"n_rollouts": 1}, ValueError, "n_rollouts must be at least 2; got 1"),
        ({"eta": 0.0}, ValueError, r"eta must be positive and finite; got 0\.0"),
        ({"eta": float("inf")}, ValueError, "eta must be positive and finite; got inf"),
        ({"eta": "small"}, TypeError, "eta must be a number; got 'small'"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AlternatingConfig(**options)


def test_forgetting_to_limit_the_global_agent_is_said() -> None:
    """A table over all histograms of 1000 agents would need a terabyte."""
    with pytest.raises(ValueError, match=r"k=1000 needs a table of \d+ entries .*SubsampleObservation\(env, k\)"):
        AlternatingMARL(parallel_env(n_agents=1000))


def test_game_without_rewards_needs_an_eta(random_game: Games) -> None:
    empty = replace(random_game(0), global_reward=np.zeros((2, 2)), local_reward=np.zeros((2, 2, 2)))
    for game in (empty, replace(empty, global_reward=empty.global_reward - 1)):
        with pytest.raises(ValueError, match="all returns of the game are equal, so eta must be given"):
            model_of(game, config=AlternatingConfig())
    result = model_of(empty, config=AlternatingConfig(eta=0.1, n_rollouts=5)).learn()
    assert (result.converged, result.potential, len(result.history)) == (True, 0, 2)
