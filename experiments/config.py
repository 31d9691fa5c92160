"""Settings of the command line's commands; `kofn COMMAND --help` is generated from these docstrings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import tyro

from kofn.agents import AlternatingConfig, GLearner, LLearner, ObservationAware
from kofn.envs.arrays import integer, known_name, one_of
from kofn.envs.simulator import LocalTiming

LEARNERS: dict[str, str] = {
    "observation_aware": "responses that know they see only k of n, from several starts; the best equilibrium is kept",
    "paper": "ALTERNATING-MARL with G-LEARN and L-LEARN as configured",
    "mean_field": "the same driver with the authors' heuristics: rounded histograms, value iteration on the mean field",
    "trpo": "continuous games: the paper's supervised G-step and TRPO L-step (Appendix G.2)",
    "ppo": "the same with PPO",
    "a2c": "the same with A2C",
    "reward": "continuous games: both sides by PPO on the team reward, the global agent aware of its own state",
}
"""What `--learner` and a sweep's cells can train, by name."""

DEEP_LEARNERS = ("trpo", "ppo", "a2c", "reward")
"""Those with networks, for continuous games (extra `deep`)."""

EXCLUSIVE = "resume and overwrite exclude each other: one keeps the folder's run, the other replaces it"


@dataclass(frozen=True)
class TrainConfig:
    """Train the paper's alternating agents on a game; write policies, history and figures to a run folder.

    Args:
        game: registered game (see `kofn envs`).
        k: local agents the global agent sees per step (omitted: the game's default).
        learner: what is trained, "observation_aware" (several starts, `MultiStart`, one of them the paper's), "paper"
            (the learners below) or "mean_field" (the authors' heuristics); in a game with continuous states "trpo",
            "ppo", "a2c" or "reward".
        n_agents: n, local agents (omitted: the game's default).
        max_cycles: steps per episode (omitted: the game's default).
        options: NAME VALUE .. of the game where it is not to be its default, e.g. n_zones 3 discount 0.9.
        seed: source of all randomness; the same seed writes the same files (except tensorboard/).
        folder: run folder (omitted: runs/GAME[-OPTIONS]-nN-kK-seedSEED).
        resume: go on with an interrupted run in the folder.
        overwrite: replace a run that is in the folder.
        n_rollouts: rollouts of the final evaluation, on seeds the training never saw.
        nash_gap: also bracket what either player could still gain by deviating (exact: few agents only).
        progress_bar: show a progress bar.
        track: also log to Weights & Biases, to the project of this name (needs wandb).
        alternation: the alternating driver.
        aware: the dispatcher's response (observation_aware).
        global_learner: G-LEARN.
        local_learner: L-LEARN.
    """

    game: tyro.conf.Positional[str]
    k: int | None = None
    learner: str = "observation_aware"
    n_agents: int | None = None
    max_cycles: int | None = None
    options: dict[str, int | float | bool | str] = field(default_factory=dict)
    seed: int = 0
    folder: Path | None = None
    resume: bool = False
    overwrite: bool = False
    n_rollouts: int = 4000
    nash_gap: bool = False
    progress_bar: bool = True
    track: str | None = None
    alternation: AlternatingConfig = field(default_factory=AlternatingConfig)
    aware: ObservationAware = field(default_factory=ObservationAware)
    global_learner: GLearner = field(default_factory=GLearner)
    local_learner: LLearner = field(default_factory=LLearner)

    def __post_init__(self) -> None:
        """Validate what the learners do not."""
        known_name("learner", self.learner, LEARNERS)
        integer("seed", self.seed, 0)
        integer("n_rollouts", self.n_rollouts, 2)
        if self.resume and self.overwrite:
            raise ValueError(EXCLUSIVE)


