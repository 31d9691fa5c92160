"""What SubsampleObservation refuses: sample sizes, summaries, other environments, steps out of turn, changes of k."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import data_equivalence
from limited_play import limited, population
from parallel_play import play
from pettingzoo.utils import BaseParallelWrapper

from kofn.envs import PopulationEnv, TabularGame
from kofn.envs.warehouse_dispatch import env as aec_env
from kofn.experiments.integrations.steady_infos import SteadyInfos
from kofn.wrappers import GlobalBestResponse, SubsampleObservation, homogenize
from kofn.wrappers.factory import make_aec, make_parallel


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


def test_homogenize_comes_last(warehouse3: TabularGame) -> None:
    """Below the limit its observations would be replaced, and the spaces be false."""
    with pytest.raises(ValueError, match="limit the global agent first, homogenize last"):
        SubsampleObservation(homogenize(PopulationEnv(warehouse3, 6)), k=2)


def test_k_cannot_change_on_the_fly(warehouse3: TabularGame) -> None:
    env = SubsampleObservation(PopulationEnv(warehouse3, 6), k=2)
    env.reset(seed=0)
    with pytest.raises(AttributeError, match=r"k cannot change, .* it is 2, and 4 was asked for"):
        env.k = 4
    again = SubsampleObservation(env.env, k=4)
    assert (env.k, again.k) == (2, 4)
    assert len(again.reset(seed=0)[1]["global_0"]["sampled_agents"]) == 4
