"""A million agents cost what a thousand do: agents with one policy are counted per state, not kept one by one.

Trains once, at a small size, and evaluates the pair at growing sizes, with the seconds each took.

Run it: `python examples/million_agents.py --sizes 1000 1000000 1000000000`
"""

import time
from dataclasses import dataclass

import tyro

from kofn.agents import AlternatingMARL, evaluate
from kofn.wrappers.factory import make_parallel


@dataclass(frozen=True)
class Config:
    """What to play.

    Args:
        n_agents: robots of the training.
        k: robots the dispatcher sees each step.
        sizes: robots of the evaluations.
        n_rollouts: rollouts of every evaluation.
        seed: source of all randomness.
    """

    n_agents: int = 1000
    k: int = 5
    sizes: tuple[int, ...] = (10**3, 10**6, 10**9)
    n_rollouts: int = 250
    seed: int = 0


def main(config: Config) -> list[float]:
    """Print return and seconds per size; returns the mean discounted returns."""
    env = make_parallel(game="warehouse_dispatch", n_agents=config.n_agents, k=config.k)
    model = AlternatingMARL(env, seed=config.seed)
    model.learn(progress_bar=True)
    means = []
    for size in config.sizes:
        began = time.perf_counter()
        pair = model.global_policy, model.local_policy
        found = evaluate(env.game, *pair, size, n_rollouts=config.n_rollouts, seed=config.seed + 1)
        seconds = time.perf_counter() - began
        print(f"n = {size:>13,}: {found.mean:.2f} (standard error {found.standard_error:.2f}) in {seconds:.2f} s")
        means.append(found.mean)
    return means


if __name__ == "__main__":
    main(tyro.cli(Config))
