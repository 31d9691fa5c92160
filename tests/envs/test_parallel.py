"""PopulationEnv against its game read by hand: spaces, rewards, seeds, copies, errors; nothing returned is shared."""

import copy
import math
import pickle
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.utils.env_checker import data_equivalence

from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES, ObsMode
from kofn.envs.warehouse_dispatch import game as warehouse

MakeGame = Callable[..., TabularGame]
N_GLOBAL, N_LOCAL, N = 3, 4, 6

every_mode = pytest.mark.parametrize("obs_mode", OBS_MODES)


@pytest.fixture
def game(random_game: MakeGame) -> TabularGame:
    """All four sizes differ, so that no two axes can be mixed up."""
    return random_game(1, n_global=N_GLOBAL, n_local=N_LOCAL, n_global_actions=5, n_local_actions=2)


def make(game: TabularGame, n_agents: int = N, **options: Any) -> PopulationEnv:
    return PopulationEnv(game, n_agents, **{"max_cycles": 8, **options})


def random_actions(env: PopulationEnv, rng: np.random.Generator) -> dict[str, int]:
    return {agent: int(rng.integers(env.action_space(agent).n)) for agent in env.possible_agents}


def zeros(env: PopulationEnv, **changes: Any) -> dict[str, Any]:
    return {**dict.fromkeys(env.possible_agents, 0), **changes}


def play(env: PopulationEnv, rng: np.random.Generator) -> list[Any]:
    """All that the environment returns until the end of the episode."""
    results = []
    while env.agents:
        results.append((*env.step(random_actions(env, rng)), env.state()))
    return results


def states_of(env: PopulationEnv) -> list[int]:
    """[s_g, s_1 .. s_n] out of `state()`."""
    state = env.state()
    if env.obs_mode != "box":
        return [int(x) for x in state]
    hot = np.flatnonzero(state).tolist()
    sizes = [env.game.n_global_states] + [env.game.n_local_states] * env.n_agents
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    assert state[hot].tolist() == [1.0] * len(sizes)
    return [h - start for h, start in zip(hot, starts, strict=True)]


def by_hand(env: PopulationEnv, agent: str) -> Any:
    """What an agent should observe, from `state()`."""
    s_g, *locals_ = states_of(env)
    counts = [locals_.count(x) for x in range(N_LOCAL)]
    own = locals_[int(agent.removeprefix("local_"))] if agent != "global_0" else None
    if env.obs_mode == "box":
        one_hot_global = [float(s_g == g) for g in range(N_GLOBAL)]
        if own is None:
            return np.array(one_hot_global + [c / len(locals_) for c in counts], dtype=np.float32)
        return np.array([float(own == x) for x in range(N_LOCAL)] + one_hot_global, dtype=np.float32)
    if env.obs_mode == "multidiscrete":
        return np.array([s_g, *counts] if own is None else [own, s_g])
    if own is not None:
        return own * N_GLOBAL + s_g
    ordered = [c for c in product(range(len(locals_) + 1), repeat=N_LOCAL) if sum(c) == len(locals_)]
    return s_g * len(ordered) + ordered.index(tuple(counts))


# Names and spaces.


def test_agents_are_named_by_side_and_number(game: TabularGame) -> None:
    env = make(game, 3)
    assert env.possible_agents == ["global_0", "local_0", "local_1", "local_2"]
    assert env.agents == []
    env.reset(seed=0)
    assert env.agents == env.possible_agents
    assert env.agents is not env.possible_agents
    assert (env.num_agents, env.max_num_agents) == (4, 4)


@every_mode
def test_observations_are_the_state_read_by_hand(game: TabularGame, obs_mode: Any) -> None:
    env, rng = make(game, obs_mode=obs_mode), np.random.default_rng(0)
    observations, infos = env.reset(seed=3)
    assert infos == {agent: {} for agent in env.possible_agents}
    seen = 0
    while True:
        assert list(observations) == env.possible_agents
        for agent, observation in observations.items():
            space = env.observation_space(agent)
            np.testing.assert_array_equal(observation, by_hand(env, agent))
            assert observation.dtype == space.dtype
            assert space.contains(observation)
        assert env.state_space.contains(env.state())
        seen += 1
        if not env.agents:
            break
        observations, *_ = env.step(random_actions(env, rng))
    assert seen == env.max_cycles + 1


@every_mode
def test_spaces_have_the_documented_type(game: TabularGame, obs_mode: str) -> None:
    env = make(game, obs_mode=obs_mode)
    kinds = {"box": Box, "discrete": Discrete, "multidiscrete": MultiDiscrete}
    for agent in env.possible_agents:
        assert type(env.observation_space(agent)) is kinds[obs_mode]
    assert env.action_space("global_0") == Discrete(5)
    assert env.action_space("local_2") == Discrete(2)
    expected = (
        Box(0.0, 1.0, (N_GLOBAL + N * N_LOCAL,)) if obs_mode == "box" else MultiDiscrete([N_GLOBAL] + [N_LOCAL] * N)
    )
    assert env.state_space == expected


