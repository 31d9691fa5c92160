"""TabularGame: what is refused and in which words, what is filled in, and files that give back the same bits."""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kofn.envs import DirichletStart, FixedStart, Labels, RewardLaw, TabularGame
from kofn.envs.files import FORMAT_VERSION, read_npz, write_npz
from kofn.envs.start_law import start_law_to_array

ARRAYS = ("global_transition", "local_transition", "global_reward", "local_reward", "initial_global")
SIZES = {"s_g": 3, "a_g": 2, "s_l": 4, "a_l": 5}


def arguments(**changes: Any) -> dict[str, Any]:
    """Arguments of a game with four different sizes, some replaced."""
    n_g, n_ag, n_l, n_al = SIZES.values()
    valid: dict[str, Any] = {
        "global_transition": np.full((n_g, n_ag, n_g), 1 / n_g),
        "local_transition": np.full((n_l, n_g, n_al, n_l), 1 / n_l),
        "global_reward": np.arange(n_g * n_ag).reshape(n_g, n_ag),
        "local_reward": np.arange(n_l * n_g * n_al).reshape(n_l, n_g, n_al) / 7,
        "discount": 0.9,
    }
    return valid | changes


def put(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    """The argument `name` with one entry replaced."""
    array = np.array(arguments(initial_global=[0.5, 0.25, 0.25])[name], dtype=float)
    array[index] = value
    return {name: array}


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(count))


def labels(**changes: Any) -> Labels:
    valid: dict[str, Any] = {
        "title": "t",
        "global_states": names("g", 3),
        "local_states": names("x", 4),
        "global_actions": names("a", 2),
        "local_actions": names("b", 5),
    }
    return Labels(**valid | changes)


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
    mixed = replace(game, **put("local_reward", (1, 1, 1), -3.0), global_reward=[[1, 2], [3, 4], [5, 6]], discount=0.75)
    largest = (4 * 3 * 5 - 1) / 7
    assert mixed.reward_bound == 6 + (largest + 3)
    assert mixed.value_bound == (6 + largest + 3) / 0.25


def test_positive_rewards_are_not_shifted() -> None:
    game = TabularGame(**arguments(global_reward=np.full((3, 2), 2.0), local_reward=np.full((4, 3, 5), 5.0)))
    assert game.reward_bound == 7.0


# --- stochastic rewards


def laws(seed: int = 0) -> dict[str, Any]:
    """Reward laws of three outcomes for the game of `arguments`, and no tables."""
    rng = np.random.default_rng(seed)
    n_g, n_ag, n_l, n_al = SIZES.values()
    shapes = {"global_reward": (n_g, n_ag), "local_reward": (n_l, n_g, n_al)}
    stochastic: dict[str, Any] = dict.fromkeys(shapes)
    for name, shape in shapes.items():
        stochastic[f"{name}_law"] = RewardLaw(rng.normal(size=(*shape, 3)), rng.dirichlet(np.ones(3), shape))
    return stochastic


def test_rewards_are_the_means_of_their_laws() -> None:
    """Tables omitted, given, or given up to 1e-8; a table within the tolerance is kept as it is."""
    stochastic = laws()
    game = TabularGame(**arguments(**stochastic))
    np.testing.assert_array_equal(game.global_reward, stochastic["global_reward_law"].mean)
    np.testing.assert_array_equal(game.local_reward, stochastic["local_reward_law"].mean)
    assert game.global_reward_law is stochastic["global_reward_law"]
    near = stochastic["local_reward_law"].mean + 0.9e-8
    game = TabularGame(**arguments(**stochastic | {"local_reward": near}))
    np.testing.assert_array_equal(game.local_reward, near)
    assert not game.local_reward.flags.writeable
    assert not game.global_reward.flags.writeable


@pytest.mark.parametrize("name", ["global_reward", "local_reward"])
def test_one_reward_may_be_stochastic_and_the_other_not(name: str) -> None:
    stochastic = {key: value for key, value in laws().items() if key.startswith(name)}
    game = TabularGame(**arguments(**stochastic))
    other = "local_reward" if name == "global_reward" else "global_reward"
    assert getattr(game, f"{name}_law") is stochastic[f"{name}_law"]
    assert getattr(game, f"{other}_law") is None
    np.testing.assert_array_equal(getattr(game, other), arguments()[other])


