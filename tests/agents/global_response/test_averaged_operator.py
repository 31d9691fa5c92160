"""Stochastic rewards: averages of random tables have the right mean and variance, and the bound holds."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import log, sqrt

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.agents.global_response.averaged_operator import TabularPayments, averaged_reward
from kofn.agents.operators import backed_up, exact_kernel, induced_transition, look_ahead, surrogate_reward
from kofn.agents.solvers import value_iteration
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.generative import GenerativeGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.reward_law import RewardLaw

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]

GLOBAL_SHIFT, LOCAL_SHIFT = 0.3, 0.7


def around(rewards: FloatArray, shift: float) -> RewardLaw:
    """Each reward plus or minus the shift, with equal chances."""
    values = np.stack([rewards - shift, rewards + shift], axis=-1)
    return RewardLaw(values, np.full(values.shape, 0.5))


@pytest.fixture
def game(random_game: Games) -> TabularGame:
    plain = random_game(4, n_local=3, n_global_actions=3, discount=0.6)
    return replace(
        plain,
        global_reward_law=around(plain.global_reward, GLOBAL_SHIFT),
        local_reward_law=around(plain.local_reward, LOCAL_SHIFT),
    )


def variance_of_one(game: TabularGame, policy: LocalPolicy, k: int) -> FloatArray:
    """Variance of one random r_D: of r_g, and of k local rewards whose actions are random too."""
    means = np.einsum("xga,xga->gx", policy.table, game.local_reward)
    local = np.einsum("xga,xga->gx", policy.table, game.local_reward**2 + LOCAL_SHIFT**2) - means**2
    counts = enumerate_histograms(k, game.n_local_states)
    return GLOBAL_SHIFT**2 + np.repeat((local @ counts.T / k**2)[:, :, None], game.n_global_actions, axis=2)


@pytest.mark.parametrize("n_draws", [1, 5])
def test_averages_are_unbiased_with_the_variance_of_independent_draws(
    game: TabularGame, random_local: LocalPolicies, n_draws: int
) -> None:
    """60 entries, 1500 repeats: means within 4.5 standard errors, variances within 18% (5 of sqrt(2/1500), as the
    kurtosis of such sums is below 3)."""
    policy, k = random_local(game, 4), 3
    rng = np.random.default_rng(1)
    tables = np.array(
        [averaged_reward(TabularPayments(game), game.n_global_actions, policy, k, n_draws, rng) for _ in range(1500)]
    )
    variance = variance_of_one(game, policy, k) / n_draws
    exact = surrogate_reward(game, policy, k)
    assert tables.shape == (1500, 2, 10, 3)
    assert (np.abs(tables.mean(axis=0) - exact) <= 4.5 * np.sqrt(variance / 1500)).all()
    assert tables.var(axis=0) == pytest.approx(variance, rel=0.18)


def test_draws_in_blocks_have_the_same_mean(
    game: TabularGame, random_local: LocalPolicies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of one draw, the last of 10: every draw counts once."""
    policy, k = random_local(game, 4), 3
    monkeypatch.setattr("kofn.agents.global_response.averaged_operator.DRAWS_AT_ONCE", 18 * 7)
    table = averaged_reward(TabularPayments(game), 3, policy, k, 4000, np.random.default_rng(2))
    error = np.abs(table - surrogate_reward(game, policy, k))
    assert (error <= 4.5 * np.sqrt(variance_of_one(game, policy, k) / 4000)).all()


def test_certain_rewards_and_actions_are_paid_as_they_are(random_game: Games) -> None:
    plain = random_game(1, n_local=3)
    stay = LocalPolicy.named("stay", plain)
    table = averaged_reward(TabularPayments(plain), 2, stay, 4, 3, np.random.default_rng(0))
    assert table == pytest.approx(surrogate_reward(plain, stay, 4), abs=1e-14)
    assert TabularPayments(plain).spread == np.ptp(plain.local_reward, axis=2).max()


def test_the_average_of_operators_is_the_operator_of_the_average(
    game: TabularGame, random_local: LocalPolicies
) -> None:
    """Four random reward tables: Q <- mean of T^xi Q, written out, has the same fixed point."""
    policy, k = random_local(game, 4), 2
    rng = np.random.default_rng(3)
    tables = [averaged_reward(TabularPayments(game), 3, policy, k, 1, rng) for _ in range(4)]
    kernels = [exact_kernel(law, k) for law in induced_transition(game, policy)]
    ahead = partial(look_ahead, kernels=kernels, global_transition=game.global_transition)

    def average_of_operators(q: FloatArray) -> FloatArray:
        return np.mean([backed_up(q, table, ahead, game.discount) for table in tables], axis=0)

    def of_the_average(q: FloatArray) -> FloatArray:
        return backed_up(q, np.mean(tables, axis=0), ahead, game.discount)

    start = np.zeros_like(tables[0])
    first, second = (
        value_iteration(operator, start, game.discount, tolerance=1e-10)
        for operator in (average_of_operators, of_the_average)
    )
    assert first.values == pytest.approx(second.values, abs=3e-10)


