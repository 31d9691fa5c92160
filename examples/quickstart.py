"""Quickstart: train the paper's agents on the warehouse, play them in the standard API, evaluate them at another size.

Run it: `python examples/quickstart.py --k 10`
"""

from dataclasses import dataclass

import pettingzoo
import tyro

import kofn.envs  # registers the ids
from kofn.agents import AlternatingMARL, evaluate


@dataclass(frozen=True)
class Config:
    """What to play.

    Args:
        n_agents: number of robots.
        k: robots the dispatcher sees each step.
        more_agents: robots of the other size.
        n_rollouts: rollouts of the evaluation.
        seed: source of all randomness.
    """

    n_agents: int = 1000
    k: int = 5
    more_agents: int = 10**6
    n_rollouts: int = 500
    seed: int = 0


def main(config: Config) -> float:
    """Train, play an episode, evaluate; returns the mean discounted return at the other size."""
    env = pettingzoo.make("parallel", kofn.envs.game_id("warehouse_dispatch"), n_agents=config.n_agents, k=config.k)
    model = AlternatingMARL(env, seed=config.seed)
    print(model.learn(progress_bar=True))

    observations, infos = env.reset(seed=config.seed)
    while env.agents:
        observations, *_, infos = env.step(model.predict(observations))
    print(f"one episode: discounted return {infos['global_0']['team_discounted_return']:.1f}")

    pair = model.global_policy, model.local_policy
    found = evaluate(env.game, *pair, config.more_agents, n_rollouts=config.n_rollouts, seed=config.seed + 1)
    print(f"{config.more_agents} robots: {found.mean:.2f}, 95% confidence {found.confidence_interval()}")
    return found.mean


if __name__ == "__main__":
    main(tyro.cli(Config))
