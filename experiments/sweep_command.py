"""`kofn sweep`: from the command line's settings to cells, and what to say when it stops."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kofn.envs.files import plain_name
from kofn.envs.registration import game_module
from kofn.experiments.config import SweepConfig, TrainConfig, going_on
from kofn.experiments.sweeps.cells import CellOutcome
from kofn.experiments.sweeps.executors import backend_executor
from kofn.experiments.sweeps.grid import OPTIONS, describe, flat, grid, literal
from kofn.experiments.sweeps.sweep import SweepResult, sweep
from kofn.experiments.tracking import Tracker, proposal_scalars, trackers, wandb

OWN_ARGUMENTS = {"game": "name the games first", "learner": "use --learner", "seed": "use --first-seed and --seeds"}
"""What every sweep gives a value to, so that --vary cannot."""


def sweep_tasks(config: SweepConfig) -> list[TrainConfig]:
    """The cells of the command's settings: games, then learners, further settings, n, k and seeds.

    Raises:
        TypeError, ValueError: an unknown game or field, a value out of range, or a setting that is given twice.
    """
    for game in config.games:
        game_module(game)  # refuse an unknown one before anything starts
    varied = parse_vary(config.vary)
    _refuse_twice(config, varied)
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
    values: dict[str, Any] = {"game": config.games, "learner": config.learner, **varied}
    if config.n_agents:
        values["n_agents"] = config.n_agents
    if config.k:
        values["k"] = config.k
    values["seed"] = range(config.first_seed, config.first_seed + config.seeds)
    return grid(base, values)


def _refuse_twice(config: SweepConfig, varied: Iterable[str]) -> None:
    """ValueError for the first field that both --vary and an argument of its own set."""
    given, default = flat(asdict(config)), flat(asdict(SweepConfig(games=config.games)))
    for name in varied:
        if given.get(name) != default.get(name):
            raise ValueError(f"{name} is given twice: {given[name]!r} and in --vary; leave out one of them")


def parse_vary(settings: tuple[str, ...]) -> dict[str, list[Any]]:
    """FIELD=VALUE,VALUE,.. as field -> values; numbers, true, false and null are read as such.

    Raises:
        ValueError: no "=", the same field twice, one with an argument of its own, or all options at once.
    """
    values: dict[str, list[Any]] = {}
    for setting in settings:
        name, separator, texts = setting.partition("=")
        if not separator:
            raise ValueError(f"vary must be FIELD=VALUE,VALUE,..; got {setting!r}")
        if name in values:
            raise ValueError(f"vary names {name} twice")
        if name in OWN_ARGUMENTS:
            raise ValueError(f"vary must not name {name}, which every sweep sets; {OWN_ARGUMENTS[name]}")
        if name in (OPTIONS, OPTIONS.rstrip(".")):
            raise ValueError(f"vary must name one option, options.NAME=VALUE,VALUE,..; got {setting!r}")
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


def outcome_lines(config: SweepConfig, result: SweepResult) -> str:
    """How the sweep ended, in words."""
    lines = [
        f"{result.n_cells - len(result.failures)} of {result.n_cells} cells are finished, {result.n_new} of them now; "
        f"written to {result.folder}: results.csv, timings.csv, history.csv, episodes.csv",
    ]
    lines += [f"damaged file, its cell was run again: {path}" for path in result.damaged]
    lines += [f"FAILED {words}: {error}" for words, error in result.failures.items()]
    if result.failures:
        lines.append(f"{going_on(config)} to try the failed cells again")
    return "\n".join(lines)


def resume_hint(config: SweepConfig) -> str:
    """What to do after an interruption."""
    folder = sweep_folder(config)
    done = len(list((folder / "cells").glob("*.json")))
    return f"{done} finished cells are saved in {folder}: {going_on(config)} to go on"
