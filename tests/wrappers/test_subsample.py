"""SubsampleObservation: what is observed, and that seeing fewer agents changes nothing else."""

import copy
import pickle
from itertools import product
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from limited_play import N_GLOBAL, N_LOCAL, every_mode, every_summary, frozen_game, limited, population
from parallel_play import play, random_actions
from pettingzoo.utils import BaseParallelWrapper

from kofn.envs import TabularGame
from kofn.wrappers import SubsampleObservation


def history(env: Any, *seeds: Any) -> list[Any]:
    """Episodes one after another, each reset by a seed."""
    return [(env.reset(seed=seed), env.state(), play(env, np.random.default_rng(i))) for i, seed in enumerate(seeds)]


def states_of(env: Any) -> tuple[int, list[int]]:
    """(s_g, [s_1 .. s_n]) out of `state()`."""
    state = env.state()
    if env.obs_mode != "box":
        return int(state[0]), state[1:].tolist()
    rows = state[N_GLOBAL:].reshape(-1, N_LOCAL)
    return int(state[:N_GLOBAL].argmax()), rows.argmax(axis=1).tolist()


def by_hand(env: Any, s_g: int, seen: list[int]) -> Any:
    """What the global agent should observe of agents in states `seen`."""
    histogram = env.global_encoding.summary == "histogram"
    counts = [seen.count(x) for x in range(N_LOCAL)]
    content = counts if histogram else seen
    if env.obs_mode == "multidiscrete":
        return np.array([s_g, *content])
    if env.obs_mode == "box":
        one_hot = [float(x == y) for x in seen for y in range(N_LOCAL)]
        tail = [c / len(seen) for c in counts] if histogram else one_hot
        return np.array([float(s_g == g) for g in range(N_GLOBAL)] + tail, dtype=np.float32)
    k = len(seen)
    contents = product(range(k + 1), repeat=N_LOCAL) if histogram else product(range(N_LOCAL), repeat=k)
    ordered = [c for c in contents if not histogram or sum(c) == k]
    return s_g * len(ordered) + ordered.index(tuple(content))


@every_mode
@every_summary
@pytest.mark.parametrize("k", [1, 4, 9])
def test_observation_is_the_sampled_agents_states(game: TabularGame, obs_mode: Any, summary: str, k: int) -> None:
    env, rng = limited(game, k, summary=summary, obs_mode=obs_mode), np.random.default_rng(0)
    observations, infos = env.reset(seed=1)
    for _ in range(env.max_cycles):
        s_g, states = states_of(env)
        sampled = infos["global_0"]["sampled_agents"]
        assert sampled.shape == (k,)
        assert sampled.dtype == np.int64
        expected = by_hand(env, s_g, [states[i] for i in sampled])
        np.testing.assert_array_equal(observations["global_0"], expected)
        space = env.observation_space("global_0")
        assert space.contains(observations["global_0"])
        assert observations["global_0"].dtype == space.dtype
        observations, _, _, _, infos = env.step(random_actions(env, rng))


def test_order_of_states_is_the_order_drawn(game: TabularGame) -> None:
    env = limited(game, 9, summary="states", obs_mode="multidiscrete")
    orders = set()
    for seed in range(20):
        observations, infos = env.reset(seed=seed)
        sampled = infos["global_0"]["sampled_agents"]
        assert observations["global_0"][1:].tolist() == env.state()[1:][sampled].tolist()
        orders.add(tuple(sampled.tolist()))
    assert len(orders) == 20, "nine agents come in 20 different orders"


@every_mode
def test_k_equal_to_n_is_the_full_observation(game: TabularGame, obs_mode: Any) -> None:
    full, everyone = population(game, obs_mode=obs_mode), limited(game, 9, obs_mode=obs_mode)
    assert full.observation_space("global_0") == everyone.observation_space("global_0")
    for ours, theirs in zip(history(everyone, 3, None), history(full, 3, None), strict=True):
        (observations, _), _, steps = ours
        (full_observations, _), _, full_steps = theirs
        assert data_equivalence(observations, full_observations, exact=True)
        for one, other in zip(steps, full_steps, strict=True):
            assert data_equivalence(one[0], other[0], exact=True)
            assert one[4]["global_0"]["reward_sampled"] == pytest.approx(one[1]["global_0"], rel=1e-12)


@every_mode
@every_summary
def test_local_agents_and_spaces_pass_through(game: TabularGame, obs_mode: Any, summary: str) -> None:
    env = limited(game, 2, summary=summary, obs_mode=obs_mode)
    inner = env.unwrapped
    assert env.possible_agents == inner.possible_agents
    for agent in inner.possible_agents[1:]:
        assert env.observation_space(agent) is inner.observation_space(agent)
    for agent in inner.possible_agents:
        assert env.action_space(agent) is inner.action_space(agent)
    assert env.observation_space("global_0") is env.observation_space("global_0")
    assert env.observation_space("global_0") is not inner.observation_space("global_0")
    assert env.state_space is inner.state_space
    assert (env.discount, env.n_agents, env.metadata["name"]) == (0.9, 9, "tabular_game")
    with pytest.raises(KeyError, match="agent must be"):
        env.observation_space("local_9")


