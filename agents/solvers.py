r"""Fixed points of discounted operators, with a certificate.

For a monotone operator T with T(W + c) = T W + gamma c, and d = T W - W, the MacQueen bounds hold entrywise:

    T W + gamma/(1-gamma) min d  <=  W*  <=  T W + gamma/(1-gamma) max d.

Value iteration stops when they are within the tolerance and returns their midpoint, so that the error is at most
certificate = gamma/(1-gamma) (max d - min d)/2. Stopped early it returns the midpoint too, with its larger certificate.
Where T W is a maximum over actions of a table Q(W), the same bounds hold for Q* - Q(W), and iterating on W is enough.

Anderson acceleration: instead of T W the next iterate is the combination sum_i w_i T W_i, sum_i w_i = 1, of the last
few images whose combined changes sum_i w_i d_i, constants taken off (the bounds do not see them), have the least norm.
Plain iteration shrinks the span of d by gamma or more in every step; where a combination does not, what is remembered
is dropped and iteration goes on plainly from the best iterate. The certificate is that of T alone, wherever W is from.
A combination that is not finite, or whose image is not, ends acceleration with a warning: the rest is plain iteration.

An operator that is drawn afresh for every sweep has no fixed point to certify: `iterate_afresh` applies a given number
of them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kofn.agents.one_thread import one_blas_thread
from kofn.envs.arrays import FloatArray, integer, positive

WINDOW = 6
"""Earlier iterates that acceleration combines with the last."""

REGULARISATION = 1e-13
"""Added to the Gram matrix of normalised changes, whose entries are known to rounding only."""


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Outcome of `value_iteration`.

    Attributes:
        values: approximate fixed point, as the operator returns it.
        n_iterations: operator applications.
        converged: whether the certificate is within the tolerance.
        certificate: bound on the sup-norm error of `values`; nan where there is no fixed point.
    """

    values: FloatArray
    n_iterations: int
    converged: bool
    certificate: float


@one_blas_thread()
def value_iteration(
    operator: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    discount: float,
    *,
    reduce: Callable[[FloatArray], FloatArray] | None = None,
    window: int = 0,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> FixedPoint:
    """Iterate `operator` from `start` until its fixed point is known within `tolerance`.

    Args:
        operator: monotone, with T(W + c) = T W + discount c; if `reduce` is given, W -> Q(W) with T W = reduce(Q(W)).
        start: W^0.
        discount: gamma.
        reduce: maximum over actions, or another nonexpansive map that commutes with constants; omitted: none.
        window: earlier iterates to combine with the last; 0: plain value iteration.
        tolerance: largest certificate accepted.
        max_iterations: applications after which to stop; the result then says `converged=False`.

    Raises:
        TypeError, ValueError: a tolerance that is not positive, or fewer than one iteration.
        FloatingPointError: the operator returned a non-finite value.
    """
    tolerance = positive("tolerance", tolerance)
    max_iterations = integer("max_iterations", max_iterations, 1)
    values, memory = start, _Memory(integer("window", window, 0), discount)
    factor = discount / (1 - discount)
    iteration = 0
    while True:
        iteration += 1
        table = operator(values)
        updated = table if reduce is None else reduce(table)
        change = updated - values
        lowest, highest = float(change.min()), float(change.max())
        if memory.combined and iteration < max_iterations and not np.isfinite(highest - lowest):
            values = memory.give_up("its image is not finite")
            continue
        _check_finite(highest - lowest, iteration)
        certificate = factor * (highest - lowest) / 2
        converged = certificate <= tolerance
        if converged or iteration == max_iterations:
            return FixedPoint(table + factor * (highest + lowest) / 2, iteration, converged, certificate)
        values = memory.next(updated, change, highest - lowest)


class _Memory:
    """Images T W_i and changes d_i of the last iterates, and what to try next."""

    def __init__(self, window: int, discount: float) -> None:
        self._window = window
        self._discount = discount
        self._images: list[FloatArray] = []
        self._changes: list[FloatArray] = []
        self._gram = np.empty((0, 0))
        self._best: FloatArray | None = None
        self._least_span = np.inf
        self.combined = False
        """Whether the last iterate is a combination, rather than an image of T."""

    def next(self, updated: FloatArray, change: FloatArray, span: float) -> FloatArray:
        """The next iterate, after T W = `updated` with d = `change`."""
        self.combined = False
        if self._window == 0:
            return updated
        slow = span > self._discount * self._least_span
        if self._best is None or span < self._least_span:
            self._best, self._least_span = updated, span
        if slow and self._images:
            self._images.clear()
            self._changes.clear()
            return self._best
        self._remember(updated, change.ravel() - change.mean())
        try:
            weights = _combination(self._gram)
        except np.linalg.LinAlgError as error:
            return self.give_up(str(error))
        combined = np.zeros_like(updated)
        with np.errstate(over="ignore", invalid="ignore"):
            for weight, image in zip(weights, self._images, strict=True):
                combined += weight * image
        if not np.isfinite(combined).all():
            return self.give_up("it is not finite")
        self.combined = True
        return combined

    def give_up(self, why: str) -> FloatArray:
        """Warn, and go on plainly from the best iterate."""
        warnings.warn(
            f"acceleration found no combination of iterates to go on with ({why}); value iteration goes on without",
            RuntimeWarning,
            stacklevel=3,
        )
        self._window, self.combined = 0, False
        self._images, self._changes = [], []
        assert self._best is not None  # kept before anything is combined
        return self._best

    def _remember(self, image: FloatArray, change: FloatArray) -> None:
        """Append an image and its change, and the change's products with all that are remembered."""
        self._images = [*self._images[-self._window :], image]
        self._changes = [*self._changes[-self._window :], change]
        kept = len(self._changes) - 1
        gram = np.empty((kept + 1, kept + 1))
        gram[:kept, :kept] = self._gram[len(self._gram) - kept :, len(self._gram) - kept :]
        gram[kept] = gram[:, kept] = [np.vdot(other, change) for other in self._changes]
        self._gram = gram


def _combination(gram: FloatArray) -> FloatArray:
    """Weights, which sum to 1, of the combination with the least norm, from products of changes."""
    norms = np.sqrt(np.diag(gram))
    if norms.min() == 0:
        chosen: FloatArray = np.eye(len(gram))[norms.argmin()]
        return chosen
    normalised = gram / np.outer(norms, norms) + REGULARISATION * np.eye(len(gram))
    weights = np.linalg.solve(normalised, norms.min() / norms) / norms
    return np.asarray(weights / weights.sum())


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
