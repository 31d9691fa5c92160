"""PopulationEnv's seeds and copies: the same episodes from the same seed, and nothing returned is shared."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from parallel_play import N, every_mode, make, play, random_actions, states_of, zeros
from spoiling import spoil

from kofn.envs import PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES


@every_mode
def test_callers_may_write_into_whatever_is_returned(game: TabularGame, obs_mode: Any) -> None:
    spoiled, twin = make(game, obs_mode=obs_mode), make(game, obs_mode=obs_mode)
    rng = np.random.default_rng(0)
    for seed in (4, None):
        results = spoiled.reset(seed=seed), twin.reset(seed=seed)
        while True:
            assert data_equivalence(*results, exact=True)
            states = spoiled.state(), twin.state()
            np.testing.assert_array_equal(*states)
            spoil(results[0])
            spoil(states[0])
            if not twin.agents:
                break
            actions = random_actions(twin, rng)
            given = dict(actions)
            results = spoiled.step(given), twin.step(actions)
            assert given == actions
            spoil(given)


@every_mode
def test_what_was_returned_never_changes_later(game: TabularGame, obs_mode: Any) -> None:
    env, rng = make(game, obs_mode=obs_mode), np.random.default_rng(0)
    kept = [(env.reset(seed=0), env.state())]
    snapshots = [copy.deepcopy(kept[0])]
    for _ in range(3):
        kept.append((env.step(random_actions(env, rng)), env.state()))
        snapshots.append(copy.deepcopy(kept[-1]))
    env.reset()
    env.step(zeros(env))
    env.state()
    assert data_equivalence(kept, snapshots, exact=True)


@every_mode
def test_one_returned_row_is_no_part_of_another(game: TabularGame, obs_mode: Any) -> None:
    env = make(game, obs_mode=obs_mode)
    results = [env.reset(seed=0), *(env.step(zeros(env)) for _ in range(3))]
    kept = copy.deepcopy(results)
    for step in range(len(results)):
        for agent in env.possible_agents:
            spoil(results[step][0][agent])
            spoil(results[step][-1][agent])
            kept[step][0][agent] = results[step][0][agent]
            kept[step][-1][agent] = results[step][-1][agent]
            assert data_equivalence(results, kept, exact=True)


def test_spoiled_agent_list_is_restored_by_reset(game: TabularGame) -> None:
    env = make(game)
    env.reset(seed=0)
    env.agents.clear()
    env.reset()
    assert env.agents == [*env.possible_agents]
    assert len(env.possible_agents) == N + 1


def history(env: PopulationEnv, *seeds: Any) -> list[Any]:
    """Episodes one after another, each reset by a seed."""
    return [(env.reset(seed=seed), env.state(), play(env, np.random.default_rng(i))) for i, seed in enumerate(seeds)]


def test_reset_without_seed_goes_on_and_with_seed_starts_again(game: TabularGame) -> None:
    first = history(make(game), 3, None, None, 3, None)
    assert data_equivalence(first, history(make(game), 3, None, None, 3, None), exact=True)
    starts = [(reset, state) for reset, state, _ in first]
    assert data_equivalence(starts[0], starts[3], exact=True)
    assert data_equivalence(starts[1], starts[4], exact=True)
    assert not data_equivalence(starts[0], starts[1], exact=True)
    assert not data_equivalence(starts[1], starts[2], exact=True)


def test_reset_in_the_middle_of_an_episode(game: TabularGame) -> None:
    env = make(game)
    env.reset(seed=3)
    env.step(zeros(env))
    env.reset(seed=3)
    assert env.timestep == 0
    assert data_equivalence(play(env, np.random.default_rng(0)), history(make(game), 3)[0][2], exact=True)


@pytest.mark.parametrize("seed", [0, [1, 2, 3], np.random.SeedSequence(5, spawn_key=(1,))])
def test_kinds_of_seed(game: TabularGame, seed: Any) -> None:
    assert data_equivalence(history(make(game), seed, None), history(make(game), seed, None), exact=True)


def test_unseeded_environments_differ(game: TabularGame) -> None:
    states = [history(make(game, 200), None)[0][1] for _ in range(2)]
    assert not np.array_equal(*states)


def test_dynamics_do_not_depend_on_the_observation_mode(game: TabularGame) -> None:
    states = []
    for obs_mode in OBS_MODES:
        env, rng = make(game, obs_mode=obs_mode), np.random.default_rng(0)
        env.reset(seed=0)
        states.append([states_of(env)])
        while env.agents:
            env.step(random_actions(env, rng))
            states[-1].append(states_of(env))
    assert states[0] == states[1] == states[2]


COPIERS = [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))]


@pytest.mark.parametrize("clone", COPIERS, ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_copies_continue_identically_and_independently(game: TabularGame, clone: Any, render_mode: Any) -> None:
    env = make(game, render_mode=render_mode)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(3):
        env.step(random_actions(env, rng))
    first, second = clone(env), clone(env)
    state = env.state()
    plays = [play(one, np.random.default_rng(1)) for one in (first, second)]
    np.testing.assert_array_equal(env.state(), state)  # the copies' steps are not the original's
    assert env.timestep == 3
    plays.append(play(env, np.random.default_rng(1)))
    assert len(plays[0]) == env.max_cycles - 3
    assert data_equivalence(plays[0], plays[1], exact=True)
    assert data_equivalence(plays[0], plays[2], exact=True)
    assert data_equivalence(first.reset(), env.reset(), exact=True)
    assert first.observation_space("local_0") is not env.observation_space("local_0")


@pytest.mark.parametrize("clone", COPIERS, ids=["deepcopy", "pickle"])
def test_copies_before_the_first_reset(game: TabularGame, clone: Any) -> None:
    twin = clone(make(game))
    with pytest.raises(RuntimeError, match="call reset"):
        twin.step(zeros(twin))
    assert data_equivalence(history(twin, 1), history(make(game), 1), exact=True)
