"""The whole Figure 6: return against k on the warehouse, the paper's learners, evaluation included.

python benchmarks/figure6.py           k = 1 .. 30 with 15 seeds each, on all cores: seconds and returns for every k
python benchmarks/figure6.py --quick   k = 1, 10, 20 and 30 with one seed, and what the whole would take
python benchmarks/figure6.py --draw    table and figure from the runs that are kept

The whole keeps every run in docs/images/figure6.csv, goes on from there when it was stopped (--anew: begins again), and
draws docs/images/figure6.png.

Every run is `kofn train`'s: the driver at its defaults, and 250 rollouts of 100 steps on random numbers of their own.
"""

import argparse
import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from warehouse_training import authors_returns

from kofn.agents import evaluate
from kofn.experiments.config import TrainConfig
from kofn.experiments.csv_files import write_rows
from kofn.experiments.figures import save_figure
from kofn.experiments.tables import text_table
from kofn.experiments.train import build_model

SIZES, N_SEEDS = tuple(range(1, 31)), 15
QUICK_SIZES = (1, 10, 20, 30)
N_ROLLOUTS = 250
MINUTES_ALLOWED, CORES = 15, 2
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "figure6.png"
KEPT = IMAGE.with_suffix(".csv")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        k: agents seen.
        seed: of the training.
        seconds: processor time of training and evaluation.
        mean: discounted return.
        converged: whether both players refused.
    """

    k: int
    seed: int
    seconds: float
    mean: float
    converged: bool


def one_run(task: tuple[int, int]) -> Run:
    """Train and evaluate for (k, seed)."""
    k, seed = task
    began = time.process_time()
    model = build_model(TrainConfig(game="warehouse_dispatch", k=k, seed=seed, learner="paper"))
    result = model.learn()
    setting = model.setting
    found = evaluate(
        setting.game,
        result.global_policy,
        result.local_policy,
        setting.n_agents,
        horizon=setting.max_cycles,
        n_rollouts=N_ROLLOUTS,
        seed=[seed, 1],
    )
    return Run(k=k, seed=seed, seconds=time.process_time() - began, mean=found.mean, converged=result.converged)


def whole_minutes(runs: list[Run]) -> float:
    """Minutes of processor time that all sizes and seeds take, seconds interpolated between the sizes that were run."""
    sizes = sorted({run.k for run in runs})
    seconds = [np.mean([run.seconds for run in runs if run.k == k]) for k in sizes]
    return float(np.interp(SIZES, sizes, seconds).sum()) * N_SEEDS / 60


def table(runs: list[Run]) -> str:
    """A line for every k."""
    rows = []
    for k in sorted({run.k for run in runs}):
        here = [run for run in runs if run.k == k]
        means, seconds = np.transpose([(run.mean, run.seconds) for run in here])
        converged = sum(run.converged for run in here)
        line = [f"{means.mean():.2f}", f"{means.std():.2f}", f"{seconds.mean():.1f}", str(converged), str(len(here))]
        rows.append([str(k), *line])
    return text_table(["k", "return", "deviation", "processor seconds per run", "converged", "runs"], rows)


def kept_runs() -> list[Run]:
    """The runs that are kept."""
    if not KEPT.exists():
        return []
    with KEPT.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Run(
            k=int(row["k"]),
            seed=int(row["seed"]),
            seconds=float(row["seconds"]),
            mean=float(row["mean"]),
            converged=row["converged"] == "True",
        )
        for row in rows
    ]


def keep(runs: list[Run]) -> None:
    """Write all runs, in order."""
    ordered = sorted(runs, key=lambda run: (run.k, run.seed))
    write_rows(KEPT, list(asdict(ordered[0])), [list(asdict(run).values()) for run in ordered])


def draw(runs: list[Run]) -> None:
    """Return against k, the authors' points beside it, and processor seconds per run."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415  # only where a figure is wanted

    figure = Canvas(figsize=(9, 3.8), layout="constrained")
    returns, times = figure.subplots(1, 2)
    sizes = sorted({run.k for run in runs})
    by_size = [np.array([(run.mean, run.seconds) for run in runs if run.k == k]) for k in sizes]
    middle = np.array([here[:, 0].mean() for here in by_size])
    spread = np.array([here[:, 0].std() for here in by_size])
    authors = authors_returns()
    returns.fill_between(sizes, middle - spread, middle + spread, alpha=0.25, linewidth=0)
    returns.plot(sizes, middle, label="G-LEARN and L-LEARN, deviation between seeds")
    returns.plot(list(authors), list(authors.values()), "o", color="0.4", label="authors' code")
    returns.set(xlabel="robots seen per step, k", ylabel="discounted return", title="warehouse, n = 1000, H = 100")
    figure.legend(fontsize="small", loc="outside lower center", ncols=2)
    times.plot(sizes, [here[:, 1].mean() for here in by_size], "o-", markersize=3)
    times.set(xlabel="robots seen per step, k", title="processor seconds per run, evaluation included")
    times.set_ylim(bottom=0)
    save_figure(figure, IMAGE)


def train_all(sizes: tuple[int, ...], n_seeds: int, cores: int, known: list[Run], *, kept: bool) -> list[Run]:
    """Known runs and those still to be made, seed by seed; each is kept as soon as it is there."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # for the processes to come
    runs = list(known)
    made = {(run.k, run.seed) for run in known}
    wanted = [(k, seed) for seed in range(n_seeds) for k in reversed(sizes) if (k, seed) not in made]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as processes:
        for run in processes.map(one_run, wanted):
            runs.append(run)
            if kept:
                keep(runs)
    return runs


def main() -> None:
    """Run, and print a line for every k."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four sizes, one seed")
    parser.add_argument("--draw", action="store_true", help="train nothing")
    parser.add_argument("--anew", action="store_true", help="forget the runs that are kept")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    options = parser.parse_args()
    began = time.perf_counter()
    if options.quick:
        runs = train_all(QUICK_SIZES, 1, options.cores, [], kept=False)
    else:
        known = [] if options.anew else kept_runs()
        if options.draw and not known:
            parser.error(f"no runs are kept in {KEPT}")
        runs = known if options.draw else train_all(SIZES, N_SEEDS, options.cores, known, kept=True)
        draw(runs)
    print(table(runs))
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes on {options.cores} cores")
    minutes = whole_minutes(runs)
    print(
        f"the whole figure: {minutes:.0f} processor minutes, {minutes / CORES:.0f} on {CORES} cores; "
        f"the aim is {MINUTES_ALLOWED}"
    )


if __name__ == "__main__":
    main()
