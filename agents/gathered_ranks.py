"""Ranks of histograms that are sums of pooled draws, found by their keys.

A table of slots, addressed by the leading bits of a key and then one after the other, holds the rank of every key.
"""

import numpy as np
import numpy.typing as npt

from kofn.agents.compiled import compiled
from kofn.envs.arrays import IntArray

Keys = npt.NDArray[np.uint64]

EMPTY = -1


@compiled
def slots_of(keys: Keys, n_bits: int) -> IntArray:
    """Ranks by slot, int64 [2^n_bits], of the key of every rank, all different and fewer than half as many."""
    slots = np.full(1 << n_bits, EMPTY)
    for rank in range(len(keys)):
        slot = np.int64(keys[rank] >> np.uint64(64 - n_bits))
        while slots[slot] != EMPTY:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = rank
    return slots


@compiled
def gathered_ranks(
    pools: Keys, histograms: IntArray, places: IntArray, keys: Keys, slots: IntArray, ranks: IntArray
) -> None:
    """Fill ranks [histogram, sample] with those of sum_x pools[x, c_x, places[x] + sample].

    Args:
        pools: keys of draws, uint64 [x, c, draw].
        histograms: c, int64 [histogram, x].
        places: where a row's stretch of the pool begins, int64 [x, histogram]; it goes on at the front.
        keys: uint64 [rank].
        slots: as from `slots_of`.
        ranks: int64 [histogram, sample].
    """
    n_bits = 0
    while (1 << n_bits) < len(slots):
        n_bits += 1
    n_draws = pools.shape[2]
    for row in range(len(histograms)):
        for sample in range(ranks.shape[1]):
            key = np.uint64(0)
            for x in range(len(pools)):
                place = places[x, row] + sample
                key += pools[x, histograms[row, x], place if place < n_draws else place - n_draws]
            slot = np.int64(key >> np.uint64(64 - n_bits))
            while keys[slots[slot]] != key:
                slot = (slot + 1) & (len(slots) - 1)
            ranks[row, sample] = slots[slot]
