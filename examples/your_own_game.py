"""Your own game as four arrays: a controller opens one of two depots, n buses wait (0) or drive to the other depot (1).

The open depot pays 3 (the first) or 2 per bus, driving costs 0.5. `python examples/your_own_game.py --n-agents 100000`
"""

from dataclasses import dataclass

import numpy as np
import tyro

from kofn.agents import AlternatingMARL, evaluate
from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation

NIGHT_BUSES = TabularGame(
    global_transition=np.tile([[0.95, 0.05], [0.05, 0.95]], (2, 1, 1)),  # [s_g, a_g, s_g']: the depot asked for opens
    local_transition=np.array([[[1, 0], [0.1, 0.9]], [[0, 1], [0.9, 0.1]]])[:, None].repeat(
        2, 1
    ),  # [s_l, s_g, a_l, s_l']
    global_reward=np.zeros((2, 2)),  # [s_g, a_g]
    local_reward=np.diag([3.0, 2.0])[:, :, None] - [0, 0.5],  # [s_l, s_g, a_l]
    discount=0.9,
    initial_local=FixedStart(np.array([0.2, 0.8])),  # most buses start at the second depot
)


@dataclass(frozen=True)
class Config:
    """n_agents buses, of which the controller sees k; rollouts of the evaluation; a seed."""

    n_agents: int = 1000
    k: int = 5
    n_rollouts: int = 500
    seed: int = 0


def main(config: Config) -> float:
    """Train both sides; returns the mean discounted return of the pair."""
    env = SubsampleObservation(PopulationEnv(NIGHT_BUSES, config.n_agents), config.k)
    result = AlternatingMARL(env, seed=config.seed).learn(progress_bar=True)
    pair = result.global_policy, result.local_policy
    found = evaluate(NIGHT_BUSES, *pair, config.n_agents, n_rollouts=config.n_rollouts, seed=config.seed + 1)
    print(f"return {found.mean:.2f}; bus policy [depot, open depot]: {result.local_policy.table.argmax(2).tolist()}")
    return found.mean


if __name__ == "__main__":
    main(tyro.cli(Config))
