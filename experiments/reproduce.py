"""`kofn reproduce FIGURE`: run and draw what the paper shows, with the authors' figures as points beside ours.

| figure | what is run | what is drawn |
|---|---|---|
| figure6 | warehouse dispatch at Table 3's size, k = 1 .. 30, 15 seeds | return and training time against k |
| figure7 | the same cells | zone heatmaps of one episode per k; mode accuracy against k |
| continuous | cluster line (n = 500, 50 steps), k = 1 .. 75 | return and mode accuracy against k; heatmaps of places |
| gap | formation, n = 6, k = 1 .. 6 | bracket of the Nash gap against k, and beside Theorem 4.8 |

The gap is bracketed exactly, for which the warehouse of five zones is too large: formation, the smallest game, stands
in.

What is finished is kept: running the command again goes on, and figure6 and figure7 share their cells. `--quick` runs
three k and two seeds, with fewer rollouts.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from kofn.agents import AlternatingConfig
from kofn.envs.arrays import known_name
from kofn.envs.registration import registered_game
from kofn.experiments.config import LEARNERS, ReproduceConfig, TrainConfig
from kofn.experiments.plots.against_k import accuracy_figure, bound_figure, continuous_figure, gap_figure, return_figure
from kofn.experiments.plots.data import distinct
from kofn.experiments.plots.episodes import heatmap_figure
from kofn.experiments.plots.redraw import FIGURES, SweepTables, read_tables
from kofn.experiments.plots.save import save_in_formats
from kofn.experiments.reference.load import authors_published, authors_returns, authors_seconds
from kofn.experiments.sweeps.executors import OpenExecutor
from kofn.experiments.sweeps.grid import grid
from kofn.experiments.sweeps.sweep import SweepResult, sweep

WAREHOUSE_KS = (1, 2, 3, 5, 7, 10, 15, 20, 30)
CONTINUOUS_KS = (1, 3, 5, 10, 20, 35, 50, 75)
QUICK_KS = (1, 5, 10)
SEEDS, QUICK_SEEDS = 15, 2
CONTINUOUS_SEEDS = 3
GAP_GAME, GAP_AGENTS, GAP_SEEDS = "formation", 6, 3
WAREHOUSE_LEARNERS = ("paper", "observation_aware")
CONTINUOUS_LEARNERS = ("trpo", "reward")


def warehouse_tasks(*, quick: bool) -> list[TrainConfig]:
    """The cells of figures 6 and 7, for every learner that is there."""
    base = TrainConfig(game="warehouse_dispatch", n_rollouts=200 if quick else 2000)
    if quick:
        base = TrainConfig(game="warehouse_dispatch", n_rollouts=200, alternation=AlternatingConfig(n_rollouts=200))
    learners = [name for name in WAREHOUSE_LEARNERS if name in LEARNERS]
    ks, seeds = (QUICK_KS, QUICK_SEEDS) if quick else (WAREHOUSE_KS, SEEDS)
    return grid(base, {"learner": learners, "k": ks, "seed": range(seeds)})


def continuous_tasks(*, quick: bool) -> list[TrainConfig]:
    """The cells of the continuous game's figures.

    Raises:
        ValueError: this version has no learner for it.
    """
    learners = [name for name in CONTINUOUS_LEARNERS if name in LEARNERS]
    if not learners:
        raise ValueError(
            f"continuous needs a learner for continuous states ({', '.join(CONTINUOUS_LEARNERS)}); this version has "
            f"{', '.join(LEARNERS)}: reproduce figure6 or figure7, or upgrade kofn"
        )
    ks, seeds = (QUICK_KS, QUICK_SEEDS) if quick else (CONTINUOUS_KS, CONTINUOUS_SEEDS)
    base = TrainConfig(game="cluster_line", n_rollouts=200 if quick else 1000)
    return grid(base, {"learner": learners, "k": ks, "seed": range(seeds)})


def gap_tasks(*, quick: bool) -> list[TrainConfig]:
    """The cells of the figures of the Nash gap: the paper's learners in a game whose gap can be bracketed."""
    base = TrainConfig(game=GAP_GAME, learner="paper", n_agents=GAP_AGENTS, n_rollouts=200, nash_gap=True)
    ks, seeds = ((1, 3, GAP_AGENTS), QUICK_SEEDS) if quick else (range(1, GAP_AGENTS + 1), GAP_SEEDS)
    return grid(base, {"k": ks, "seed": range(seeds)})


