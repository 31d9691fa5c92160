"""Layouts read off names, and the pictures and text of grids and scales."""

import doctest
import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from frames import image_of, text_of

from kofn.envs import Labels, constrained_exploration, formation, gaussian_squeeze
from kofn.envs.picture_canvas import HEIGHT, WIDTH
from kofn.envs.picture_layout import MOST_PLACES, box, cells, layout, level, levels, marked_states, rows_and_columns
from kofn.envs.render import Scene

YELLOW, ORANGE, BLUE = (0xF8, 0xF1, 0xA0), (0xE6, 0x9F, 0x00), (0x00, 0x72, 0xB2)


def named(local_states: Any, global_states: Any) -> Labels:
    return Labels(
        title="t",
        global_states=tuple(global_states),
        local_states=tuple(local_states),
        global_actions=("go",),
        local_actions=("stay",),
    )


GRID = constrained_exploration.game(size=3, box=2).labels
SCALE = gaussian_squeeze.game(n_levels=4, target=2).labels
LINE = formation.game().labels
TABLE = named([f"{row}, {column}" for row in "ab" for column in "xyz"], ("a, calm", "b", "b, y", "c, x"))


def make_scene(labels: Labels, counts: Any, sampled: Any = None, global_state: int = 0) -> Scene:
    seen = None if sampled is None else np.array(sampled, dtype=np.int64)
    return Scene(
        labels=labels, global_state=global_state, counts=np.array(counts, dtype=np.int64), sampled=seen, timestep=3
    )


