"""Policies as tables: what is refused, actions against the tables, and which game a policy fits."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from policy_tables import N_COLUMNS, SIZES, actions_policy, chances_policy, local_policy

from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.policies import GLOBAL_POLICY_NAMES, LOCAL_POLICY_NAMES, as_global_policy, as_local_policy

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]


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
