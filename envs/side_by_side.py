"""Threads for work that releases Python's lock: results do not depend on their number.

Loading this module loads numba.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from numba import get_num_threads

Returned = TypeVar("Returned")

WORTH_THREADS = 2**14
"""Numbers below which starting threads takes longer than it saves."""


def parts(n_items: int) -> list[slice]:
    """Stretches of about equal length, one per thread, that make up `n_items` items."""
    n_threads = max(1, min(get_num_threads(), n_items))
    return [slice(n_items * i // n_threads, n_items * (i + 1) // n_threads) for i in range(n_threads)]


def side_by_side(tasks: Sequence[Callable[[], Returned]], size: int) -> list[Returned]:
    """Results of `tasks`, in order, by as many threads as numba would take (NUMBA_NUM_THREADS, the cores by default).

    Args:
        tasks: functions without arguments.
        size: numbers that a task works on.
    """
    n_threads = min(get_num_threads(), len(tasks))
    if n_threads == 1 or size < WORTH_THREADS:
        return [task() for task in tasks]
    with ThreadPoolExecutor(n_threads) as threads:
        return [future.result() for future in [threads.submit(task) for task in tasks]]