@pytest.mark.parametrize("n_draws", [3, 300])
def test_the_bound_holds_with_shared_next_states(game: TabularGame, random_local: LocalPolicies, n_draws: int) -> None:
    """At level 1e-3, exact and sampled; the same seed draws the same next states with and without random rewards."""
    policy, k = random_local(game, 4), 3
    spread = game.global_reward_law.spread + game.local_reward_law.spread  # type: ignore[union-attr] # both are given
    bound = spread / 0.4 * sqrt(log(2 * 60 / 1e-3) / (2 * n_draws))
    for operator in ("exact", "monte_carlo"):
        for seed in range(3):
            mean = g_learn(game, policy, k=k, operator=operator, seed=seed)  # type: ignore[arg-type] # literals
            drawn = g_learn(game, policy, k=k, operator=operator, seed=seed, reward_samples=n_draws, delta=1e-3)  # type: ignore[arg-type] # literals
            assert 0.01 < np.abs(drawn.q_values - mean.q_values).max() <= bound + 2e-6
            assert drawn.theory.reward_noise == pytest.approx(bound)
            assert mean.theory.reward_noise == 0
            # Contraction: no further apart than the rewards are over 1 - gamma. Other next states would be.
            rewards = g_learn(
                replace(game, discount=1e-9), policy, k=k, operator="exact", seed=seed, reward_samples=n_draws
            )
            apart = np.abs(rewards.q_values - surrogate_reward(game, policy, k)).max()
            assert np.abs(drawn.q_values - mean.q_values).max() <= apart / 0.4 + 3e-6


def test_many_draws_converge_to_mean_rewards(game: TabularGame, random_local: LocalPolicies) -> None:
    """64 times the draws: an eighth of the error, here within a factor 2 over 10 seeds."""
    policy = random_local(game, 4)
    exact = g_learn(game, policy, k=2).q_values
    errors = {40: 0.0, 2560: 0.0}
    for seed in range(10):
        for n_draws in errors:
            drawn = g_learn(game, policy, k=2, reward_samples=n_draws, seed=seed)
            errors[n_draws] += float(np.abs(drawn.q_values - exact).max())
    assert 4 < errors[40] / errors[2560] < 16


def test_mean_rewards_are_the_default(game: TabularGame, random_local: LocalPolicies) -> None:
    policy = random_local(game, 4)
    certain = replace(game, global_reward_law=None, local_reward_law=None)
    assert (g_learn(game, policy, k=2).q_values == g_learn(certain, policy, k=2).q_values).all()


def test_random_rewards_over_tuples(game: TabularGame, random_local: LocalPolicies) -> None:
    policy = random_local(game, 4)
    options = {"k": 2, "reward_samples": 4, "seed": 1, "tolerance": 2e-11}
    histograms = g_learn(game, policy, **options)  # type: ignore[arg-type] # a dictionary of them
    tuples = g_learn(game, policy, parameterisation="tuple", **options)  # type: ignore[arg-type] # a dictionary of them
    assert tuples.q_values == pytest.approx(histograms.q_values, abs=1e-10)


def test_reward_draws_are_a_function_of_the_seed(game: TabularGame, random_local: LocalPolicies) -> None:
    policy = random_local(game, 4)

    def run(seed: int) -> FloatArray:
        return g_learn(game, policy, k=2, reward_samples=2, seed=seed).q_values

    assert (run(1) == run(1)).all()
    assert (run(1) != run(2)).any()


@pytest.mark.parametrize("oracle", [False, True])
def test_rewards_are_drawn_apart_from_the_moves(random_game: Games, oracle: bool) -> None:
    """Rewards that hardly vary hardly change Q: a seed meets the same next states, however often rewards are drawn."""
    plain = random_game(4, n_local=3, discount=0.6)
    game = replace(plain, local_reward_law=around(plain.local_reward, 1e-9))
    played = GenerativeGame.from_tables(game) if oracle else game
    stay = LocalPolicy.named("stay", plain)
    tables = [
        g_learn(played, stay, k=3, operator="monte_carlo", n_samples=5, seed=seed, reward_samples=n_draws).q_values
        for seed, n_draws in ((1, None), (1, 1), (1, 50), (2, None))
    ]
    assert np.abs(tables[0] - tables[1]).max() < 1e-5
    assert np.abs(tables[0] - tables[2]).max() < 1e-5
    assert np.abs(tables[0] - tables[3]).max() > 1e-3


def test_rewards_do_not_repeat_the_draws_of_the_moves(game: TabularGame, random_local: LocalPolicies) -> None:
    """With next to no future Q is the reward table: that of the seed's first child, not of the seed's own stream."""
    policy = random_local(game, 4)
    payments = TabularPayments(game)
    drawn = g_learn(replace(game, discount=1e-12), policy, k=2, reward_samples=2, seed=1).q_values
    own, apart = (
        averaged_reward(payments, 3, policy, 2, 2, np.random.default_rng(source))
        for source in (np.random.SeedSequence(1), np.random.SeedSequence(1, spawn_key=(0,)))
    )
    assert drawn == pytest.approx(apart, abs=1e-9)
    assert np.abs(drawn - own).max() > 0.01
