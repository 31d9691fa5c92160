"""Your own game as four arrays: a controller opens one of two depots, n buses wait (0) or drive to the other (1)."""

import numpy as np
import tyro

from kofn.agents import AlternatingMARL, evaluate
from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation

NIGHT_BUSES = TabularGame(
    global_transition=np.tile([[0.95, 0.05], [0.05, 0.95]], (2, 1, 1)),  # [s_g, a_g, s_g']: the depot asked for opens
    local_transition=np.tile([[[[1, 0], [0.1, 0.9]]], [[[0, 1], [0.9, 0.1]]]], (1, 2, 1, 1)),  # [s_l, s_g, a_l, s_l']
    global_reward=np.zeros((2, 2)),  # [s_g, a_g]
    local_reward=np.diag([3.0, 2.0])[:, :, None] - [0, 0.5],  # [s_l, s_g, a_l]: the open depot pays, driving costs
    discount=0.9,
    initial_local=FixedStart(np.array([0.2, 0.8])),  # most buses start at the second depot
)


def main(n_agents: int = 1000, k: int = 5, n_rollouts: int = 500, seed: int = 0) -> float:
    """Train a controller that sees k of n buses, and the buses; returns the pair's mean discounted return."""
    result = AlternatingMARL(SubsampleObservation(PopulationEnv(NIGHT_BUSES, n_agents), k), seed=seed).learn()
    pair = result.global_policy, result.local_policy
    print(f"bus policy [depot, open depot]: {result.local_policy.table.argmax(2).tolist()}")
    return evaluate(NIGHT_BUSES, *pair, n_agents, n_rollouts=n_rollouts, seed=seed + 1).mean


if __name__ == "__main__":
    print(f"return {tyro.cli(main):.2f}")  # python examples/your_own_game.py --n-agents 100000
