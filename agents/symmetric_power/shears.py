r"""Shears applied to functions of histograms, in place.

When every agent in state a moves to b with weight `move` and remains with weight `stay`, independently, a function V of
histograms of k agents becomes, along each line of histograms that differ in c_a = i and c_b = L - i only (`lines`),

    V'(i) = sum_{m <= i} B[i, m] V(m),      B[i, m] = C(i, m) stay^m move^(i-m),

and its adjoint is sum_{i >= m} B[i, m] d(i). B is the same for all lines. A histogram has a row of LANES columns, one
line of the processor's cache, so that one pass serves LANES functions. The sum is written in the compiler's own
language (`_emit_sums`), because numba does not find that a row can be kept in vector registers.

Shears in a row that leave c_0 alone, and among them those that leave c_1 alone as well, run through one value of it
after the other, so that what they work on stays in the cache.
"""

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from kofn.agents.compiled import compiled_for_threads
from kofn.agents.symmetric_power.lines import Numbers
from kofn.envs.arrays import FloatArray, IntArray

LANES = 8
"""Columns that are carried at once."""

FLUSHED = 1e-280
"""Weights below this count as 0: denormal numbers are slow."""

_ROW = ir.VectorType(ir.DoubleType(), LANES)
_INT32, _INT64 = ir.IntType(32), ir.IntType(64)


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
def spread_columns(columns: FloatArray, first: int, rows: FloatArray) -> tuple[FloatArray, float]:
    """rows[row, lane] = columns[row, first + lane], and 1 in lanes without a column.

    Returns the lanes' sums, and the largest of their sums of absolute values.
    """
    lanes = min(LANES, columns.shape[1] - first)
    sums, sizes = np.zeros(LANES), np.zeros(LANES)
    for row in range(len(rows)):
        for lane in range(lanes):
            entry = columns[row, first + lane]
            rows[row, lane] = entry
            sums[lane] += entry
            sizes[lane] += abs(entry)
        for lane in range(lanes, LANES):
            rows[row, lane] = 1.0
    return sums, sizes.max()


@compiled_for_threads
def take_rows(rows: FloatArray, source: Numbers, values: FloatArray) -> None:
    """values[row] = rows[source[row]]."""
    for row in range(len(values)):
        for lane in range(LANES):
            values[row, lane] = rows[source[row], lane]


@compiled_for_threads
def put_rows(values: FloatArray, first: int, source: Numbers, columns: FloatArray) -> tuple[FloatArray, float]:
    """columns[row, first + lane] = values[source[row], lane].

    Returns the lanes' sums, and how far from 1 lanes without a column are at most.
    """
    lanes, farthest = min(LANES, columns.shape[1] - first), 0.0
    sums = np.zeros(LANES)
    for row in range(len(values)):
        for lane in range(lanes):
            entry = values[source[row], lane]
            columns[row, first + lane] = entry
            sums[lane] += entry
        if lanes < LANES:
            distance = abs(values[row, LANES - 1] - 1)
            farthest = farthest if distance <= farthest or np.isnan(farthest) else distance
    return sums, farthest


def _sums_of(n_rows: int) -> Any:
    """The compiled function values[at(i)] = sum_{m = first}^{end - 1} weights[i, m] values[at(m)], i = row, row + 1, ..

    at(m) = ranks[place + step m]; `n_rows` of them at once. Arguments: values, float [histogram, LANES]; ranks, int32
    [histogram]; place, step; weights, float [i, m]; row, first, end.
    """

    @intrinsic
    def put_sums(
        _: Any, values: Any, ranks: Any, place: Any, step: Any, weights: Any, row: Any, first: Any, end: Any
    ) -> Any:
        place, step, row, first, end = (types.int64 for _ in (place, step, row, first, end))
        return types.void(values, ranks, place, step, weights, row, first, end), partial(_emit_sums, n_rows)

    return put_sums


