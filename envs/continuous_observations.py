"""What agents observe when states are numbers in an interval: raw values and histograms of bins, always in a Box.

| | observation, float32 |
|---|---|
| local agent | [s_l, s_g] |
| global agent, histogram | [s_g, agents per bin / size] |
| global agent, states | [s_g, the state of each] |

The global agent's own state is left out with `with_global_state=False`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.normals import Float32Array
from kofn.envs.observations import SUMMARIES, Observation, ObsMode, Space, Summary

Bounds = tuple[float, float]


def count_bins(states: Float32Array, edges: FloatArray) -> IntArray:
    """Numbers of states per bin, int64 [..., bin].

    Args:
        states: float [..., agent].
        edges: ascending float [bin + 1]; a bin holds its lower edge, the first one also what lies below, the last one
            what lies above.
    """
    shape = states.shape[:-1]
    beyond = [np.count_nonzero(states >= np.float32(edge), axis=-1) for edge in edges[1:-1]]
    at_least = np.stack([np.full(shape, states.shape[-1]), *beyond, np.zeros(shape, dtype=np.int64)], axis=-1)
    return np.asarray(-np.diff(at_least, axis=-1), dtype=np.int64)


@dataclass(frozen=True)
class ContinuousLocalEncoding:
    """Observation of one local agent: its own state and the global state."""

    global_bounds: Bounds
    local_bounds: Bounds

    def space(self) -> Space:
        """A new space object."""
        return box([self.local_bounds, self.global_bounds])

    def encode(self, local_states: Any, global_states: Any) -> Observation:
        """Fresh observations [..., 2] of agents with states [...] under global states that broadcast to [...]."""
        observations = np.empty((*np.shape(local_states), 2), dtype=np.float32)
        observations[..., 0] = local_states
        observations[..., 1] = global_states
        return observations

    def decode(self, observations: Observation) -> tuple[Float32Array, Float32Array]:
        """(local states, global states) of observations [..., 2]; inverse of `encode`."""
        return observations[..., 0], observations[..., 1]


@dataclass(frozen=True)
class ContinuousGlobalEncoding:
    """Observation of the global agent: its state, unless left out, and what it sees of `size` local agents.

    Args:
        global_bounds: least and largest s_g.
        edges: of the bins, ascending; the first and the last bound s_l.
        size: number of agents seen; 0 only with `summary="states"`.
        summary: "histogram" or "states".
        with_global_state: whether s_g is part of the observation.

    Raises:
        ValueError: unknown summary, or a histogram of no agents.
    """

    global_bounds: Bounds
    edges: tuple[float, ...]
    size: int
    summary: Summary = "histogram"
    with_global_state: bool = True

    def __post_init__(self) -> None:
        """Validate."""
        one_of("summary", self.summary, SUMMARIES)
        integer("size", self.size, 1 if self.summary == "histogram" else 0)

    @property
    def obs_mode(self) -> ObsMode:
        """Always "box"."""
        return "box"

    def space(self) -> Space:
        """A new space object."""
        own = [self.global_bounds] if self.with_global_state else []
        if self.summary == "histogram":
            return box(own + [(0.0, 1.0)] * (len(self.edges) - 1))
        return box(own + [(self.edges[0], self.edges[-1])] * self.size)

    def observe(self, global_states: Float32Array, seen: Float32Array) -> Observation:
        """Fresh observations [n_populations, ...] of agents with states `seen` [n_populations, size]."""
        if self.summary == "histogram":
            return self.observe_counts(global_states, count_bins(seen, np.array(self.edges)))
        return self._with_own(global_states, seen)

    def observe_counts(self, global_states: Float32Array, counts: IntArray) -> Observation:
        """The same, of agents given by their counts per bin [n_populations, bin]; for `summary="histogram"`."""
        return self._with_own(global_states, (counts / self.size).astype(np.float32))

    def _with_own(self, global_states: Float32Array, content: Float32Array) -> Observation:
        own = [global_states[:, None]] if self.with_global_state else []
        return np.concatenate([*own, content], axis=1)

    def decode(self, observations: Observation) -> tuple[Float32Array | None, Float32Array]:
        """(global states [n_populations] or None where left out, shares per bin or states [n_populations, ...])."""
        if not self.with_global_state:
            return None, observations
        return observations[:, 0], observations[:, 1:]


def box(bounds: list[Bounds]) -> Space:
    """A flat Box with one pair of bounds per entry."""
    low, high = np.array(bounds, dtype=np.float32).reshape(-1, 2).T
    return Box(low, high, dtype=np.float32)
