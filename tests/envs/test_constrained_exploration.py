"""Constrained exploration against its formulas, cell by cell, and what can be seen without computing."""

import math
from itertools import product

import numpy as np
import pytest

from kofn.envs import DirichletStart, TabularGame
from kofn.envs.constrained_exploration import DEFAULTS, env, game, parallel_env

SIZES = [(2, 1, 0.0), (4, 2, 0.25), (5, 3, 0.0), (5, 3, 1.0), (3, 2, 0.5)]
STEPS = ((0, 0), (-1, 0), (0, 1), (1, 0), (0, -1))
every_size = pytest.mark.parametrize(("size", "box", "pull"), SIZES)


def cells(side: int) -> list[tuple[int, int]]:
    return list(product(range(side), repeat=2))


def into(cell: tuple[int, int], low: tuple[int, int], high: tuple[int, int]) -> tuple[int, int]:
    """The nearest cell of a box."""
    row, column = (min(max(c, a), b) for c, a, b in zip(cell, low, high, strict=True))
    return row, column


def is_inside(cell: tuple[int, int], place: tuple[int, int], box: int) -> bool:
    return all(p <= c < p + box for c, p in zip(cell, place, strict=True))


@every_size
def test_the_box_moves_by_the_stated_law(size: int, box: int, pull: float) -> None:
    """One cell with probability 0.9, as far as the grid reaches; else it stays."""
    places, found = cells(size - box + 1), game(size, box, pull).global_transition
    assert found.shape == (len(places), 5, len(places))
    last = size - box
    for b, place in enumerate(places):
        for a, (down, right) in enumerate(STEPS):
            law = np.zeros(len(places))
            moved = into((place[0] + down, place[1] + right), (0, 0), (last, last))
            law[places.index(moved)] += 0.9
            law[b] += 0.1
            np.testing.assert_allclose(found[b, a], law, atol=1e-15)


@every_size
def test_agents_move_by_the_stated_law(size: int, box: int, pull: float) -> None:
    """Inside: a step, projected into the box. Outside: to the nearest cell of the box with probability `pull`."""
    grid, places = cells(size), cells(size - box + 1)
    found = game(size, box, pull).local_transition
    assert found.shape == (len(grid), len(places), 5, len(grid))
    for (x, cell), (b, place), (a, step) in product(enumerate(grid), enumerate(places), enumerate(STEPS)):
        high = (place[0] + box - 1, place[1] + box - 1)
        law = np.zeros(len(grid))
        if is_inside(cell, place, box):
            law[grid.index(into((cell[0] + step[0], cell[1] + step[1]), place, high))] = 1
        else:
            law[grid.index(into(cell, place, high))] += pull
            law[x] += 1 - pull
        np.testing.assert_allclose(found[x, b, a], law, atol=1e-15)


@every_size
def test_rewards_are_as_stated(size: int, box: int, pull: float) -> None:
    """r_g = 0.1 - 0.1 [moves]; r_l = 1.1 + dirt - 0.1 [moves] - [outside]; none is negative."""
    grid, places, found = cells(size), cells(size - box + 1), game(size, box, pull)
    np.testing.assert_allclose(found.global_reward, np.tile([0.1, 0, 0, 0, 0], (len(places), 1)), atol=1e-16)
    for (x, cell), (b, place) in product(enumerate(grid), enumerate(places)):
        far = (cell[0] - size + 1) ** 2 + (cell[1] - size + 1) ** 2
        stay = 1.1 + math.exp(-far / (2 * ((size - 1) / 2) ** 2)) - (not is_inside(cell, place, box))
        np.testing.assert_allclose(found.local_reward[x, b], [stay, *[stay - 0.1] * 4], rtol=1e-13)
    assert found.local_reward.min() > 0
    assert found.global_reward.min() >= 0


def crowd_after(found: TabularGame, start: np.ndarray, path: list[tuple[int, int]]) -> np.ndarray:
    """Law of an agent that starts in `start`, under boxes b and actions a of `path`."""
    for b, a in path:
        start = start @ found.local_transition[:, b, a]
    return start


def test_outside_the_box_agents_wait_and_inside_they_are_led() -> None:
    """On 3 x 3 with a 2 x 2 box: one agent is left in (0, 0), the other goes east and south with the box."""
    found = game(3, 2)
    left_alone = crowd_after(found, np.eye(9)[0], [(3, 2), (3, 3), (1, 1)])
    np.testing.assert_array_equal(left_alone, np.eye(9)[0])
    # Box 0 holds (0, 0): east to (0, 1); box 1 holds (0, 1): east to (0, 2), then south to (1, 2); box 3: south.
    led = crowd_after(found, np.eye(9)[0], [(0, 2), (1, 2), (1, 3), (3, 3)])
    np.testing.assert_array_equal(led, np.eye(9)[8])


def test_full_pull_takes_everybody_into_the_box_at_once() -> None:
    found = game(pull=1.0)
    for b, place in enumerate(cells(3)):
        outside = [x for x, cell in enumerate(cells(5)) if not is_inside(cell, place, 3)]
        assert not found.local_transition[:, b][..., outside].any()


def test_the_dirtiest_cell_is_the_last_corner() -> None:
    """From all cells, inside the box that holds the last corner, dirt falls with the distance from it."""
    reward = game(box=4).local_reward[:, 3, 0]
    assert reward.argmax() == 24
    assert reward[24] == 1.1 + 1
    assert reward[24] > reward[23] == reward[19] > reward[18]


def test_defaults_are_those_of_the_docstring() -> None:
    found = game()
    assert (found.n_global_states, found.n_global_actions, found.n_local_states, found.n_local_actions) == (9, 5, 25, 5)
    assert found.discount == 0.95
    np.testing.assert_array_equal(found.initial_global, np.full(9, 1 / 9))
    assert isinstance(found.initial_local, DirichletStart)
    np.testing.assert_array_equal(found.initial_local.concentration, np.full(25, 0.3))
    np.testing.assert_allclose(found.reward_bound, 0.1 + 2.1, rtol=1e-15)
    assert (DEFAULTS.n_agents, DEFAULTS.max_cycles, DEFAULTS.k) == (1000, 100, 3)
    np.testing.assert_array_equal(found.local_transition, game(5, 3, 0.0).local_transition)


def test_labels_name_cells_and_boxes() -> None:
    labels = game(3, 2).labels
    assert labels.local_states[:4] == ("(0, 0)", "(0, 1)", "(0, 2)", "(1, 0)")
    assert labels.global_states == ("(0, 0) to (1, 1)", "(0, 1) to (1, 2)", "(1, 0) to (2, 1)", "(1, 1) to (2, 2)")
    assert labels.global_actions == labels.local_actions == ("stay", "north", "east", "south", "west")


def test_sizes_reach_the_environment() -> None:
    made = parallel_env(size=3, box=1, pull=0.5, discount=0.5, n_agents=4, max_cycles=2)
    assert isinstance(made.game, TabularGame)
    np.testing.assert_array_equal(made.game.local_transition, game(3, 1, 0.5).local_transition)
    assert (made.game.discount, made.n_agents, made.max_cycles) == (0.5, 4, 2)
    assert env(n_agents=2).possible_agents == ["global_0", "local_0", "local_1"]
