"""A continuous game of four functions, for the files test_continuous*.py."""

from typing import Any

import numpy as np

from kofn.envs import PopulationEnv
from kofn.envs.continuous import ContinuousGame
from kofn.wrappers import SubsampleObservation

EDGES = (-1.0, 0.0, 0.5, 2.0)
AIMS = np.array([-2.0, 3.0], dtype=np.float32)


def move_global(rng: Any, s_g: Any, a_g: Any) -> Any:
    return AIMS[a_g] * rng.random(s_g.shape)


def move_local(rng: Any, s_l: Any, s_g: Any, a_l: Any) -> Any:
    """Actions: stay, halve, take the fraction of the global state that lies within bounds, anything."""
    choices = [s_l, s_l / 2, np.broadcast_to(np.clip(s_g, -1, 2), s_l.shape), rng.uniform(-1, 2, s_l.shape)]
    return np.choose(a_l, choices)


def pay_global(rng: Any, s_g: Any, a_g: Any) -> Any:
    return s_g + 10 * a_g


def pay_local(rng: Any, s_l: Any, s_g: Any, a_l: Any) -> Any:
    return s_l * s_g + a_l


def start_global(rng: Any, n_populations: int) -> Any:
    return rng.uniform(-3, 3, n_populations)


def start_local(rng: Any, n_populations: int, n_agents: int) -> Any:
    return rng.uniform(-1, 2, (n_populations, n_agents))


OPTIONS: dict[str, Any] = {
    "n_global_actions": 2,
    "n_local_actions": 4,
    "discount": 0.5,
    "global_bounds": (-3.0, 3.0),
    "bin_edges": EDGES,
    "sample_global": move_global,
    "sample_local": move_local,
    "pay_global": pay_global,
    "pay_local": pay_local,
    "global_reward_bounds": (-3.0, 13.0),
    "local_reward_bounds": (-6.0, 9.0),
    "start_global": start_global,
    "start_local": start_local,
}


def make(**changes: Any) -> ContinuousGame:
    return ContinuousGame(**{**OPTIONS, **changes})


def environment(n_agents: int = 5, max_cycles: int = 6, k: int | None = None, summary: Any = "histogram") -> Any:
    env = PopulationEnv(make(title="a line"), n_agents, max_cycles=max_cycles)
    return env if k is None else SubsampleObservation(env, k, summary=summary)
