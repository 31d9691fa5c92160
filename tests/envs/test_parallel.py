"""PopulationEnv against its game read by hand: spaces, observations, rewards, infos, the end, sizes."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.utils.env_checker import data_equivalence
from parallel_play import N_GLOBAL, N_LOCAL, N, every_mode, make, play, random_actions, states_of, zeros

from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES, ObsMode
from kofn.envs.warehouse_dispatch import game as warehouse

MakeGame = Callable[..., TabularGame]


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
