"""Setting and `predict`: what is read off an environment, and actions that follow the tables."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import make
from pettingzoo.utils import BaseParallelWrapper
from pettingzoo.utils.conversions import parallel_to_aec
from scipy.stats import binom

from kofn.agents import AlternatingMARL
from kofn.agents.alternation.setting import Setting
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES, SUMMARIES, ObsMode, Summary
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


def limited(
    game: TabularGame, n_agents: int, k: int, obs_mode: ObsMode = "box", summary: Summary = "histogram"
) -> SubsampleObservation:
    env = PopulationEnv(game, n_agents, max_cycles=30, obs_mode=obs_mode)
    return SubsampleObservation(env, k, summary=summary)


@pytest.mark.parametrize(("obs_mode", "summary"), list(product(OBS_MODES, SUMMARIES)))
def test_predicted_actions_are_those_of_the_tables(
    random_game: Games,
    random_local: LocalPolicies,
    random_global: GlobalPolicies,
    obs_mode: ObsMode,
    summary: Summary,
) -> None:
    """For every agent over an episode, from the true states and the agents truly sampled."""
    game = random_game(1, n_global=3, n_local=3, n_global_actions=4, n_local_actions=3)
    global_policy, local_policy = random_global(game, 3, 1, deterministic=True), random_local(game, 1)
    env = limited(game, 7, 3, obs_mode, summary)
    model = AlternatingMARL(env, global_policy=global_policy, local_policy=local_policy, seed=0)
    most_likely = local_policy.table.argmax(axis=2)
    observations, infos = env.reset(seed=5)
    played = set()
    while env.agents:
        simulator = env.population.simulator
        s_g, states = int(simulator.global_states[0]), simulator.local_states[0]
        counts = tuple(np.bincount(states[infos["global_0"]["sampled_agents"]], minlength=3).tolist())
        ranked = sorted(c for c in product(range(4), repeat=3) if sum(c) == 3)
        actions = model.predict(observations)
        assert actions["global_0"] == global_policy.table[s_g, ranked.index(counts)]
        assert [actions[f"local_{i}"] for i in range(7)] == most_likely[states, s_g].tolist()
        assert set(actions) == set(env.agents)
        assert all(type(action) is int for action in actions.values())
        played.add(actions["global_0"])
        observations, _, _, _, infos = env.step(actions)
    assert len(played) > 1


def test_an_unlimited_environment_means_k_is_n(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(2)
    env = PopulationEnv(game, 4)
    model = AlternatingMARL(env, global_policy=random_global(game, 4, 2, deterministic=True))
    assert (model.setting.n_agents, model.setting.k) == (4, 4)
    observations, _ = env.reset(seed=0)
    counts = env.simulator.counts()[0]
    action = model.global_policy.table[env.simulator.global_states[0], int(counts[0])]  # ranks of two states: c_0
    assert model.predict(observations)["global_0"] == action


@pytest.mark.parametrize(("obs_mode", "summary"), list(product(OBS_MODES, SUMMARIES)))
def test_setting_is_read_off_the_environment(random_game: Games, obs_mode: ObsMode, summary: Summary) -> None:
    game = random_game(3)
    setting = Setting.of(limited(game, 9, 2, obs_mode, summary))
    assert setting.game is game
    assert (setting.n_agents, setting.k, setting.max_cycles) == (9, 2, 30)
    assert (setting.obs_mode, setting.summary) == (obs_mode, summary)


def test_setting_of_a_registered_environment_and_of_a_further_wrapper() -> None:
    env = make("parallel", "warehouse_dispatch", n_agents=20, k=4)
    for view in (env, BaseParallelWrapper(env)):
        assert (Setting.of(view).n_agents, Setting.of(view).k) == (20, 4)


def test_only_some_agents_may_be_asked(random_game: Games) -> None:
    env = limited(random_game(4), 5, 2)
    model = AlternatingMARL(env, seed=0)
    observations, _ = env.reset(seed=0)
    everyone = model.predict(observations)
    for agents in (["global_0"], ["local_3", "local_1"], []):
        assert model.predict({agent: observations[agent] for agent in agents}) == {a: everyone[a] for a in agents}


def frequencies(model: AlternatingMARL, env: SubsampleObservation, n_draws: int) -> tuple[int, int]:
    """How often global_0 and the local agents of one state draw action 1 (n_draws times 1, and times 500)."""
    observations, _ = env.reset(seed=0)
    drawn = [model.predict(observations, deterministic=False) for _ in range(n_draws)]
    at_zero = np.flatnonzero(env.population.simulator.local_states[0] == 0)[:500]
    return sum(a["global_0"] for a in drawn), sum(a[f"local_{i}"] for a in drawn for i in at_zero)


def test_drawn_actions_follow_the_probabilities(random_game: Games) -> None:
    """Counts within the binomial law's central 1 - 2e-5."""
    game = random_game(5)
    global_policy = GlobalPolicy(table=np.full((2, 3, 2), [0.7, 0.3]), k=2, n_local_states=2, n_actions=2)
    env = limited(game, 1200, 2)
    model = AlternatingMARL(
        env, global_policy=global_policy, local_policy=LocalPolicy(np.full((2, 2, 2), [0.15, 0.85])), seed=1
    )
    by_global, by_local = frequencies(model, env, n_draws=400)
    for count, total, chance in ((by_global, 400, 0.3), (by_local, 400 * 500, 0.85)):
        assert binom.ppf(1e-5, total, chance) <= count <= binom.ppf(1 - 1e-5, total, chance)
    # Without drawing, the most likely action is taken.
    observations, _ = env.reset(seed=0)
    actions = model.predict(observations)
    assert (actions["global_0"], actions["local_0"]) == (0, 1)


