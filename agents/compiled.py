"""Compilation of loops over tables, the machine code kept on disk where there is room for it.

Compiled functions that call each other share a file: numba decides by a function's own file whether what it kept on
disk is still up to date, and would not notice a change elsewhere.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def compiled(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """`function` as machine code, compiled when it is first called."""
    try:
        kept: Callable[Arguments, Returned] = njit(cache=True)(function)
    except RuntimeError:  # neither the installed package nor the user's cache folder can be written to
        kept = njit()(function)
    return kept
