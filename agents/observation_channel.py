r"""What the global agent sees of a histogram c of n agents: k of them, drawn without replacement by default.

    O(F | c) = prod_x C(c_x, F_x) / C(n, k)        (multivariate hypergeometric)

Seeing k of n is seeing n-1 of n, then n-2 of n-1, ..: one agent at a time leaves view, x with probability c_x/j,

    (D_j f)(c) = sum_x (c_x/j) f(c - e_x)          maps functions of j-1 agents to functions of j agents,

so that E[f(F) | c] = D_n .. D_{k+1} f. Each D_j is sparse, |S_l| entries per row, and so is its transpose, which
carries weights over the histograms of n agents to weights over those of k.

The multinomial channel O(F | c) = Multinomial(k, c/n) draws with replacement. It lets n agents stand for a crowd of
many more, of which k may be any number: seen without replacement, k = n of them would give the crowd away.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import sparse

from kofn.agents.product_channel import expect, gather, multinomial_weights
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms

Channel = Literal["without_replacement", "multinomial"]


def lift(
    seen: FloatArray, k: int, n_agents: int, n_states: int, channel: Channel = "without_replacement"
) -> FloatArray:
    """E[seen(F) | c] for every histogram c of n agents, float [c, ...], from `seen` [F, ...] of k agents.

    Without replacement k <= n.
    """
    values = seen.reshape(len(seen), -1)
    if channel == "multinomial":
        return expect(_multinomial(k, n_agents, n_states), values).reshape(-1, *seen.shape[1:])
    for j in range(k + 1, n_agents + 1):
        values = forget_one(j, n_states) @ values
    return np.asarray(values).reshape(-1, *seen.shape[1:])


def project(
    weights: FloatArray, k: int, n_agents: int, n_states: int, channel: Channel = "without_replacement"
) -> FloatArray:
    """sum_c weights(c) O(F | c), float [F, ...], from `weights` [c, ...] of n agents: the adjoint of `lift`."""
    values = weights.reshape(len(weights), -1)
    if channel == "multinomial":
        return gather(_multinomial(k, n_agents, n_states), values).reshape(-1, *weights.shape[1:])
    for j in range(n_agents, k, -1):
        values = forget_one(j, n_states).T @ values
    return np.asarray(values).reshape(-1, *weights.shape[1:])


def _multinomial(k: int, n_agents: int, n_states: int) -> FloatArray:
    """The multinomial channel of all histograms of n agents, as `product_channel` has it."""
    return multinomial_weights(enumerate_histograms(n_agents, n_states) / n_agents, k)


@lru_cache(maxsize=256)
def forget_one(n_agents: int, n_states: int) -> sparse.csr_array:
    """D_j with j = `n_agents`: the chance of each histogram left when one of j agents leaves view, [c, c - e_x]."""
    counts = enumerate_histograms(n_agents, n_states)
    row, state = np.nonzero(counts)
    left = rank_histograms(counts[row] - np.eye(n_states, dtype=np.int64)[state])
    shape = (len(counts), int(left.max()) + 1)
    return sparse.csr_array((counts[row, state] / n_agents, (row, left)), shape=shape)
