"""Compiled loops are loaded before a cell's clock starts: they are compiled, or read from disk, at their first call.

That takes seconds, once per worker process, and would stand in the training time of whichever cell a worker runs first.
The loops are the same for all games of tables, so that the smallest one serves.
"""

from functools import cache

import numpy as np

from kofn.agents import AlternatingConfig, evaluate, observation_aware
from kofn.agents.operators import induced_transition
from kofn.agents.symmetric_power.power import symmetric_power
from kofn.envs import LocalPolicy, TabularGame
from kofn.experiments.config import DEEP_LEARNERS, TrainConfig
from kofn.experiments.train import build_model

GAME, N_AGENTS, K = "formation", 6, 2


@cache
def warm_up(learner: str) -> None:
    """Call what a cell of this learner will call, at a tiny size, once per process; those with networks need none."""
    if learner in DEEP_LEARNERS:
        return
    short = AlternatingConfig(n_rollouts=2, horizon=2, max_alternations=1)
    alone = "paper" if learner == "observation_aware" else learner  # one alternation of it, not several
    model = build_model(TrainConfig(game=GAME, learner=alone, n_agents=N_AGENTS, k=K, max_cycles=2, alternation=short))
    model.learn()
    game = model.setting.game
    assert isinstance(game, TabularGame)  # as `GAME` is
    evaluate(game, model.global_policy, model.local_policy, N_AGENTS, horizon=2, n_rollouts=2)
    fleet = LocalPolicy.named("uniform", game)
    shears = symmetric_power(induced_transition(game, fleet)[0], K)  # a tiny game's own operators are dense
    shears.T @ (shears @ np.ones(shears.shape[:1]))
    if learner == "observation_aware":
        observation_aware(
            game, fleet, n_agents=N_AGENTS, k=K, method="rollouts", n_rollouts=2, n_particles=1, max_iterations=1
        )
