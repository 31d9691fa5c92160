r"""Conventions for `cluster_line` made by hand: what learned policies start from and are compared with.

* `Chase`: a robot steps towards the beacon when it is more than `dead_band` and less than `reach` away from it.
* `Follow`: the beacon heads for the target of the bin that most of the k robots seen are in. With a `margin` it stays
  with the target nearest to it unless the sampled share of the fullest bin exceeds the share of its own by more than
  that (hysteresis); a margin of 1 or more never looks. With `inner_only` the nearest target is one of the inner three,
  between which the beacon starts. With a `settled` distance it heeds the margin only within it of a target, and follows
  its sample elsewhere: its own place tells it whether it has chosen yet, so that one look made decides.
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import IntArray
from kofn.envs.cluster_line import TARGETS
from kofn.envs.normals import Float32Array


@dataclass(frozen=True, kw_only=True)
class Chase:
    """The robots' convention.

    Args:
        dead_band: distance from the beacon within which a robot stays.
        reach: distance beyond which it stays.
    """

    dead_band: float = 0.1
    reach: float = 4.0

    def act(
        self, local_states: Float32Array, global_states: Float32Array, rng: np.random.Generator | None = None
    ) -> IntArray:
        """0 stay, 1 right, 2 left; `rng` is not needed."""
        del rng
        ahead = global_states - local_states
        distance = np.abs(ahead)
        moves = (distance > self.dead_band) & (distance < self.reach)
        return np.where(moves, np.where(ahead > 0, 1, 2), 0)


@dataclass(frozen=True, kw_only=True)
class Follow:
    """The beacon's convention.

    Args:
        k: robots seen.
        margin: lead of the fullest bin over the beacon's own that makes it switch.
        inner_only: whether it stays only with inner targets.
        settled: distance from a target beyond which it follows every sample; None: no distance is.
    """

    k: int
    margin: float = 0.0
    inner_only: bool = False
    settled: float | None = None

    def act(self, global_states: Float32Array, counts: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """Targets; `rng` is not needed."""
        del rng
        fullest = counts.argmax(axis=-1)
        first, last = (1, -1) if self.inner_only else (0, None)
        distance = np.abs(global_states[:, None] - TARGETS[first:last])
        nearest = distance.argmin(axis=1) + first
        rows = np.arange(len(counts))
        lead = (counts[rows, fullest] - counts[rows, nearest]) / self.k
        settled = distance[rows, nearest - first] < self.settled if self.settled is not None else True
        return np.asarray(np.where(lead > np.where(settled, self.margin, 0.0), fullest, nearest))
