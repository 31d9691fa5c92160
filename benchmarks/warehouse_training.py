"""The paper's agents on the paper's game at Table 3's size, beside the authors' own code."""

import json
import time
from pathlib import Path

import numpy as np
from result import Figure

from kofn.agents import AlternatingMARL, evaluate
from kofn.envs.arrays import FloatArray
from kofn.envs.warehouse_dispatch import DEFAULTS, parallel_env
from kofn.wrappers import SubsampleObservation

REFERENCE = Path(__file__).parent / "reference" / "warehouse_authors_code.json"
FLOORS = {10: 100.0}
"""Returns to reach; elsewhere the authors' code is the floor."""
SECONDS_ALLOWED = {10: 60.0}


def authors_returns() -> dict[int, float]:
    """Mean discounted return (H=100) of the authors' code by k."""
    rows = json.loads(REFERENCE.read_text())["rows"]
    return {row["k"]: row["paper_H100"] for row in rows}


def train_and_evaluate(k: int, seed: int, n_rollouts: int) -> tuple[float, float, float]:
    """Mean return, its standard error, and training seconds of one run."""
    env = SubsampleObservation(parallel_env(), k)
    began = time.perf_counter()
    model = AlternatingMARL(env, seed=seed)
    model.learn()
    seconds = time.perf_counter() - began
    found = evaluate(
        model.setting.game,
        model.global_policy,
        model.local_policy,
        DEFAULTS.n_agents,
        horizon=DEFAULTS.max_cycles,
        n_rollouts=n_rollouts,
        seed=[seed, 1],
    )
    return found.mean, found.standard_error, seconds


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark."""
    authors = authors_returns()
    figures = []
    for k in [10] if quick else sorted(authors):
        runs = np.array([train_and_evaluate(k, seed, 2000) for seed in range(1 if quick else 3)])
        figures += _figures(k, runs, authors[k])
    return figures


def _figures(k: int, runs: FloatArray, authors: float) -> list[Figure]:
    """Return against the authors' code, and the floors and time limits above; runs are [seed, figure]."""
    mean, seconds = runs[:, 0].mean(), runs[:, 2].max()
    error = float(np.sqrt((runs[:, 1] ** 2).sum()) / len(runs))
    note = f"standard error {error:.2f}; authors' code {authors:.2f}; {seconds:.0f} s of training"
    name = f"warehouse return, n=1000, H=100, k={k}"
    found = [Figure(name=name, value=mean, limit=FLOORS.get(k, authors), at_least=True, note=note)]
    if k in SECONDS_ALLOWED:
        name = f"training seconds, k={k}"
        found.append(Figure(name=name, value=seconds, limit=SECONDS_ALLOWED[k], at_least=False, note="slowest run"))
    return found
