r"""Histograms of k agents over a finite state space: their number, their order, and their ranks in it.

The histogram of k agents is the count vector c in N^S with sum c = k; there are C(k+S-1, S-1) of them. They are
ordered lexicographically, ascending: `enumerate_histograms(k, S)[0] == (0, .., 0, k)`. Ranks follow from

    #{c' < c} = sum_i [ C(r_i + m_i, m_i) - C(r_i - c_i + m_i, m_i) ],   m_i = S-1-i,  r_i = k - c_0 - .. - c_{i-1},

so that ranking needs no table of histograms.
"""

import reprlib
from collections.abc import Callable
from functools import lru_cache, partial
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import MAX_INTEGER, IntArray, as_array, first_index, integer, magnitude

_COUNTABLE = 10_000
"""Factors of a binomial coefficient that are still multiplied within milliseconds."""

_LOOKED_UP = 2**10
"""Agents up to which binomial coefficients are looked up rather than multiplied."""

MAX_POLICY_ENTRIES = 2**28
"""Numbers that a policy's table may hold (2 GiB)."""


def columns_that_fit(k: int, n_states: int, n_others: int) -> int:
    """Histograms of k agents; ValueError where `n_others` tables of them would not fit into memory."""
    entries = n_others * n_histograms(k, n_states)
    if entries > MAX_POLICY_ENTRIES:
        raise ValueError(
            f"a policy that sees k={k} agents over {n_states} states needs a table of {magnitude(entries)} entries, "
            f"more than {MAX_POLICY_ENTRIES}; use a smaller k, or a policy without a table (LinearGlobalPolicy)"
        )
    return n_histograms(k, n_states)


def n_histograms(k: int, n_states: int) -> int:
    """|mu_k| = C(k + n_states - 1, n_states - 1), the number of histograms of k agents.

    Raises:
        ValueError: the number has tens of thousands of digits: k agents over as many states are beyond any table.
    """
    k = integer("k", k, 0)
    n_states = integer("n_states", n_states, 1)
    if min(k, n_states - 1) > _COUNTABLE:
        raise ValueError(
            f"histograms of {k} agents over {n_states} states are too many to count; lower k or the number of states"
        )
    return comb(k + n_states - 1, n_states - 1)


def table_size(k: int, n_states: int) -> int:
    """`n_histograms` where a table has an entry for each.

    Raises:
        ValueError: more than 2^31 histograms (use samples instead of a table).
    """
    total = n_histograms(k, n_states)
    if total > 2**31:
        size = f"histograms of {k} agents over {n_states} states are over 2^31"
        raise ValueError(f"{size}, too many for a table; lower k")
    return total


def enumerate_histograms(k: int, n_states: int) -> IntArray:
    """All histograms of k agents in rank order, int64 [n_histograms, n_states]; refuses what `table_size` refuses."""
    total = table_size(k, n_states)
    counts, left = np.zeros((total, n_states), dtype=np.int64), np.array([k])
    for i in range(n_states - 1):  # every beginning goes on with 0 .. `left` agents in state i
        n_more = left + 1
        ends = n_more.cumsum()
        here = np.arange(ends[-1]) - np.repeat(ends - n_more, n_more)
        left = np.repeat(left, n_more) - here
        # A beginning that leaves l agents has C(l + S-2-i, S-2-i) completions.
        counts[:, i] = np.repeat(here, _choose(left, n_states - 2 - i))
    counts[:, -1] = left
    return counts


def rank_histograms(histograms: npt.ArrayLike) -> IntArray:
    """Ranks of count vectors [..., n_states], int64 [...]; every vector may have a total of its own.

    Raises:
        ValueError: a negative count, or a rank beyond int64.
    """
    given = np.asarray(histograms)
    if given.ndim == 0 or not np.issubdtype(given.dtype, np.integer):
        raise TypeError(f"histograms must be integer counts [..., n_states]; got {given.dtype} {list(given.shape)}")
    counts = given.astype(np.int64, copy=False)
    n_states = counts.shape[-1]
    # Read without signs, negative counts are the largest: one pass finds them and sums that could overflow.
    if counts.size and int(counts.view(np.uint64).max()) * n_states > MAX_INTEGER:
        _check_counts(given)
    remaining = counts.sum(axis=-1)
    most = int(remaining.max(initial=0))
    _check_rankable(most, n_states)
    if remaining.size == 1:  # as chains and single views step: Python's own integers are many times faster
        return np.full(remaining.shape, _rank_of_one(counts.ravel().tolist()), dtype=np.int64)
    ranks = np.zeros(counts.shape[:-1], dtype=np.int64)
    for i in range(n_states - 1):
        choose = _chooser(most, n_states - 1 - i)
        after = remaining - counts[..., i]
        ranks += choose(remaining) - choose(after)
        remaining = after
    return ranks


