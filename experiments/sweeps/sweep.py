"""Sweeps that survive: run cells anywhere, keep each one the moment it finishes, go on where it stopped.

    for every configuration that has no finished cell in the folder: submit it to the executor
    as results arrive: write the cell (atomically)            -- a killed driver loses only unfinished cells
    when worker processes die: open new ones and submit what is unfinished
    at the end, or when interrupted: write the tables

An outcome is a function of the configuration, so that a sweep that was killed and resumed ends with exactly the rows of
one that was not.
"""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kofn.experiments.config import TrainConfig
from kofn.experiments.folders import claim
from kofn.experiments.sweeps.cells import CellOutcome, run_cell, run_in_worker
from kofn.experiments.sweeps.executors import OpenExecutor, borrowed, local_executor
from kofn.experiments.sweeps.folder import read_cells, start_sweep, write_cell, write_tables
from kofn.experiments.sweeps.grid import cell_hash, describe, label
from kofn.experiments.sweeps.lock import folder_lock
from kofn.experiments.sweeps.progress import SweepProgress
from kofn.experiments.sweeps.threads import one_thread_here
from kofn.experiments.train import possible_model

MAX_RESTARTS = 3
"""How often in a row worker processes may die without one cell finishing in between."""

SECONDS_BETWEEN_TABLES = 10.0

RunCell = Callable[[TrainConfig], CellOutcome]


@dataclass(frozen=True, eq=False, kw_only=True)
class SweepResult:
    """Outcome of `sweep`.

    Attributes:
        folder: where the tables are.
        n_cells: cells of the sweep.
        n_new: cells that finished in this call.
        failures: cell in words -> what it raised.
        damaged: file that could not be read -> why; its cell was run again.
    """

    folder: Path
    n_cells: int
    n_new: int
    failures: dict[str, str]
    damaged: dict[str, str]


@dataclass(eq=False)
class _Run:
    """The state of a running sweep."""

    folder: Path
    cells: dict[str, dict[str, Any]]
    configs: dict[str, TrainConfig]
    finished: dict[str, CellOutcome]
    run: RunCell
    progress: SweepProgress
    on_cell: Callable[[str, TrainConfig, CellOutcome], None] | None
    n_new: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    last_tables: float = field(default_factory=time.monotonic)

    def pending(self) -> dict[str, TrainConfig]:
        """Cells that are neither finished nor failed."""
        return {
            name: config
            for name, config in self.configs.items()
            if name not in self.finished and name not in self.failures
        }


def sweep(
    tasks: Sequence[TrainConfig],
    executor: Executor | OpenExecutor | None = None,
    *,
    folder: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    run: RunCell = run_cell,
    progress_bar: bool = False,
    on_cell: Callable[[str, TrainConfig, CellOutcome], None] | None = None,
) -> SweepResult:
    """Run every task that has no finished cell in the folder.

    Args:
        tasks: configurations, see `kofn.experiments.sweeps.grid.grid`.
        executor: any `concurrent.futures.Executor`, or a function that opens one and can open another when its workers
            die; None: worker processes of this machine.
        folder: where cells and tables are written.
        resume: go on with the sweep in the folder, and add tasks it does not have.
        overwrite: replace the sweep in the folder.
        run: what is done for a task; must be importable on the workers.
        progress_bar: show a bar, or plain lines where there is no terminal.
        on_cell: called with hash, configuration and outcome of every cell that finishes, after it was written.

    Raises:
        FileExistsError: the folder holds a sweep, and neither `resume` nor `overwrite` was asked for, or it is no
            sweep's.
        BlockingIOError: another process is writing to the folder.
        ValueError: no tasks, or a sweep of another version.
        OSError: a cell cannot be written (a full disk); finished cells stay.
        BrokenExecutor: worker processes die again and again.
    """
    if not tasks:
        raise ValueError("a sweep needs at least one task; got none")
    folder = Path(folder)
    descriptions = [describe(task) for task in tasks]
    configs = dict(zip(map(cell_hash, descriptions), tasks, strict=True))
    claim(folder, "sweep")  # before anything is written to a folder of others
    if overwrite and run is run_cell:
        _check_all_possible(tasks)
    with folder_lock(folder):
        new = {cell_hash(description): description for description in descriptions}
        cells = start_sweep(folder, new, resume=resume, overwrite=overwrite)
        found = read_cells(folder, cells)
        done = sum(name in found.cells for name in configs)
        with SweepProgress(len(configs), done, show=progress_bar) as progress:
            for path in found.damaged:
                progress.note(f"damaged, its cell is run again: {path}")
            state = _Run(folder, cells, configs, found.cells, run, progress, on_cell)
            try:
                with one_thread_here():
                    _run_pending(state, executor)
            finally:
                write_tables(folder, cells, state.finished)
    return SweepResult(
        folder=folder,
        n_cells=len(configs),
        n_new=state.n_new,
        failures={f"{label(cells[name])} ({name})": error for name, error in state.failures.items()},
        damaged=found.damaged,
    )


