r"""A stochastic matrix as a product of elementary shears whose common growth is known.

For row and column orders r, c let K[r_i, c_j] = (L U)_{ij}, L unit lower and U upper triangular, found by elimination;
where nothing is left to eliminate (K is singular) the rest of U is zero. With u_j = sum_i |U_{ji}| (signed so that the
diagonal of U/u is not negative), the two factors

    L u  and  U / u      have absolute row sums   g_i = (|L| |U| 1)_i   and   1.

Row a of a triangular factor, e_a -> d e_a + sum_j w_j e_{b_j}, is a chain of shears e_a -> stay e_a + move e_{b_j}.
With R_j = |d| + |w_{j+1}| + .. + |w_q|,

    move_j = w_j / R_{j-1},     stay_j = R_j / R_{j-1},     stay_q = d / R_{q-1},     |stay_j| + |move_j| = 1,

and the first of them is multiplied by R_0 (1 in U/u, g_a in L u). No pivot, however small, is divided by anywhere else,
so singular matrices and permutations are no special cases. Rows follow one another such that nothing moves twice.
Nothing but the g_i > 1 amplifies rounding errors: k-th symmetric powers are as accurate as max_i g_i^k allows. Orders
with a small growth g = max g_i >= 1 are sought by branch and bound where the states' own order, which saves moving rows
about, has not one already: along an elimination, g_i plus the absolute row sum of what is left of row i never falls. g
= 1 means that nothing cancels, as when all of L and U is nonnegative.
"""

from dataclasses import dataclass

import numpy as np

from kofn.agents.compiled import compiled
from kofn.envs.arrays import FloatArray, IntArray

NEGLIGIBLE = 1e-15
"""Entries that elimination leaves up to this size are its rounding errors (those of K are at most 1)."""

ROUNDED = 1e-15
"""Row sums of K this close to 1 are 1 up to rounding."""

ALL_PIVOTS = 6
"""Up to this many states every pivot is tried at every step, beyond it the largest of each row and column."""

SEARCH_FLOPS = 4_000_000
"""Work after which the search for orders is content with the best it has."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shears:
    """Shears in the order in which they are applied to a function, and the orders of states before and after.

    Attributes:
        sources: a, int64 [shear].
        targets: b, int64 [shear].
        stay: float [shear].
        move: float [shear].
        rows: r, int64 [position]: the state of K's rows at every position.
        columns: c, int64 [position]: the state of K's columns.
        growth: g.
    """

    sources: IntArray
    targets: IntArray
    stay: FloatArray
    move: FloatArray
    rows: IntArray
    columns: IntArray
    growth: float

    @property
    def in_order(self) -> bool:
        """Whether both orders are the states' own."""
        natural = np.arange(len(self.rows))
        return bool((self.rows == natural).all() and (self.columns == natural).all())


def factorise(matrix: FloatArray, enough: float) -> Shears:
    """Shears of a row-stochastic `matrix` [s_l, s_l']; orders are sought until the growth is at most `enough`."""
    n_states = len(matrix)
    (rows, columns), rank = _orders(matrix, enough)
    lower, upper = _eliminated(matrix[rows][:, columns], rank)
    masses = np.abs(upper).sum(axis=1)
    signed = np.where(np.diag(upper) < 0, -masses, masses)
    empty = masses == 0
    upper = np.where(empty[:, None], np.eye(n_states), upper / np.where(empty, 1.0, signed)[:, None])
    lower = lower * signed
    shears = [shear for a in range(n_states) for shear in _row(upper, a, 1.0)]
    growths = np.abs(lower).sum(axis=1)
    shears += [shear for a in reversed(range(n_states)) for shear in _row(lower, a, growths[a])]
    return Shears(
        sources=np.array([shear[0] for shear in shears], dtype=np.int64),
        targets=np.array([shear[1] for shear in shears], dtype=np.int64),
        stay=np.array([shear[2] for shear in shears], dtype=np.float64),
        move=np.array([shear[3] for shear in shears], dtype=np.float64),
        rows=rows,
        columns=columns,
        growth=float(growths.max()),
    )


