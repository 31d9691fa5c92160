r"""Tables to draw where a block of agents of one law goes at once.

m agents that follow a law over J outcomes spread in C(m+J-1, J-1) ways, of multinomial chances. Walker's alias method
draws one of them from a single random word: its leading bits name a slot, its trailing 53 bits u say whether the slot's
own way is taken (u < cut) or its alias. Ways are packed, one count per field of a word, so that the counts of many
blocks are added at once. A way of probability zero is never drawn: its cut is 0, and it is nobody's alias.

Loading this module loads numba.
"""

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.compiled import compiled
from kofn.envs.population import enumerate_histograms, n_histograms

Blocks = npt.NDArray[np.uint64]
"""Tables [row, slot, (cut, way, alias, 0)]; no rows: there are none."""

LOG_BLOCK_SIZES = (4, 3, 2)
"""log2 m, the first with at most `MAX_WAYS` ways."""

MAX_WAYS = 512


Sizes = tuple[int, int, int, int]
"""log2 m, bits of a word that do not name a slot, bits of a field, and blocks whose sum fits into the fields."""


def block_sizes(n_outcomes: int) -> Sizes:
    """Sizes of the tables of laws over so many outcomes; m = 1 where there are too many outcomes for any."""
    for log_size in LOG_BLOCK_SIZES:
        n_ways = n_histograms(1 << log_size, n_outcomes)
        if 1 < n_ways <= MAX_WAYS:
            width = 64 // n_outcomes
            return log_size, 64 - (n_ways - 1).bit_length(), width, ((1 << width) - 1) >> log_size
    return 0, 64, 64, 1


def blocks_of(laws: FloatArray) -> Blocks:
    """Tables of laws [row, outcome]."""
    n_outcomes = laws.shape[1]
    size = 1 << block_sizes(n_outcomes)[0]
    if size == 1:
        return no_blocks()
    ways = enumerate_histograms(size, n_outcomes)
    orders = np.cumsum(np.log(np.maximum(np.arange(size + 1), 1)))
    logs = np.log(np.where(laws > 0, laws, 1.0))
    chances = np.exp(orders[-1] - orders[ways].sum(axis=1) + logs @ ways.T)
    chances[((laws == 0).astype(np.int64) @ ways.T) > 0] = 0.0
    packs = (ways.astype(np.uint64) << (np.arange(n_outcomes) * (64 // n_outcomes)).astype(np.uint64)).sum(axis=1)
    n_slots = 1 << (len(ways) - 1).bit_length()
    padded = np.zeros((len(laws), n_slots))
    padded[:, : len(ways)] = chances / chances.sum(axis=1, keepdims=True)
    tables = np.zeros((*padded.shape, 4), dtype=np.uint64)
    packs = np.append(packs, np.zeros(n_slots - len(ways), dtype=np.uint64))
    _alias(padded * n_slots, padded.argmax(axis=1), packs, np.empty((3, n_slots), dtype=np.int64), tables)
    return tables


def no_blocks() -> Blocks:
    """No tables."""
    return np.empty((0, 1, 4), dtype=np.uint64)


@compiled
def _alias(
    left: FloatArray, likeliest: IntArray, packs: npt.NDArray[np.uint64], scratch: IntArray, tables: Blocks
) -> None:
    """Fill in `tables` from chances times the number of slots [row, slot], which are overwritten.

    Args:
        left: chances.
        likeliest: the likeliest slot, the alias where rounding leaves none [row].
        packs: packed ways [slot].
        scratch: int64 [3, slot].
        tables: out.
    """
    n_rows, n_slots = left.shape
    for row in range(n_rows):
        n_small, n_large = 0, 0
        for slot in range(n_slots):
            scratch[2, slot] = likeliest[row]
            if left[row, slot] < 1:
                scratch[0, n_small] = slot
                n_small += 1
            else:
                scratch[1, n_large] = slot
                n_large += 1
        while n_small > 0 and n_large > 0:
            n_small -= 1
            taker, giver = scratch[0, n_small], scratch[1, n_large - 1]
            scratch[2, taker] = giver
            left[row, giver] -= 1 - left[row, taker]
            if left[row, giver] < 1:
                n_large -= 1
                scratch[0, n_small] = giver
                n_small += 1
        for slot in range(n_slots):
            tables[row, slot, 0] = np.uint64(min(left[row, slot], 1.0) * 2.0**53)
            tables[row, slot, 1], tables[row, slot, 2] = packs[slot], packs[scratch[2, slot]]
