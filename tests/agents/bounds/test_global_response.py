"""The loss of seeing k of n: theorems by hand, the safe bound on exactly solved games, and what was measured."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.agents.bounds import (
    Bound,
    GameSizes,
    bellman_noise,
    safe_global_response,
    samples_for,
    sampling_gap_predictor,
    theorem_4_2,
    theorem_4_4,
)
from kofn.agents.lumped_chain import LumpedChain, deployed_kernels
from kofn.agents.operators import bellman_operator, surrogate_reward
from kofn.agents.solvers import value_iteration
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.start_law import FixedStart

Games = Callable[..., TabularGame]

TOLERANCE = 1e-4


def optimal_q(game: TabularGame, policy: LocalPolicy, kernels: list[FloatArray], n: int) -> FloatArray:
    """Q*_n within 1e-4, float [s_g, histogram, a_g]."""
    rewards = surrogate_reward(game, policy, n)

    def apply(q: FloatArray) -> FloatArray:
        return bellman_operator(q, rewards, kernels, game.global_transition, game.discount)

    return value_iteration(apply, np.zeros_like(rewards), game.discount, tolerance=TOLERANCE).values


def losses(game: TabularGame, n: int, sampled: list[int]) -> list[FloatArray]:
    """V^{pi_g*} - V^{pi^est} in every state of the n-agent game, for every k: full information less deployed."""
    policy = LocalPolicy.named("uniform", game)
    kernels = deployed_kernels(game, policy, n)
    best = optimal_q(game, policy, kernels, n).max(axis=2)
    learned = [g_learn(game, policy, k=k, operator="exact", tolerance=1e-8).policy for k in sampled]
    return [best - LumpedChain(game, pi_g, policy, kernels, n).values for pi_g in learned]


def test_theorem_4_2_by_hand(sizes: GameSizes) -> None:
    """r~/(1-gamma)^2 = 16; ln(40 16 4 3 sqrt 4); noise 0.25 counts 2/(1-gamma) = 4 times."""
    noise = Bound(value=0.25, source="given", probability=0.9, assumptions=("of a test",))
    sampling = 16 * math.sqrt(7 / (2 * 4 * 10)) * math.sqrt(math.log(40 * 16 * 4 * 3 * 2))
    bound = theorem_4_2(4, 10, sizes, noise=noise)
    assert bound.value == pytest.approx(sampling + 1 / 20 + 1)
    assert (bound.probability, bound.verdict, bound.false_as_printed) == (0.9, "unproved", False)
    assert "of a test" in bound.assumptions
    assert theorem_4_2(4, 10, sizes, constant=4.0).value == pytest.approx(4 * sampling + 1 / 20)
    assert theorem_4_2(4, 10, sizes).probability is None


def test_theorem_4_4_by_hand(sizes: GameSizes) -> None:
    sampling = 16 * math.sqrt(7 / (2 * 4 * 10)) * math.sqrt(math.log(40 * 16 * 4 * 3 * 2))
    bound = theorem_4_4(4, 10, sizes)
    assert bound.value == pytest.approx(sampling + 3 / 2)
    assert bound.probability == pytest.approx(1 - 1 / 200)


def test_remainder_of_theorem_4_4_needs_more_samples_than_m_star(sizes: GameSizes) -> None:
    """With m* samples the remainder is (1/10 + 2/(1-gamma))/sqrt k, which is above 3/sqrt k at every gamma > 0.31."""
    m = samples_for(4, 2, 3, 4, 4.0, 0.5)
    with_m_star = theorem_4_2(4, 10, sizes, noise=bellman_noise(m, 4, sizes)).value
    assert with_m_star > theorem_4_4(4, 10, sizes).value
    enough = math.ceil(m / (1.45 * 0.5) ** 2)
    with_more = theorem_4_2(4, 10, sizes, noise=bellman_noise(enough, 4, sizes)).value
    assert with_more == pytest.approx(theorem_4_4(4, 10, sizes).value, abs=1e-2)


def test_theorems_fall_with_k_like_its_root(sizes: GameSizes) -> None:
    """At n without end: a factor of sqrt(k'/k), apart from the logarithm."""
    first, second = (theorem_4_4(k, 10**12, sizes).value for k in (100, 10_000))
    logs = [math.log(40 * 16 * 4 * 3 * root) for root in (10, 100)]
    assert first / second == pytest.approx(10 * math.sqrt(logs[0] / logs[1]), rel=0.02)


def test_safe_bound_by_hand(sizes: GameSizes) -> None:
    """L = 6: 2/(1-gamma) = 4 times (L E TV + (gamma L/(2(1-gamma))) sqrt 3 (1/2 + 1/4) + noise)."""
    noise = Bound(value=0.25, source="given", probability=0.9)
    tv = math.sqrt(3 * 12 / (4 * 15)) / 2
    expected = 4 * (6 * tv + 3 * math.sqrt(3) * 0.75 + 0.25)
    bound = safe_global_response(4, 16, sizes, noise=noise)
    assert bound.value == pytest.approx(expected)
    assert (bound.probability, bound.verdict) == (0.9, "holds")
    assert safe_global_response(16, 16, sizes, noise=noise).value == 1.0
    assert safe_global_response(16, 16, sizes).value == 0.0


def test_total_variation_never_counts_as_more_than_one(sizes: GameSizes) -> None:
    """Ten thousand states, one agent seen: the bound on E TV is 50."""
    many = GameSizes(**{**vars(sizes), "n_local_states": 10**4})
    noise = 3 * math.sqrt(10**4 - 1) * (1 + 10**-3)
    assert safe_global_response(1, 10**6, many).value == pytest.approx(4 * (6 + noise))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("discount", [0.1, 0.6])
def test_safe_bound_holds_on_random_games(random_game: Games, seed: int, discount: float) -> None:
    game = random_game(seed, n_global=3, n_local=2, n_global_actions=3, discount=discount)
    sizes = GameSizes.of(game, LocalPolicy.named("uniform", game))
    sampled = [1, 2, 4, 8]
    for k, loss in zip(sampled, losses(game, 8, sampled), strict=True):
        assert loss.max() <= safe_global_response(k, 8, sizes).value + TOLERANCE
        assert loss.min() >= -TOLERANCE


def test_loss_on_the_warehouse_with_three_zones(warehouse3: TabularGame) -> None:
    """n = 60, uniform local policy, independent uniform starts: not monotone in k, far below every theorem."""
    sampled = [1, 2, 4, 12, 24]
    start = FixedStart(np.full(3, 1 / 3)).histogram_law(60)
    by_state = losses(warehouse3, 60, sampled)
    gaps = [float((loss @ start).mean()) for loss in by_state]
    assert gaps == pytest.approx([14.5, 11.6, 12.3, 9.1, 5.6], abs=0.051)
    sizes = GameSizes.of(warehouse3, LocalPolicy.named("uniform", warehouse3))
    for k, loss in zip(sampled, by_state, strict=True):
        assert loss.max() <= sampling_gap_predictor(k, 60, sizes).value  # here: docs/theory.md says so of this figure
        assert safe_global_response(k, 60, sizes).vacuous(sizes.value_bound)
        assert theorem_4_4(k, 60, sizes).vacuous(sizes.value_bound)


def test_rejected(sizes: GameSizes) -> None:
    with pytest.raises(ValueError, match="k must be between 1 and 3; got 4"):
        theorem_4_4(4, 3, sizes)
    with pytest.raises(ValueError, match="k must be between 1 and 3; got 4"):
        safe_global_response(4, 3, sizes)
    with pytest.raises(ValueError, match="constant must be positive and finite; got 0"):
        theorem_4_2(1, 3, sizes, constant=0)
