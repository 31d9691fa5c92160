"""Compiled loops are loaded before a cell's clock starts: they are compiled, or read from disk, at their first call.

That takes seconds, once per worker process, and would stand in the training time of whichever cell a worker runs first.
The loops are the same for all games of tables, so that the smallest one serves.
"""

from functools import cache

from kofn.agents import AlternatingConfig, AlternatingMARL, evaluate, observation_aware
from kofn.envs import LocalPolicy
from kofn.experiments.config import DEEP_LEARNERS
from kofn.wrappers.factory import make_parallel

GAME, N_AGENTS, K = "formation", 6, 2


@cache
def warm_up(learner: str) -> None:
    """Call what a cell of this learner will call, at a tiny size, once per process; those with networks need none."""
    if learner in DEEP_LEARNERS:
        return
    short = AlternatingConfig(n_rollouts=2, horizon=2, max_alternations=1)
    model = AlternatingMARL(make_parallel(game=GAME, n_agents=N_AGENTS, k=K, max_cycles=2), short)
    model.learn()
    game = model.setting.game
    evaluate(game, model.global_policy, model.local_policy, N_AGENTS, horizon=2, n_rollouts=2)
    if learner == "observation_aware":
        fleet = LocalPolicy.named("uniform", game)
        observation_aware(
            game, fleet, n_agents=N_AGENTS, k=K, method="rollouts", n_rollouts=2, n_particles=1, max_iterations=1
        )
