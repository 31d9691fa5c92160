r"""Memoryless policy iteration by rollouts: climb Phi of the n-agent game over the global agent's k-observation class.

    measure   A(s_g, F, a) = dPhi/dpi_g and visits d(s_g, F) at fresh particles (`simulation`)
    propose   the action of largest A in every entry; entries ranked by what they promise, A(best) - A(current)
    accept    switching all promising entries, or the first quarter, sixteenth, .. of the ranking, whichever raises the
              mean of paired rollouts by more than its standard error first

The judging rollouts are the same throughout, so the climb is monotone on them. It starts from the best of several
candidates on the same rollouts. What lies clearly (`clearly_less`) below on the first quarter of the rollouts is not
played on the others. First steps are made with a quarter of the particles; once they lead nowhere or gain less than
four times the tolerance, with all of them; once these lead nowhere or gain less than the tolerance, the climb stops
(`converged`), or after `max_iterations`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kofn.agents.evaluation import clearly_less, standard_error
from kofn.agents.global_response.observation_aware.simulation import CrowdGame, Crowds
from kofn.envs.arrays import FloatArray, IntArray

JUDGE_STREAM, PARTICLE_STREAM = range(2)

SHRINK = 4
"""Factor between the sets of entries that are tried."""

PART = 4
"""First looks take one part in so many of the rollouts, and of the particles."""


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
        n_particles: particles per step, at the end.
        tolerance: gain, in units of value, at which to stop.
        max_iterations: accepted steps after which to give up.
    """
    rollouts = _Rollouts(crowd, crowd.starts(n_rollouts, JUDGE_STREAM))
    best = rollouts.best(candidates)
    phases = [(max(1, n_particles // PART), PART * tolerance), (n_particles, tolerance)]
    attempt, steps, certificate = 0, 0, float("inf")
    while phases and steps < max_iterations:
        particles, least = phases[0]
        gradient, _ = crowd.gradient(best.table, particles, PARTICLE_STREAM, attempt)
        certificate = first_order_gap(best.table, gradient)
        better = rollouts.first_better(best, switches(best.table, gradient))
        attempt += 1
        if better is None or (better.returns - best.returns).mean() < least:
            phases = phases[1:]
        if better is not None:
            best, steps = better, steps + 1
    return SimulatedClimb(
        table=best.table,
        potential=float(best.returns.mean()),
        standard_error=standard_error(best.returns),
        n_iterations=steps,
        converged=not phases,
        certificate=certificate,
    )


@dataclass(frozen=True, eq=False)
class _Rollouts:
    """The judging rollouts, of which the first ones are played first."""

    crowd: CrowdGame
    starts: Crowds

    @property
    def _first(self) -> int:
        return max(2, len(self.starts[0]) // PART)

    def _begun(self, table: IntArray) -> _Judged:
        first = self._first
        states, crowds, keys = self.starts
        return _Judged(table, self.crowd.returns(table, (states[:first], crowds[:first], keys[:first]))[0])

    def _finished(self, begun: _Judged) -> _Judged:
        first = self._first
        states, crowds, keys = self.starts
        returns, _ = self.crowd.returns(begun.table, (states[first:], crowds[first:], keys[first:]))
        return _Judged(begun.table, np.concatenate([begun.returns, returns]))

    def best(self, tables: Sequence[IntArray]) -> _Judged:
        """The table with the largest mean, of those that do not clearly lose early."""
        begun = [self._begun(table) for table in tables]
        leader = max(begun, key=lambda one: float(one.returns.mean()))
        left = [one for one in begun if not clearly_less(one.returns - leader.returns)]
        return max(map(self._finished, left), key=lambda one: float(one.returns.mean()))

    def first_better(self, best: _Judged, tables: Iterator[IntArray]) -> _Judged | None:
        """The first table that gains more than the standard error of its gain; None when none does."""
        for table in tables:
            begun = self._begun(table)
            if clearly_less(begun.returns - best.returns[: self._first]):
                continue
            judged = self._finished(begun)
            gains = judged.returns - best.returns
            if gains.mean() > standard_error(gains):
                return judged
        return None


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