@every_mode
def test_every_agent_has_space_objects_of_its_own(game: TabularGame, obs_mode: Any) -> None:
    env = make(game, obs_mode=obs_mode)
    for space_of in (env.observation_space, env.action_space):
        spaces = [space_of(agent) for agent in env.possible_agents]
        assert len({id(space) for space in spaces}) == len(spaces)
        assert all(space_of(agent) is space for agent, space in zip(env.possible_agents, spaces, strict=True))
    env.reset(seed=0)
    before = env.observation_space("local_1")
    env.step(zeros(env))
    assert env.observation_space("local_1") is before
    assert make(game).observation_space("local_1") is not before


@every_mode
def test_encodings_invert_observations(game: TabularGame, obs_mode: Any) -> None:
    env = make(game, obs_mode=obs_mode)
    observations, _ = env.reset(seed=1)
    s_g, *locals_ = states_of(env)
    own, shared = env.local_encoding.decode(np.stack([observations[f"local_{i}"] for i in range(N)]))
    assert own.tolist() == locals_
    assert shared.tolist() == [s_g] * N
    states, counts = env.global_encoding.decode(np.array([observations["global_0"]]))
    assert states.tolist() == [s_g]
    assert counts[0].tolist() == [locals_.count(x) for x in range(N_LOCAL)]


@pytest.mark.parametrize(
    "agent", ["global_1", "local_6", "local_-1", "local_01", "local_", "local_1_0", "global", "", 0]
)
def test_unknown_agents_have_no_space(game: TabularGame, agent: Any) -> None:
    env = make(game)
    for space_of in (env.observation_space, env.action_space):
        with pytest.raises(KeyError, match=r"agent must be 'global_0' or 'local_0' \.\. 'local_5'"):
            space_of(agent)


def test_metadata_names_the_game(warehouse3: TabularGame) -> None:
    env = make(warehouse3, render_mode="ansi")
    assert env.metadata["name"] == "warehouse_dispatch"
    assert env.metadata["render_modes"] == ["human", "rgb_array", "ansi"]
    assert env.metadata["is_parallelizable"] is True
    assert (env.render_mode, env.discount) == ("ansi", 0.95)
    assert "name" not in PopulationEnv.metadata


# Rewards, infos, and the end.


@every_mode
def test_team_reward_is_the_formula(game: TabularGame, obs_mode: Any) -> None:
    env, rng = make(game, obs_mode=obs_mode), np.random.default_rng(1)
    env.reset(seed=2)
    while env.agents:
        (s_g, *locals_), actions = states_of(env), random_actions(env, rng)
        own = [game.local_reward[x, s_g, actions[f"local_{i}"]] for i, x in enumerate(locals_)]
        parts = float(game.global_reward[s_g, actions["global_0"]]), math.fsum(own) / N
        _, rewards, _, _, infos = env.step(actions)
        assert list(rewards) == env.possible_agents
        assert set(rewards.values()) == {rewards["global_0"]}
        assert rewards["global_0"] == pytest.approx(sum(parts), rel=1e-12)
        info = infos["global_0"]
        assert (info["reward_global"], info["reward_local_mean"]) == pytest.approx(parts, rel=1e-12)
        assert all(type(value) is float for value in [*rewards.values(), *info.values()])


def test_returns_are_told_at_the_end_only(game: TabularGame) -> None:
    env, rng = make(game), np.random.default_rng(0)
    for seed in (0, None):
        env.reset(seed=seed)
        steps = play(env, rng)
        paid = [rewards["local_0"] for _, rewards, *_ in steps]
        *earlier, last = [infos for *_, infos, _ in steps]
        assert all(set(infos["global_0"]) == {"reward_global", "reward_local_mean"} for infos in earlier)
        assert last["global_0"]["team_return"] == pytest.approx(math.fsum(paid), rel=1e-12)
        discounted = math.fsum(game.discount**t * reward for t, reward in enumerate(paid))
        assert last["global_0"]["team_discounted_return"] == pytest.approx(discounted, rel=1e-12)
        assert all(infos[agent] == {} for infos in [*earlier, last] for agent in env.possible_agents[1:])


@pytest.mark.parametrize("max_cycles", [1, 2, 8])
def test_time_limit_truncates_and_nothing_terminates(game: TabularGame, max_cycles: int) -> None:
    env = make(game, max_cycles=max_cycles)
    for _ in range(2):
        env.reset(seed=0)
        for step in range(1, max_cycles + 1):
            _, _, terminations, truncations, _ = env.step(zeros(env))
            assert terminations == dict.fromkeys(env.possible_agents, False)
            assert truncations == dict.fromkeys(env.possible_agents, step == max_cycles)
            assert env.agents == ([] if step == max_cycles else env.possible_agents)
            assert env.timestep == step


def cycle_game() -> TabularGame:
    """No chance at all: s_g' = a_g; an agent that acts 1 goes to the zone numbered s_g, one that acts 0 stays."""
    local = np.zeros((3, 3, 2, 3))
    for x, s_g in product(range(3), repeat=2):
        local[x, s_g, 0, x] = local[x, s_g, 1, s_g] = 1.0
    return TabularGame(
        global_transition=np.broadcast_to(np.eye(3), (3, 3, 3)),
        local_transition=local,
        global_reward=np.zeros((3, 3)),
        local_reward=np.zeros((3, 3, 2)),
        discount=0.5,
        initial_global=np.array([0.0, 1.0, 0.0]),
        initial_local=FixedStart(np.array([1.0, 0.0, 0.0])),
    )