@pytest.mark.parametrize(("name", "index"), [("global_reward", (2, 1)), ("local_reward", (3, 1, 4))])
@pytest.mark.parametrize("off", [1.1e-8, -1.1e-8, 3.0])
def test_tables_that_are_not_the_means_are_refused(name: str, index: tuple[int, ...], off: float) -> None:
    stochastic = laws()
    mean = stochastic[f"{name}_law"].mean
    stochastic[name] = mean.copy()
    stochastic[name][index] += off
    message = (
        f"{name} must hold the means of {name}_law within 1e-08; entry {list(index)} is {stochastic[name][index]}, "
        f"the mean {mean[index]}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TabularGame(**arguments(**stochastic))


@pytest.mark.parametrize("name", ["global_reward", "local_reward"])
def test_a_reward_needs_a_table_or_a_law(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be given unless {name}_law is$"):
        TabularGame(**arguments(**{name: None}))
    with pytest.raises(TypeError, match=f"^{name}_law must be a RewardLaw; got ndarray$"):
        TabularGame(**arguments(**{f"{name}_law": np.zeros((3, 2, 1))}))


def test_laws_of_another_shape_are_refused() -> None:
    for shape in ((2, 3, 1), (3, 1, 1), (3, 1), (3, 2, 2, 1)):
        found = f"its values have shape {list(shape)}"
        message = f"global_reward_law must hold one law per entry of global_reward, [3, 2]; {found}"
        law = RewardLaw(np.zeros(shape), np.full(shape, 1 / shape[-1]))
        for table in (None, np.zeros((3, 2))):
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                TabularGame(**arguments(global_reward=table, global_reward_law=law))


def test_bounds_are_those_of_the_support() -> None:
    """Means of 0.5 and 2; what is paid reaches from -1 to 4 and from 2 to 2."""
    global_law = RewardLaw(np.tile([-1.0, 4.0, 90.0], (3, 2, 1)), np.tile([0.7, 0.3, 0.0], (3, 2, 1)))
    local_law = RewardLaw.certain(np.full((4, 3, 5), 2.0))
    stochastic: dict[str, Any] = {"global_reward": None, "local_reward": None}
    game = TabularGame(
        **arguments(**stochastic, global_reward_law=global_law, local_reward_law=local_law, discount=0.5)
    )
    assert game.reward_bound == (4 + 1) + 2
    assert game.value_bound == 14


def test_saved_laws_come_back_bit_equal(tmp_path: Path) -> None:
    for stochastic in (laws(1), {key: value for key, value in laws(2).items() if key.startswith("local")}):
        game = TabularGame(**arguments(**stochastic))
        game.save(tmp_path / "a.npz")
        loaded = TabularGame.load(tmp_path / "a.npz")
        assert_same_bits(loaded, game)
        for name in ("global_reward_law", "local_reward_law"):
            first, second = getattr(game, name), getattr(loaded, name)
            assert (first is None) == (second is None)
            if first is not None:
                assert first.values.tobytes() == second.values.tobytes()
                assert first.probabilities.tobytes() == second.probabilities.tobytes()
        loaded.save(tmp_path / "b.npz")
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_half_a_law_in_a_file_is_refused(tmp_path: Path) -> None:
    law = laws()["global_reward_law"]
    for part in ("values", "probabilities"):
        missing = "probabilities" if part == "values" else "values"
        path = saved(tmp_path, **{f"global_reward_law_{part}": getattr(law, part)})
        with pytest.raises(ValueError, match=rf"has no entry 'global_reward_law_{missing}'; it is damaged$"):
            TabularGame.load(path)


# --- files


def assert_same_bits(first: TabularGame, second: TabularGame) -> None:
    for name in ARRAYS:
        assert getattr(first, name).shape == getattr(second, name).shape
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes(), name
    assert first.discount == second.discount
    laws = [start_law_to_array(game.initial_local) for game in (first, second)]
    assert laws[0][0] == laws[1][0]
    assert laws[0][1].tobytes() == laws[1][1].tobytes()
    assert first.labels == second.labels


# numpy strips NULs from the end of a string, and surrogates are no text.
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


@st.composite
def games(draw: st.DrawFn) -> TabularGame:
    n_g, n_ag, n_l, n_al = (draw(st.integers(1, 3)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1e-300, 1.0, 1e80]))
    law = DirichletStart(rng.random(n_l) + 1e-3) if draw(st.booleans()) else FixedStart(rng.dirichlet(np.ones(n_l)))
    return TabularGame(
        global_transition=rng.dirichlet(np.ones(n_g), (n_g, n_ag)),
        local_transition=rng.dirichlet(np.full(n_l, 0.1), (n_l, n_g, n_al)),
        global_reward=scale * rng.normal(size=(n_g, n_ag)),
        local_reward=-scale * np.zeros((n_l, n_g, n_al)),
        discount=draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
        initial_global=rng.dirichlet(np.ones(n_g)),
        initial_local=law,
        labels=Labels(
            title=draw(text),
            global_states=tuple(draw(text) for _ in range(n_g)),
            local_states=tuple(draw(text) for _ in range(n_l)),
            global_actions=tuple(draw(text) for _ in range(n_ag)),
            local_actions=tuple(draw(text) for _ in range(n_al)),
        ),
    )


@given(game=games())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_saved_games_come_back_bit_equal(game: TabularGame, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "hypothesis-game.npz"
    game.save(path)
    assert_same_bits(TabularGame.load(path), game)


def test_games_of_the_library_come_back_bit_equal(
    warehouse3: TabularGame, random_game: Callable[..., TabularGame], tmp_path: Path
) -> None:
    for game in (warehouse3, random_game(1, n_global=3, n_local=4), TabularGame(**arguments())):
        path = tmp_path / "new folder" / "game"  # no suffix is added
        game.save(path)
        assert_same_bits(TabularGame.load(str(path)), game)


def test_the_same_game_gives_the_same_file(warehouse3: TabularGame, tmp_path: Path) -> None:
    warehouse3.save(tmp_path / "a.npz")
    TabularGame.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def saved(tmp_path: Path, **changes: Any) -> Path:
    """A game's file with some entries replaced, or left out (None)."""
    path = tmp_path / "game.npz"
    TabularGame(**arguments()).save(path)
    data = read_npz(path, "TabularGame") | changes
    write_npz(path, "TabularGame", **{name: array for name, array in data.items() if array is not None})
    return path


ENTRIES = (
    *ARRAYS, "discount", "initial_local", "initial_local_kind", "title",
    "label_global_states", "label_local_states", "label_global_actions", "label_local_actions",
)  # fmt: skip


def test_every_entry_is_listed(tmp_path: Path) -> None:
    assert set(read_npz(saved(tmp_path), "TabularGame")) == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_file_without_an_entry_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"game\.npz has no entry '{name}'; it is damaged$"):
        TabularGame.load(saved(tmp_path, **{name: None}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": np.float64(2.0)}, "discount must lie strictly between 0 and 1; got 2.0"),
        ({"discount": np.array([0.5, 0.6])}, "only "),
        ({"global_reward": np.zeros((3, 3))}, "global_reward must have shape [3, 2]; got [3, 3]"),
        ({"global_reward": np.array([["a"] * 2] * 3)}, "global_reward must be an array of real numbers"),
        ({"initial_local_kind": np.str_("poisson")}, "start law must be one of 'fixed', 'dirichlet'; got 'poisson'"),
        ({"initial_local": np.array([2.0, -1.0, 0.0, 0.0])}, "FixedStart.probabilities must be nonnegative"),
        ({"label_local_states": np.array(["a"])}, "labels.local_states must hold 4 names; got 1"),
    ],
)
def test_a_file_with_bad_content_is_refused_and_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"game\.npz is damaged: " + re.escape(message)):
        TabularGame.load(saved(tmp_path, **change))


