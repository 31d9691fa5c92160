"""TabularGame: what is refused and in which words, what is filled in, bounds, copies."""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest
from game_tables import ARRAYS, SIZES, arguments, labels, put

from kofn.envs import DirichletStart, FixedStart, Labels, TabularGame


def test_sizes_are_read_off_the_arrays() -> None:
    game = TabularGame(**arguments())
    assert (game.n_global_states, game.n_global_actions, game.n_local_states, game.n_local_actions) == (3, 2, 4, 5)


def test_what_is_omitted_is_uniform_and_numbered() -> None:
    game = TabularGame(**arguments())
    np.testing.assert_array_equal(game.initial_global, [1 / 3] * 3)
    assert isinstance(game.initial_local, FixedStart)
    np.testing.assert_array_equal(game.initial_local.probabilities, [0.25] * 4)
    assert game.labels == Labels(
        title="tabular game",
        global_states=("g0", "g1", "g2"),
        local_states=("x0", "x1", "x2", "x3"),
        global_actions=("a0", "a1"),
        local_actions=("a0", "a1", "a2", "a3", "a4"),
    )


def test_what_is_given_is_kept() -> None:
    law, own = DirichletStart([0.1, 0.2, 0.3, 0.4]), labels()
    game = TabularGame(**arguments(initial_global=[1, 0, 0], initial_local=law, labels=own, discount=np.float32(0.5)))
    np.testing.assert_array_equal(game.initial_global, [1.0, 0.0, 0.0])
    assert game.initial_local is law
    assert game.labels is own
    assert type(game.discount) is float
    assert game.discount == 0.5


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_only_copies(name: str) -> None:
    given_array = np.array(arguments(initial_global=[0.5, 0.25, 0.25])[name], dtype=float)
    game = TabularGame(**arguments(**{name: given_array}))
    array = getattr(game, name)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, given_array)
    given_array[...] = 7
    assert not (array == 7).all()
    with pytest.raises(ValueError, match="read-only"):
        array[(0,) * array.ndim] = 0.5


def test_fields_are_frozen() -> None:
    game = TabularGame(**arguments())
    for field in fields(game):
        with pytest.raises(FrozenInstanceError):
            setattr(game, field.name, None)


EQUAL_AXES = "must have equal first and last axes"


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("global_transition", (3, 3), "must have 3 axes [any, any, any]; got shape [3, 3]"),
        ("global_transition", (3, 2, 4), f"{EQUAL_AXES} [s_g, a_g, s_g']; got shape [3, 2, 4]"),
        ("global_transition", (0, 2, 3), "must have shape [any, any, any]; got [0, 2, 3]: axis 0 has size 0"),
        ("local_transition", (4, 3, 4), "must have 4 axes [any, 3, any, any]; got shape [4, 3, 4]"),
        ("local_transition", (4, 2, 5, 4), "must have shape [any, 3, any, any]; got [4, 2, 5, 4]: axis 1 has size 2"),
        ("local_transition", (3, 3, 5, 4), f"{EQUAL_AXES} [s_l, s_g, a_l, s_l']; got shape [3, 3, 5, 4]"),
        ("global_reward", (3,), "must have 2 axes [3, 2]; got shape [3]"),
        ("global_reward", (2, 3), "must have shape [3, 2]; got [2, 3]: axis 0 has size 2"),
        ("local_reward", (4, 3, 5, 1), "must have 3 axes [4, 3, 5]; got shape [4, 3, 5, 1]"),
        ("local_reward", (4, 3, 4), "must have shape [4, 3, 5]; got [4, 3, 4]: axis 2 has size 4"),
        ("initial_global", (2,), "must have shape [3]; got [2]: axis 0 has size 2"),
        ("initial_global", (1, 3), "must have 1 axes [3]; got shape [1, 3]"),
    ],
)
def test_wrong_shapes_are_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    rows_that_sum_to_one = np.full(shape, 1 / shape[-1])
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name} {message}')}$"):
        TabularGame(**arguments(**{name: rows_that_sum_to_one}))


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_entries_are_named(name: str, value: float) -> None:
    rank = np.ndim(arguments(initial_global=[0] * 3)[name])
    index = (2, 1, 0, 3)[:rank]
    with pytest.raises(ValueError, match=re.escape(f"{name} must be finite; entry {list(index)} is {value}")):
        TabularGame(**arguments(**put(name, index, value)))


@pytest.mark.parametrize(
    ("name", "index"), [("global_transition", (2, 1, 2)), ("local_transition", (3, 2, 4, 1)), ("initial_global", (1,))]
)
def test_negative_probabilities_are_named(name: str, index: tuple[int, ...]) -> None:
    message = f"{name} must be nonnegative (probabilities); entry {list(index)} is -0.125"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TabularGame(**arguments(**put(name, index, -0.125)))


