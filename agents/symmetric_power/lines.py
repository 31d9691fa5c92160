r"""Lines of histograms that differ in two counts only, listed for every pair of states.

For states a < b the histograms of k agents fall into lines, one for each way to fill the other states with k - L
agents, on which c_a = 0 .. L and c_b = L - c_a. With tail sums r_x = c_x + c_{x+1} + .., the rank of a histogram is

    rank(c) = C(k+S-1, S-1) - 1 - sum_{x=1}^{S-1} C(r_x + S-1-x, S-x),

and along a line r_x falls with c_a, by as much, for a < x <= b only. Lines are in the order of their first histogram,
c_a = 0: those with the same c_0 follow one another if a > 0, and among them those with the same c_1 if a > 1. For given
first d counts, none of them c_a or c_b, with a sum of k - l there are C(l + S-2-d, S-2-d) lines.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import IntArray
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_terms

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lines:
    """Lines of all pairs of states a < b, pairs in the order (0, 1), (0, 2), .., (1, 2), ...

    Attributes:
        ranks: histograms line after line, each by c_a = 0 .. L, int32 [pair, histogram].
        lengths: L, int32 [pair, line].
        given: number of lines with given first d counts that leave l agents, int64 [d, l], d = 0, 1, 2.
    """

    ranks: Numbers
    lengths: Numbers
    given: IntArray


@lru_cache(maxsize=4)
def lines_of(k: int, n_states: int) -> Lines:
    """The lines of histograms of k agents over some states."""
    counts = enumerate_histograms(k, n_states)
    tails = _tails(counts)
    terms = rank_terms(k, n_states)
    pairs = list(combinations(range(n_states), 2))
    ranks = np.empty((len(pairs), len(counts)), dtype=np.int32)
    lengths = np.empty((len(pairs), n_histograms(k, max(n_states - 1, 1))), dtype=np.int32)
    for pair, (a, b) in enumerate(pairs):
        ranks[pair], lengths[pair] = _lines(counts, tails, terms, a, b)
    free = [max(n_states - 2 - d, 0) for d in range(3)]
    given = [[comb(left + n, n) for left in range(k + 1)] for n in free]
    return Lines(ranks=ranks, lengths=lengths, given=np.array(given, dtype=np.int64))


@lru_cache(maxsize=8)
def relabelled(k: int, source: tuple[int, ...]) -> Numbers:
    """Ranks of the histograms c'_x = c_{source[x]} for all histograms c of k agents, int32 [histogram]."""
    n_states = len(source)
    tails = _tails(enumerate_histograms(k, n_states)[:, source])
    terms = rank_terms(k, n_states)
    ranks = np.full(len(tails), terms[:, k].sum())
    for x in range(1, n_states):
        ranks -= terms[x, tails[:, x]]
    return ranks.astype(np.int32)


def _tails(counts: IntArray) -> IntArray:
    """r_x, int64 [histogram, x]."""
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1]


def _lines(counts: IntArray, tails: IntArray, terms: IntArray, a: int, b: int) -> tuple[IntArray, IntArray]:
    """Ranks [histogram] and lengths [line] of one pair."""
    heads = np.flatnonzero(counts[:, a] == 0)
    lengths = counts[heads, b]
    ends = (lengths + 1).cumsum()
    at = np.arange(len(counts)) - np.repeat(ends - lengths - 1, lengths + 1)  # c_a
    ranks = np.repeat(heads, lengths + 1)
    for x in range(a + 1, b + 1):
        tail = np.repeat(tails[heads, x], lengths + 1)
        ranks += terms[x, tail] - terms[x, tail - at]
    return ranks, lengths
