"""Environments of a continuous game read by hand: observations, spaces, the sample seen, copies."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from continuous_play import EDGES, environment, make
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import data_equivalence
from parallel_play import play, random_actions

from kofn.envs import PopulationEnv
from kofn.wrappers import SubsampleObservation


def test_observations_rewards_and_state_are_read_by_hand() -> None:
    env, rng = environment(), np.random.default_rng(0)
    observations, infos = env.reset(seed=3)
    mode = int(np.histogram(env.state()[1:], EDGES)[0].argmax())
    assert infos == {agent: {"true_mode": mode} if agent == "global_0" else {} for agent in env.possible_agents}
    total = 0.0
    for step in range(6):
        s_g, *places = env.state().tolist()
        shares = np.histogram(places, EDGES)[0] / 5
        np.testing.assert_allclose(observations["global_0"], [s_g, *shares], rtol=1e-6)
        for i, place in enumerate(places):
            assert observations[f"local_{i}"].tolist() == [place, s_g]
        for agent, observation in observations.items():
            assert env.observation_space(agent).contains(observation)
        assert env.state_space.contains(env.state())
        actions = random_actions(env, rng)
        parts = s_g + 10 * actions["global_0"], np.mean([x * s_g + actions[f"local_{i}"] for i, x in enumerate(places)])
        observations, rewards, terminations, truncations, infos = env.step(actions)
        np.testing.assert_allclose(list(rewards.values()), sum(parts), rtol=1e-5, atol=1e-5)
        info = infos["global_0"]
        np.testing.assert_allclose([info["reward_global"], info["reward_local_mean"]], parts, rtol=1e-5, atol=1e-5)
        assert info["true_mode"] == mode
        assert not any(terminations.values())
        assert set(truncations.values()) == {step == 5}
        total += 0.5**step * rewards["global_0"]
    assert info["team_discounted_return"] == pytest.approx(total)


def test_spaces_and_metadata() -> None:
    env = environment(n_agents=2)
    assert env.observation_space("global_0") == Box(np.float32([-3, 0, 0, 0]), np.float32([3, 1, 1, 1]))
    assert env.observation_space("local_1") == Box(np.float32([-1, -3]), np.float32([2, 3]))
    assert env.state_space == Box(np.float32([-3, -1, -1]), np.float32([3, 2, 2]))
    assert (env.action_space("global_0"), env.action_space("local_0")) == (Discrete(2), Discrete(4))
    assert (env.metadata["name"], env.metadata["structured"], env.discount) == ("a_line", True, 0.5)


@pytest.mark.parametrize("summary", ["histogram", "states"])
@pytest.mark.parametrize("with_state", [True, False])
def test_the_global_agent_sees_its_sample(summary: Any, with_state: bool) -> None:
    inner = PopulationEnv(make(observe_global_state=with_state), 9, max_cycles=4)
    env, rng = SubsampleObservation(inner, 4, summary=summary), np.random.default_rng(0)
    observations, infos = env.reset(seed=1)
    while True:
        s_g, *places = env.state().tolist()
        sampled = infos["global_0"]["sampled_agents"]
        assert len(set(sampled.tolist())) == 4
        seen = np.array(places)[sampled]
        content = seen if summary == "states" else np.histogram(seen, EDGES)[0] / 4
        expected = [s_g, *content] if with_state else content
        np.testing.assert_allclose(observations["global_0"], expected, rtol=1e-6)
        assert env.observation_space("global_0").contains(observations["global_0"])
        if not env.agents:
            break
        actions = random_actions(env, rng)
        own = [places[i] * s_g + actions[f"local_{i}"] for i in sampled]
        observations, _, _, _, infos = env.step(actions)
        reward = s_g + 10 * actions["global_0"] + np.mean(own)
        assert infos["global_0"]["reward_sampled"] == pytest.approx(reward, rel=1e-5, abs=1e-5)


def test_a_blind_global_agent_sees_its_own_state_only() -> None:
    env = PopulationEnv(make(), 3, global_view="none")
    observations, _ = env.reset(seed=0)
    assert observations["global_0"].tolist() == env.state()[:1].tolist()


def test_k_never_changes_the_dynamics() -> None:
    histories = []
    for limit in ({}, {"k": 1}, {"k": 4}, {"k": 4, "summary": "states"}):
        env = environment(n_agents=6, **limit)
        env.reset(seed=7)
        histories.append([(step[1], step[-1]) for step in play(env, np.random.default_rng(0))])
    assert all(data_equivalence(histories[0], other, exact=True) for other in histories[1:])


def test_callers_may_write_into_whatever_is_returned() -> None:
    spoiled, twin = environment(k=3), environment(k=3)
    rng = np.random.default_rng(0)
    results = spoiled.reset(seed=0), twin.reset(seed=0)
    while True:
        assert data_equivalence(*results, exact=True)
        for observation in results[0][0].values():
            observation.fill(7)
        results[0][-1]["global_0"].clear()
        spoiled.state().fill(7)
        if not twin.agents:
            break
        actions = random_actions(twin, rng)
        results = spoiled.step(actions), twin.step(actions)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
@pytest.mark.parametrize("k", [None, 3])
def test_copies_continue_identically_and_independently(clone: Any, k: int | None) -> None:
    env, rng = environment(k=k), np.random.default_rng(0)
    env.reset(seed=0)
    env.step(random_actions(env, rng))
    twin = clone(env)
    first = play(twin, np.random.default_rng(1))
    assert env.unwrapped.timestep == 1
    assert data_equivalence(first, play(env, np.random.default_rng(1)), exact=True)
