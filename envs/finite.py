"""Populations of games with finitely many states: individuals and one-hot or integer observations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box, MultiDiscrete

from kofn.envs.arrays import IntArray, one_of
from kofn.envs.interface import OpenGame, Population, Simulator
from kofn.envs.model import Game, Labels, Sizes
from kofn.envs.observations import GlobalEncoding, LocalEncoding, Observation, ObsMode, Space, Summary, one_hot
from kofn.envs.population import count_states
from kofn.envs.render import Renderer, Scene
from kofn.envs.simulator import IndividualSimulator, LocalTiming


@dataclass(frozen=True, eq=False, kw_only=True)
class FinitePopulation:
    """One population whose states are integers.

    Args:
        sizes: numbers of states.
        labels: names for rendering.
        simulator: keeps, pays and moves the agents; `global_states` int64 [1], `local_states` int64 [1, n].
        obs_mode: "box", "discrete" or "multidiscrete".
        structured: whether the reward is r_g + the mean of r_l.
    """

    sizes: Sizes
    labels: Labels
    simulator: Simulator
    obs_mode: ObsMode
    structured: bool = True

    @property
    def title(self) -> str:
        """Name of the game."""
        return self.labels.title

    @property
    def local_observer(self) -> LocalEncoding:
        """How a local agent observes."""
        return LocalEncoding(self.sizes.n_global_states, self.sizes.n_local_states, self.obs_mode)

    def global_observer(self, size: int, summary: Summary) -> GlobalEncoding:
        """How the global agent observes `size` agents."""
        return GlobalEncoding(self.sizes.n_global_states, self.sizes.n_local_states, size, summary, self.obs_mode)

    def state_space(self) -> Space:
        """The global state and every individual's state."""
        sizes = np.full(1 + self.simulator.n_agents, self.sizes.n_local_states)
        sizes[0] = self.sizes.n_global_states
        if self.obs_mode == "box":
            return Box(0.0, 1.0, (int(sizes.sum()),), np.float32)
        return MultiDiscrete(sizes)

    def state(self) -> Observation:
        """[s_g, s_1 .. s_n], one-hot float32 when `obs_mode="box"`, int64 otherwise."""
        global_states, local_states = self.simulator.global_states, self.simulator.local_states[0]
        if self.obs_mode != "box":
            return np.concatenate([global_states, local_states])
        individuals = one_hot(local_states, self.sizes.n_local_states).ravel()
        return np.concatenate([one_hot(global_states, self.sizes.n_global_states).ravel(), individuals])

    def scene(self, sampled: IntArray | None, timestep: int) -> Scene:
        """Agents, and sampled agents, per local state."""
        return Scene(
            labels=self.labels,
            global_state=int(self.simulator.global_states[0]),
            counts=self._counts(self.simulator.local_states),
            sampled=None if sampled is None else self._counts(self.simulator.local_states[:, sampled]),
            timestep=timestep,
        )

    def _counts(self, states: IntArray) -> IntArray:
        return np.asarray(count_states(states, self.sizes.n_local_states)[0])

    def renderer(self, fps: int) -> Renderer:
        """Draws a ring of local states."""
        return Renderer(fps)


def make_population(game: Any, n_agents: int, obs_mode: ObsMode, local_timing: LocalTiming) -> Population:
    """A population of any game.

    Raises:
        TypeError: no game.
        ValueError: a size or option out of range, or `local_timing="code"` for a game without tables.
    """
    if isinstance(game, Game):
        simulator = IndividualSimulator(game, n_agents, local_timing=local_timing)
        return FinitePopulation(sizes=game, labels=game.labels, simulator=simulator, obs_mode=obs_mode)
    if not isinstance(game, OpenGame):
        raise TypeError(
            "game must be a TabularGame, a GenerativeGame, a ContinuousGame or an AggregateGame; "
            f"got {type(game).__name__}"
        )
    if local_timing != "paper":
        raise ValueError(f"local_timing must be 'paper' in a game of type {type(game).__name__}; got {local_timing!r}")
    one_of("obs_mode", obs_mode, game.obs_modes)
    return game.population(n_agents, obs_mode)
