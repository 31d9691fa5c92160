"""Compilation of loops over tables, the machine code kept on disk where there is room for it.

Compiled functions that call each other share a file: numba decides by a function's own file whether what it kept on
disk is still up to date, and would not notice a change elsewhere.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def compiled(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """`function` as machine code, compiled when it is first called; x / 0 is inf or nan there, as in numpy."""
    return _compile(function)


def compiled_for_threads(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """As `compiled`, for loops that threads run side by side; a product and a sum may be rounded as one."""
    return _compile(function, nogil=True, fastmath={"contract"})


def _compile(function: Callable[Arguments, Returned], **options: Any) -> Callable[Arguments, Returned]:
    options["error_model"] = "numpy"
    try:
        kept: Callable[Arguments, Returned] = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the installed package nor the user's cache folder can be written to
        kept = njit(**options)(function)
    return kept