def _orders(matrix: FloatArray, enough: float) -> tuple[IntArray, int]:
    """Orders of rows and columns, int64 [2, position], and the number of pivots: the states' own if that will do."""
    n_states = len(matrix)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a pivot may be 0
        lower, upper = _eliminated(matrix, n_states)
        growth = (np.abs(lower) @ np.abs(upper)).sum(axis=1).max()
    if growth <= enough:
        return np.stack([np.arange(n_states)] * 2), n_states
    width = n_states**2 if n_states <= ALL_PIVOTS else 2 * n_states
    budget = max(n_states, SEARCH_FLOPS // (width * n_states**2))
    orders: tuple[IntArray, int] = search_orders(np.array(matrix), n_states <= ALL_PIVOTS, budget, enough)
    return orders


def _eliminated(matrix: FloatArray, rank: int) -> tuple[FloatArray, FloatArray]:
    """(L, U) of a matrix in the orders found, square; rows of U from `rank` on are zero."""
    lower, rest = np.eye(len(matrix)), np.array(matrix)
    upper = np.zeros_like(rest)
    for j in range(rank):
        upper[j, j:] = rest[j, j:]
        lower[j + 1 :, j] = rest[j + 1 :, j] / rest[j, j]
        rest[j + 1 :] -= np.outer(lower[j + 1 :, j], upper[j])
    return lower, upper


def _row(factor: FloatArray, a: int, total: float) -> list[tuple[int, int, float, float]]:
    """The shears (a, b, stay, move) of one row of a triangular factor, in order of application to a function."""
    targets = [int(b) for b in np.flatnonzero(factor[a]) if b != a]
    if targets and targets[0] == 0 and (len(factor) - a) % 2 == 0:
        targets = [*targets[1:], 0]  # so that shears that leave c_0 alone follow one another
    if not targets:
        other = 1 if a == 0 else 0
        return [] if len(factor) == 1 or abs(factor[a, a] - 1) <= ROUNDED else [(a, other, float(factor[a, a]), 0.0)]
    weights = factor[a, targets]
    left = np.abs(factor[a, a]) + np.append(np.cumsum(np.abs(weights)[::-1])[::-1], 0.0)
    move = weights / left[:-1]
    stay = left[1:] / left[:-1]
    stay[-1] = factor[a, a] / left[-2]
    move[0] *= total
    stay[0] *= total
    chain = zip(targets, stay.tolist(), move.tolist(), strict=True)
    return [(a, b, remains, moves) for b, remains, moves in chain][::-1]


@compiled
def search_orders(matrix: FloatArray, all_pivots: bool, budget: int, enough: float) -> tuple[IntArray, int]:
    """Orders of rows and columns, int64 [2, position], with a small growth, and the number of pivots.

    Args:
        matrix: K, float [s_l, s_l'].
        all_pivots: whether to try every pivot at every step, rather than the largest of each row and column.
        budget: steps after which to stop.
        enough: growth at which to stop.
    """
    n = len(matrix)
    rests, growths = np.zeros((n + 1, n, n)), np.zeros((n + 1, n))
    for row in range(n):
        for column in range(n):
            rests[0, row, column] = matrix[row, column]
    pivots = np.zeros((n + 1, n * n, 3))
    tried, found = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    orders, best_orders = np.zeros((2, n), np.int64), np.zeros((2, n), np.int64)
    best, rank, level = np.inf, 0, 0
    found[level] = _rank_pivots(rests, growths, level, pivots, all_pivots)
    while level >= 0 and best > enough and (budget >= 0 or best == np.inf):
        if tried[level] == found[level]:
            level -= 1
            continue
        place = tried[level]
        tried[level] += 1
        if pivots[level, place, 0] >= best:
            continue
        budget -= 1
        orders[0, level], orders[1, level] = int(pivots[level, place, 1]), int(pivots[level, place, 2])
        bound = _eliminate(rests, growths, level, orders[0, level], orders[1, level])
        level += 1
        tried[level], found[level] = 0, 0
        if level < n:
            found[level] = _rank_pivots(rests, growths, level, pivots, all_pivots)
        if found[level] == 0:  # nothing is left
            best, rank = bound, level
            _copy_completed(orders, rank, best_orders)
            level -= 1
    return best_orders, rank


@compiled
def _rank_pivots(rests: FloatArray, growths: FloatArray, level: int, pivots: FloatArray, all_pivots: bool) -> int:
    """Fill pivots[level] with (growth at least, row, column), the most promising first; their number."""
    n, found = len(growths[level]), 0
    keys = np.zeros(n * n)
    of_rows, of_columns = np.zeros(n), np.zeros(n)
    for row in range(n):
        for column in range(n):
            size = abs(rests[level, row, column])
            of_rows[row], of_columns[column] = max(of_rows[row], size), max(of_columns[column], size)
    for row in range(n):
        for column in range(n):
            size = abs(rests[level, row, column])
            if size <= NEGLIGIBLE or not (all_pivots or size == of_rows[row] or size == of_columns[column]):
                continue
            bound = _eliminate(rests, growths, level, row, column)
            key = bound - 1e-6 * size  # of equals the largest pivot first
            place = found
            while place > 0 and keys[place - 1] > key:
                keys[place] = keys[place - 1]
                for entry in range(3):
                    pivots[level, place, entry] = pivots[level, place - 1, entry]
                place -= 1
            keys[place] = key
            pivots[level, place, 0], pivots[level, place, 1], pivots[level, place, 2] = bound, row, column
            found += 1
    return found


@compiled
def _eliminate(rests: FloatArray, growths: FloatArray, level: int, row: int, column: int) -> float:
    """Eliminate by one pivot, from `level` to the next; the least growth that can still come out."""
    n, mass, bound = len(growths[level]), 0.0, 0.0
    for j in range(n):
        mass += abs(rests[level, row, j])
    for i in range(n):
        factor = rests[level, i, column] / rests[level, row, column]
        total = growths[level, i] + abs(factor) * mass
        growths[level + 1, i] = total
        for j in range(n):
            left = rests[level, i, j] - factor * rests[level, row, j]
            if i == row or j == column:
                left = 0.0
            rests[level + 1, i, j] = left
            total += abs(left)
        bound = max(bound, total)
    return bound


@compiled
def _copy_completed(orders: IntArray, rank: int, completed: IntArray) -> None:
    """Copy the first `rank` entries of both orders, and append the states that they leave out."""
    n = orders.shape[1]
    for side in range(2):
        place = rank
        for state in range(n):
            used = False
            for position in range(rank):
                completed[side, position] = orders[side, position]
                used = used or orders[side, position] == state
            if not used:
                completed[side, place] = state
                place += 1
