"""Laws over outcomes in the forms that the compiled loops read, made once and read by every step."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import PROBABILITY_TOLERANCE, BoolArray, FloatArray, IntArray, first_index
from kofn.envs.deferred import loops
from kofn.envs.inversion import cumulative_thresholds, integer_thresholds

MAX_TABLES = 2**14
"""Laws up to which each gets a guide of 256 bytes (`agent_kernel`), and 16 times fewer a table of 16 KB."""

Laws = tuple[FloatArray, npt.NDArray[np.uint64], npt.NDArray[np.uint64]]
"""`spreading.Law`."""


def laws_of(probabilities: FloatArray, *, with_blocks: bool = True) -> Laws:
    """Laws [row, outcome] for loops over crowds; tables of blocks pay where laws are followed again and again."""
    compiled = loops()
    n_rows, n_outcomes = probabilities.shape
    laws = np.array(probabilities, dtype=np.float64, order="C")  # a copy: loops are compiled again for read-only arrays
    few = with_blocks and 16 * n_rows <= MAX_TABLES
    blocks = compiled.blocks_of(laws) if few else np.empty((n_rows, 0), dtype=np.uint64)
    conditional, table = np.empty((n_rows, n_outcomes)), np.empty((n_rows, n_outcomes - 1 + blocks.shape[1]), np.uint64)
    compiled.prepare_laws(laws, conditional, table)
    table[:, n_outcomes - 1 :] = blocks
    return conditional, table, compiled.ways_of(n_outcomes if few else 1)


def guided_thresholds(probabilities: FloatArray) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Integer thresholds and guides of laws [row, outcome], flat; for many laws a single byte that never decides."""
    compiled = loops()
    thresholds = integer_thresholds(cumulative_thresholds(probabilities))
    if len(thresholds) > MAX_TABLES:
        return thresholds.ravel(), np.full(1, compiled.UNSURE, dtype=np.uint8)
    return thresholds.ravel(), compiled.guides_of(thresholds).ravel()


def policy_laws(table: FloatArray) -> Laws:
    """Laws of actions [.., a_l], rows (..), of a policy's table: most steps follow the same few policies.

    Raises:
        ValueError: a row that is no distribution.
    """
    return _kept_laws(table.shape, np.asarray(table, dtype=np.float64).tobytes())


@lru_cache(maxsize=4)
def _kept_laws(shape: tuple[int, ...], numbers: bytes) -> Laws:
    table = np.frombuffer(numbers).reshape(shape)
    refuse_no_laws(table)
    return laws_of(table.reshape(-1, shape[-1]))


def refuse_no_laws(choices: FloatArray, read: BoolArray | None = None) -> None:
    """Raise ValueError unless all rows [.., a_l] are distributions, or those that are `read` [..]."""
    wrong = ~((choices >= 0).all(axis=-1) & (np.abs(choices.sum(axis=-1) - 1) <= PROBABILITY_TOLERANCE))
    if read is not None:
        wrong &= read
    if wrong.any():
        index = first_index(wrong)
        raise ValueError(
            f"choices must be distributions over actions, nonnegative and of sum 1 within {PROBABILITY_TOLERANCE}; "
            f"row {list(index)} is {choices[index].tolist()}"
        )
