"""Observations in every mode: written out by hand, inside their space, decoded to what was encoded, never shared."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from kofn.envs.arrays import IntArray
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.observations import (
    OBS_MODES,
    SUMMARIES,
    GlobalEncoding,
    LocalEncoding,
    Observation,
    ObsMode,
    Space,
    Summary,
    one_hot,
)
from kofn.envs.population import count_states

FORMATS: list[tuple[Any, Any]] = list(itertools.product(OBS_MODES, SUMMARIES))
DTYPES = {"box": np.float32, "multidiscrete": np.int64, "discrete": np.int64}


def assert_inside(space: Space, observations: Observation, obs_mode: str) -> None:
    """Every observation is of the space's own type and inside it, as `contains` sees it."""
    assert observations.dtype == DTYPES[obs_mode]
    for observation in observations:
        assert np.shape(observation) == (space.shape or ())
        assert space.contains(observation), observation
    assert space.dtype == observations.dtype


def test_one_hot() -> None:
    encoded = one_hot(np.array([[0, 2], [1, 1]]), 3)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]])


# --- one local agent


@pytest.mark.parametrize(
    ("obs_mode", "space", "expected"),
    [
        ("box", Box(0.0, 1.0, (5,), np.float32), [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]),
        ("multidiscrete", MultiDiscrete([3, 2]), [[2, 0], [0, 1]]),
        ("discrete", Discrete(6), [4, 1]),
    ],
)
def test_local_observations_by_hand(obs_mode: ObsMode, space: Space, expected: list[Any]) -> None:
    """Three local and two global states; agents in (2, 0) and (0, 1)."""
    encoding = LocalEncoding(2, 3, obs_mode)
    assert encoding.space() == space
    np.testing.assert_array_equal(encoding.encode(np.array([2, 0]), np.array([0, 1])), expected)


