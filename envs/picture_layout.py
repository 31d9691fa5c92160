"""Where local states lie in a frame and which of them the global state marks, as read off their names.

| local states named | lie | marked by a global state |
|---|---|---|
| `(0, 0)`, `(0, 1)`, .. | in the cell (row, column) of a grid | named by a cell, or by a box: `(0, 0) to (2, 2)` |
| `0`, `1`, `2`, .. or `-1`, `0`, .. | on a scale, in columns | whose name ends in the number: `quota 4` |
| `near, tall`, `near, short`, `far, tall` .. | in a table, row by row | of its row, `near, calm`, or of the same name |
| otherwise | on a ring, in order | of the same name, for each type of agents: `zone 1` marks `fast/zone 1` |

>>> from kofn.envs.model import Labels
>>> labels = Labels(title="", global_states=("quota 0", "quota 1"), local_states=("0", "1"), global_actions=(),
...                 local_actions=())
>>> layout(labels), marked_states(labels, 1).tolist()
('columns', [1])
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from kofn.envs.arrays import IntArray
from kofn.envs.model import Labels

Layout = Literal["grid", "columns", "table", "ring"]

TYPE_MARK = "/"
"""Between an agent's type and its state in the names of games with several types."""

NAME_MARK = ", "
"""Between the parts of a name, of which the first is a row of a table."""

_CELL = r"\((\d+), (\d+)\)"
_BOX = re.compile(f"{_CELL}(?: to {_CELL})?")
_NUMBER = re.compile(r"(?:.*\s)?(-?\d+)")


def layout(labels: Labels) -> Layout:
    """How local states are laid out."""
    if cells(labels) is not None:
        return "grid"
    if levels(labels.local_states) is not None:
        return "columns"
    return "table" if rows_and_columns(labels.local_states) is not None else "ring"


def cells(labels: Labels) -> IntArray | None:
    """(row, column) of every local state, int64 [s_l, 2]; None unless each name is a cell, and no two are the same."""
    matches = [re.fullmatch(_CELL, name) for name in labels.local_states]
    if any(match is None for match in matches) or len(set(labels.local_states)) < len(matches):
        return None
    return np.array([[int(part) for part in match.groups()] for match in matches if match is not None])


def box(name: str) -> IntArray | None:
    """First and last (row, column) of a box, int64 [2, 2]; None for the name of anything else."""
    match = _BOX.fullmatch(name)
    if match is None:
        return None
    parts = [int(part) for part in match.groups() if part is not None]
    return np.array([parts[:2], parts[-2:]])


def levels(names: Sequence[str]) -> IntArray | None:
    """The numbers that names consist of, int64 [name]; None unless they are at least two, each one above the last."""
    if len(names) < 2 or any(re.fullmatch(r"-?\d+", name) is None for name in names):
        return None
    numbers = np.array([int(name) for name in names])
    return numbers if (np.diff(numbers) == 1).all() else None


def level(name: str) -> int | None:
    """The number that a name ends in; None without."""
    match = _NUMBER.fullmatch(name)
    return None if match is None else int(match.group(1))


def rows_and_columns(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of rows and columns of a table; None unless the names are all `row, column`, row by row, two of each."""
    parts = [name.partition(NAME_MARK) for name in names]
    rows, columns = (tuple(dict.fromkeys(part[side] for part in parts)) for side in (0, 2))
    whole = [f"{row}{NAME_MARK}{column}" for row in rows for column in columns]
    return (rows, columns) if min(len(rows), len(columns)) > 1 and whole == list(names) else None


def marked_states(labels: Labels, global_state: int) -> IntArray:
    """Local states that a global state marks, int64 [any]."""
    name = labels.global_states[global_state]
    if (places := cells(labels)) is not None:
        corners = box(name)
        inside = np.zeros(len(places), dtype=bool)
        if corners is not None:
            inside = ((places >= corners[0]) & (places <= corners[1])).all(axis=1)
        return np.flatnonzero(inside)
    if (numbers := levels(labels.local_states)) is not None:
        return np.flatnonzero(numbers == level(name))
    same = [local == name or local.rpartition(TYPE_MARK)[2] == name for local in labels.local_states]
    if not any(same) and rows_and_columns(labels.local_states) is not None:
        same = [local.partition(NAME_MARK)[0] == name.partition(NAME_MARK)[0] for local in labels.local_states]
    return np.flatnonzero(same)
