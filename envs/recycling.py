"""Large arrays that are used again once nobody else holds them.

Fresh memory costs more to get from the operating system than a compiled step costs to fill it. An array that a
simulator has replaced is overwritten by a later step only if no other reference to it is left: views count, as they
hold their base. A view is never overwritten, as its base is somebody's. Whoever keeps an array of an earlier step keeps
it as it was.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt


def _references(holder: list[Any]) -> int:
    return sys.getrefcount(holder[0])


_ALONE = _references([np.empty(0)])
"""What the interpreter counts for an array that only one list holds."""


class Recycler:
    """Hands out arrays of one kind; copies of it, and pickles, start with none."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def keep(self, array: npt.NDArray[Any]) -> None:
        """Remember an array that has been replaced."""
        self._kept = [array]

    def take(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array with any content: the one kept if it fits and is held by nobody else, or a new one."""
        if self._kept and _references(self._kept) == _ALONE:
            kept: npt.NDArray[Any] = self._kept.pop()
            if kept.shape == shape and kept.dtype == dtype and kept.flags.carray and kept.flags.owndata:
                return kept
        return np.empty(shape, dtype)

    def __reduce__(self) -> tuple[type["Recycler"], tuple[()]]:
        return type(self), ()
