"""MAPPO or IPPO with TorchRL: one actor for the dispatcher, one that all robots share.

MAPPO's critics see the whole state, IPPO's only their agent's observation (`--no-centralised`).

Run it: `python examples/train_torchrl.py --n-iterations 20`
"""

from dataclasses import dataclass

import tyro

from kofn.experiments.integrations.torchrl_ppo import PPOConfig, train_ppo
from kofn.wrappers.factory import make_parallel


@dataclass(frozen=True)
class Config:
    """What to train.

    Args:
        game: registered game.
        n_agents: number of local agents.
        k: local agents the global agent sees each step.
        max_cycles: steps per episode.
        centralised: MAPPO; otherwise IPPO.
        n_iterations: batches of experience.
        episodes_per_batch: episodes per batch.
        episodes: episodes played at the end.
        seed: source of all randomness.
    """

    game: str = "warehouse_dispatch"
    n_agents: int = 10
    k: int = 3
    max_cycles: int = 50
    centralised: bool = True
    n_iterations: int = 20
    episodes_per_batch: int = 5
    episodes: int = 20
    seed: int = 0


def main(config: Config) -> float:
    """Train and play; returns the mean discounted return."""
    env = make_parallel(game=config.game, n_agents=config.n_agents, k=config.k, max_cycles=config.max_cycles)
    settings = PPOConfig(
        centralised=config.centralised,
        n_iterations=config.n_iterations,
        episodes_per_batch=config.episodes_per_batch,
    )
    model = train_ppo(env, settings, seed=config.seed, on_iteration=lambda i, r: print(f"batch {i}: reward {r:.2f}"))
    returns = []
    for episode in range(config.episodes):
        observations, infos = env.reset(seed=config.seed + 1 + episode)
        while env.agents:
            observations, *_, infos = env.step(model.predict(observations))
        returns.append(infos["global_0"]["team_discounted_return"])
    mean = sum(returns) / len(returns)
    print(f"discounted return {mean:.2f} over {config.episodes} episodes")
    return mean


if __name__ == "__main__":
    main(tyro.cli(Config))
