"""G-LEARN against value iteration on tuples of agents, and its Monte Carlo forms against Lemma 4.3."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, log, sqrt
from typing import Any

import numpy as np
import pytest
from learning_errors import error_of
from oracle import brute_force

from kofn.agents import g_learn
from kofn.agents.global_response.g_learn import choose_operator
from kofn.agents.operators import surrogate_reward
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]

CASES = [(seed, sizes, k) for seed, sizes in enumerate([(2, 2, 2, 2), (3, 2, 2, 3), (2, 3, 3, 2)]) for k in (1, 2, 3)]


def q_by_tuples(game: TabularGame, local_policy: LocalPolicy, k: int) -> FloatArray:
    """The oracle's Q* as [s_g, histogram, a_g]; every ordering of a histogram has the same values."""
    q = brute_force.optimal_q(game, local_policy.table, k)
    table = np.full((game.n_global_states, n_histograms(k, game.n_local_states), game.n_global_actions), np.nan)
    for s, row in zip(brute_force.joint_states(game, k), q, strict=True):
        at = s[0], brute_force.rank(s[1:], game.n_local_states)
        assert np.isnan(table[at]).all() or table[at] == pytest.approx(row, abs=1e-10)
        table[at] = row
    return table


@pytest.mark.parametrize(("seed", "sizes", "k"), CASES)
def test_q_equals_value_iteration_on_tuples(
    random_game: Games, random_local: LocalPolicies, seed: int, sizes: tuple[int, ...], k: int
) -> None:
    game = random_game(seed, *sizes)
    policy = random_local(game, seed)
    result = g_learn(game, policy, k=k)
    exact = q_by_tuples(game, policy, k)
    assert result.converged
    assert result.certificate <= 1e-6
    assert np.abs(result.q_values - exact).max() <= result.certificate + 1e-10
    # Where the best action is clear, it is the one chosen; elsewhere the choice is as good up to the certificate.
    chosen = np.take_along_axis(exact, result.policy.table[:, :, None], axis=2)[:, :, 0]
    assert (chosen >= exact.max(axis=2) - 2 * result.certificate - 2e-9 * game.value_bound).all()
    clear = np.diff(np.sort(exact, axis=2)[:, :, -2:], axis=2)[:, :, 0] > 1e-5
    assert clear.mean() > 0.5
    assert (result.policy.table[clear] == exact.argmax(axis=2)[clear]).all()


@pytest.mark.parametrize(("seed", "n_local", "n"), [(0, 2, 1), (1, 2, 3), (2, 3, 2), (3, 2, 4)])
def test_seeing_everyone_gives_the_full_information_optimum(
    random_game: Games, random_local: LocalPolicies, seed: int, n_local: int, n: int
) -> None:
    """With k = n the greedy policy, played in the real game, is worth the optimum over all policies."""
    game = random_game(seed, n_local=n_local)
    local_policy = random_local(game, seed)
    result = g_learn(game, local_policy, k=n)
    played = brute_force.potential(game, result.policy.probabilities(), local_policy.table, n, n)
    optimum = brute_force.optimal_potential(game, local_policy.table, n)
    # A policy greedy for Q within e of Q* loses at most 2 e/(1 - gamma).
    assert optimum - (2e-9 * game.value_bound + 2 * result.certificate) / 0.1 <= played <= optimum + 1e-9


@pytest.mark.parametrize("sample_global", [False, True])
@pytest.mark.parametrize("n_samples", [1, 30, 1000])
def test_monte_carlo_error_is_within_the_bound(
    random_game: Games, random_local: LocalPolicies, n_samples: int, sample_global: bool
) -> None:
    """Lemma 4.3 at level 1e-3: |Q_est - Q*| <= gamma r~/(1-gamma)^2 sqrt(ln(2N/delta)/(2m))."""
    for seed in range(5):
        game = random_game(seed, n_local=3, discount=0.7)
        policy = random_local(game, seed)
        exact = g_learn(game, policy, k=3, operator="exact").q_values
        options: dict[str, Any] = {"n_samples": n_samples, "sample_global": sample_global, "seed": seed}
        result = g_learn(game, policy, k=3, operator="monte_carlo", **options)
        bound = 0.7 * game.reward_bound / 0.3**2 * sqrt(log(2 * exact.size / 1e-3) / (2 * n_samples))
        assert 0 < error_of(result, exact) <= bound + result.certificate + 1e-6


