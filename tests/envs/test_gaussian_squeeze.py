"""The structured Gaussian squeeze against its formulas written out number by number."""

import math
from typing import Any

import numpy as np
import pettingzoo
import pytest
from scipy.stats import binom

from kofn.envs import DirichletStart, PopulationEnv
from kofn.envs.gaussian_squeeze import DEFAULTS, env, game, native_reward, parallel_env
from kofn.wrappers import SubsampleObservation

SIZES = [(2, 1), (5, 4), (10, 4)]
ROUNDING = 16 * np.finfo(float).eps
every_size = pytest.mark.parametrize(("n_levels", "target"), SIZES)


@every_size
def test_the_quota_moves_by_the_stated_law(n_levels: int, target: int) -> None:
    """P_g(j | q, a_g) ~ exp(3.0 [j = a_g] + 0.5 [j = q])."""
    found = game(n_levels, target).global_transition
    assert found.shape == (n_levels, n_levels, n_levels)
    for q in range(n_levels):
        for a_g in range(n_levels):
            weights = [math.exp(3.0 * (j == a_g) + 0.5 * (j == q)) for j in range(n_levels)]
            np.testing.assert_allclose(found[q, a_g], np.array(weights) / sum(weights), rtol=ROUNDING)


@every_size
def test_loads_move_by_the_stated_law(n_levels: int, target: int) -> None:
    """x' = clip(x + a - 1) with probability 0.9, else x, whatever the quota."""
    found = game(n_levels, target).local_transition
    assert found.shape == (n_levels, n_levels, 3, n_levels)
    for x in range(n_levels):
        for a in range(3):
            law = np.zeros(n_levels)
            law[x] += 0.1
            law[min(max(x + a - 1, 0), n_levels - 1)] += 0.9
            for q in range(n_levels):
                np.testing.assert_allclose(found[x, q, a], law, rtol=ROUNDING)


@every_size
def test_rewards_are_as_stated(n_levels: int, target: int) -> None:
    """r_g = 0.5 [a_g = q]; r_l = x/(L-1) exp(-(x-q)^2/1.5^2) exp(-(q-T)^2/3^2)."""
    found = game(n_levels, target)
    np.testing.assert_array_equal(found.global_reward, 0.5 * np.eye(n_levels))
    assert found.local_reward.shape == (n_levels, n_levels, 3)
    for x in range(n_levels):
        for q in range(n_levels):
            expected = x / (n_levels - 1) * math.exp(-((x - q) ** 2) / 2.25) * math.exp(-((q - target) ** 2) / 9)
            np.testing.assert_allclose(found.local_reward[x, q], [expected] * 3, rtol=4 * ROUNDING)


def test_a_fleet_that_raises_its_load_has_made_a_binomial_number_of_steps() -> None:
    """From 0, after t steps, min(Bin(t, 0.9), L-1): solved by hand."""
    raises = game().local_transition[:, 3, 2]
    for t in (1, 5, 12):
        law = binom.pmf(np.arange(t + 1), t, 0.9)
        expected = np.zeros(10)
        np.add.at(expected, np.minimum(np.arange(t + 1), 9), law)
        np.testing.assert_allclose(np.linalg.matrix_power(raises, t)[0], expected, atol=1e-14)


def test_the_best_quota_for_a_crowd_that_follows_lies_above_the_target() -> None:
    """x/9 exp(-(x-4)^2/9) at x = q: 5 e^(-1/9) = 4.474 beats 4 and 6 e^(-4/9) = 3.847."""
    together = np.diagonal(game().local_reward[:, :, 0])
    assert together.argmax() == 5
    np.testing.assert_allclose(9 * together[[4, 5, 6]], [4, 5 * math.exp(-1 / 9), 6 * math.exp(-4 / 9)], rtol=1e-14)
    # r~ = 0.5 + the largest reward of a vehicle, 5/9 e^(-1/9).
    np.testing.assert_allclose(game().reward_bound, 0.5 + 5 / 9 * math.exp(-1 / 9), rtol=1e-14)


