"""Learn from logs: a small warehouse whose tables nobody knows.

Robots and dispatcher act at random for a while, and only what the environment returns is written down. From that log
come (a) the global agent's values by off-policy G-LEARN, next to the exact ones; (b) an estimate of the game, on which
AlternatingMARL trains a pair of policies. Both pairs, trained on the estimate and on the true game, are then played in
the true game, on the same random numbers.

Run it: `python examples/off_policy_from_logs.py --n-steps 20000`
"""

from dataclasses import dataclass

import numpy as np
import tyro

from kofn.agents import AlternatingConfig, AlternatingMARL, AlternatingResult, evaluate, g_learn
from kofn.agents.logged_data.behaviour import behaviour_mixing_time
from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.estimate_game import estimate_game
from kofn.agents.logged_data.off_policy import off_policy_g_learn
from kofn.envs import LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.warehouse_dispatch import game as warehouse
from kofn.wrappers import SubsampleObservation


@dataclass(frozen=True)
class Config:
    """What to log and to play.

    Args:
        n_zones: zones of the warehouse.
        n_agents: number of robots.
        k: robots the dispatcher sees each step.
        n_steps: steps logged.
        n_passes: passes of off-policy learning over the log.
        n_rollouts: rollouts of the final evaluation.
        max_alternations: turns of training.
        seed: source of all randomness.
    """

    n_zones: int = 3
    n_agents: int = 100
    k: int = 3
    n_steps: int = 5000
    n_passes: int = 1000
    n_rollouts: int = 2000
    max_alternations: int = 10
    seed: int = 0


def train(game: TabularGame, config: Config) -> AlternatingResult:
    """A pair of policies for the warehouse with these tables."""
    env = SubsampleObservation(PopulationEnv(game, config.n_agents), config.k)
    settings = AlternatingConfig(max_alternations=config.max_alternations)
    return AlternatingMARL(env, settings, seed=config.seed).learn(progress_bar=True)


def main(config: Config) -> tuple[float, float]:
    """Print what was learnt; returns the mean returns of the pairs trained on the estimated and on the true game."""
    game = warehouse(config.n_zones)
    env = SubsampleObservation(PopulationEnv(game, config.n_agents), config.k)
    uniform = LocalPolicy.named("uniform", game)
    log = collect_transitions(env, n_steps=config.n_steps, local_policy=uniform, seed=config.seed)

    learnt = off_policy_g_learn(log, discount=game.discount, n_passes=config.n_passes)
    exact = g_learn(game, uniform, k=config.k, operator="exact").q_values
    off = np.abs(learnt.q_values - exact)
    weights = learnt.visits / learnt.visits.sum()
    print(f"off-policy G-LEARN: values {exact.min():.1f} to {exact.max():.1f}, {learnt.n_unvisited} entries unvisited")
    print(f"  error {(weights * off).sum():.2f} on average over the log, {off.max():.2f} at most")
    print(f"  N_min {learnt.n_min:.1e}, mixing time {behaviour_mixing_time(log):.0f} steps")

    estimate = estimate_game(log, discount=game.discount, like=game)
    local_error = np.abs(estimate.game.local_transition - game.local_transition).sum(axis=-1).max()
    print(f"estimated game: local rows off by {local_error:.3f} at most, radius {estimate.local_radius.max():.3f}")

    means = []
    for name, tables in (("estimated", estimate.game), ("true", game)):
        pair = train(tables, config)
        played = evaluate(
            game,
            pair.global_policy,
            pair.local_policy,
            config.n_agents,
            n_rollouts=config.n_rollouts,
            seed=config.seed + 1,
        )
        print(f"trained on the {name} game: return {played.mean:.3f} (standard error {played.standard_error:.3f})")
        means.append(played.mean)
    return means[0], means[1]


if __name__ == "__main__":
    main(tyro.cli(Config))