def rank_terms(k: int, n_states: int) -> IntArray:
    """C(r + S-1-x, S-x), int64 [x, r] for r <= k, S states; row 0 is zero. Ranks by tails are made of them."""
    terms = [[comb(r + n_states - 1 - x, n_states - x) for r in range(k + 1)] for x in range(1, n_states)]
    return np.array([[0] * (k + 1), *terms], dtype=np.int64)


def _check_counts(counts: npt.NDArray[Any]) -> None:
    """Raise ValueError for negative counts, or totals beyond 64-bit integers."""
    negative = counts < 0
    if negative.any():
        index = first_index(negative)
        raise ValueError(f"histograms must be nonnegative; entry {list(index)} is {counts[index]}")
    totals = np.atleast_1d(counts.astype(object).sum(axis=-1))
    too_large = (totals > MAX_INTEGER).astype(bool)
    if too_large.any():
        index = first_index(too_large)
        raise ValueError(f"histograms must have totals below 2^63 to be ranked; row {list(index)} has {totals[index]}")


def _chooser(most: int, m: int) -> Callable[[IntArray], IntArray]:
    """C(r + m, m) as a function of r <= most."""
    return _choices(most, m).__getitem__ if most <= _LOOKED_UP else partial(_choose, m=m)


@lru_cache(maxsize=256)
def _choices(most: int, m: int) -> IntArray:
    """C(r + m, m), int64 [r], r <= most."""
    return _choose(np.arange(most + 1), m)


def _rank_of_one(counts: list[int]) -> int:
    """Rank of one count vector."""
    rank, remaining = 0, sum(counts)
    for m, count in zip(range(len(counts) - 1, 0, -1), counts[:-1], strict=True):
        rank += comb(remaining + m, m) - comb(remaining - count + m, m)
        remaining -= count
    return rank


def unrank_histograms(ranks: npt.ArrayLike, k: int, n_states: int) -> IntArray:
    """Histograms of k agents with the given ranks [...], int64 [..., n_states]; inverse of `rank_histograms`.

    Raises:
        TypeError: ranks that are no integers.
        ValueError: a rank outside [0, n_histograms(k, n_states)).
    """
    total = n_histograms(k, n_states)
    remaining_rank = _checked_ranks(as_array("ranks", ranks), total)
    _check_rankable(k, n_states)
    counts = np.empty((*remaining_rank.shape, n_states), dtype=np.int64)
    remaining = np.full(remaining_rank.shape, k, dtype=np.int64)
    for i in range(n_states - 1):
        m = n_states - 1 - i
        block_end = _choose(remaining, m)
        after = _smallest_remainder(block_end - remaining_rank, m, remaining)
        counts[..., i] = remaining - after
        remaining_rank -= block_end - _choose(after, m)
        remaining = after
    counts[..., n_states - 1] = remaining
    return counts


def _checked_ranks(ranks: npt.NDArray[Any], total: int) -> IntArray:
    """Ranks as a new int64 array, after checking that they are integers in [0, total)."""
    unfit = ranks.dtype.kind not in "iuO" or not all(isinstance(x, int) for x in ranks.flat if ranks.dtype.kind == "O")
    if unfit and ranks.size:  # lists of nothing are floats to numpy
        raise TypeError(f"ranks must be integers; got {ranks.dtype}: {reprlib.repr(ranks.tolist())}")
    outside = np.atleast_1d(((ranks < 0) | (ranks >= total)).astype(bool))
    if outside.any():
        index = first_index(outside)
        value = int(np.atleast_1d(ranks)[index])
        raise ValueError(f"ranks must lie in [0, {total}); entry {list(index)} is {magnitude(value)}")
    return np.array(ranks, dtype=np.int64)


@lru_cache(maxsize=256)
def _check_rankable(k: int, n_states: int) -> None:
    """Ranks and the products inside `_choose` must fit into 64-bit integers."""
    if n_histograms(k, n_states) * n_states > np.iinfo(np.int64).max:
        raise ValueError(f"histograms of {k} agents over {n_states} states are too many to rank with 64-bit integers")


def _choose(r: IntArray, m: int) -> IntArray:
    """C(r + m, m), elementwise; every partial product is itself a binomial coefficient, so divisions are exact."""
    result = np.ones_like(r)
    for i in range(1, m + 1):
        result = result * (r + i) // i
    return result


def _smallest_remainder(target: IntArray, m: int, high: IntArray) -> IntArray:
    """Smallest r in [0, high] with C(r + m, m) >= target, by bisection."""
    low = np.zeros_like(high)
    high = high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        reached = _choose(middle, m) >= target
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle + 1)
    return low