@dataclass(frozen=True)
class SweepConfig:
    """Train every combination of games, learners, k and seeds, side by side; a killed sweep goes on with --resume.

    Args:
        games: registered games (see `kofn envs`).
        k: numbers of local agents seen (omitted: each game's default).
        learner: learners, see `kofn train`, whose default is the default here ("paper" is the paper's method).
        seeds: number of seeds, counted from first_seed.
        first_seed: the first seed.
        n_agents: numbers of local agents (omitted: each game's default).
        vary: FIELD=VALUE,VALUE,.. for any other setting of `kofn train`, e.g. alternation.eta=0.5,1 or
            options.n_zones=3,5.
        max_cycles: steps per episode (omitted: the game's default).
        options: NAME VALUE .. of every game, see `kofn train`.
        n_rollouts: rollouts of the evaluation that ends each cell.
        nash_gap: also bracket what either player could still gain by deviating (exact: few agents only).
        folder: where cells, tables and figures go (omitted: runs/sweep-GAMES).
        resume: go on with the sweep in the folder: finished cells are kept, and combinations it lacks are added.
        overwrite: replace the sweep in the folder.
        backend: "local" (processes of this machine) or "dask".
        scheduler: address of a Dask scheduler (omitted: what Dask is configured for, or a cluster of this machine).
        workers: local worker processes (omitted: one per core).
        progress_bar: show progress.
        track: also log to Weights & Biases, to the project of this name (needs wandb).
        alternation: the alternating driver.
        aware: the dispatcher's response (observation_aware).
        global_learner: G-LEARN.
        local_learner: L-LEARN.
    """

    games: tyro.conf.Positional[tuple[str, ...]]
    k: tuple[int, ...] = ()
    learner: tuple[str, ...] = ("observation_aware",)
    seeds: int = 5
    first_seed: int = 0
    n_agents: tuple[int, ...] = ()
    vary: tuple[str, ...] = ()
    max_cycles: int | None = None
    options: dict[str, int | float | bool | str] = field(default_factory=dict)
    n_rollouts: int = 4000
    nash_gap: bool = False
    folder: Path | None = None
    resume: bool = False
    overwrite: bool = False
    backend: str = "local"
    scheduler: str | None = None
    workers: int | None = None
    progress_bar: bool = True
    track: str | None = None
    alternation: AlternatingConfig = field(default_factory=AlternatingConfig)
    aware: ObservationAware = field(default_factory=ObservationAware)
    global_learner: GLearner = field(default_factory=GLearner)
    local_learner: LLearner = field(default_factory=LLearner)

    def __post_init__(self) -> None:
        """Validate what the cells do not."""
        for size in (*self.k, *self.n_agents):
            integer("k and n_agents", size, 1)
        integer("seeds", self.seeds, 1)
        if not self.games:
            raise ValueError("games must name at least one game; see kofn envs")
        if self.resume and self.overwrite:
            raise ValueError(EXCLUSIVE)


def going_on(config: TrainConfig | SweepConfig) -> str:
    """How the command is given again to keep what is finished."""
    return "add --resume to the same command" + (", without --overwrite," if config.overwrite else "")


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a trained run in the game of n agents, any n.

    Args:
        run: run folder written by `kofn train`.
        n_agents: n (omitted: as trained).
        horizon: steps per rollout (omitted: the episode length trained for).
        n_rollouts: rollouts.
        seed: source of all randomness (different from training's even when equal).
        local_timing: "paper", or "code" to reproduce the authors' evaluation (of finite games).
    """

    run: tyro.conf.Positional[Path]
    n_agents: int | None = None
    horizon: int | None = None
    n_rollouts: int = 4000
    seed: int = 1
    local_timing: str = "paper"

    def __post_init__(self) -> None:
        """Validate what not every game's evaluation does."""
        one_of("local_timing", self.local_timing, get_args(LocalTiming))


@dataclass(frozen=True)
class EnvsConfig:
    """List the registered games with their sizes and defaults."""


@dataclass(frozen=True)
class PlotConfig:
    """Draw the figures of a run or a sweep again from its tables, without training.

    Args:
        run: folder written by `kofn train`, `kofn sweep` or `kofn reproduce`.
    """

    run: tyro.conf.Positional[Path]


@dataclass(frozen=True)
class ReportConfig:
    """Write one self-contained HTML page on a run or a sweep: configuration, tables, figures, how to reproduce it.

    Args:
        run: folder written by `kofn train`, `kofn sweep` or `kofn reproduce`.
    """

    run: tyro.conf.Positional[Path]


@dataclass(frozen=True)
class ReproduceConfig:
    """Run and draw what the paper shows, with the authors' figures as points; going on where it was stopped.

    Args:
        figure: "figure6" (return and runtime), "figure7" (heatmaps and accuracy), "continuous", "gap" (what either
            player could still gain), or "all".
        quick: three k and two seeds, with fewer rollouts: a look, not a result.
        folder: where cells, tables and figures go (omitted: runs/reproduce, or runs/reproduce-quick).
        backend: "local" (processes of this machine) or "dask".
        scheduler: address of a Dask scheduler.
        workers: local worker processes (omitted: one per core).
        progress_bar: show progress.
    """

    figure: tyro.conf.Positional[str]
    quick: bool = False
    folder: Path | None = None
    backend: str = "local"
    scheduler: str | None = None
    workers: int | None = None
    progress_bar: bool = True
