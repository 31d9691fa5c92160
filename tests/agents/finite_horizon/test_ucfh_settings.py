"""UCFH's constants are the paper's, and settings out of range are refused."""

from math import log2
from typing import Any

import pytest
from river_tables import RIVER

from kofn.agents.finite_horizon.ucfh import ucfh
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig, ucfh_constants


def test_constants_of_the_paper() -> None:
    """5 states, 2 actions, H = 10, epsilon = delta = 0.1: m = 1.6e11 with 3 successors, 2.7e11 with 5."""
    options = {"n_states": 5, "n_rows": 10, "horizon": 10, "epsilon": 0.1, "delta": 0.1, "learn_rewards": False}
    three, five = (ucfh_constants(n_successors=c, **options) for c in (3, 5))
    assert three.w_min == pytest.approx(5e-4)
    assert three.u_max == pytest.approx(10 * log2(50 / 5e-4))
    assert three.delta1 == pytest.approx(0.1 / (2 * three.u_max * 3))
    assert (three.m, five.m) == pytest.approx((1.6e11, 2.7e11), rel=0.02)
    assert ucfh(RIVER, horizon=10, config=UcfhConfig(max_episodes=1), seed=0).theory == five
    known = UcfhConfig(max_episodes=1, support_known=True)
    assert ucfh(RIVER, horizon=10, config=known, seed=0).theory == three
    learnt = ucfh_constants(n_successors=5, **{**options, "learn_rewards": True})
    assert learnt.delta1 == pytest.approx(five.delta1 * 5 / 6)


@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
def test_constants_of_short_horizons_exist(horizon: int) -> None:
    options = {"n_states": 2, "n_rows": 4, "n_successors": 2, "delta": 0.1, "learn_rewards": False}
    found = ucfh_constants(horizon=horizon, epsilon=0.1, **options)
    plain = 512 * (2 * horizon**2 / 0.01) * log2(8 * horizon**2 * 4 / 0.1) ** 2 * found.log_term
    assert found.m == pytest.approx(plain)
    vast = ucfh_constants(horizon=horizon, epsilon=1e9, **options)
    assert vast == ucfh_constants(horizon=horizon, epsilon=float(horizon), **options)
    assert vast.delta1 > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epsilon": 0}, ValueError, "epsilon must be positive and finite; got 0"),
        ({"delta": 1.0}, ValueError, "delta must be below 1; got 1.0"),
        ({"delta": -0.1}, ValueError, "delta must be positive and finite; got -0.1"),
        ({"scale_m": 0.0}, ValueError, "scale_m must be positive and finite; got 0.0"),
        ({"scale_log": float("inf")}, ValueError, "scale_log must be positive and finite; got inf"),
        ({"max_episodes": 0}, ValueError, "max_episodes must be at least 1; got 0"),
        ({"max_episodes": 1e3}, TypeError, "max_episodes must be an integer; got 1000.0"),
        ({"support_known": 1}, TypeError, "support_known must be a bool; got 1"),
        ({"phase_growth": -0.1}, ValueError, "phase_growth must be positive and finite; got -0.1"),
        ({"phase_growth": False}, TypeError, "phase_growth must be a number; got False"),
        ({"rewards": "fixed"}, ValueError, "rewards must be one of 'stochastic', 'deterministic'; got 'fixed'"),
    ],
)
def test_rejected_settings(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        UcfhConfig(**options)
