r"""K^{(x)k}, the law of the next histogram of k agents that move independently by K, as an operator.

    (K^{(x)k} V)(c) = E[V(c')],      c' = sum_x Multinomial(c_x, K_x),

applied by shears (`factorisation`, `shears`): about S^2 of them, each |Hist_k| (k/S + 1) products per column, where the
dense kernel takes |Hist_k|^2. Rounding errors are at most

    bound = eps (number of shears + S) k g^k          (g the growth of the factorisation)

times max |V|, and in general far smaller. So where the bound does not do, a probe decides: the products

    V_t(c) = prod_x t_x^{c_x}      have the image      (K^{(x)k} V_t)(c) = prod_x (K t)_x^{c_x},

which is known at every histogram without any kernel. With t_x = +-exp(-u/k), 0 <= u < 1, such V are of order 1 and
change sign from one histogram to the next. Where the probe fails too, `symmetric_power` refuses. Every application
warns if the image of the function 1 is another, which lanes to spare carry along. Where none is, the first application
of an operator sends it alone: shears do the same to it every time. Adjoints watch the sums of weights.
"""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kofn.agents.symmetric_power.factorisation import Shears, factorise
from kofn.agents.symmetric_power.lines import Numbers, lines_of, relabelled
from kofn.agents.symmetric_power.shears import (
    LANES,
    apply_shears,
    binomial_weights,
    put_rows,
    spread_columns,
    take_rows,
)
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import enumerate_histograms, n_histograms, table_size

TOLERANCE = 1e-11
"""Error, relative to max |V|, up to which an operator is trusted."""

ENOUGH = 1e-12
"""A bound on the error below which no better orders of elimination are sought."""

RUNTIME_TOLERANCE = 1e-9
"""Relative error of a sum known beforehand above which an application warns."""

TINY = np.finfo(np.float64).tiny

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it modulo 1 fill the unit interval evenly."""

ALIGNMENT = 64
"""A row of LANES numbers in one line of the cache."""


class UnstablePowerError(FloatingPointError):
    """No order of elimination gives an accurate product of shears."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SymmetricPower:
    """K^{(x)k}: `power @ columns` are expectations [histogram, column], `power.T @ columns` moves weights.

    Attributes:
        transition: K, float [s_l, s_l'].
        n_agents: k.
        shears: the factorisation of K.
        adjoint: whether this is the adjoint.
        error: bound on the error of expectations relative to max |V|, or, where that is too large, the probe's error.
    """

    transition: FloatArray
    n_agents: int
    shears: Shears
    adjoint: bool = False
    error: float = float("nan")

    @property
    def shape(self) -> tuple[int, int]:
        """Histograms, twice."""
        size = n_histograms(self.n_agents, len(self.transition))
        return size, size

    @cached_property
    def T(self) -> "SymmetricPower":  # noqa: N802  # as numpy calls it
        """The adjoint."""
        return replace(self, adjoint=not self.adjoint)

    def __matmul__(self, columns: FloatArray) -> FloatArray:
        """Expectations of functions of the next histogram (of the adjoint: weights moved on), [histogram, column]."""
        if columns.shape[0] != self.shape[0]:
            raise ValueError(
                f"columns must have one row per histogram, {self.shape[0]} of them; got shape {list(columns.shape)}"
            )
        given = np.ascontiguousarray(columns.reshape(len(columns), -1), dtype=np.float64)
        found, lost = self._moved(given)
        if not self.adjoint and given.shape[1] % LANES == 0:
            lost = float(np.maximum(lost, self._lost_of_one))
        if not self._keeps_sums(given, lost) and self._dense is not None:
            found = (self._dense.T if self.adjoint else self._dense) @ given
        return found.reshape(columns.shape)

    @cached_property
    def _lost_of_one(self) -> float:
        """How far the image of the function 1 is from 1."""
        return self._moved(np.ones((self.shape[0], 1)))[1]

    def _moved(self, given: FloatArray) -> tuple[FloatArray, float]:
        """Images of columns, and by how much sums that must stay have changed, as far as lanes show it."""
        found, lost = np.empty_like(given), 0.0
        values = _aligned_rows(len(given))
        spread = values if self.shears.in_order else _aligned_rows(len(given))
        before, after, pairs, weights = self._program
        lines = lines_of(self.n_agents, len(self.transition))
        for first in range(0, given.shape[1], LANES):
            weight, most = spread_columns(given, first, spread)
            if spread is not values:
                take_rows(spread, before, values)
            apply_shears(values, (lines.ranks, lines.lengths, lines.given), pairs, weights, self.adjoint)
            moved, farthest = put_rows(values, first, after, found)
            kept = np.abs(moved - weight).max() / max(most, TINY) if self.adjoint else farthest
            lost = float(np.maximum(lost, kept))  # nan stays
        return found, lost

    def toarray(self) -> FloatArray:
        """The dense kernel."""
        return self @ np.eye(self.shape[0])

    def _keeps_sums(self, given: FloatArray, lost: float) -> bool:
        """Whether this very application lost no digits: 1 has expectation 1, and no weight gets lost. Warns if not."""
        if lost <= RUNTIME_TOLERANCE or not np.isfinite(given).all():
            return True
        instead = "computed again by a dense kernel, which is slow;" if self._dense is not None else "kept as they are;"
        warnings.warn(
            f"the exact operator of {self.n_agents} agents lost digits: sums that must stay are off by {lost:.1e}. "
            f"Expectations are {instead} use operator='monte_carlo' or a smaller k",
            RuntimeWarning,
            stacklevel=3,
        )
        return False

    @cached_property
    def _dense(self) -> FloatArray | None:
        """The kernel as a matrix; None where it does not fit into memory."""
        # operators imports this module: a symmetric power is one of its kernels.
        from kofn.agents.operators import dense_kernels_fit, exact_kernel  # noqa: PLC0415

        fits = dense_kernels_fit(1, len(self.transition), self.n_agents)
        return exact_kernel(self.transition, self.n_agents) if fits else None

    @cached_property
    def _program(self) -> tuple[Numbers, Numbers, IntArray, FloatArray]:
        """Ranks of relabelled histograms before and after, shears (a, b), and their weights."""
        shears, k = self.shears, self.n_agents
        pairs = np.stack([shears.sources, shears.targets], axis=1)
        weights = binomial_weights(shears.stay, shears.move, k)
        rows, columns = shears.rows, shears.columns
        first, last = (rows, columns) if self.adjoint else (columns, rows)
        before, after = relabelled(k, tuple(np.argsort(first).tolist())), relabelled(k, tuple(last.tolist()))
        if not self.adjoint:
            return before, after, pairs, weights
        return before, after, np.ascontiguousarray(pairs[::-1]), np.ascontiguousarray(weights[::-1].swapaxes(1, 2))


