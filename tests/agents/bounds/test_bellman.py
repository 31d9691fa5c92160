"""Sweeps, samples and Lemma 4.3: the formulas by hand, their inverses, and sampled operators that keep to them."""

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.agents.bounds import (
    GameSizes,
    bellman_noise,
    iterations_for,
    log_columns,
    log_entries,
    samples_for,
    theoretical_iterations,
    theoretical_samples,
    truncation_error,
    truncation_horizon,
)
from kofn.agents.bounds.bellman import Regime
from kofn.agents.operators import bellman_operator, exact_kernel, induced_reward, induced_transition, surrogate_reward
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("n_states", [1, 2, 3])
def test_observations_are_counted_exactly(n_states: int, k: int) -> None:
    tuples = list(product(range(n_states), repeat=k))
    histograms = {tuple(sorted(states)) for states in tuples}
    assert math.exp(log_columns(k, n_states, "standard")) == pytest.approx(len(tuples))
    assert math.exp(log_columns(k, n_states)) == pytest.approx(len(histograms))
    assert math.exp(log_entries(k, 2, 5, n_states)) == pytest.approx(10 * len(histograms))


def test_lemma_4_3_by_hand(sizes: GameSizes) -> None:
    """N = 6 C(5, 2) = 60 histogram entries or 6 4^2 = 96 tuples; gamma r~/(1-gamma)^2 = 8."""
    bound = bellman_noise(50, 2, sizes, delta=0.1)
    assert bound.value == pytest.approx(8 * math.sqrt(math.log(1200) / 100))
    assert bound.probability == pytest.approx(0.9)
    assert bound.verdict == "holds"
    standard = bellman_noise(50, 2, sizes, delta=0.1, regime="standard")
    assert standard.value == pytest.approx(8 * math.sqrt(math.log(1920) / 100))


def test_the_default_confidence_is_the_papers(sizes: GameSizes) -> None:
    assert bellman_noise(50, 4, sizes).probability == pytest.approx(1 - 1 / 200)
    assert bellman_noise(50, 4, sizes).value == bellman_noise(50, 4, sizes, delta=1 / 200).value


def test_samples_by_hand() -> None:
    """k gamma^2 r~^2/(2 (1-gamma)^4) = 2/4 16/2 16 = 64 times ln(2 60/0.1)."""
    assert samples_for(2, 2, 3, 4, 4.0, 0.5, 0.1) == math.ceil(64 * math.log(1200))
    assert samples_for(2, 2, 3, 4, 4.0, 0.5, 0.1, "standard") == math.ceil(64 * math.log(1920))
    assert samples_for(4, 2, 3, 4, 4.0, 0.5) == math.ceil(128 * math.log(400 * 6 * 35))


@pytest.mark.parametrize("regime", ["meanfield", "standard"])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_samples_are_the_fewest_that_do(sizes: GameSizes, k: int, regime: Regime) -> None:
    m = samples_for(k, 2, 3, 4, 4.0, 0.5, 0.05, regime)
    assert bellman_noise(m, k, sizes, delta=0.05, regime=regime).value <= k**-0.5
    assert bellman_noise(m - 1, k, sizes, delta=0.05, regime=regime).value > k**-0.5


def test_samples_on_the_warehouse() -> None:
    """Four to eight hundred million at k = 5, as the choice of delta will have it."""
    game = warehouse()
    assert theoretical_samples(game, 5, 0.1) == pytest.approx(5.28e8, rel=1e-2)
    assert theoretical_samples(game, 5) == pytest.approx(6.76e8, rel=1e-2)
    assert theoretical_iterations(game, 5) == math.ceil(20 * math.log(230 * math.sqrt(5))) == 125


