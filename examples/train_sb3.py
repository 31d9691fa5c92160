"""Stable-Baselines3's PPO with parameter sharing: one network plays the dispatcher and all robots.

The observation says whose it is (`homogenize`), the reward is the team's, gamma is the game's.

Run it: `python examples/train_sb3.py --timesteps 400000`
"""

from dataclasses import dataclass

import tyro
from stable_baselines3 import PPO

from kofn.experiments.integrations.sb3 import joint_actions, to_vec_env
from kofn.wrappers import homogenize
from kofn.wrappers.factory import make_parallel


@dataclass(frozen=True)
class Config:
    """What to train.

    Args:
        game: registered game.
        n_agents: number of local agents.
        k: local agents the global agent sees each step.
        max_cycles: steps per episode, a multiple of 5.
        num_envs: copies of the game played at once.
        timesteps: agent steps of training (every agent's step counts).
        episodes: episodes played at the end.
        seed: source of all randomness.
    """

    game: str = "warehouse_dispatch"
    n_agents: int = 20
    k: int = 5
    max_cycles: int = 50
    num_envs: int = 4
    timesteps: int = 200_000
    episodes: int = 20
    seed: int = 0


def main(config: Config) -> float:
    """Train and play; returns the mean discounted return."""
    env = make_parallel(game=config.game, n_agents=config.n_agents, k=config.k, max_cycles=config.max_cycles)
    vec = to_vec_env(env, config.num_envs, config.seed)
    discount = env.unwrapped.discount
    batch = vec.num_envs * (config.max_cycles // 5)
    model = PPO(
        "MlpPolicy", vec, gamma=discount, n_steps=config.max_cycles, batch_size=batch, seed=config.seed, device="cpu"
    )
    model.learn(config.timesteps)
    game, returns = homogenize(env), []
    for episode in range(config.episodes):
        observations, infos = game.reset(seed=config.seed + 1 + episode)
        while game.agents:
            observations, *_, infos = game.step(joint_actions(model, observations))
        returns.append(infos["global_0"]["team_discounted_return"])
    mean = sum(returns) / len(returns)
    print(f"discounted return {mean:.2f} over {config.episodes} episodes")
    return mean


if __name__ == "__main__":
    main(tyro.cli(Config))