def test_sampling_the_global_state_adds_variance_only(random_game: Games, random_local: LocalPolicies) -> None:
    """The agents' samples are the same from the same seed; over 10 games the paired estimate errs more."""
    errors = {False: 0.0, True: 0.0}
    for seed in range(10):
        game = random_game(seed, n_global=4, n_local=2)
        policy = random_local(game, seed)
        exact = g_learn(game, policy, k=3, operator="exact").q_values
        for sample_global in errors:
            options: dict[str, Any] = {"n_samples": 50, "sample_global": sample_global, "seed": seed}
            errors[sample_global] += error_of(g_learn(game, policy, k=3, operator="monte_carlo", **options), exact)
    assert 1.2 * errors[False] < errors[True]


FRESH: dict[str, Any] = {"operator": "monte_carlo", "resample": "each_sweep"}


def test_fresh_samples_are_unbiased_where_nothing_is_chosen(random_game: Games, random_local: LocalPolicies) -> None:
    """With one global action T_{k,m} is affine, so that independent sweeps have the mean T_k^T 0.

    100 seeds, 12 entries: means within 4 standard errors. Kept samples meet themselves again, which biases them.
    """
    game = random_game(5, n_global_actions=1, discount=0.8)
    policy = random_local(game, 5)
    exact = g_learn(game, policy, k=5, operator="exact", tolerance=1e-9).q_values
    runs = [g_learn(game, policy, k=5, n_samples=1, tolerance=0.01, seed=seed, **FRESH) for seed in range(100)]
    tables = np.array([run.q_values for run in runs])
    standard_errors = tables.std(axis=0, ddof=1) / sqrt(100)
    assert (np.abs(tables.mean(axis=0) - exact) <= 4 * standard_errors + 0.01).all()
    assert standard_errors.max() < 0.1


def test_fresh_samples_have_no_fixed_point_and_say_so(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1, discount=0.8)
    policy = random_local(game, 1)
    result = g_learn(game, policy, k=2, seed=0, **FRESH)
    assert not result.converged
    assert np.isnan(result.certificate)
    assert not np.isnan(result.q_values).any()
    # gamma^t r~/(1-gamma) <= 1e-6, with -ln gamma bounded by 1-gamma; fewer when told so.
    assert result.n_iterations == ceil(log(game.value_bound / 1e-6) / 0.2)
    assert g_learn(game, policy, k=2, seed=0, max_iterations=7, **FRESH).n_iterations == 7
    by_theory = g_learn(game, policy, k=2, seed=0, max_iterations="theory", **FRESH)
    assert by_theory.n_iterations == by_theory.theory.n_iterations == ceil(log(game.value_bound * sqrt(2)) / 0.2)


@pytest.mark.parametrize("parameterisation", ["histogram", "tuple"])
def test_fresh_samples_err_within_the_bound(
    random_game: Games, random_local: LocalPolicies, parameterisation: Any
) -> None:
    errors = {20: 0.0, 1280: 0.0}
    for seed in range(5):
        game = random_game(seed, n_local=3, discount=0.5)
        policy = random_local(game, seed)
        exact = g_learn(game, policy, k=2, operator="exact").q_values
        for m in errors:
            options: dict[str, Any] = {"n_samples": m, "parameterisation": parameterisation, "seed": seed}
            result = g_learn(game, policy, k=2, tolerance=1e-3, **options, **FRESH)
            assert 0 < error_of(result, exact) <= result.theory.bellman_noise + 1e-3
            errors[m] += error_of(result, exact)
    assert 4 < errors[20] / errors[1280] < 16  # the root of 64, within a factor 2


def test_fresh_samples_are_a_function_of_the_seed(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1)
    policy = random_local(game, 1)
    first, second, other = (g_learn(game, policy, k=2, max_iterations=5, seed=s, **FRESH).q_values for s in (1, 1, 2))
    assert (first == second).all()
    assert (first != other).any()


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_sweeps_start_at_zero_once_rewards_are_shifted(
    random_game: Games, random_local: LocalPolicies, shift: float
) -> None:
    """The theorems start at Q = 0 with nonnegative rewards: one sweep gives r + gamma min(0, min r)/(1-gamma)."""
    game = random_game(3)
    game = replace(game, local_reward=game.local_reward - shift)
    policy = random_local(game, 3)
    rewards = surrogate_reward(game, policy, 2)
    start = min(0.0, rewards.min()) / (1 - 0.9)
    assert (start < 0) == (shift > 0)
    result = g_learn(game, policy, k=2, max_iterations=1, seed=0, **FRESH)
    assert result.q_values == pytest.approx(rewards + 0.9 * start)


