"""How much does seeing more agents help? Train at several k and several seeds, and print returns with intervals.

Run it: `python examples/sweep_k.py --ks 1 2 5 10 --seeds 3`
"""

from dataclasses import dataclass

import numpy as np
import tyro

from kofn.agents import AlternatingMARL, evaluate
from kofn.experiments.tables import text_table
from kofn.wrappers.factory import make_parallel


@dataclass(frozen=True)
class Config:
    """What to sweep.

    Args:
        game: registered game of tables.
        ks: numbers of local agents seen.
        n_agents: number of local agents.
        seeds: trainings per k.
        n_rollouts: rollouts of every evaluation, on random numbers that all k share.
    """

    game: str = "warehouse_dispatch"
    ks: tuple[int, ...] = (1, 2, 5, 10)
    n_agents: int = 1000
    seeds: int = 3
    n_rollouts: int = 500


def train_and_evaluate(config: Config, k: int, seed: int) -> float:
    """Mean discounted return of one training."""
    env = make_parallel(game=config.game, n_agents=config.n_agents, k=k)
    model = AlternatingMARL(env, seed=seed)
    model.learn()
    pair = model.global_policy, model.local_policy
    return evaluate(env.game, *pair, config.n_agents, n_rollouts=config.n_rollouts, seed=[seed, 1]).mean


def main(config: Config) -> dict[int, float]:
    """Print a table; returns the mean return of every k."""
    returns = {k: [train_and_evaluate(config, k, seed) for seed in range(config.seeds)] for k in config.ks}
    rows = [[str(k), f"{np.mean(found):.2f}", f"{min(found):.2f} .. {max(found):.2f}"] for k, found in returns.items()]
    print(text_table(["k", "mean return", f"range over {config.seeds} seeds"], rows))
    return {k: float(np.mean(found)) for k, found in returns.items()}


if __name__ == "__main__":
    main(tyro.cli(Config))
