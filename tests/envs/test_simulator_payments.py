"""Time and payments in both simulators, worked out by hand."""

import itertools
from typing import Any

import numpy as np
import pytest
from two_simulators import BOTH, TIMINGS, advance, counts_of, place, started

from kofn.envs import IndividualSimulator, LumpedSimulator, TabularGame
from kofn.envs.simulator import LocalTiming


def clockwork() -> TabularGame:
    """s_g' = a_g for certain; a local agent with action 1 goes to the global state it sees, with action 0 it stays."""
    local_transition = np.zeros((2, 2, 2, 2))
    for x, g in itertools.product(range(2), repeat=2):
        local_transition[x, g, 0, x] = local_transition[x, g, 1, g] = 1
    return TabularGame(
        global_transition=np.tile(np.eye(2), (2, 1, 1)),
        local_transition=local_transition,
        global_reward=[[1000, 2000], [3000, 4000]],
        local_reward=[[[1, 10], [2, 20]], [[4, 40], [8, 80]]],  # [s_l, s_g, a_l]
        discount=0.5,
    )


FOLLOW = np.tile([0.0, 1.0], (2, 2, 1))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(("timing", "expected"), [("paper", [3, 0]), ("code", [0, 3])])
def test_local_agents_see_the_old_global_state(make: Any, timing: LocalTiming, expected: list[int]) -> None:
    """s_g goes from 0 to 1 while all follow it: to 0 with the old state, to 1 with the new one."""
    simulator = started(make, clockwork(), 3, local_timing=timing)
    place(simulator, 0, (0, 1, 1))
    advance(simulator, np.array([1]), FOLLOW, np.random.default_rng(0))
    assert simulator.global_states.tolist() == [1]
    assert counts_of(simulator).tolist() == [expected]


@pytest.mark.parametrize("timing", TIMINGS)
def test_payments_are_for_the_states_and_actions_before_the_move(timing: LocalTiming) -> None:
    simulator = started(IndividualSimulator, clockwork(), 4, n_populations=2, local_timing=timing)
    place(simulator, [0, 1], [(0, 0, 1, 1), (0, 1, 1, 1)])
    payment = simulator.step(np.array([1, 0]), np.array([[0, 1, 0, 1], [1, 1, 0, 0]]))
    np.testing.assert_array_equal(simulator.local_rewards, [[1, 10, 4, 40], [20, 80, 8, 8]])
    np.testing.assert_array_equal(payment.global_reward, [2000, 3000])
    np.testing.assert_array_equal(payment.local_reward_mean, [55 / 4, 116 / 4])
    np.testing.assert_array_equal(payment.team_reward, [2000 + 55 / 4, 3000 + 116 / 4])


@pytest.mark.parametrize("timing", TIMINGS)
def test_lumped_payments_are_for_the_states_and_actions_before_the_move(timing: LocalTiming) -> None:
    simulator = started(LumpedSimulator, clockwork(), 4, n_populations=2, local_timing=timing)
    place(simulator, [0, 1], [(0, 0, 1, 1), (0, 1, 1, 1)])
    by_state = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])  # [s_l, s_g]: actions 0, 1 and 1, 0
    payment = simulator.step(np.array([1, 0]), by_state)
    np.testing.assert_array_equal(payment.global_reward, [2000, 3000])
    np.testing.assert_array_equal(payment.local_reward_mean, [(1 + 1 + 40 + 40) / 4, (20 + 3 * 8) / 4])
    np.testing.assert_array_equal(payment.team_reward, payment.global_reward + payment.local_reward_mean)


def test_lumped_payments_are_for_the_actions_that_moved() -> None:
    """In the clockwork game the move tells the actions: an agent leaves state 1 exactly if it took action 1."""
    simulator = started(LumpedSimulator, clockwork(), 6, n_populations=500)
    place(simulator, 0, (1,) * 6)
    payment = simulator.step(np.zeros(500, dtype=np.int64), np.full((2, 2, 2), 0.5))
    left = simulator.counts[:, 0]
    assert len(set(left.tolist())) > 3
    np.testing.assert_array_equal(payment.local_reward_mean, (40 * left + 4 * (6 - left)) / 6)
