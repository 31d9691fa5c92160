"""SUBSAMPLE-MFQ on a game that can only be sampled, against the exact solution of the same game as arrays."""

from collections.abc import Callable
from dataclasses import replace
from math import log, sqrt
from typing import Any

import numpy as np
import pytest

from kofn.agents import evaluate_mfq, mean_field_value_iteration, subsample_mfq
from kofn.agents.joint_control.central_planner import centralised_local_bound
from kofn.envs import GenerativeGame, TabularGame
from kofn.envs.arrays import FloatArray

Games = Callable[..., TabularGame]
TABLES = ("joint_counts", "algorithm1", "algorithm2")


def certain(rows: FloatArray) -> FloatArray:
    """All mass of every row on its likeliest outcome."""
    return np.asarray(np.eye(rows.shape[-1])[rows.argmax(axis=-1)])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("sizes", "k"), [((2, 2, 2, 2), 3), ((3, 3, 2, 2), 2)])
def test_without_noise_one_sample_is_exact(random_game: Games, sizes: tuple[int, ...], k: int, table: Any) -> None:
    drawn = random_game(3, *sizes, discount=0.8)
    game = replace(
        drawn,
        global_transition=certain(drawn.global_transition),
        local_transition=certain(drawn.local_transition),
        labels=None,
    )
    options: dict[str, Any] = {"k": k, "parameterisation": table, "tolerance": 1e-10}
    exact = subsample_mfq(game, operator="exact", **options)
    sampled = subsample_mfq(GenerativeGame.from_tables(game), n_samples=1, seed=0, **options)
    assert sampled.q_values == pytest.approx(exact.q_values, abs=1e-9)
    assert (sampled.policy.action_counts == exact.policy.action_counts).all()
    assert (sampled.operator, sampled.n_samples, sampled.converged) == ("monte_carlo", 1, True)


@pytest.mark.parametrize("seed", range(3))
def test_error_is_within_hoeffdings_bound(random_game: Games, seed: int) -> None:
    """Next histograms and next s_g of N entries in all, each within span(W) sqrt(ln(2N/delta)/(2m)); 1/(1-gamma)."""
    game, n_samples, delta = random_game(seed, discount=0.8), 4000, 1e-6
    exact = subsample_mfq(game, k=2, operator="exact", tolerance=1e-10)
    sampled = subsample_mfq(GenerativeGame.from_tables(game), k=2, n_samples=n_samples, tolerance=1e-10, seed=seed)
    n_laws = exact.q_values.size + game.global_reward.size
    radius = float(np.ptp(exact.values)) * sqrt(log(2 * n_laws / delta) / (2 * n_samples))
    error = float(np.abs(sampled.q_values - exact.q_values).max())
    assert 0 < error <= 2 * game.discount / (1 - game.discount) * radius
    assert error < 0.1 * float(np.ptp(exact.q_values))


def test_samples_are_those_of_the_seed_and_the_policy_is_executed(random_game: Games) -> None:
    game = random_game(1, discount=0.7)
    oracle = GenerativeGame.from_tables(game)
    first, again, other = (subsample_mfq(oracle, k=2, n_samples=20, seed=seed) for seed in (1, 1, 2))
    assert (first.q_values == again.q_values).all()
    assert (first.q_values != other.q_values).any()
    played = [evaluate_mfq(g, first.policy, 5, horizon=20, n_rollouts=500, seed=3) for g in (oracle, game)]
    noise = sqrt(sum(outcome.standard_error**2 for outcome in played))
    assert abs(played[0].mean - played[1].mean) < 4.5 * noise


def test_what_needs_probabilities_says_so(random_game: Games) -> None:
    oracle: Any = GenerativeGame.from_tables(random_game(1))
    match = "operator='exact' needs the game's probabilities, and a GenerativeGame only gives samples"
    for ask in (lambda: subsample_mfq(oracle, k=2, operator="exact"), lambda: mean_field_value_iteration(oracle, 2)):
        with pytest.raises(ValueError, match=match):
            ask()
    with pytest.raises(TypeError, match="game must be a TabularGame, whose kernels are exact; got GenerativeGame"):
        centralised_local_bound(oracle, np.full((2, 3, 2), 0.5), 2)
