"""Q of k and of n agents on exactly solved games: the printed comparison fails at equal histograms, the other holds."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.agents.bounds import (
    GameSizes,
    lipschitz_corrected,
    lipschitz_printed,
    safe_global_response,
    sampling_gap_predictor,
)
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.observation_channel import lift
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]


@cache
def optimal_q(game: TabularGame, k: int) -> FloatArray:
    """Q*_k under the uniform local policy within 1e-5, float [s_g, histogram, a_g]."""
    policy = LocalPolicy.named("uniform", game)
    return g_learn(game, policy, k=k, operator="exact", tolerance=1e-5).q_values


def distances(k: int, n: int, n_states: int) -> FloatArray:
    """TV between every histogram of k and every histogram of n agents, float [F, F']."""
    few, many = enumerate_histograms(k, n_states) / k, enumerate_histograms(n, n_states) / n
    return np.asarray(np.abs(few[:, None] - many[None]).sum(axis=2) / 2)


def gaps(game: TabularGame, k: int, n: int) -> FloatArray:
    """Sup over s_g and a_g of |Q_k(F) - Q_n(F')|, float [F, F']."""
    few, many = optimal_q(game, k), optimal_q(game, n)
    return np.asarray(np.abs(few[:, :, None] - many[:, None]).max(axis=(0, 3)))


def gap_at_equal_histograms(game: TabularGame, k: int, n: int) -> float:
    """Sup |Q_k(s_g, F, a) - Q_n(s_g, F, a)| over the histograms that both can have (k divides n)."""
    same = rank_histograms(enumerate_histograms(k, game.n_local_states) * (n // k))
    return float(np.abs(optimal_q(game, k) - optimal_q(game, n)[:, same]).max())


@cache
def games() -> tuple[TabularGame, ...]:
    """Random games and the warehouse with three zones."""
    rng = np.random.default_rng(7)
    drawn = [
        TabularGame(
            global_transition=rng.dirichlet(np.full(2, 0.3), (2, 2)),
            local_transition=rng.dirichlet(np.full(3, 0.3), (3, 2, 2)),
            global_reward=rng.random((2, 2)),
            local_reward=rng.random((3, 2, 2)),
            discount=discount,
        )
        for discount in (0.3, 0.7, 0.9)
    ]
    return (*drawn, warehouse(n_zones=3))


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize(("k", "n"), [(1, 2), (1, 8), (2, 8), (3, 7), (6, 7)])
def test_corrected_bound_holds_for_all_pairs_of_histograms(k: int, n: int, index: int) -> None:
    game = games()[index]
    sizes = GameSizes.of(game, LocalPolicy.named("uniform", game))
    for tv, gap in zip(distances(k, n, 3).flat, gaps(game, k, n).flat, strict=True):
        assert gap <= lipschitz_corrected(min(tv, 1.0), k, n, sizes).value


@pytest.mark.parametrize("index", range(4))
def test_for_one_population_size_both_bounds_hold(index: int) -> None:
    game = games()[index]
    sizes = GameSizes.of(game, LocalPolicy.named("uniform", game))
    for tv, gap in zip(distances(5, 5, 3).flat, gaps(game, 5, 5).flat, strict=True):
        corrected, printed = (bound(min(tv, 1.0), 5, 5, sizes) for bound in (lipschitz_corrected, lipschitz_printed))
        assert gap <= corrected.value + 2e-5 <= printed.value + 4e-5
        assert printed.verdict == corrected.verdict == "holds"


def test_lipschitz_constant_is_attained() -> None:
    """Agents that never move, one rewarded state: Q differs by exactly osc/(1-gamma) times TV."""
    game = TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=np.eye(2)[:, None, None],
        global_reward=np.zeros((1, 1)),
        local_reward=np.array([[[0.0]], [[2.0]]]),
        discount=0.8,
    )
    sizes = GameSizes.of(game, LocalPolicy.named("uniform", game))
    gap = gaps(game, 4, 4)
    assert gap == pytest.approx(10 * distances(4, 4, 2), abs=2e-5)
    assert lipschitz_corrected(0.25, 4, 4, sizes).value == pytest.approx(2.5)


def test_printed_bound_fails_at_equal_histograms() -> None:
    """On the 5-zone warehouse at n = 12, where the printed bound is 0."""
    game = warehouse()
    sizes = GameSizes.of(game)
    measured = [gap_at_equal_histograms(game, k, 12) for k in (1, 2, 4, 6)]
    assert measured == pytest.approx([61.1, 23.8, 13.2, 7.4], abs=0.05)
    for k, gap in zip((1, 2, 4, 6), measured, strict=True):
        printed = lipschitz_printed(0.0, k, 12, sizes)
        assert printed.value == 0.0 < gap
        assert printed.false_as_printed
        assert gap <= lipschitz_corrected(0.0, k, 12, sizes).value


def test_printed_bound_fails_at_different_histograms_too() -> None:
    """Three zones, k = 1, n = 12: at TV = 1/12 the difference exceeds the printed bound."""
    game = warehouse(n_zones=3)
    tv, gap = distances(1, 12, 3), gaps(game, 1, 12)
    near = (tv > 0) & (tv < 0.1)
    bounds = [lipschitz_printed(value, 1, 12, GameSizes.of(game)).value for value in tv[near]]
    assert (gap[near] > bounds).any()


def test_formulas_by_hand(sizes: GameSizes) -> None:
    """L = 3/(1 - 1/2) = 6; the printed constant is 2 3/(1 - 1/2) = 12."""
    assert lipschitz_printed(0.5, 1, 2, sizes).value == pytest.approx(6.0)
    assert [lipschitz_printed(0.5, k, 2, sizes).verdict for k in (1, 2)] == ["false", "holds"]
    assert lipschitz_printed(0.5, 1, 2, sizes, n_iterations=2).value == pytest.approx(6 * 0.5 * 1.5)
    assert lipschitz_printed(0.5, 1, 2, sizes, n_iterations=0).value == 0.0
    between = 0.5 * 6 / (2 * 0.5) * math.sqrt(3) * (1 / 2 + 1 / 4)
    assert lipschitz_corrected(0.5, 4, 16, sizes).value == pytest.approx(3 + between)
    assert lipschitz_corrected(1.0, 16, 16, sizes).value == pytest.approx(6.0)
    assert sampling_gap_predictor(4, 16, sizes).value == pytest.approx(3 / (2 * 0.5) * math.sqrt(12 / (4 * 15)))
    assert sampling_gap_predictor(16, 16, sizes).value == 0.0
    assert sampling_gap_predictor(1, 2, sizes).verdict == "unproved"


def distance_seen(game: TabularGame, k: int, n: int) -> float:
    """Sup over s_g and F' of E_F max_a |Q_k(F) - Q_n(F')|, F the histogram of k of the agents of F'."""
    few, many = optimal_q(game, k), optimal_q(game, n)
    apart = np.abs(few[:, :, None] - many[:, None]).max(axis=3)  # [s_g, F, F']
    means = [lift(apart[:, :, j].T, k, n, game.n_local_states)[j] for j in range(many.shape[1])]
    return float(np.max(means))


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize(("k", "n"), [(1, 2), (1, 8), (2, 8), (3, 7), (6, 7)])
def test_the_predictor_of_the_distance_of_q_is_not_exceeded(k: int, n: int, index: int) -> None:
    game = games()[index]
    sizes = GameSizes.of(game, LocalPolicy.named("uniform", game))
    assert distance_seen(game, k, n) <= sampling_gap_predictor(k, n, sizes).value + 2e-5


def test_the_predictor_does_not_bound_what_the_policy_loses() -> None:
    """Agents and s_g that move without chance, n = 2, k = 1: Q keeps to it, the loss is 4.6 times as large."""
    game = TabularGame(
        global_transition=np.eye(2)[np.array([[0, 1], [0, 0]])],
        local_transition=np.eye(2)[np.array([[0, 1], [1, 0]])][:, :, None],
        global_reward=np.array([[0.86, 0.04], [0.13, 0.42]]),
        local_reward=np.array([[0.82, 0.52], [0.60, 0.31]])[:, :, None],
        discount=0.9,
    )
    policy = LocalPolicy.named("uniform", game)
    sizes = GameSizes.of(game, policy)
    predictor = sampling_gap_predictor(1, 2, sizes)
    assert predictor.value == pytest.approx(1.1)
    assert "not of the value lost" in predictor.note
    assert 0.96 < distance_seen(game, 1, 2) < predictor.value
    seen_one = LumpedChain.exact(game, g_learn(game, policy, k=1).policy, policy, 2)
    loss = (optimal_q(game, 2).max(axis=2) - seen_one.values).max()
    assert loss == pytest.approx(5.109, abs=1e-3)
    assert 4.6 * predictor.value < loss <= safe_global_response(1, 2, sizes).value


@pytest.mark.parametrize("total_variation", [-0.1, 1.1])
def test_a_distance_outside_0_1_is_refused(sizes: GameSizes, total_variation: float) -> None:
    for bound in (lipschitz_printed, lipschitz_corrected):
        with pytest.raises(ValueError, match="total_variation must"):
            bound(total_variation, 1, 2, sizes)
