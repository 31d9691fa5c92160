"""Confidence sets against a grid search over p', and their failure probability by exact summation."""

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from kofn.agents.finite_horizon.confidence_sets import probability_interval, reward_interval, transition_set
from kofn.envs.arrays import BoolArray

GRID = np.linspace(0, 1, 200_001)
CASES = [
    *((p, n, log_term) for p in (0.0, 0.01, 0.5, 0.77, 1.0) for n in (2, 10, 300, 10**6) for log_term in (0.3, 12.0)),
    (0.085, 20, 0.3),
    (0.9, 50, 1.0),
]


def allowed(p: float, n: int, log_term: float, both_halves: bool) -> BoolArray:
    """The points of the grid that satisfy the definition; without `both_halves` less its non-convex half."""
    spread, radius = sqrt(p * (1 - p)), sqrt(2 * log_term / (n - 1))
    spreads = np.sqrt(GRID * (1 - GRID))
    near = np.abs(GRID - p) <= sqrt(log_term / (2 * n))
    near &= np.abs(GRID - p) <= sqrt(2 * p * (1 - p) * log_term / n) + 7 * log_term / (3 * (n - 1))
    near &= spreads >= spread - radius
    return near & (spreads <= spread + radius) if both_halves else near


@pytest.mark.parametrize(("p", "n", "log_term"), CASES)
def test_the_interval_is_the_hull_of_what_a_grid_search_allows(p: float, n: int, log_term: float) -> None:
    found = GRID[allowed(p, n, log_term, both_halves=False)]
    lower, upper = probability_interval(p, n, log_term)
    assert lower == pytest.approx(found.min(), abs=5.1e-6)
    assert upper == pytest.approx(found.max(), abs=5.1e-6)


@pytest.mark.parametrize(("p", "n", "log_term"), CASES)
def test_the_interval_contains_the_set_of_the_paper(p: float, n: int, log_term: float) -> None:
    found = GRID[allowed(p, n, log_term, both_halves=True)]
    lower, upper = probability_interval(p, n, log_term)
    assert lower <= found.min()
    assert found.max() <= upper


@pytest.mark.parametrize("n", [0, 1])
def test_one_visit_says_nothing(n: int) -> None:
    assert probability_interval(float(n), n, 1.0) == (0.0, 1.0)


def test_the_deviation_constraint_matters() -> None:
    """It lifts a lower end off 0: with p = 0.085 after 20 visits, next states of probability 0 are excluded."""
    p, n, log_term = 0.085, 20, 0.3
    assert sqrt(log_term / (2 * n)) > p
    assert sqrt(2 * p * (1 - p) * log_term / n) + 7 * log_term / (3 * (n - 1)) > p
    least = sqrt(p * (1 - p)) - sqrt(2 * log_term / (n - 1))
    expected = 0.5 - sqrt(0.25 - least**2)
    assert expected > 0.01
    assert probability_interval(p, n, log_term)[0] == pytest.approx(expected)
    assert probability_interval(1 - p, n, log_term)[1] == pytest.approx(1 - expected)


@pytest.mark.parametrize("n", [2, 5, 20, 100, 1000])
@pytest.mark.parametrize("delta1", [0.5, 0.05, 1e-3])
def test_the_true_probability_is_missed_at_most_with_probability_delta1(n: int, delta1: float) -> None:
    counts = np.arange(n + 1)
    intervals = np.array([probability_interval(c / n, n, log(6 / delta1)) for c in counts])
    for truth in (0.001, 0.03, 0.2, 0.5, 0.9):
        outside = (truth < intervals[:, 0]) | (truth > intervals[:, 1])
        assert binom.pmf(counts, n, truth)[outside].sum() <= delta1


def test_a_set_of_counts_is_its_intervals() -> None:
    lower, upper = transition_set([0, 30, 10], 2.0)
    expected = np.array([probability_interval(p, 40, 2.0) for p in (0, 0.75, 0.25)])
    assert np.array_equal(np.column_stack([lower, upper]), expected)


def test_the_observed_law_is_in_its_set() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 17, 1000):
        for log_term in (0.01, 1.0, 30.0):
            counts = rng.multinomial(n, rng.dirichlet(np.ones(4)))
            lower, upper = transition_set(counts, log_term)
            assert (lower <= counts / n).all()
            assert (counts / n <= upper).all()


def test_more_visits_narrow_the_set() -> None:
    widths = [float(np.subtract(*transition_set([n, 3 * n], 1.0)[::-1]).max()) for n in (1, 10, 100, 10_000)]
    assert (np.diff(widths) < 0).all()


def hoeffding(n: int, log_term: float) -> float:
    return 4 * sqrt(log_term / (2 * n))


def test_reward_interval_is_hoeffdings_within_the_range() -> None:
    assert reward_interval(0.0, 0, 1.0, -1.0, 3.0) == (-1.0, 3.0)
    assert reward_interval(1.0, 8, 1.0, -1.0, 3.0) == pytest.approx((1 - hoeffding(8, 1.0), 1 + hoeffding(8, 1.0)))
    assert reward_interval(2.9, 8, 1.0, -1.0, 3.0) == pytest.approx((2.9 - hoeffding(8, 1.0), 3.0))


@pytest.mark.parametrize(
    ("counts", "log_term", "error", "message"),
    [
        ([0.5, 1.5], 1.0, TypeError, "counts must be integers; got dtype float64"),
        ([[1, 2]], 1.0, ValueError, r"counts must have one axis \[next state\] and an entry; got shape \[1, 2\]"),
        (np.array([], dtype=int), 1.0, ValueError, r"counts must have one axis .* got shape \[0\]"),
        ([3, -1], 1.0, ValueError, r"counts must be nonnegative; entry \[1\] is -1"),
        ([3, 1], 0.0, ValueError, "log_term must be positive and finite; got 0.0"),
        ([3, 1], "one", TypeError, "log_term must be a number; got 'one'"),
    ],
)
def test_rejected(counts: Any, log_term: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        transition_set(counts, log_term)
