"""One thread for the linear algebra of numpy and scipy.

The products here are of millions of rows with a few columns each. Threads of the linear algebra gain nothing there, but
between two products they spin, which has cost four times the processor time. Work that is worth threads has them above
(`kofn.envs.side_by_side`). The limit holds for the whole process until the block ends, as the libraries know no other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """The libraries that are loaded; looking for them takes milliseconds."""
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """The block, or the function that is so decorated, runs with one thread of linear algebra."""
    with _libraries().limit(limits=1, user_api="blas"):
        yield
