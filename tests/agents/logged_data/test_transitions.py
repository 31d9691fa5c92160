"""Logged transitions: what is counted of a log, and files."""

import copy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.logged_data.estimate_game import estimate_game
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.envs.files import write_npz

SIZES = SpaceSizes(2, 3, 4, 2)

# Two steps of four agents, D = {3, 1} and then {0, 2}; everything below is counted by hand.
STATES = (np.array([1, 0]), np.array([[0, 2, 2, 1], [2, 1, 0, 1]]))
ACTIONS = (np.array([3, 0]), np.array([[0, 1, 1, 0], [1, 1, 1, 0]]))
NEXT = (np.array([0, 1]), np.array([[2, 1, 0, 1], [2, 2, 2, 0]]))
SAMPLED = np.array([[3, 1], [0, 2]])
OWN = np.array([[1.0, 2.0, 4.0, 8.0], [16.0, 32.0, 64.0, 128.0]])
GLOBAL_REWARDS = np.array([0.5, 0.25])


def log(**changes: Any) -> Transitions:
    parts = {
        "states": STATES,
        "actions": ACTIONS,
        "rewards": (GLOBAL_REWARDS, OWN),
        "next_states": NEXT,
        "sizes": SIZES,
        "sampled": SAMPLED,
    }
    return Transitions.from_arrays(**{**parts, **changes})


def random_log(seed: int, n_steps: int = 20, own: bool = True, mean: float = 0.0) -> Transitions:
    rng = np.random.default_rng(seed)

    def joint(n_global: int, n_local: int) -> Any:
        return rng.integers(n_global, size=n_steps), rng.integers(n_local, size=(n_steps, 5))

    return Transitions.from_arrays(
        joint(2, 3),
        joint(4, 2),
        (rng.random(n_steps), mean + rng.random((n_steps, 5) if own else n_steps)),
        joint(2, 3),
        sizes=SIZES,
        sampled=np.array([rng.choice(5, 2, replace=False) for _ in range(n_steps)]),
    )


def assert_equal(first: Transitions, second: Transitions) -> None:
    for field in fields(Transitions):
        here, there = getattr(first, field.name), getattr(second, field.name)
        assert np.array_equal(here, there), field.name
        assert getattr(here, "dtype", None) == getattr(there, "dtype", None)


def test_rows_are_those_of_the_sampled_agents() -> None:
    found = log()
    assert (len(found), found.k, found.sizes) == (2, 2, SIZES)
    assert found.global_states.tolist() == [1, 0]
    assert found.global_actions.tolist() == [3, 0]
    assert found.next_global_states.tolist() == [0, 1]
    assert found.histograms.tolist() == [[0, 1, 1], [1, 0, 1]]
    assert found.sampled_counts.tolist() == [[[0, 0], [1, 0], [0, 1]], [[0, 1], [0, 0], [0, 1]]]
    # The same agents afterwards: 3 and 1 are both in 1, then 0 and 2 are both in 2.
    assert found.next_histograms.tolist() == [[0, 2, 0], [0, 0, 2]]
    assert found.global_rewards.tolist() == [0.5, 0.25]
    assert found.sampled_rewards.tolist() == [0.5 + (8 + 2) / 2, 0.25 + (16 + 64) / 2]


def test_moves_and_own_rewards_are_those_of_all_agents() -> None:
    found = log()
    moves, own = np.zeros((3, 2, 2, 3), dtype=int), np.zeros((2, 3, 2, 2))
    assert found.own_rewards is not None
    assert found.own_offsets is not None
    for t, i in np.ndindex(2, 4):
        row = STATES[1][t, i], STATES[0][t], ACTIONS[1][t, i]
        moves[(*row, NEXT[1][t, i])] += 1
        own[(0, *row)] += OWN[t, i] - found.own_offsets[row]
        own[(1, *row)] += (OWN[t, i] - found.own_offsets[row]) ** 2
        assert found.own_offsets[row] in OWN
    assert (found.local_moves == moves).all()
    assert found.local_moves.sum() == 8
    assert (found.own_rewards == own).all()


def test_surrogate_states_are_numbered_by_rank() -> None:
    states, next_states = log().surrogate_states
    ranks = brute_force.count_vectors(2, 3)
    assert states.tolist() == [6 + ranks.index((0, 1, 1)), ranks.index((1, 0, 1))]
    assert next_states.tolist() == [ranks.index((0, 2, 0)), 6 + ranks.index((0, 0, 2))]