@pytest.mark.parametrize("obs_mode", OBS_MODES)
def test_local_observations_name_every_pair_of_states(obs_mode: ObsMode) -> None:
    encoding = LocalEncoding(3, 4, obs_mode)
    own, shared = (grid.ravel() for grid in np.meshgrid(range(4), range(3), indexing="ij"))
    observations = encoding.encode(own, shared)
    assert_inside(encoding.space(), observations, obs_mode)
    assert len({row.tobytes() for row in observations}) == 12
    for found, wanted in zip(encoding.decode(observations), (own, shared), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("obs_mode", OBS_MODES)
def test_the_global_state_is_shared_by_a_population(obs_mode: ObsMode) -> None:
    """States [population, agent] under global states [population, 1]."""
    encoding = LocalEncoding(3, 4, obs_mode)
    own = np.random.default_rng(0).integers(0, 4, size=(2, 5))
    observations = encoding.encode(own, np.array([[2], [1]]))
    assert observations.shape[:2] == (2, 5)
    found_own, found_shared = encoding.decode(observations)
    np.testing.assert_array_equal(found_own, own)
    np.testing.assert_array_equal(found_shared, [[2] * 5, [1] * 5])


@pytest.mark.parametrize("obs_mode", OBS_MODES)
def test_one_local_observation_is_decoded_alone(obs_mode: ObsMode) -> None:
    encoding = LocalEncoding(3, 4, obs_mode)
    (observation,) = encoding.encode(np.array([3]), np.array([2]))
    assert [int(part) for part in encoding.decode(observation)] == [3, 2]


# --- the global agent


@pytest.mark.parametrize(
    ("obs_mode", "summary", "space", "expected"),
    [
        # s_g = 1 of 2; four agents in states 2, 0, 2, 2 of 3: counts (1, 0, 3), number 5 of the 15 histograms.
        ("box", "histogram", Box(0.0, 1.0, (5,), np.float32), [0, 1, 0.25, 0, 0.75]),
        ("multidiscrete", "histogram", MultiDiscrete([2, 5, 5, 5]), [1, 1, 0, 3]),
        ("discrete", "histogram", Discrete(30), 15 + 5),
        ("box", "states", Box(0.0, 1.0, (14,), np.float32), [0, 1] + [0, 0, 1] + [1, 0, 0] + [0, 0, 1] * 2),
        ("multidiscrete", "states", MultiDiscrete([2, 3, 3, 3, 3]), [1, 2, 0, 2, 2]),
        ("discrete", "states", Discrete(162), 81 + 2 * 27 + 0 * 9 + 2 * 3 + 2),
    ],
)
def test_global_observations_by_hand(obs_mode: ObsMode, summary: Summary, space: Space, expected: Any) -> None:
    encoding = GlobalEncoding(2, 3, 4, summary, obs_mode)
    content = [[1, 0, 3]] if summary == "histogram" else [[2, 0, 2, 2]]
    assert encoding.space() == space
    np.testing.assert_array_equal(encoding.encode(np.array([1]), np.array(content)), [expected])


def every_content(summary: str, size: int, n_local: int, n_global: int) -> tuple[IntArray, IntArray]:
    """All (s_g, content)."""
    if summary == "histogram":
        contents = enumerate_histograms(size, n_local)
    else:
        contents = np.array(list(itertools.product(range(n_local), repeat=size)))
    return np.repeat(np.arange(n_global), len(contents)), np.tile(contents, (n_global, 1))


@pytest.mark.parametrize(("obs_mode", "summary"), FORMATS)
@pytest.mark.parametrize(("n_global", "n_local", "size"), [(2, 3, 4), (3, 1, 2), (1, 2, 1), (2, 4, 3)])
def test_global_observations_name_every_content(
    obs_mode: ObsMode, summary: Summary, n_global: int, n_local: int, size: int
) -> None:
    encoding = GlobalEncoding(n_global, n_local, size, summary, obs_mode)
    global_states, contents = every_content(summary, size, n_local, n_global)
    observations = encoding.encode(global_states, contents)
    assert_inside(encoding.space(), observations, obs_mode)
    assert len({row.tobytes() for row in observations}) == len(contents)
    found_global, found = encoding.decode(observations)
    assert found_global.dtype == found.dtype == np.int64
    np.testing.assert_array_equal(found_global, global_states)
    np.testing.assert_array_equal(found, contents if summary == "histogram" else count_states(contents, n_local))


@pytest.mark.parametrize("summary", SUMMARIES)
def test_discrete_observations_leave_no_gap(summary: Summary) -> None:
    encoding = GlobalEncoding(2, 3, 4, summary, "discrete")
    observations = encoding.encode(*every_content(summary, 4, 3, 2))
    space = encoding.space()
    assert isinstance(space, Discrete)
    np.testing.assert_array_equal(observations, np.arange(space.n))


@pytest.mark.parametrize("size", [1000, 10**6, 2**23])
def test_box_histograms_are_exact_up_to_the_stated_size(size: int) -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(0, size + 1, size=5000)
    first[:6] = [0, 1, size - 1, size, size // 2, size // 3]
    counts = np.stack([first, size - first], axis=1)
    encoding = GlobalEncoding(1, 2, size)
    observations = encoding.encode(np.zeros(5000, dtype=np.int64), counts)
    assert_inside(encoding.space(), observations[:20], "box")
    np.testing.assert_array_equal(encoding.decode(observations)[1], counts)


def test_beyond_the_stated_size_box_histograms_are_rounded() -> None:
    encoding = GlobalEncoding(1, 2, 2**26)
    counts = np.array([[2**25 + 1, 2**25 - 1]])
    assert (encoding.decode(encoding.encode(np.array([0]), counts))[1] != counts).any()


@pytest.mark.parametrize("obs_mode", ["multidiscrete", "discrete"])
def test_other_histograms_are_exact_at_any_size(obs_mode: ObsMode) -> None:
    size = 10**12
    counts = np.array([[2 * 10**11 + 1, size - 2 * 10**11 - 1], [size, 0]])
    encoding = GlobalEncoding(3, 2, size, "histogram", obs_mode)
    observations = encoding.encode(np.array([2, 1]), counts)
    assert_inside(encoding.space(), observations, obs_mode)
    np.testing.assert_array_equal(encoding.decode(observations)[1], counts)


# --- freshness and refusals


@pytest.mark.parametrize("obs_mode", OBS_MODES)
def test_writing_into_an_observation_changes_nothing_else(obs_mode: ObsMode) -> None:
    own, shared = np.array([1, 2]), np.array([0, 1])
    counts = np.array([[1, 2, 1], [0, 0, 4]])
    tuples = np.array([[0, 1, 1, 2], [2, 2, 2, 2]])
    cases: list[tuple[Any, Any]] = [
        (LocalEncoding(2, 3, obs_mode), (own, shared)),
        (GlobalEncoding(2, 3, 4, "histogram", obs_mode), (shared, counts)),
        (GlobalEncoding(2, 3, 4, "states", obs_mode), (shared, tuples)),
    ]
    for encoding, content in cases:
        before = [part.copy() for part in content]
        first = encoding.encode(*content)
        wanted = first.copy()
        assert first.flags.writeable
        first[...] = 0
        np.testing.assert_array_equal(encoding.encode(*content), wanted)
        for part, copy in zip(content, before, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_spaces_are_new_objects() -> None:
    """Seeding the space of one agent leaves the others' alone."""
    for encoding in (LocalEncoding(2, 3), GlobalEncoding(2, 3, 4)):
        assert encoding.space() is not encoding.space()
        assert encoding.space() == encoding.space()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 3, 4, "mean", "box"), "summary must be one of 'histogram', 'states'; got 'mean'"),
        ((2, 3, 4, "states", "text"), "obs_mode must be one of 'box', 'discrete', 'multidiscrete'; got 'text'"),
        ((2, 3, 0, "histogram", "box"), "size must be at least 1; got 0"),
    ],
)
def test_bad_formats_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GlobalEncoding(*arguments)


