"""The picture of a population in a table.

In pixels from the lower left corner. Local states named `row, column` are cells, with their agents as dots on a
sunflower spiral, the sampled ones in the middle. The row or cell that the global state marks is yellow and framed.
"""

import math
from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray
from kofn.envs.picture_canvas import (
    HEIGHT,
    MARGIN,
    MOST_DOTS,
    WIDTH,
    Canvas,
    count_in_cells,
    draw_cells,
    draw_header,
    draw_legend,
    make_layers,
    scatter_dots,
    text_width,
)
from kofn.envs.picture_layout import NAME_MARK, rows_and_columns
from kofn.envs.render import Image, Scene

TOP, BOTTOM = HEIGHT - 92.0, 62.0
"""What header and legend leave."""

WIDEST_CELL, HIGHEST_CELL, WIDEST_NAME = 260.0, 160.0, 200.0
LINE, SIZE = 17.0, 10.5
"""Height of a line of a column's name, and size of names."""

ROOMY, FEW_DOTS = 110.0, 20
"""Cells with a side below this hold fewer dots."""

NUMBERED, LEAST_NAMED = 34.0, 24.0
"""Sides of cells from which on their agents are numbered, and widths from which on every column is named."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Table:
    """Names; lower left corners of the cells, float [s_l, 2], row by row, and their width and height."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    corners: FloatArray
    size: tuple[float, float]

    @classmethod
    def of(cls, scene: Scene) -> "_Table":
        """The largest table that fits, in the middle."""
        names = rows_and_columns(scene.labels.local_states)
        assert names is not None  # the layout was found to be a table
        rows, columns = names
        margin = min(WIDEST_NAME, max(text_width(name, SIZE, "bold") for name in rows)) + 14
        heading = LINE * max(name.count(NAME_MARK) + 1 for name in columns) + 10
        width = min(WIDEST_CELL, (WIDTH - 2 * MARGIN - margin) / len(columns))
        height = min(HIGHEST_CELL, (TOP - BOTTOM - heading) / len(rows))
        left = (WIDTH - margin - width * len(columns)) / 2 + margin
        top = (TOP + BOTTOM + height * len(rows) - heading) / 2
        row, column = np.divmod(np.arange(len(rows) * len(columns)), len(columns))
        corners = np.stack([left + width * column, top - height * (row + 1)], axis=1)
        return cls(rows=rows, columns=columns, corners=corners, size=(width, height))


def picture(scene: Scene) -> Image:
    """The scene as an image, uint8 [height, width, 3]."""
    canvas, cells = Canvas(), _Table.of(scene)
    layers = make_layers(scene, MOST_DOTS if min(cells.size) >= ROOMY else FEW_DOTS)
    draw_header(canvas, scene)
    draw_cells(canvas, cells.corners, cells.size, scene.marked)
    scatter_dots(canvas, cells.corners + np.array(cells.size) / 2, 0.45 * min(cells.size), layers)
    _name(canvas, cells)
    if min(cells.size) >= NUMBERED:
        count_in_cells(canvas, scene, cells.corners, cells.size)
    draw_legend(canvas, layers, f"{scene.global_caption}: {scene.global_name}")
    return canvas.image()


def _name(canvas: Canvas, cells: _Table) -> None:
    """Names of rows on the left, of columns above, one line per part; left out where they would touch."""
    width, height = cells.size
    for row in range(0, len(cells.rows), math.ceil(LINE / height)):
        at = cells.corners[row * len(cells.columns)] + np.array([-10, height / 2])
        canvas.text(at, cells.rows[row], SIZE, weight="bold", room=WIDEST_NAME, ha="right", va="center")
    for column in range(0, len(cells.columns), math.ceil(LEAST_NAMED / width)):
        parts = cells.columns[column].split(NAME_MARK)
        for line, part in enumerate(reversed(parts)):
            at = cells.corners[column] + np.array([width / 2, height + 8 + LINE * line])
            canvas.text(at, part, SIZE - 1, room=width - 6, ha="center")
