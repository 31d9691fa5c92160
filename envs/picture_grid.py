"""The picture of a population on a grid of cells.

In pixels from the lower left corner; cell (0, 0) is the upper left one. Local states are cells, with their agents as
dots on a sunflower spiral, the sampled ones in the middle. Cells that the global state marks are yellow, and the box
that holds them is framed.
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.picture_canvas import (
    GREY,
    HEIGHT,
    MOST_DOTS,
    WIDTH,
    Canvas,
    count_in_cells,
    draw_cells,
    draw_header,
    draw_legend,
    make_layers,
    scatter_dots,
)
from kofn.envs.picture_layout import cells
from kofn.envs.render import Image, Scene

AREA = np.array([WIDTH - 120, HEIGHT - 170])
"""Pixels that the grid may take, [width, height]."""

CENTRE = np.array([WIDTH / 2, HEIGHT / 2 - 20])
LEAST_NUMBERED, LEAST_NAMED = 56, 20
"""Sides of cells in pixels, from which on their agents are numbered, and rows and columns named."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Grid:
    """Lower left corners of the local states' cells, float [s_l, 2], their side, and how many rows and columns."""

    corners: FloatArray
    side: float
    n_rows: int
    n_columns: int

    @classmethod
    def of(cls, places: IntArray) -> "_Grid":
        """The largest grid with cells (row, column) [s_l, 2] that the area holds."""
        n_rows, n_columns = (int(number) for number in places.max(axis=0) + 1)
        side = float(min(AREA / [n_columns, n_rows]))
        first = CENTRE + side / 2 * np.array([-n_columns, n_rows])
        corners = first + side * np.stack([places[:, 1], -places[:, 0] - 1], axis=1)
        return cls(corners=corners, side=side, n_rows=n_rows, n_columns=n_columns)

    @property
    def upper_left(self) -> FloatArray:
        """Of the whole grid, float [2]."""
        return CENTRE + self.side / 2 * np.array([-self.n_columns, self.n_rows])


def picture(scene: Scene) -> Image:
    """The scene as an image, uint8 [height, width, 3]."""
    places = cells(scene.labels)
    assert places is not None  # the layout was found to be a grid
    canvas, grid, layers = Canvas(), _Grid.of(places), make_layers(scene, MOST_DOTS)
    draw_header(canvas, scene)
    size = (grid.side, grid.side)
    draw_cells(canvas, grid.corners, size, scene.marked)
    scatter_dots(canvas, grid.corners + grid.side / 2, 0.45 * grid.side, layers)
    _name(canvas, grid)
    if grid.side >= LEAST_NUMBERED:
        count_in_cells(canvas, scene, grid.corners, size)
    draw_legend(canvas, layers, f"{scene.global_caption}: {scene.global_name}")
    return canvas.image()


def _name(canvas: Canvas, grid: _Grid) -> None:
    """Numbers of rows on the left and of columns above."""
    every = -(-LEAST_NAMED // max(1, int(grid.side)))
    for column in range(0, grid.n_columns, every):
        at = grid.upper_left + np.array([(column + 0.5) * grid.side, 8])
        canvas.text(at, str(column), 10, color=GREY, ha="center")
    for row in range(0, grid.n_rows, every):
        at = grid.upper_left - np.array([10, (row + 0.5) * grid.side])
        canvas.text(at, str(row), 10, color=GREY, ha="right", va="center")
