"""The whole Figure 6: return against k on the warehouse, the paper's learners, evaluation included.

python benchmarks/figure6.py           k = 1 .. 30 with 15 seeds each, on all cores: seconds and returns for every k
python benchmarks/figure6.py --quick   k = 1, 10, 20 and 30 with one seed, and what the whole would take

Every run is `kofn train`'s: the driver at its defaults, and 250 rollouts of 100 steps on random numbers of their own.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from kofn.agents import evaluate
from kofn.experiments.config import TrainConfig
from kofn.experiments.tables import text_table
from kofn.experiments.train import build_model

SIZES, N_SEEDS = tuple(range(1, 31)), 15
QUICK_SIZES = (1, 10, 20, 30)
N_ROLLOUTS = 250
MINUTES_ALLOWED, CORES = 15, 2


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        k: agents seen.
        seconds: processor time of training and evaluation.
        mean: discounted return.
        converged: whether both players refused.
    """

    k: int
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
    return Run(k=k, seconds=time.process_time() - began, mean=found.mean, converged=result.converged)


def whole_minutes(runs: list[Run]) -> float:
    """Minutes of processor time that all sizes and seeds take, seconds interpolated between the sizes that were run."""
    sizes = sorted({run.k for run in runs})
    seconds = [np.mean([run.seconds for run in runs if run.k == k]) for k in sizes]
    return float(np.interp(SIZES, sizes, seconds).sum()) * N_SEEDS / 60


def main() -> None:
    """Run, and print a line for every k."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four sizes, one seed")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    options = parser.parse_args()
    sizes, n_seeds = (QUICK_SIZES, 1) if options.quick else (SIZES, N_SEEDS)
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # for the processes to come
    began = time.perf_counter()
    one_run_each = [(k, seed) for k in reversed(sizes) for seed in range(n_seeds)]  # the longest first
    with ProcessPoolExecutor(options.cores, mp_context=get_context("spawn")) as processes:
        runs = list(processes.map(one_run, one_run_each))
    rows = []
    for k in sizes:
        means, seconds = np.transpose([(run.mean, run.seconds) for run in runs if run.k == k])
        converged = sum(run.converged for run in runs if run.k == k)
        rows.append([str(k), f"{means.mean():.2f}", f"{means.std():.2f}", f"{seconds.mean():.1f}", str(converged)])
    print(text_table(["k", "return", "deviation", "processor seconds per run", "converged"], rows))
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes on {options.cores} cores")
    minutes = whole_minutes(runs)
    print(
        f"the whole figure: {minutes:.0f} processor minutes, {minutes / CORES:.0f} on {CORES} cores; "
        f"the aim is {MINUTES_ALLOWED}"
    )


if __name__ == "__main__":
    main()
