r"""Shears applied to functions of histograms, in place.

When every agent in state a moves to b with weight `move` and remains with weight `stay`, independently, a function V of
histograms of k agents becomes, along each line of histograms that differ in c_a = i and c_b = L - i only,

    V'(i) = sum_{m <= i} B[i, m] V(m),      B[i, m] = C(i, m) stay^m move^(i-m),

and its adjoint is sum_{i >= m} B[i, m] d(i). B is the same for all lines. Histograms are in rank order, a row of LANES
columns each, so that one pass serves LANES functions and the inner loop runs over memory in order. With tail sums
r_x = c_x + c_{x+1} + .., the rank of a histogram is

    rank(c) = C(k+S-1, S-1) - 1 - sum_{x=1}^{S-1} C(r_x + S-1-x, S-x),

and along a line r_x changes with i between the two states only: no index of lines is kept.

Shears in a row that leave c_0 alone, and among them those that leave c_1 alone as well, run through one value of it
after the other, so that what they work on stays in the cache.
"""

from math import comb

import numpy as np

from kofn.agents.compiled import compiled_for_threads
from kofn.envs.arrays import FloatArray, IntArray

LANES = 8
"""Columns that are carried at once; compiled code is written out for them."""

FLUSHED = 1e-280
"""Weights below this count as 0: denormal numbers are slow."""


def rank_terms(k: int, n_states: int) -> IntArray:
    """C(r + S-1-x, S-x), int64 [x, r] for r <= k; row 0 is zero."""
    terms = [[comb(r + n_states - 1 - x, n_states - x) for r in range(k + 1)] for x in range(1, n_states)]
    return np.array([[0] * (k + 1), *terms], dtype=np.int64)


@compiled_for_threads
def binomial_weights(stay: FloatArray, move: FloatArray, k: int) -> FloatArray:
    """B of every shear, float [shear, i, m]."""
    weights = np.zeros((len(stay), k + 1, k + 1))
    for shear in range(len(stay)):
        weights[shear, 0, 0] = 1.0
        for i in range(1, k + 1):
            for m in range(i + 1):
                arrived = move[shear] * weights[shear, i - 1, m]
                remained = stay[shear] * weights[shear, i - 1, m - 1] if m > 0 else 0.0
                total = arrived + remained
                weights[shear, i, m] = total if abs(total) > FLUSHED else 0.0
    return weights


@compiled_for_threads
def permuted(columns: FloatArray, first: int, source: IntArray, terms: IntArray, values: FloatArray) -> None:
    """values[c, lane] = columns[c', first + lane] with c'_x = c_{source[x]}, and 1 in lanes without a column."""
    lanes = min(LANES, columns.shape[1] - first)
    counts = _first_histogram(len(source), terms.shape[1] - 1)
    for row in range(len(values)):
        rank = _moved_rank(counts, source, terms)
        for lane in range(lanes):
            values[row, lane] = columns[rank, first + lane]
        for lane in range(lanes, LANES):
            values[row, lane] = 1.0
        _advance(counts, 0)


@compiled_for_threads
def put_permuted(values: FloatArray, first: int, source: IntArray, terms: IntArray, columns: FloatArray) -> None:
    """columns[c, first + lane] = values[c', lane], as in `permuted`."""
    lanes = min(LANES, columns.shape[1] - first)
    counts = _first_histogram(len(source), terms.shape[1] - 1)
    for row in range(len(values)):
        rank = _moved_rank(counts, source, terms)
        for lane in range(lanes):
            columns[row, first + lane] = values[rank, lane]
        _advance(counts, 0)


@compiled_for_threads
def apply_shears(values: FloatArray, terms: IntArray, pairs: IntArray, weights: FloatArray, adjoint: bool) -> None:
    """Apply shears (a, b), int64 [shear, 2], with weights B [shear, i, m] to values [histogram, LANES]; or adjoints.

    Adjoints expect the transposed weights [shear, m, i], and their order reversed.
    """
    n_shears, k = len(pairs), terms.shape[1] - 1
    ranks, counts = np.empty(k + 1, np.int64), np.empty(len(terms), np.int64)
    rest = np.zeros(len(terms) - 1, np.int64)
    scratch = (terms, rest, counts, ranks)
    shear = 0
    while shear < n_shears:
        if _touches(pairs, shear, 0):
            _run(values, scratch, pairs[shear], weights[shear], adjoint, 0)
            shear += 1
            continue
        end = shear
        while end < n_shears and not _touches(pairs, end, 0):
            end += 1
        for first in range(k):
            inner = shear
            while inner < end:
                if _touches(pairs, inner, 1):
                    rest[0] = first
                    _run(values, scratch, pairs[inner], weights[inner], adjoint, 1)
                    inner += 1
                    continue
                inner_end = inner
                while inner_end < end and not _touches(pairs, inner_end, 1):
                    inner_end += 1
                for second in range(k - first):
                    for each in range(inner, inner_end):
                        rest[0], rest[1] = first, second
                        _run(values, scratch, pairs[each], weights[each], adjoint, 2)
                inner = inner_end
        shear = end


@compiled_for_threads
def _touches(pairs: IntArray, shear: int, state: int) -> bool:
    return bool(pairs[shear, 0] == state or pairs[shear, 1] == state)