def test_a_bad_local_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^obs_mode must be one of 'box', 'discrete', 'multidiscrete'; got 'text'$"):
        LocalEncoding(2, 3, "text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "summary"),
    [
        ((5, 5, 40), "states"),
        ((5, 5, 10**4), "states"),  # a number too long for Python to print
        ((2**31, 2, 2**31), "histogram"),
        ((1, 8, 1500), "histogram"),  # the space would do, the ranks would not
    ],
)
def test_too_many_discrete_observations_are_refused(sizes: tuple[int, int, int], summary: Summary) -> None:
    message = (
        f"obs_mode='discrete' must number its observations with 64-bit integers; {sizes[2]} agents "
        f"(summary='{summary}') give too many; use 'box' or 'multidiscrete', or let the global agent see "
        "fewer agents (SubsampleObservation over an environment with global_view='none')"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GlobalEncoding(*sizes, summary, "discrete")
    GlobalEncoding(*sizes, summary, "multidiscrete")


@pytest.mark.parametrize(
    ("sizes", "summary"), [((5, 5, 25), "states"), ((2, 2, 2**61 - 1), "histogram"), ((1, 8, 1000), "histogram")]
)
def test_the_largest_discrete_observations_are_exact(sizes: tuple[int, int, int], summary: Summary) -> None:
    n_global, n_local, size = sizes
    encoding = GlobalEncoding(*sizes, summary, "discrete")
    content = np.full((1, size), n_local - 1) if summary == "states" else np.array([[size] + [0] * (n_local - 1)])
    observations = encoding.encode(np.array([n_global - 1]), content)
    space = encoding.space()
    assert isinstance(space, Discrete)
    assert observations.tolist() == [int(space.n) - 1]
    found_global, found = encoding.decode(observations)
    assert found_global.tolist() == [n_global - 1]
    np.testing.assert_array_equal(found, count_states(content, n_local) if summary == "states" else content)
