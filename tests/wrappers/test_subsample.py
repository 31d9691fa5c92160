"""SubsampleObservation: who is seen, with what law, and that seeing fewer agents changes nothing else.

Laws are tested by Pearson's chi-square on fixed seeds, at level 1e-4 each.
"""

import copy
import pickle
import re
from collections.abc import Callable
from itertools import product
from math import comb, prod
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.utils import BaseParallelWrapper
from scipy.stats import chi2, chisquare

from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES
from kofn.envs.warehouse_dispatch import env as aec_env
from kofn.experiments.integrations.steady_infos import SteadyInfos
from kofn.wrappers import DistanceWeighted, GlobalBestResponse, SubsampleObservation, Uniform, homogenize
from kofn.wrappers.factory import make_aec, make_parallel
from kofn.wrappers.samplers import ring_distances

MakeGame = Callable[..., TabularGame]
LEVEL = 1e-4
N_GLOBAL, N_LOCAL = 2, 3

every_mode = pytest.mark.parametrize("obs_mode", OBS_MODES)
every_summary = pytest.mark.parametrize("summary", ["histogram", "states"])


@pytest.fixture
def game(random_game: MakeGame) -> TabularGame:
    return random_game(4, n_global=N_GLOBAL, n_local=N_LOCAL, n_global_actions=4, n_local_actions=2)


def population(game: TabularGame, n_agents: int = 9, **options: Any) -> PopulationEnv:
    return PopulationEnv(game, n_agents, **{"max_cycles": 8, **options})


def limited(game: TabularGame, k: int = 4, n_agents: int = 9, summary: Any = "histogram", **options: Any) -> Any:
    return SubsampleObservation(population(game, n_agents, **options), k, summary=summary)


def random_actions(env: Any, rng: np.random.Generator) -> dict[str, int]:
    return {agent: int(rng.integers(env.action_space(agent).n)) for agent in env.possible_agents}


def play(env: Any, rng: np.random.Generator) -> list[Any]:
    """All that the environment returns until the end of the episode."""
    results = []
    while env.agents:
        results.append((*env.step(random_actions(env, rng)), env.state()))
    return results


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


def frozen_game(n_states: int = 3) -> TabularGame:
    """Nobody ever moves; local agents start uniformly; rewards tell states apart."""
    stay = np.broadcast_to(np.eye(n_states)[:, None, None, :], (n_states, 1, 1, n_states))
    return TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=stay,
        global_reward=np.zeros((1, 1)),
        local_reward=np.arange(1.0, n_states + 1)[:, None, None],
        discount=0.9,
        initial_local=FixedStart(np.full(n_states, 1 / n_states)),
    )


def samples(n_agents: int, k: int, n_samples: int, seed: int = 0) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """(environment, sampled agents, observed counts) of many steps in which nobody moves."""
    env = limited(frozen_game(), k, n_agents, obs_mode="multidiscrete", max_cycles=10**9)
    observations, infos = env.reset(seed=seed)
    actions = dict.fromkeys(env.possible_agents, 0)
    drawn, counts = [], []
    for _ in range(n_samples):
        drawn.append(infos["global_0"]["sampled_agents"])
        counts.append(observations["global_0"][1:])
        observations, _, _, _, infos = env.step(actions)
    return env, drawn, counts


# What is observed.


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


# Who is sampled.


def test_sampled_agents_are_distinct_and_uniform() -> None:
    n, k, n_samples = 8, 3, 3000
    _, drawn, _ = samples(n, k, n_samples)
    assert all(len(set(one.tolist())) == k for one in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=n)
    expected = n_samples * k / n
    # Without replacement, the counts' covariance is (n-k)/(n-1) times the multinomial's.
    statistic = ((counts - expected) ** 2 / expected).sum() * (n - 1) / (n - k)
    assert chi2.sf(statistic, n - 1) > LEVEL


def test_every_order_is_equally_likely() -> None:
    _, drawn, _ = samples(4, 2, 3000, seed=1)
    counts = [sum(tuple(one.tolist()) == pair for one in drawn) for pair in product(range(4), repeat=2)]
    pairs = np.array(counts).reshape(4, 4)
    assert pairs.diagonal().sum() == 0
    assert chisquare(pairs[~np.eye(4, dtype=bool)]).pvalue > LEVEL


