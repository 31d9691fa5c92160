r"""Channels of product form, by matrix products: what k agents drawn from a crowd show.

The chance of the histogram F of the agents seen is a product over the local states,

    O(F | c) = prod_x w_x(F_x):     Multinomial(k, p)       w_x(f) ~ Poisson(f; k p_x)
                                    k of n, without         w_x(f) ~ Binomial(f; c_x, k/n)
                                    replacement

up to a constant that makes all of it sum to 1, shared among the states: no factor overflows, and what underflows is
negligible. With the states in two groups, F = (A, B) with m agents seen in the first and k - m in the second,

    O(F | c) = a_m(A | c) b_{k-m}(B | c),

so that sums over crowds and expectations over F are, for every m, products of two matrices with a row or column per A
and per B. Their size is the number of F times that of crowds; only a_m and b_m, which are far fewer, are formed.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms

BLOCK_ENTRIES = 2**18
"""Entries of a matrix a_m that are formed at once: they should stay in the second-level cache."""

Block = tuple[IntArray, IntArray, IntArray]
"""Histograms A [A, s_l of the first group], B [B, s_l of the second], and ranks of (A, B) [A, B]."""


def multinomial_weights(shares: FloatArray, k: int) -> FloatArray:
    """W of Multinomial(k, shares), float [s_l, count, crowd], from shares [crowd, s_l]."""
    expected, counts = k * shares.T[:, None, :], np.arange(k + 1)[None, :, None]
    total = xlogy(k, k) - k - gammaln(k + 1)
    return np.asarray(np.exp(xlogy(counts, expected) - expected - gammaln(counts + 1) - total / len(expected)))


def hypergeometric_weights(held: FloatArray, n_agents: int, k: int) -> FloatArray:
    """W of k of n agents, float [s_l, count, crowd], from how many are in every state, [crowd, s_l]."""
    share, counts, held = k / n_agents, np.arange(k + 1)[None, :, None], held.T[:, None, :]
    logs = _log_binomial(held, counts, np.maximum(held - counts, 0), share)
    total = _log_binomial(n_agents, k, n_agents - k, share)
    return np.where(counts <= held, np.exp(logs - total / len(held)), 0.0)


def _log_binomial(n: FloatArray | int, chosen: IntArray | int, left: FloatArray | int, share: float) -> FloatArray:
    """Logarithm of Binomial(chosen; n, share), left = n - chosen."""
    ways = gammaln(np.add(n, 1)) - gammaln(np.add(chosen, 1)) - gammaln(np.add(left, 1))
    return np.asarray(ways + xlogy(chosen, share) + xlog1py(left, -share))


def gather(weights: FloatArray, values: FloatArray) -> FloatArray:
    """sum_c values(c) O(F | c), float [F, column], from weights [s_l, count, crowd] and values [crowd, column]."""
    n_states, n_counts, _ = weights.shape
    blocks, n_seen = two_groups(n_counts - 1, n_states)
    found = np.zeros((n_seen, values.shape[1]))
    for part in _parts(weights, blocks):
        here = weights[:, :, part]
        for first, second, ranks in blocks:
            right = _chances(here[first.shape[1] :], second)[:, None, :] * values[part].T
            summed = _chances(here, first) @ right.reshape(-1, right.shape[2]).T
            found[ranks] += summed.reshape(*ranks.shape, values.shape[1])
    return found


def expect(weights: FloatArray, values: FloatArray) -> FloatArray:
    """E[values(F) | c], float [crowd, column], from weights [s_l, count, crowd] and values [F, column]."""
    n_states, n_counts, n_crowds = weights.shape
    blocks, _ = two_groups(n_counts - 1, n_states)
    found = np.zeros((values.shape[1], n_crowds))
    for part in _parts(weights, blocks):
        here = weights[:, :, part]
        for first, second, ranks in blocks:
            inner = values[ranks].reshape(len(first), -1).T @ _chances(here, first)
            chances = _chances(here[first.shape[1] :], second)
            found[:, part] += (inner.reshape(len(second), -1, chances.shape[1]) * chances[:, None, :]).sum(axis=0)
    return found.T


@lru_cache(maxsize=16)
def two_groups(k: int, n_states: int) -> tuple[tuple[Block, ...], int]:
    """Histograms of k agents as pairs (A, B), by the number of agents in A; and how many there are."""
    n_second = n_states // 2 if n_states > 2 else 0
    n_seen, blocks = 0, []
    for m in range(k + 1) if n_second > 0 else (k,):
        first = enumerate_histograms(m, n_states - n_second)
        second = enumerate_histograms(k - m, n_second) if n_second > 0 else np.zeros((1, 0), dtype=np.int64)
        joined = np.hstack([np.repeat(first, len(second), axis=0), np.tile(second, (len(first), 1))])
        ranks = rank_histograms(joined).reshape(len(first), len(second))
        blocks.append((first, second, ranks))
        n_seen += ranks.size
    return tuple(blocks), n_seen


def _parts(weights: FloatArray, blocks: tuple[Block, ...]) -> Iterator[slice]:
    """Stretches of crowds."""
    largest = max(len(first) for first, _, _ in blocks)
    size = max(64, BLOCK_ENTRIES // largest)
    return (slice(begin, begin + size) for begin in range(0, weights.shape[2], size))


def _chances(weights: FloatArray, histograms: IntArray) -> FloatArray:
    """prod_x w_x(F_x) over the first states, float [F, crowd], of histograms [F, s_l]."""
    chances = np.ones((len(histograms), weights.shape[2]))
    for x in range(histograms.shape[1]):
        chances *= weights[x, histograms[:, x]]
    return chances