def test_reward_of_the_sample_is_paid_for_the_previous_one(game: TabularGame) -> None:
    env, rng = limited(game, 3), np.random.default_rng(0)
    _, infos = env.reset(seed=0)
    assert set(infos["global_0"]) == {"sampled_agents"}
    surprises = 0
    while env.agents:
        s_g, states = states_of(env)
        sampled, actions = infos["global_0"]["sampled_agents"], random_actions(env, rng)
        own = [game.local_reward[states[i], s_g, actions[f"local_{i}"]] for i in sampled]
        _, rewards, _, _, infos = env.step(actions)
        paid = game.global_reward[s_g, actions["global_0"]] + sum(own) / 3
        assert infos["global_0"]["reward_sampled"] == pytest.approx(paid, rel=1e-12)
        assert type(infos["global_0"]["reward_sampled"]) is float
        surprises += abs(paid - rewards["global_0"]) > 1e-6
    assert surprises > 0, "a sample's reward differs from the team's, or this test shows nothing"
    assert {"team_return", "team_discounted_return", "reward_global", "reward_local_mean"} <= set(infos["global_0"])


def test_k_never_changes_the_dynamics(game: TabularGame) -> None:
    environments = [population(game, 20), limited(game, 1, 20), limited(game, 5, 20), limited(game, 5, 20, "states")]
    histories = [history(env, 7, None, 8) for env in environments]
    plain = [(state, [(rewards, s) for _, rewards, _, _, _, s in steps]) for _, state, steps in histories[0]]
    for other in histories[1:]:
        theirs = [(state, [(rewards, s) for _, rewards, _, _, _, s in steps]) for _, state, steps in other]
        assert data_equivalence(plain, theirs, exact=True)


def test_returned_samples_are_the_callers_own(game: TabularGame) -> None:
    spoiled, twin = limited(game, 3), limited(game, 3)
    rng = np.random.default_rng(0)
    results = spoiled.reset(seed=0), twin.reset(seed=0)
    while True:
        assert data_equivalence(*results, exact=True)
        results[0][-1]["global_0"]["sampled_agents"].fill(0)
        results[0][0]["global_0"].fill(9)
        results[0][-1]["global_0"].clear()
        results[0][0].clear()
        if not twin.agents:
            break
        actions = random_actions(twin, rng)
        results = spoiled.step(actions), twin.step(actions)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
@every_summary
def test_copies_continue_identically_and_independently(game: TabularGame, clone: Any, summary: str) -> None:
    env, rng = limited(game, 3, summary=summary, render_mode="rgb_array"), np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(3):
        env.step(random_actions(env, rng))
    first, second = clone(env), clone(env)
    plays = [play(one, np.random.default_rng(1)) for one in (first, second)]
    assert env.timestep == 3
    plays.append(play(env, np.random.default_rng(1)))
    assert len(plays[0]) == env.max_cycles - 3
    assert data_equivalence(plays[0], plays[1], exact=True)
    assert data_equivalence(plays[0], plays[2], exact=True)
    assert data_equivalence(first.reset(), env.reset(), exact=True)


def test_frames_show_the_sample() -> None:
    """Among starts with one and the same population, frames are equal exactly when the sampled counts are."""
    env = limited(frozen_game(2), 2, 4, render_mode="ansi", obs_mode="multidiscrete")
    frames: dict[tuple[int, ...], set[str]] = {}
    for seed in range(80):
        observations, _ = env.reset(seed=seed)
        if sorted(env.state()[1:]) == [0, 0, 1, 1]:
            frames.setdefault(tuple(observations["global_0"][1:].tolist()), set()).add(env.render())
    assert set(frames) == {(0, 2), (1, 1), (2, 0)}
    assert all(len(texts) == 1 for texts in frames.values())
    assert len(set.union(*frames.values())) == 3
    assert all("sees 2 of 4 agents" in text for text in set.union(*frames.values()))


def test_pictures_show_the_sample() -> None:
    env = limited(frozen_game(2), 2, 4, render_mode="rgb_array", obs_mode="multidiscrete")
    pictures: dict[tuple[int, ...], np.ndarray] = {}
    for seed in range(80):
        observations, _ = env.reset(seed=seed)
        if sorted(env.state()[1:]) == [0, 0, 1, 1] and len(pictures) < 2:
            pictures.setdefault(tuple(observations["global_0"][1:].tolist()), env.render())
    first, second = pictures.values()
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, env.unwrapped.render())


def test_rendering_disturbs_nothing(game: TabularGame) -> None:
    drawn, plain = limited(game, render_mode="ansi"), limited(game)
    results = drawn.reset(seed=0), plain.reset(seed=0)
    for _ in range(3):
        assert drawn.render() == drawn.render()
        assert data_equivalence(*results, exact=True)
        results = [env.step(dict.fromkeys(env.possible_agents, 0)) for env in (drawn, plain)]


def test_other_wrappers_may_lie_between(game: TabularGame) -> None:
    between = SubsampleObservation(BaseParallelWrapper(population(game)), 4)
    assert data_equivalence(history(between, 1, None), history(limited(game, 4), 1, None), exact=True)