def test_monte_carlo_error_falls_as_the_root_of_the_samples(random_game: Games, random_local: LocalPolicies) -> None:
    """64 times the samples: an eighth of the error, here within a factor 2 over 10 games."""
    errors = {40: 0.0, 2560: 0.0}
    for seed in range(10):
        game = random_game(seed, n_local=3)
        policy = random_local(game, seed)
        exact = g_learn(game, policy, k=3, operator="exact").q_values
        for m in errors:
            errors[m] += error_of(g_learn(game, policy, k=3, operator="monte_carlo", n_samples=m, seed=seed), exact)
    assert 4 < errors[40] / errors[2560] < 16


def test_monte_carlo_is_a_function_of_its_seed(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1)
    policy = random_local(game, 1)

    def sampled(seed: int | np.random.SeedSequence | None) -> FloatArray:
        return g_learn(game, policy, k=3, operator="monte_carlo", n_samples=3, seed=seed).q_values

    assert (sampled(1) == sampled(1)).all()
    assert (sampled(1) == sampled(np.random.SeedSequence(1))).all()
    assert (sampled(1) != sampled(2)).any()
    assert (sampled(None) != sampled(None)).any()


def test_exact_needs_no_seed(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1)
    policy = random_local(game, 1)
    first, second = (g_learn(game, policy, k=2, seed=seed) for seed in (1, None))
    assert (first.q_values == second.q_values).all()


def test_result_says_how_it_was_found(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(2, n_global=3, n_local=3, n_global_actions=4)
    result = g_learn(game, random_local(game, 2), k=2)
    assert (result.operator, result.n_samples) == ("exact", 0)
    assert result.q_values.shape == (3, 6, 4)
    assert (result.policy.k, result.policy.n_actions, result.policy.table.shape) == (2, 4, (3, 6))
    assert result.policy.deterministic
    assert 1 < result.n_iterations < 10_000
    assert 0 < result.wall_time < 60
    sampled = g_learn(game, random_local(game, 2), k=2, operator="monte_carlo", n_samples=9, seed=0)
    assert (sampled.operator, sampled.n_samples, sampled.converged) == ("monte_carlo", 9, True)


def test_giving_up_is_said_and_certified(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(2)
    policy = random_local(game, 2)
    result = g_learn(game, policy, k=2, max_iterations=3)
    assert (result.converged, result.n_iterations) == (False, 3)
    assert error_of(result, q_by_tuples(game, policy, 2)) <= result.certificate


def test_shifted_rewards_shift_the_values_only(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(3)
    policy = random_local(game, 3)
    shifted = replace(game, local_reward=game.local_reward - 5.0)
    first, second = g_learn(game, policy, k=2), g_learn(shifted, policy, k=2)
    assert second.q_values == pytest.approx(first.q_values - 50.0, abs=3e-6)
    assert (first.policy.table == second.policy.table).all()


def test_auto_takes_the_exact_operator_while_it_is_cheap() -> None:
    """5 local and 5 global states: a sweep takes 5 * 4 C(k+4, 4) (k+5) 8 products, more than 2^34 from k = 74 on."""
    game = warehouse()
    chosen = [choose_operator(game, k, "auto") for k in (1, 30, 73, 74)]
    assert chosen == ["exact", "exact", "exact", "monte_carlo"]
    assert choose_operator(game, 73, "exact") == "exact"
    with pytest.raises(ValueError, match=r"takes 1\.8e\+10 products per sweep at k=74"):
        choose_operator(game, 74, "exact")
    uniform = LocalPolicy.named("uniform", game)
    assert g_learn(game, uniform, k=2, max_iterations=1).operator == "exact"
    sampled = g_learn(game, uniform, k=19, operator="monte_carlo", n_samples=1, max_iterations=1, seed=0)
    assert (sampled.operator, sampled.n_samples) == ("monte_carlo", 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1; got 0"),
        ({"k": 2.5}, TypeError, r"k must be an integer; got 2\.5"),
        ({"k": True}, TypeError, "k must be an integer; got True"),
        (
            {"k": 80, "operator": "exact"},
            ValueError,
            r"operator='exact' takes \S+ products per sweep at k=80 \(1929501 histograms\), more than 1\.7e\+10; use",
        ),
        ({"k": 1000}, ValueError, r"k=1000 needs a table of \d+ entries .* use a smaller k"),
        ({"k": 2, "seed": -1}, ValueError, "seed must be a nonnegative integer"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    game = warehouse()
    with pytest.raises(error, match=message):
        g_learn(game, LocalPolicy.named("uniform", game), **options)


def test_local_policy_of_another_game_is_refused(random_game: Games, random_local: LocalPolicies) -> None:
    other = random_local(random_game(0, n_local=3), 0)
    with pytest.raises(
        ValueError, match=r"the local policy must match the game's .* = \[2, 2, 2\]; it has \[3, 2, 2\]"
    ):
        g_learn(random_game(0), other, k=1)