@pytest.mark.parametrize(("local_timing", "seen"), [("paper", [1, 2]), ("code", [2, 0])])
def test_local_agents_move_with_the_old_global_state(local_timing: Any, seen: list[int]) -> None:
    env = make(cycle_game(), 2, local_timing=local_timing, obs_mode="multidiscrete")
    env.reset(seed=0)
    assert env.state().tolist() == [1, 0, 0]
    env.step({"global_0": 2, "local_0": 1, "local_1": 0})
    assert env.state().tolist() == [2, seen[0], 0]
    env.step({"global_0": 0, "local_0": 1, "local_1": 0})
    assert env.state().tolist() == [0, seen[1], 0]


def test_action_of_agent_i_moves_agent_i() -> None:
    env = make(cycle_game(), 4, obs_mode="multidiscrete")
    env.reset(seed=0)
    # The order of the dict does not matter, the names do.
    env.step({"local_3": 1, "local_1": 1, "global_0": 0, "local_0": 0, "local_2": 0})
    assert env.state().tolist() == [0, 0, 1, 0, 1]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64, np.uint64, np.array])
def test_any_integer_is_an_action(game: TabularGame, kind: Any) -> None:
    env, plain = make(game), make(game)
    env.reset(seed=0)
    plain.reset(seed=0)
    actions = random_actions(env, np.random.default_rng(0))
    typed = {agent: kind(action) for agent, action in actions.items()}
    assert data_equivalence(env.step(typed), plain.step(actions), exact=True)
    mixed = {agent: kind(action) if agent == "local_2" else action for agent, action in actions.items()}
    assert data_equivalence(env.step(mixed), plain.step(actions), exact=True)


# Nothing returned is shared with the environment.


def spoil(value: Any) -> None:
    """Overwrite everything inside a returned object, depth first."""
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value.clear()
        value["__all__"] = True
    elif isinstance(value, tuple | list):
        for inner in value:
            spoil(inner)
    elif isinstance(value, np.ndarray):
        value.fill(7)


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


# Seeds and copies.


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


# Sizes.


@every_mode
def test_one_local_agent(game: TabularGame, obs_mode: Any) -> None:
    env = make(game, 1, obs_mode=obs_mode)
    env.reset(seed=0)
    s_g, x = states_of(env)
    observations, rewards, *_ = env.step({"global_0": 4, "local_0": 1})
    assert list(observations) == ["global_0", "local_0"]
    assert rewards["global_0"] == pytest.approx(game.global_reward[s_g, 4] + game.local_reward[x, s_g, 1], rel=1e-12)


def test_one_state_and_one_action(random_game: MakeGame) -> None:
    env = make(random_game(0, n_global=1, n_local=1, n_global_actions=1, n_local_actions=1), 3)
    env.reset(seed=0)
    observations, *_ = env.step(zeros(env))
    assert observations["global_0"].tolist() == [1.0, 1.0]
    assert observations["local_2"].tolist() == [1.0, 1.0]


def test_a_hundred_thousand_agents(game: TabularGame) -> None:
    env = make(game, 100_000)
    env.reset(seed=0)
    s_g, *locals_ = states_of(env)
    observations, rewards, *_ = env.step(zeros(env))
    paid = game.global_reward[s_g, 0] + math.fsum(game.local_reward[x, s_g, 0] for x in locals_) / len(locals_)
    assert rewards["local_99999"] == pytest.approx(paid, rel=1e-9)
    assert len(observations) == 100_001
    assert env.observation_space("local_99999").contains(observations["local_99999"])
    assert observations["global_0"][N_GLOBAL:].sum() == pytest.approx(1.0, rel=1e-6)


# Errors.


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


@pytest.mark.parametrize("obs_mode", OBS_MODES)
def test_a_blind_global_agent_sees_its_own_state_only(obs_mode: ObsMode) -> None:
    blind = PopulationEnv(warehouse(), 30, obs_mode=obs_mode, global_view="none")
    seeing = PopulationEnv(warehouse(), 30, obs_mode=obs_mode)
    space = blind.observation_space("global_0")
    for seed in range(20):
        observations, _ = blind.reset(seed=seed)
        others, _ = seeing.reset(seed=seed)
        seen = observations.pop("global_0")
        assert space.contains(seen)
        state, nobody = blind.global_encoding.decode(np.asarray(seen)[None])
        assert state[0] == blind.simulator.global_states[0]
        assert not nobody.any()
        assert all(np.array_equal(observations[agent], others[agent]) for agent in observations)


def test_an_unknown_global_view_is_refused() -> None:
    with pytest.raises(ValueError, match="global_view must be one of 'all', 'none'; got 'some'"):
        PopulationEnv(warehouse(), 3, global_view="some")  # type: ignore[arg-type]  # what is tested
