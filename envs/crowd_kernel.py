r"""Compiled steps of crowds: how agents that follow one law spread over outcomes, and who of them is seen.

n agents of one cell spread over outcomes 0..J-1, multinomially:

* certain outcomes: at once;
* more than `FEW`, or with tables of blocks `BLOCKWISE`: a binomial for one outcome after another, at a cost independent
  of n;
* where the law has tables of blocks (`block_tables`): some agents per random word, and the rest one after another;
* else 64 at a time, side by side: every agent has a uniform 53-bit integer, of which one random word holds one bit for
  all 64. Read from the highest bit on, each number is compared with all thresholds ceil(2^53 (p_0 + .. + p_j)) at once,
  until no comparison is open: some nine words for 64 agents. The last `EACH` are drawn one after another.

Each cell has a random stream of its own (`kofn.envs.xoshiro`). Loading this module loads numba.
"""

import math

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.binomial import binomial
from kofn.envs.block_tables import Blocks, Sizes
from kofn.envs.compiled import compiled
from kofn.envs.xoshiro import Words, advance, integer_below, next_word, start_stream

_ZERO, _1, _2, _11, _63 = (np.uint64(number) for number in (0, 1, 2, 11, 63))
_LOW_53 = np.uint64(2**53 - 1)
ALL_LANES = np.uint64(0xFFFFFFFFFFFFFFFF)
TWO_53, ONE = 2.0**53, 2**53

Law = tuple[FloatArray, IntArray, Blocks, Sizes]
"""Conditional probabilities [row, outcome], integer thresholds [row, outcome - 1], tables of blocks and their sizes."""

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


@compiled
def _spread_many(state: Words, n: int, conditional: FloatArray, row: int, counts: IntArray, cell: int) -> None:
    """Add to row `cell` of `counts` [cell, outcome] how n agents spread by a row of [row, outcome]: binomials."""
    last = conditional.shape[1] - 1
    for j in range(last):
        drawn = binomial(state, n, conditional[row, j])
        counts[cell, j] += drawn
        n -= drawn
    counts[cell, last] += n


@compiled
def _spread_each(state: Words, n: int, thresholds: IntArray, row: int, counts: IntArray, cell: int) -> None:
    """As `_spread_many`, from integer thresholds [row, outcome - 1]: agent after agent."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for _ in range(n):
        bits, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
        u, outcome = np.int64(bits >> _11), np.int64(0)
        for j in range(thresholds.shape[1]):
            outcome += np.int64(u >= thresholds[row, j])
        counts[cell, np.uint64(outcome)] += 1
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@compiled
def _spread_64(state: Words, n: int, thresholds: IntArray, row: int, masks: Words, counts: IntArray, cell: int) -> None:
    """As `_spread_each`, at most 64 agents side by side: the numbers' bits from the highest on, one of each a word."""
    lanes, undecided, bit, last = ALL_LANES >> np.uint64(64 - n), _ZERO, 53 - DIGITS, thresholds.shape[1]
    for i in range(DIGITS):
        masks[2, i] = next_word(state)
    for j in range(last):
        below, unsure, digits = _ZERO, lanes, np.uint64(thresholds[row, j]) << _11
        for i in range(DIGITS):
            digit, word = _ZERO - (digits >> _63), masks[2, i]
            digits = digits << _1
            below |= unsure & digit & ~word
            unsure &= ~(word ^ digit)
        if thresholds[row, j] >= ONE:
            below, unsure = lanes, _ZERO
        masks[0, j], masks[1, j] = below, unsure
        undecided |= unsure
    while undecided != _ZERO and bit > 0:
        bit -= 1
        word, undecided = next_word(state), _ZERO
        for j in range(last):
            digit = _ZERO - ((np.uint64(thresholds[row, j]) >> np.uint64(bit)) & _1)
            masks[0, j] |= masks[1, j] & digit & ~word
            masks[1, j] &= ~(word ^ digit)
            undecided |= masks[1, j]
    before = np.int64(0)
    for j in range(last):
        ones = _ones(masks[0, j])
        counts[cell, j] += ones - before
        before = ones
    counts[cell, last] += n - before


@compiled
def _spread_few(
    state: Words, n: int, thresholds: IntArray, row: int, masks: Words, counts: IntArray, cell: int
) -> None:
    """As `_spread_each`, for some hundred agents; `masks` [3, max(outcome, DIGITS)] is overwritten."""
    while n > EACH:
        _spread_64(state, min(n, 64), thresholds, row, masks, counts, cell)
        n -= min(n, 64)
    _spread_each(state, n, thresholds, row, counts, cell)


@compiled
def _spread_blocks(state: Words, n: int, law: Law, row: int, counts: IntArray, cell: int) -> None:
    """As `_spread_each`, in blocks of 2^`log_size` agents, and one after another those that do not fill a block."""
    _, thresholds, blocks, (log_size, kept, field_width, at_once) = law
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    shift, width, n_blocks = np.uint64(kept), np.uint64(field_width), n >> log_size
    field = (_1 << width) - _1
    while n_blocks > 0:
        packed = _ZERO
        for _ in range(min(n_blocks, at_once)):
            word, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
            slot = word >> shift
            packed += blocks[row, slot, _1 if word & _LOW_53 < blocks[row, slot, _ZERO] else _2]
        for j in range(counts.shape[1]):
            counts[cell, j] += np.int64(packed & field)
            packed >>= width
        n_blocks -= at_once
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3
    _spread_each(state, n & ((1 << log_size) - 1), thresholds, row, counts, cell)


