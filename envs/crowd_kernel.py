r"""Compiled steps of crowds: how agents that follow one law spread over outcomes, and who of them is seen.

n agents of one cell spread over outcomes 0..J-1, multinomially:

* more than `FEW`: a binomial for one outcome after another, at a cost independent of n;
* else 64 at a time, side by side: every agent has a uniform 53-bit integer, of which one random word holds one bit for
  all 64. Read from the highest bit on, each number is compared with all thresholds ceil(2^53 (p_0 + .. + p_j)) at once,
  until no comparison is open: some nine words for 64 agents. The last `EACH` are drawn one after another.

Each cell has a random stream of its own (`kofn.envs.xoshiro`). Loading this module loads numba.
"""

import math

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.binomial import binomial
from kofn.envs.compiled import compiled
from kofn.envs.xoshiro import Words, advance, integer_below, next_word, start_stream

_ZERO, _1, _11, _63 = (np.uint64(number) for number in (0, 1, 11, 63))
ALL_LANES = np.uint64(0xFFFFFFFFFFFFFFFF)
TWO_53, ONE = 2.0**53, 2**53

FEW, EACH = 128, 32
"""Up to so many agents of one cell are drawn one by one, and the last so many one after another."""

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
def _spread_many(state: Words, n: int, conditional: FloatArray, counts: IntArray) -> None:
    """Add to `counts` [outcome] how n agents spread by conditional probabilities [outcome]: binomials."""
    last = len(conditional) - 1
    for j in range(last):
        drawn = binomial(state, n, conditional[j])
        counts[j] += drawn
        n -= drawn
    counts[last] += n


@compiled
def _spread_each(state: Words, n: int, thresholds: IntArray, counts: IntArray) -> None:
    """As `_spread_many`, from integer thresholds [outcome - 1]: agent after agent."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for _ in range(n):
        bits, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
        u, outcome = np.int64(bits >> _11), np.int64(0)
        for j in range(len(thresholds)):
            outcome += np.int64(u >= thresholds[j])
        counts[np.uint64(outcome)] += 1
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@compiled
def _spread_64(state: Words, n: int, thresholds: IntArray, masks: Words, counts: IntArray) -> None:
    """As `_spread_each`, at most 64 agents side by side: the numbers' bits from the highest on, one of each a word."""
    lanes, undecided, bit = ALL_LANES >> np.uint64(64 - n), _ZERO, 53 - DIGITS
    for i in range(DIGITS):
        masks[2, i] = next_word(state)
    for j in range(len(thresholds)):
        below, unsure, digits = _ZERO, lanes, np.uint64(thresholds[j]) << _11
        for i in range(DIGITS):
            digit, word = _ZERO - (digits >> _63), masks[2, i]
            digits = digits << _1
            below |= unsure & digit & ~word
            unsure &= ~(word ^ digit)
        if thresholds[j] >= ONE:
            below, unsure = lanes, _ZERO
        masks[0, j], masks[1, j] = below, unsure
        undecided |= unsure
    while undecided != _ZERO and bit > 0:
        bit -= 1
        word, undecided = next_word(state), _ZERO
        for j in range(len(thresholds)):
            digit = _ZERO - ((np.uint64(thresholds[j]) >> np.uint64(bit)) & _1)
            masks[0, j] |= masks[1, j] & digit & ~word
            masks[1, j] &= ~(word ^ digit)
            undecided |= masks[1, j]
    before = np.int64(0)
    for j in range(len(thresholds)):
        ones = _ones(masks[0, j])
        counts[j] += ones - before
        before = ones
    counts[len(thresholds)] += n - before


@compiled
def _spread_few(state: Words, n: int, thresholds: IntArray, masks: Words, counts: IntArray) -> None:
    """As `_spread_each`, for some hundred agents; `masks` [3, max(outcome, DIGITS)] is overwritten."""
    while n > EACH:
        _spread_64(state, min(n, 64), thresholds, masks, counts)
        n -= min(n, 64)
    _spread_each(state, n, thresholds, counts)


@compiled
def _exclude(law: FloatArray, conditional: FloatArray) -> None:
    """As `population.conditional_probabilities`, one law [outcome]."""
    tail = 0.0
    for j in range(len(law) - 1, -1, -1):
        tail += law[j]
        conditional[j] = min(law[j] / tail, 1.0) if tail > 0 else 0.0


@compiled
def _cumulate(conditional: FloatArray, thresholds: IntArray) -> None:
    """Integer thresholds [outcome - 1] of conditional probabilities [outcome]."""
    left = 1.0
    for j in range(len(thresholds)):
        left *= 1 - conditional[j]
        thresholds[j] = np.int64(math.ceil((1 - left) * TWO_53))


@compiled
def spread_cells(key: Words, totals: IntArray, conditional: FloatArray, counts: IntArray) -> None:
    """Multinomial `counts` [cell, outcome], zero at first, of `totals` [cell] agents."""
    last = conditional.shape[1] - 1
    state, masks = np.empty(4, dtype=np.uint64), np.empty((3, max(last, DIGITS)), dtype=np.uint64)
    thresholds = np.empty(last, dtype=np.int64)
    for cell in range(len(totals)):
        start_stream(key, cell, state)
        if totals[cell] > FEW:
            _spread_many(state, totals[cell], conditional[cell], counts[cell])
        else:
            _cumulate(conditional[cell], thresholds)
            _spread_few(state, totals[cell], thresholds, masks, counts[cell])


@compiled
def step_crowds(
    key: Words,
    part: tuple[int, int],
    counts: IntArray,
    global_states: IntArray,
    choices: FloatArray,
    tables: tuple[FloatArray, IntArray, FloatArray],
    actions: IntArray,
    moved: IntArray,
) -> FloatArray:
    """Pay and move once; fills in `actions` and `moved`, which are zero at first, and returns sums of r_l [population].

    Args:
        key: of this step.
        part: the populations to step, (first, first that is left alone); those of the result.
        counts: [population, s_l].
        global_states: those of payments and those of moves, [2, population].
        choices: laws of actions, [population, s_l, a_l].
        tables: conditional probabilities of moves [s_l, s_g, a_l, s_l'], integer thresholds [s_l, s_g, a_l, s_l' - 1],
            and r_l [s_l, s_g, a_l].
        actions: out, agents by state and action [population, s_l, a_l].
        moved: out, next counts [population, s_l].
    """
    n_states, n_actions = actions.shape[1:]
    state, masks = np.empty(4, dtype=np.uint64), np.empty((3, max(n_states, n_actions, DIGITS)), dtype=np.uint64)
    law, limits = np.empty(n_actions), np.empty(n_actions - 1, dtype=np.int64)
    conditional, thresholds, rewards = tables
    totals = np.zeros(part[1] - part[0])
    for b in range(part[0], part[1]):
        paid_at, seen = global_states[0, b], global_states[1, b]
        for x in range(n_states):
            n, stream = counts[b, x], (b * n_states + x) * (n_actions + 1)
            if n <= 0:
                continue
            start_stream(key, stream, state)
            _exclude(choices[b, x], law)
            if n > FEW:
                _spread_many(state, n, law, actions[b, x])
            else:
                _cumulate(law, limits)
                _spread_few(state, n, limits, masks, actions[b, x])
            for a in range(n_actions):
                n = actions[b, x, a]
                if n <= 0:
                    continue
                totals[b - part[0]] += n * rewards[x, paid_at, a]
                start_stream(key, stream + 1 + a, state)
                if n > FEW:
                    _spread_many(state, n, conditional[x, seen, a], moved[b])
                else:
                    _spread_few(state, n, thresholds[x, seen, a], masks, moved[b])
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
