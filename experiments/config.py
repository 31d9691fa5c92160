"""Settings of the command line's commands; `kofn COMMAND --help` is generated from these docstrings."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from kofn.agents import AlternatingConfig, GLearner, LLearner
from kofn.envs.arrays import integer, known_name

LEARNERS: dict[str, str] = {
    "paper": "ALTERNATING-MARL with G-LEARN and L-LEARN as configured",
    "mean_field": "the same driver with the authors' heuristics: rounded histograms, value iteration on the mean field",
}
"""What `--learner` and a sweep's cells can train, by name."""


@dataclass(frozen=True)
class TrainConfig:
    """Train the paper's alternating agents on a game; write policies, history and figures to a run folder.

    Args:
        game: registered game (see `kofn envs`).
        k: local agents the global agent sees per step (omitted: the game's default).
        learner: what is trained, "paper" (the learners below) or "mean_field" (the authors' heuristics).
        n_agents: n, local agents (omitted: the game's default).
        max_cycles: steps per episode (omitted: the game's default).
        seed: source of all randomness; the same seed writes the same files.
        folder: run folder (omitted: runs/GAME-nN-kK-seedSEED).
        resume: go on with an interrupted run in the folder.
        overwrite: replace a run that is in the folder.
        n_rollouts: rollouts of the final evaluation, on seeds the training never saw.
        progress_bar: show a progress bar.
        alternation: the alternating driver.
        global_learner: G-LEARN.
        local_learner: L-LEARN.
    """

    game: tyro.conf.Positional[str]
    k: int | None = None
    learner: str = "paper"
    n_agents: int | None = None
    max_cycles: int | None = None
    seed: int = 0
    folder: Path | None = None
    resume: bool = False
    overwrite: bool = False
    n_rollouts: int = 4000
    progress_bar: bool = True
    alternation: AlternatingConfig = field(default_factory=AlternatingConfig)
    global_learner: GLearner = field(default_factory=GLearner)
    local_learner: LLearner = field(default_factory=LLearner)

    def __post_init__(self) -> None:
        """Validate what the learners do not."""
        known_name("learner", self.learner, LEARNERS)
        integer("seed", self.seed, 0)
        integer("n_rollouts", self.n_rollouts, 2)
        if self.resume and self.overwrite:
            raise ValueError(
                "resume and overwrite exclude each other: one keeps the folder's run, the other replaces it"
            )


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a trained run in the game of n agents, any n.

    Args:
        run: run folder written by `kofn train`.
        n_agents: n (omitted: as trained).
        horizon: steps per rollout (omitted: the episode length trained for).
        n_rollouts: rollouts.
        seed: source of all randomness (different from training's even when equal).
        local_timing: "paper", or "code" to reproduce the authors' evaluation.
    """

    run: tyro.conf.Positional[Path]
    n_agents: int | None = None
    horizon: int | None = None
    n_rollouts: int = 4000
    seed: int = 1
    local_timing: str = "paper"


@dataclass(frozen=True)
class EnvsConfig:
    """List the registered games with their sizes and defaults."""
