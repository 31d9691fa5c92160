r"""Shears applied to functions of histograms, in place.

When every agent in state a moves to b with weight `move` and remains with weight `stay`, independently, a function V of
histograms of k agents becomes, along each line of histograms that differ in c_a = i and c_b = L - i only,

    V'(i) = sum_{m <= i} B[i, m] V(m),      B[i, m] = C(i, m) stay^m move^(i-m),

and its adjoint is sum_{i >= m} B[i, m] d(i). B is the same for all lines. Histograms are in rank order, a row of LANES
columns each, so that one pass serves LANES functions and the inner loop runs over memory in order. With tail sums
r_x = c_x + c_{x+1} + .., the rank of a histogram is

    rank(c) = C(k+S-1, S-1) - 1 - sum_{x=1}^{S-1} C(r_x + S-1-x, S-x),

and along a line r_x changes with i between the two states only: no index of lines is kept.
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
        _advance(counts)


@compiled_for_threads
def put_permuted(values: FloatArray, first: int, source: IntArray, terms: IntArray, columns: FloatArray) -> None:
    """columns[c, first + lane] = values[c', lane], as in `permuted`."""
    lanes = min(LANES, columns.shape[1] - first)
    counts = _first_histogram(len(source), terms.shape[1] - 1)
    for row in range(len(values)):
        rank = _moved_rank(counts, source, terms)
        for lane in range(lanes):
            columns[row, first + lane] = values[rank, lane]
        _advance(counts)


@compiled_for_threads
def apply_shears(values: FloatArray, terms: IntArray, pairs: IntArray, weights: FloatArray, adjoint: bool) -> None:
    """Apply shears (a, b), int64 [shear, 2], with weights B [shear, i, m] to values [histogram, LANES]; or adjoints.

    Adjoints expect the transposed weights [shear, m, i], and their order reversed.
    """
    n_states, k = len(terms), terms.shape[1] - 1
    line = np.empty((k + 1, LANES))
    ranks = np.empty(k + 1, np.int64)
    counts = np.empty(n_states, np.int64)
    for shear in range(len(pairs)):
        a, b = pairs[shear]
        rest = _first_histogram(n_states - 1, k - 1)
        while True:
            length = rest[n_states - 2] + 1
            _place(rest, a, b, length, counts)
            _line_ranks(counts, a, b, length, terms, ranks)
            for i in range(length + 1):
                for lane in range(LANES):
                    line[i, lane] = values[ranks[i], lane]
            if adjoint:
                _combine_from(line, weights[shear], length, ranks, values)
            else:
                _combine_up_to(line, weights[shear], length, ranks, values)
            if not _advance(rest):
                break


@compiled_for_threads
def _combine_up_to(line: FloatArray, weights: FloatArray, length: int, ranks: IntArray, values: FloatArray) -> None:
    """values[ranks[i]] = sum_{m <= i} weights[i, m] line[m] for i > 0 (nothing moves from 0)."""
    for i in range(1, length + 1):
        v0 = v1 = v2 = v3 = v4 = v5 = v6 = v7 = 0.0
        for m in range(i + 1):
            weight = weights[i, m]
            v0 += weight * line[m, 0]
            v1 += weight * line[m, 1]
            v2 += weight * line[m, 2]
            v3 += weight * line[m, 3]
            v4 += weight * line[m, 4]
            v5 += weight * line[m, 5]
            v6 += weight * line[m, 6]
            v7 += weight * line[m, 7]
        row = values[ranks[i]]
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = v0, v1, v2, v3, v4, v5, v6, v7


@compiled_for_threads
def _combine_from(line: FloatArray, weights: FloatArray, length: int, ranks: IntArray, values: FloatArray) -> None:
    """values[ranks[m]] = sum_{i >= m} weights[m, i] line[i]."""
    for m in range(length + 1):
        v0 = v1 = v2 = v3 = v4 = v5 = v6 = v7 = 0.0
        for i in range(m, length + 1):
            weight = weights[m, i]
            v0 += weight * line[i, 0]
            v1 += weight * line[i, 1]
            v2 += weight * line[i, 2]
            v3 += weight * line[i, 3]
            v4 += weight * line[i, 4]
            v5 += weight * line[i, 5]
            v6 += weight * line[i, 6]
            v7 += weight * line[i, 7]
        row = values[ranks[m]]
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = v0, v1, v2, v3, v4, v5, v6, v7


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
    low, high, tail = min(a, b), max(a, b), 0
    last = _last_rank(terms)
    for i in range(length + 1):
        ranks[i] = last
    for x in range(len(counts) - 1, 0, -1):
        tail += counts[x]
        if low < x <= high:
            for i in range(length + 1):
                ranks[i if a < b else length - i] -= terms[x, tail - i]
        else:
            for i in range(length + 1):
                ranks[i] -= terms[x, tail]


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
def _advance(counts: IntArray) -> bool:
    """The next histogram in rank order; False after the last one, which stays."""
    last = len(counts) - 1
    place = last
    while place > 0 and counts[place] == 0:
        place -= 1
    if place == 0:
        return False
    moved = counts[place]
    counts[place] = 0
    counts[place - 1] += 1
    counts[last] = moved - 1
    return True
