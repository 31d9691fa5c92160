"""What `pettingzoo.make` builds from a registered id and its keyword arguments."""

from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo import AECEnv

from kofn.envs import PopulationEnv
from kofn.envs.warehouse_dispatch import parallel_env
from kofn.wrappers import DistanceWeighted, SubsampleObservation
from kofn.wrappers.factory import make_aec, make_parallel
from kofn.wrappers.samplers import ring_distances

ID = "kofn/warehouse_dispatch-v0"

pytestmark = pytest.mark.skipif(not hasattr(pettingzoo, "make"), reason="PettingZoo before 1.27 has no registry")


def make(kind: Any = "parallel", **options: Any) -> Any:
    return pettingzoo.make(kind, ID, **{"n_agents": 7, **options})


def test_without_k_the_unlimited_environment() -> None:
    env = make()
    assert type(env) is PopulationEnv
    assert env.n_agents == 7
    assert make(k=None, summary="histogram").global_encoding.size == 7


@pytest.mark.parametrize("summary", ["histogram", "states"])
def test_with_k_the_limited_one(summary: str) -> None:
    env = make(k=2, summary=summary)
    assert type(env) is SubsampleObservation
    assert type(env.env) is PopulationEnv
    assert (env.k, env.global_encoding.summary) == (2, summary)


def test_k_defaults_to_a_histogram() -> None:
    assert make(k=2).global_encoding.summary == "histogram"


@pytest.mark.parametrize("limit", [{}, {"k": 2}])
def test_options_reach_the_game_and_the_environment(limit: dict[str, Any]) -> None:
    env = make(n_zones=3, discount=0.5, max_cycles=4, obs_mode="discrete", render_mode="ansi", **limit).unwrapped
    assert env.game.labels.local_states == ("zone 0", "zone 1", "zone 2")
    assert (env.discount, env.max_cycles, env.obs_mode, env.render_mode) == (0.5, 4, "discrete", "ansi")


@pytest.mark.parametrize("limit", [{}, {"k": 2}, {"k": 2, "summary": "states"}])
def test_aec_plays_the_parallel_game(limit: dict[str, Any]) -> None:
    parallel, aec = make(max_cycles=3, **limit), make("aec", max_cycles=3, **limit)
    assert isinstance(aec, AECEnv)
    observations, infos = parallel.reset(seed=5)
    aec.reset(seed=5)
    rng = np.random.default_rng(0)
    while parallel.agents:
        assert data_equivalence({agent: aec.observe(agent) for agent in aec.agents}, observations, exact=True)
        assert data_equivalence(dict(aec.infos), infos, exact=True)
        actions = {agent: int(rng.integers(parallel.action_space(agent).n)) for agent in parallel.agents}
        for agent in aec.agents:
            assert aec.agent_selection == agent
            aec.step(actions[agent])
        observations, rewards, _, truncations, infos = parallel.step(actions)
        assert aec.rewards == rewards
        assert aec.truncations == truncations
        np.testing.assert_array_equal(aec.state(), parallel.state())
    assert parallel.agents == []


def test_the_factory_is_what_the_id_builds() -> None:
    ours = make_parallel(game="warehouse_dispatch", n_agents=7, k=3)
    assert data_equivalence(ours.reset(seed=1), make(k=3).reset(seed=1), exact=True)
    wrapped = make_aec(game="warehouse_dispatch", n_agents=7, k=3)
    wrapped.reset(seed=1)
    assert data_equivalence(wrapped.observe("global_0"), make(k=3).reset(seed=1)[0]["global_0"], exact=True)


def test_module_functions_build_the_same_game() -> None:
    first, second = make().reset(seed=2), parallel_env(n_agents=7).reset(seed=2)
    assert data_equivalence(first, second, exact=True)


@pytest.mark.parametrize("kind", ["parallel", "aec"])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 8}, ValueError, "k must be at most the number of agents, 7; got 8"),
        ({"k": 0}, ValueError, "k must be at least 1; got 0"),
        ({"k": 2.0}, TypeError, r"k must be an integer; got 2\.0"),
        ({"k": 2, "summary": "mean"}, ValueError, "summary must be one of 'histogram', 'states'; got 'mean'"),
        ({"summary": "mean"}, ValueError, "summary must be one of 'histogram', 'states'; got 'mean'"),
        ({"summary": "states"}, ValueError, "summary='states' needs k"),
        ({"k": 2, "global_view": "none"}, ValueError, "global_view must be left out with k, .*; got 'none'"),
        ({"n_zones": 1}, ValueError, "n_zones must be at least 2; got 1"),
        ({"discount": 1.0}, ValueError, "discount must lie strictly between 0 and 1"),
        ({"max_cycles": 0}, ValueError, "max_cycles must be at least 1; got 0"),
        ({"game": "warehouse"}, ValueError, "did you mean 'warehouse_dispatch'"),
        ({"n_robots": 3}, TypeError, "unexpected keyword argument 'n_robots'"),
    ],
)
def test_bad_options_are_refused(kind: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(kind, **options)


def test_discrete_observations_of_a_few_among_a_hundred_thousand_agents() -> None:
    """All 10^5 agents' histograms do not fit into 64 bits; those of the k seen do."""
    env = pettingzoo.make("parallel", "kofn/warehouse_dispatch-v0", n_agents=10**5, k=2, obs_mode="discrete")
    observations, infos = env.reset(seed=0)
    assert env.observation_space("global_0").n == 5 * 15
    states, histograms = env.global_encoding.decode(np.array([observations["global_0"]]))
    sampled = env.unwrapped.simulator.local_states[0, infos["global_0"]["sampled_agents"]]
    assert histograms[0].tolist() == np.bincount(sampled, minlength=5).tolist()
    assert states[0] == env.unwrapped.simulator.global_states[0]


def test_a_sampler_needs_k() -> None:
    near = DistanceWeighted(ring_distances(5))
    env = make_parallel(game="warehouse_dispatch", k=2, sampler=near, n_agents=6)
    assert isinstance(env, SubsampleObservation)
    assert env.sampler is near
    with pytest.raises(ValueError, match="sampler needs k; without k the global agent sees all agents"):
        make_parallel(game="warehouse_dispatch", sampler=near, n_agents=6)


def test_an_agent_that_acts_in_turn_is_told_at_once_what_is_wrong() -> None:
    env = make_aec(game="warehouse_dispatch", n_agents=1, k=1, max_cycles=1)
    with pytest.raises(AssertionError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    for action, error, message in (
        (5, ValueError, "the action of 'global_0' must be between 0 and 4; got 5"),
        (0.5, TypeError, r"the action of 'global_0' must be an integer; got 0\.5"),
        (None, TypeError, "the action of 'global_0' must be an integer; got None"),
    ):
        with pytest.raises(error, match=message):
            env.step(action)
    env.step(4)
    env.step(2)
    with pytest.raises(ValueError, match=r"over for 'global_0': step\(None\) takes it out, reset\(\) starts the next"):
        env.step(0)
    env.step(None)
    env.step(None)
    assert not env.agents
