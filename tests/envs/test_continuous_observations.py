"""Observations of continuous states: written out by hand, inside their space, decoded to what was encoded."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from kofn.envs.continuous_observations import ContinuousGlobalEncoding, ContinuousLocalEncoding, count_bins

EDGES = (-1.0, 0.0, 0.5, 2.0)
BOUNDS = (-3.0, 3.0)


def states(*rows: list[float]) -> Any:
    return np.array(rows, dtype=np.float32)


def test_bins_hold_their_lower_edge_and_the_last_its_upper() -> None:
    counts = count_bins(states([-1.0, -0.01, 0.0, 0.49, 0.5, 2.0], [2, 2, 2, 2, 2, -1]), np.array(EDGES))
    assert counts.tolist() == [[2, 2, 2], [1, 0, 5]]
    assert counts.dtype == np.int64


@pytest.mark.parametrize("n_bins", [1, 2, 7])
def test_bins_are_those_of_numpy(n_bins: int) -> None:
    rng = np.random.default_rng(0)
    edges = np.sort(rng.uniform(-1, 1, n_bins + 1)).astype(np.float32)
    places = rng.uniform(edges[0], edges[-1], (4, 50)).astype(np.float32)
    found = count_bins(places, edges.astype(float))
    assert found.tolist() == [np.histogram(row, edges)[0].tolist() for row in places]
    assert (found.sum(axis=1) == 50).all()


@pytest.mark.parametrize("edge", [0.1, 0.7])
def test_an_edge_that_single_precision_cannot_hold(edge: float) -> None:
    """A state at an edge lies in the bin that begins there, although float32(0.1) > 0.1 and float32(0.7) < 0.7."""
    assert count_bins(states([edge]), np.array([0, edge, 1])).tolist() == [[0, 1]]


def test_the_outer_bins_hold_what_lies_outside() -> None:
    assert count_bins(states([-9.0, -2.0, 3.0]), np.array(EDGES)).tolist() == [[2, 0, 1]]


def test_local_observations_by_hand() -> None:
    encoding = ContinuousLocalEncoding(BOUNDS, (-1.0, 2.0))
    assert encoding.space() == Box(np.array([-1, -3], np.float32), np.array([2, 3], np.float32))
    observations = encoding.encode(states([0.5, 2.0])[0], states([-2.5])[0])
    assert observations.tolist() == [[0.5, -2.5], [2.0, -2.5]]
    assert observations.dtype == np.float32
    own, shared = encoding.decode(observations)
    assert (own.tolist(), shared.tolist()) == ([0.5, 2.0], [-2.5, -2.5])


@pytest.mark.parametrize(
    ("summary", "with_state", "low", "high", "expected"),
    [
        ("histogram", True, [-3, 0, 0, 0], [3, 1, 1, 1], [2.5, 0.25, 0.25, 0.5]),
        ("histogram", False, [0, 0, 0], [1, 1, 1], [0.25, 0.25, 0.5]),
        ("states", True, [-3, -1, -1, -1, -1], [3, 2, 2, 2, 2], [2.5, 1.5, -0.5, 0.25, 0.5]),
        ("states", False, [-1, -1, -1, -1], [2, 2, 2, 2], [1.5, -0.5, 0.25, 0.5]),
    ],
)
def test_global_observations_by_hand(summary: Any, with_state: bool, low: Any, high: Any, expected: Any) -> None:
    """s_g = 2.5; four agents at 1.5, -0.5, 0.25, 0.5: one, one and two per bin."""
    encoding = ContinuousGlobalEncoding(BOUNDS, EDGES, 4, summary, with_state)
    assert encoding.space() == Box(np.array(low, np.float32), np.array(high, np.float32))
    observations = encoding.observe(states([2.5])[0], states([1.5, -0.5, 0.25, 0.5]))
    assert observations.tolist() == [expected]
    assert observations.dtype == np.float32
    assert encoding.space().contains(observations[0])
    assert (encoding.size, encoding.summary, encoding.obs_mode) == (4, summary, "box")
    own, content = encoding.decode(observations)
    assert content.tolist() == [expected[with_state:]]
    assert own is None if not with_state else own.tolist() == [2.5]


@pytest.mark.parametrize("with_state", [True, False])
def test_nobody_in_view(with_state: bool) -> None:
    encoding = ContinuousGlobalEncoding(BOUNDS, EDGES, 0, "states", with_state)
    observations = encoding.observe(states([2.5])[0], np.empty((1, 0), np.float32))
    assert observations.tolist() == [[2.5] if with_state else []]
    assert encoding.space().contains(observations[0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be at least 1; got 0"),
        ({"size": -1, "summary": "states"}, ValueError, "size must be at least 0; got -1"),
        ({"size": 2.0}, TypeError, "size must be an integer"),
        ({"summary": "mean"}, ValueError, "summary must be one of 'histogram', 'states'; got 'mean'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ContinuousGlobalEncoding(**{"global_bounds": BOUNDS, "edges": EDGES, "size": 3, **options})