def test_without_a_sample_everyone_is_meant() -> None:
    found = log(sampled=None)
    assert found.k == 4
    assert found.histograms.tolist() == [[1, 1, 2], [1, 2, 1]]
    assert found.sampled_rewards.tolist() == [0.5 + 15 / 4, 0.25 + 240 / 4]


def test_a_reward_of_the_sample_is_kept_as_it_is() -> None:
    found = log(rewards=(GLOBAL_REWARDS, np.array([3.0, 4.0])))
    assert found.sampled_rewards.tolist() == [3.0, 4.0]
    assert found.own_rewards is None


def test_arrays_are_copied_and_read_only() -> None:
    given = GLOBAL_REWARDS.copy()
    found = log(rewards=(given, OWN))
    given[:] = 9.0
    assert found.global_rewards.tolist() == [0.5, 0.25]
    for same in (found, copy.deepcopy(found)):
        with pytest.raises(ValueError, match="read-only"):
            same.local_moves[0, 0, 0, 0] = 1


def test_large_rewards_keep_their_standard_errors() -> None:
    """Own rewards around 10^8, whose squares lose the spread; also in logs of which one lacks rows of the other."""
    plain, large = (
        [random_log(seed, n_steps, mean=mean) for seed, n_steps in ((1, 2), (2, 200))] for mean in (0.0, 1e8)
    )
    assert (plain[0].local_moves.sum(axis=3) == 0).any()
    wanted, found = (
        estimate_game(Transitions.concatenate(logs), discount=0.9, on_unvisited="stay") for logs in (plain, large)
    )
    assert found.local_reward_error == pytest.approx(wanted.local_reward_error, rel=1e-6)
    assert found.game.local_reward == pytest.approx(wanted.game.local_reward + 1e8, abs=1e-7)


@pytest.mark.parametrize("own", [True, False])
def test_saved_and_loaded_is_bit_equal(tmp_path: Path, own: bool) -> None:
    saved = random_log(1, own=own)
    saved.save(tmp_path / "log.npz")
    assert_equal(saved, Transitions.load(tmp_path / "log.npz"))


def plain_sums(log: Transitions) -> Any:
    """Sums of the own rewards and of their squares, whatever the offsets."""
    assert log.own_rewards is not None
    (sums, squares), offsets, counts = log.own_rewards, log.own_offsets, log.local_moves.sum(axis=3)
    return np.stack([sums + counts * offsets, squares + 2 * offsets * sums + counts * offsets**2])


@pytest.mark.parametrize("own", [True, False])
def test_logs_add_up(own: bool) -> None:
    first, second = random_log(1, 7, own), random_log(2, 5, own)
    both = Transitions.concatenate([first, second])
    assert (len(both), both.k, both.sizes) == (12, 2, SIZES)
    for name in ("global_states", "sampled_counts", "sampled_rewards", "next_histograms", "global_rewards"):
        assert (getattr(both, name)[:7] == getattr(first, name)).all()
        assert (getattr(both, name)[7:] == getattr(second, name)).all()
    assert (both.local_moves == first.local_moves + second.local_moves).all()
    if own:
        assert plain_sums(both) == pytest.approx(plain_sums(first) + plain_sums(second), rel=1e-12)
    else:
        assert both.own_rewards is None
    assert_equal(Transitions.concatenate([first]), first)


def test_logs_of_different_kinds_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="logs must hold at least one Transitions; got none"):
        Transitions.concatenate([])
    with pytest.raises(ValueError, match=r"logs must agree in .* log 1 has \(SpaceSizes\(.*\), 2, False\)"):
        Transitions.concatenate([random_log(0), random_log(1, own=False)])
    with pytest.raises(ValueError, match=r"logs must agree in .* log 2 has \(SpaceSizes\(.*\), 4, True\)"):
        Transitions.concatenate([log(), log(), log(sampled=None)])


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    write_npz(tmp_path / "other.npz", "Transitions", global_states=np.array([0]))
    with pytest.raises(ValueError, match=r"other\.npz has no entry 'sampled_counts'; it is damaged"):
        Transitions.load(tmp_path / "other.npz")
    write_npz(tmp_path / "game.npz", "TabularGame", a=np.array([0]))
    with pytest.raises(ValueError, match="must hold a Transitions; it holds TabularGame"):
        Transitions.load(tmp_path / "game.npz")
    arrays = {field.name: getattr(log(), field.name) for field in fields(Transitions)}
    damaged = {**arrays, "n_global_actions": np.int64(2)}
    write_npz(tmp_path / "damaged.npz", "Transitions", **damaged)
    with pytest.raises(
        ValueError, match=r"damaged\.npz is damaged: global_actions must lie in \[0, 2\); entry \[0\] is 3"
    ):
        Transitions.load(tmp_path / "damaged.npz")


