"""Robots of two types in the warehouse: a fast one makes several moves in the time a slow one makes one.

`with_types` makes one game of a game per type; the fleet still shares one policy, which may treat types differently.

Run it: `python examples/two_types_of_robots.py --moves 4 --k 3`
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tyro

from kofn.agents import AlternatingMARL, evaluate
from kofn.envs import LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.types import type_states, with_types
from kofn.envs.warehouse_dispatch import game as warehouse
from kofn.wrappers import SubsampleObservation


@dataclass(frozen=True)
class Config:
    """What to play.

    Args:
        n_agents: number of robots.
        k: robots the dispatcher sees each step.
        n_zones: zones of the warehouse.
        moves: moves a fast robot makes per step.
        n_rollouts: rollouts of the evaluation.
        seed: source of all randomness.
    """

    n_agents: int = 1000
    k: int = 3
    n_zones: int = 5
    moves: int = 4
    n_rollouts: int = 500
    seed: int = 0


def types_of_robots(config: Config) -> dict[str, TabularGame]:
    """The warehouse as slow and as fast robots know it; how many there are of each is random, on average the same."""
    slow = warehouse(config.n_zones)
    one_move = np.moveaxis(slow.local_transition, 0, 2)  # [s_g, a_l, s_l, s_l']
    many_moves = np.linalg.matrix_power(one_move, config.moves)
    return {"slow": slow, "fast": replace(slow, local_transition=np.moveaxis(many_moves, 2, 0))}


def print_policy(types: Mapping[str, TabularGame], policy: LocalPolicy) -> None:
    """The likeliest action in every zone (row) under every place of the dispatcher (column)."""
    for name, states in type_states(types).items():
        actions = policy.table[states].argmax(axis=2)
        print(f"{name} robots (0 stay, 1 up, 2 down), by own zone and dispatcher's: {actions.tolist()}")


def main(config: Config) -> float:
    """Train both sides and print what they learned; returns the mean discounted return."""
    types = types_of_robots(config)
    game = with_types(types)
    env = SubsampleObservation(PopulationEnv(game, config.n_agents), config.k)
    result = AlternatingMARL(env, seed=config.seed).learn(progress_bar=True)
    pair = result.global_policy, result.local_policy
    found = evaluate(game, *pair, config.n_agents, n_rollouts=config.n_rollouts, seed=config.seed + 1)
    print(f"discounted return {found.mean:.2f} (standard error {found.standard_error:.2f})")
    print_policy(types, result.local_policy)
    return found.mean


if __name__ == "__main__":
    main(tyro.cli(Config))
