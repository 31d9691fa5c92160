"""One step of either simulator under a policy, and populations placed and counted, for the files test_simulator*.py."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs import IndividualSimulator, LumpedSimulator, Streams, TabularGame
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import n_histograms, rank_histograms
from kofn.envs.simulator import LocalTiming

TIMINGS: tuple[LocalTiming, ...] = ("paper", "code")
Simulator = IndividualSimulator | LumpedSimulator
BOTH: list[Any] = [IndividualSimulator, LumpedSimulator]


def random_policy(game: TabularGame, seed: int) -> FloatArray:
    """A stochastic local policy [s_l, s_g, a_l]."""
    shape = game.local_reward.shape
    return np.random.default_rng(seed).dirichlet(np.ones(shape[2]), shape[:2])


def started(make: Callable[..., Simulator], game: TabularGame, n_agents: int, seed: int = 0, **options: Any) -> Any:
    simulator = make(game, n_agents, **options)
    simulator.reset(Streams.from_seed(seed))
    return simulator


def draw_actions(simulator: IndividualSimulator, policy: FloatArray, rng: np.random.Generator) -> IntArray:
    """Actions of all agents by the policy, one at a time from numpy's own sampler."""
    rows = policy[simulator.local_states, simulator.global_states[:, None]]
    return np.asarray((rng.random(rows.shape[:-1])[..., None] >= rows.cumsum(axis=-1)).sum(axis=-1))


def advance(simulator: Any, global_actions: IntArray, policy: FloatArray, rng: np.random.Generator) -> Any:
    """One step of either simulator under one local policy."""
    if isinstance(simulator, LumpedSimulator):
        return simulator.step(global_actions, policy)
    return simulator.step(global_actions, draw_actions(simulator, policy, rng))


def counts_of(simulator: Any) -> IntArray:
    counts = simulator.counts if isinstance(simulator, LumpedSimulator) else simulator.counts()
    return np.asarray(counts)


def place(simulator: Any, global_states: npt.ArrayLike, states: npt.ArrayLike) -> None:
    """Put agents in the given states, the same in every population."""
    n_populations = simulator.n_populations
    simulator.global_states = np.resize(np.asarray(global_states), n_populations)
    tiled = np.resize(np.asarray(states), (n_populations, np.shape(states)[-1]))
    if isinstance(simulator, LumpedSimulator):
        simulator.counts = np.stack([(tiled == x).sum(axis=1) for x in range(simulator.game.n_local_states)], axis=1)
    else:
        simulator.local_states = tiled


def tally(simulator: Any) -> IntArray:
    """How often each (s_g, histogram) occurs among the populations, [s_g, rank]."""
    game, counts = simulator.game, counts_of(simulator)
    size = n_histograms(simulator.n_agents, game.n_local_states)
    cells = simulator.global_states * size + rank_histograms(counts)
    return np.bincount(cells, minlength=game.n_global_states * size).reshape(-1, size)