def _check_all_possible(tasks: Sequence[TrainConfig]) -> None:
    """Raise the ValueError or TypeError of the first task that cannot be trained, naming it."""
    for task in {cell_hash(describe(replace(task, seed=0))): task for task in tasks}.values():
        try:
            possible_model(task)
        except (TypeError, ValueError) as error:
            words = label(describe(task))
            raise type(error)(f"{words} cannot be trained: {error} (nothing was removed)") from None


def _run_pending(state: _Run, executor: Executor | OpenExecutor | None) -> None:
    """Run what is pending, with new worker processes when they die."""
    if executor is None:
        executor = local_executor
    open_executor = partial(borrowed, executor) if isinstance(executor, Executor) else executor
    restarts = 0
    while state.pending():
        before = state.n_new
        try:
            with open_executor() as workers:
                _collect(state, workers, own=not isinstance(executor, Executor))
        except BrokenExecutor as error:
            restarts = restarts + 1 if state.n_new == before else 0
            if isinstance(executor, Executor) or restarts >= MAX_RESTARTS:
                raise BrokenExecutor(f"the workers died ({error}); out of memory? {_left(state)}") from error
            state.progress.note(f"worker processes died and are replaced; {_left(state)}")


def _left(state: _Run) -> str:
    return f"{len(state.configs) - len(state.pending())} of {len(state.configs)} cells are done"


def _collect(state: _Run, workers: Executor, *, own: bool) -> None:
    """Submit what is pending and keep every result as it arrives; executors of our own end with their block."""
    waiting = state.pending()
    at_once = _window(workers, len(waiting))
    futures: dict[Future[CellOutcome], str] = {}
    try:
        while waiting or futures:
            for name in list(itertools.islice(waiting, at_once - len(futures))):
                futures[workers.submit(run_in_worker, state.run, waiting.pop(name))] = name
            state.progress.current(label(state.cells[next(iter(futures.values()))]))
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                _keep(state, futures.pop(future), future)
    except BaseException:
        for future in () if own else futures:
            future.cancel()
        raise


def _window(workers: Executor, n_cells: int) -> int:
    """Cells submitted at once: all to a cluster, two per process to a pool (loky must not queue more when killed)."""
    n_workers: int | None = getattr(workers, "_max_workers", None)
    return n_cells if n_workers is None else 2 * n_workers


def _keep(state: _Run, name: str, future: Future[CellOutcome]) -> None:
    """Write a finished cell, or note why it failed."""
    words = label(state.cells[name])
    try:
        outcome = future.result()
    except BrokenExecutor:
        raise
    except Exception as error:  # whatever a learner raises concerns its own cell only
        state.failures[name] = f"{type(error).__name__}: {error}"
        state.progress.finished(words, f"FAILED, {state.failures[name]}")
        return
    write_cell(state.folder, name, outcome)
    state.finished[name] = outcome
    state.n_new += 1
    if time.monotonic() - state.last_tables > SECONDS_BETWEEN_TABLES:
        write_tables(state.folder, state.cells, state.finished)
        state.last_tables = time.monotonic()
    state.progress.finished(words, outcome_in_words(outcome.row))
    if state.on_cell is not None:
        state.on_cell(name, state.configs[name], outcome)


def outcome_in_words(row: Mapping[str, Any]) -> str:
    """The gist of a row."""
    found = row.get("return")
    return f"return {found:.2f}" if isinstance(found, float) else "done"
