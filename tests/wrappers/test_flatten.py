"""Homogenize: every registered game gets one observation and one action space, and excess actions do nothing."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import parallel_api_test
from pettingzoo.utils.wrappers import BaseParallelWrapper

from kofn.envs import GAMES, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation, homogenize
from kofn.wrappers.factory import make_parallel

MakeGame = Callable[..., TabularGame]
every_game = pytest.mark.parametrize("name", GAMES)
every_limit = pytest.mark.parametrize(
    "limit", [{}, {"k": 3}, {"k": 3, "summary": "states"}], ids=["all", "k", "states"]
)


def small(name: str, **options: Any) -> Any:
    return make_parallel(game=name, **{"n_agents": 12, "max_cycles": 6, **options})


def common_actions(env: Any, rng: np.random.Generator) -> dict[str, int]:
    return {agent: int(rng.integers(env.n_actions)) for agent in env.possible_agents}


@every_game
@every_limit
def test_all_agents_have_equal_spaces_and_observations_inside(name: str, limit: dict[str, Any]) -> None:
    env = homogenize(small(name, **limit))
    parallel_api_test(env, num_cycles=10)
    plain = small(name, **limit)
    spaces = {agent: (env.observation_space(agent), env.action_space(agent)) for agent in env.possible_agents}
    first = spaces["global_0"]
    assert isinstance(first[0], Box)
    assert isinstance(first[1], Discrete)
    assert all(pair == first for pair in spaces.values())
    assert len({id(space) for pair in spaces.values() for space in pair}) == 2 * len(spaces)
    widths = [plain.observation_space(agent).shape[0] for agent in ("global_0", "local_0")]
    assert first[0].shape == (2 + max(widths),)
    assert first[1].n == max(plain.action_space(agent).n for agent in ("global_0", "local_0"))


@every_game
@every_limit
def test_observations_are_type_then_own_then_zeros(name: str, limit: dict[str, Any]) -> None:
    plain, env = small(name, **limit), homogenize(small(name, **limit))
    theirs, ours = plain.reset(seed=4), env.reset(seed=4)
    rng = np.random.default_rng(0)
    while True:
        assert data_equivalence(theirs[1:], ours[1:], exact=True)
        assert list(ours[0]) == env.possible_agents
        for agent, row in ours[0].items():
            own = theirs[0][agent]
            kind = [1.0, 0.0] if agent == "global_0" else [0.0, 1.0]
            assert row.tolist() == [*kind, *own.tolist(), *[0.0] * (len(row) - 2 - len(own))]
            assert env.observation_space(agent).contains(row)
        if not plain.agents:
            break
        actions = {agent: int(rng.integers(plain.action_space(agent).n)) for agent in plain.agents}
        theirs, ours = plain.step(actions), env.step(actions)
    assert not env.agents


@every_game
def test_excess_actions_of_a_local_agent_are_its_staying(name: str) -> None:
    """In every registered game action 0 stays, skips or commits nothing, except where loads or places are steps."""
    stay = {"gaussian_squeeze": 1, "formation": 1}.get(name, 0)
    plain, env = small(name), homogenize(small(name))
    plain.reset(seed=1)
    env.reset(seed=1)
    n_local = plain.action_space("local_0").n
    if n_local == env.n_actions:
        return
    while plain.agents:
        actions = {agent: 0 if agent == "global_0" else n_local for agent in env.agents}
        expected = {agent: 0 if agent == "global_0" else stay for agent in env.agents}
        if name == "formation":  # the leader pushes followers, so the step that holds the place depends on it
            game, simulator = plain.game, plain.simulator
            s_g, states = simulator.global_states[0], simulator.local_states[0]
            keeps = game.local_transition[states, s_g, :, states].argmax(axis=1)
            expected.update({f"local_{i}": int(a) for i, a in enumerate(keeps)})
        assert data_equivalence(plain.step(expected), _unpadded(env.step(actions), plain), exact=True)


def _unpadded(results: Any, plain: Any) -> Any:
    widths = {agent: plain.observation_space(agent).shape[0] for agent in plain.possible_agents}
    return ({agent: row[2 : 2 + widths[agent]] for agent, row in results[0].items()}, *results[1:])


def test_an_excess_action_of_the_global_agent_keeps_its_state(random_game: MakeGame) -> None:
    game = random_game(1, n_global=3, n_local=2, n_global_actions=2, n_local_actions=4)
    env, plain = homogenize(PopulationEnv(game, 5)), PopulationEnv(game, 5)
    env.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(20):
        s_g = plain.simulator.global_states[0]
        keep = int(game.global_transition[s_g, :, s_g].argmax())
        others = dict.fromkeys(env.possible_agents[1:], 3)
        ours, theirs = env.step({"global_0": 3, **others}), plain.step({"global_0": keep, **others})
        assert data_equivalence(theirs[1:], ours[1:], exact=True)


def test_no_ops_of_the_users_own(warehouse3: TabularGame) -> None:
    env, plain = homogenize(PopulationEnv(warehouse3, 4), no_op=(1, 2)), PopulationEnv(warehouse3, 4)
    for one in (env, plain):
        one.reset(seed=0)
    ours = env.step({"global_0": 0, **{f"local_{i}": 2 for i in range(4)}})
    theirs = plain.step({"global_0": 0, **{f"local_{i}": 2 for i in range(4)}})
    assert data_equivalence(theirs[1:], ours[1:], exact=True)


def test_a_no_op_of_the_users_own_is_what_is_played(random_game: MakeGame) -> None:
    game = random_game(1, n_global_actions=5, n_local_actions=3)
    env, plain = homogenize(PopulationEnv(game, 4), no_op=(1, 2)), PopulationEnv(game, 4)
    env.reset(seed=0)
    plain.reset(seed=0)
    ours = env.step({"global_0": 4, **{f"local_{i}": 3 + i % 2 for i in range(4)}})
    theirs = plain.step({"global_0": 4, **{f"local_{i}": 2 for i in range(4)}})
    assert data_equivalence(theirs[1:], ours[1:], exact=True)


def test_the_action_dict_of_the_caller_is_left_alone(warehouse3: TabularGame) -> None:
    env = homogenize(SubsampleObservation(PopulationEnv(warehouse3, 4), k=2))
    env.reset(seed=0)
    actions = dict.fromkeys(env.agents, 2)
    env.step(actions)
    assert actions == dict.fromkeys(env.possible_agents, 2)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
def test_copies_in_mid_episode_continue_alike_and_apart(clone: Any) -> None:
    env: Any = homogenize(small("warehouse_dispatch", k=3))
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    env.step(common_actions(env, rng))
    twin = clone(env)
    plays = []
    for one in (twin, env):
        actions = np.random.default_rng(5)
        plays.append([one.step(common_actions(one, actions)) for _ in range(5)])
    assert data_equivalence(*plays, exact=True)


def test_rows_are_the_callers_own(warehouse3: TabularGame) -> None:
    env, twin = (homogenize(PopulationEnv(warehouse3, 4)) for _ in range(2))
    spoiled, kept = env.reset(seed=0)[0], twin.reset(seed=0)[0]
    spoiled["local_1"].fill(9)
    assert all(np.array_equal(spoiled[agent], kept[agent]) for agent in kept if agent != "local_1")
    zeros = dict.fromkeys(env.possible_agents, 0)
    assert data_equivalence(env.step(zeros), twin.step(zeros), exact=True)


# Errors.

BAD_ACTIONS = [
    ({"local_2": 5}, ValueError, "the action of 'local_2' must be between 0 and 4; got 5"),
    ({"local_2": -1}, ValueError, "the action of 'local_2' must be between 0 and 4; got -1"),
    ({"global_0": 5}, ValueError, "the action of 'global_0' must be between 0 and 4; got 5"),
    ({"local_2": 4.0}, TypeError, r"the action of 'local_2' must be an integer; got 4\.0"),
    ({"local_2": 1.0}, TypeError, r"the action of 'local_2' must be an integer; got 1\.0"),
    ({"local_2": None}, TypeError, "the action of 'local_2' must be an integer; got None"),
    ({"local_2": "4"}, TypeError, "the action of 'local_2' must be an integer; got '4'"),
    ({"local_2": np.array([4])}, TypeError, "the action of 'local_2' must be an integer"),
    ({"local_2": True}, TypeError, "the action of 'local_2' must be an integer; got True"),
    ({"local_9": 0}, ValueError, "'local_9' is not one of them"),
    ({"local_9": 4}, ValueError, "'local_9' is not one of them"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_ACTIONS)
def test_bad_actions_are_refused(
    random_game: MakeGame, changes: dict[Any, Any], error: type[Exception], message: str
) -> None:
    env = homogenize(PopulationEnv(random_game(1, n_global_actions=5, n_local_actions=3), 4))
    env.reset(seed=0)
    with pytest.raises(error, match=message):
        env.step({**dict.fromkeys(env.agents, 0), **changes})


def test_what_the_environment_refuses_stays_refused(warehouse3: TabularGame) -> None:
    env: Any = homogenize(PopulationEnv(warehouse3, 2, max_cycles=1))
    zeros = dict.fromkeys(env.possible_agents, 0)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step"):
        env.step(zeros)
    env.reset(seed=0)
    with pytest.raises(KeyError, match="'local_1' is missing"):
        env.step({"global_0": 0, "local_0": 0})
    with pytest.raises(TypeError, match="actions must be a dict"):
        env.step([0, 0, 0])
    env.step(zeros)
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.step(zeros)


@pytest.mark.parametrize("agent", ["local_2", "global_1", 0])
def test_unknown_agents_have_no_space(warehouse3: TabularGame, agent: Any) -> None:
    with pytest.raises(KeyError, match="agent must be 'global_0' or 'local_0'"):
        homogenize(PopulationEnv(warehouse3, 2)).observation_space(agent)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda env: homogenize(PopulationEnv(env.game, 3, obs_mode="discrete")),
            ValueError,
            "obs_mode='box'; got 'disc",
        ),
        (lambda env: homogenize(homogenize(env)), ValueError, "homogenized already"),
        (lambda env: homogenize(BaseParallelWrapper(homogenize(env))), ValueError, "homogenized already"),
        (lambda env: homogenize(env, no_op=(0, 3)), ValueError, r"no_op\[1\] must be between 0 and 2; got 3"),
        (lambda env: homogenize(env, no_op=(0.5, 0)), TypeError, r"no_op\[0\] must be an integer; got 0\.5"),
        (lambda env: homogenize(env.game), TypeError, "must be a PopulationEnv, possibly wrapped; got TabularGame"),
    ],
)
def test_what_cannot_be_homogenized(warehouse3: TabularGame, make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(PopulationEnv(warehouse3, 3))