def _emit_sums(n_rows: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The instructions of `_sums_of`; rows share the terms that they load."""
    values, ranks, weights = (context.make_array(signature.args[j])(context, builder, arguments[j]) for j in (0, 1, 4))
    place, step, row, first, end = (arguments[j] for j in (2, 3, 5, 6, 7))
    rows = [builder.add(row, ir.Constant(_INT64, j)) for j in range(n_rows)]
    width = builder.extract_value(weights.shape, 1)
    weights_of = [builder.gep(weights.data, [builder.mul(each, width)]) for each in rows]

    def address(m: Any) -> Any:
        rank = builder.load(builder.gep(ranks.data, [builder.add(place, builder.mul(step, m))]))
        entry = builder.mul(builder.sext(rank, _INT64), ir.Constant(_INT64, LANES))
        return builder.bitcast(builder.gep(values.data, [entry]), _ROW.as_pointer())

    variable: Any = cgutils.alloca_once_value  # numba has annotated some of its functions
    totals = [variable(builder, ir.Constant(_ROW, None)) for _ in rows]
    with cgutils.for_range_slice(builder, first, end, ir.Constant(_INT64, 1)) as (m, _):
        term = builder.load(address(m), align=8)
        for total, of_row in zip(totals, weights_of, strict=True):
            weight = _everywhere(builder, builder.load(builder.gep(of_row, [m])))
            product = builder.fmul(weight, term, flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for total, each in zip(totals, rows, strict=True):
        builder.store(builder.load(total), address(each), align=8)
    return context.get_dummy_value()


_put_sum, _put_two_sums = _sums_of(1), _sums_of(2)


def _everywhere(builder: Any, number: Any) -> Any:
    """A row of LANES times the same number."""
    row = builder.insert_element(ir.Constant(_ROW, ir.Undefined), number, ir.Constant(_INT32, 0))
    first = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
    return builder.shuffle_vector(row, ir.Constant(_ROW, ir.Undefined), first)


@compiled_for_threads
def apply_shears(
    values: FloatArray,
    lines: tuple[Numbers, Numbers, IntArray],
    pairs: IntArray,
    weights: FloatArray,
    adjoint: bool,
) -> None:
    """Apply shears (a, b), int64 [shear, 2], with weights B [shear, i, m] to values [histogram, LANES]; or adjoints.

    Adjoints expect the transposed weights [shear, m, i], and their order reversed. `lines` are the arrays of `Lines`.
    """
    given, n_shears = lines[2], len(pairs)
    k, cursors = given.shape[1] - 1, np.zeros((n_shears, 2), np.int64)
    shear = 0
    while shear < n_shears:
        if _touches(pairs, shear, 0):
            _run(values, lines, pairs, weights, shear, cursors, given[0, k], adjoint)
            shear += 1
            continue
        end = shear
        while end < n_shears and not _touches(pairs, end, 0):
            end += 1
        for first in range(k + 1):
            inner = shear
            while inner < end:
                if _touches(pairs, inner, 1):
                    _run(values, lines, pairs, weights, inner, cursors, given[1, k - first], adjoint)
                    inner += 1
                    continue
                inner_end = inner
                while inner_end < end and not _touches(pairs, inner_end, 1):
                    inner_end += 1
                for second in range(k + 1 - first):
                    for each in range(inner, inner_end):
                        _run(values, lines, pairs, weights, each, cursors, given[2, k - first - second], adjoint)
                inner = inner_end
        shear = end


@compiled_for_threads
def _touches(pairs: IntArray, shear: int, state: int) -> bool:
    return bool(pairs[shear, 0] == state or pairs[shear, 1] == state)


@compiled_for_threads
def _run(
    values: FloatArray,
    lines: tuple[Numbers, Numbers, IntArray],
    pairs: IntArray,
    weights: FloatArray,
    shear: int,
    cursors: IntArray,
    n_lines: int,
    adjoint: bool,
) -> None:
    """One shear on its next `n_lines` lines; `cursors` [shear, 2] says where they begin, and is moved on."""
    low, high = min(pairs[shear, 0], pairs[shear, 1]), max(pairs[shear, 0], pairs[shear, 1])
    n_pairs = len(lines[0])
    n_states = 2
    while n_states * (n_states - 1) // 2 < n_pairs:
        n_states += 1
    pair = low * (2 * n_states - low - 1) // 2 + high - low - 1
    ranks, lengths, table = lines[0][pair], lines[1][pair], weights[shear]
    line, place = cursors[shear, 0], cursors[shear, 1]
    for each in range(line, line + n_lines):
        length = lengths[each]
        begin, step = (place, 1) if pairs[shear, 0] == low else (place + length, -1)
        if adjoint:  # weights left of the diagonal are zero
            for m in range(0, length, 2):
                _put_two_sums(values, ranks, begin, step, table, m, m, length + 1)
            if length % 2 == 0:
                _put_sum(values, ranks, begin, step, table, length, length, length + 1)
        else:  # right of the diagonal; row 0 stays what it is
            for i in range(length - 1, -1, -2):
                _put_two_sums(values, ranks, begin, step, table, i, 0, i + 2)
        place += length + 1
    cursors[shear, 0], cursors[shear, 1] = line + n_lines, place
