"""The same seed gives the same numbers in another process and with another number of threads.

Where rollouts decide, every bit is the same. Solutions of linear systems and products of large matrices are sums whose
order the BLAS library chooses: with other numbers of threads they may differ in the last bits, and are compared within
a rounding error. (Backends: `tests/experiments/sweeps` compares the tables of a sweep in this process, in processes of
this machine and on Dask, byte for byte.)
"""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

SCRIPT = """
import hashlib, json
from kofn.agents import AlternatingConfig, AlternatingMARL, evaluate, g_learn
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv
from kofn.envs.warehouse_dispatch import game as warehouse
from kofn.wrappers import SubsampleObservation
import numba

game = warehouse(n_zones=3)
keep, uniform = GlobalPolicy.named("keep", game, 3), LocalPolicy.named("uniform", game)
env = SubsampleObservation(PopulationEnv(game, 50, max_cycles=10), k=3)
config = AlternatingConfig(n_rollouts=200, horizon=10, max_alternations=1)
model = AlternatingMARL(env, config, seed=7)
model.learn()
sampled = g_learn(game, uniform, k=6, operator="monte_carlo", n_samples=20, seed=7)
returns = evaluate(game, keep, uniform, 10**6, horizon=20, n_rollouts=500, seed=7).returns
exact = g_learn(game, uniform, k=40, operator="exact")
tables = model.global_policy.table, model.local_policy.table
bits = b"".join(array.tobytes() for array in (returns, sampled.q_values, exact.policy.table, *tables))
print(json.dumps({
    "threads": numba.get_num_threads(),
    "bits": hashlib.sha256(bits + repr([p.verdict for p in model.history]).encode()).hexdigest(),
    "exact": [float(exact.q_values.sum()), float(exact.q_values.max()), model.history[-1].potential],
}))
"""


def in_a_process(n_threads: int) -> Any:
    """What the script finds in a process of its own with a number of threads per library."""
    threads = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n_threads))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **threads}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_processes_and_threads_change_no_result() -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("numba takes no more threads than there are cores")
    one, two = in_a_process(1), in_a_process(2)
    assert (one.pop("threads"), two.pop("threads")) == (1, 2)
    assert one["bits"] == two["bits"]
    np.testing.assert_allclose(one["exact"], two["exact"], rtol=1e-12)