def test_samples_are_drawn_afresh_each_step() -> None:
    n, k = 8, 3
    _, drawn, _ = samples(n, k, 3000, seed=2)
    pairs = zip(drawn[::2], drawn[1::2], strict=True)  # disjoint pairs of neighbours are independent
    shared = np.bincount([len(set(one.tolist()) & set(other.tolist())) for one, other in pairs], minlength=k + 1)
    law = np.array([comb(k, j) * comb(n - k, k - j) / comb(n, k) for j in range(k + 1)])
    assert chisquare(shared, law * shared.sum()).pvalue > LEVEL


@pytest.mark.parametrize("k", [2, 5])
def test_histogram_has_the_hypergeometric_law(k: int) -> None:
    env, _, observed = samples(10, k, 4000, seed=3)
    totals = np.bincount(env.state()[1:], minlength=3).tolist()
    assert min(totals) >= 2, "a population that can show the law"
    contents = [c for c in product(range(k + 1), repeat=3) if sum(c) == k]
    law = np.array([prod(map(comb, totals, c)) / comb(10, k) for c in contents])
    counts = np.array([sum(tuple(one.tolist()) == c for one in observed) for c in contents])
    assert law.sum() == pytest.approx(1)
    assert counts[law == 0].sum() == 0
    assert chisquare(counts[law > 0], law[law > 0] * len(observed)).pvalue > LEVEL


def test_sampling_goes_on_without_a_seed_and_restarts_with_one(game: TabularGame) -> None:
    env = limited(game, 4)
    drawn = [env.reset(seed=seed)[1]["global_0"]["sampled_agents"].tolist() for seed in (5, None, None, 5, None)]
    assert drawn[:2] == drawn[3:]
    assert len({tuple(one) for one in drawn[:3]}) == 3


# Seeing fewer agents changes nothing else.


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


# Frames.


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


