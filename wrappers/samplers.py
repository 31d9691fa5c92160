r"""Which k of the n local agents the global agent sees, when not all are equally likely (paper, Appendix H).

A sampler is a function (rng, local_states [n, ...], global_state, k) -> k different agents, int64 [k]; any such
function of the user's own will do. The three here also draw the histogram of the agents' states from counts alone, by
the same law (`from_counts`), so that large populations can be evaluated:

* `Uniform`: all sets of k agents are equally likely.
* `Stratified(groups)`: agents fall into strata (clusters, types) by their state. With n_j of the n agents in stratum j
  and U uniform on [0, 1), stratum j is given

      a_j = floor(C_j + U) - floor(C_{j-1} + U) seats,    C_j = (k/n) (n_1 + .. + n_j),

  that is k n_j / n of them rounded up or down, and exactly so on average; within a stratum all sets are equally likely.
  So every agent is seen with probability k/n.
* `DistanceWeighted(distances, scale)`: agents are drawn one after another, each from those left with probability
  proportional to exp(-distance / scale), so that near ones are seen more often (Plackett-Luce; drawn as the k largest
  of log-weight + Gumbel noise).

>>> import numpy as np
>>> near = DistanceWeighted(ring_distances(4), scale=0.1)
>>> near(np.random.default_rng(0), np.array([2, 0, 1, 2, 3]), 2, 2).tolist()  # the agents in zone 2
[3, 0]
>>> Stratified(np.array([0, 0, 1, 1])).from_counts(np.random.default_rng(0), np.array([[4, 0, 0, 2]]), np.array([0]), 3)
array([[2, 0, 0, 1]])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import (
    FloatArray,
    IntArray,
    as_array,
    first_index,
    float_array,
    freeze,
    integer,
    positive,
    restore_frozen,
)
from kofn.envs.population import sample_without_replacement

States = npt.NDArray[Any]
Distances = Callable[[States, Any], npt.ArrayLike]
Groups = Callable[[States], npt.ArrayLike]


class Sampler(Protocol):
    """Draws k of n agents."""

    def __call__(self, rng: np.random.Generator, local_states: States, global_state: Any, k: int) -> IntArray:
        """Indices of k different agents, int64 [k], for local states [n, ...]."""


@runtime_checkable
class CountSampler(Sampler, Protocol):
    """A sampler whose law depends on states only, so that it can be drawn from counts."""

    def from_counts(self, rng: np.random.Generator, counts: IntArray, global_states: IntArray, k: int) -> IntArray:
        """Histograms of k agents of populations with counts [population, s_l], int64 [population, s_l]."""


@dataclass(frozen=True)
class Uniform:
    """All sets of k agents are equally likely."""

    def __call__(self, rng: np.random.Generator, local_states: States, global_state: Any, k: int) -> IntArray:  # noqa: ARG002  # a sampler's signature
        """K different agents, int64 [k]."""
        return rng.choice(len(local_states), size=k, replace=False)

    def from_counts(self, rng: np.random.Generator, counts: IntArray, global_states: IntArray, k: int) -> IntArray:  # noqa: ARG002  # a sampler's signature
        """Histograms of k agents, int64 [population, s_l]."""
        return sample_without_replacement(rng, counts, k)


@dataclass(frozen=True, eq=False)
class Stratified:
    """Every stratum gets its share of the k seats.

    Args:
        groups: stratum of every state, int64 [s_l], or a function from states [n, ...] to strata [n], 0, 1, 2, ..

    Raises:
        TypeError, ValueError: strata that are no nonnegative integers.
    """

    groups: IntArray | Groups

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        if not callable(self.groups):
            object.__setattr__(self, "groups", _strata("groups", self.groups))

    def __call__(self, rng: np.random.Generator, local_states: States, global_state: Any, k: int) -> IntArray:  # noqa: ARG002  # a sampler's signature
        """K different agents, int64 [k], in random order."""
        groups = self.groups
        given = groups(local_states) if callable(groups) else groups[local_states]
        # Ranked, so that nothing is allocated on a number's word.
        strata = np.unique(_strata("groups(local_states)", given, len(local_states)), return_inverse=True)[1]
        sizes = np.bincount(strata)
        seats = _seats(rng, sizes[None], k)[0]
        order = np.argsort(strata + rng.random(len(strata)))
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return rng.permutation(order[place < np.repeat(seats, sizes)])

    def from_counts(self, rng: np.random.Generator, counts: IntArray, global_states: IntArray, k: int) -> IntArray:  # noqa: ARG002  # a sampler's signature
        """Histograms of k agents, int64 [population, s_l].

        Raises:
            TypeError: the strata are given as a function.
        """
        if callable(self.groups):
            raise TypeError("groups must be an array [s_l] to sample from counts; got a function")
        groups = np.unique(self.groups, return_inverse=True)[1]
        of_state = np.eye(int(groups.max()) + 1, dtype=np.int64)[groups]  # [s_l, stratum]
        filled = np.cumsum(_seats(rng, counts @ of_state, k), axis=1)

        def weights(drawn: int, left: IntArray) -> FloatArray:  # noqa: ARG001  # as `_draw_in_turn` calls it
            stratum = (filled <= drawn).sum(axis=1)
            return np.asarray(groups == stratum[:, None], dtype=np.float64)

        return _draw_in_turn(rng, counts, k, weights)


@dataclass(frozen=True, eq=False)
class DistanceWeighted:
    """Agents near the global agent are more likely to be seen.

    Args:
        distances: float [s_l, s_g], or a function (local states [n, ...], global state) -> distances [n].
        scale: distance over which an agent's weight falls by a factor e.

    Raises:
        TypeError, ValueError: distances that are not finite and nonnegative, or a scale that is not positive.
    """

    distances: FloatArray | Distances
    scale: float = 1.0

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        object.__setattr__(self, "scale", positive("scale", self.scale))
        if not callable(self.distances):
            object.__setattr__(self, "distances", _nonnegative("distances", self.distances, (None, None)))

    def __call__(self, rng: np.random.Generator, local_states: States, global_state: Any, k: int) -> IntArray:
        """K different agents, int64 [k], in the order drawn."""
        distances = self.distances
        if callable(distances):
            given = distances(local_states, global_state)
            apart = _nonnegative("distances(local_states, global_state)", given, (len(local_states),))
        else:
            apart = distances[local_states, int(global_state)]
        keys = rng.gumbel(size=len(apart)) - apart / self.scale
        nearest = np.argpartition(-keys, k - 1)[:k]
        return nearest[np.argsort(-keys[nearest])]

    def from_counts(self, rng: np.random.Generator, counts: IntArray, global_states: IntArray, k: int) -> IntArray:
        """Histograms of k agents, int64 [population, s_l].

        Raises:
            TypeError: the distances are given as a function.
        """
        if callable(self.distances):
            raise TypeError("distances must be an array [s_l, s_g] to sample from counts; got a function")
        apart = self.distances.T[global_states] / self.scale

        def weights(drawn: int, left: IntArray) -> FloatArray:  # noqa: ARG001  # as `_draw_in_turn` calls it
            # Relative to the nearest agents left, so that they do not all vanish however small the scale.
            nearest = np.where(left > 0, apart, np.inf).min(axis=1, keepdims=True)
            return np.asarray(np.exp(-np.maximum(apart - nearest, 0.0)))

        return _draw_in_turn(rng, counts, k, weights)


def draws_from_counts(sampler: Sampler) -> bool:
    """Whether counts of agents by state are all that a sampler needs."""
    if isinstance(sampler, Stratified):
        return not callable(sampler.groups)
    if isinstance(sampler, DistanceWeighted):
        return not callable(sampler.distances)
    return isinstance(sampler, CountSampler)


UNIFORM = Uniform()
SAMPLERS: dict[str, Sampler] = {"uniform": UNIFORM}
"""Samplers by name; the others need to be told what is near, or of one kind."""


def as_sampler(sampler: Sampler | str) -> Sampler:
    """A sampler given as object or name.

    Raises:
        TypeError: neither.
        ValueError: an unknown name.
    """
    if isinstance(sampler, str):
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler must be a function or one of {', '.join(map(repr, SAMPLERS))}; got {sampler!r}")
        return SAMPLERS[sampler]
    if not callable(sampler):
        raise TypeError(f"sampler must be a function (rng, local_states, global_state, k) -> agents; got {sampler!r}")
    return sampler


def draw_agents(
    sampler: Sampler, rng: np.random.Generator, local_states: States, global_state: Any, k: int
) -> IntArray:
    """What a sampler draws, int64 [k], after checking that it is k different agents.

    Raises:
        TypeError: no integers.
        ValueError: another number of agents than k, an agent out of range, or one drawn twice.
    """
    drawn = np.asarray(sampler(rng, local_states, global_state, k))
    n_agents = len(local_states)
    if drawn.dtype.kind not in "iu":
        raise TypeError(f"a sampler must return integers; got {drawn.dtype}")
    if drawn.shape != (k,):
        raise ValueError(f"a sampler must return k={k} agents, shape [{k}]; got shape {list(drawn.shape)}")
    agents = drawn.tolist()
    if min(agents) < 0 or max(agents) >= n_agents:
        index = first_index((drawn < 0) | (drawn >= n_agents))
        raise ValueError(f"a sampler must return agents in [0, {n_agents}); entry {list(index)} is {drawn[index]}")
    if len(set(agents)) < k:
        found, times = np.unique(drawn, return_counts=True)
        raise ValueError(f"a sampler must return different agents; {found[times > 1][0]} is there {times.max()} times")
    return drawn.astype(np.int64)


def ring_distances(n_states: int) -> FloatArray:
    """Distances of places on a ring, float [s_l, s_g]."""
    places = np.arange(integer("n_states", n_states, 1))
    apart = np.abs(places[:, None] - places)
    return np.asarray(np.minimum(apart, n_states - apart), dtype=np.float64)


def _seats(rng: np.random.Generator, sizes: IntArray, k: int) -> IntArray:
    """Seats a_j of strata with sizes [population, stratum], int64 of the same shape."""
    totals = sizes.sum(axis=1, keepdims=True)
    # Whole and broken part of C_j in integers: a rounding error could seat somebody in an empty stratum.
    whole, rest = np.divmod(np.cumsum(sizes, axis=1) * k, totals)
    filled = whole + (rest / totals + rng.random((len(sizes), 1)) >= 1)
    return np.asarray(np.diff(filled, axis=1, prepend=0))


def _draw_in_turn(
    rng: np.random.Generator, counts: IntArray, k: int, weights: Callable[[int, IntArray], FloatArray]
) -> IntArray:
    """Draw k agents one after another, of state x with probability proportional to (agents left in x) * weight_x.

    Args:
        rng: source of randomness.
        counts: int64 [population, s_l].
        k: agents to draw.
        weights: (agents drawn so far, counts left) -> weights of the states, float [population, s_l].

    Returns:
        Histograms of the agents drawn, int64 [population, s_l].
    """
    left, populations = counts.copy(), np.arange(len(counts))
    for drawn in range(k):
        cumulative = np.cumsum(left * weights(drawn, left), axis=1)
        # In (0, total], so that the first state to reach it has an agent left.
        threshold = (1 - rng.random(len(counts))) * cumulative[:, -1]
        left[populations, (cumulative < threshold[:, None]).sum(axis=1)] -= 1
    return counts - left


def _strata(name: str, values: npt.ArrayLike, size: int | None = None) -> IntArray:
    """Strata as int64 [size], read-only, after checking that they are nonnegative integers."""
    strata = np.array(as_array(name, values))
    expected = "any" if size is None else size
    if strata.ndim != 1 or not np.issubdtype(strata.dtype, np.integer):
        raise TypeError(f"{name} must be integers [{expected}]; got {strata.dtype} {list(strata.shape)}")
    if size is not None and len(strata) != size:
        raise ValueError(f"{name} must have shape [{size}], a stratum per agent; got shape {list(strata.shape)}")
    if strata.size == 0 or strata.min() < 0:
        raise ValueError(f"{name} must be 0, 1, 2, ..; got {strata.tolist()[:10]}")
    strata = strata.astype(np.int64)
    freeze(strata)
    return strata


def _nonnegative(name: str, values: npt.ArrayLike, shape: tuple[int | None, ...]) -> FloatArray:
    """Distances as float64, read-only."""
    distances = float_array(name, values, shape)
    if (distances < 0).any():
        index = first_index(distances < 0)
        raise ValueError(f"{name} must be nonnegative; entry {list(index)} is {distances[index]}")
    freeze(distances)
    return distances
