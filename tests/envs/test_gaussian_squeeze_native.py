"""Gaussian squeeze with the native reward: formula, optimum, dynamics, and the value of information."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kofn.envs import Streams
from kofn.envs.aggregate import AggregateSimulator
from kofn.envs.gaussian_squeeze_native import game, parallel_env, squeeze


def test_reward_is_the_native_objective_per_agent() -> None:
    """x exp(-((x - mu) / sigma)^2) / n with mu = 4n, sigma = n."""
    n = 50
    sums = np.arange(0, 9 * n + 1, dtype=float)
    native = sums * np.exp(-(((sums - 4 * n) / n) ** 2)) / n
    np.testing.assert_allclose(squeeze(sums / n), native, atol=1e-12)


def test_the_best_mean() -> None:
    """Where the derivative 1 - 2 m (m - 4) is zero."""
    best = 2 + math.sqrt(4.5)
    grid = np.linspace(0, 9, 900_001)
    assert grid[squeeze(grid).argmax()] == pytest.approx(best, abs=1e-5)
    assert squeeze(np.array(best)) == pytest.approx(4.06, abs=0.005)


def test_commitments_and_quota_are_announced_without_chance() -> None:
    env = parallel_env(n_agents=10, max_cycles=5, obs_mode="multidiscrete")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    while env.agents:
        actions = {agent: int(rng.integers(10)) for agent in env.agents}
        observations, rewards, _, _, infos = env.step(actions)
        quota, *committed = actions.values()
        assert env.state().tolist() == [quota, *committed]
        assert observations["local_3"].tolist() == [committed[3], quota]
        total = sum(committed)
        assert infos["global_0"]["aggregate"] == pytest.approx(total)
        expected = total / 10 * math.exp(-(((total - 40) / 10) ** 2))
        assert rewards["local_3"] == pytest.approx(expected, abs=1e-12)
        # The estimate is a function of the observation.
        assert observations["global_0"][1:] @ np.arange(10) == total
    assert env.metadata["structured"] is False


def test_estimate_from_the_sample() -> None:
    """n sum_a a f_a is (n/k) times the sum over the sample."""
    from kofn.wrappers import SubsampleObservation  # noqa: PLC0415 - to the right of what is tested

    env = SubsampleObservation(parallel_env(n_agents=30), 4)
    observations, infos = env.reset(seed=0)
    states: Any = env.unwrapped.simulator.local_states[0]  # type: ignore[attr-defined]  # a PopulationEnv
    estimate = 30 * observations["global_0"][10:] @ np.arange(10)
    assert estimate == pytest.approx(30 / 4 * states[infos["global_0"]["sampled_agents"]].sum(), rel=1e-6)


def test_discount_is_checked() -> None:
    assert game(0.5).discount == 0.5
    with pytest.raises(ValueError, match="discount must lie strictly between 0 and 1; got 1"):
        game(1)


# The value of information, with slow agents: each adopts the quota with probability 0.1, otherwise repeats itself.

Manager = Callable[[Any, Any], Any]
"""(quotas [B], estimated means [B] or None) -> next quotas [B]."""


def returns(manage: Manager, k: int, n_rollouts: int = 150, n: int = 300) -> Any:
    """Discounted returns of episodes of 100 steps; starts and agents' choices are the same for every manager."""
    streams = Streams.from_seed(7)
    simulator = AggregateSimulator(game(), n, n_populations=n_rollouts)
    simulator.reset(streams)
    total = np.zeros(n_rollouts)
    for step in range(100):
        # Agents are exchangeable at the start and alike afterwards, but remember: samples must be drawn afresh.
        chosen = streams.sampling.random((n_rollouts, n)).argpartition(k - 1, axis=1)[:, :k]
        means = np.take_along_axis(simulator.local_states, chosen, axis=1).mean(axis=1)
        quotas = simulator.global_states
        adopts = streams.policy.random((n_rollouts, n)) < 0.1
        a_l = np.where(adopts, quotas[:, None], simulator.local_states)
        total += 0.95**step * simulator.step(manage(quotas, means), a_l).team_reward
    return total


def proportional(gain: float, target: float = 4.12) -> Manager:
    return lambda _, means: np.clip(np.rint(target + gain * (target - means)), 0, 9).astype(int)


def by_quota(table: list[int]) -> Manager:
    return lambda quotas, _: np.array(table)[quotas]


def test_looking_pays_when_agents_are_slow() -> None:
    """Best blind < k = 1 < k = 10 < everybody, each the best of its class."""
    blind = [by_quota([q] * 10) for q in (3, 4, 5)] + [by_quota([6, 6, 0, 4, 4, 0, 4, 2, 2, 2])]
    classes = [
        [returns(manager, 1) for manager in blind],
        [returns(proportional(gain, 4.0), 1) for gain in (0.2, 0.4, 0.7)],
        [returns(proportional(gain), 10) for gain in (1.0, 1.5, 2.0)],
        [returns(proportional(gain, 4.3), 300) for gain in (3.0, 5.0)],
    ]
    best = [max(one, key=np.mean) for one in classes]
    for worse, better in pairwise(best):
        gain = better - worse
        assert gain.mean() > 3 * gain.std() / math.sqrt(len(gain)), (worse.mean(), better.mean())


def test_constant_quota_has_the_closed_form() -> None:
    """m_t = 4 + (m_0 - 4) 0.9^t for infinitely many agents; the bound on the error of 4000 is checked with CRN."""
    streams = Streams.from_seed(3)
    simulator = AggregateSimulator(game(), 4000, n_populations=20)
    simulator.reset(streams)
    means = simulator.local_states.mean(axis=1)
    first = simulator.global_states
    for step in range(30):
        adopts = streams.policy.random((20, 4000)) < 0.1
        a_l = np.where(adopts, simulator.global_states[:, None], simulator.local_states)
        quota = first if step == 0 else 4
        means = 0.9 * means + 0.1 * quota
        payment = simulator.step(np.full(20, 4), a_l)
        # Standard deviation of a mean of 4000 numbers from 0 to 9: at most 4.5 / sqrt(4000); errors decay by 0.9.
        np.testing.assert_allclose(simulator.local_states.mean(axis=1), means, atol=5 * 4.5 / math.sqrt(4000))
        np.testing.assert_allclose(payment.team_reward, squeeze(simulator.local_states.mean(axis=1)), rtol=1e-12)
