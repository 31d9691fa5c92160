"""What UCFH knows while it learns: counts under the doubling rule, and the confidence sets they imply.

Rows are (state, action) pairs in the order state * n_actions + action; where the law of the first state is learnt, it
is one more row, the last. The sets of a row change only when its new visits are absorbed.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.agents.finite_horizon.confidence_sets import fill_intervals, reward_interval
from kofn.agents.finite_horizon.extended_values import TransitionSets
from kofn.agents.finite_horizon.transition_counts import DoublingRule, TransitionCounts, record_visit
from kofn.envs.arrays import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class RewardKnowledge:
    """What is known of rewards before anything is seen.

    Attributes:
        low, high: range of a single reward.
        learn: whether mean rewards are estimated from the counts.
    """

    low: float
    high: float
    learn: bool


@dataclass(kw_only=True, eq=False)
class Knowledge:
    """Counts and confidence sets.

    Attributes:
        sets: intervals of transition probabilities and rewards, as of the last absorption of each row.
        counts: visits, absorbed and new.
        rule: when new visits are absorbed.
        log_term: l of the confidence sets.
        support_known: whether only listed states can follow a row.
        rewards: range of rewards, and whether they are estimated.
    """

    sets: TransitionSets
    counts: TransitionCounts
    rule: DoublingRule
    log_term: float
    support_known: bool
    rewards: RewardKnowledge
    _places: dict[tuple[int, int], int] = field(default_factory=dict)

    def record(self, row: int, state: int, reward: float) -> None:
        """Count that `row` paid `reward` and was followed by `state`."""
        j = self._places.get((row, state))
        if j is None:
            j = self._list_state(row, state)
        self.counts.new_rewards[row] += reward
        record_visit(self.counts, row, j, self.rule)

    def absorb_ready(self, *, everything: bool) -> None:
        """Bring the row that has waited longest up to date, or every row that waits."""
        row = self.counts.next_ready()
        while row is not None:
            self.counts.absorb(row)
            self._renew_sets(row)
            row = self.counts.next_ready() if everything else None

    @property
    def is_ready(self) -> bool:
        """Whether a row waits to be absorbed."""
        return bool(self.counts.ready[0] > 0)

    def _renew_sets(self, row: int) -> None:
        sets, n = self.sets, int(self.counts.visits[row])
        listed = slice(int(sets.n_listed[row]))
        counts = self.counts.outcomes[row, listed]
        unseen = fill_intervals(counts, n, self.log_term, sets.lower[row, listed], sets.upper[row, listed])
        sets.unlisted[row] = 0.0 if self.support_known else unseen
        if self.rewards.learn:
            sets.reward_low[row], sets.reward_high[row] = reward_interval(
                self.counts.rewards[row] / n, n, self.log_term, self.rewards.low, self.rewards.high
            )

    def _list_state(self, row: int, state: int) -> int:
        """Give a state that follows `row` for the first time a place among the listed ones."""
        j = int(self.sets.n_listed[row])
        if j == self.sets.successors.shape[1]:
            self._widen()
        self._places[row, state] = j
        self.sets.successors[row, j] = state
        self.sets.upper[row, j] = self.sets.unlisted[row]
        self.sets.n_listed[row] = j + 1
        return j

    def _widen(self) -> None:
        """Room for twice as many listed states."""
        sets, counts = self.sets, self.counts
        width = 2 * sets.successors.shape[1]
        self.sets = sets._replace(
            successors=_widened(sets.successors),
            lower=_widened(sets.lower),
            upper=_widened(sets.upper),
            order=np.concatenate([sets.order, np.tile(np.arange(width // 2, width), (len(sets.order), 1))], axis=1),
        )
        self.counts = counts._replace(outcomes=_widened(counts.outcomes), new_outcomes=_widened(counts.new_outcomes))


def _widened(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As many zeros again to the right."""
    return np.concatenate([array, np.zeros_like(array)], axis=1)


def blank_sets(
    successors: IntArray, n_listed: IntArray, *, support_known: bool, rewards: tuple[FloatArray, FloatArray]
) -> TransitionSets:
    """Sets before the first visit: every law on the states that may follow.

    Args:
        successors: listed next states, int [row, j].
        n_listed: how many are listed, int [row].
        support_known: whether only those can follow.
        rewards: least and largest mean reward, float [row] each.
    """
    n_rows, width = successors.shape
    return TransitionSets(
        successors=successors,
        n_listed=n_listed,
        lower=np.zeros((n_rows, width)),
        upper=np.ones((n_rows, width)),
        unlisted=np.full(n_rows, 0.0 if support_known else 1.0),
        reward_low=rewards[0],
        reward_high=rewards[1],
        order=np.tile(np.arange(width), (n_rows, 1)),
    )
