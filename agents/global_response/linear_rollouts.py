"""Populations whose agents are kept one by one: simulators of any game, what the global agent sees of them, one step.

A dispatcher is anything with `k` and `act(global_states, seen, rng)`, as `GlobalPolicy` and `LinearGlobalPolicy`; a
crew anything with `act(local_states, global_states, rng)`, as `LocalPolicy`, for states [population, agent] and
[population, 1].
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.observations import Summary
from kofn.envs.population import sample_without_replacement
from kofn.envs.simulator import IndividualSimulator

LinearGame = TabularGame | GenerativeGame | ContinuousGame
AnySimulator = IndividualSimulator | ContinuousSimulator


MAX_INDIVIDUALS = 1 << 20
"""Agents simulated at once, bounding memory."""


@runtime_checkable
class Dispatcher(Protocol):
    """The global agent's side."""

    @property
    def k(self) -> int:
        """Agents seen."""

    def act(self, global_states: Any, seen: Any, rng: np.random.Generator | None = None) -> IntArray:
        """Actions, int64 [population]."""


@runtime_checkable
class Crew(Protocol):
    """The local agents' side."""

    def act(self, local_states: Any, global_states: Any, rng: np.random.Generator | None = None) -> IntArray:
        """Actions, int64 [population, agent]."""


def simulator_of(game: LinearGame, n_agents: int, n_populations: int) -> AnySimulator:
    """Populations of n agents, kept one by one.

    Raises:
        TypeError: another kind of game.
    """
    if isinstance(game, ContinuousGame):
        return ContinuousSimulator(game, n_agents, n_populations=n_populations)
    if not isinstance(game, TabularGame | GenerativeGame):
        raise TypeError(f"game must be a TabularGame, a GenerativeGame or a ContinuousGame; got {type(game).__name__}")
    return IndividualSimulator(game, n_agents, n_populations=n_populations)


def look(simulator: AnySimulator, k: int, summary: Summary, rng: np.random.Generator) -> Any:
    """What is seen of k agents drawn afresh: counts [population, s_l or bin], or states [population, k]."""
    if k == simulator.n_agents:
        return simulator.counts() if summary == "histogram" else simulator.local_states
    if summary == "histogram":
        return sample_without_replacement(rng, simulator.counts(), k)
    chosen = np.argpartition(rng.random(simulator.local_states.shape), k, axis=1)[:, :k]
    return np.take_along_axis(simulator.local_states, chosen, axis=1)


def play(simulator: AnySimulator, actions: IntArray, crew: Crew, rng: np.random.Generator) -> FloatArray:
    """One step, every local agent acting by `crew`; returns the team rewards [population]."""
    chosen = crew.act(simulator.local_states, simulator.global_states[:, None], rng)
    return np.asarray(simulator.step(actions, chosen).team_reward)
