"""UPDATE's verdicts and the two numbers that follow from eta."""

from collections.abc import Callable

import pytest

from kofn.agents import proposal_bound, update_verdict
from kofn.agents.alternation.update import sufficient_horizon


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (10.0, "accept"),
        (0.5, "accept"),  # exactly eta
        (0.5 - 2**-30, "overlap"),
        (0.0, "overlap"),
        (-0.5, "overlap"),  # exactly -eta: not worse by more than eta
        (-0.5 - 2**-30, "reject"),
        (-10.0, "reject"),
    ],
)
@pytest.mark.parametrize("old", [0.0, 4.0, -4.0])
def test_verdicts_with_half_width_of_half_eta(old: float, gain: float, verdict: str) -> None:
    """eta = 1/2: all numbers are exact in binary, so that the boundaries are met exactly."""
    assert update_verdict(old, old + gain, 0.25) == verdict


def test_accepted_gains_are_at_least_eta_and_refused_ones_below() -> None:
    for i in range(-200, 201):
        accepted = update_verdict(3.0, 3.0 + i / 128, 0.25) == "accept"
        assert accepted == (i / 128 >= 0.5)


@pytest.mark.parametrize(
    ("value_bound", "eta", "bound"),
    [
        (230.0, 1.15, 402),  # the warehouse: 200 gains of eta fill the range
        (11.5 / (1 - 0.95), 0.005 * (11.5 / (1 - 0.95)), 402),
        (10.0, 3.0, 10),  # 2 (ceil(10/3) + 1)
        (1.0, 2.0, 4),
        (0.0, 1.0, 2),
    ],
)
def test_proposal_bound(value_bound: float, eta: float, bound: int) -> None:
    assert proposal_bound(value_bound, eta) == bound


def test_proposal_bound_of_every_default_eta() -> None:
    """eta = 0.5% of the bound leaves 200 gains, whatever rounding the division meets."""
    assert {proposal_bound(b / 7, 0.005 * (b / 7)) for b in range(1, 2000)} == {402}


@pytest.mark.parametrize("discount", [0.1, 0.5, 0.9, 0.95, 0.999])
def test_sufficient_horizon_is_minimal_and_sufficient(discount: float) -> None:
    """Also where discount^H value_bound meets the error exactly (`exact`), and one rounding unit to either side."""
    for value_bound in (1.0, 3.7, 230.0):
        for steps in (1, 2, 3, 10, 29, 57, 300):
            exact = value_bound * discount**steps
            for error in (exact, exact * (1 - 2**-52), exact * (1 + 2**-52), exact * 1.3):
                horizon = sufficient_horizon(value_bound, discount, error)
                assert discount**horizon * value_bound <= error
                assert horizon == 1 or discount ** (horizon - 1) * value_bound > error


def test_sufficient_horizon_is_never_empty() -> None:
    assert sufficient_horizon(1.0, 0.9, 1.0) == 1
    assert sufficient_horizon(1.0, 0.9, 5.0) == 1
    assert sufficient_horizon(0.0, 0.9, 1.0) == 1
    assert sufficient_horizon(0.0, 0.9, 0.0) == 1  # no rewards, nothing left out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: update_verdict(1.0, 0.5, -1.0), "half_width must be positive and finite; got -1.0"),
        (lambda: proposal_bound(-50.0, 1.0), "value_bound must be positive and finite; got -50.0"),
        (lambda: sufficient_horizon(-1.0, 0.9, 0.1), "value_bound must be positive and finite; got -1.0"),
        (lambda: sufficient_horizon(10.0, 1.5, 0.1), "discount must lie strictly between 0 and 1; got 1.5"),
        (lambda: sufficient_horizon(10.0, 0.9, 0.0), "error must be positive and finite; got 0.0"),
    ],
)
def test_what_is_out_of_range_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_sufficient_horizon_of_the_warehouse() -> None:
    """0.95^H 230 <= 1.15/4 from H = 131 on: ln(800)/-ln(0.95) = 130.3."""
    assert sufficient_horizon(230.0, 0.95, 1.15 / 4) == 131