@pytest.mark.parametrize("discount", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("k", [1, 7, 50])
def test_sweeps_suffice_and_hardly_more_than_needed(k: int, discount: float) -> None:
    n_sweeps = iterations_for(k, 4.0, discount)
    assert truncation_error(n_sweeps, 4.0, discount).value <= k**-0.5
    fewest = next(t for t in range(n_sweeps + 1) if truncation_error(t, 4.0, discount).value <= k**-0.5)
    assert n_sweeps <= math.ceil(fewest * -math.log(discount) / (1 - discount))


def test_sweeps_of_a_nearly_settled_problem() -> None:
    assert truncation_horizon(10.0, 1.0, 0.5) == 0
    assert truncation_horizon(2.0, 1.0, 0.5) == 0
    assert truncation_horizon(1.0, 1.0, 0.5) == math.ceil(2 * math.log(2))
    assert truncation_error(0, 1.0, 0.5).value == 2.0
    assert truncation_error(3, 1.0, 0.5).value == 0.25


def test_truncation_is_what_sweeps_leave_out(random_game: Games) -> None:
    """With every reward equal to r~ the sweeps miss exactly gamma^T r~/(1-gamma)."""
    game = random_game(1, discount=0.7)
    policy = LocalPolicy.named("uniform", game)
    kernels = [exact_kernel(p, 3) for p in induced_transition(game, policy)]
    rewards = np.full((2, 4, 2), 5.0)
    q = np.zeros_like(rewards)
    for t in range(6):
        assert 5 / 0.3 - q == pytest.approx(truncation_error(t, 5.0, 0.7).value)
        q = bellman_operator(q, rewards, kernels, game.global_transition, 0.7)


def test_nothing_overflows() -> None:
    m = samples_for(10**6, 5, 5, 100, 11.5, 0.95)
    union = math.log(2 * 25 * math.comb(10**6 + 99, 99)) + math.log(100 * 1000)
    assert m == pytest.approx(10**6 * 0.95**2 * 11.5**2 / (2 * 0.05**4) * union, rel=1e-9)
    assert samples_for(10**6, 5, 5, 100, 11.5, 0.95, regime="standard") > m
    assert log_columns(10**12, 1000) > 0


def sampled_fixed_point(game: TabularGame, policy: LocalPolicy, k: int, m: int, seed: int) -> FloatArray:
    """Q^est_{k,m} by definition: m pairs (s_g', F') per entry, drawn agent by agent, kept for every sweep."""
    rng = np.random.default_rng(seed)
    rewards, histograms = surrogate_reward(game, policy, k), enumerate_histograms(k, game.n_local_states)
    moves = induced_transition(game, policy)
    shape = (*rewards.shape, m)
    next_global, next_column = np.empty(shape, dtype=int), np.empty(shape, dtype=int)
    for g, column, a in np.ndindex(rewards.shape):
        next_global[g, column, a] = rng.choice(game.n_global_states, p=game.global_transition[g, a], size=m)
        states = np.repeat(np.arange(game.n_local_states), histograms[column])
        landed = [rng.choice(game.n_local_states, p=moves[g, x], size=m) for x in states]
        counts = np.stack([(np.array(landed) == y).sum(axis=0) for y in range(game.n_local_states)], axis=-1)
        next_column[g, column, a] = rank_histograms(counts)
    q = np.zeros_like(rewards)
    for _ in range(200):
        q = rewards + game.discount * q.max(axis=2)[next_global, next_column].mean(axis=3)
    return q


DELTA = 0.5
"""Large, so that a bound that is too small would be found out."""


def noise_ratios(game: TabularGame, k: int, m: int, n_runs: int) -> FloatArray:
    """|Q^est - Q*| over the bound of Lemma 4.3, by run."""
    policy = LocalPolicy.named("uniform", game)
    exact = g_learn(game, policy, k=k, operator="exact", tolerance=1e-10).q_values
    bound = bellman_noise(m, k, GameSizes.of(game), delta=DELTA).value
    runs = [sampled_fixed_point(game, policy, k, m, seed) for seed in range(n_runs)]
    return np.array([np.abs(run - exact).max() / bound for run in runs])


@pytest.mark.parametrize("m", [1, 10])
def test_sampled_operators_keep_to_lemma_4_3(random_game: Games, m: int) -> None:
    game = random_game(5, n_global=2, n_local=2, discount=0.6)
    ratios = noise_ratios(game, k=2, m=m, n_runs=30)
    assert (ratios <= 1).mean() >= 1 - DELTA
    assert np.median(ratios) > 0.01  # the operators do differ


def test_lemma_4_3_would_be_broken_at_a_tenth(random_game: Games) -> None:
    """A game of chance: the next global state alone decides between r~ and 0, the extreme case of Hoeffding."""
    base = random_game(6, n_global=2, n_local=1, discount=0.2)
    game = TabularGame(
        global_transition=np.full((2, 2, 2), 0.5),
        local_transition=np.ones((1, 2, 1, 1)),
        global_reward=np.array([[0.0, 0.0], [1.0, 1.0]]),
        local_reward=np.zeros((1, 2, 1)),
        discount=base.discount,
    )
    ratios = noise_ratios(game, k=1, m=5, n_runs=30)
    assert (ratios <= 1).mean() >= 1 - DELTA
    assert (ratios <= 0.1).mean() < 1 - DELTA


def test_library_operator_keeps_to_lemma_4_3(warehouse3: TabularGame) -> None:
    policy = LocalPolicy.named("uniform", warehouse3)
    exact = g_learn(warehouse3, policy, k=3, operator="exact", tolerance=1e-8).q_values
    bound = bellman_noise(30, 3, GameSizes.of(warehouse3), delta=DELTA).value
    for seed in range(10):
        sampled = g_learn(warehouse3, policy, k=3, operator="monte_carlo", n_samples=30, tolerance=1e-6, seed=seed)
        assert 0 < np.abs(sampled.q_values - exact).max() <= bound


def test_induced_rewards_stay_within_the_bound(warehouse3: TabularGame) -> None:
    rewards = induced_reward(warehouse3, LocalPolicy.named("uniform", warehouse3))
    assert rewards.max() + warehouse3.global_reward.max() <= GameSizes.of(warehouse3).reward_bound


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: log_columns(2, 2, "both"), ValueError, "regime must be one of 'standard', 'meanfield'; got 'both'"),  # type: ignore[arg-type] # refused
        (lambda: log_columns(0, 2), ValueError, "k must be at least 1; got 0"),
        (lambda: log_columns(1, 0), ValueError, "n_local_states must be at least 1; got 0"),
        (lambda: log_entries(1, 0, 2, 2), ValueError, "n_global_states must be at least 1; got 0"),
        (lambda: iterations_for(0, 1.0, 0.5), ValueError, "k must be at least 1; got 0"),
        (lambda: iterations_for(1, -1.0, 0.5), ValueError, "reward_bound must be positive and finite; got -1.0"),
        (lambda: iterations_for(1, 1.0, 1.0), ValueError, "discount must lie strictly between 0 and 1; got 1.0"),
        (lambda: truncation_horizon(0.0, 1.0, 0.5), ValueError, "error must be positive and finite; got 0.0"),
        (lambda: truncation_error(-1, 1.0, 0.5), ValueError, "n_steps must be at least 0; got -1"),
        (lambda: samples_for(1, 2, 2, 2, 0.0, 0.5), ValueError, "reward_bound must be positive and finite; got 0.0"),
        (lambda: samples_for(1, 2, 2, 2, 1.0, 0.5, 1.5), ValueError, "delta must lie strictly between 0 and 1"),
    ],
)
def test_rejected(call: Callable[[], object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_no_samples_are_refused(sizes: GameSizes) -> None:
    with pytest.raises(ValueError, match="m must be at least 1; got 0"):
        bellman_noise(0, 1, sizes)
