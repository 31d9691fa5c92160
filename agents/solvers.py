r"""Fixed points of discounted operators, with a certificate.

For a monotone operator T with T(Q + c) = T Q + gamma c, and d = T Q - Q, the MacQueen bounds hold entrywise:

    T Q + gamma/(1-gamma) min d  <=  Q*  <=  T Q + gamma/(1-gamma) max d.

Value iteration stops when they are within the tolerance and returns their midpoint, so that the error is at most
certificate = gamma/(1-gamma) (max d - min d)/2. Stopped early it returns the midpoint too, with its larger certificate.

An operator that is drawn afresh for every sweep has no fixed point to certify: `iterate_afresh` applies a given number
of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, integer, positive


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Outcome of `value_iteration`.

    Attributes:
        values: approximate fixed point, shape of the start.
        n_iterations: operator applications.
        converged: whether the certificate is within the tolerance.
        certificate: bound on the sup-norm error of `values`; nan where there is no fixed point.
    """

    values: FloatArray
    n_iterations: int
    converged: bool
    certificate: float


def value_iteration(
    operator: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    discount: float,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> FixedPoint:
    """Iterate `operator` from `start` until its fixed point is known within `tolerance`.

    Args:
        operator: monotone, with T(Q + c) = T Q + discount c.
        start: Q^0.
        discount: gamma.
        tolerance: largest certificate accepted.
        max_iterations: applications after which to stop; the result then says `converged=False`.

    Raises:
        TypeError, ValueError: a tolerance that is not positive, or fewer than one iteration.
        FloatingPointError: the operator returned a non-finite value.
    """
    tolerance = positive("tolerance", tolerance)
    max_iterations = integer("max_iterations", max_iterations, 1)
    values = start
    factor = discount / (1 - discount)
    iteration = 0
    while True:
        iteration += 1
        updated = operator(values)
        change = updated - values
        lowest, highest = float(change.min()), float(change.max())
        _check_finite(highest - lowest, iteration)
        certificate = factor * (highest - lowest) / 2
        converged = certificate <= tolerance
        if converged or iteration == max_iterations:
            return FixedPoint(updated + factor * (highest + lowest) / 2, iteration, converged, certificate)
        values = updated


def iterate_afresh(
    operators: Callable[[], Callable[[FloatArray], FloatArray]], start: FloatArray, n_iterations: int
) -> FixedPoint:
    """Apply `n_iterations` operators in turn, each drawn by a call of `operators`; says `converged=False`."""
    values = start
    for iteration in range(1, integer("n_iterations", n_iterations, 1) + 1):
        values = operators()(values)
        _check_finite(float(np.abs(values).max()), iteration)
    return FixedPoint(values, n_iterations, False, float("nan"))


def _check_finite(value: float, iteration: int) -> None:
    if not np.isfinite(value):
        raise FloatingPointError(f"value iteration met a non-finite value in iteration {iteration}")
