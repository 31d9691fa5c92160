"""The theorems' numbers beside a run's: against the formulas written out here, and in use."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, comb, isnan, log, sqrt

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


def by_hand(game: TabularGame, k: int, delta: float, columns: int) -> tuple[int, int, float]:
    """(T, m*, Bellman noise at m = 30)."""
    r, gamma = game.reward_bound, game.discount
    union = log(2 * game.n_global_states * game.n_global_actions * columns / delta)
    return (
        ceil(log(r * sqrt(k) / (1 - gamma)) / (1 - gamma)),
        ceil(k * gamma**2 * r**2 / (2 * (1 - gamma) ** 4) * union),
        gamma * r / (1 - gamma) ** 2 * sqrt(union / 60),
    )


@pytest.mark.parametrize(("k", "parameterisation"), [(1, "histogram"), (5, "histogram"), (5, "tuple"), (3, "paper")])
def test_numbers_of_the_warehouse(k: int, parameterisation: str) -> None:
    game = warehouse()
    uniform = LocalPolicy.named("uniform", game)
    result = g_learn(
        game,
        uniform,
        k=k,
        operator="monte_carlo",
        parameterisation=parameterisation,  # type: ignore[arg-type] # one of the names
        max_iterations=1,
        seed=0,
    )
    over_tuples = parameterisation != "histogram"
    columns = 5**k if over_tuples else comb(k + 4, 4)
    delta = 1 / (100 * sqrt(k))
    sweeps, samples, noise = by_hand(game, k, delta, columns)
    theory = result.theory
    assert (theory.k, theory.regime, theory.delta) == (k, "standard" if over_tuples else "meanfield", delta)
    assert (theory.n_entries, theory.n_iterations, theory.accuracy) == (25 * columns, sweeps, 2 / sqrt(k))
    assert theory.n_samples == pytest.approx(samples, rel=1e-12)
    assert theory.bellman_noise == pytest.approx(noise)
    assert theory.fixed_draws == 25 * columns * theory.n_samples * (k + 1)
    assert theory.fresh_draws == sweeps * theory.fixed_draws
    if (k, parameterisation) == (5, "histogram"):
        assert theory.n_samples == pytest.approx(6.76e8, rel=0.005)
        assert sweeps == 125


def test_delta_is_used(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(0)
    result = g_learn(game, random_local(game, 0), k=2, operator="monte_carlo", delta=0.2, seed=0)
    sweeps, samples, noise = by_hand(game, 2, 0.2, 3)
    assert (result.theory.delta, result.theory.n_iterations, result.theory.n_samples) == (0.2, sweeps, samples)
    assert result.theory.bellman_noise == pytest.approx(noise)


def test_an_exact_run_has_no_noise_and_a_heuristic_no_bound(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(0)
    policy = random_local(game, 0)
    exact = g_learn(game, policy, k=2).theory
    assert (exact.bellman_noise, exact.reward_noise) == (0, 0)
    assert isnan(g_learn(game, policy, k=2, operator="rounded").theory.bellman_noise)


def test_fresh_samples_share_delta_among_the_sweeps(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(0)
    result = g_learn(
        game,
        random_local(game, 0),
        k=2,
        operator="monte_carlo",
        resample="each_sweep",
        max_iterations=50,
        delta=0.1,
        seed=0,
    )
    assert result.n_iterations == 50
    assert result.theory.bellman_noise == pytest.approx(by_hand(game, 2, 0.1 / 50, 3)[2])
    assert result.theory.delta == 0.1


@pytest.mark.parametrize("k", [1, 4])
def test_the_theorems_sweeps_leave_what_they_promise(random_game: Games, random_local: LocalPolicies, k: int) -> None:
    """gamma^T r~/(1-gamma) <= 1/sqrt k; the span certificate is half of that at most. Where nothing moves, the span
    of the values shrinks by gamma per sweep and no faster."""
    game = random_game(3, n_local=3)
    game = replace(
        game,
        global_transition=np.repeat(np.eye(2)[:, None, :], 2, axis=1),
        local_transition=np.broadcast_to(np.eye(3)[:, None, None, :], game.local_transition.shape),
    )
    policy = random_local(game, 3)
    result = g_learn(game, policy, k=k, max_iterations="theory", tolerance=1e-12)
    assert result.n_iterations == result.theory.n_iterations
    assert not result.converged
    assert 0.05 / sqrt(k) < result.certificate <= 0.5 / sqrt(k)
    exact = g_learn(game, policy, k=k, tolerance=1e-9).q_values
    assert np.abs(result.q_values - exact).max() <= result.certificate + 1e-9
    # They are a limit, not a duty: the certificate may stop the sweeps earlier.
    assert g_learn(game, policy, k=k, max_iterations="theory", tolerance=1.0).n_iterations < result.n_iterations


def test_the_theorems_samples_are_as_good_as_they_promise(random_game: Games, random_local: LocalPolicies) -> None:
    """A discount of 0.5 makes m* small enough: |Q - Q*| <= 2/sqrt k after T sweeps."""
    game = random_game(3, discount=0.5)
    policy = random_local(game, 3)
    exact = g_learn(game, policy, k=4).q_values
    result = g_learn(
        game, policy, k=4, operator="monte_carlo", n_samples="theory", delta=0.01, max_iterations="theory", seed=0
    )
    assert result.n_samples == result.theory.n_samples == by_hand(game, 4, 0.01, 5)[1]
    assert result.theory.bellman_noise <= 0.5
    assert np.abs(result.q_values - exact).max() <= result.theory.accuracy
    # A constant would do no better by chance: the values differ by more than the sampling error.
    assert np.abs(result.q_values - exact).max() < 0.1 * np.ptp(exact)


def test_samples_that_do_not_fit_are_refused() -> None:
    game = warehouse()
    uniform = LocalPolicy.named("uniform", game)
    with pytest.raises(
        ValueError, match=r"n_samples='theory' is m\* = \d{9} samples per entry, which take .* GiB at k=5"
    ):
        g_learn(game, uniform, k=5, operator="monte_carlo", n_samples="theory")
    with pytest.raises(
        ValueError, match=r"n_samples=1000000 takes .* GiB at k=5 \(126 histograms\), more than 2; give"
    ):
        g_learn(game, uniform, k=5, operator="monte_carlo", n_samples=10**6)
    # The exact operator needs no samples, however many are asked for.
    assert g_learn(game, uniform, k=2, n_samples="theory", max_iterations=1).n_samples == 0


def test_a_game_that_pays_nothing(random_game: Games, random_local: LocalPolicies) -> None:
    """Every bound is zero; nothing divides by it."""
    game = random_game(0)
    free = TabularGame(
        global_transition=game.global_transition,
        local_transition=game.local_transition,
        global_reward=np.zeros((2, 2)),
        local_reward=np.zeros((2, 2, 2)),
        discount=0.9,
    )
    result = g_learn(
        free,
        random_local(game, 0),
        k=2,
        operator="monte_carlo",
        n_samples="theory",
        max_iterations="theory",
        resample="each_sweep",
    )
    assert (result.n_samples, result.n_iterations, result.theory.bellman_noise) == (1, 1, 0)
    assert not result.q_values.any()


def test_summary_prints_theory_beside_practice(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(0)
    policy = random_local(game, 0)
    exact = g_learn(game, policy, k=2, parameterisation="tuple").summary()
    assert exact.startswith("G-LEARN, k = 2: exact operator on tuples\nconverged after ")
    assert exact.endswith("as run: nothing is sampled")
    assert "keep Q within 2/sqrt(k) = 1.41 with probability 0.9929" in exact
    sampled = g_learn(game, policy, k=2, operator="monte_carlo", n_samples=7, reward_samples=3, seed=0)
    text = sampled.summary()
    assert "monte_carlo operator on histograms, m = 7 samples per entry\n" in text
    assert f"sampled next states move Q by at most {sampled.theory.bellman_noise:.3g}, drawn rewards" in text
    assert f"m* = {sampled.theory.n_samples:.3g} samples" in str(sampled.theory)
    fresh = g_learn(game, policy, k=2, operator="monte_carlo", resample="each_sweep", max_iterations=3, seed=0)
    assert "stopped after 3 sweeps, with fresh samples each\n" in fresh.summary()
    assert g_learn(game, policy, k=2, operator="rounded").summary().endswith("a heuristic operator, without a bound")
