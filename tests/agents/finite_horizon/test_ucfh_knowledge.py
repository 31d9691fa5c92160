"""Counts and sets that grow with what is seen: a row's set changes only when its visits are absorbed."""

import numpy as np
import pytest
from scipy.optimize import linprog

from kofn.agents.finite_horizon.confidence_sets import transition_set
from kofn.agents.finite_horizon.extended_values import extreme_means
from kofn.agents.finite_horizon.transition_counts import DoublingRule, TransitionCounts
from kofn.agents.finite_horizon.ucfh_knowledge import Knowledge, RewardKnowledge, blank_sets
from kofn.envs.arrays import FloatArray

N_STATES, WIDTH, LOG_TERM = 7, 2, 0.8


def blank(n_rows: int) -> Knowledge:
    nothing = np.zeros(n_rows)
    sets = blank_sets(
        np.zeros((n_rows, WIDTH), dtype=np.int64),
        np.zeros(n_rows, dtype=np.int64),
        support_known=False,
        rewards=(nothing, nothing + 1),
    )
    return Knowledge(
        sets=sets,
        counts=TransitionCounts.zeros(n_rows, WIDTH),
        rule=DoublingRule(first=1.0, cap=1e9),
        log_term=LOG_TERM,
        support_known=False,
        rewards=RewardKnowledge(low=0.0, high=1.0, learn=True),
    )


def expected_means(counts: list[int], least: FloatArray, largest: FloatArray) -> tuple[float, float]:
    """Both extreme means over the set of the counts, by linear programs."""
    bounds = np.column_stack(transition_set(counts, LOG_TERM))
    row, total = np.ones((1, N_STATES)), [1.0]
    low = linprog(least, A_eq=row, b_eq=total, bounds=bounds).fun
    high = -linprog(-largest, A_eq=row, b_eq=total, bounds=bounds).fun
    return float(low), float(high)


def test_sets_are_those_of_the_counts_when_absorbed_and_wait_until_then() -> None:
    """Two rows, from no listed state to all seven: lists are widened twice on the way."""
    knowledge, rng = blank(2), np.random.default_rng(0)
    least, largest = rng.normal(size=N_STATES), rng.normal(size=N_STATES)
    absorbed, new = np.zeros((2, N_STATES), dtype=int), np.zeros((2, N_STATES), dtype=int)
    n_absorptions = 0
    for _ in range(150):
        row, state = int(rng.integers(2)), min(int(rng.geometric(0.4)), N_STATES) - 1
        knowledge.record(row, state, 0.5)
        new[row, state] += 1
        assert knowledge.is_ready == bool((new.sum(axis=1) >= np.maximum(1, absorbed.sum(axis=1))).any())
        for checked in range(2):
            found = extreme_means(knowledge.sets, checked, least, largest)
            expected = expected_means(absorbed[checked].tolist(), least, largest)
            assert found == pytest.approx(expected, abs=1e-9)
        if knowledge.is_ready and rng.random() < 0.7:
            knowledge.absorb_ready(everything=True)
            due = new.sum(axis=1) >= np.maximum(1, absorbed.sum(axis=1))
            absorbed[due] += new[due]
            new[due] = 0
            n_absorptions += 1
    assert n_absorptions > 8
    assert (knowledge.sets.n_listed >= 5).all()
    assert knowledge.counts.rewards == pytest.approx(0.5 * absorbed.sum(axis=1))
