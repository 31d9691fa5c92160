"""Laws over outcomes in the forms that the compiled loops read, made once and read by every step."""

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.inversion import cumulative_thresholds, integer_thresholds

MAX_TABLES = 2**14
"""Laws up to which each gets a guide of 256 bytes (`agent_kernel`), and 16 times fewer a table of 16 KB."""

Laws = tuple[FloatArray, IntArray, npt.NDArray[np.uint64], tuple[int, int, int, int]]
"""`crowd_kernel.Law`."""


def laws_of(probabilities: FloatArray, *, with_blocks: bool = True) -> Laws:
    """Laws [row, outcome] for loops over crowds; tables of blocks pay where laws are followed again and again."""
    from kofn.envs import loops  # noqa: PLC0415  # loads numba

    conditional = np.empty(probabilities.shape)
    thresholds = np.empty((len(probabilities), probabilities.shape[1] - 1), dtype=np.int64)
    loops.prepare_laws(np.ascontiguousarray(probabilities, dtype=np.float64), conditional, thresholds)
    few = with_blocks and 16 * len(probabilities) <= MAX_TABLES
    blocks = loops.blocks_of(probabilities) if few else loops.no_blocks()
    return conditional, thresholds, blocks, loops.block_sizes(probabilities.shape[1])


def guided_thresholds(probabilities: FloatArray) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Integer thresholds and guides of laws [row, outcome], flat; for many laws a single byte that never decides."""
    from kofn.envs import loops  # noqa: PLC0415  # loads numba

    thresholds = integer_thresholds(cumulative_thresholds(probabilities))
    if len(thresholds) > MAX_TABLES:
        return thresholds.ravel(), np.full(1, loops.UNSURE, dtype=np.uint8)
    return thresholds.ravel(), loops.guides_of(thresholds).ravel()


class LastLaws:
    """The laws that a policy's table stands for, kept until another table comes: most steps follow the same one."""

    def __init__(self) -> None:
        self._last: tuple[FloatArray, Laws] | None = None

    def of(self, choices: FloatArray) -> Laws:
        """Laws of actions [row, s_l, a_l], rows (row, s_l)."""
        last = self._last
        if last is None or not np.array_equal(last[0], choices):
            last = self._last = choices.copy(), laws_of(choices.reshape(-1, choices.shape[2]))
        return last[1]
