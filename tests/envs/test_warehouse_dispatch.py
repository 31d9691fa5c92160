"""The warehouse against its formulas written out number by number, and the reward figures of the paper's Table 3."""

import math

import numpy as np
import pytest

from kofn.envs import DirichletStart
from kofn.envs.warehouse_dispatch import DEFAULTS, game, parallel_env

SIZES = [2, 3, 5, 8]
# Logits stay below 8, so rounding them moves an exponential by 4 eps; then a sum of at most 8 and a quotient, each
# within 4 eps more.
ROUNDING = 16 * np.finfo(float).eps


def softmax(logits: list[float]) -> list[float]:
    total = sum(math.exp(x) for x in logits)
    return [math.exp(x) / total for x in logits]


@pytest.mark.parametrize("z", SIZES)
def test_the_dispatcher_moves_by_the_stated_law(z: int) -> None:
    """P_g(j | s_g, a_g) ~ exp(3.0 [j = a_g] + 0.5 [j = s_g])."""
    found = game(z).global_transition
    assert found.shape == (z, z, z)
    for s_g in range(z):
        for a_g in range(z):
            logits = [3.0 * (j == a_g) + 0.5 * (j == s_g) for j in range(z)]
            np.testing.assert_allclose(found[s_g, a_g], softmax(logits), rtol=ROUNDING)


@pytest.mark.parametrize("z", SIZES)
def test_robots_move_by_the_stated_law(z: int) -> None:
    """P_l(j | x, s_g, a) ~ exp(3.5 [j = x] + 1.5 [a = 1, j = x+1] + 1.5 [a = 2, j = x-1] + 0.3 [j = s_g])."""
    found = game(z).local_transition
    assert found.shape == (z, z, 3, z)
    for x in range(z):
        for s_g in range(z):
            for a in range(3):
                logits = [0.0] * z
                logits[x] += 3.5
                logits[s_g] += 0.3
                if a == 1:
                    logits[(x + 1) % z] += 1.5
                if a == 2:
                    logits[(x - 1) % z] += 1.5
                np.testing.assert_allclose(found[x, s_g, a], softmax(logits), rtol=ROUNDING)


@pytest.mark.parametrize("z", SIZES)
def test_rewards_are_as_stated(z: int) -> None:
    """r_g = 1; r_l = 10 in the dispatcher's zone, else 2 / (1 + ring distance), plus (0, 0.5, -0.3)[a]."""
    found = game(z)
    assert (found.global_reward == 1).all()
    assert found.global_reward.shape == (z, z)
    assert found.local_reward.shape == (z, z, 3)
    for x in range(z):
        for s_g in range(z):
            steps_up, steps_down = (s_g - x) % z, (x - s_g) % z
            place = 10.0 if x == s_g else 2 / (1 + min(steps_up, steps_down))
            np.testing.assert_array_equal(found.local_reward[x, s_g], [place, place + 0.5, place - 0.3])


def test_reward_figures() -> None:
    """r~_g = 1, r~_l = 10.5; the least local reward is 2/3 - 0.3 > 0 (two zones apart, going down)."""
    found = game()
    assert found.reward_bound == 11.5
    assert found.local_reward.min() == 2 / 3 - 0.3
    # The discount is off 0.95 by half a unit in the last place, so 1 - 0.95 by 20 times as much, relatively.
    np.testing.assert_allclose(found.value_bound, 230.0, rtol=20 * np.finfo(float).eps)


@pytest.mark.parametrize("z", SIZES)
def test_the_ring_has_no_first_zone(z: int) -> None:
    """Turning every zone by one changes nothing."""
    found = game(z)
    for axes, array in (
        ((0, 1, 2), found.global_transition),
        ((0, 1, 3), found.local_transition),
        ((0, 1), found.local_reward),
    ):
        # Sums over zones are taken in another order: rounding differs by a few units in the last place.
        np.testing.assert_allclose(np.roll(array, (1,) * len(axes), axes), array, rtol=ROUNDING)


def test_defaults_are_the_papers() -> None:
    found = game()
    assert (found.n_global_states, found.n_global_actions, found.n_local_states, found.n_local_actions) == (5, 5, 5, 3)
    assert found.discount == 0.95
    np.testing.assert_array_equal(found.initial_global, [0.2] * 5)
    assert isinstance(found.initial_local, DirichletStart)
    np.testing.assert_array_equal(found.initial_local.concentration, [0.3] * 5)
    assert (DEFAULTS.n_agents, DEFAULTS.max_cycles) == (1000, 100)


def test_labels_name_zones_and_moves() -> None:
    labels = game(3).labels
    assert labels.global_states == labels.local_states == ("zone 0", "zone 1", "zone 2")
    assert labels.global_actions == ("go to zone 0", "go to zone 1", "go to zone 2")
    assert labels.local_actions == ("stay", "up", "down")


def test_sizes_reach_the_environment() -> None:
    parallel = parallel_env(n_zones=3, discount=0.5, n_agents=4, max_cycles=2)
    assert (parallel.game.n_local_states, parallel.game.discount) == (3, 0.5)
