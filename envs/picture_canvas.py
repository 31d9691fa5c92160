"""What every picture of a population is drawn with: a canvas in pixels, colours, text, dots that stand for agents.

One dot stands for `dot_unit` agents, the same number in all places, so that a kind of agents (the sampled ones, orange;
the others, blue) needs no more dots than a picture has room for.

Nothing is drawn at random, and neither pyplot nor its current figure is touched.
"""

import math
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.render import Image, Scene

WIDTH, HEIGHT, DPI = 960, 832, 100  # multiples of 16, which video encoders ask for
MARGIN = 16
MOST_DOTS = 60  # per kind of agents

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, BLACK = "#0072B2", "#E69F00", "#000000"
YELLOW = "#F8F1A0"  # a lighter tint of the palette's #F0E442
ZONE_FILL, ZONE_EDGE, GREY = "#F3F5F8", "#9AA5B1", "#4A5560"


def dot_unit(n_agents: int, most_dots: int) -> int:
    """Agents per dot: the least number with two significant digits that keeps n agents within `most_dots`."""
    unit = max(1, -(-n_agents // most_dots))
    step = int(10 ** max(0, len(str(unit)) - 2))
    return -(-unit // step) * step


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """Dots of one kind: how many lie in each local state, int64 [s_l], how many agents one stands for, their look."""

    dots: IntArray
    most: int
    unit: int
    noun: str
    colour: str

    @classmethod
    def of(cls, counts: IntArray, unit: int, noun: str, colour: str) -> "Layer":
        """Counts in units, rounded, but at least one dot where there is anybody."""
        dots = np.where(counts > 0, np.maximum((counts + unit // 2) // unit, 1), 0)
        return cls(dots=dots, most=math.ceil(int(counts.sum()) / unit), unit=unit, noun=noun, colour=colour)

    def ranks(self, taken: IntArray) -> tuple[IntArray, IntArray]:
        """Place and rank within it of every dot, int64 [dot] both, after the `taken` [s_l] dots of earlier layers."""
        place = np.repeat(np.arange(len(taken)), self.dots)
        first = np.cumsum(self.dots) - self.dots
        return place, np.arange(len(place)) - first[place] + taken[place]


def make_layers(scene: Scene, most_dots: int) -> list[Layer]:
    """The sampled agents, if there are, then the others; at most `most_dots` dots of either kind."""
    unit = dot_unit(int(scene.counts.sum()), most_dots)
    if scene.sampled is None:
        return [Layer.of(scene.counts, unit, "agent", BLUE)]
    sampled_unit = dot_unit(int(scene.sampled.sum()), most_dots)
    sampled = Layer.of(scene.sampled, sampled_unit, "sampled agent", ORANGE)
    return [sampled, Layer.of(scene.counts - scene.sampled, unit, "other agent", BLUE)]


def draw_header(canvas: "Canvas", scene: Scene) -> None:
    """Title, step, and how many agents the global agent sees."""
    top = HEIGHT - 36
    taken = canvas.text((WIDTH - MARGIN, top), f"step {scene.timestep:,}", 14, color=GREY, ha="right")
    canvas.text((MARGIN, top), scene.labels.title, 16, weight="bold", room=WIDTH - 4 * MARGIN - taken)
    canvas.text((MARGIN, top - 25), scene.view, 10.5, color=GREY)


def scatter_dots(canvas: "Canvas", centres: FloatArray, radius: float, layers: list[Layer]) -> None:
    """Dots around the centres [s_l, 2]: the j-th at radius proportional to sqrt(j + 1/2), one golden angle on."""
    spacing = 0.95 * radius / (0.7 + math.sqrt(max(12, sum(layer.most for layer in layers))))
    taken = np.zeros(len(centres), dtype=np.int64)
    for layer in layers:
        place, rank = layer.ranks(taken)
        angle = rank * math.pi * (3 - math.sqrt(5))
        spiral = np.sqrt(rank + 0.5)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        canvas.dots(centres[place] + spacing * spiral, 0.7 * spacing, layer.colour)
        taken += layer.dots


def draw_cells(canvas: "Canvas", corners: FloatArray, size: tuple[float, float], marked: IntArray) -> None:
    """Cells with lower left corners [s_l, 2]; those that are marked yellow, within one frame around all of them."""
    canvas.rectangles(corners, size, face=ZONE_FILL, edge=ZONE_EDGE, line=1.2)
    canvas.rectangles(corners[marked], size, face=YELLOW, edge=ZONE_EDGE, line=1.2)
    if len(marked):
        low, high = corners[marked].min(axis=0), corners[marked].max(axis=0) + size
        width, height = high - low
        canvas.rectangles(low[None], (width, height), face=YELLOW, edge=BLACK, line=3.5, fill=False)


def count_in_cells(canvas: "Canvas", scene: Scene, corners: FloatArray, size: tuple[float, float]) -> None:
    """Numbers of agents in the upper left corners of their cells."""
    for state in np.flatnonzero(scene.counts).tolist():
        at = corners[state] + np.array([5, size[1] - 14])
        canvas.text(at, number(scene, state, in_words=False), 8.5, color=GREY, room=size[0] - 10)


def draw_legend(canvas: "Canvas", layers: list[Layer], mark: str | None) -> None:
    """What the colours mean; `mark` is what yellow means."""
    x, y = float(MARGIN), 24
    entries = [(layer.colour, f"1 dot = {layer.unit:,} {layer.noun}{'s' * (layer.unit > 1)}") for layer in layers]
    if mark is not None:
        entries.append((YELLOW, mark))
    for colour, words in entries:
        canvas.discs(np.array([[x + 7.0, y]]), 7, face=colour, edge=BLACK, line=1)
        x += 50 + canvas.text((x + 20, y), words, 10, room=WIDTH - MARGIN - x - 20, va="center_baseline")


def number(scene: Scene, state: int, *, in_words: bool) -> str:
    """Agents in a local state, with the sampled ones before them."""
    agents = f"{scene.counts[state]:,}"
    if scene.sampled is None:
        return f"{agents} agent{'s' * (agents != '1')}" if in_words else agents
    sampled = f"{scene.sampled[state]:,}"
    return f"{sampled} of {agents} sampled" if in_words else f"{sampled}/{agents}"


def shorten(words: str, size: float, weight: str, room: float) -> str:
    """The words, with their middle left out where they are wider than `room` pixels."""
    shortened, kept = words, len(words)
    while kept > 1 and (width := text_width(shortened, size, weight)) > room:
        kept = max(1, min(kept, int(kept * room / width)) - 1)
        shortened = words[: (kept + 1) // 2] + "…" + words[len(words) - kept // 2 :]
    return shortened


@lru_cache(maxsize=4096)
def text_width(words: str, size: float, weight: str = "normal") -> float:
    """Width in pixels. Remembered, since measuring takes as long as drawing."""
    renderer = _agg(Figure((1, 1), dpi=DPI)).get_renderer()
    return float(renderer.get_text_width_height_descent(words, _font(size, weight), ismath=False)[0])


def _agg(figure: Figure) -> Any:
    """A figure's canvas; Any, because matplotlib ships no types for its backends."""
    return FigureCanvasAgg(figure)


def _font(size: float, weight: str) -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=size, weight=weight)


class Canvas:
    """A figure in pixel coordinates; what is added later lies on top."""

    def __init__(self) -> None:
        self._figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white", edgecolor="white")
        self._agg = _agg(self._figure)

    def image(self) -> Image:
        """What has been drawn, uint8 [height, width, 3]."""
        self._agg.draw()
        return np.array(self._agg.buffer_rgba(), dtype=np.uint8)[..., :3].copy()

    def discs(self, centres: FloatArray, radius: float, *, face: str, edge: str, line: float) -> None:
        """Discs of equal size; centres [disc, 2], line width in pixels."""
        sizes = np.full(len(centres), 2 * radius)
        look = {"facecolors": face, "edgecolors": edge, "linewidths": line * 72 / DPI}
        place = {"offsets": centres, "offset_transform": IdentityTransform()}
        self._add(EllipseCollection(sizes, sizes, np.zeros(len(centres)), units="dots", **look, **place))

    def dots(self, centres: FloatArray, radius: float, colour: str) -> None:
        """Agents; the outline thins as they get smaller."""
        self.discs(centres, radius, face=colour, edge=BLACK, line=min(0.9, radius / 5.6))

    def rectangles(
        self, lows: FloatArray, size: tuple[float, float], *, face: str, edge: str, line: float, fill: bool = True
    ) -> None:
        """Rectangles of equal size (width, height); lower left corners [rectangle, 2], line width in pixels."""
        for low in lows:
            rectangle = Rectangle(
                tuple(low), *size, facecolor=face, edgecolor=edge, linewidth=line * 72 / DPI, fill=fill
            )
            rectangle.set_transform(IdentityTransform())
            self._add(rectangle)

    def arrow(self, start: FloatArray, end: FloatArray) -> None:
        """A black arrow."""
        arrow = FancyArrowPatch(tuple(start), tuple(end), arrowstyle="-|>", mutation_scale=18, shrinkA=0, shrinkB=0)
        arrow.set(color=BLACK, linewidth=2, transform=IdentityTransform())
        self._add(arrow)

    def sign(self, centre: FloatArray, caption: str, name: str, room: float) -> None:
        """A framed caption and name; a long name takes up to three lines."""
        lines = textwrap.wrap(name, int(room / 12), break_long_words=False)
        lines = [*lines[:2], " ".join(lines[2:])] if len(lines) > 3 else lines
        height = 34 + 20 * len(lines)
        top = centre[1] + height / 2
        frame = FancyBboxPatch((0, 0), 1, 1, boxstyle="round,pad=0,rounding_size=8", facecolor="white", edgecolor=GREY)
        frame.set_transform(IdentityTransform())
        self._add(frame)
        width = self.text((centre[0], top - 15), caption, 9.5, color=GREY, ha="center", va="center")
        for row, line in enumerate(lines):
            at = (centre[0], top - 35 - 20 * row)
            width = max(width, self.text(at, line, 13, weight="bold", room=room, ha="center", va="center"))
        frame.set_bounds(centre[0] - width / 2 - 14, top - height, width + 28, height)

    def text(
        self, at: Any, words: str, size: float, *, weight: str = "normal", room: float = math.inf, **look: Any
    ) -> float:
        """Write words, shortened in the middle where they are wider than `room`; returns their width in pixels."""
        words = shorten(" ".join(words.split()), size, weight, room)
        style = {"color": BLACK, "rotation_mode": "anchor", "transform": IdentityTransform(), **look}
        self._add(
            Text(at[0], at[1], words, fontproperties=_font(size, weight), parse_math=False, usetex=False, **style)
        )
        return text_width(words, size, weight)

    def _add(self, artist: Artist) -> None:
        artist.set_zorder(len(self._figure.artists))
        self._figure.add_artist(artist)
