"""Where local states lie in a frame and which of them the global state marks, as read off their names.

| local states named | lie | marked by a global state |
|---|---|---|
| `(0, 0)`, `(0, 1)`, .. | in the cell (row, column) of a grid | named by a cell, or by a box: `(0, 0) to (2, 2)` |
| `0`, `1`, `2`, .. or `-1`, `0`, .. | on a scale, in columns | whose name ends in the number: `quota 4` |
| `near, tall`, `near, short`, `far, tall` .. | in a table, row by row | of its row, `near, calm`, or of the same name |
| otherwise | on a ring, in order | of the same name, for each type of agents: `zone 1` marks `fast/zone 1` |

Numbers that ask for over `MOST_PLACES` cells or columns, or have over 15 digits, are names like others.

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

MOST_PLACES = 10_000
"""Cells of a grid, or numbers on a scale, that names may ask for; local states themselves may be more."""

_DIGITS = r"\d{1,15}"  # more make no number: sums of them would leave 64 bits
_CELL = rf"\(({_DIGITS}), ({_DIGITS})\)"
_BOX = re.compile(f"{_CELL}(?: to {_CELL})?")
_LEVEL = re.compile(f"-?{_DIGITS}")
_NUMBER = re.compile(rf"(?:.*\s)?({_LEVEL.pattern})")


def layout(labels: Labels) -> Layout:
    """How local states are laid out."""
    if cells(labels) is not None:
        return "grid"
    if scale(labels) is not None:
        return "columns"
    return "table" if rows_and_columns(labels.local_states) is not None else "ring"


def cells(labels: Labels) -> IntArray | None:
    """(row, column) of every local state, int64 [s_l, 2]; None unless names are cells, no two the same, none far."""
    matches = [re.fullmatch(_CELL, name) for name in labels.local_states]
    if any(match is None for match in matches) or len(set(labels.local_states)) < len(matches):
        return None
    places = np.array([[int(part) for part in match.groups()] for match in matches if match is not None])
    n_rows, n_columns = (int(last) + 1 for last in places.max(axis=0))
    return places if n_rows * n_columns <= max(MOST_PLACES, len(places)) else None


def box(name: str) -> IntArray | None:
    """First and last (row, column) of a box, int64 [2, 2]; None for the name of anything else."""
    match = _BOX.fullmatch(name)
    if match is None:
        return None
    parts = [int(part) for part in match.groups() if part is not None]
    return np.array([parts[:2], parts[-2:]])


def levels(names: Sequence[str]) -> IntArray | None:
    """The numbers that names consist of, int64 [name]; None unless they are at least two, each one above the last."""
    if len(names) < 2 or any(_LEVEL.fullmatch(name) is None for name in names):
        return None
    numbers = np.array([int(name) for name in names])
    return numbers if (np.diff(numbers) == 1).all() else None


def scale(labels: Labels) -> IntArray | None:
    """The numbers of all local and global states and those between, int64; None without a scale, or for a vast one."""
    own = levels(labels.local_states)
    if own is None:
        return None
    others = [found for name in labels.global_states if (found := level(name)) is not None]
    first, last = min([int(own[0]), *others]), max([int(own[-1]), *others])
    return np.arange(first, last + 1) if last - first < max(MOST_PLACES, len(own)) else None


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