def test_drawn_actions_follow_the_seed(random_game: Games) -> None:
    game = random_game(5)
    env = limited(game, 50, 2)
    observations, _ = env.reset(seed=0)

    def drawn(seed: int) -> list[dict[str, int]]:
        model = AlternatingMARL(env, global_policy="uniform", seed=seed)
        return [model.predict(observations, deterministic=False) for _ in range(3)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1)[0] != drawn(1)[1]


def test_sizes_are_plain_integers(random_game: Games) -> None:
    setting = Setting(game=random_game(0), n_agents=np.int64(5), k=np.int64(2), max_cycles=np.int32(7))  # type: ignore[arg-type] # as a sweep over np.arange passes them
    assert [type(size) for size in (setting.n_agents, setting.k, setting.max_cycles)] == [int, int, int]


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"n_agents": 0, "k": 1}, ValueError, "n_agents must be at least 1; got 0"),
        ({"n_agents": 5, "k": 0}, ValueError, "k must be at least 1; got 0"),
        ({"n_agents": 5, "k": 6}, ValueError, "k must be between 1 and 5; got 6"),
        ({"n_agents": 5, "k": 2.0}, TypeError, r"k must be an integer; got 2\.0"),
        ({"n_agents": 5, "k": 2, "max_cycles": 0}, ValueError, "max_cycles must be at least 1; got 0"),
    ],
)
def test_sizes_out_of_range_are_refused(
    random_game: Games, sizes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Setting(game=random_game(0), **sizes)


def test_other_environments_are_refused(random_game: Games) -> None:
    with pytest.raises(TypeError, match="env must be a parallel PopulationEnv, possibly wrapped; got TimeLimit"):
        Setting.of(gymnasium.make("CartPole-v1", disable_env_checker=True))
    with pytest.raises(
        TypeError, match="env must be a parallel PopulationEnv, possibly wrapped; got OrderEnforcingWrapper"
    ):
        AlternatingMARL(parallel_to_aec(limited(random_game(0), 3, 1)))
    with pytest.raises(TypeError, match="env must be a parallel PopulationEnv, possibly wrapped; got TabularGame"):
        AlternatingMARL(random_game(0))
    with pytest.raises(ValueError, match="env must have local_timing='paper': 'code' only reproduces"):
        AlternatingMARL(SubsampleObservation(PopulationEnv(random_game(0), 3, local_timing="code"), 1))


def test_modes_unknown_to_the_encoding_are_refused(random_game: Games) -> None:
    setting = Setting(game=random_game(0), n_agents=3, k=2)
    with pytest.raises(ValueError, match="obs_mode must be one of"):
        _ = replace(setting, obs_mode="pixels").global_encoding  # type: ignore[arg-type] # what is tested
    with pytest.raises(ValueError, match="summary must be one of"):
        _ = replace(setting, summary="mean").global_encoding  # type: ignore[arg-type] # what is tested


def test_a_blind_global_agent_has_no_policy_to_learn(random_game: Games) -> None:
    with pytest.raises(ValueError, match="sees no local agent; wrap env in SubsampleObservation"):
        AlternatingMARL(PopulationEnv(random_game(0), 3, global_view="none"))