def test_a_foreign_or_newer_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = read_npz(path, "TabularGame")
    write_npz(path, "LocalPolicy", **data)
    with pytest.raises(ValueError, match=r"game\.npz must hold a TabularGame; it holds LocalPolicy$"):
        TabularGame.load(path)
    newer = FORMAT_VERSION + 1
    with path.open("wb") as file:
        np.savez(file, kind=np.str_("TabularGame"), format_version=np.int64(newer), **data)  # type: ignore[arg-type]  # as in files.write_npz
    with pytest.raises(
        ValueError, match=rf"game\.npz has format version {newer}; this kofn reads up to {FORMAT_VERSION}"
    ):
        TabularGame.load(path)


def test_a_file_with_a_pickle_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = read_npz(path, "TabularGame") | {"global_reward": np.array([[None] * 2] * 3, dtype=object)}
    with path.open("wb") as file:
        np.savez(file, kind=np.str_("TabularGame"), format_version=np.int64(FORMAT_VERSION), **data)  # type: ignore[arg-type]  # as in files.write_npz
    with pytest.raises(ValueError, match=r"game\.npz is damaged or not a \.npz file \(Object arrays cannot be loaded"):
        TabularGame.load(path)


def test_damaged_files_are_refused_or_read_rightly(tmp_path: Path) -> None:
    """Bytes changed all over the file, and lengths cut off all over it."""
    path = saved(tmp_path)
    game, whole = TabularGame.load(path), path.read_bytes()
    changed = [whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :] for i in range(0, len(whole), 29)]
    cut = [whole[:i] for i in range(0, len(whole), 101)]
    refusals = []
    for content in changed + cut:
        path.write_bytes(content)
        try:
            found = TabularGame.load(path)
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert content in changed
            assert_same_bits(found, game)
    assert len(refusals) > len(cut)
    assert all(str(path) in refusal for refusal in refusals)


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        TabularGame.load(tmp_path / "none.npz")


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda game: pickle.loads(pickle.dumps(game))])
def test_copies_stay_read_only(again: Callable[[TabularGame], TabularGame]) -> None:
    game = TabularGame(**arguments(initial_local=DirichletStart.symmetric(0.3, SIZES["s_l"])))
    copied = again(game)
    for name in ARRAYS:
        assert np.array_equal(getattr(copied, name), getattr(game, name))
        assert not getattr(copied, name).flags.writeable
    assert isinstance(copied.initial_local, DirichletStart)
    assert not copied.initial_local.concentration.flags.writeable
