r"""Stochastic rewards of finite support (paper, Appendix F).

A table entry's reward is a random variable: value v_j with probability p_j, j = 1..J. The table of laws has
`values[..., j]` and `probabilities[..., j]`; the leading axes are those of the mean-reward table: [s_g, a_g] for
r_g ~ G_{s_g, a_g} and [s_l, s_g, a_l] for r_l ~ L_{s_l, s_g, a_l}. Draws are independent of each other and of moves.

Values and best responses depend on the means sum_j p_j v_j alone. What a learner that observes rewards must average out
is governed by the spread D = max supp - min supp, over the supports of all entries together (the D_g and D_l of the
reward-noise bound).

>>> law = RewardLaw([[0.0, 1.0], [2.0, 5.0]], [[0.5, 0.5], [1.0, 0.0]])
>>> law.mean.tolist(), law.spread
([0.5, 2.0], 2.0)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import (
    FloatArray,
    IntArray,
    as_array,
    float_array,
    freeze,
    probability_array,
    refuse_outside,
    restore_frozen,
)
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.population import MAX_AGENTS, conditional_probabilities, sample_multinomial


@dataclass(frozen=True, eq=False)
class RewardLaw:
    """One law of finite support per table entry. Arrays are validated, copied and read-only.

    Args:
        values: the rewards that may be paid, float [..., j].
        probabilities: their probabilities, float [..., j], rows sum to 1. A value of probability 0 is no part of the
            support, so rows with fewer outcomes than others may be filled up.

    Raises:
        TypeError: arrays that hold no real numbers.
        ValueError: different shapes, a non-finite value, or rows that are no distributions.
    """

    values: FloatArray
    probabilities: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        if as_array("RewardLaw.values", self.values).ndim == 0:
            raise ValueError(f"RewardLaw.values must have a last axis of outcomes [..., j]; got {self.values!r}")
        values = float_array("RewardLaw.values", self.values, None)
        probabilities = probability_array("RewardLaw.probabilities", self.probabilities, values.shape)
        for name, array in (("values", values), ("probabilities", probabilities)):
            freeze(array)
            object.__setattr__(self, name, array)

    @classmethod
    def certain(cls, rewards: npt.ArrayLike) -> "RewardLaw":
        """The law that always pays `rewards` [...]."""
        values = np.asarray(rewards)[..., None]
        return cls(values, np.ones(values.shape))

    @cached_property
    def mean(self) -> FloatArray:
        """Mean reward of every entry, float [...], read-only."""
        mean = np.asarray((self.values * self.probabilities).sum(axis=-1))
        freeze(mean)
        return mean

    @property
    def lowest(self) -> float:
        """The least reward that any entry may pay."""
        return float(self.values[self.probabilities > 0].min())

    @property
    def highest(self) -> float:
        """The largest reward that any entry may pay."""
        return float(self.values[self.probabilities > 0].max())

    @property
    def spread(self) -> float:
        """D: largest minus least reward, over all entries together."""
        return self.highest - self.lowest

    @cached_property
    def _thresholds(self) -> FloatArray:
        return cumulative_thresholds(self.probabilities)

    @cached_property
    def _conditional(self) -> FloatArray:
        return conditional_probabilities(self.probabilities)

    def sample(self, rng: np.random.Generator, *index: npt.ArrayLike) -> FloatArray:
        """One independent draw for every combination of indices.

        Args:
            rng: source of randomness.
            *index: one int array per leading axis; they broadcast to the shape of the result.

        Raises:
            TypeError: too few or too many indices, or indices that are no integers.
            ValueError: an index out of range.
        """
        rows = self._rows(index)
        shape = np.broadcast_shapes(*(row.shape for row in rows))
        outcomes = sample_rows(rng.random(shape), self._thresholds[rows])
        return np.asarray(self.values[(*rows, outcomes)])

    def sample_sums(self, rng: np.random.Generator, counts: npt.ArrayLike, *index: npt.ArrayLike) -> FloatArray:
        """Sums of `counts` independent draws for every combination of indices, at a cost independent of the counts.

        Args:
            rng: source of randomness.
            counts: int [...], draws per entry, from 0 to 10^12; broadcasts with the indices.
            *index: one int array per leading axis.

        Raises:
            TypeError: too few or too many indices, or counts or indices that are no integers.
            ValueError: counts or an index out of range.
        """
        rows, totals = self._rows(index), _integers("counts", counts)
        refuse_outside("counts", totals, MAX_AGENTS + 1)
        drawn = sample_multinomial(rng, totals, self._conditional[rows])
        return np.asarray((drawn * self.values[rows]).sum(axis=-1))

    def _rows(self, index: tuple[npt.ArrayLike, ...]) -> tuple[IntArray, ...]:
        """The indices as arrays, after checking that there is one per leading axis."""
        if len(index) != self.values.ndim - 1:
            raise TypeError(
                f"a reward law of shape {list(self.values.shape)} takes {self.values.ndim - 1} indices; "
                f"got {len(index)}"
            )
        rows = tuple(_integers("an index", entry) for entry in index)
        for row, size in zip(rows, self.values.shape, strict=False):
            refuse_outside("an index", row, size)
        return rows


def _integers(name: str, values: npt.ArrayLike) -> IntArray:
    """`values` as an int64 array."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got dtype {array.dtype}")
    return array.astype(np.int64, copy=False)
