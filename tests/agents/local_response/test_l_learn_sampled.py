"""L-LEARN by sampling: Monte Carlo operators and games that can only be sampled come close to the tables."""

from collections.abc import Callable
from typing import Any

import pytest
from oracle import brute_force
from tiny_fleet import tiny

from kofn.agents import l_learn
from kofn.agents.local_response.l_learn_config import METHODS, LLearnConfig, LLearnOptions
from kofn.envs import GlobalPolicy, TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.streams import child, seed_sequence

Games = Callable[..., TabularGame]

GlobalPolicies = Callable[..., GlobalPolicy]


def test_monte_carlo_comes_close_with_many_samples(random_game: Games, random_global: GlobalPolicies) -> None:
    """The response on sampled kernels, judged exactly: within 1% of the exact response."""
    for seed in range(5):
        game, global_policy = tiny(random_game, random_global, seed)
        sampled = l_learn(game, global_policy, operator="monte_carlo", n_samples=2000, seed=seed)
        exact = l_learn(game, global_policy).value
        worth = brute_force.potential(game, global_policy.probabilities(), sampled.policy.table, 2, 2)
        assert worth == pytest.approx(exact, rel=0.01)


def test_monte_carlo_is_a_function_of_its_seed(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, 1)

    def value(seed: int | None) -> float:
        return l_learn(game, global_policy, operator="monte_carlo", n_samples=3, seed=seed).value

    assert value(1) == value(1)
    assert value(1) != value(2)
    assert value(None) != value(None)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_result(random_game: Games, random_global: GlobalPolicies, method: Any) -> None:
    game, global_policy = tiny(random_game, random_global, 1)
    options: LLearnOptions = {"method": method}
    if method == "ucfh":
        options |= {"max_episodes": 50}
    first, second = (l_learn(game, global_policy, seed=5, **options) for _ in range(2))
    assert (first.policy.table == second.policy.table).all()
    assert first.method == method
    for field in ("value", "certificate", "upper_bound", "n_iterations", "n_samples", "converged", "operator"):
        assert repr(getattr(first, field)) == repr(getattr(second, field))
    assert first.config == LLearnConfig(**options)


@pytest.mark.parametrize("method", METHODS)
def test_a_generative_game_is_solved_on_its_empirical_tables(
    random_game: Games, random_global: GlobalPolicies, method: Any
) -> None:
    game, global_policy = tiny(random_game, random_global, 3)
    oracle = GenerativeGame.from_tables(game)
    options: LLearnOptions = {"method": method}
    if method == "ucfh":
        options |= {"max_episodes": 50}
    result = l_learn(oracle, global_policy, n_samples=40, seed=5, **options)
    assert (result.operator, result.n_samples) == ("monte_carlo", 40)
    empirical = sampled_game(oracle, 40, child(seed_sequence(5), 3))
    on_tables = l_learn(empirical, global_policy, seed=5, **options)
    assert (result.policy.table == on_tables.policy.table).all()
    assert result.value == pytest.approx(on_tables.value, nan_ok=True)
    assert result.value != l_learn(game, global_policy, seed=5, **options).value


def test_a_generative_game_sampled_often_is_the_game(random_game: Games, random_global: GlobalPolicies) -> None:
    """20,000 draws per row: the response is worth what the exact one is, within 1%."""
    game, global_policy = tiny(random_game, random_global, 3)
    result = l_learn(GenerativeGame.from_tables(game), global_policy, n_samples=20_000, seed=0)
    exact = l_learn(game, global_policy).value
    assert result.value == pytest.approx(exact, rel=0.01)
    worth = brute_force.potential(game, global_policy.probabilities(), result.policy.table, 2, 2)
    assert worth == pytest.approx(exact, rel=0.01)
