r"""Tables to draw where a block of agents of one law goes at once.

r agents that follow a law over J outcomes spread in C(r+J-1, J-1) ways, of multinomial chances. Walker's alias method
draws one of them from a single random word: its leading bits name a slot, its trailing 53 bits u say whether the slot's
own way is taken (u < cut) or its alias. There are tables for blocks of m agents, and for the r = 1 .. m-1 that are left
over: n agents take ceil(n/m) words. Ways are packed, one count per field of a word, so that the counts of many blocks
are added at once. A way of probability zero is never drawn: its cut is 0, and it is nobody's alias.

A law's slots of all r lie behind one another, a word each: the cut above, the alias' place in the lowest `ALIAS_BITS`.
Which ways places stand for is the same for all laws. So the tables of a law over 5 outcomes take 13 KB, and those of
all laws that one step follows stay in the processor's cache.

Loading this module loads numba.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.compiled import compiled
from kofn.envs.histograms import enumerate_histograms, n_histograms

Words = npt.NDArray[np.uint64]

Sizes = tuple[int, int, int]
"""log2 m, bits of a field, and blocks whose sum with what is left over fits into the fields."""

HEADER = np.uint64(3)
"""The ways of laws over J outcomes, uint64 [..]: where they begin, the `Sizes`, for r = 1 .. m the first place of the
table in the leading 58 bits and 64 - log2(its slots) in the others, and then packed ways by place."""

LOG_BLOCK_SIZES = (4, 3, 2)
"""log2 m, the first with at most `MAX_WAYS` ways."""

MAX_WAYS = 512
ALIAS_BITS, CUT_BITS = 11, 53


def block_sizes(n_outcomes: int) -> Sizes:
    """Sizes of the tables of laws over so many outcomes; m = 1 where there are too many outcomes for any."""
    for log_size in LOG_BLOCK_SIZES:
        if 1 < n_histograms(1 << log_size, n_outcomes) <= MAX_WAYS:
            width = 64 // n_outcomes
            return log_size, width, ((1 << width) - 1) >> log_size
    return 0, 64, 1


@lru_cache(maxsize=64)
def _ways(n_outcomes: int) -> tuple[IntArray, FloatArray, IntArray]:
    """Ways by place [place, outcome], their numbers of orders (0: no way), and where the table of every r ends [r]."""
    factorials = np.array([math.factorial(r) for r in range(20)], dtype=np.float64)
    tables = [np.zeros((0, n_outcomes), dtype=np.int64)]
    for r in range(1, (1 << block_sizes(n_outcomes)[0]) + 1):
        ways = enumerate_histograms(r, n_outcomes)
        n_slots = 1 << (len(ways) - 1).bit_length()
        tables.append(np.concatenate([ways, np.zeros((n_slots - len(ways), n_outcomes), dtype=np.int64)]))
    ends, table = np.cumsum([len(ways) for ways in tables]), np.concatenate(tables)
    orders = factorials[table.sum(axis=1)] / factorials[table].prod(axis=1)
    return table, np.where(table.any(axis=1), orders, 0.0), ends


def ways_of(n_outcomes: int) -> Words:
    """Where blocks of agents may go, see `HEADER`; empty where there are no tables."""
    sizes = block_sizes(n_outcomes)
    if sizes[0] == 0:
        return np.empty(0, dtype=np.uint64)
    ways, _, ends = _ways(n_outcomes)
    packs = (ways.astype(np.uint64) << (np.arange(n_outcomes) * sizes[1]).astype(np.uint64)).sum(
        axis=1, dtype=np.uint64
    )
    firsts, bits = ends[:-1].astype(np.uint64), np.log2(np.diff(ends)).astype(np.uint64)
    header = [len(sizes) + len(ends), *sizes]
    return np.concatenate([np.array(header, dtype=np.uint64), firsts << np.uint64(6) | np.uint64(64) - bits, packs])


def blocks_of(laws: FloatArray) -> Words:
    """Slots of laws [row, outcome], uint64 [row, place]."""
    n_outcomes = laws.shape[1]
    if block_sizes(n_outcomes)[0] == 0:
        return np.empty((len(laws), 0), dtype=np.uint64)
    ways, orders, ends = _ways(n_outcomes)
    slots = np.empty((len(laws), len(ways)), dtype=np.uint64)
    scratch = np.empty((3, int(np.diff(ends).max())), dtype=np.int64)
    _fill(np.ascontiguousarray(laws, dtype=np.float64), ways, orders, ends, scratch, slots)
    return slots


@compiled
def _fill(
    laws: FloatArray, ways: IntArray, orders: FloatArray, ends: IntArray, scratch: IntArray, slots: Words
) -> None:
    """Fill in `slots` [row, place] of laws [row, outcome]; `scratch` int64 [3, most slots of a table]."""
    n_outcomes = laws.shape[1]
    chances, powers = np.empty(len(ways)), np.empty((n_outcomes, len(ends)))
    for row in range(len(laws)):
        for j in range(n_outcomes):
            powers[j, 0] = 1.0
            for r in range(1, len(ends)):
                powers[j, r] = powers[j, r - 1] * laws[row, j]
        for place in range(len(ways)):
            chances[place] = orders[place]
            for j in range(n_outcomes):
                chances[place] *= powers[j, ways[place, j]]
        for r in range(1, len(ends)):
            _alias(chances, ends[r - 1], ends[r], scratch, slots, row)


@compiled
def _alias(chances: FloatArray, first: int, end: int, scratch: IntArray, slots: Words, row: int) -> None:
    """Fill in one table of a row, places `first` to `end`, from its ways' chances, which are overwritten."""
    total, likeliest, n_small, n_large = 0.0, first, 0, 0
    for place in range(first, end):
        total += chances[place]
        likeliest = place if chances[place] > chances[likeliest] else likeliest
    for place in range(first, end):
        chances[place] *= (end - first) / total
        scratch[2, place - first] = likeliest  # where rounding leaves no other
        if chances[place] < 1:
            scratch[0, n_small] = place
            n_small += 1
        else:
            scratch[1, n_large] = place
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        taker, giver = scratch[0, n_small], scratch[1, n_large - 1]
        scratch[2, taker - first] = giver
        chances[giver] -= 1 - chances[taker]
        if chances[giver] < 1:
            n_large -= 1
            scratch[0, n_small] = giver
            n_small += 1
    for left in range(n_large):  # whole slots
        scratch[2, scratch[1, left] - first] = scratch[1, left]
    for place in range(first, end):
        cut = np.int64(min(max(chances[place], 0.0) * 2.0**CUT_BITS, 2.0**CUT_BITS - 1))
        slots[row, place] = np.uint64(cut << ALIAS_BITS | scratch[2, place - first])
