"""The oracle itself, against values worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from oracle import brute_force


class Arrays(SimpleNamespace):
    """A game by its attributes alone; told from others by identity, for what is kept of it."""

    __hash__ = object.__hash__


def game(**changes: object) -> Arrays:
    """s_g becomes a_g; agents copy the OLD s_g (action 1) or stay (action 0); discount 1/2."""
    copy_or_stay = np.zeros((2, 2, 2, 2))
    for x in range(2):
        for s_g in range(2):
            copy_or_stay[x, s_g, 0, x] = 1
            copy_or_stay[x, s_g, 1, s_g] = 1
    arrays = {
        "global_transition": np.tile(np.eye(2), (2, 1, 1)),
        "local_transition": copy_or_stay,
        "global_reward": np.array([[0.0, 10.0], [20.0, 30.0]]),
        "local_reward": np.arange(8.0).reshape(2, 2, 2),
        "discount": 0.5,
        "initial_global": np.array([1.0, 0.0]),
        "initial_local": SimpleNamespace(probabilities=np.array([0.25, 0.75])),
    }
    return Arrays(**(arrays | changes))


def test_count_vectors_are_lexicographic() -> None:
    assert brute_force.count_vectors(2, 2) == [(0, 2), (1, 1), (2, 0)]
    assert brute_force.rank((1, 0, 1), 2) == 1  # counts (1, 2) after (0, 3)


def test_a_step_uses_the_old_global_state() -> None:
    states = brute_force.joint_states(game(), 2)
    old = brute_force.next_law(game(), (0, 1, 1), 1, (1, 0))
    assert states[int(old.argmax())] == (1, 0, 1)
    assert old.max() == 1
    new = brute_force.next_law(game(), (0, 1, 1), 1, (1, 0), "code")
    assert states[int(new.argmax())] == (1, 1, 1)
    # r_g(0, 1) + mean of r_l(1, 0, 1) = 5 and r_l(1, 0, 0) = 4
    assert brute_force.reward(game(), (0, 1, 1), 1, (1, 0)) == pytest.approx(10 + 4.5)


def test_subsets_are_averaged() -> None:
    policy = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])  # k = 1: F = (0, 1), then (1, 0)
    # Two of three agents are in state 1, where the count vector is (0, 1), of rank 0.
    assert brute_force.global_law(policy, (0, 1, 0, 1), 2, 1) == pytest.approx([2 / 3, 1 / 3])


def test_start_laws() -> None:
    assert brute_force.start_law(game(), 2) == pytest.approx([0.0625, 0.1875, 0.1875, 0.5625, 0, 0, 0, 0])
    urn = game(initial_local=SimpleNamespace(concentration=np.array([1.0, 1.0])))
    # A uniform p: both agents in state 0 with probability E p^2 = 1/3.
    assert brute_force.start_law(urn, 2) == pytest.approx([1 / 3, 1 / 6, 1 / 6, 1 / 3, 0, 0, 0, 0])


def test_potential_of_constant_behaviour() -> None:
    # Always a_g = 0 from s_g = 0, agents stay: 0 + mean r_l(x, 0, 0) = 4 E[x] = 3 per step, twice that in all.
    always_zero = np.zeros((2, 2, 2))
    always_zero[:, :, 0] = 1
    stay = np.zeros((2, 2, 2))
    stay[:, :, 0] = 1
    assert brute_force.potential(game(), always_zero, stay, 3, 1) == pytest.approx(6)
    # The best reply is a_g = 1 at once and for ever: 10 + 3, then 30 + E[r_l(x, 1, 0)] = 30 + 2 + 3 per step.
    assert brute_force.optimal_potential(game(), stay, 2) == pytest.approx(13 + 35)


def test_best_local_response_is_the_best_of_all_maps() -> None:
    always_zero = np.zeros((2, 2, 2))
    always_zero[:, :, 0] = 1
    best, value = brute_force.best_local_response(game(), always_zero, 2, 1)
    # From x = 1 staying pays 4 for ever (8 in all); copying pays 5 once, then at most 1 per step (6 in all).
    assert best[1, 0].tolist() == [1, 0]
    # From x = 0 both actions stay at 0; copying pays 1 per step.
    assert best[0, 0].tolist() == [0, 1]
    assert value == pytest.approx(0.75 * 8 + 0.25 * 2)
    assert len(brute_force.deterministic_local_policies(game())) == 16
    assert len(brute_force.deterministic_global_policies(game(), 2)) == 64
