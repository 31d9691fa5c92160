r"""Does anything grow? Ten million environment steps and two hundred trainings, memory and open files measured.

python benchmarks/soak.py            10^7 steps of small environments, 200 trainings; about a quarter of an hour
python benchmarks/soak.py --quick    10^4 steps and 20 trainings

One step of the environments in twenty is made through the multi-agent API, dictionaries and all; the others in batches,
by the Gymnasium views of either side. One training in four is of several starts (the command line's default), the
others are of the paper's and the mean-field method; each writes its run folder, tables and figures.

Each job runs in ten equal parts. After the first, which pays for what is loaded and compiled once, resident memory is
read after every part (/proc/self/statm, after a full garbage collection). Growth is the slope of a straight line
through these readings times the whole job; it must stay below one percent of the resident memory, and no file may stay
open. The exit status is 1 when something grew.
"""

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
from result import HEADER, Figure

from kofn.agents import AlternatingConfig
from kofn.envs import PopulationEnv
from kofn.envs.formation import game as formation
from kofn.experiments.config import TrainConfig
from kofn.experiments.tables import text_table
from kofn.experiments.train import train
from kofn.wrappers import SubsampleObservation

PARTS = 10
BATCH = 100
LARGEST_GROWTH = 0.01


def resident_bytes() -> int:
    """Memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """Files that this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a pathlib iterator would keep the folder itself open


def step_environments(n_steps: int) -> None:
    """Play random actions in a small environment, through the multi-agent API and the vector views."""
    singly = n_steps // 20
    batches = (n_steps - singly) // (2 * BATCH)
    step_dictionaries(singly)
    for name in ("GlobalBestResponse", "LocalBestResponse"):
        step_vector(f"kofn.envs:kofn/{name}-v0", batches)


def step_dictionaries(n_steps: int) -> None:
    """Steps of three agents."""
    env = SubsampleObservation(PopulationEnv(formation(), n_agents=3, max_cycles=50), k=2)
    rng = np.random.default_rng(0)
    agents = env.possible_agents
    limits = [int(env.action_space(agent).n) for agent in agents]
    for t in range(n_steps):
        if t % 50 == 0:
            env.reset(seed=t)
        env.step(dict(zip(agents, rng.integers(limits).tolist(), strict=True)))
    env.close()


def step_vector(name: str, n_batches: int) -> None:
    """Steps of a batch of populations."""
    envs = gymnasium.make_vec(name, num_envs=BATCH, game="formation", n_agents=30, max_cycles=50)
    envs.action_space.seed(0)
    envs.reset(seed=0)
    for _ in range(n_batches):
        envs.step(envs.action_space.sample())
    envs.close()


def run_trainings(n_runs: int) -> None:
    """Train on a small game into a new folder each time, with files and figures."""
    learners = ("observation_aware", "paper", "mean_field", "paper")
    for seed in range(n_runs):
        with tempfile.TemporaryDirectory() as folder:
            alternation = AlternatingConfig(n_rollouts=50, horizon=10, max_alternations=2)
            train(
                TrainConfig(
                    game="formation",
                    learner=learners[seed % len(learners)],
                    k=2,
                    n_agents=10,
                    max_cycles=10,
                    seed=seed,
                    folder=Path(folder, "run"),
                    n_rollouts=20,
                    progress_bar=False,
                    alternation=alternation,
                )
            )


def growth_of(job: Callable[[int], None], size: int, name: str) -> list[Figure]:
    """Run a job in parts and say what grew."""
    job(size // PARTS)
    files, readings = open_files(), [resident_bytes()]
    for _ in range(PARTS - 1):
        job(size // PARTS)
        readings.append(resident_bytes())
    slope = np.polyfit(np.arange(PARTS), readings, 1)[0] * PARTS / readings[0]
    note = f"{readings[0] / 2**20:.1f} MiB at first, {readings[-1] / 2**20:.1f} MiB at the end"
    left = open_files() - files
    return [
        Figure(name=f"{name}: growth of memory", value=slope, limit=LARGEST_GROWTH, at_least=False, note=note),
        Figure(name=f"{name}: files left open", value=left, limit=0, at_least=False, note=f"{files} at first"),
    ]


def measure(*, quick: bool) -> list[Figure]:
    """Both jobs."""
    n_steps, n_runs = (10**4, 2 * PARTS) if quick else (10**7, 200)
    return [
        *growth_of(step_environments, n_steps, f"{n_steps} environment steps"),
        *growth_of(run_trainings, n_runs, f"{n_runs} trainings"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, well under a minute")
    figures = measure(quick=parser.parse_args().quick)
    print(text_table(HEADER, [figure.cells() for figure in figures]))
    sys.exit(0 if all(figure.kept for figure in figures) else 1)
