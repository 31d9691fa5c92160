"""Files of policies give back the same bits, and damaged or foreign ones are refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_tables import N_COLUMNS, SIZES, actions_policy, chances_policy, local_policy

from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.files import FORMAT_VERSION, write_npz
from kofn.envs.histograms import n_histograms
from kofn.envs.policies import GLOBAL_POLICY_NAMES

SUFFIXES = [".npz", ".json"]

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
