"""The formation game against the public configuration's functions, and a play that can be followed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from oracle import brute_force
from oracle.information import Fleet, blind_plans

from kofn.agents import evaluate
from kofn.envs import FixedStart, GlobalPolicy, LocalPolicy
from kofn.envs.formation import DEFAULTS, env, game, parallel_env

LEADER, FOLLOWER = range(-2, 3), range(-1, 2)


def test_everything_moves_as_in_the_configuration() -> None:
    """s_g' = clip(s_g + a_g), x' = clip(x + a_l - s_g), for certain."""
    found = game()
    assert found.global_transition.shape == (5, 5, 5)
    assert found.local_transition.shape == (3, 5, 3, 3)
    for s_g in LEADER:
        for a_g in LEADER:
            assert found.global_transition[s_g + 2, a_g + 2, min(max(s_g + a_g, -2), 2) + 2] == 1
        for x in FOLLOWER:
            for a_l in FOLLOWER:
                assert found.local_transition[x + 1, s_g + 2, a_l + 1, min(max(x + a_l - s_g, -1), 1) + 1] == 1


def test_everything_pays_as_in_the_configuration() -> None:
    found = game()
    for s_g in LEADER:
        for a_g in LEADER:
            expected = 1.0 + (0.2 if a_g == 0 else 0.1) + 0.1 * abs(s_g)
            np.testing.assert_allclose(found.global_reward[s_g + 2, a_g + 2], expected, rtol=1e-14)
        for x in FOLLOWER:
            for a_l in FOLLOWER:
                paid = (1.0 - abs(x)) + (0.5 - 0.1 * abs(a_l)) + (0.3 - 0.1 * abs(x - s_g))
                paid += 0.2 if abs(x - s_g) <= 1 else 0
                expected = max(0.1, paid)
                np.testing.assert_allclose(found.local_reward[x + 1, s_g + 2, a_l + 1], expected, rtol=1e-14)


def test_a_formation_at_rest_earns_the_same_for_ever() -> None:
    """Leader and followers at 0 and nobody steps: (1.2 + 2.0) / (1 - 0.9) = 32 but for the horizon."""
    found = game()
    rest = GlobalPolicy.constant(found, 5, 2), LocalPolicy.from_actions(np.ones((3, 5), dtype=int), 3)
    settled = replace(found, initial_global=np.eye(5)[2], initial_local=FixedStart(np.eye(3)[1]))
    returns = evaluate(settled, *rest, 14, horizon=200, n_rollouts=3, seed=0).returns
    np.testing.assert_allclose(returns, 32 * (1 - 0.9**200), rtol=1e-12)


def test_followers_that_stand_still_are_pushed_against_the_leader() -> None:
    """Under a leader at 1 who never steps, a follower that never steps is at -1 from the second step on."""
    pushed = np.linalg.matrix_power(game().local_transition[:, 3, 1], 2)
    np.testing.assert_array_equal(pushed, np.tile([1, 0, 0], (3, 1)))


@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_a_leader_that_looks_gains_little_over_followers_that_hold_formation(discount: float) -> None:
    """Of two followers, fully seen: the exact optimum over all joint states against the best blind plan, exactly."""
    found = game(discount)
    steps = [[min(max(s_g - x, -1), 1) + 1 for s_g in LEADER] for x in FOLLOWER]
    fleet = LocalPolicy.from_actions(steps, 3).table
    blind = blind_plans(Fleet(found, fleet), np.random.default_rng(0))[0].potential
    seeing = brute_force.optimal_potential(found, fleet, 2)
    assert -1e-9 < seeing - blind < 0.01


def test_defaults_are_the_configurations() -> None:
    found = game()
    assert found.discount == 0.9
    np.testing.assert_array_equal(found.initial_global, [0.2] * 5)
    assert isinstance(found.initial_local, FixedStart)
    np.testing.assert_array_equal(found.initial_local.probabilities, [1 / 3] * 3)
    np.testing.assert_allclose(found.reward_bound, 1.4 + 2.0, rtol=1e-14)
    assert (DEFAULTS.n_agents, DEFAULTS.max_cycles, DEFAULTS.k) == (14, 200, 5)


def test_labels_name_places_and_steps() -> None:
    labels = game().labels
    assert labels.global_states[0] == "leader at -2"
    assert labels.local_states == ("-1", "0", "1")
    assert labels.global_actions == ("step -2", "step -1", "step +0", "step +1", "step +2")
    assert labels.local_actions == ("step -1", "step +0", "step +1")


def test_sizes_reach_the_environment() -> None:
    made = parallel_env(discount=0.5, n_agents=4, max_cycles=2)
    assert (made.game.discount, made.n_agents, made.max_cycles) == (0.5, 4, 2)
    assert (parallel_env().n_agents, parallel_env().max_cycles) == (14, 200)
    assert env(n_agents=2).possible_agents == ["global_0", "local_0", "local_1"]
