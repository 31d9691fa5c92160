"""Tables are shared by the simulators of one game and not copied; compiled code is shared by processes."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from kofn.envs import LumpedSimulator, Streams, TabularGame


def test_simulators_of_one_game_share_its_tables_and_copies_do_not_carry_them(warehouse3: TabularGame) -> None:
    size = len(pickle.dumps(warehouse3))
    first, second = LumpedSimulator(warehouse3, 9), LumpedSimulator(warehouse3, 10**6)
    assert first.dynamics is second.dynamics is copy.deepcopy(first).dynamics
    for n_agents in (9, 10**6):  # one policy after another, by the same tables
        for seed in range(6):
            policy = np.random.default_rng(seed).dirichlet(np.ones(3), size=(3, 3))
            simulator, alone = (LumpedSimulator(game, n_agents) for game in (warehouse3, replace(warehouse3)))
            for each in (simulator, alone):
                each.reset(Streams.from_seed(seed))
                each.step(np.zeros(1, dtype=np.int64), policy)
            np.testing.assert_array_equal(simulator.counts, alone.counts)
    assert len(pickle.dumps(warehouse3)) < size + 1000
    again = LumpedSimulator(pickle.loads(pickle.dumps(warehouse3)), n_agents)
    again.reset(Streams.from_seed(seed))
    again.step(np.zeros(1, dtype=np.int64), policy)
    np.testing.assert_array_equal(again.counts, simulator.counts)


def test_a_second_process_compiles_nothing(tmp_path: Path, warehouse3: TabularGame) -> None:
    """This process has compiled, or loaded, everything that the steps below need."""
    code = (
        "import sys, numpy as np\n"
        "import kofn.envs\n"
        "assert not {'numba', 'scipy.special'} & set(sys.modules), 'importing kofn.envs is to stay quick'\n"
        "from kofn.envs import IndividualSimulator, LumpedSimulator, Streams\n"
        "from kofn.envs.population import sample_without_replacement\n"
        "from kofn.envs.warehouse_dispatch import game\n"
        "streams, zero = Streams.from_seed(0), np.zeros(1, dtype=np.int64)\n"
        "lumped, agents = LumpedSimulator(game(), 1000), IndividualSimulator(game(), 9)\n"
        "lumped.reset(streams), agents.reset(streams)\n"
        "lumped.step(zero, np.full((5, 5, 3), 1 / 3)), agents.step(zero, np.zeros((1, 9), dtype=np.int64))\n"
        "sample_without_replacement(streams.sampling, lumped.counts, 3)\n"
        "from kofn.envs import loops\n"
        "used = [loops.step_global, loops.step_agents, loops.step_crowds, loops.spread_cells, loops.sample_crowds]\n"
        "print([sum(loop.stats.cache_hits.values()) for loop in used], [loop.stats.cache_misses for loop in used])\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{[1] * 5} {[{}] * 5}".replace("{}", "Counter()")