def spoilt(array: Any, index: Any, value: Any) -> Any:
    changed = np.array(array)
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"states": (STATES[0].astype(float), STATES[1])}, TypeError, r"states\[0\] must be an array of integers"),
        (
            {"states": (spoilt(STATES[0], 1, 2), STATES[1])},
            ValueError,
            r"states\[0\] must lie in \[0, 2\); entry \[1\] is 2",
        ),
        ({"states": (STATES[0], STATES[1][:1])}, ValueError, r"states\[1\] must have shape \[2, any\]; got \[1, 4\]"),
        ({"states": (STATES[0][:0], STATES[1][:0])}, ValueError, r"states\[0\] must have shape \[any\]; got \[0\]"),
        (
            {"states": (STATES[0], spoilt(STATES[1], (1, 2), 3))},
            ValueError,
            r"states\[1\] must lie in \[0, 3\); entry \[1, 2\] is 3",
        ),
        (
            {"actions": (ACTIONS[0], spoilt(ACTIONS[1], (0, 3), 2))},
            ValueError,
            r"actions\[1\] must lie in \[0, 2\); entry \[0, 3\] is 2",
        ),
        (
            {"actions": (spoilt(ACTIONS[0], 0, 4), ACTIONS[1])},
            ValueError,
            r"global_actions must lie in \[0, 4\); entry \[0\] is 4",
        ),
        (
            {"next_states": (spoilt(NEXT[0], 1, -1), NEXT[1])},
            ValueError,
            r"next_global_states must lie in \[0, 2\); entry \[1\] is -1",
        ),
        (
            {"next_states": (NEXT[0], spoilt(NEXT[1], (1, 1), 3))},
            ValueError,
            r"next_states\[1\] must lie in \[0, 3\); entry \[1, 1\] is 3",
        ),
        ({"rewards": (GLOBAL_REWARDS[:1], OWN)}, ValueError, r"rewards\[0\] must have shape \[2\]; got \[1\]"),
        ({"rewards": (GLOBAL_REWARDS, OWN[:, :3])}, ValueError, r"rewards\[1\] must have shape \[2, 4\]; got \[2, 3\]"),
        (
            {"rewards": (GLOBAL_REWARDS, np.array([0.0, np.nan]))},
            ValueError,
            r"sampled_rewards must be finite; entry \[1\] is nan",
        ),
        ({"sampled": spoilt(SAMPLED, (0, 0), 4)}, ValueError, r"sampled must lie in \[0, 4\); entry \[0, 0\] is 4"),
        (
            {"sampled": spoilt(SAMPLED, (1, 1), 0)},
            ValueError,
            r"sampled must name different agents in every row; row 1 is \[0, 0\]",
        ),
        ({"sampled": SAMPLED[:1]}, ValueError, r"sampled must have shape \[2, any\]; got \[1, 2\]"),
    ],
)
def test_logs_that_make_no_sense_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        log(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampled_counts": [[[0, 0], [1, 0], [0, 1]], [[0, 1], [0, 0], [0, 0]]]}, "row 1 counts 1"),
        (
            {"next_histograms": [[0, 2, 0], [0, 0, 3]]},
            r"next_histograms must count the k=2 agents of D .* row 1 counts 3",
        ),
        ({"sampled_counts": np.zeros((2, 3, 2), dtype=int)}, "k, the size of D, must be at least 1; got 0"),
        ({"next_histograms": [[0, 3, -1], [0, 0, 2]]}, r"next_histograms must be nonnegative; entry \[0, 2\] is -1"),
        ({"local_moves": np.zeros((3, 2, 2, 2), dtype=int)}, r"equal first and last axes; got shape \[3, 2, 2, 2\]"),
        ({"local_moves": np.full((3, 2, 2, 3), -1)}, r"local_moves must be nonnegative; entry \[0, 0, 0, 0\] is -1"),
        ({"global_states": [2, 0]}, r"global_states must lie in \[0, 2\); entry \[0\] is 2"),
        ({"n_global_actions": 0}, "n_global_actions must be at least 1; got 0"),
        ({"own_rewards": np.zeros((2, 3, 2))}, "own_rewards must have 4 axes"),
        ({"own_rewards": None}, "own_offsets must be omitted where own_rewards is"),
        ({"own_offsets": np.zeros((3, 2, 3))}, r"own_offsets must have shape"),
        ({"global_rewards": [0.0, np.inf]}, r"global_rewards must be finite; entry \[1\] is inf"),
    ],
)
def test_fields_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(log(), **changes)
