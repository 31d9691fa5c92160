"""Random rewards: the formula, its inverse, and averaged rewards that keep to it."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from kofn.agents.bounds import (
    GameSizes,
    bellman_noise,
    reward_draws_for,
    reward_noise,
    theorem_4_2,
    theorem_f_4,
)
from kofn.agents.bounds.bellman import Regime
from kofn.agents.operators import bellman_operator, exact_kernel, induced_reward, induced_transition, surrogate_reward
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms

Games = Callable[..., TabularGame]


def test_reward_noise_by_hand(sizes: GameSizes) -> None:
    """D/(1-gamma) = 3, N = 60 or 96."""
    bound = reward_noise(50, 1.5, 2, sizes, delta=0.1)
    assert bound.value == pytest.approx(3 * math.sqrt(math.log(1200) / 100))
    assert bound.probability == 0.9
    standard = reward_noise(50, 1.5, 2, sizes, delta=0.1, regime="standard")
    assert standard.value == pytest.approx(3 * math.sqrt(math.log(1920) / 100))
    assert reward_noise(50, 0.0, 2, sizes).value == 0.0


@pytest.mark.parametrize("regime", ["meanfield", "standard"])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_draws_are_the_fewest_that_do(sizes: GameSizes, k: int, regime: Regime) -> None:
    n = reward_draws_for(1.5, k, sizes, delta=0.05, regime=regime)
    assert reward_noise(n, 1.5, k, sizes, delta=0.05, regime=regime).value <= k**-0.5
    assert reward_noise(n - 1, 1.5, k, sizes, delta=0.05, regime=regime).value > k**-0.5


def test_sure_rewards_need_one_draw(sizes: GameSizes) -> None:
    assert reward_draws_for(0.0, 5, sizes) == 1


def test_theorem_f_4_adds_both_noises(sizes: GameSizes) -> None:
    bound = theorem_f_4(4, 10, sizes, m=100, n_draws=50, spread=1.5)
    noise = bellman_noise(100, 4, sizes).value + reward_noise(50, 1.5, 4, sizes).value
    assert bound.value == pytest.approx(theorem_4_2(4, 10, sizes).value + 4 * noise)
    assert bound.probability == pytest.approx(1 - 2 / 200)
    assert "next states shared by the draws of the rewards" in bound.assumptions


def averaged_fixed_point(game: TabularGame, k: int, rewards: FloatArray) -> FloatArray:
    """Fixed point of the exact operator with these rewards [s_g, histogram, a_g]."""
    policy = LocalPolicy.named("uniform", game)
    kernels = [exact_kernel(p, k) for p in induced_transition(game, policy)]
    q = np.zeros_like(rewards)
    for _ in range(100):
        q = bellman_operator(q, rewards, kernels, game.global_transition, game.discount)
    return q


@pytest.mark.parametrize("n_draws", [1, 20])
def test_averaged_rewards_keep_to_the_bound(random_game: Games, n_draws: int) -> None:
    """Rewards of the game plus or minus 1/2 by a coin for r_g and one per agent, so both spreads are 1."""
    game, k, delta = random_game(4, discount=0.5), 3, 0.5
    policy = LocalPolicy.named("uniform", game)
    mean = surrogate_reward(game, policy, k)
    exact = averaged_fixed_point(game, k, mean)
    bound = reward_noise(n_draws, 2.0, k, GameSizes.of(game), delta=delta).value
    assert induced_reward(game, policy).shape == (2, 2)
    rng, errors = np.random.default_rng(2), []
    for _ in range(40):
        coins = rng.integers(2, size=(n_draws, *mean.shape)) - 0.5
        agents = rng.binomial(k, 0.5, size=(n_draws, *mean.shape)) / k - 0.5
        noisy = mean + (coins + agents).mean(axis=0)
        errors.append(np.abs(averaged_fixed_point(game, k, noisy) - exact).max())
    assert np.mean(np.array(errors) <= bound) >= 1 - delta
    assert max(errors) > bound / 10
    assert len(enumerate_histograms(k, 2)) == mean.shape[1]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s: reward_noise(0, 1.0, 1, s), "n_draws must be at least 1; got 0"),
        (lambda s: reward_noise(1, -1.0, 1, s), "spread must be positive and finite; got -1.0"),
        (lambda s: reward_noise(1, 1.0, 0, s), "k must be at least 1; got 0"),
        (lambda s: reward_draws_for(-1.0, 1, s), "spread must be positive and finite; got -1.0"),
        (lambda s: reward_draws_for(1.0, 1, s, delta=1.0), "delta must lie strictly between 0 and 1; got 1.0"),
    ],
)
def test_rejected(sizes: GameSizes, call: Callable[[GameSizes], object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call(sizes)
