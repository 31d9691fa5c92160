"""A small PopulationEnv read by hand, for the files test_parallel*.py, and random episodes of any environment."""

from typing import Any

import numpy as np
import pytest

from kofn.envs import PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES

N_GLOBAL, N_LOCAL, N = 3, 4, 6

every_mode = pytest.mark.parametrize("obs_mode", OBS_MODES)


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