@pytest.mark.parametrize("off", [1.1e-8, -1.1e-8])
@pytest.mark.parametrize(
    ("name", "row"), [("global_transition", (2, 1)), ("local_transition", (3, 2, 4)), ("initial_global", ())]
)
def test_rows_off_by_more_than_the_tolerance_are_named(name: str, row: tuple[int, ...], off: float) -> None:
    change = put(name, (*row, 0), np.array(arguments(initial_global=[0.5, 0.25, 0.25])[name])[(*row, 0)] + off)
    where = f"row {list(row)}" if row else "its only row"
    message = f"{name} must have rows that sum to 1 within 1e-08; {where} sums to {change[name][row].sum()}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TabularGame(**arguments(**change))


@pytest.mark.parametrize("off", [0.9e-8, -0.9e-8])
@pytest.mark.parametrize(
    ("name", "row"), [("global_transition", (2, 1)), ("local_transition", (3, 2, 4)), ("initial_global", ())]
)
def test_rows_within_the_tolerance_are_rescaled(name: str, row: tuple[int, ...], off: float) -> None:
    change = put(name, (*row, 0), np.array(arguments(initial_global=[0.5, 0.25, 0.25])[name])[(*row, 0)] + off)
    array = getattr(TabularGame(**arguments(**change)), name)
    np.testing.assert_array_equal(array[row], change[name][row] / change[name][row].sum())
    assert abs(array[row].sum() - 1) <= 4 * np.finfo(float).eps


@pytest.mark.parametrize("discount", [0, 1, -1, 0.0, 1.0, 1 + 1e-9, np.nan, np.inf, 10**400])
def test_discounts_outside_the_open_interval_are_refused(discount: float) -> None:
    with pytest.raises(ValueError, match=f"^discount must lie strictly between 0 and 1; got {discount}$"):
        TabularGame(**arguments(discount=discount))


@pytest.mark.parametrize("discount", ["0.9", True, None, [0.9], 0.9j])
def test_discounts_that_are_no_numbers_are_refused(discount: Any) -> None:
    message = f"discount must be a number; got {discount!r} ({type(discount).__name__})"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        TabularGame(**arguments(discount=discount))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_no_numbers_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be an array of real numbers; got str"):
        TabularGame(**arguments(**{name: "uniform"}))


def test_bad_start_laws_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^initial_local must have one entry per local state \(4\); got 3$"):
        TabularGame(**arguments(initial_local=DirichletStart.symmetric(1, 3)))
    with pytest.raises(TypeError, match=r"^initial_local must be FixedStart\(probabilities\) or DirichletStart\("):
        TabularGame(**arguments(initial_local=[0.25] * 4))


@pytest.mark.parametrize("field", ["global_states", "local_states", "global_actions", "local_actions"])
def test_wrong_labels_are_refused(field: str) -> None:
    right = getattr(labels(), field)
    for wrong in (right[:-1], (*right, "more"), ()):
        message = f"labels.{field} must hold {len(right)} names; got {len(wrong)}: {wrong}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            TabularGame(**arguments(labels=labels(**{field: wrong})))
    for odd in ("abcde"[: len(right)], list(right), (*right[:-1], 3), None):
        message = f"labels.{field} must be a tuple of strings; got {odd!r}"
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            TabularGame(**arguments(labels=labels(**{field: odd})))


def test_labels_are_no_dictionary() -> None:
    with pytest.raises(TypeError, match=r"^labels must be a Labels object; got \{\}$"):
        TabularGame(**arguments(labels={}))


def test_rewards_bound_every_return() -> None:
    """The bound is that of the game shifted by the least reward of each part, if that is negative."""
    game = TabularGame(**arguments(global_reward=np.full((3, 2), 2.0), local_reward=np.full((4, 3, 5), -1.0)))
    assert game.reward_bound == 2.0 + 0.0  # r_l + 1 is 0 everywhere
    assert game.return_bound == (2.0 + 1.0) / (1 - game.discount)
    mixed = replace(game, **put("local_reward", (1, 1, 1), -3.0), global_reward=[[1, 2], [3, 4], [5, 6]], discount=0.75)
    largest = (4 * 3 * 5 - 1) / 7
    assert mixed.reward_bound == 6 + (largest + 3)
    assert mixed.value_bound == mixed.return_bound == (6 + largest + 3) / 0.25


def test_positive_rewards_are_not_shifted() -> None:
    game = TabularGame(**arguments(global_reward=np.full((3, 2), 2.0), local_reward=np.full((4, 3, 5), 5.0)))
    assert game.reward_bound == 7.0


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda game: pickle.loads(pickle.dumps(game))])
def test_copies_stay_read_only(again: Callable[[TabularGame], TabularGame]) -> None:
    game = TabularGame(**arguments(initial_local=DirichletStart.symmetric(0.3, SIZES["s_l"])))
    copied = again(game)
    for name in ARRAYS:
        assert np.array_equal(getattr(copied, name), getattr(game, name))
        assert not getattr(copied, name).flags.writeable
    assert isinstance(copied.initial_local, DirichletStart)
    assert not copied.initial_local.concentration.flags.writeable
