r"""Bellman operators on the surrogate game of k agents, as small pure functions.

A fixed local policy pi_l induces one law per global state (paper, Appendix B):

    P~(y | x, s_g) = sum_a pi_l(a | x, s_g) P_l(y | x, s_g, a)        r~(x, s_g) = sum_a pi_l(a | x, s_g) r_l(x, s_g, a)

so that a histogram F of k agents moves by a kernel K_{s_g} that does not depend on a_g, and the adapted operator is

    (T Q)(s_g, F, a_g) = r_g(s_g, a_g) + <F/k, r~(., s_g)>
                         + gamma sum_{s_g'} P_g(s_g' | s_g, a_g) (K_{s_g} W(s_g', .))(F)

with W = max_a Q. K is either exact (dense) or an average over m sampled histograms (sparse, T_{k,m}); samples are drawn
once, so that T_{k,m} is one contraction with one fixed point. The expectation over s_g' is exact in both: given s_g and
a_g it is independent of F', and averaging it out only removes variance from the paper's estimator.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.policies import LocalPolicy
from kofn.envs.population import (
    conditional_probabilities,
    enumerate_histograms,
    n_histograms,
    rank_histograms,
    sample_multinomial,
)

Kernel = FloatArray | sparse.csr_array
"""Row-stochastic matrix over histograms in rank order, [histogram, histogram']."""

MAX_DENSE_BYTES = 2 * 2**30
"""Dense kernels of all global states together must stay below this (k = 18 on the 5-zone warehouse)."""

AUTO_DENSE_BYTES = 2**29
"""Above this, sampled kernels are faster and the default (exact up to k = 14 on the 5-zone warehouse)."""


POOL_STRETCHES = 64
"""Size of the pool behind a sampled kernel, in stretches of `n_samples` draws."""

KEY_MULTIPLIER = 0x9E3779B97F4A7C15
"""An odd 64-bit number without structure (2^64 over the golden ratio)."""


def induced_transition(game: TabularGame, local_policy: LocalPolicy) -> FloatArray:
    """P~, float [s_g, s_l, s_l']."""
    return np.asarray(np.einsum("xga,xgay->gxy", local_policy.table, game.local_transition))


def induced_reward(game: TabularGame, local_policy: LocalPolicy) -> FloatArray:
    """r~, float [s_g, s_l]."""
    return np.asarray(np.einsum("xga,xga->gx", local_policy.table, game.local_reward))


def dense_kernels_fit(n_global_states: int, n_local_states: int, k: int, limit: int = MAX_DENSE_BYTES) -> bool:
    """Whether exact kernels of k agents fit into `limit` bytes."""
    return n_global_states * n_histograms(k, n_local_states) ** 2 * 8 <= limit


def exact_kernel(transition: FloatArray, k: int) -> FloatArray:
    """Law of the next histogram when k agents move independently by `transition` [s_l, s_l'], dense.

    Built agent by agent: K_j[c, d + e_y] += transition[x, y] K_{j-1}[c - e_x, d], x the first occupied state of c.
    """
    kernel = np.ones((1, 1))
    for j in range(1, k + 1):
        kernel = add_agent(kernel, transition, j)
    return kernel


def add_agent(kernel: FloatArray, transition: FloatArray, k: int) -> FloatArray:
    """K_k from K_{k-1}."""
    n_states = len(transition)
    first, parent, successor = _neighbours(k, n_states)
    n_before, n_after = len(kernel), len(first)
    grown = np.empty((n_after, n_after))
    for x in range(n_states):
        rows = np.flatnonzero(first == x)
        # One agent in state x joins a histogram of the other k-1 as they land: column d goes to the columns d + e_y.
        joins = sparse.csr_array(
            (np.tile(transition[x], n_before), successor.ravel(), np.arange(0, n_before * n_states + 1, n_states)),
            shape=(n_before, n_after),
        )
        grown[rows] = (joins.T @ kernel[parent[rows]].T).T
    return grown


@lru_cache(maxsize=64)
def _neighbours(k: int, n_states: int) -> tuple[IntArray, IntArray, IntArray]:
    """(first occupied state x of c, rank of c - e_x) of k agents, and the ranks of d + e_y of k-1 agents."""
    histograms = enumerate_histograms(k, n_states)
    first = (histograms > 0).argmax(axis=1)
    unit = np.eye(n_states, dtype=np.int64)
    parent = rank_histograms(histograms - unit[first])
    successor = rank_histograms(enumerate_histograms(k - 1, n_states)[:, None, :] + unit)
    return first, parent, successor


def sampled_kernel(transition: FloatArray, k: int, n_samples: int, rng: np.random.Generator) -> sparse.csr_array:
    """Empirical kernel of k agents: every histogram's row averages `n_samples` draws of its next histogram.

    The samples of a row are independent. For speed, rows share a pool of draws: where c agents leave state x they land
    as the pool's (x, c) entries say, and each row reads a stretch of the pool from a random place of its own. Bounds
    for the empirical operator take a union over rows and hold whatever the dependence between them.
    """
    histograms = enumerate_histograms(k, len(transition))
    size = len(histograms)
    keys = histogram_keys(histograms)
    order = np.argsort(keys)
    assert (np.diff(keys[order]) > 0).all(), "two histograms share a key"
    pool_size = n_samples * min(POOL_STRETCHES, size)
    stretch = np.arange(n_samples)
    landed = np.zeros((size, n_samples), dtype=np.uint64)
    for x, law in enumerate(transition):
        leaving = np.repeat(np.arange(k + 1)[:, None], pool_size, axis=1)
        pool = histogram_keys(sample_multinomial(rng, leaving, conditional_probabilities(law)))
        places = (rng.integers(pool_size, size=(size, 1)) + stretch) % pool_size
        landed += pool[histograms[:, x, None], places]
    ranks = order[np.searchsorted(keys[order], landed.ravel())]
    weights = np.full(size * n_samples, 1 / n_samples)
    starts = np.arange(0, size * n_samples + 1, n_samples)
    return sparse.csr_array((weights, ranks, starts), shape=(size, size))


def histogram_keys(histograms: IntArray) -> npt.NDArray[np.uint64]:
    """Keys of count vectors [..., s_l] with key(c + d) = key(c) + key(d) modulo 2^64, uint64 [...].

    The odd multiplier makes equal keys of different histograms unlikely; whoever relies on that checks it.
    """
    weights = np.cumprod(np.full(histograms.shape[-1], KEY_MULTIPLIER, dtype=np.uint64))
    keys: npt.NDArray[np.uint64] = (histograms.astype(np.uint64) @ weights).astype(np.uint64, copy=False)
    return keys


def surrogate_reward(game: TabularGame, local_policy: LocalPolicy, k: int) -> FloatArray:
    """r_D: r_g(s_g, a_g) + <F/k, r~(., s_g)>, float [s_g, histogram, a_g]."""
    frequencies = enumerate_histograms(k, game.n_local_states) / k
    local_part = induced_reward(game, local_policy) @ frequencies.T
    return game.global_reward[:, None, :] + local_part[:, :, None]


def expected_next(kernels: Sequence[Kernel], values: FloatArray) -> FloatArray:
    """E[values(s_g', F') | s_g, F] for every s_g', float [s_g, histogram, s_g'], from values [s_g', histogram]."""
    columns = np.ascontiguousarray(values.T)
    return np.stack([kernel @ columns for kernel in kernels])


def bellman_operator(
    q_values: FloatArray, rewards: FloatArray, kernels: Sequence[Kernel], global_transition: FloatArray, discount: float
) -> FloatArray:
    """T Q, float [s_g, histogram, a_g] (the adapted operator of the module docstring)."""
    ahead = expected_next(kernels, q_values.max(axis=2))
    backed_up: FloatArray = rewards + discount * (ahead @ global_transition.swapaxes(1, 2))
    return backed_up
