r"""What the global agent sees of a histogram c of n agents: k of them, drawn without replacement by default.

    O(F | c) = prod_x C(c_x, F_x) / C(n, k)        (multivariate hypergeometric)

Seeing k of n is seeing n-1 of n, then n-2 of n-1, ..: one agent at a time leaves view, x with probability c_x/j,

    (D_j f)(c) = sum_x (c_x/j) f(c - e_x)          maps functions of j-1 agents to functions of j agents,

so that E[f(F) | c] = D_n .. D_{k+1} f. Each D_j is sparse, |S_l| entries per row, and so is its transpose, which
carries weights over the histograms of n agents to weights over those of k.

The multinomial channel O(F | c) = Multinomial(k, c/n) draws with replacement. It lets n agents stand for a crowd of
many more, of which k may be any number: seen without replacement, k = n of them would give the crowd away.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.special import gammaln, xlogy

from kofn.envs.arrays import FloatArray
from kofn.envs.population import enumerate_histograms, rank_histograms

Channel = Literal["without_replacement", "multinomial"]

BLOCK_ENTRIES = 2**22
"""Entries of the multinomial channel formed at once, bounding memory."""


def lift(
    seen: FloatArray, k: int, n_agents: int, n_states: int, channel: Channel = "without_replacement"
) -> FloatArray:
    """E[seen(F) | c] for every histogram c of n agents, float [c, ...], from `seen` [F, ...] of k agents.

    Without replacement k <= n.
    """
    values = seen.reshape(len(seen), -1)
    if channel == "multinomial":
        lifted = [law @ values for law in _multinomial_blocks(k, n_agents, n_states)]
        return np.concatenate(lifted).reshape(-1, *seen.shape[1:])
    for j in range(k + 1, n_agents + 1):
        values = forget_one(j, n_states) @ values
    return np.asarray(values).reshape(-1, *seen.shape[1:])


def project(
    weights: FloatArray, k: int, n_agents: int, n_states: int, channel: Channel = "without_replacement"
) -> FloatArray:
    """sum_c weights(c) O(F | c), float [F, ...], from `weights` [c, ...] of n agents: the adjoint of `lift`."""
    values = weights.reshape(len(weights), -1)
    if channel == "multinomial":
        return _project_multinomial(values, k, n_agents, n_states).reshape(-1, *weights.shape[1:])
    for j in range(n_agents, k, -1):
        values = forget_one(j, n_states).T @ values
    return np.asarray(values).reshape(-1, *weights.shape[1:])


def _project_multinomial(values: FloatArray, k: int, n_agents: int, n_states: int) -> FloatArray:
    """`project` through the multinomial channel, columns [c, column]."""
    total: FloatArray | None = None
    first = 0
    for law in _multinomial_blocks(k, n_agents, n_states):
        part = law.T @ values[first : first + len(law)]
        total = part if total is None else total + part
        first += len(law)
    assert total is not None  # there is at least one histogram
    return total


def _multinomial_blocks(k: int, n_agents: int, n_states: int) -> Iterator[FloatArray]:
    """Rows of O(F | c) = Multinomial(k, c/n), a block of c at a time, float [c, F]."""
    seen = enumerate_histograms(k, n_states)
    shares = enumerate_histograms(n_agents, n_states) / n_agents
    ways = gammaln(k + 1) - gammaln(seen + 1).sum(axis=1)
    # States that no agent is in must not be seen: a logarithm far below that of the least positive chance.
    logs = np.where(shares > 0, xlogy(1.0, np.where(shares > 0, shares, 1.0)), -1e6)
    block = max(1, BLOCK_ENTRIES // len(seen))
    for first in range(0, len(shares), block):
        yield np.exp(logs[first : first + block] @ seen.T + ways)


@lru_cache(maxsize=256)
def forget_one(n_agents: int, n_states: int) -> sparse.csr_array:
    """D_j with j = `n_agents`: the chance of each histogram left when one of j agents leaves view, [c, c - e_x]."""
    counts = enumerate_histograms(n_agents, n_states)
    row, state = np.nonzero(counts)
    left = rank_histograms(counts[row] - np.eye(n_states, dtype=np.int64)[state])
    shape = (len(counts), int(left.max()) + 1)
    return sparse.csr_array((counts[row, state] / n_agents, (row, left)), shape=shape)
