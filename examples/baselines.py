"""Baselines through the standard API only, beside our agents, on the warehouse: discounted returns with intervals.

    random      everybody uniform
    constant    the best pair of one action for the dispatcher and one for all robots (chosen on other episodes)
    keep        the dispatcher keeps its zone, the robots stay
    myopic      both sides take what pays most at once
    SB3 PPO     one network for all agents (`kofn.experiments.integrations.sb3`)
    MAPPO       TorchRL, one actor per side, critics of the state (`kofn.experiments.integrations.torchrl_ppo`)
    ALTERNATING-MARL  the paper's agents (`AlternatingMARL`, `kofn train --learner paper`), at their defaults
    MultiStart  ours (`kofn train`): responses that know they see k of n, from several starts, at its defaults

All play the same episodes (same seeds, hence the same starts) in the PettingZoo API; the interval is the 95% confidence
interval of the mean over episodes, for ONE training each. SB3 and TorchRL are trained for the steps given, no longer:
the table says how many environment steps and CPU seconds everybody had. Ours plan with the game's arrays and take no
steps to learn; the others are given nothing but the environment.

Run it: `python examples/baselines.py` or, in a minute, `python examples/baselines.py --quick`
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import tyro
from scipy import stats
from stable_baselines3 import PPO

from kofn.agents import AlternatingMARL, MultiStart
from kofn.envs import GlobalPolicy, LocalPolicy
from kofn.experiments.integrations.sb3 import joint_actions, to_vec_env
from kofn.experiments.integrations.torchrl_ppo import PPOConfig, train_ppo
from kofn.experiments.tables import text_table
from kofn.wrappers import homogenize
from kofn.wrappers.factory import make_parallel

Player = tuple[Any, Callable[[Any], dict[str, int]]]
"""An environment, and what all its agents do given all observations."""


@dataclass(frozen=True)
class Config:
    """What to compare.

    Args:
        n_agents: number of robots.
        k: robots the dispatcher sees each step.
        max_cycles: steps per episode, a multiple of 5.
        episodes: episodes played by everybody.
        ppo_steps: environment steps of SB3's PPO.
        mappo_iterations: batches of 5 episodes of MAPPO.
        quick: small sizes, to see that it runs.
        seed: source of all randomness.
    """

    n_agents: int = 100
    k: int = 10
    max_cycles: int = 100
    episodes: int = 50
    ppo_steps: int = 20_000
    mappo_iterations: int = 20
    quick: bool = False
    seed: int = 0

    def sizes(self) -> "Config":
        """The sizes to play at."""
        if not self.quick:
            return self
        small = {"n_agents": 4, "k": 2, "max_cycles": 10, "episodes": 2, "ppo_steps": 40, "mappo_iterations": 1}
        return replace(self, **small)


def pair(env: Any, dispatcher: Any, robots: Any, *, deterministic: bool = True) -> Player:
    """A player of tables or names."""
    model = AlternatingMARL(env, global_policy=dispatcher, local_policy=robots, seed=0)
    return env, lambda observations: model.predict(observations, deterministic=deterministic)


def constants(env: Any, config: Config) -> Player:
    """The best pair of one action each."""
    game = env.game
    shape = (game.n_local_states, game.n_global_states)
    players = [
        pair(
            env,
            GlobalPolicy.constant(game, config.k, a_g),
            LocalPolicy.from_actions(np.full(shape, a_l), game.n_local_actions),
        )
        for a_g, a_l in product(range(game.n_global_actions), range(game.n_local_actions))
    ]
    other = replace(config, episodes=max(config.episodes // 10, 1), seed=config.seed + 1)
    return max(players, key=lambda player: returns(player, other).mean())


def myopic(env: Any, config: Config) -> Player:
    """Both sides take what pays most at once, the first of equals."""
    game = env.game
    by_action = np.stack([GlobalPolicy.constant(game, config.k, a).table for a in range(game.n_global_actions)])
    table = by_action[game.global_reward.argmax(axis=1), np.arange(game.n_global_states)]
    return pair(env, table, LocalPolicy.from_actions(game.local_reward.argmax(axis=2), game.n_local_actions))


def sb3_ppo(env: Any, config: Config) -> Player:
    """One network for all agents."""
    vec = to_vec_env(env, num_envs=2, seed=config.seed)
    batch = vec.num_envs * (config.max_cycles // 5)
    settings = {"n_steps": config.max_cycles, "batch_size": batch, "learning_rate": 1e-3, "device": "cpu"}
    model = PPO("MlpPolicy", vec, gamma=env.unwrapped.discount, seed=config.seed, **settings)
    model.learn(config.ppo_steps * vec.n_slots)
    return homogenize(env), lambda observations: joint_actions(model, observations)


def mappo(env: Any, settings: PPOConfig, seed: int) -> Player:
    """One actor per side, critics of the state."""
    return env, train_ppo(env, settings, seed=seed).predict


def planned(env: Any, config: Config, learner: type[AlternatingMARL] | type[MultiStart]) -> Player:
    """The paper's agents, or ours."""
    model = learner(env, seed=config.seed)
    model.learn()
    return env, model.predict


def returns(player: Player, config: Config) -> Any:
    """Discounted returns of the episodes, float [episode], in the standard API."""
    env, act = player
    found = []
    for episode in range(config.episodes):
        observations, infos = env.reset(seed=[config.seed, 1, episode])
        while env.agents:
            observations, *_, infos = env.step(act(observations))
        found.append(infos["global_0"]["team_discounted_return"])
    return np.array(found)


def main(config: Config) -> dict[str, float]:
    """Print the table; returns the mean returns by name."""
    config = config.sizes()
    env = make_parallel(game="warehouse_dispatch", n_agents=config.n_agents, k=config.k, max_cycles=config.max_cycles)
    mappo_config = PPOConfig(n_iterations=config.mappo_iterations)
    mappo_steps = mappo_config.n_iterations * mappo_config.episodes_per_batch * config.max_cycles
    players: dict[str, tuple[int, Callable[[], Player]]] = {
        "random": (0, lambda: pair(env, "uniform", "uniform", deterministic=False)),
        "constant": (0, lambda: constants(env, config)),
        "keep": (0, lambda: pair(env, "keep", "stay")),
        "myopic": (0, lambda: myopic(env, config)),
        "ALTERNATING-MARL": (0, lambda: planned(env, config, AlternatingMARL)),
        "MultiStart": (0, lambda: planned(env, config, MultiStart)),
        "SB3 PPO": (config.ppo_steps, lambda: sb3_ppo(env, config)),
        "TorchRL MAPPO": (mappo_steps, lambda: mappo(env, mappo_config, config.seed)),
    }
    rows, means = [], {}
    for name, (n_steps, make) in players.items():
        began = time.process_time()
        player = make()
        seconds = time.process_time() - began
        found = returns(player, config)
        half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
        means[name] = float(found.mean())
        interval = f"{found.mean() - half:.2f} .. {found.mean() + half:.2f}"
        rows.append([name, f"{found.mean():.2f}", interval, f"{n_steps}", f"{seconds:.0f}"])
        print(rows[-1], flush=True)
    header = ["policy", "discounted return", "95% confidence", "environment steps", "CPU seconds to make"]
    print(text_table(header, rows))
    return means


if __name__ == "__main__":
    main(tyro.cli(Config))