def _aligned_rows(size: int) -> FloatArray:
    """Numbers to be filled in, [size, LANES], every row in one line of the cache."""
    spare = ALIGNMENT // 8
    block = np.empty(size * LANES + spare)
    offset = (-block.ctypes.data // 8) % spare
    return block[offset : offset + size * LANES].reshape(size, LANES)


def symmetric_power(transition: FloatArray, k: int) -> SymmetricPower:
    """K^{(x)k} for a row-stochastic `transition` [s_l, s_l'] and k >= 1.

    Raises:
        UnstablePowerError: its error exceeds 1e-11 of max |V|.
        ValueError: more than 2^31 histograms.
    """
    n_states = len(transition)
    table_size(k, n_states)  # refused before anything is computed
    per_growth = np.finfo(np.float64).eps * (n_states**2 + n_states) * k
    shears = factorise(transition, enough=max(1.0, (ENOUGH / per_growth) ** (1 / k)))
    # The logarithm, because g^k may overflow.
    exponent = np.log(per_growth) + k * np.log(shears.growth)
    power = SymmetricPower(transition=transition, n_agents=k, shears=shears, error=float(np.exp(min(exponent, 0.0))))
    if power.error > TOLERANCE:
        power = replace(power, error=probe(power))
    if not power.error <= TOLERANCE:
        raise UnstablePowerError(
            f"shears must reproduce products of powers within {TOLERANCE}; their error is {power.error:.1e} for "
            f"{k} agents and growth {shears.growth:.3f}"
        )
    return power


def probe(power: SymmetricPower) -> float:
    """Largest error at any histogram for LANES products of powers of order 1."""
    k, n_states = power.n_agents, len(power.transition)
    steps = np.arange(1, LANES * n_states + 1).reshape(LANES, n_states)
    signs = np.where((steps * GOLDEN) % 1 < 0.5, 1.0, -1.0)
    bases = signs * np.exp(-((steps * GOLDEN**2) % 1) / k)
    with np.errstate(over="ignore", invalid="ignore"):
        moved, _ = power._moved(_products(bases, k))
        error = np.abs(moved - _products(bases @ power.transition.T, k)).max()
    return float(error) if np.isfinite(error) else float("inf")


def _products(bases: FloatArray, k: int) -> FloatArray:
    """prod_x t_x^{c_x}, float [histogram, t], of bases [t, x]."""
    counts = enumerate_histograms(k, bases.shape[1])
    powers = bases[:, :, None] ** np.arange(k + 1)
    result = np.ones((len(counts), len(bases)))
    for x in range(bases.shape[1]):
        result *= powers[:, x, counts[:, x]].T
    return result
