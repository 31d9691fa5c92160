r"""Compiled multinomial counts: how agents that follow one law spread over outcomes 0..J-1.

* With tables of blocks (`block_tables`) and up to `BLOCKWISE` agents: a block per random word.
* More than `FEW` agents: a binomial for one outcome after another, at a cost independent of their number.
* Else 64 at a time, side by side: every agent has a uniform 53-bit integer, of which one random word holds one bit for
  all 64. Read from the highest bit on, each number is compared with all thresholds ceil(2^53 (p_0 + .. + p_j)) at once,
  until no comparison is open: some nine words for 64 agents. The last `EACH` are drawn one after another.

Arrays are passed one by one: taking them out of tuples, or rows out of them, would count references in every call, and
cost more than most draws. Loading this module loads numba.
"""

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.binomial import careful_binomial, quick_binomial
from kofn.envs.block_tables import ALIAS_BITS, CUT_BITS, HEADER
from kofn.envs.compiled import compiled, compiled_in_place, compiled_inner
from kofn.envs.xoshiro import Words, advance, next_word

_0, _1, _2, _6, _11, _63 = (np.uint64(number) for number in (0, 1, 2, 6, 11, 63))
_LOW_53, _ALIAS, _PLACES = np.uint64(2**CUT_BITS - 1), np.uint64(ALIAS_BITS), np.uint64(2**ALIAS_BITS - 1)
ALL_LANES = np.uint64(0xFFFFFFFFFFFFFFFF)
TWO_53, ONE = 2.0**53, np.uint64(2**53)

Law = tuple[FloatArray, Words, Words]
"""Conditional probabilities [row, outcome]; integer thresholds and then slots of blocks, if there are any, [row, ..];
and the ways that slots stand for (`block_tables`)."""

FEW, EACH = 128, 32
"""Up to so many agents of one cell are drawn one by one, and the last so many one after another."""

BLOCKWISE = 512
"""Up to so many agents are drawn block by block where the law has tables for it."""

DIGITS = 12
"""Bits of numbers drawn before looking whether they decide."""


@compiled
def _ones(word: np.uint64) -> np.int64:
    """Number of ones among the bits."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled_inner
def spread_many(state: Words, n: int, conditional: FloatArray, row: int, counts: IntArray, cell: int) -> None:
    """Add to row `cell` of `counts` [cell, outcome] how n agents spread by a row of [row, outcome]: binomials."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    last = conditional.shape[1] - 1
    for j in range(last):
        p = conditional[row, j]
        if p <= 0:
            continue
        normal_word, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
        height_word, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
        drawn = quick_binomial(normal_word, height_word, n, p)
        if drawn < 0:
            state[0], state[1], state[2], state[3] = s0, s1, s2, s3
            drawn = careful_binomial(state, normal_word, height_word, n, p)
            s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
        counts[cell, j] += drawn
        n -= drawn
    counts[cell, last] += n


@compiled_inner
def _spread_each(state: Words, n: int, table: Words, row: int, counts: IntArray, cell: int) -> None:
    """As `spread_many`, from integer thresholds [row, outcome - 1]: agent after agent."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for _ in range(n):
        bits, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
        u, outcome = bits >> _11, _0
        for j in range(counts.shape[1] - 1):
            outcome += np.uint64(u >= table[row, j])
        counts[cell, outcome] += 1
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@compiled_inner
def _spread_64(state: Words, n: int, table: Words, row: int, counts: IntArray, cell: int) -> None:
    """As `_spread_each`, at most 64 agents side by side: the numbers' bits from the highest on, one of each a word."""
    lanes, undecided, bit, last = ALL_LANES >> np.uint64(64 - n), _0, 53 - DIGITS, counts.shape[1] - 1
    decided, words = 4 + max(last, DIGITS), 4 + 2 * max(last, DIGITS)
    for i in range(DIGITS):
        state[words + i] = next_word(state)
    for j in range(last):
        below, unsure, digits = _0, lanes, table[row, j] << _11
        for i in range(DIGITS):
            digit, word = _0 - (digits >> _63), state[words + i]
            digits = digits << _1
            below |= unsure & digit & ~word
            unsure &= ~(word ^ digit)
        if table[row, j] >= ONE:
            below, unsure = lanes, _0
        state[4 + j], state[decided + j] = below, unsure
        undecided |= unsure
    while undecided != _0 and bit > 0:
        bit -= 1
        word, undecided = next_word(state), _0
        for j in range(last):
            digit = _0 - ((table[row, j] >> np.uint64(bit)) & _1)
            state[4 + j] |= state[decided + j] & digit & ~word
            state[decided + j] &= ~(word ^ digit)
            undecided |= state[decided + j]
    before = np.int64(0)
    for j in range(last):
        ones = _ones(state[4 + j])
        counts[cell, j] += ones - before
        before = ones
    counts[cell, last] += n - before


@compiled_inner
def spread_few(state: Words, n: int, table: Words, row: int, counts: IntArray, cell: int) -> None:
    """As `_spread_each`, for some hundred agents."""
    while n > EACH:
        _spread_64(state, min(n, 64), table, row, counts, cell)
        n -= min(n, 64)
    _spread_each(state, n, table, row, counts, cell)


@compiled_inner
def _block(word: np.uint64, table: Words, ways: Words, row: int, before: np.uint64, r: np.uint64) -> np.uint64:
    """Packed counts of r agents that follow a row's law, from one random word; slots lie behind `before` others."""
    place = (ways[r] >> _6) + (word >> (ways[r] & _63))
    slot = table[row, before + place]
    way: np.uint64 = ways[ways[_0] + (place if word & _LOW_53 < slot >> _ALIAS else slot & _PLACES)]
    return way


@compiled_in_place
def _spread_blocks(state: Words, n: int, table: Words, ways: Words, row: int, counts: IntArray, cell: int) -> None:
    """As `spread_many`, in blocks of m agents and one block of those that are left."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    before, left = np.uint64(counts.shape[1] - 1), np.uint64(n)
    size, width, at_once = _1 << ways[_1], ways[_2], ways[3]
    field = (_1 << width) - _1
    while left > _0:
        n_blocks, packed = min(left >> ways[_1], at_once), _0
        for _ in range(n_blocks):
            word, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
            packed += _block(word, table, ways, row, before, HEADER + size)
        left -= n_blocks * size
        if _0 < left < size:
            word, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
            packed += _block(word, table, ways, row, before, HEADER + left)
            left = _0
        for j in range(counts.shape[1]):
            counts[cell, j] += np.int64(packed & field)
            packed >>= width


@compiled_in_place
def spread(
    state: Words, n: int, conditional: FloatArray, table: Words, ways: Words, row: int, counts: IntArray, cell: int
) -> None:
    """Add to row `cell` of `counts` [cell, outcome] how n agents spread by row `row` of a `Law`."""
    if n <= BLOCKWISE and len(ways) > 0:
        _spread_blocks(state, n, table, ways, row, counts, cell)
    elif n > FEW:
        spread_many(state, n, conditional, row, counts, cell)
    else:
        spread_few(state, n, table, row, counts, cell)
