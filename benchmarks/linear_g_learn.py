"""Linear G-LEARN on cluster_line: return beside dispatchers that keep their first sample's mode, or follow every one's.

500 robots that chase the beacon (dead band 0.1), H = 50, paired on common random numbers. N is the population that the
learner works with: N = k is the paper's surrogate game, in which the agents seen are all there are.

    python benchmarks/linear_g_learn.py [--rollouts 1000] [--seeds 1 2 3]

Measured, three trainings of about 5 seconds each, 55 features, standard errors of 1.3 or less:

| k | N | learned | first mode kept | every mode followed |
|---|---|---|---|---|
| 1 | 1 | 117.1, 111.2, 112.7 | 173.0 | 125.4 |
| 1 | 100 | 161.2, 161.3, 161.5 | | |
| 10 | 10 | 169.3, 169.4, 170.6 | 174.9 | 140.2 |
| 10 | 100 | 171.2, 173.4, 175.1 | | |
| 75 | 75 | 169.9, 170.6, 172.2 | 176.5 | 165.0 |
| 75 | 300 | 167.3, 171.9, 170.5 | | |

Learned policies have no memory, which keeping a first mode takes. kappa is 9 to 24, so that nothing promises
convergence; every training came to rest.
"""

import argparse
import time
from typing import Any

import numpy as np

from kofn.agents import Evaluation, LinearGLearnResult, ProductFeatures, linear_g_learn
from kofn.agents.global_response.linear_rollouts import Dispatcher
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs.arrays import IntArray
from kofn.envs.cluster_line import DEFAULTS, game
from kofn.envs.cluster_line_conventions import Chase

HORIZON = 50
CASES = ((1, 1), (1, 100), (10, 10), (10, 100), (75, 75), (75, 300))
"""(k, N)."""


class Mode:
    """Heads for the mode of every sample; with `keep` for that of an episode's first one only."""

    def __init__(self, k: int, *, keep: bool) -> None:
        self.k, self.keep, self.n_calls = k, keep, 0

    def act(self, _global_states: Any, seen: Any, _rng: Any = None) -> IntArray:
        """Actions [population]; batches of episodes come one after another."""
        if not self.keep or self.n_calls % HORIZON == 0:
            self.chosen = np.asarray(seen.argmax(axis=1))
        self.n_calls += 1
        return self.chosen


def play(dispatcher: Dispatcher, n_rollouts: int) -> Evaluation:
    """Returns in the deployed game."""
    sizes = {"horizon": HORIZON, "n_rollouts": n_rollouts}
    return evaluate_line(game(), dispatcher, Chase(), DEFAULTS.n_agents, seed=0, **sizes)


def learn(k: int, n_agents: int, seed: int) -> LinearGLearnResult:
    """At the settings of the table."""
    features = ProductFeatures.of(game(), degree=1, n_knots=11)
    return linear_g_learn(game(), Chase(), features=features, k=k, n_agents=n_agents, n_samples=2, seed=seed)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Linear G-LEARN on cluster_line.")
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    print("  k    N  learned (s.e.)   keep   mode  kappa  rest  residual  seconds")
    for k, n_agents in CASES:
        began = time.process_time()
        learned = [learn(k, n_agents, seed) for seed in options.seeds]
        seconds = (time.process_time() - began) / len(learned)
        returns = [play(result.policy, options.rollouts) for result in learned]
        plain = [play(Mode(k, keep=keep), options.rollouts).mean for keep in (True, False)]
        means = ", ".join(f"{outcome.mean:.1f}" for outcome in returns)
        print(
            f"{k:3d} {n_agents:4d}  {means} ({returns[0].standard_error:.1f})  {plain[0]:.1f}  {plain[1]:.1f}  "
            f"{max(result.expansion for result in learned):.1f}  {all(result.converged for result in learned)}  "
            f"{learned[0].residual:.2f}  {seconds:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
