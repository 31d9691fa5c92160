"""Policies: named ones against loops, actions against tables, files that give back the same bits."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.files import FORMAT_VERSION, write_npz
from kofn.envs.histograms import enumerate_histograms, n_histograms
from kofn.envs.policies import GLOBAL_POLICY_NAMES, LOCAL_POLICY_NAMES, as_global_policy, as_local_policy

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]
SUFFIXES = [".npz", ".json"]
SIZES = {"k": 2, "n_local_states": 3, "n_actions": 4}
N_COLUMNS = 6  # histograms of two agents over three states


def actions_policy(seed: int = 0, **sizes: int) -> GlobalPolicy:
    """Random actions at every (s_g, histogram), two global states."""
    n_columns = n_histograms(SIZES["k"], SIZES["n_local_states"])
    return GlobalPolicy(table=np.random.default_rng(seed).integers(0, 4, (2, n_columns)), **SIZES | sizes)


def chances_policy(seed: int = 0) -> GlobalPolicy:
    """Random distributions at every (s_g, histogram), two global states."""
    return GlobalPolicy(table=np.random.default_rng(seed).dirichlet(np.ones(4), (2, N_COLUMNS)), **SIZES)


def local_policy(seed: int = 0) -> LocalPolicy:
    return LocalPolicy(np.random.default_rng(seed).dirichlet(np.ones(3), (3, 2)))


# --- named policies


@pytest.fixture
def uneven(random_game: RandomGame) -> TabularGame:
    """Four different sizes."""
    return random_game(3, n_global=3, n_local=4, n_global_actions=5, n_local_actions=2)


def test_names_are_the_documented_ones() -> None:
    assert GLOBAL_POLICY_NAMES == ("uniform", "keep")
    assert LOCAL_POLICY_NAMES == ("uniform", "stay")


def test_uniform_policies(uneven: TabularGame) -> None:
    found = GlobalPolicy.named("uniform", uneven, 2)
    np.testing.assert_array_equal(found.table, np.full((3, 10, 5), 0.2))
    assert (found.k, found.n_local_states, found.n_actions, found.n_global_states) == (2, 4, 5, 3)
    assert not found.deterministic
    np.testing.assert_array_equal(LocalPolicy.named("uniform", uneven).table, np.full((4, 3, 2), 0.5))


def test_keep_takes_the_action_most_likely_to_keep_the_global_state(uneven: TabularGame) -> None:
    found = GlobalPolicy.named("keep", uneven, 3)
    assert found.deterministic
    assert found.table.shape == (3, 20)
    for s_g in range(3):
        chances = [uneven.global_transition[s_g, a_g, s_g] for a_g in range(5)]
        assert set(found.table[s_g].tolist()) == {chances.index(max(chances))}


def test_stay_takes_the_action_most_likely_to_keep_the_local_state(uneven: TabularGame) -> None:
    found = LocalPolicy.named("stay", uneven)
    for x in range(4):
        for s_g in range(3):
            chances = [uneven.local_transition[x, s_g, a, x] for a in range(2)]
            assert found.table[x, s_g].tolist() == [float(a == chances.index(max(chances))) for a in range(2)]


def test_named_policies_of_the_warehouse(warehouse3: TabularGame) -> None:
    """Keep: go to the zone one stands in. Stay: action 0."""
    np.testing.assert_array_equal(GlobalPolicy.named("keep", warehouse3, 2).table, np.arange(3)[:, None].repeat(6, 1))
    assert (LocalPolicy.named("stay", warehouse3).table[:, :, 0] == 1).all()


def test_constant_policies(uneven: TabularGame) -> None:
    found = GlobalPolicy.constant(uneven, 2, 4)
    np.testing.assert_array_equal(found.table, np.full((3, 10), 4))
    found.check_fits(uneven, 2)


@pytest.mark.parametrize(("action", "error"), [(5, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_constant_actions_out_of_range_are_refused(uneven: TabularGame, action: Any, error: type[Exception]) -> None:
    message = "between 0 and 4" if error is ValueError else "an integer"
    with pytest.raises(error, match=f"^action must be {message}; got {action}"):
        GlobalPolicy.constant(uneven, 2, action)


def test_unknown_names_are_refused(uneven: TabularGame) -> None:
    with pytest.raises(ValueError, match=r"^global_policy must be one of 'uniform', 'keep'; got 'stay'$"):
        GlobalPolicy.named("stay", uneven, 2)
    with pytest.raises(ValueError, match=r"^local_policy must be one of 'uniform', 'stay'; got 'keep'$"):
        LocalPolicy.named("keep", uneven)


# --- tables


def test_tables_are_read_only_copies() -> None:
    for policy in (actions_policy(), chances_policy(), local_policy()):
        given_table = np.array(policy.table)
        copy: Any = (
            LocalPolicy(given_table) if isinstance(policy, LocalPolicy) else GlobalPolicy(table=given_table, **SIZES)
        )
        given_table[...] = 0
        np.testing.assert_array_equal(copy.table, policy.table)
        with pytest.raises(ValueError, match="read-only"):
            copy.table[0] = 0


def test_actions_as_probabilities() -> None:
    policy = actions_policy()
    chances = policy.probabilities()
    assert chances.shape == (2, N_COLUMNS, 4)
    np.testing.assert_array_equal(chances.argmax(axis=-1), policy.table)
    np.testing.assert_array_equal(np.sort(chances, axis=-1), np.tile([0, 0, 0, 1], (2, N_COLUMNS, 1)))
    np.testing.assert_array_equal(chances_policy().probabilities(), chances_policy().table)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.zeros((2, 5), dtype=int), ValueError, "an action table must have shape [any, 6]; got [2, 5]"),
        (np.zeros((0, 6), dtype=int), ValueError, "an action table must have shape [any, 6]; got [0, 6]"),
        (np.zeros(6, dtype=int), ValueError, "an action table must have shape [any, 6]; got [6]"),
        (np.zeros((2, 6)), TypeError, "an action table must hold integers; got float64"),
        (np.zeros((2, 6), dtype=bool), TypeError, "an action table must hold integers; got bool"),
        ([[0] * 6, [0, 1, 4, -1, 0, 0]], ValueError, "actions must lie in [0, 4); entry [1, 2] is 4"),
        ([[0, -1] * 3], ValueError, "actions must lie in [0, 4); entry [0, 1] is -1"),
        (np.full((2, 6, 3), 1 / 3), ValueError, "global policy table must have shape [any, 6, 4]; got [2, 6, 3]"),
        (np.full((2, 6, 4), 0.3), ValueError, "global policy table must have rows that sum to 1 within 1e-08"),
        (np.full((2, 6, 4), np.nan), ValueError, "global policy table must be finite; entry [0, 0, 0] is nan"),
        (np.tile([1.5, -0.5, 0, 0], (2, 6, 1)), ValueError, "global policy table must be nonnegative (probabilities)"),
    ],
)  # fmt: skip
def test_bad_global_tables_are_refused(table: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        GlobalPolicy(table=table, **SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_bad_sizes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at least 1; got 0$"):
        actions_policy(**{name: 0})
    with pytest.raises(TypeError, match=rf"^{name} must be an integer; got 2\.0 \(float\)$"):
        actions_policy(**{name: 2.0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.full((3, 2), 0.5), ValueError, "local policy table must have 3 axes [any, any, any]; got shape [3, 2]"),
        (np.full((3, 2, 2), 0.6), ValueError, "local policy table must have rows that sum to 1 within 1e-08"),
        ([[[0.5, 0.5]], [[1.25, -0.25]]], ValueError, "local policy table must be nonnegative (probabilities)"),
        ("stay", TypeError, "local policy table must be an array of real numbers"),
    ],
)  # fmt: skip
def test_bad_local_tables_are_refused(table: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        LocalPolicy(table)


def test_local_policies_from_actions() -> None:
    policy = LocalPolicy.from_actions([[0, 2], [1, 1]], 3)
    np.testing.assert_array_equal(policy.table, [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]])


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, 1], ValueError, "local actions must have 2 axes [s_l, s_g]; got shape [2]"),
        ([[0, 3]], ValueError, "actions must lie in [0, 3); entry [0, 1] is 3"),
        ([[0.0, 1.0]], TypeError, "an action table must hold integers; got float64"),
    ],
)
def test_bad_local_actions_are_refused(actions: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        LocalPolicy.from_actions(actions, 3)


# --- acting


def test_global_actions_are_looked_up_by_rank() -> None:
    policy = actions_policy()
    histograms = enumerate_histograms(2, 3)
    for s_g in range(2):
        found = policy.act(np.full(N_COLUMNS, s_g), histograms, np.random.default_rng(0))
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, policy.table[s_g])
    mixed = policy.act(np.array([1, 0]), np.array([[2, 0, 0], [0, 0, 2]]))
    np.testing.assert_array_equal(mixed, [policy.table[1, 5], policy.table[0, 0]])


def test_without_a_generator_the_most_likely_action_is_taken() -> None:
    """The lowest on ties."""
    table = np.tile([0.1, 0.4, 0.1, 0.4], (1, N_COLUMNS, 1))
    table[0, 2] = [0.1, 0.1, 0.1, 0.7]
    found = GlobalPolicy(table=table, **SIZES).act(np.zeros(N_COLUMNS, dtype=int), enumerate_histograms(2, 3))
    np.testing.assert_array_equal(found, [1, 1, 3, 1, 1, 1])
    local = LocalPolicy([[[0.4, 0.2, 0.4]], [[0.2, 0.2, 0.6]]])
    np.testing.assert_array_equal(local.act(np.array([[0, 1], [1, 0]]), np.array(0)), [[0, 2], [2, 0]])


def test_stochastic_global_actions_follow_the_table(assert_law: AssertLaw) -> None:
    policy = chances_policy()
    histograms = np.tile([[2, 0, 0], [0, 1, 1]], (10_000, 1))
    global_states = np.tile([0, 1], 10_000)
    actions = policy.act(global_states, histograms, np.random.default_rng(1))
    assert_law(np.bincount(actions[::2], minlength=4), policy.table[0, 5])
    assert_law(np.bincount(actions[1::2], minlength=4), policy.table[1, 1])
    joint = np.bincount(actions[::2] * 4 + actions[1::2], minlength=16)
    assert_law(joint, np.outer(policy.table[0, 5], policy.table[1, 1]))


def test_stochastic_local_actions_follow_the_table(assert_law: AssertLaw) -> None:
    policy = local_policy()
    states = np.tile([[0, 2, 2]], (10_000, 1))
    global_states = np.tile([0, 1], 5000)[:, None]
    actions = policy.act(states, global_states, np.random.default_rng(2))
    assert actions.shape == states.shape
    for s_g in range(2):
        own = actions[s_g::2]
        assert_law(np.bincount(own[:, 0], minlength=3), policy.table[0, s_g])
        joint = np.bincount(own[:, 1] * 3 + own[:, 2], minlength=9)
        assert_law(joint, np.outer(policy.table[2, s_g], policy.table[2, s_g]))


def test_acting_is_reproducible() -> None:
    policy, histograms = chances_policy(), enumerate_histograms(2, 3)
    runs = [policy.act(np.ones(6, dtype=int), histograms, np.random.default_rng(3)).tolist() for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("histograms", "message"),
    [
        ([[2, 0, 0], [1, 1, 1]], "histograms must count the k=2 agents seen; row [1] is [1, 1, 1]"),
        ([[0, 0, 0], [1, 1, 0]], "histograms must count the k=2 agents seen; row [0] is [0, 0, 0]"),
        ([[2, 0], [1, 1]], "histograms must have 3 counts; got shape [2, 2]"),
        ([[3, -1, 0], [1, 1, 0]], "histograms must be nonnegative; entry [0, 1] is -1"),
    ],
)
def test_histograms_of_other_agents_are_refused(histograms: list[list[int]], message: str) -> None:
    for policy in (actions_policy(), chances_policy()):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            policy.act(np.array([0, 1]), np.array(histograms))


# --- fitting a game


@pytest.fixture
def fitting(random_game: RandomGame) -> TabularGame:
    """The game that the policies of this file are for: 2 global and 3 local states, 4 global and 3 local actions."""
    return random_game(4, n_local=3, n_global_actions=4, n_local_actions=3)


def test_fitting_policies_pass(fitting: TabularGame) -> None:
    actions_policy().check_fits(fitting)
    chances_policy().check_fits(fitting, n_agents=2)
    local_policy().check_fits(fitting)


@pytest.mark.parametrize("change", [{"n_global": 3}, {"n_local": 2}, {"n_global_actions": 3}])
def test_global_policies_of_another_game_are_refused(change: dict[str, int], random_game: RandomGame) -> None:
    sizes = {"n_global": 2, "n_local": 3, "n_global_actions": 4, "n_local_actions": 3} | change
    wanted = (sizes["n_global"], sizes["n_local"], sizes["n_global_actions"])
    message = f"the global policy must match the game's (|S_g|, |S_l|, |A_g|) = {wanted}; it has (2, 3, 4)"
    for check in (
        lambda game: actions_policy().check_fits(game),
        lambda game: as_global_policy(actions_policy(), game, 2),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            check(random_game(5, **sizes))


@pytest.mark.parametrize("change", [{"n_global": 3}, {"n_local": 2}, {"n_local_actions": 2}])
def test_local_policies_of_another_game_are_refused(change: dict[str, int], random_game: RandomGame) -> None:
    sizes = {"n_global": 2, "n_local": 3, "n_global_actions": 4, "n_local_actions": 3} | change
    wanted = [sizes["n_local"], sizes["n_global"], sizes["n_local_actions"]]
    message = f"the local policy must match the game's [|S_l|, |S_g|, |A_l|] = {wanted}; it has [3, 2, 3]"
    for check in (lambda game: local_policy().check_fits(game), lambda game: as_local_policy(local_policy(), game)):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            check(random_game(5, **sizes))


def test_seeing_more_agents_than_there_are_is_refused(fitting: TabularGame) -> None:
    with pytest.raises(ValueError, match=r"^the global policy observes k=2 agents, more than n_agents=1$"):
        actions_policy().check_fits(fitting, n_agents=1)


def test_policies_are_made_of_objects_names_and_tables(fitting: TabularGame) -> None:
    policy, local = actions_policy(), local_policy()
    assert as_global_policy(policy, fitting, 2) is policy
    assert as_local_policy(local, fitting) is local
    for name in GLOBAL_POLICY_NAMES:
        np.testing.assert_array_equal(
            as_global_policy(name, fitting, 2).table, GlobalPolicy.named(name, fitting, 2).table
        )
    for name in LOCAL_POLICY_NAMES:
        np.testing.assert_array_equal(as_local_policy(name, fitting).table, LocalPolicy.named(name, fitting).table)
    for table in (policy.table, chances_policy().table):
        made = as_global_policy(table.tolist(), fitting, 2)
        np.testing.assert_array_equal(made.table, table)
        assert made.k == 2
    np.testing.assert_array_equal(as_local_policy(local.table.tolist(), fitting).table, local.table)


def test_policies_of_another_k_are_refused(fitting: TabularGame) -> None:
    with pytest.raises(ValueError, match=r"^the global policy observes k=2 agents; k=3 was asked for$"):
        as_global_policy(actions_policy(), fitting, 3)
    with pytest.raises(ValueError, match=r"^an action table must have shape \[any, 10\]; got \[2, 6\]$"):
        as_global_policy(actions_policy().table, fitting, 3)


def test_odd_policies_are_refused(fitting: TabularGame) -> None:
    with pytest.raises(ValueError, match=r"^global_policy must be one of 'uniform', 'keep'; got 'best'$"):
        as_global_policy("best", fitting, 2)
    with pytest.raises(ValueError, match=r"^local_policy must be one of 'uniform', 'stay'; got 'best'$"):
        as_local_policy("best", fitting)
    with pytest.raises(TypeError, match=r"^local policy table must be an array of real numbers; got ndarray"):
        as_local_policy([[["a", "b", "c"]]], fitting)
    with pytest.raises(ValueError, match=r"^an action table must have shape \[any, 6\]; got \[\]$"):
        as_global_policy(None, fitting, 2)  # type: ignore[arg-type]


# --- files


Policy = GlobalPolicy | LocalPolicy


def assert_same_bits(found: Policy, policy: Policy) -> None:
    assert type(found) is type(policy)
    assert (found.table.dtype, found.table.shape) == (policy.table.dtype, policy.table.shape)
    assert found.table.tobytes() == policy.table.tobytes()
    if isinstance(policy, GlobalPolicy):
        assert [getattr(found, size) for size in SIZES] == [getattr(policy, size) for size in SIZES]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    n_global, n_local, n_actions, k = (draw(st.integers(1, 4)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sharpness = draw(st.sampled_from([0.01, 1.0, 100.0]))  # 0.01: entries down to 1e-300
    if draw(st.booleans()):
        return LocalPolicy(rng.dirichlet(np.full(n_actions, sharpness), (n_local, n_global)))
    shape = (n_global, n_histograms(k, n_local))
    chances = rng.dirichlet(np.full(n_actions, sharpness), shape)
    table: Any = chances if draw(st.booleans()) else rng.integers(0, n_actions, shape)
    return GlobalPolicy(table=table, k=k, n_local_states=n_local, n_actions=n_actions)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(policy=policies())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_saved_policies_come_back_bit_equal(
    suffix: str, policy: Policy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"hypothesis-policy{suffix}"
    policy.save(path)
    assert_same_bits(type(policy).load(path), policy)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_thirds_come_back_bit_equal(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / f"policy{suffix}"
    for policy in (LocalPolicy([[[1 / 3] * 3]]), LocalPolicy([[[0.1, 0.2, 0.7]]]), LocalPolicy([[[1, 0, 0]]])):
        policy.save(path)
        assert_same_bits(LocalPolicy.load(str(path)), policy)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sizes_that_are_numpy_integers_are_saved(suffix: str, tmp_path: Path) -> None:
    policy = actions_policy(**{name: np.int64(size) for name, size in SIZES.items()})  # type: ignore[arg-type]
    assert all(type(getattr(policy, name)) is int for name in SIZES)
    policy.save(tmp_path / f"policy{suffix}")
    assert_same_bits(GlobalPolicy.load(tmp_path / f"policy{suffix}"), policy)


def test_json_files_can_be_read_by_people(tmp_path: Path) -> None:
    actions_policy().save(tmp_path / "policy.json")
    content = json.loads((tmp_path / "policy.json").read_text())
    table = actions_policy().table.tolist()
    assert content == {"kind": "GlobalPolicy", "format_version": FORMAT_VERSION, **SIZES, "table": table}


@pytest.mark.parametrize("name", ["policy", "policy.txt", "policy.npz.gz", ".npz", "policy.JSON"])
def test_other_suffixes_are_refused(name: str, tmp_path: Path) -> None:
    suffix = Path(name).suffix
    message = f"^the suffix of a table's file must be one of '.npz', '.json'; got {suffix!r}$"
    for policy in (actions_policy(), local_policy()):
        with pytest.raises(ValueError, match=message):
            policy.save(tmp_path / name)
        with pytest.raises(ValueError, match=message):
            type(policy).load(tmp_path / name)
    assert not list(tmp_path.iterdir())


def write(path: Path, kind: str, content: dict[str, Any]) -> None:
    """A policy file with this content, whatever it is."""
    if path.suffix == ".npz":
        write_npz(path, kind, **{name: np.asarray(value) for name, value in content.items()})
    else:
        path.write_text(json.dumps({"kind": kind, "format_version": FORMAT_VERSION} | content))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("missing", ["table", *SIZES])
def test_files_without_an_entry_are_refused(suffix: str, missing: str, tmp_path: Path) -> None:
    content = {"table": [[0] * N_COLUMNS], **SIZES}
    write(tmp_path / f"policy{suffix}", "GlobalPolicy", content)
    GlobalPolicy.load(tmp_path / f"policy{suffix}")
    del content[missing]
    write(tmp_path / f"policy{suffix}", "GlobalPolicy", content)
    with pytest.raises(ValueError, match=rf"policy\{suffix} has no entry '{missing}'; it is damaged$"):
        GlobalPolicy.load(tmp_path / f"policy{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": [[4] * N_COLUMNS]}, "actions must lie in [0, 4); entry [0, 0] is 4"),
        ({"table": [[0] * 5]}, "an action table must have shape [any, 6]; got [1, 5]"),
        ({"table": [[0.5] * N_COLUMNS]}, "an action table must hold integers; got float64"),
        ({"table": [[[0.5] * 4] * N_COLUMNS]}, "global policy table must have rows that sum to 1"),
        ({"table": "gone"}, "an action table must have shape [any, 6]; got []"),
        ({"k": 2.5}, "k must be an integer; got"),
        ({"k": -2}, "k must be at least 1; got -2"),
        ({"n_actions": "many"}, "n_actions must be an integer; got"),
    ],
)
def test_files_with_bad_content_are_refused(suffix: str, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    content = {"table": [[0] * N_COLUMNS], **SIZES} | change
    write(tmp_path / f"policy{suffix}", "GlobalPolicy", content)
    with pytest.raises(ValueError, match=rf"policy\{suffix} is damaged: " + re.escape(message)):
        GlobalPolicy.load(tmp_path / f"policy{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_the_other_player_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"policy{suffix}"
    local_policy().save(path)
    with pytest.raises(ValueError, match=r"must hold a GlobalPolicy; it holds LocalPolicy$"):
        GlobalPolicy.load(path)
    actions_policy().save(path)
    with pytest.raises(ValueError, match=r"must hold a LocalPolicy; it holds GlobalPolicy$"):
        LocalPolicy.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_files_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"policy{suffix}"
    chances_policy().save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole.rstrip()), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"policy\{suffix} is (damaged|not a JSON file)"):
            GlobalPolicy.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must hold a GlobalPolicy; it holds a list"),
        ("{}", "must hold a GlobalPolicy; it holds something else"),
        ('{"kind": "GlobalPolicy", "format_version": 2}', "has format version 2; this kofn reads up to 1"),
        ('{"kind": "GlobalPolicy", "format_version": 1, "table": [[0], [0, 1]], "k": 1}', "is damaged: "),
        ('{"kind": "GlobalPolicy", "format_version": 1, "table": [[NaN]]', "is not a JSON file"),
    ],
)
def test_odd_json_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(ValueError, match=rf"policy\.json {re.escape(message)}"):
        GlobalPolicy.load(tmp_path / "policy.json")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_files_are_not_called_damaged(suffix: str, tmp_path: Path) -> None:
    for kind in (GlobalPolicy, LocalPolicy):
        with pytest.raises(FileNotFoundError, match="none"):
            kind.load(tmp_path / f"none{suffix}")


def test_the_games_own_policies_are_saved(warehouse3: TabularGame, tmp_path: Path) -> None:
    for name, k in ((name, k) for name in GLOBAL_POLICY_NAMES for k in (1, 10)):
        policy = GlobalPolicy.named(name, warehouse3, k)
        policy.save(tmp_path / "policy.json")
        assert_same_bits(GlobalPolicy.load(tmp_path / "policy.json"), policy)
