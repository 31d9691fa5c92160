r"""Counts of transitions under UCFH's doubling rule, and episodes of a decision process given by tables.

Every visit of a row (s, a), row = s * n_actions + a, is new at first: v(row), v(row, s'). It becomes part of n(row),
n(row, s'), from which plans are made, when

    v(row) >= max{first, n(row)}   and   n(row) < cap                  (first = m w_min, cap = |S| m H)

so that n at least doubles and a row is absorbed about log2(cap / first) times. The rows for which this holds wait in
`ready`, first come first: a row enters at the visit that makes it true and stays until it is absorbed.
"""

from typing import NamedTuple

import numpy as np

from kofn.agents.compiled import compiled
from kofn.envs.arrays import FloatArray, IntArray


class DoublingRule(NamedTuple):
    """When new visits become part of the counts."""

    first: float
    cap: float


class TransitionCounts(NamedTuple):
    """Visits of rows and what followed. A tuple, so that compiled code can read it.

    Attributes:
        visits: n, int [row].
        outcomes: n by listed next state, int [row, j].
        rewards: sum of the rewards of those visits, float [row]; 0 where rewards are known.
        new_visits: v, int [row].
        new_outcomes: v by listed next state, int [row, j].
        new_rewards: sum of the rewards of the new visits, float [row].
        ready: how many rows wait, then which, int [1 + row].
    """

    visits: IntArray
    outcomes: IntArray
    rewards: FloatArray
    new_visits: IntArray
    new_outcomes: IntArray
    new_rewards: FloatArray
    ready: IntArray

    @classmethod
    def zeros(cls, n_rows: int, width: int) -> "TransitionCounts":
        """Nothing seen yet; `width` next states per row."""
        row, wide = np.zeros(n_rows, dtype=np.int64), np.zeros((n_rows, width), dtype=np.int64)
        total = np.zeros(n_rows)
        ready = np.zeros(n_rows + 1, dtype=np.int64)
        return cls(row, wide, total, row.copy(), wide.copy(), total.copy(), ready)

    def next_ready(self) -> int | None:
        """Take the row that has waited longest; None when none waits."""
        waiting = int(self.ready[0])
        if waiting == 0:
            return None
        row = int(self.ready[1])
        self.ready[1:waiting] = self.ready[2 : waiting + 1].copy()
        self.ready[0] = waiting - 1
        return row

    def absorb(self, row: int) -> None:
        """Make the new visits of a row part of its counts."""
        for total, new in (
            (self.visits, self.new_visits),
            (self.outcomes, self.new_outcomes),
            (self.rewards, self.new_rewards),
        ):
            total[row] += new[row]
            new[row] = 0


class TableProcess(NamedTuple):
    """A decision process as tables to draw from.

    Attributes:
        successors: next states, int [row, j].
        thresholds: cumulative probabilities, float [row, j]; 1 from the last possible next state on.
        start: cumulative law of the first state, float [state]; likewise.
    """

    successors: IntArray
    thresholds: FloatArray
    start: FloatArray


@compiled
def record_visit(counts: TransitionCounts, row: int, j: int, rule: DoublingRule) -> None:
    """Count a visit of `row` that was followed by its j-th listed state."""
    counts.new_visits[row] += 1
    counts.new_outcomes[row, j] += 1
    due = max(rule.first, float(counts.visits[row]))
    if counts.new_visits[row] - 1 < due <= counts.new_visits[row] and counts.visits[row] < rule.cap:
        counts.ready[0] += 1
        counts.ready[counts.ready[0]] = row


@compiled
def play_episodes(
    process: TableProcess,
    counts: TransitionCounts,
    policy: IntArray,
    rule: DoublingRule,
    rng: np.random.Generator,
    at_least: int,
    at_most: int,
) -> int:
    """Play until a row is ready, at least and at most so many episodes; returns how many."""
    n_actions = len(process.successors) // policy.shape[1]
    for episode in range(at_most):
        state = np.searchsorted(process.start, rng.random(), side="right")
        for t in range(len(policy)):
            row = state * n_actions + policy[t, state]
            j = int(np.searchsorted(process.thresholds[row], rng.random(), side="right"))
            record_visit(counts, row, j, rule)
            state = process.successors[row, j]
        if counts.ready[0] > 0 and episode + 1 >= at_least:
            return episode + 1
    return at_most
