"""What agents observe, as Gymnasium spaces: encoders and decoders for every observation mode.

| obs_mode | local agent | global agent, histogram | global agent, states |
|---|---|---|---|
| "box", float32 | [one-hot s_l, one-hot s_g] | [one-hot s_g, counts / size] | [one-hot s_g, one-hot of each] |
| "multidiscrete" | [s_l, s_g] | [s_g, counts] | [s_g, states] |
| "discrete" | s_l |S_g| + s_g | s_g |histograms| + rank | mixed radix, s_g first |

`size` is the number of agents the global agent sees: n without a limit, k with one.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from kofn.envs.arrays import IntArray, integer, one_of
from kofn.envs.histograms import n_histograms, rank_histograms, unrank_histograms
from kofn.envs.population import count_states

ObsMode = Literal["box", "discrete", "multidiscrete"]
Summary = Literal["histogram", "states"]
OBS_MODES: tuple[ObsMode, ...] = ("box", "discrete", "multidiscrete")
SUMMARIES = ("histogram", "states")
LARGEST_TABLE = 1 << 20
"""Most numbers in a table of all observations of a local agent."""

Space = gymnasium.Space[Any]
Observation = npt.NDArray[Any]


def one_hot(indices: IntArray, size: int) -> npt.NDArray[np.float32]:
    """float32 [..., size] with a single 1 per row."""
    encoded = np.zeros((indices.size, size), dtype=np.float32)
    encoded[np.arange(indices.size), indices.ravel()] = 1.0
    return encoded.reshape(*indices.shape, size)


@dataclass(frozen=True)
class LocalEncoding:
    """Observation of one local agent: its own state and the global state."""

    n_global_states: int
    n_local_states: int
    obs_mode: ObsMode = "box"

    def __post_init__(self) -> None:
        """Validate."""
        one_of("obs_mode", self.obs_mode, OBS_MODES)

    def space(self) -> Space:
        """A new space object."""
        if self.obs_mode == "box":
            return Box(0.0, 1.0, (self.n_local_states + self.n_global_states,), np.float32)
        if self.obs_mode == "multidiscrete":
            return MultiDiscrete(np.array([self.n_local_states, self.n_global_states]))
        return Discrete(self.n_local_states * self.n_global_states)

    def encode(self, local_states: IntArray, global_states: IntArray) -> Observation:
        """Fresh observations of agents with states [...] under global states that broadcast to [...]."""
        if self.obs_mode == "box" and self._table is not None:
            # A row per pair of states, copied: faster than writing ones into zeros.
            return self._table.take(local_states * self.n_global_states + global_states, axis=0)
        global_states = np.broadcast_to(global_states, local_states.shape)
        if self.obs_mode == "box":
            return self._box(local_states, global_states)
        if self.obs_mode == "multidiscrete":
            return np.stack([local_states, global_states], axis=-1)
        return local_states * self.n_global_states + global_states

    def _box(self, local_states: IntArray, global_states: IntArray) -> Observation:
        parts = [one_hot(local_states, self.n_local_states), one_hot(global_states, self.n_global_states)]
        return np.concatenate(parts, axis=-1)

    @cached_property
    def _table(self) -> Observation | None:
        """The box of every pair of states, [s_l * n_global_states + s_g, ..], unless there are too many."""
        n_pairs = self.n_local_states * self.n_global_states
        if n_pairs * (self.n_local_states + self.n_global_states) > LARGEST_TABLE:
            return None
        return self._box(*np.divmod(np.arange(n_pairs), self.n_global_states))

    def decode(self, observations: Observation) -> tuple[IntArray, IntArray]:
        """(local states, global states) of observations [..., ]; inverse of `encode`."""
        if self.obs_mode == "box":
            own, shared = np.split(np.asarray(observations), [self.n_local_states], axis=-1)
            return own.argmax(axis=-1), shared.argmax(axis=-1)
        if self.obs_mode == "multidiscrete":
            pairs = np.asarray(observations, dtype=np.int64)
            return pairs[..., 0], pairs[..., 1]
        own, shared = np.divmod(np.asarray(observations, dtype=np.int64), self.n_global_states)
        return own, shared


@dataclass(frozen=True)
class GlobalEncoding:
    """Observation of the global agent: its state and what it sees of `size` local agents.

    Box observations of histograms are float32; `decode` recovers the counts exactly up to 2^23 agents. Size 0 with
    `summary="states"` is the blind global agent, which sees its own state only.

    Raises:
        ValueError: unknown mode or summary, a histogram of no agents, or too many observations for
            `obs_mode="discrete"`.
    """

    n_global_states: int
    n_local_states: int
    size: int
    summary: Summary = "histogram"
    obs_mode: ObsMode = "box"

    def __post_init__(self) -> None:
        """Validate."""
        one_of("obs_mode", self.obs_mode, OBS_MODES)
        one_of("summary", self.summary, SUMMARIES)
        integer("size", self.size, 1 if self.summary == "histogram" else 0)
        # The space needs |S_g| times the contents; ranks, |S_l| times (see `population`).
        if self.obs_mode == "discrete" and max(self.n_global_states, self.n_local_states) * self._n_contents > 2**62:
            raise ValueError(
                f"obs_mode='discrete' must number its observations with 64-bit integers; {self.size} agents "
                f"(summary={self.summary!r}) give too many; use 'box' or 'multidiscrete', or let the global agent see "
                "fewer agents (SubsampleObservation over an environment with global_view='none')"
            )

    @property
    def _n_contents(self) -> int:
        """Number of different histograms or state tuples."""
        if self.summary == "histogram":
            return n_histograms(self.size, self.n_local_states)
        return int(self.n_local_states**self.size)

    def space(self) -> Space:
        """A new space object."""
        histogram = self.summary == "histogram"
        if self.obs_mode == "box":
            width = self.n_local_states if histogram else self.size * self.n_local_states
            return Box(0.0, 1.0, (self.n_global_states + width,), np.float32)
        if self.obs_mode == "multidiscrete":
            content = [self.size + 1] * self.n_local_states if histogram else [self.n_local_states] * self.size
            return MultiDiscrete(np.array([self.n_global_states, *content]))
        return Discrete(self.n_global_states * self._n_contents)

    def encode(self, global_states: IntArray, content: IntArray) -> Observation:
        """Fresh observations [n_populations, ...].

        Args:
            global_states: int64 [n_populations].
            content: counts [n_populations, s_l] (histogram) or states [n_populations, size] (states).
        """
        if self.obs_mode == "multidiscrete":
            return np.concatenate([global_states[:, None], content], axis=1)
        if self.obs_mode == "discrete":
            return global_states * self._n_contents + self._rank(content)
        if self.summary == "states":
            seen = one_hot(content, self.n_local_states).reshape(len(content), -1)
            return np.concatenate([one_hot(global_states, self.n_global_states), seen], axis=1)
        encoded = np.zeros((len(content), self.n_global_states + self.n_local_states), dtype=np.float32)
        encoded[np.arange(len(content)), global_states] = 1.0
        np.divide(content, self.size, out=encoded[:, self.n_global_states :], casting="same_kind")
        return encoded

    def observe(self, global_states: IntArray, seen: IntArray) -> Observation:
        """Fresh observations of agents with states `seen` [n_populations, size], one per population."""
        return self.encode(
            global_states, count_states(seen, self.n_local_states) if self.summary == "histogram" else seen
        )

    def decode(self, observations: Observation) -> tuple[IntArray, IntArray]:
        """(global states [n_populations], histograms [n_populations, s_l]) of observations [n_populations, ...]."""
        if self.obs_mode == "discrete":
            global_states, index = np.divmod(np.asarray(observations, dtype=np.int64), self._n_contents)
            return global_states, self._histogram(self._unrank(index))
        rows = np.asarray(observations)
        if self.obs_mode == "multidiscrete":
            return rows[:, 0].astype(np.int64), self._histogram(rows[:, 1:].astype(np.int64))
        global_part, seen = np.split(rows, [self.n_global_states], axis=1)
        if self.summary == "histogram":
            content = np.rint(seen.astype(np.float64) * self.size).astype(np.int64)
        else:
            content = seen.reshape(len(rows), self.size, self.n_local_states).argmax(axis=-1)
        return global_part.argmax(axis=1), self._histogram(content)

    def _histogram(self, content: IntArray) -> IntArray:
        return content if self.summary == "histogram" else count_states(content, self.n_local_states)

    def _rank(self, content: IntArray) -> IntArray:
        if self.summary == "histogram":
            return rank_histograms(content)
        return content @ self._radix()

    def _unrank(self, index: IntArray) -> IntArray:
        if self.summary == "histogram":
            return unrank_histograms(index, self.size, self.n_local_states)
        return index[:, None] // self._radix() % self.n_local_states

    def _radix(self) -> IntArray:
        """Place values of a tuple of local states, first agent most significant."""
        return self.n_local_states ** np.arange(self.size - 1, -1, -1, dtype=np.int64)
