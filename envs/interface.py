"""What `PopulationEnv` asks of a game whose states may be of any kind: an interface of three parts.

* A `Simulator` keeps populations agent by agent, pays and moves them.
* A `LocalObserver` and a `GlobalObserver` say what an agent sees, and in which space.
* A `Population` joins them for one game and n agents; a game that has a method `population` is an `OpenGame`.

Games with finitely many states have theirs in `kofn.envs.finite`, games on an interval in `kofn.envs.continuous`, games
paid by an aggregate in `kofn.envs.aggregate`. A game is structured if its reward is r_g(s_g, a_g) + (1/n) sum_i
r_l(s_i, s_g, a_i); the learners of the papers assume it.
"""

from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.observations import Observation, ObsMode, Space, Summary
from kofn.envs.render import Renderer
from kofn.envs.simulator import Payment
from kofn.envs.streams import Streams

States = npt.NDArray[Any]
"""States of one kind or the other: integers, or numbers."""


class Simulator(Protocol):
    """B populations of n agents, stepped at once."""

    @property
    def n_agents(self) -> int:
        """N."""

    @property
    def local_timing(self) -> str:
        """Which global state local agents move with: the old one is "paper"."""

    @property
    def global_states(self) -> States:
        """[n_populations, ...]."""

    @property
    def local_states(self) -> States:
        """[n_populations, n_agents, ...]."""

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move once; int64 [n_populations] and [n_populations, n_agents]."""

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """r_D of the last step, float [n_populations]: its reward, were the agents `sampled` [k] all there are."""

    def info(self) -> dict[str, Any]:
        """What `infos["global_0"]` tells besides rewards, at reset and after every step, of the first population."""


class LocalObserver(Protocol):
    """What a local agent sees: its own state and the global state."""

    def space(self) -> Space:
        """A new space object."""

    def encode(self, local_states: Any, global_states: Any) -> Observation:
        """Fresh observations of agents with states [...] under global states that broadcast to [...]."""


class GlobalObserver(Protocol):
    """What the global agent sees: its state and some local agents, in number `size`."""

    @property
    def size(self) -> int:
        """Number of agents seen."""

    @property
    def summary(self) -> Summary:
        """How they are seen."""

    @property
    def obs_mode(self) -> ObsMode:
        """Format of the observations."""

    def space(self) -> Space:
        """A new space object."""

    def observe(self, global_states: Any, seen: Any) -> Observation:
        """Fresh observations of agents with states `seen` [n_populations, size], one per population."""


class Population(Protocol):
    """One population of a game, as an environment plays and shows it."""

    @property
    def structured(self) -> bool:
        """Whether the reward is r_g + the mean of r_l."""

    @property
    def title(self) -> str:
        """Name of the game."""

    @property
    def simulator(self) -> Simulator:
        """The array core, of one population."""

    @property
    def local_observer(self) -> LocalObserver:
        """How a local agent observes."""

    def global_observer(self, size: int, summary: Summary) -> GlobalObserver:
        """How the global agent observes `size` agents."""

    def state_space(self) -> Space:
        """Space of `state`."""

    def state(self) -> Observation:
        """The global state and every individual's state, as a fresh array."""

    def scene(self, sampled: IntArray | None, timestep: int) -> Any:
        """What is to be drawn; `sampled` [k] are the agents that the global agent sees, None: all."""

    def renderer(self, fps: int) -> Renderer:
        """What draws scenes."""


@runtime_checkable
class OpenGame(Protocol):
    """A game that brings its own populations."""

    @property
    def discount(self) -> float:
        """Gamma in (0, 1)."""

    @property
    def n_global_actions(self) -> int:
        """|A_g|."""

    @property
    def n_local_actions(self) -> int:
        """|A_l|."""

    @property
    def obs_modes(self) -> tuple[ObsMode, ...]:
        """Observation modes that the game has."""

    def population(self, n_agents: int, obs_mode: ObsMode) -> Population:
        """One population of n agents, observed in one of `obs_modes`."""
