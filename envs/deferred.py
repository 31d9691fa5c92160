"""The compiled loops, loaded when the first step is taken or number drawn: they load numba, which takes a while."""

from functools import cache
from types import ModuleType


@cache
def loops() -> ModuleType:
    """`kofn.envs.loops`; a statement inside a function would take a microsecond each time."""
    from kofn.envs import loops as found  # noqa: PLC0415  # as said above

    return found
