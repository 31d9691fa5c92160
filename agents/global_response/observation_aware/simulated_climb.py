r"""Memoryless policy iteration by rollouts: climb Phi of the n-agent game over the global agent's k-observation class.

    measure   A(s_g, F, a) = dPhi/dpi_g and visits d(s_g, F) at fresh particles (`simulation`)
    propose   the action of largest A in every entry; entries ranked by what they promise, A(best) - A(current)
    accept    switching all promising entries, or the first quarter, sixteenth, .. of the ranking, whichever raises the
              mean of paired rollouts by more than its standard error first

The judging rollouts are the same throughout, so the climb is monotone on them. It starts from the best of several
candidates on the same rollouts, and therefore never ends below any of them. It stops when two sets of particles in
turn lead nowhere, or a step gains less than the tolerance (`converged`), or after `max_iterations`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kofn.agents.global_response.observation_aware.simulation import CrowdGame, Crowds
from kofn.envs.arrays import FloatArray, IntArray

JUDGE_STREAM, PARTICLE_STREAM = range(2)

SHRINK = 4
"""Factor between the sets of entries that are tried."""

ATTEMPTS = 2
"""Sets of particles that may fail in a row."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatedClimb:
    """Outcome of `climb_by_rollouts`.

    Attributes:
        table: pi_g, int64 [s_g, histogram].
        potential: mean return over the judging rollouts.
        standard_error: of `potential`.
        n_iterations: accepted steps.
        converged: whether nothing more was found, rather than the budget spent.
        certificate: first-order gap at the last particles, sum of (A(best) - A(current)); noise in A inflates it.
    """

    table: IntArray
    potential: float
    standard_error: float
    n_iterations: int
    converged: bool
    certificate: float


@dataclass(frozen=True, eq=False)
class _Judged:
    table: IntArray
    returns: FloatArray


def climb_by_rollouts(
    crowd: CrowdGame,
    candidates: Sequence[IntArray],
    *,
    n_rollouts: int,
    n_particles: int,
    tolerance: float,
    max_iterations: int,
) -> SimulatedClimb:
    """Climb from the best of the candidate tables.

    Args:
        crowd: the game of n agents under the fleet.
        candidates: action tables, int64 [s_g, histogram].
        n_rollouts: judging rollouts.
        n_particles: particles per step.
        tolerance: gain, in units of value, at which to stop.
        max_iterations: accepted steps after which to give up.
    """
    starts = crowd.starts(n_rollouts, JUDGE_STREAM)
    judged = [_Judged(table, crowd.returns(table, starts)[0]) for table in candidates]
    best = max(judged, key=lambda one: float(one.returns.mean()))
    failures, steps, certificate, converged = 0, 0, float("inf"), False
    for attempt in range(max_iterations * ATTEMPTS):
        gradient, _ = crowd.gradient(best.table, n_particles, PARTICLE_STREAM, attempt)
        certificate = first_order_gap(best.table, gradient)
        better = _first_better(crowd, best, starts, switches(best.table, gradient))
        if better is None:
            failures += 1
        else:
            gain = float((better.returns - best.returns).mean())
            best, steps, failures = better, steps + 1, ATTEMPTS if gain < tolerance else 0
        converged = failures >= ATTEMPTS
        if converged or steps >= max_iterations:
            break
    error = float(best.returns.std(ddof=1) / np.sqrt(n_rollouts))
    return SimulatedClimb(
        table=best.table,
        potential=float(best.returns.mean()),
        standard_error=error,
        n_iterations=steps,
        converged=converged,
        certificate=certificate,
    )


def promises(table: IntArray, gradient: FloatArray) -> FloatArray:
    """A(best) - A(current) of every entry, float [s_g, histogram]."""
    current = np.take_along_axis(gradient, table[..., None], axis=2)[..., 0]
    return np.asarray(gradient.max(axis=2) - current)


def first_order_gap(table: IntArray, gradient: FloatArray) -> float:
    """Max over pi of <pi - pi_g, dPhi/dpi_g>."""
    return float(promises(table, gradient).sum())


def switches(table: IntArray, gradient: FloatArray) -> Iterator[IntArray]:
    """Tables to try: shrinking sets of the most promising entries play their best action."""
    promise, best = promises(table, gradient).ravel(), gradient.argmax(axis=2).ravel()
    ranking = np.argsort(-promise, kind="stable")
    size = int((promise > 0).sum())
    while size > 0:
        switched = table.ravel().copy()
        switched[ranking[:size]] = best[ranking[:size]]
        yield switched.reshape(table.shape)
        size //= SHRINK


def _first_better(crowd: CrowdGame, best: _Judged, starts: Crowds, candidates: Iterator[IntArray]) -> _Judged | None:
    """The first candidate that gains more than the standard error of its gain; None when none does."""
    for table in candidates:
        returns, _ = crowd.returns(table, starts)
        gains = returns - best.returns
        if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)):
            return _Judged(table, returns)
    return None
