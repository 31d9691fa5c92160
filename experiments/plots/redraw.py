"""`kofn plot RUN`: the figures of a run or a sweep, drawn again from its tables, without training.

A sweep's figures lie in `figures/`, each as SVG, PDF and PNG, one set per game and number of agents.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kofn.envs.continuous import ContinuousGame
from kofn.envs.files import naming_damage
from kofn.envs.game import TabularGame
from kofn.envs.registration import registered_game
from kofn.experiments.figures import occupancy_figure, potential_figure
from kofn.experiments.folders import SWEEP_FILE
from kofn.experiments.line_episode import line_figure, read_line
from kofn.experiments.plots.against_k import accuracy_figure, bound_figure, gap_figure, return_figure
from kofn.experiments.plots.data import Row, distinct, read_csv, read_optional, values
from kofn.experiments.plots.episodes import heatmap_figure, histories_figure
from kofn.experiments.plots.save import save_in_formats
from kofn.experiments.reference.load import authors_returns, authors_seconds
from kofn.experiments.run_game import load_run
from kofn.experiments.sweeps.cells import has_tables
from kofn.experiments.sweeps.grid import OPTIONS, literal
from kofn.experiments.trajectory import Trajectory

FIGURES = "figures"


@dataclass(frozen=True, eq=False, kw_only=True)
class SweepTables:
    """The tables of a sweep, as CSV has them."""

    results: list[dict[str, str]]
    timings: list[dict[str, str]]
    history: list[dict[str, str]]
    episodes: list[dict[str, str]]


def read_tables(folder: Path) -> SweepTables:
    """Read a sweep's tables; FileNotFoundError or ValueError name the file at fault."""
    if not (folder / "results.csv").exists():
        raise FileNotFoundError(f"{folder / 'results.csv'} is not written yet; run the sweep with --resume")
    return SweepTables(
        results=read_csv(folder / "results.csv"),
        timings=read_csv(folder / "timings.csv"),
        history=read_optional(folder / "history.csv"),
        episodes=read_optional(folder / "episodes.csv"),
    )


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's rather than one run's; FileNotFoundError if it is neither's."""
    if not (folder / SWEEP_FILE).exists() and not (folder / "history.csv").exists():
        raise FileNotFoundError(f"{folder} holds neither a run nor a sweep (no history.csv, no {SWEEP_FILE})")
    return (folder / SWEEP_FILE).exists()


def redraw(folder: Path) -> list[Path]:
    """Draw the figures of a run or a sweep; returns the files.

    Raises:
        FileNotFoundError: neither is in the folder.
        ValueError: a file is damaged, or nothing is finished yet.
    """
    return redraw_sweep(folder) if is_sweep(folder) else redraw_run(folder)


def redraw_run(folder: Path) -> list[Path]:
    """Draw the two figures of `kofn train` from history.csv and trajectory.csv."""
    model = load_run(folder)
    game = model.setting.game
    title = f"{title_of(game)}, n = {model.setting.n_agents}, k = {model.setting.k}"
    figures = {}  # all are drawn before one is written: a damaged file leaves the old ones
    if model.history:
        figures["potential"] = potential_figure(model.history, title)
    path = folder / "trajectory.csv"
    if path.exists():
        with naming_damage(path):
            lines = read_csv(path)
            if isinstance(game, ContinuousGame):
                figures["occupancy"] = line_figure(read_line(lines), game, title)
            else:
                figures["occupancy"] = occupancy_figure(read_trajectory(lines), game, title)
    if not figures:
        raise ValueError(f"{folder} has no finished proposal yet; run kofn train with --resume")
    return [file for name, figure in figures.items() for file in save_in_formats(figure, folder, name)]


def title_of(game: Any) -> str:
    """A game's name, as figures say it."""
    title: str = game.labels.title if has_tables(game) else game.title
    return title


def read_trajectory(lines: Sequence[Row]) -> Trajectory:
    """A trajectory from the lines of `trajectory_csv`; the counts stand after the column "mode"."""
    first_count = list(lines[0]).index("mode") + 1
    return Trajectory(
        global_states=np.array([int(line["global_state"]) for line in lines]),
        global_actions=np.array([int(line["global_action"]) for line in lines]),
        counts=np.array([[int(cell) for cell in list(line.values())[first_count:]] for line in lines]),
    )


def redraw_sweep(folder: Path) -> list[Path]:
    """Draw every figure that the tables allow; returns the files.

    Raises:
        FileNotFoundError, ValueError: a table is missing, empty or damaged.
    """
    tables = read_tables(folder)
    if not tables.results:
        raise ValueError(f"{folder / 'results.csv'} has no finished cell yet; run the sweep with --resume")
    written = []
    with naming_damage(folder):
        for name, figure in sweep_figures(tables):
            written += save_in_formats(figure, folder / FIGURES, name)
    return written


def sweep_figures(tables: SweepTables) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one set per game, its options, and number of agents."""
    sets: dict[tuple[str, str, str], list[Row]] = {}
    for row in tables.results:
        sets.setdefault((row["game"], _in_words(game_options(row)), row["n_agents"]), []).append(row)
    of_one_size = {key[:2] for key in sets if [other[:2] for other in sets].count(key[:2]) == 1}
    for (game, options, n_agents), rows in sets.items():
        suffix = game + "".join(f"_{option}" for option in options.replace(" = ", "").split(", ") if option)
        suffix += "" if (game, options) in of_one_size else f"_n{n_agents}"
        for name, figure in _figures(rows, tables):
            yield f"{name}_{suffix}", figure


def game_options(row: Row) -> dict[str, Any]:
    """The options of a cell's game, of the columns `options.NAME`."""
    return {
        name.removeprefix(OPTIONS): literal(value)
        for name, value in row.items()
        if name.startswith(OPTIONS) and value != ""
    }


def _in_words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options.items())


def _figures(rows: Sequence[Row], tables: SweepTables) -> Iterator[tuple[str, Figure]]:
    name, options = rows[0]["game"], game_options(rows[0])
    game = registered_game(name, **options)
    cells = {row["cell"] for row in rows}
    title = ", ".join(filter(None, [title_of(game), _in_words(options), f"n = {rows[0]['n_agents']}"]))
    timings = [row for row in tables.timings if row["cell"] in cells]
    reference = (authors_returns(name), authors_seconds(name)) if _at_reference_sizes(rows) else (None, None)
    yield "return", return_figure(rows, timings, title, *reference)
    if len(values(rows, "mode_accuracy")):
        yield "accuracy", accuracy_figure(rows, title)
    if len(values(rows, "gap_upper")):
        yield "gap", gap_figure(rows, title)
        if isinstance(game, TabularGame):
            yield "bound", bound_figure(rows, game, title)
    history = histories_figure(rows, tables.history, title)
    if history is not None:
        yield "potential", history
    if has_tables(game) or isinstance(game, ContinuousGame):
        learners = distinct(rows, "learner")
        for learner in learners:
            of_learner = [row for row in rows if row["learner"] == learner]
            heatmap = heatmap_figure(of_learner, tables.episodes, game, title)
            if heatmap is not None:
                yield "heatmap" if len(learners) == 1 else f"heatmap_{learner}", heatmap


def _at_reference_sizes(rows: Sequence[Row]) -> bool:
    """Whether the sweep plays the sizes that the authors' figures were measured at."""
    sizes = {"warehouse_dispatch": ("1000", "100"), "cluster_line": ("500", "50")}
    return all(sizes.get(row["game"]) == (row["n_agents"], row["max_cycles"]) and not game_options(row) for row in rows)
