"""`kofn sweep`: from the command line's settings to cells, and what to say when it stops."""

from pathlib import Path
from typing import Any

from kofn.envs.files import plain_name
from kofn.envs.registration import game_module
from kofn.experiments.config import SweepConfig, TrainConfig
from kofn.experiments.sweeps.cells import CellOutcome
from kofn.experiments.sweeps.executors import backend_executor
from kofn.experiments.sweeps.grid import describe, grid, literal
from kofn.experiments.sweeps.sweep import SweepResult, sweep
from kofn.experiments.tracking import Tracker, proposal_scalars, trackers, wandb


def sweep_tasks(config: SweepConfig) -> list[TrainConfig]:
    """The cells of the command's settings: games, then learners, further settings, n, k and seeds."""
    for game in config.games:
        game_module(game)  # refuse an unknown one before anything starts
    base = TrainConfig(
        game=config.games[0],
        max_cycles=config.max_cycles,
        options=config.options,
        n_rollouts=config.n_rollouts,
        nash_gap=config.nash_gap,
        alternation=config.alternation,
        aware=config.aware,
        global_learner=config.global_learner,
        local_learner=config.local_learner,
    )
    values: dict[str, Any] = {"game": config.games, "learner": config.learner, **parse_vary(config.vary)}
    if config.n_agents:
        values["n_agents"] = config.n_agents
    if config.k:
        values["k"] = config.k
    values["seed"] = range(config.first_seed, config.first_seed + config.seeds)
    return grid(base, values)


def parse_vary(settings: tuple[str, ...]) -> dict[str, list[Any]]:
    """FIELD=VALUE,VALUE,.. as field -> values; numbers, true, false and null are read as such.

    Raises:
        ValueError: no "=", or the same field twice.
    """
    values: dict[str, list[Any]] = {}
    for setting in settings:
        name, separator, texts = setting.partition("=")
        if not separator:
            raise ValueError(f"vary must be FIELD=VALUE,VALUE,..; got {setting!r}")
        if name in values:
            raise ValueError(f"vary names {name} twice")
        values[name] = [literal(text) for text in texts.split(",")]
    return values


def sweep_folder(config: SweepConfig) -> Path:
    """Where the sweep goes."""
    if config.folder is not None:
        return config.folder
    return Path("runs") / plain_name("sweep folder", f"sweep-{'-'.join(config.games)}")


def run_sweep(config: SweepConfig) -> SweepResult:
    """Run the command."""
    tasks = sweep_tasks(config)
    open_executor = backend_executor(config.backend, config.scheduler, config.workers)
    folder = sweep_folder(config)
    if config.track is not None:
        wandb()  # refuse now what would fail after the first cell

    def record(name: str, task: TrainConfig, outcome: CellOutcome) -> None:
        record_cell(trackers(folder, name, describe(task), project=config.track, group=folder.name), outcome)

    return sweep(
        tasks,
        open_executor,
        folder=folder,
        on_cell=record,
        resume=config.resume,
        overwrite=config.overwrite,
        progress_bar=config.progress_bar,
    )


def record_cell(record: list[Tracker], outcome: CellOutcome) -> None:
    """Record a finished cell: its proposals, then its results at the last step."""
    for line in outcome.history:
        for tracker in record:
            tracker.log(proposal_scalars(line), int(line["step"]))
    numbers = {name: float(value) for name, value in outcome.row.items() if isinstance(value, int | float)}
    for tracker in record:
        tracker.log(numbers, len(outcome.history))
        tracker.close()


def outcome_lines(result: SweepResult) -> str:
    """How the sweep ended, in words."""
    lines = [
        f"{result.n_cells - len(result.failures)} of {result.n_cells} cells are finished, {result.n_new} of them now; "
        f"written to {result.folder}: results.csv, timings.csv, history.csv, episodes.csv",
    ]
    lines += [f"damaged file, its cell was run again: {path}" for path in result.damaged]
    lines += [f"FAILED {words}: {error}" for words, error in result.failures.items()]
    if result.failures:
        lines.append("add --resume to the same command to try the failed cells again")
    return "\n".join(lines)


def resume_hint(folder: Path) -> str:
    """What to do after an interruption."""
    done = len(list((folder / "cells").glob("*.json")))
    return f"{done} finished cells are saved in {folder}: add --resume to the same command to go on"
