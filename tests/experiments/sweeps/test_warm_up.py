"""Compiled loops are ready before a cell's clock starts."""

import json
import subprocess
import sys

import pytest

COUNT = """
import json, sys
from numba.core.dispatcher import Dispatcher
compiled, compile = [], Dispatcher.compile
def counting(self, signature):
    if signature not in self.overloads:
        compiled.append(self.py_func.__name__)
    return compile(self, signature)
Dispatcher.compile = counting
from kofn.agents import AlternatingConfig, ObservationAware
from kofn.experiments.config import TrainConfig
from kofn.experiments.sweeps.cells import run_cell
from kofn.experiments.sweeps.warm_up import warm_up
short = AlternatingConfig(n_rollouts=20, max_alternations=1, horizon=10)
aware = ObservationAware(n_rollouts=20, n_particles=20, max_iterations=1)
found = []
for cell in json.loads(sys.argv[1]):
    warm_up(cell["learner"])
    before = len(compiled)
    run_cell(TrainConfig(**cell, max_cycles=5, n_rollouts=20, alternation=short, aware=aware))
    found.append([before, compiled[before:]])
print(json.dumps(found))
"""

PAPER = [{"learner": name, "game": "warehouse_dispatch", "k": 10} for name in ("mean_field", "paper")]
DEFAULT = [{"learner": "observation_aware", "game": "formation", "k": 2, "n_agents": 20}]
"""Large enough for operators by shears: of 10 agents over 5 states, and of 20 over 3."""


@pytest.mark.parametrize("cells", [PAPER, DEFAULT], ids=["paper", "default"])
def test_a_cell_loads_no_loop_that_was_not_warmed_up(cells: list[dict[str, object]]) -> None:
    command = [sys.executable, "-c", COUNT, json.dumps(cells)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for before, later in json.loads(done.stdout):
        assert before > 0
        assert later == [], "loaded while the clock ran"
