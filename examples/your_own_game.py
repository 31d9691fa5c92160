"""Your own game as four arrays: night buses.

A controller opens one of two depots each hour; n buses wait or drive to the other. A bus at the open depot earns a fare
(more at the first depot), driving costs half a coin, and the controller sees only k buses.

Run it: `python examples/your_own_game.py --n-agents 100000 --k 5`
"""

from dataclasses import dataclass

import numpy as np
import tyro

from kofn.agents import AlternatingMARL, evaluate
from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation


@dataclass(frozen=True)
class Config:
    """What to play: n_agents buses, of which the controller sees k; rollouts of the evaluation; a seed."""

    n_agents: int = 1000
    k: int = 5
    n_rollouts: int = 500
    seed: int = 0


def night_buses() -> TabularGame:
    """The four arrays, with index order as in the papers."""
    drive = np.zeros((2, 2, 2, 2))  # [s_l, s_g, a_l, s_l']: 0 wait, 1 drive to the other depot
    for depot in range(2):
        drive[depot, :, 0, depot] = 1.0
        drive[depot, :, 1, [1 - depot, depot]] = [[0.9], [0.1]]
    fares = np.eye(2)[:, :, None] * np.array([3.0, 2.0])[:, None, None]  # the first depot's passengers pay more
    return TabularGame(
        global_transition=np.tile([[0.95, 0.05], [0.05, 0.95]], (2, 1, 1)),  # [s_g, a_g, s_g']: the one asked for opens
        local_transition=drive,
        global_reward=np.zeros((2, 2)),
        local_reward=fares - np.array([0.0, 0.5]),
        discount=0.9,
        initial_local=FixedStart(np.array([0.2, 0.8])),
    )


def main(config: Config) -> float:
    """Train both sides and print what the pair earns; returns the mean discounted return."""
    game = night_buses()
    env = SubsampleObservation(PopulationEnv(game, config.n_agents), config.k)
    result = AlternatingMARL(env, seed=config.seed).learn(progress_bar=True)
    pair = result.global_policy, result.local_policy
    found = evaluate(game, *pair, config.n_agents, n_rollouts=config.n_rollouts, seed=config.seed + 1)
    print(f"discounted return {found.mean:.3f} (standard error {found.standard_error:.3f})")
    print("bus policy, action per [own depot, open depot]:", result.local_policy.table.argmax(axis=2).tolist())
    return found.mean


if __name__ == "__main__":
    main(tyro.cli(Config))
