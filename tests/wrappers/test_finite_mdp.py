"""Finite MDPs as padded arrays, and the transformation that makes rewards a function of the state."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from kofn.wrappers import FiniteMDP
from kofn.wrappers.finite_mdp import with_deciding_states


def make_mdp(seed: int, n_states: int = 5, n_actions: int = 3, width: int = 2) -> FiniteMDP:
    """Random; successors may repeat within a row, and some entries are padding."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(width), (n_states, n_actions))
    probabilities[0, 0] = np.eye(width)[0]
    return FiniteMDP(
        successors=rng.integers(n_states, size=(n_states, n_actions, width)),
        probabilities=probabilities,
        rewards=rng.random((n_states, n_actions)),
        start=rng.dirichlet(np.ones(n_states)),
    )


def dense_by_loops(mdp: FiniteMDP) -> np.ndarray:
    transition = np.zeros((mdp.n_states, mdp.n_actions, mdp.n_states))
    for s in range(mdp.n_states):
        for a in range(mdp.n_actions):
            for j in range(mdp.n_successors):
                transition[s, a, mdp.successors[s, a, j]] += mdp.probabilities[s, a, j]
    return transition


@pytest.mark.parametrize("seed", range(3))
def test_operations_agree_with_loops(seed: int) -> None:
    mdp, rng = make_mdp(seed, width=4), np.random.default_rng(seed)
    transition, values = dense_by_loops(mdp), rng.random(mdp.n_states)
    assert (mdp.n_states, mdp.n_actions, mdp.n_successors) == (5, 3, 4)
    np.testing.assert_allclose(mdp.dense(), transition, rtol=0, atol=1e-15)
    np.testing.assert_allclose(mdp.expect(values), transition @ values, rtol=0, atol=1e-15)
    policy = rng.dirichlet(np.ones(3), 5)
    policy[1] = [0, 1, 0]
    moves, paid = mdp.under(policy)
    np.testing.assert_allclose(moves.toarray(), np.einsum("sa,sap->sp", policy, transition), rtol=0, atol=1e-15)
    np.testing.assert_allclose(paid, [policy[s] @ mdp.rewards[s] for s in range(5)], rtol=0, atol=1e-15)


def test_impossible_moves_take_no_room() -> None:
    mdp = make_mdp(0)
    deterministic = np.eye(3)[np.zeros(5, dtype=int)]
    moves, _ = mdp.under(deterministic)
    assert moves[[0]].nnz == 1, "the padding of row (0, 0) is left out, and so are the actions not taken"


def test_from_dense_keeps_the_support_only() -> None:
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 2] = 1
    transition[0, 1, [0, 2]] = 0.25, 0.75
    transition[1:, :, 1] = 1
    mdp = FiniteMDP.from_dense(transition, np.arange(6.0).reshape(3, 2), np.array([1.0, 0, 0]))
    assert mdp.n_successors == 2
    assert mdp.successors[0, 1].tolist() == [0, 2]
    assert mdp.probabilities[0].tolist() == [[1, 0], [0.25, 0.75]]
    np.testing.assert_array_equal(mdp.dense(), transition)


@pytest.mark.parametrize("seed", range(3))
def test_deciding_states_by_definition(seed: int) -> None:
    mdp = make_mdp(seed)
    split = with_deciding_states(mdp)
    n, n_actions = mdp.rewards.shape
    assert split.n_states == n * (1 + n_actions)
    assert split.start.tolist() == [*mdp.start, *[0] * (n * n_actions)]
    original, transition = mdp.dense(), split.dense()
    assert not split.rewards[:n].any()
    for s in range(n):
        for a in range(n_actions):
            node = n + s * n_actions + a
            assert transition[s, a, node] == 1
            for ignored in range(n_actions):
                assert split.rewards[node, ignored] == mdp.rewards[s, a]
                np.testing.assert_allclose(transition[node, ignored, :n], original[s, a], rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_deciding_states_keep_values(seed: int) -> None:
    """Weights w_tau of a horizon become w_floor(tau/2) of twice the horizon; checked by matrix products."""
    mdp, rng = make_mdp(seed), np.random.default_rng(seed)
    split = with_deciding_states(mdp)
    weights, policy = rng.random(6), rng.dirichlet(np.ones(3), 5)
    moves, paid = mdp.under(policy)
    law, value = mdp.start, 0.0
    for weight in weights:
        value += weight * (law @ paid)
        law = law @ moves.toarray()
    # What is played in a node (x, a) must not matter.
    doubled = np.concatenate([policy, rng.dirichlet(np.ones(3), 15)])
    moves, paid = split.under(doubled)
    law, split_value = split.start, 0.0
    for step in range(12):
        split_value += weights[step // 2] * (law @ paid)
        law = law @ moves.toarray()
    assert split_value == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda mdp: pickle.loads(pickle.dumps(mdp))], ids=["copy", "pickle"])
def test_arrays_are_copied_and_stay_read_only(clone: Any) -> None:
    rewards = np.zeros((2, 1))
    successors = np.zeros((2, 1, 1), dtype=np.int8)
    mdp = FiniteMDP(successors=successors, probabilities=np.ones((2, 1, 1)), rewards=rewards, start=np.array([1, 0]))
    rewards[0], successors[0] = 7, 1
    assert mdp.rewards[0, 0] == mdp.successors[0, 0, 0] == 0
    assert mdp.successors.dtype == np.int64
    for one in (mdp, clone(mdp)):
        for name in ("successors", "probabilities", "rewards", "start"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(one, name)[:] = 0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"successors": np.zeros((2, 1, 2))}, TypeError, "successors must be integers; got dtype float64"),
        (
            {"successors": np.zeros((2, 1, 1), dtype=int)},
            ValueError,
            r"successors must have the shape of probabilities, \[2, 1, 2\]; got \[2, 1, 1\]",
        ),
        (
            {"successors": np.array([[[0, 1]], [[0, 2]]])},
            ValueError,
            r"successors must lie in 0\.\.1; entry \[1, 0, 1\] is 2",
        ),
        (
            {"successors": np.array([[[0, -1]], [[0, 1]]])},
            ValueError,
            r"successors must lie in 0\.\.1; entry \[0, 0, 1\] is -1",
        ),
        ({"probabilities": np.full((2, 1, 2), 0.6)}, ValueError, r"probabilities must have rows that sum to 1"),
        ({"probabilities": np.full((2, 2), 0.5)}, ValueError, "probabilities must have 3 axes"),
        ({"rewards": np.zeros((2, 2))}, ValueError, r"rewards must have shape \[2, 1\]; got \[2, 2\]"),
        ({"rewards": np.array([[0], [np.nan]])}, ValueError, r"rewards must be finite; entry \[1, 0\] is nan"),
        ({"start": np.array([0.5, 0.6])}, ValueError, "start must have rows that sum to 1"),
        ({"start": np.ones(1)}, ValueError, r"start must have shape \[2\]; got \[1\]"),
    ],
)
def test_bad_arrays_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arrays: dict[str, Any] = {
        "successors": np.array([[[0, 1]], [[0, 1]]]),
        "probabilities": np.full((2, 1, 2), 0.5),
        "rewards": np.zeros((2, 1)),
        "start": np.array([1.0, 0.0]),
    }
    FiniteMDP(**arrays)
    with pytest.raises(error, match=message):
        FiniteMDP(**{**arrays, **changes})
