"""Stable-Baselines3 on both sides of the warehouse: DQN for the dispatcher, PPO for the fleet.

Each algorithm trains in its player's view; what it learned becomes a table, and the alternating driver keeps it if it
pays in the deployed game.

Run it: `python examples/dqn_and_ppo.py --n-agents 1000 --k 2`
"""

from dataclasses import dataclass

import tyro
from stable_baselines3 import DQN, PPO

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.agents.deep.plug_in import Sb3Learner
from kofn.envs.warehouse_dispatch import parallel_env
from kofn.wrappers import SubsampleObservation


@dataclass(frozen=True)
class Config:
    """What to train.

    Args:
        n_agents: number of robots.
        k: robots the dispatcher sees per step.
        n_zones: zones of the warehouse.
        dqn_steps: steps of DQN per proposal.
        ppo_steps: steps of PPO per proposal.
        n_rollouts: rollouts of every judgement.
        max_alternations: rounds of one proposal each.
        seed: source of all randomness.
    """

    n_agents: int = 1000
    k: int = 2
    n_zones: int = 3
    dqn_steps: int = 20_000
    ppo_steps: int = 20_000
    n_rollouts: int = 500
    max_alternations: int = 3
    seed: int = 0


def main(config: Config) -> float:
    """Train; returns the potential of the final pair."""
    env = SubsampleObservation(parallel_env(n_agents=config.n_agents, n_zones=config.n_zones), config.k)
    model = AlternatingMARL(
        env,
        AlternatingConfig(n_rollouts=config.n_rollouts, max_alternations=config.max_alternations),
        global_learner=Sb3Learner(DQN, config.dqn_steps, options={"learning_starts": 500, "exploration_fraction": 0.3}),
        local_learner=Sb3Learner(PPO, config.ppo_steps, options={"n_steps": 512}),
        seed=config.seed,
    )
    result = model.learn(on_proposal=lambda p: print(f"{p.player}: {p.proposed_potential:.2f} {p.verdict}"))
    print(f"discounted return {result.potential:.2f}")
    return result.potential


if __name__ == "__main__":
    main(tyro.cli(Config))
