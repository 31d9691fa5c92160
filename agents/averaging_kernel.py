r"""Kernels whose row of a histogram F averages over its m sampled successors F^1, .., F^m:

    (K V)(F) = (1/m) sum_j V(F^j),        (K^T d)(F') = (1/m) #{(F, j) : F^j = F'} weighted by d(F).

Successors are kept as ranks, 4 bytes each, and averages are gathered by compiled loops, four columns at a time in
registers: a sweep reads a third of what a sparse matrix would hold.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kofn.agents.compiled import compiled
from kofn.envs.arrays import FloatArray, IntArray, freeze

Ranks = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class AveragingKernel:
    """K, or its adjoint; made by `averaging_kernel`.

    Attributes:
        ranks: of successors, int32 [histogram, sample], read-only.
        adjoint: whether this is K^T.
    """

    ranks: Ranks
    adjoint: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Histograms, twice."""
        return len(self.ranks), len(self.ranks)

    @property
    def T(self) -> "AveragingKernel":  # noqa: N802  # as numpy calls it
        """The adjoint."""
        return replace(self, adjoint=not self.adjoint)

    def __matmul__(self, columns: FloatArray) -> FloatArray:
        """Averages of functions of the next histogram (of the adjoint: weights moved on), [histogram, column]."""
        if columns.shape[0] != self.shape[0]:
            raise ValueError(
                f"columns must have one row per histogram, {self.shape[0]} of them; got shape {list(columns.shape)}"
            )
        given = np.array(columns.reshape(len(columns), -1), dtype=np.float64, order="C")
        found = np.zeros_like(given)
        if self.adjoint:
            _scatter(self.ranks, given, found)
        else:
            whole = given.shape[1] - given.shape[1] % 4
            for first in range(0, whole, 4):
                _gather_four(self.ranks, given, first, found)
            for column in range(whole, given.shape[1]):
                _gather_one(self.ranks, given, column, found)
        found /= self.ranks.shape[1]
        return found.reshape(columns.shape)

    def toarray(self) -> FloatArray:
        """The dense matrix [histogram, histogram']."""
        dense = np.zeros(self.shape)
        np.add.at(dense, (np.arange(len(self.ranks))[:, None], self.ranks), 1 / self.ranks.shape[1])
        return dense.T if self.adjoint else dense


def averaging_kernel(successors: IntArray) -> AveragingKernel:
    """The kernel whose row of a histogram averages over its successors, given as ranks [histogram, sample]."""
    ranks = np.array(successors, dtype=np.int32, order="C")
    freeze(ranks)
    return AveragingKernel(ranks)


@compiled
def _gather_four(ranks: Ranks, columns: FloatArray, first: int, sums: FloatArray) -> None:
    """Sums over samples of four columns, from `first` on."""
    for row in range(len(ranks)):
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for sample in range(ranks.shape[1]):
            rank = np.uint64(ranks[row, sample])
            s0 += columns[rank, first]
            s1 += columns[rank, first + 1]
            s2 += columns[rank, first + 2]
            s3 += columns[rank, first + 3]
        sums[row, first], sums[row, first + 1], sums[row, first + 2], sums[row, first + 3] = s0, s1, s2, s3


@compiled
def _gather_one(ranks: Ranks, columns: FloatArray, column: int, sums: FloatArray) -> None:
    """Sums over samples of one column."""
    for row in range(len(ranks)):
        total = 0.0
        for sample in range(ranks.shape[1]):
            total += columns[np.uint64(ranks[row, sample]), column]
        sums[row, column] = total


@compiled
def _scatter(ranks: Ranks, weights: FloatArray, sums: FloatArray) -> None:
    """Add the weights of a row to its successors."""
    for row in range(len(ranks)):
        for sample in range(ranks.shape[1]):
            for column in range(weights.shape[1]):
                sums[ranks[row, sample], column] += weights[row, column]
