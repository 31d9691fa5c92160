"""Compiled loops are ready before a cell's clock starts."""

import subprocess
import sys

COUNT = """
import sys
from numba.core.dispatcher import Dispatcher
compiled, compile = [], Dispatcher.compile
def counting(self, signature):
    if signature not in self.overloads:
        compiled.append(self.py_func.__name__)
    return compile(self, signature)
Dispatcher.compile = counting
from kofn.agents import AlternatingConfig
from kofn.experiments.config import TrainConfig
from kofn.experiments.sweeps.cells import run_cell
from kofn.experiments.sweeps.warm_up import warm_up
warm_up("paper")
before = len(compiled)
short = AlternatingConfig(n_rollouts=20, max_alternations=1, horizon=10)
sizes = {"k": 3, "n_agents": 30, "max_cycles": 5, "n_rollouts": 20}
run_cell(TrainConfig(game="warehouse_dispatch", learner="paper", alternation=short, **sizes))
print(before, compiled[before:])
"""


def test_a_cell_loads_no_loop_that_was_not_warmed_up():
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    before, *later = done.stdout.split(maxsplit=1)
    assert int(before) > 0
    assert later == ["[]\n"], "loaded while the clock ran"
