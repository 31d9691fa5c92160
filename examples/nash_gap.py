"""How far from a Nash equilibrium is a trained pair? Exact brackets for few agents, lower bounds for any number.

`global_gap` and `local_gap` bracket what either player could still gain by changing its policy alone (the fleet as one
player); `tagged_gap` what a single robot could.

Run it: `python examples/nash_gap.py --n-agents 6 --k 2`
"""

from dataclasses import dataclass

import tyro

from kofn.agents import AlternatingMARL, nash_gap, sampled_nash_gap
from kofn.envs import PopulationEnv
from kofn.envs.warehouse_dispatch import game as warehouse
from kofn.wrappers import SubsampleObservation


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        n_zones: zones of the warehouse.
        n_agents: robots (few: the brackets are exact).
        k: robots the dispatcher sees each step.
        many_agents: robots of the sampled bound.
        n_rollouts: rollouts of the sampled bound.
        seed: source of all randomness.
    """

    n_zones: int = 3
    n_agents: int = 6
    k: int = 2
    many_agents: int = 10**6
    n_rollouts: int = 200
    seed: int = 0


def main(config: Config) -> float:
    """Train and measure; returns the upper end of the global agent's gap."""
    game = warehouse(config.n_zones)
    env = SubsampleObservation(PopulationEnv(game, config.n_agents), config.k)
    result = AlternatingMARL(env, seed=config.seed).learn(progress_bar=True)
    pair = result.global_policy, result.local_policy
    gap = nash_gap(game, *pair, n_agents=config.n_agents, seed=config.seed)
    print(f"potential {gap.potential:.3f}")
    for name in ("global_gap", "local_gap", "tagged_gap"):
        bracket = getattr(gap, name)
        print(f"{name}: between {bracket.lower:.4f} and {bracket.upper:.4f}")
    sampled = sampled_nash_gap(game, *pair, n_agents=config.many_agents, n_rollouts=config.n_rollouts, seed=config.seed)
    print(f"{config.many_agents} robots: a gap of at least {sampled.lower:.4f}, with 95% confidence")
    return float(gap.global_gap.upper)


if __name__ == "__main__":
    main(tyro.cli(Config))