# Errors.


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (10, ValueError, "k must be at most the number of agents, 9; got 10"),
        (0, ValueError, "k must be at least 1; got 0"),
        (-1, ValueError, "k must be at least 1; got -1"),
        (2.0, TypeError, r"k must be an integer; got 2\.0"),
        (True, TypeError, "k must be an integer; got True"),
        (None, TypeError, "k must be an integer; got None"),
        ("3", TypeError, "k must be an integer; got '3'"),
    ],
)
def test_bad_sample_sizes_are_refused(game: TabularGame, k: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SubsampleObservation(population(game), k)


def test_unknown_summary_is_refused(game: TabularGame) -> None:
    with pytest.raises(ValueError, match="summary must be one of 'histogram', 'states'; got 'mean'"):
        limited(game, summary="mean")


def test_a_limited_environment_cannot_be_limited_again(game: TabularGame) -> None:
    for env in (limited(game, 4), BaseParallelWrapper(limited(game, 4))):
        with pytest.raises(ValueError, match="env already limits the global agent to k=4 agents"):
            SubsampleObservation(env, 2)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: 3, "int"),
        (lambda: None, "NoneType"),
        (lambda: aec_env(n_agents=3), "AecPopulation"),
        (lambda: GlobalBestResponse("warehouse_dispatch", n_agents=3), "GlobalBestResponse"),
        (pettingzoo.ParallelEnv, "ParallelEnv"),
    ],
)
def test_other_environments_are_refused(make: Callable[[], Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"env must be a PopulationEnv, possibly wrapped; got {name}"):
        SubsampleObservation(make(), 1)


def test_other_wrappers_may_lie_between(game: TabularGame) -> None:
    between = SubsampleObservation(BaseParallelWrapper(population(game)), 4)
    assert data_equivalence(history(between, 1, None), history(limited(game, 4), 1, None), exact=True)


@pytest.mark.parametrize("started_inside", [False, True])
def test_no_step_before_reset(game: TabularGame, started_inside: bool) -> None:
    inner = population(game)
    if started_inside:
        inner.reset(seed=0)
    env = SubsampleObservation(inner, 2)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        env.step(dict.fromkeys(env.possible_agents, 0))
    assert not started_inside or inner.timestep == 0


def test_no_state_or_frame_before_reset(game: TabularGame) -> None:
    env = limited(game, render_mode="ansi")
    for method in (env.state, env.render):
        with pytest.raises(RuntimeError, match=r"call reset\(\) before"):
            method()


def test_no_step_after_the_end(game: TabularGame) -> None:
    env = limited(game, max_cycles=1)
    env.reset(seed=0)
    actions = dict.fromkeys(env.possible_agents, 0)
    env.step(actions)
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.step(actions)


def test_refused_actions_leave_the_sample_alone(game: TabularGame) -> None:
    env, twin = limited(game, 3), limited(game, 3)
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(ValueError, match="'local_3' must be between 0 and 1"):
        env.step({**dict.fromkeys(env.possible_agents, 0), "local_3": 7})
    assert data_equivalence(*(play(one, np.random.default_rng(0)) for one in (env, twin)), exact=True)


def test_samplers_choose_who_is_seen(warehouse3: TabularGame) -> None:
    near = DistanceWeighted(ring_distances(3), scale=1e-3)
    env = SubsampleObservation(PopulationEnv(warehouse3, 40), 4, sampler=near)
    env.reset(seed=0)
    simulator = env.population.simulator
    for _ in range(10):
        _, _, _, _, infos = env.step(dict.fromkeys(env.agents, 0))
        seen = infos["global_0"]["sampled_agents"]
        here = simulator.local_states[0] == simulator.global_states[0]
        assert here[seen].sum() == min(4, here.sum())


def test_a_sampler_of_the_users_own(warehouse3: TabularGame) -> None:
    calls = []

    def last(rng: np.random.Generator, local_states: Any, global_state: Any, k: int) -> Any:
        calls.append((len(local_states), int(global_state), k))
        return np.arange(len(local_states) - k, len(local_states))

    env = SubsampleObservation(PopulationEnv(warehouse3, 7), 2, sampler=last)
    _, infos = env.reset(seed=0)
    assert infos["global_0"]["sampled_agents"].tolist() == [5, 6]
    assert calls == [(7, int(env.population.simulator.global_states[0]), 2)]
    env = SubsampleObservation(PopulationEnv(warehouse3, 7), 2, sampler=lambda *_: np.array([0, 9]))
    with pytest.raises(ValueError, match=re.escape("a sampler must return agents in [0, 7); entry [1] is 9")):
        env.reset(seed=0)


def test_uniform_is_the_default(warehouse3: TabularGame) -> None:
    samples = [
        SubsampleObservation(PopulationEnv(warehouse3, 9), 3, **options).reset(seed=4)[1]["global_0"]["sampled_agents"]
        for options in ({}, {"sampler": "uniform"}, {"sampler": Uniform()})
    ]
    np.testing.assert_array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], samples[2])
    with pytest.raises(ValueError, match="sampler must be a function or one of 'uniform'; got 'nearest'"):
        SubsampleObservation(PopulationEnv(warehouse3, 9), 3, sampler="nearest")


SIZES: dict[str, Any] = {"game": "warehouse_dispatch", "n_agents": 6, "k": 2}
LIMITED: dict[str, Callable[[], Any]] = {
    "limited": lambda: make_parallel(**SIZES),
    "homogenized": lambda: homogenize(make_parallel(**SIZES)),
    "for other libraries": lambda: SteadyInfos(make_parallel(**SIZES)),
    "AEC": lambda: make_aec(**SIZES),
    "view": lambda: gymnasium.make("kofn.envs:kofn/GlobalBestResponse-v0", **SIZES),
    "vector view": lambda: gymnasium.make_vec("kofn.envs:kofn/GlobalBestResponse-v0", num_envs=2, **SIZES),
}


@pytest.mark.parametrize("name", LIMITED)
def test_k_cannot_change_on_any_wrapper_nor_inside(name: str) -> None:
    env = LIMITED[name]()
    env.reset(seed=0)
    for one in (env, env.unwrapped):
        with pytest.raises(AttributeError, match=r"k cannot change, .*4 was asked for; make the environment anew"):
            one.k = 4


def test_k_cannot_change_on_the_fly(warehouse3: TabularGame) -> None:
    env = SubsampleObservation(PopulationEnv(warehouse3, 6), k=2)
    env.reset(seed=0)
    with pytest.raises(AttributeError, match=r"k cannot change, .* it is 2, and 4 was asked for"):
        env.k = 4
    again = SubsampleObservation(env.env, k=4)
    assert (env.k, again.k) == (2, 4)
    assert len(again.reset(seed=0)[1]["global_0"]["sampled_agents"]) == 4
