"""What carries the numbers: verdicts, unions, counts beyond floating point, logarithms of binomials."""

import math

import pytest

from kofn.agents.bounds import Bound, Count, union
from kofn.agents.bounds.bound import confidence, fraction, log_binomial, log_sum, sampled_of
from kofn.envs.arrays import nonnegative


def test_a_bound_is_vacuous_from_the_value_bound_on() -> None:
    bound = Bound(value=10.0, source="a lemma")
    assert bound.vacuous(10.0)
    assert bound.vacuous(9.0)
    assert not bound.vacuous(10.1)


def test_only_counterexamples_make_a_statement_false() -> None:
    assert Bound(value=1.0, source="a lemma", verdict="false").false_as_printed
    assert not Bound(value=1.0, source="a lemma", verdict="unproved").false_as_printed
    assert not Bound(value=1.0, source="a lemma").false_as_printed


def test_union_adds_values_and_failure_probabilities() -> None:
    first = Bound(value=1.0, source="a", probability=0.9, assumptions=("x", "y"), note="first")
    second = Bound(value=2.0, source="b", probability=0.95, assumptions=("y", "z"), verdict="unproved")
    sure = Bound(value=4.0, source="c", reconstructed=True, note="third")
    total = union(first, second, sure, source="both")
    assert total.value == 7.0
    assert total.probability == pytest.approx(0.85)
    assert total.assumptions == ("x", "y", "z")
    assert (total.verdict, total.reconstructed, total.source) == ("unproved", True, "both")
    assert total.note == "first; third"


def test_union_of_sure_bounds_is_sure_and_of_unlikely_ones_says_nothing() -> None:
    sure, unlikely = Bound(value=1.0, source="a"), Bound(value=1.0, source="b", probability=0.4, verdict="false")
    assert union(sure, sure, source="c").probability is None
    assert union(unlikely, unlikely, source="c").probability == 0.0
    assert union(sure, unlikely, source="c").verdict == "false"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1000, "1000"), (999_999, "999999"), (1_000_000, "1.0e6"), (1.25e17, "1.2e17"), (9.97e9, "1.0e10")],
)
def test_counts_print_short(value: float, text: str) -> None:
    assert str(Count(log=math.log(value), source="here")) == text


def test_counts_go_beyond_floats() -> None:
    count = Count(log=5000 * math.log(10) + math.log(3), source="here")
    assert count.value == math.inf
    assert count.log10 == pytest.approx(5000 + math.log10(3))
    assert str(count) == "3.0e5000"
    assert Count(log=math.log(12), source="here").value == pytest.approx(12)


@pytest.mark.parametrize(("total", "chosen"), [(0, 0), (7, 0), (7, 7), (9, 4), (130, 65), (10**12 + 99, 99)])
def test_log_binomial_is_that_of_the_integer(total: int, chosen: int) -> None:
    assert log_binomial(total, chosen) == pytest.approx(math.log(math.comb(total, chosen)), rel=1e-14)
    assert log_binomial(total, total - chosen) == log_binomial(total, chosen)


def test_log_binomial_beyond_integers_in_memory() -> None:
    """Two large halves: Stirling's series for C(2m, m) = 4^m/sqrt(pi m) (1 - 1/(8m) + ..)."""
    m = 10**9
    expected = 2 * m * math.log(2) - math.log(math.pi * m) / 2 - 1 / (8 * m)
    assert log_binomial(2 * m, m) == pytest.approx(expected, rel=1e-12)
    exact = math.log(math.comb(40_000, 15_000))
    assert log_binomial(40_000, 15_000) == pytest.approx(exact, rel=1e-12)


def test_log_sum_needs_no_large_numbers() -> None:
    assert log_sum(math.log(2), math.log(3), math.log(5)) == pytest.approx(math.log(10))
    assert log_sum(5000.0, 5000.0) == pytest.approx(5000 + math.log(2))
    assert log_sum(7.0) == 7.0


def test_the_papers_confidence_is_the_default() -> None:
    assert confidence(None, 4) == 1 / 200
    assert confidence(0.3, 4) == 0.3


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: fraction("delta", 1.0), ValueError, "delta must lie strictly between 0 and 1; got 1.0"),
        (lambda: fraction("delta", 0.0), ValueError, "delta must be positive and finite; got 0.0"),
        (lambda: fraction("delta", "a"), TypeError, "delta must be a number; got 'a'"),
        (lambda: nonnegative("spread", -0.5), ValueError, "spread must be positive and finite; got -0.5"),
        (lambda: nonnegative("spread", False), TypeError, "spread must be a number; got False"),
        (lambda: sampled_of(0, 3), ValueError, "k must be between 1 and 3; got 0"),
        (lambda: sampled_of(4, 3), ValueError, "k must be between 1 and 3; got 4"),
        (lambda: sampled_of(1, 0), ValueError, "n_agents must be at least 1; got 0"),
        (lambda: confidence(2.0, 1), ValueError, "delta must lie strictly between 0 and 1; got 2.0"),
    ],
)
def test_rejected(call: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()  # type: ignore[operator] # a lambda