def reproduce(config: ReproduceConfig, executor: Executor | OpenExecutor | None = None) -> list[Path]:
    """Run what is missing and draw; returns the figures' files.

    Raises:
        ValueError: an unknown figure, or one that needs a learner this version lacks.
        RuntimeError: a cell failed.
    """
    known_name("figure", config.figure, (*PLANS, "all"))
    wanted = list(PLANS) if config.figure == "all" else [config.figure]
    root = (
        config.folder
        if config.folder is not None
        else Path("runs") / ("reproduce-quick" if config.quick else "reproduce")
    )
    tasks = {name: PLANS[name][1](quick=config.quick) for name in wanted}  # refused before anything is run
    written: list[Path] = []
    for name in wanted:
        folder = root / PLANS[name][0]
        result = sweep(tasks[name], executor, folder=folder, resume=True, progress_bar=config.progress_bar)
        _check(result)
        written += PLANS[name][2](folder)
    return written


def _check(result: SweepResult) -> None:
    for words, error in result.failures.items():
        raise RuntimeError(
            f"{len(result.failures)} cells failed, the first, {words}, with {error}; run it again to retry"
        )


def draw_figure6(folder: Path) -> list[Path]:
    """Return and training time against k."""
    tables = read_tables(folder)
    points = authors_returns("warehouse_dispatch"), authors_seconds("warehouse_dispatch")
    title = "Warehouse dispatch, n = 1000, 100 steps (the paper's Figure 6)"
    return save_in_formats(return_figure(tables.results, tables.timings, title, *points), folder / FIGURES, "figure6")


def draw_figure7(folder: Path) -> list[Path]:
    """Heatmaps per k of every learner, and mode accuracy against k."""
    tables = read_tables(folder)
    title = "Warehouse dispatch, n = 1000 (the paper's Figure 7)"
    accuracy = accuracy_figure(tables.results, title)
    return [
        *_draw_heatmaps(tables, "warehouse_dispatch", title, folder / FIGURES, "figure7_heatmaps"),
        *save_in_formats(accuracy, folder / FIGURES, "figure7_accuracy"),
    ]


def _draw_heatmaps(tables: SweepTables, game: str, title: str, folder: Path, name: str) -> list[Path]:
    """One figure per learner."""
    written: list[Path] = []
    for learner in distinct(tables.results, "learner"):
        rows = [row for row in tables.results if row["learner"] == learner]
        heatmap = heatmap_figure(rows, tables.episodes, registered_game(game), title)
        assert heatmap is not None  # its states are places, and its cells record episodes
        written += save_in_formats(heatmap, folder, f"{name}_{learner}")
    return written


def draw_continuous(folder: Path) -> list[Path]:
    """Return and mode accuracy against k beside the authors' returns, and heatmaps per k of every learner."""
    tables = read_tables(folder)
    points = [
        found for found in (authors_returns("cluster_line"), authors_published("cluster_line")) if found is not None
    ]
    title = "Cluster line, n = 500, 50 steps (the paper's continuous game)"
    return [
        *save_in_formats(continuous_figure(tables.results, title, points), folder / FIGURES, "continuous"),
        *_draw_heatmaps(tables, "cluster_line", "Cluster line, n = 500", folder / FIGURES, "continuous_heatmaps"),
    ]


def draw_gap(folder: Path) -> list[Path]:
    """Brackets against k, and beside the theorem."""
    rows, game = read_tables(folder).results, registered_game(GAP_GAME)
    title = f"{game.labels.title.capitalize()}, n = {GAP_AGENTS}: what either player could still gain"
    return [
        *save_in_formats(gap_figure(rows, title), folder / FIGURES, "gap"),
        *save_in_formats(bound_figure(rows, game, title), folder / FIGURES, "gap_and_bound"),
    ]


Plan = tuple[str, Callable[..., list[TrainConfig]], Callable[[Path], list[Path]]]

PLANS: dict[str, Plan] = {
    "figure6": ("warehouse", warehouse_tasks, draw_figure6),
    "figure7": ("warehouse", warehouse_tasks, draw_figure7),
    "continuous": ("continuous", continuous_tasks, draw_continuous),
    "gap": ("gap", gap_tasks, draw_gap),
}
"""Figure -> folder of its cells, its cells, how it is drawn."""
