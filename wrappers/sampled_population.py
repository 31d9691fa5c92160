r"""Populations that share a policy and of which the global agent sees k agents, drawn by any sampler.

    seen_t ~ sampler(s_1..s_n, s_g, k)        one step of all agents by a table pi_l(a | s_l, s_g)

A sampler that draws from counts needs no more than counts, and a step then costs nothing in n. Any other one may ask
who an agent is (its place among the n), so that the agents are kept one by one.
"""

from typing import cast

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy
from kofn.envs.population import count_states
from kofn.envs.simulator import IndividualSimulator, LocalTiming, LumpedSimulator, Payment
from kofn.envs.streams import Streams
from kofn.wrappers.samplers import (
    CountSampler,
    DistanceWeighted,
    Sampler,
    Stratified,
    draw_agents,
    draws_from_counts,
)


class SampledPopulation:
    """B populations of n agents each, as counts or one by one as the sampler needs.

    Args:
        game: the game.
        n_agents: n.
        sampler: draws the agents seen.
        n_populations: B.
        local_timing: as in the simulators.
    """

    def __init__(
        self,
        game: Game,
        n_agents: int,
        sampler: Sampler,
        *,
        n_populations: int = 1,
        local_timing: LocalTiming = "paper",
    ) -> None:
        kind = LumpedSimulator if draws_from_counts(sampler) else IndividualSimulator
        self.simulator: LumpedSimulator | IndividualSimulator = kind(
            game, n_agents, n_populations=n_populations, local_timing=local_timing
        )

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        self._policy_draws = streams.policy
        self.simulator.reset(streams)

    @property
    def global_states(self) -> IntArray:
        """s_g, int64 [B]."""
        return self.simulator.global_states

    def counts(self) -> IntArray:
        """Agents by local state, int64 [B, s_l]."""
        simulator = self.simulator
        return simulator.counts if isinstance(simulator, LumpedSimulator) else simulator.counts()

    def individuals(self) -> IntArray | None:
        """Local states, int64 [B, n]; None where only counts are kept."""
        return None if isinstance(self.simulator, LumpedSimulator) else self.simulator.local_states

    def step(self, global_actions: IntArray, local_policy: FloatArray) -> Payment:
        """Pay and move once, every local agent acting by one table, float [s_l, s_g, a_l]."""
        simulator = self.simulator
        if isinstance(simulator, LumpedSimulator):
            return simulator.step(global_actions, local_policy)
        states, of_all = simulator.local_states, simulator.global_states[:, None]
        return simulator.step(global_actions, LocalPolicy(local_policy).act(states, of_all, self._policy_draws))


def draw_histograms(
    sampler: Sampler,
    rng: np.random.Generator,
    k: int,
    counts: IntArray,
    individuals: IntArray | None,
    global_states: IntArray,
) -> IntArray:
    """Histograms of the k agents that a sampler draws, int64 [B, s_l].

    Args:
        sampler: draws them.
        rng: source of randomness.
        k: agents drawn from each population.
        counts: agents by local state, int64 [B, s_l].
        individuals: local states, int64 [B, n]; None for a sampler that draws from counts.
        global_states: s_g, int64 [B].

    Raises:
        TypeError, ValueError: the sampler returned anything but k different agents.
    """
    if individuals is None:
        # Or individuals would be kept; asking whether it is one takes longer than the draw.
        return cast(CountSampler, sampler).from_counts(rng, counts, global_states, k)
    populations = zip(individuals, global_states, strict=True)
    seen = [states[draw_agents(sampler, rng, states, s_g, k)] for states, s_g in populations]
    return count_states(np.stack(seen), counts.shape[1])


def check_sampler(sampler: Sampler, game: object) -> None:
    """Check that a sampler's tables are for the states of a game.

    Raises:
        TypeError: a table, and the game's states are no numbers 0, 1, 2, ..
        ValueError: a table for another number of states.
    """
    n_local, n_global = getattr(game, "n_local_states", None), getattr(game, "n_global_states", None)
    name: str
    table: IntArray | FloatArray
    shape: tuple[int | None, ...]
    if isinstance(sampler, Stratified) and not callable(sampler.groups):
        name, table, shape = "groups", sampler.groups, (n_local,)
    elif isinstance(sampler, DistanceWeighted) and not callable(sampler.distances):
        name, table, shape = "distances", sampler.distances, (n_local, n_global)
    else:
        return
    if n_local is None:
        raise TypeError(f"{name} must be a function of states: the game's are no numbers 0, 1, 2, ..; got an array")
    if table.shape != shape:
        raise ValueError(f"{name} must be for the game's states, shape {list(shape)}; got {list(table.shape)}")
