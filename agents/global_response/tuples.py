r"""The standard parameterisation: a table over tuples of k agents' states instead of their histogram.

Its states are (s_g, x_1, .., x_k) in S_g x S_l^k, flattened with x_k running fastest. Every agent moves by P~ on its
own, so that the expectation is k contractions, one per axis,

    E[W(s_g', x') | s_g, x] = sum_{y_1} P~(y_1 | x_1, s_g) .. sum_{y_k} P~(y_k | x_k, s_g) W(s_g', y_1, .., y_k),

a Kronecker product that is never formed. Agents are exchangeable: the values of a tuple are those of its histogram,
Q(s_g, x, a_g) = Q^(s_g, F_x, a_g), in the exact operator by symmetry. With sampled next states permutations of a tuple
must share their samples, or Q would depend on the order of the agents; so samples belong to the sorted tuple, of
which there is one per histogram.

The papers keep tuples while |S_l|^k <= k^|S_l| and histograms beyond. There are C(k + |S_l| - 1, k) <= |S_l|^k
histograms, so they are never the larger table.
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.population import count_states

DRAWS_AT_ONCE = 2**20
"""Agents moved in one go when tuples are sampled: bounds the working memory."""


def tuples_preferred(k: int, n_states: int) -> bool:
    """The papers' rule for the parameterisation: tuples while |S_l|^k <= k^|S_l|."""
    return bool(n_states**k <= k**n_states)


@dataclass(frozen=True, eq=False)
class TupleKernel:
    """Law of the next tuple of k agents; `kernel @ columns` takes the expectation of every column.

    Args:
        transition: P~ under one global state, float [s_l, s_l'].
        k: number of agents.
    """

    transition: FloatArray
    k: int

    def __matmul__(self, columns: FloatArray) -> FloatArray:
        """Expectations [tuple, column] of `columns` [tuple', column]."""
        n_states, n_columns = len(self.transition), columns.shape[1]
        moved = columns
        # Each pass contracts the leading axis and puts its successor last; after k of them only `column` is in front.
        for _ in range(self.k):
            moved = moved.reshape(n_states, -1).T @ self.transition.T
        return moved.reshape(n_columns, -1).T


def tuple_histograms(k: int, n_states: int) -> IntArray:
    """Rank of every tuple's histogram, int64 [tuple]."""
    counts = np.zeros((1, n_states), dtype=np.int64)
    for _ in range(k):
        counts = (counts[:, None, :] + np.eye(n_states, dtype=np.int64)).reshape(-1, n_states)
    return rank_histograms(counts)


def sorted_tuples(k: int, n_states: int) -> IntArray:
    """The sorted tuple of every histogram, int64 [histogram, agent]."""
    histograms = enumerate_histograms(k, n_states)
    states = np.broadcast_to(np.arange(n_states), histograms.shape)
    return np.repeat(states.ravel(), histograms.ravel()).reshape(len(histograms), k)


def sorted_positions(k: int, n_states: int) -> IntArray:
    """Where the sorted tuple of every histogram stands among all tuples, int64 [histogram]."""
    return sorted_tuples(k, n_states) @ n_states ** np.arange(k - 1, -1, -1)


def expand(table: FloatArray, k: int, n_states: int) -> FloatArray:
    """The table over tuples, [s_g, tuple, ...], of one over their histograms, [s_g, histogram, ...]."""
    return table[:, tuple_histograms(k, n_states)]


def sampled_tuple_successors(transition: FloatArray, k: int, n_samples: int, rng: np.random.Generator) -> IntArray:
    """Draws of the next tuple of every sorted tuple, sorted again, int64 [sorted tuple, sample].

    A sorted tuple is named by the rank of its histogram. Agents are drawn one by one, k draws per sample.
    """
    n_states = len(transition)
    tuples = sorted_tuples(k, n_states)
    thresholds = cumulative_thresholds(transition)[tuples]
    successors = np.empty((n_samples, len(tuples)), dtype=np.int64)
    block = max(1, DRAWS_AT_ONCE // tuples.size)
    for first in range(0, n_samples, block):
        part = successors[first : first + block]
        landed = sample_rows(rng.random((len(part), *tuples.shape)), thresholds)
        part[...] = rank_histograms(count_states(landed.reshape(-1, k), n_states)).reshape(part.shape)
    return np.ascontiguousarray(successors.T)