@compiled
def _certain(conditional: FloatArray, row: int) -> int:
    """The outcome that has probability 1, or -1."""
    for j in range(conditional.shape[1]):
        if conditional[row, j] > 0:
            return j if conditional[row, j] >= 1 else -1
    return -1


@compiled
def _exclude(laws: FloatArray, row: int, conditional: FloatArray) -> None:
    """As `population.conditional_probabilities`, one row of [row, outcome]."""
    tail = 0.0
    for j in range(laws.shape[1] - 1, -1, -1):
        tail += laws[row, j]
        conditional[row, j] = min(laws[row, j] / tail, 1.0) if tail > 0 else 0.0


@compiled
def _cumulate(conditional: FloatArray, row: int, thresholds: IntArray, into: int) -> None:
    """Row `into` of integer thresholds [row, outcome - 1] from a row of conditional probabilities [row, outcome]."""
    left = 1.0
    for j in range(thresholds.shape[1]):
        left *= 1 - conditional[row, j]
        thresholds[into, j] = np.int64(math.ceil((1 - left) * TWO_53))


@compiled
def spread_cells(key: Words, totals: IntArray, conditional: FloatArray, counts: IntArray) -> None:
    """Multinomial `counts` [cell, outcome], zero at first, of `totals` [cell] agents."""
    last = conditional.shape[1] - 1
    state, masks = np.empty(4, dtype=np.uint64), np.empty((3, max(last, DIGITS)), dtype=np.uint64)
    thresholds = np.empty((1, last), dtype=np.int64)
    for cell in range(len(totals)):
        start_stream(key, cell, state)
        if totals[cell] > FEW:
            _spread_many(state, totals[cell], conditional, cell, counts, cell)
        else:
            _cumulate(conditional, cell, thresholds, 0)
            _spread_few(state, totals[cell], thresholds, 0, masks, counts, cell)


@compiled
def prepare_laws(laws: FloatArray, conditional: FloatArray, thresholds: IntArray) -> None:
    """Fill in conditional probabilities and integer thresholds [row, outcome - 1] of laws [row, outcome]."""
    for row in range(len(laws)):
        _exclude(laws, row, conditional)
        _cumulate(conditional, row, thresholds, row)


@compiled
def _spread(state: Words, n: int, law: Law, row: int, masks: Words, counts: IntArray, cell: int) -> None:
    """Add to row `cell` of `counts` [cell, outcome] how n agents spread by row `row` of the law's tables."""
    if n > (BLOCKWISE if len(law[2]) > 0 else FEW):
        _spread_many(state, n, law[0], row, counts, cell)
    elif len(law[2]) > 0:
        _spread_blocks(state, n, law, row, counts, cell)
    else:
        _spread_few(state, n, law[1], row, masks, counts, cell)


@compiled
def step_crowds(
    key: Words,
    part: tuple[int, int],
    counts: IntArray,
    global_states: IntArray,
    choices: Law,
    moves: Law,
    rewards: FloatArray,
    out: tuple[IntArray, IntArray],
) -> FloatArray:
    """Pay and move once; fills in `out` and returns sums of r_l [population].

    Args:
        key: of this step.
        part: the populations to step, (first, first that is left alone); those of the result.
        counts: [population, s_l].
        global_states: those of payments and those of moves, and which law of actions is played, [3, population].
        choices: of laws of actions, rows (law, s_l): conditional probabilities [row, a_l], integer thresholds
            [row, a_l - 1], tables of blocks or none, and their size.
        moves: the same of moves, rows (s_l, s_g, a_l).
        rewards: r_l [s_l, s_g, a_l].
        out: agents by state and action [(population, s_l), a_l] and next counts [population, s_l], zero at first.
    """
    actions, moved = out
    n_states, n_global, n_actions = rewards.shape
    state, masks = np.empty(4, dtype=np.uint64), np.empty((3, max(n_states, n_actions, DIGITS)), dtype=np.uint64)
    totals = np.zeros(part[1] - part[0])
    for b in range(part[0], part[1]):
        paid_at, seen = global_states[0, b], global_states[1, b]
        for x in range(n_states):
            n, cell, law = counts[b, x], b * n_states + x, global_states[2, b] * n_states + x
            if n <= 0:
                continue
            sure = _certain(choices[0], law)
            if sure >= 0:
                actions[cell, sure] = n
            else:
                start_stream(key, cell * (n_actions + 1), state)
                _spread(state, n, choices, law, masks, actions, cell)
            for a in range(n_actions):
                n = actions[cell, a]
                if n > 0:
                    totals[b - part[0]] += n * rewards[x, paid_at, a]
                    start_stream(key, cell * (n_actions + 1) + 1 + a, state)
                    _spread(state, n, moves, (x * n_global + seen) * n_actions + a, masks, moved, b)
    return totals


@compiled
def sample_crowds(key: Words, counts: IntArray, k: int, sampled: IntArray) -> None:
    """Fill in `sampled` [population, s_l], zero at first: k distinct agents, one after another."""
    state = np.empty(4, dtype=np.uint64)
    for b in range(len(counts)):
        start_stream(key, b, state)
        left = counts[b].sum()
        for drawn in range(k):
            position = integer_below(state, left - drawn)
            x = 0
            while position >= counts[b, x] - sampled[b, x]:
                position -= counts[b, x] - sampled[b, x]
                x += 1
            sampled[b, x] += 1