def area(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(row, column) of all pixels of a colour."""
    return np.argwhere((image == colour).all(axis=-1))


# Names.


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("(0, 0)", "(0, 1)", "(2, 10)"), "grid"),
        (("(0, 0)", "(0, 0)"), "ring"),
        (("(0, 0)", "zone 1"), "ring"),
        (("(0, 0) to (1, 1)", "(0, 1)"), "ring"),
        (("0", "1", "2"), "columns"),
        (("-1", "0", "1"), "columns"),
        (("0", "2"), "ring"),
        (("1", "0"), "ring"),
        (("0",), "ring"),
        (("0", "1 vehicle"), "ring"),
        (("x0", "x1"), "ring"),
        (("zone 0", "zone 1"), "ring"),
        (("a, x", "a, y", "b, x", "b, y"), "table"),
        (("a, x, 1", "a, y, 1", "b, x, 1", "b, y, 1"), "table"),
        (("a, x", "b, x", "a, y", "b, y"), "ring"),
        (("a, x", "a, y", "b, x"), "ring"),
        (("a, x", "a, y"), "ring"),
        (("a, x", "b, x"), "ring"),
    ],
)
def test_names_tell_the_layout(names: tuple[str, ...], expected: str) -> None:
    assert layout(named(names, ("g0",))) == expected


def test_parts_of_names() -> None:
    np.testing.assert_array_equal(cells(named(("(0, 3)", "(12, 1)"), ("g",))), [[0, 3], [12, 1]])
    np.testing.assert_array_equal(box("(0, 1) to (2, 3)"), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(box("(4, 1)"), [[4, 1], [4, 1]])
    assert box("the box at (0, 1)") is None
    assert rows_and_columns(TABLE.local_states) == (("a", "b"), ("x", "y", "z"))
    np.testing.assert_array_equal(levels(("-1", "0")), [-1, 0])
    assert [level(name) for name in ("quota 4", "leader at -2", "7", "x7", "4 left")] == [4, -2, 7, None, None]


@pytest.mark.parametrize(
    ("labels", "global_state", "expected"),
    [
        (GRID, 0, [0, 1, 3, 4]),
        (GRID, 3, [4, 5, 7, 8]),
        (SCALE, 2, [2]),
        (LINE, 0, []),
        (LINE, 3, [2]),
        (named(("(0, 0)", "(0, 1)"), ("calm", "(0, 1)")), 0, []),
        (named(("(0, 0)", "(0, 1)"), ("calm", "(0, 1)")), 1, [1]),
        (named(("0", "1"), ("calm",)), 0, []),
        (named(("zone 0", "zone 1"), ("zone 0", "zone 1")), 1, [1]),
        (named(("fast/zone 0", "fast/zone 1", "slow/zone 0", "slow/zone 1"), ("zone 0", "zone 1")), 1, [1, 3]),
        (named(("x0", "x1"), ("g0", "g1")), 1, []),
        (TABLE, 0, [0, 1, 2]),
        (TABLE, 1, [3, 4, 5]),
        (TABLE, 2, [4]),
        (TABLE, 3, []),
    ],
)
def test_marked_states(labels: Labels, global_state: int, expected: list[int]) -> None:
    np.testing.assert_array_equal(marked_states(labels, global_state), expected)


VAST = [
    named(("0", "1"), ("job 100000000000", "job 1")),
    named(("0", "1"), ("job -100000000000",)),
    named(("0", "1"), (f"job {MOST_PLACES}",)),
    named(("(0, 0)", "(1000000, 1000000)"), ("g",)),
    named(("(0, 0)", f"(1, {MOST_PLACES})"), ("g",)),
    named((str(10**16), str(10**16 + 1)), ("g",)),
    named((f"({10**30}, 0)", "(0, 0)"), ("g",)),
]


@pytest.mark.parametrize("labels", VAST)
def test_vast_numbers_are_names_like_others(labels: Labels) -> None:
    assert layout(labels) == "ring"
    scene = make_scene(labels, [1, 2])
    assert image_of(scene).shape == (HEIGHT, WIDTH, 3)
    lines = text_of(scene).splitlines()
    assert [line[2:].split("  ")[0] for line in lines[3:5]] == list(labels.local_states)


def test_the_largest_frames_are_drawn() -> None:
    assert layout(named(("0", "1"), (f"job {MOST_PLACES - 1}",))) == "columns"
    assert layout(named(("(0, 0)", f"(1, {MOST_PLACES // 2 - 1})"), ("g",))) == "grid"
    # However many local states there are, they are where they are.
    full = tuple(str(i) for i in range(MOST_PLACES + 1))
    assert layout(named(full, ("g",))) == "columns"
    assert layout(named(tuple(f"(0, {i})" for i in full), ("g",))) == "grid"


def test_docstring_example() -> None:
    outcome = doctest.testmod(importlib.import_module("kofn.envs.picture_layout"))
    assert outcome.attempted >= 3
    assert outcome.failed == 0


# Pictures.


@pytest.mark.parametrize("size", [2, 5, 9, 40, 90])
@pytest.mark.parametrize("n_agents", [3, 10**12])
def test_grids_of_every_size_fit(size: int, n_agents: int) -> None:
    names = [f"({row}, {column})" for row in range(size) for column in range(size)]
    counts = np.zeros(size * size, dtype=np.int64)
    counts[-1] = n_agents
    scene = make_scene(named(names, ("(0, 0) to (1, 1)",)), counts, counts // 3)
    image = image_of(scene)
    assert image.shape == (HEIGHT, WIDTH, 3)
    image[8:-8, 8:-8] = 255
    assert (image == 255).all()


@pytest.mark.parametrize("n_levels", [2, 10, 200])
@pytest.mark.parametrize("n_agents", [3, 10**12])
def test_scales_of_every_length_fit(n_levels: int, n_agents: int) -> None:
    counts = np.zeros(n_levels, dtype=np.int64)
    counts[0] = n_agents
    labels = named(map(str, range(n_levels)), (f"{'very ' * 30}high quota {n_levels - 1}",))
    image = image_of(make_scene(labels, counts, counts // 3))
    assert image.shape == (HEIGHT, WIDTH, 3)
    image[8:-8, 8:-8] = 255
    assert (image == 255).all()


@pytest.mark.parametrize(("n_rows", "n_columns"), [(2, 2), (4, 9), (2, 60), (70, 2), (30, 30)])
@pytest.mark.parametrize("n_agents", [3, 10**12])
def test_tables_of_every_size_fit(n_rows: int, n_columns: int, n_agents: int) -> None:
    names = [f"{'very ' * 9}long {i}, part {j}, other" for i in range(n_rows) for j in range(n_columns)]
    counts = np.zeros(n_rows * n_columns, dtype=np.int64)
    counts[-1] = n_agents
    image = image_of(make_scene(named(names, (names[0],)), counts, counts // 3))
    assert image.shape == (HEIGHT, WIDTH, 3)
    image[8:-8, 8:-8] = 255
    assert (image == 255).all()


def test_a_table_has_its_row_marked_and_agents_in_their_cells() -> None:
    """All agents in the right cell of the lower row; the sampled ones in the middle."""
    counts, sampled = np.eye(6)[5] * 50, np.eye(6)[5] * 5
    upper, lower = (image_of(make_scene(TABLE, counts, sampled, global_state=state))[:-60] for state in (0, 1))
    rows = [area(image, YELLOW) for image in (upper, lower)]
    assert rows[0][:, 0].max() <= rows[1][:, 0].min()
    width, height = np.ptp(rows[0], axis=0)[::-1]
    assert width > 2.5 * height
    middles = [area(upper, colour).mean(axis=0) for colour in (ORANGE, BLUE)]
    np.testing.assert_allclose(*middles, atol=12)
    expected = rows[1][:, 0].min() + height / 2, rows[1][:, 1].min() + 5 / 6 * width
    np.testing.assert_allclose(middles[1], expected, atol=5)


def test_wide_and_tall_grids_fit() -> None:
    for names in ([f"(0, {i})" for i in range(30)], [f"({i}, 0)" for i in range(30)]):
        image = image_of(make_scene(named(names, ("(0, 0)",)), np.ones(30)))
        image[8:-8, 8:-8] = 255
        assert (image == 255).all()


def test_the_box_is_yellow_where_it_is() -> None:
    """Four cells of the nine: the upper left ones in state 0, the lower right ones in state 3; legend left out."""
    nobody = np.zeros(9)
    image = image_of(make_scene(GRID, nobody, global_state=0))[:-60]
    first = area(image, YELLOW)
    last = area(image_of(make_scene(GRID, nobody, global_state=3))[:-60], YELLOW)
    assert len(first) == pytest.approx(len(last), rel=0.02)
    assert (first.mean(axis=0) < last.mean(axis=0) - 100).all()
    side = (first.max(axis=0) - first.min(axis=0)) / 2
    assert abs(side[0] - side[1]) <= 2
    assert len(first) > 0.95 * (2 * side[0]) ** 2


def test_agents_are_drawn_in_their_cells() -> None:
    """All agents in the cell (0, 2), the upper right one; the sampled ones in the middle."""
    counts, sampled = np.eye(9)[2] * 50, np.eye(9)[2] * 5
    image = image_of(make_scene(GRID, counts, sampled, global_state=2))[:-60]
    middles = [area(image, colour).mean(axis=0) for colour in (ORANGE, BLUE)]
    np.testing.assert_allclose(*middles, atol=12)
    cell = (HEIGHT - 170) / 3
    expected = HEIGHT / 2 + 20 - cell, WIDTH / 2 + cell
    np.testing.assert_allclose(middles[1], expected, atol=5)


def test_the_global_state_has_a_column_beside_those_of_agents() -> None:
    """The leader's places are -2 .. 2, the followers' -1 .. 1: at -2 it is left of all, at 1 over the third of them."""
    counts = np.array([0, 0, 14])
    for state, expected in ((0, -2), (3, 1), (4, 2)):
        yellow = area(image_of(make_scene(LINE, counts, global_state=state))[:-60], YELLOW)
        middle = (yellow[:, 1].min() + yellow[:, 1].max()) / 2
        assert abs(middle - (WIDTH / 2 + 120 * expected)) < 3
    blue = area(image_of(make_scene(LINE, counts))[:-60], BLUE)
    assert abs((blue[:, 1].min() + blue[:, 1].max()) / 2 - (WIDTH / 2 + 120)) < 3


def test_a_global_state_without_a_number_has_no_column() -> None:
    scene = make_scene(named(("0", "1"), ("calm", "busy")), (3, 4))
    assert not len(area(image_of(scene), YELLOW))
    assert (image_of(scene) != image_of(replace(scene, global_state=1))).any()


def test_sampled_agents_lie_at_the_bottom() -> None:
    image = image_of(make_scene(SCALE, (0, 60, 0, 0), (0, 6, 0, 0), global_state=3))[:-60]
    orange, blue = area(image, ORANGE), area(image, BLUE)
    assert orange[:, 0].mean() > blue[:, 0].mean() + 50
    assert orange[:, 0].max() >= blue[:, 0].max()


def test_a_types_places_are_all_marked() -> None:
    names = ("fast/zone 0", "fast/zone 1", "slow/zone 0", "slow/zone 1")
    both = area(image_of(make_scene(named(names, ("zone 0", "zone 1")), (1, 2, 3, 4)))[:-60], YELLOW)
    names = ("zone 0", "fast/zone 1", "slow/zone 2", "slow/zone 1")
    one = area(image_of(make_scene(named(names, ("zone 0", "zone 1")), (1, 2, 3, 4)))[:-60], YELLOW)
    assert len(both) == pytest.approx(2 * len(one), rel=0.05)


# Text.


def test_grid_text() -> None:
    counts, sampled = (1200, 0, 3, 0, 0, 0, 0, 7, 0), (2, 0, 0, 0, 0, 0, 0, 1, 0)
    assert text_of(make_scene(GRID, counts, sampled, global_state=1)).splitlines() == [
        "constrained exploration | step 3 | global state: (0, 1) to (1, 2)",
        "the global agent sees 3 of 1,210 agents",
        "         0         1         2",
        "0  2/1,200  [      0] [      3]",
        "1        0  [      0] [      0]",
        "2        0       1/7         0",
    ]


def test_scale_text_marks_the_level() -> None:
    lines = text_of(make_scene(SCALE, (5, 0, 10, 1), global_state=2)).splitlines()
    assert lines[0] == "gaussian squeeze | step 3 | global state: quota 2"
    assert [line.split()[0] for line in lines[3:7]] == ["0", "1", ">", "3"]


def test_table_text_marks_the_row() -> None:
    lines = text_of(make_scene(TABLE, np.arange(6), global_state=1)).splitlines()
    assert [line.startswith(">") for line in lines[3:9]] == [False] * 3 + [True] * 3
