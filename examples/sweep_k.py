"""How much does seeing more agents help? A sweep over k and seeds, with intervals over seeds.

Every finished cell is on disk at once: a sweep that was stopped goes on when the same command is given again.

Run it: `python examples/sweep_k.py --ks 1 2 5 10 --seeds 3`
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from kofn.experiments.config import TrainConfig
from kofn.experiments.plots.data import read_csv, series
from kofn.experiments.report import in_words
from kofn.experiments.sweeps.executors import backend_executor
from kofn.experiments.sweeps.grid import grid
from kofn.experiments.sweeps.sweep import sweep
from kofn.experiments.tables import text_table


@dataclass(frozen=True)
class Config:
    """What to sweep.

    Args:
        game: registered game of tables.
        ks: numbers of local agents seen.
        n_agents: number of local agents.
        seeds: trainings per k; those with the same seed are evaluated on the same random numbers.
        n_rollouts: rollouts of every evaluation.
        learner: "paper" or "observation_aware" (takes longer, and reaches more).
        folder: where cells and tables go.
        workers: processes; omitted: one per core.
    """

    game: str = "warehouse_dispatch"
    ks: tuple[int, ...] = (1, 2, 5, 10)
    n_agents: int = 1000
    seeds: int = 3
    n_rollouts: int = 500
    learner: str = "paper"
    folder: Path = Path("runs/sweep_k")
    workers: int | None = None


def main(config: Config) -> dict[int, float]:
    """Print a table; returns the mean return of every k."""
    base = TrainConfig(game=config.game, learner=config.learner, n_agents=config.n_agents, n_rollouts=config.n_rollouts)
    tasks = grid(base, {"k": config.ks, "seed": range(config.seeds)})
    workers = backend_executor("local", n_workers=config.workers)  # or any concurrent.futures.Executor
    result = sweep(tasks, workers, folder=config.folder, resume=True, progress_bar=True)
    assert not result.failures, result.failures
    (returns,) = series(read_csv(config.folder / "results.csv"), "return")
    found = dict(zip(returns.ks, returns.intervals("mean"), strict=True))
    print(text_table(["k", "mean return, 95% interval"], [[str(k), in_words(one)] for k, one in found.items()]))
    print(f"kofn plot {config.folder} draws the figures, kofn report {config.folder} writes a page")
    return {k: one.estimate for k, one in found.items()}


if __name__ == "__main__":
    main(tyro.cli(Config))