@compiled_for_threads
def _run(
    values: FloatArray,
    scratch: tuple[IntArray, IntArray, IntArray, IntArray],
    pair: IntArray,
    weights: FloatArray,
    adjoint: bool,
    fixed: int,
) -> None:
    """One shear, on the lines whose first `fixed` counts are those of `rest`."""
    terms, rest, counts, ranks = scratch
    a, b, last = pair[0], pair[1], len(rest) - 1
    left = terms.shape[1] - 2
    for place in range(fixed):
        left -= rest[place]
    for place in range(fixed, last):
        rest[place] = 0
    rest[last] = left
    while True:
        length = rest[last] + 1
        _place(rest, a, b, length, counts)
        _line_ranks(counts, a, b, length, terms, ranks)
        if adjoint:
            _combine_from(weights, length, ranks, values)
        else:
            _combine_up_to(weights, length, ranks, values)
        if not _advance(rest, fixed):
            break


@compiled_for_threads
def _combine_up_to(weights: FloatArray, length: int, ranks: IntArray, values: FloatArray) -> None:
    """V'(i) = sum_{m <= i} B[i, m] V(m), the last i first, in place (nothing moves from 0)."""
    for i in range(length, 0, -1):
        v0 = v1 = v2 = v3 = v4 = v5 = v6 = v7 = 0.0
        for m in range(i + 1):
            weight, row = weights[i, m], ranks[m]
            v0 += weight * values[row, 0]
            v1 += weight * values[row, 1]
            v2 += weight * values[row, 2]
            v3 += weight * values[row, 3]
            v4 += weight * values[row, 4]
            v5 += weight * values[row, 5]
            v6 += weight * values[row, 6]
            v7 += weight * values[row, 7]
        row = ranks[i]
        values[row, 0], values[row, 1], values[row, 2], values[row, 3] = v0, v1, v2, v3
        values[row, 4], values[row, 5], values[row, 6], values[row, 7] = v4, v5, v6, v7


@compiled_for_threads
def _combine_from(weights: FloatArray, length: int, ranks: IntArray, values: FloatArray) -> None:
    """d'(m) = sum_{i >= m} B[i, m] d(i), the first m first, in place."""
    for m in range(length + 1):
        v0 = v1 = v2 = v3 = v4 = v5 = v6 = v7 = 0.0
        for i in range(m, length + 1):
            weight, row = weights[m, i], ranks[i]
            v0 += weight * values[row, 0]
            v1 += weight * values[row, 1]
            v2 += weight * values[row, 2]
            v3 += weight * values[row, 3]
            v4 += weight * values[row, 4]
            v5 += weight * values[row, 5]
            v6 += weight * values[row, 6]
            v7 += weight * values[row, 7]
        row = ranks[m]
        values[row, 0], values[row, 1], values[row, 2], values[row, 3] = v0, v1, v2, v3
        values[row, 4], values[row, 5], values[row, 6], values[row, 7] = v4, v5, v6, v7


@compiled_for_threads
def _place(rest: IntArray, a: int, b: int, length: int, counts: IntArray) -> None:
    """The line's histogram with all its agents in the later of a and b, the others as `rest` says."""
    place = 0
    for x in range(len(counts)):
        if x in (a, b):
            counts[x] = 0
        else:
            counts[x] = rest[place]
            place += 1
    counts[max(a, b)] = length


@compiled_for_threads
def _line_ranks(counts: IntArray, a: int, b: int, length: int, terms: IntArray, ranks: IntArray) -> None:
    """Ranks of the line's histograms, by c_a = 0 .. length."""
    low, high = min(a, b), max(a, b)
    base, tail, tail_high = _last_rank(terms), 0, 0
    for x in range(len(counts) - 1, 0, -1):
        tail += counts[x]
        if x > high or x <= low:
            base -= terms[x, tail]
        elif x == high:
            tail_high = tail
    for i in range(length + 1):
        rank, tail = base, tail_high - i
        for x in range(high, low, -1):
            rank -= terms[x, tail]
            tail += counts[x - 1]
        ranks[i if a < b else length - i] = rank


@compiled_for_threads
def _moved_rank(counts: IntArray, source: IntArray, terms: IntArray) -> int:
    """Rank of the histogram c' with c'_x = counts[source[x]]."""
    rank, tail = _last_rank(terms), 0
    for x in range(len(counts) - 1, 0, -1):
        tail += counts[source[x]]
        rank -= terms[x, tail]
    return rank


@compiled_for_threads
def _last_rank(terms: IntArray) -> int:
    """Rank of the histogram with all agents in state 0."""
    total = 0
    for x in range(len(terms)):
        total += terms[x, terms.shape[1] - 1]
    return total


@compiled_for_threads
def _first_histogram(n_states: int, k: int) -> IntArray:
    counts = np.zeros(n_states, np.int64)
    counts[n_states - 1] = k
    return counts


@compiled_for_threads
def _advance(counts: IntArray, fixed: int) -> bool:
    """The next histogram in rank order with the same first `fixed` counts; False after the last one."""
    last = len(counts) - 1
    place = last
    while place > fixed and counts[place] == 0:
        place -= 1
    if place <= fixed:
        return False
    moved = counts[place]
    counts[place] = 0
    counts[place - 1] += 1
    counts[last] = moved - 1
    return True
