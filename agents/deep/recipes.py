r"""Whole trainings on a continuous game with `AlternatingMARL`, as the command line and the benchmark run them.

* "trpo", "ppo", "a2c": the paper's (Appendix G.2). The global agent sees the histogram alone and learns to name the
  fullest bin; the robots learn by TRPO (PPO, A2C), one tagged robot from its own reward. The start is a global agent
  after the 200 gradient steps that the authors' ten alternations amount to: UPDATE refuses what does not pay in the
  deployed game, and a global agent that has hardly learned to name bins pays less than one that stands still.
* "reward": observation-aware. The global agent sees s_g and the histogram, and both sides learn by PPO from the team
  reward, the robots as one fleet. Where a game has several equilibria the start decides; `starts` are pairs made by
  hand (`cluster_line_starts`) of which the best in rollouts of their own is imitated by networks and then improved.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kofn.agents.alternation.alternating import AlternatingMARL
from kofn.agents.alternation.history import AlternatingConfig
from kofn.agents.alternation.learners import Problem
from kofn.agents.alternation.pairs import Pair, fitting_global, fitting_local
from kofn.agents.alternation.setting import Setting
from kofn.agents.deep.best_response import ALGORITHMS, DeepGlobal, DeepLocal
from kofn.agents.deep.clone import CLONING, clone_global, clone_local
from kofn.agents.deep.mode_classifier import ModeClassifier
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs.arrays import one_of
from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.envs.streams import Seed, child, seed_sequence

RECIPES = (*ALGORITHMS, "reward")
START_STREAM = 200
"""Stream of the seed for starts; the driver uses the first ones."""

CLASSIFYING_STEPS = 200
"""Gradient steps behind the paper's start."""

PAPER_UPDATES = 8
"""Of the robots' network per proposal, in the paper's recipes."""

MARGINS = (0.2, 0.35, 0.5, 0.7)
SETTLED = (0.15, 0.2, 0.25)
START_ROLLOUTS = 200


def deep_model(
    setting: Setting,
    recipe: str,
    *,
    seed: Seed = None,
    config: AlternatingConfig | None = None,
    starts: Sequence[Pair] = (),
) -> AlternatingMARL:
    """An untrained model: call its `learn`.

    Args:
        setting: a continuous game, n, k and the horizon.
        recipe: "trpo", "ppo", "a2c" or "reward".
        seed: source of all randomness.
        config: the driver's; omitted: horizon of an episode, eta 0.5, 300 rollouts, 3 rounds (one for "reward").
        starts: of "reward", pairs of policies of any kind; none: uniform networks.

    Raises:
        TypeError, ValueError: an unknown recipe, or a setting that its learners cannot serve.
    """
    one_of("recipe", recipe, RECIPES)
    root = seed_sequence(seed)
    rounds = 1 if recipe == "reward" else 3
    if config is None:
        config = AlternatingConfig(eta=0.5, n_rollouts=300, horizon=setting.max_cycles, max_alternations=rounds)
    if recipe == "reward":
        return _reward_model(setting, config, root, starts)
    setting = replace(setting, game=replace(setting.game, observe_global_state=False))
    return AlternatingMARL(
        setting,
        config,
        global_learner=ModeClassifier(),
        local_learner=DeepLocal(algorithm=recipe, n_updates=PAPER_UPDATES),  # type: ignore[arg-type]  # it is one of them
        global_policy=_classified(setting, root),
        seed=root,
    )


def _classified(setting: Setting, root: np.random.SeedSequence) -> Any:
    """The global agent after the supervised step from a uniform network."""
    problem = Problem(
        game=setting.game,
        n_agents=setting.n_agents,
        k=setting.k,
        global_policy=fitting_global("uniform", setting, child(root, START_STREAM, 0)),
        local_policy=fitting_local("uniform", setting, child(root, START_STREAM, 1)),
        seed=child(root, START_STREAM, 2),
    )
    learner = ModeClassifier(n_steps=CLASSIFYING_STEPS)
    learner.check(setting.game, setting.k)
    return learner(problem).policy


def _reward_model(
    setting: Setting, config: AlternatingConfig, root: np.random.SeedSequence, starts: Sequence[Pair]
) -> AlternatingMARL:
    setting = replace(setting, game=replace(setting.game, observe_global_state=True))
    n_training = min(setting.n_agents, max(setting.k, 100))
    fleet = max(setting.k, min(setting.n_agents, 25))
    start = imitate_best(setting, starts, child(root, START_STREAM)) if starts else (None, "uniform")
    return AlternatingMARL(
        setting,
        config,
        global_learner=DeepGlobal(n_updates=8, n_populations=100, n_steps=setting.max_cycles, n_agents=n_training),
        local_learner=DeepLocal(
            algorithm="ppo",
            deviation="shared",
            reward="team",
            n_updates=2,
            n_populations=max(4, 800 // fleet),
            n_steps=setting.max_cycles,
            n_agents=fleet,
            learning_rate=3e-4,
            gae_lambda=0.95,
        ),
        global_policy=start[0],
        local_policy=start[1],
        seed=root,
    )


def imitate_best(setting: Setting, starts: Sequence[Pair], seed: np.random.SeedSequence) -> Pair:
    """Networks that imitate the pair with the largest return in `START_ROLLOUTS` rollouts of its own seed."""
    returns = [
        evaluate_line(
            setting.game, *pair, setting.n_agents, horizon=setting.max_cycles, n_rollouts=START_ROLLOUTS, seed=seed
        ).mean
        for pair in starts
    ]
    global_teacher, local_teacher = starts[int(np.argmax(returns))]
    local_policy = clone_local(local_teacher, setting.game, config=CLONING, seed=child(seed, 1))
    n_agents = max(setting.k, min(setting.n_agents, 200))
    sizes: dict[str, Any] = {"horizon": setting.max_cycles, "config": CLONING, "seed": child(seed, 2)}
    return clone_global(global_teacher, local_teacher, setting.game, n_agents, **sizes), local_policy


def cluster_line_starts(k: int) -> list[Pair]:
    """Conventions for `cluster_line`: chasing robots, and a beacon that switches at some margin, or hardly."""
    switching = [Follow(k=k, margin=margin) for margin in MARGINS]
    hardly = [Follow(k=k, margin=1.0, inner_only=True), *(Follow(k=k, margin=1.0, settled=near) for near in SETTLED)]
    return [(beacon, Chase()) for beacon in (*switching, *hardly)]
