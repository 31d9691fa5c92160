"""Files of TabularGames give back the same bits, and damaged or foreign ones are refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from game_tables import ARRAYS, arguments, laws
from hypothesis import given, settings
from hypothesis import strategies as st

from kofn.envs import DirichletStart, FixedStart, Labels, TabularGame
from kofn.envs.files import FORMAT_VERSION, read_npz, write_npz
from kofn.envs.start_law import start_law_to_array


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
