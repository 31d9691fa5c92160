r"""Sums of rewards cell by cell, from which means and spreads follow without cancellation however large rewards are.

With an offset o near the N rewards r of a cell,

    S = sum (r - o)        Q = sum (r - o)^2        mean = o + S/N        sum (r - mean)^2 = Q - S^2/N,

and about another offset o', with d = o - o', the sums are S + N d and Q + 2 d S + N d^2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray


def tally(cells: IntArray, shape: Sequence[int], weights: FloatArray | None = None) -> npt.NDArray[Any]:
    """Occurrences of flat cells, or the sum of their weights, in an array of the given shape."""
    flat = None if weights is None else weights.ravel()
    return np.bincount(cells.ravel(), flat, minlength=int(np.prod(shape))).reshape(shape)


def sums_of(cells: IntArray, rewards: FloatArray, shape: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """(S and Q, float [2, ..]; o, float [..]) of the rewards paid in flat cells; o is one of a cell's rewards, or 0."""
    offsets = np.zeros(int(np.prod(shape)))
    offsets[cells.ravel()] = rewards.ravel()
    apart = rewards - offsets[cells]
    return np.stack([tally(cells, shape, apart**power) for power in (1, 2)]), offsets.reshape(shape)


def joined(
    sums: Sequence[FloatArray], offsets: Sequence[FloatArray], counts: Sequence[IntArray]
) -> tuple[FloatArray, FloatArray]:
    """What `sums_of` gives for several logs together, about the offset of the first that has been to a cell."""
    common = np.zeros_like(offsets[0])
    for own, visits in zip(reversed(offsets), reversed(counts), strict=True):
        common = np.where(visits > 0, own, common)
    total = np.zeros_like(sums[0])
    for (first, second), own, visits in zip(sums, offsets, counts, strict=True):
        apart = np.where(visits > 0, own - common, 0.0)
        total += np.stack([first + visits * apart, second + 2 * apart * first + visits * apart**2])
    return total, common


def means_and_deviations(sums: FloatArray, offsets: FloatArray, counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Means, and sums of squared deviations from them."""
    apart = sums[0] / np.maximum(counts, 1)
    return offsets + apart, np.maximum(sums[1] - apart * sums[0], 0.0)
