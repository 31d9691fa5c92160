"""Populations for the linear learner: simulators of any game, what the global agent sees of them, and rollouts.

A dispatcher is anything with `k` and `act(global_states, seen, rng)`, as `GlobalPolicy` and `LinearGlobalPolicy`; a
crew anything with `act(local_states, global_states, rng)`, as `LocalPolicy`, for states [population, agent] and
[population, 1]. Agents are kept one by one.
"""

from typing import Any, Protocol

import numpy as np

from kofn.agents.evaluation import Evaluation
from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.observations import Summary
from kofn.envs.population import MAX_AGENTS, sample_without_replacement
from kofn.envs.simulator import IndividualSimulator
from kofn.envs.streams import Seed, Streams

LinearGame = TabularGame | GenerativeGame | ContinuousGame
AnySimulator = IndividualSimulator | ContinuousSimulator

MAX_INDIVIDUALS = 1 << 20
"""Agents simulated at once, bounding memory."""


class Dispatcher(Protocol):
    """The global agent's side."""

    @property
    def k(self) -> int:
        """Agents seen."""

    def act(self, global_states: Any, seen: Any, rng: np.random.Generator | None = None) -> IntArray:
        """Actions, int64 [population]."""


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


def evaluate_dispatcher(
    game: LinearGame,
    dispatcher: Dispatcher,
    crew: Crew,
    n_agents: int,
    *,
    horizon: int = 100,
    n_rollouts: int = 1000,
    summary: Summary | None = None,
    seed: Seed = None,
) -> Evaluation:
    """Discounted returns of a dispatcher that sees k of n agents, agent by agent, in any game.

    Args:
        game: finite or continuous.
        dispatcher: the global agent's side.
        crew: the local agents' side.
        n_agents: n >= k.
        horizon: H.
        n_rollouts: rollouts.
        summary: how the dispatcher sees agents; None: as its features do, otherwise by histogram.
        seed: source of all randomness; equal seeds give common random numbers.

    Raises:
        TypeError, ValueError: an argument out of range, or another kind of game.
    """
    n_agents = integer("n_agents", n_agents, dispatcher.k, MAX_AGENTS)
    horizon, left = integer("horizon", horizon, 1), integer("n_rollouts", n_rollouts, 1)
    by: Summary = summary if summary is not None else _summary_of(dispatcher)
    streams, returns = Streams.from_seed(seed), []
    while left > 0:
        simulator = simulator_of(game, n_agents, min(left, max(1, MAX_INDIVIDUALS // n_agents)))
        simulator.reset(streams)
        total = np.zeros(simulator.n_populations)
        for t in range(horizon):
            seen = look(simulator, dispatcher.k, by, streams.sampling)
            actions = dispatcher.act(simulator.global_states, seen, streams.policy)
            total += game.discount**t * play(simulator, actions, crew, streams.policy)
        returns.append(total)
        left -= simulator.n_populations
    return Evaluation(returns=np.concatenate(returns), n_agents=n_agents, k=dispatcher.k, horizon=horizon, seed=seed)


def _summary_of(dispatcher: Dispatcher) -> Summary:
    """How a dispatcher sees agents: as its features do, if it has any."""
    features = getattr(dispatcher, "features", None)
    return "states" if features is not None and features.summary == "states" else "histogram"
