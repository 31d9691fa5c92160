"""The picture of a population on a scale of numbers.

In pixels from the lower left corner. Local states are numbers on a scale, with their agents as dots stacked above, the
sampled ones at the bottom. A yellow column stands where the global state is on the same scale, which reaches as far as
the numbers of all local and global states.
"""

import math
from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.picture_canvas import (
    BLACK,
    GREY,
    HEIGHT,
    MARGIN,
    MOST_DOTS,
    WIDTH,
    YELLOW,
    ZONE_EDGE,
    ZONE_FILL,
    Canvas,
    Layer,
    draw_header,
    draw_legend,
    make_layers,
    number,
)
from kofn.envs.picture_layout import level, levels, scale
from kofn.envs.render import Image, Scene

LEFT, BASE, TOP = 40.0, 130.0, HEIGHT - 130.0
"""Where the scale begins, and where columns stand and end."""

WIDEST, LEAST_NAMED = 120.0, 26.0
"""Pixels per number: at most, and from which on each has a name."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Scale:
    """Numbers on it and of the local states, int64 [any] and [s_l]; pixels per number, and where the first begins."""

    numbers: IntArray
    levels: IntArray
    width: float
    left: float

    @classmethod
    def of(cls, scene: Scene) -> "_Scale":
        """The scale of a game, the same for all its scenes."""
        own, numbers = levels(scene.labels.local_states), scale(scene.labels)
        assert own is not None  # the layout was found to be columns
        assert numbers is not None
        width = min(WIDEST, (WIDTH - 2 * LEFT) / len(numbers))
        return cls(numbers=numbers, levels=own, width=width, left=(WIDTH - width * len(numbers)) / 2)

    def begin(self, numbers: IntArray) -> FloatArray:
        """Where numbers begin, float [number]."""
        return np.asarray(self.left + self.width * (numbers - self.numbers[0]))


def picture(scene: Scene) -> Image:
    """The scene as an image, uint8 [height, width, 3]."""
    canvas, scale, layers = Canvas(), _Scale.of(scene), make_layers(scene, MOST_DOTS)
    draw_header(canvas, scene)
    _draw_columns(canvas, scale, scale.levels, ZONE_FILL, ZONE_EDGE, 1.2)
    place = level(scene.global_name)
    if place is not None:
        _draw_columns(canvas, scale, np.array([place]), YELLOW, BLACK, 3.5)
    _stack_dots(canvas, scale, layers)
    _draw_names(canvas, scale, scene)
    draw_legend(canvas, layers, None if place is None else f"{scene.global_caption}: {scene.global_name}")
    middle = WIDTH / 2 if place is None else float(scale.begin(np.array([place]))[0]) + scale.width / 2
    room = 2 * (min(middle, WIDTH - middle) - MARGIN)
    canvas.text((middle, TOP + 12), scene.global_name, 13, weight="bold", room=room, ha="center")
    return canvas.image()


def _draw_columns(canvas: Canvas, scale: _Scale, numbers: IntArray, face: str, edge: str, line: float) -> None:
    lows = np.stack([scale.begin(numbers), np.full(len(numbers), BASE)], axis=1)
    canvas.rectangles(lows, (scale.width, TOP - BASE), face=face, edge=edge, line=line)


def _stack_dots(canvas: Canvas, scale: _Scale, layers: list[Layer]) -> None:
    """Rows of dots, so many to a row that the largest column of all would just fit."""
    most = sum(layer.most for layer in layers)
    width, height = 0.86 * scale.width, TOP - BASE
    per_row = max(1, math.ceil(math.sqrt(most * width / height)))
    spacing = min(width / per_row, height / math.ceil(max(most, 1) / per_row), 24.0)
    left = scale.begin(scale.levels) + (scale.width - spacing * per_row) / 2
    taken = np.zeros(len(scale.levels), dtype=np.int64)
    for layer in layers:
        state, rank = layer.ranks(taken)
        row, column = np.divmod(rank, per_row)
        places = np.stack([left[state] + spacing * (column + 0.5), BASE + spacing * (row + 0.5)], axis=1)
        canvas.dots(places, 0.42 * spacing, layer.colour)
        taken += layer.dots


def _draw_names(canvas: Canvas, scale: _Scale, scene: Scene) -> None:
    """Numbers below the scale, and below them how many agents there are."""
    every = math.ceil(LEAST_NAMED / scale.width)
    for at in scale.numbers[::every]:
        middle = float(scale.begin(at)) + scale.width / 2
        canvas.text((middle, BASE - 22), str(at), 11.5, weight="bold", ha="center")
        state = np.flatnonzero(scale.levels == at)
        if len(state):
            words = number(scene, int(state[0]), in_words=False)
            canvas.text((middle, BASE - 42), words, 9.5, room=every * scale.width - 4, color=GREY, ha="center")