def test_defaults_are_those_of_the_docstring() -> None:
    found = game()
    assert (found.n_global_states, found.n_global_actions, found.n_local_states, found.n_local_actions) == (
        10,
        10,
        10,
        3,
    )
    assert found.discount == 0.95
    np.testing.assert_array_equal(found.initial_global, [0.1] * 10)
    assert isinstance(found.initial_local, DirichletStart)
    np.testing.assert_array_equal(found.initial_local.concentration, [0.3] * 10)
    assert (DEFAULTS.n_agents, DEFAULTS.max_cycles, DEFAULTS.k) == (1000, 100, 4)


def test_labels_name_quotas_and_loads() -> None:
    labels = game(3, 1).labels
    assert labels.global_states == ("quota 0", "quota 1", "quota 2")
    assert labels.local_states == ("0", "1", "2")
    assert labels.global_actions == ("announce 0", "announce 1", "announce 2")
    assert labels.local_actions == ("lower", "keep", "raise")


def test_native_reward_is_the_original_games_per_vehicle() -> None:
    """X exp(-((X - mu)/sigma)^2) / n with X the sum of loads, mu = n T, sigma = n."""
    loads = np.array([0, 3, 9, 4, 4, 1])
    n, total = len(loads), int(loads.sum())
    expected = total * math.exp(-(((total - n * 4) / n) ** 2)) / n
    np.testing.assert_allclose(native_reward(loads, 4), expected, rtol=1e-14)
    assert native_reward(np.full(7, 4), 4) == 4


@pytest.mark.parametrize("k", [None, 2])
def test_infos_log_the_native_reward_of_the_loads_that_were_paid_for(k: int | None) -> None:
    played: Any = parallel_env(n_levels=6, target=2, n_agents=50, max_cycles=8)
    if k is not None:
        played = SubsampleObservation(played, k)
    population = played.unwrapped
    assert isinstance(population, PopulationEnv)
    _, infos = played.reset(seed=1)
    assert "native_reward" not in infos["global_0"]
    logged = []
    while played.agents:
        loads = population.simulator.local_states[0].copy()
        *_, infos = played.step(dict.fromkeys(played.agents, 0))
        logged.append(infos["global_0"]["native_reward"])
        assert logged[-1] == native_reward(loads, 2)
        assert ("reward_sampled" in infos["global_0"]) == (k is not None)
    assert len(set(logged)) > 3, "loads did not move"


def test_logging_changes_nothing_else() -> None:
    logged, plain = parallel_env(n_agents=4, max_cycles=3), PopulationEnv(game(), 4, max_cycles=3)
    first, second = logged.reset(seed=1)[0], plain.reset(seed=1)[0]
    for _ in range(3):
        for agent, seen in first.items():
            np.testing.assert_array_equal(seen, second[agent])
        actions = dict.fromkeys(logged.agents, 1)
        (first, *ours, our_infos), (second, *theirs, their_infos) = logged.step(actions), plain.step(actions)
        assert ours == theirs
        del our_infos["global_0"]["native_reward"]
        assert our_infos == their_infos


def test_steps_outside_an_episode_are_refused() -> None:
    made = parallel_env(n_agents=2, max_cycles=1)
    actions = dict.fromkeys(made.possible_agents, 0)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        made.step(actions)
    made.reset(seed=0)
    made.step(actions)
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\)"):
        made.step(actions)


def test_sizes_reach_the_environment() -> None:
    population: Any = parallel_env(n_levels=4, target=3, discount=0.5, n_agents=3, max_cycles=2).unwrapped
    assert (population.game.n_local_states, population.game.discount) == (4, 0.5)
    np.testing.assert_array_equal(population.game.local_reward, game(4, 3).local_reward)
    assert (population.n_agents, population.max_cycles) == (3, 2)
    assert env(n_agents=2).possible_agents == ["global_0", "local_0", "local_1"]


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo before 1.27 has no registry")
def test_the_registered_environment_logs_too() -> None:
    made = pettingzoo.make("parallel", "kofn/gaussian_squeeze-v0", n_agents=3, k=2)
    made.reset(seed=0)
    *_, infos = made.step(dict.fromkeys(made.agents, 1))
    assert infos["global_0"]["native_reward"] >= 0
