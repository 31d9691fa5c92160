"""What PopulationEnv refuses, and how it says so: steps out of turn, actions, options, seeds."""

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from parallel_play import N, make, play, zeros

from kofn.envs import PopulationEnv, TabularGame
from kofn.envs.warehouse_dispatch import game as warehouse


@pytest.mark.parametrize("method", ["step", "state", "render", "scene"])
def test_nothing_before_reset(game: TabularGame, method: str) -> None:
    env = make(game, render_mode="ansi")
    arguments = [zeros(env)] if method == "step" else []
    name = "render" if method == "scene" else method
    with pytest.raises(RuntimeError, match=rf"call reset\(\) before {name}\(\)"):
        getattr(env, method)(*arguments)


def test_no_step_after_the_end(game: TabularGame) -> None:
    env = make(game, max_cycles=1)
    env.reset(seed=0)
    env.step(zeros(env))
    state = env.state()
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\)"):
        env.step(zeros(env))
    np.testing.assert_array_equal(env.state(), state)


BAD_ACTIONS = [
    ({"local_2": 1.0}, TypeError, r"the action of 'local_2' must be an integer; got 1\.0 \(float\)"),
    ({"local_2": np.float32(1)}, TypeError, "'local_2' must be an integer"),
    ({"local_2": np.array(0.5)}, TypeError, r"'local_2' must be an integer; got array\(0\.5\)"),
    ({"local_2": np.array([1])}, TypeError, "'local_2' must be an integer"),
    ({"local_2": True}, TypeError, r"'local_2' must be an integer; got True \(a bool\)"),
    ({"local_2": np.False_}, TypeError, "'local_2' must be an integer"),
    ({"local_2": None}, TypeError, "'local_2' must be an integer; got None"),
    ({"local_2": "1"}, TypeError, "'local_2' must be an integer; got '1'"),
    ({"local_2": 2}, ValueError, "the action of 'local_2' must be between 0 and 1; got 2"),
    ({"local_2": -1}, ValueError, "'local_2' must be between 0 and 1; got -1"),
    ({"local_2": np.array(2)}, ValueError, "'local_2' must be between 0 and 1; got 2"),
    ({"local_2": 2**70}, ValueError, f"'local_2' must be between 0 and 1; got {2**70}"),
    ({"local_2": np.uint64(2**64 - 1)}, ValueError, f"'local_2' must be between 0 and 1; got {2**64 - 1}"),
    ({"global_0": 5}, ValueError, "the action of 'global_0' must be between 0 and 4; got 5"),
    ({"local_1": 3, "local_4": 9}, ValueError, "'local_1' must be"),
    ({"local_4": 9, "local_1": 0.0}, TypeError, "'local_1' must be"),
    ({"local_6": 0}, ValueError, "hold the environment's agents only; 'local_6' is not one of them"),
    ({0: 0}, ValueError, "0 is not one of them"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_ACTIONS)
def test_bad_actions_are_refused_and_change_nothing(
    game: TabularGame, changes: dict[Any, Any], error: type[Exception], message: str
) -> None:
    env, twin = make(game), make(game)
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(error, match=message):
        env.step({**zeros(env), **changes})
    assert data_equivalence(*(play(one, np.random.default_rng(0)) for one in (env, twin)), exact=True)


def test_all_actions_boolean(game: TabularGame) -> None:
    env = make(game)
    env.reset(seed=0)
    with pytest.raises(TypeError, match="the action of 'global_0' must be an integer"):
        env.step(dict.fromkeys(env.possible_agents, True))


@pytest.mark.parametrize("missing", ["global_0", "local_0", "local_5"])
def test_missing_agent(game: TabularGame, missing: str) -> None:
    env = make(game)
    env.reset(seed=0)
    actions = zeros(env)
    del actions[missing]
    with pytest.raises(KeyError, match=f"one action per agent; '{missing}' is missing"):
        env.step(actions)


@pytest.mark.parametrize("actions", [None, [0] * (N + 1), 0, np.zeros(N + 1, dtype=int)])
def test_actions_must_be_a_dict(game: TabularGame, actions: Any) -> None:
    env = make(game)
    env.reset(seed=0)
    with pytest.raises(TypeError, match=f"actions must be a dict from agents to actions; got {type(actions).__name__}"):
        env.step(actions)


BAD_OPTIONS = [
    ({"n_agents": 0}, ValueError, "n_agents must be at least 1; got 0"),
    ({"n_agents": -3}, ValueError, "n_agents must be at least 1"),
    ({"n_agents": 2.5}, TypeError, r"n_agents must be an integer; got 2\.5"),
    ({"n_agents": 2.0}, TypeError, r"n_agents must be an integer; got 2\.0"),
    ({"n_agents": True}, TypeError, "n_agents must be an integer; got True"),
    ({"n_agents": None}, TypeError, "n_agents must be an integer"),
    ({"max_cycles": 0}, ValueError, "max_cycles must be at least 1; got 0"),
    ({"max_cycles": 1.5}, TypeError, r"max_cycles must be an integer; got 1\.5"),
    ({"max_cycles": False}, TypeError, "max_cycles must be an integer; got False"),
    ({"obs_mode": "boxed"}, ValueError, "obs_mode must be one of 'box', 'discrete', 'multidiscrete'; got 'boxed'"),
    ({"render_mode": "rgb"}, ValueError, "render_mode must be one of 'human', 'rgb_array', 'ansi'; got 'rgb'"),
    ({"local_timing": "new"}, ValueError, "local_timing must be one of 'paper', 'code'; got 'new'"),
    (
        {"game": "warehouse_dispatch"},
        TypeError,
        "game must be a TabularGame, a GenerativeGame, .* or an AggregateGame; got str",
    ),
    ({"game": None}, TypeError, "game must be a TabularGame, a GenerativeGame, .* or an AggregateGame; got NoneType"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_arguments_are_refused(
    game: TabularGame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PopulationEnv(**{"game": game, "n_agents": 3, **options})


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (0.5, TypeError), ("one", TypeError), ([1, -1], ValueError)]
)
def test_bad_seeds_are_refused(game: TabularGame, seed: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="seed must be a nonnegative integer"):
        make(game).reset(seed=seed)


def test_too_many_histograms_for_discrete_observations() -> None:
    with pytest.raises(
        ValueError, match=r"obs_mode=.discrete. .* use .box. or .multidiscrete., or .*global_view=.none."
    ):
        PopulationEnv(warehouse(), 100_000, obs_mode="discrete")


def test_an_unknown_global_view_is_refused() -> None:
    with pytest.raises(ValueError, match="global_view must be one of 'all', 'none'; got 'some'"):
        PopulationEnv(warehouse(), 3, global_view="some")  # type: ignore[arg-type]  # what is tested
