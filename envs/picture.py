"""The picture of a population.

In pixels from the lower left corner. Zone z of S (one per local state) is a disc of radius r whose centre lies
at angle pi/2 - 2 pi z / S on a circle of radius R; an only zone lies in the middle, two lie side by side. R + r is
fixed and r / R is below sin(pi / S), so that neighbouring centres, 2 R sin(pi / S) apart, are more than 2 r apart. The
agents of a zone are dots on a sunflower spiral: the sampled ones, orange, in the middle and the others around them. One
dot stands for `dot_unit` agents, so that either kind never needs more than 60 dots. With more than 20 zones names and
numbers are written along the radius, and a kind needs at most 20 dots.

A picture is a function of its scene: nothing is drawn at random, and neither pyplot nor its current figure is touched.
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
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.render import Image, Scene

WIDTH, HEIGHT, DPI = 960, 832, 100  # multiples of 16, which video encoders ask for
CENTRE = np.array([WIDTH / 2, HEIGHT / 2 - 12])
MARGIN, LABEL_GAP = 16, 11
LINE_SKIP = np.array([0.0, 18.0])
HALF_SIZE = np.array([WIDTH / 2 - MARGIN, HEIGHT / 2 - 64])  # of the ring with its names, from the centre on
CENTRED = 0.15  # names of zones this close to the vertical axis (cosine) are centred
MOST_LEVEL_LABELS, MOST_LABELS = 20, 70  # with more zones, names turn radial; then some are left out
MOST_DOTS, MOST_DENSE_DOTS = 60, 20  # per kind of agents; the latter when names are radial

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, BLACK = "#0072B2", "#E69F00", "#000000"
YELLOW = "#F8F1A0"  # a lighter tint of the palette's #F0E442
ZONE_FILL, ZONE_EDGE, GREY = "#F3F5F8", "#9AA5B1", "#4A5560"


def dot_unit(n_agents: int, most_dots: int) -> int:
    """Agents per dot: the least number with two significant digits that keeps n agents within `most_dots`."""
    unit = max(1, -(-n_agents // most_dots))
    step = int(10 ** max(0, len(str(unit)) - 2))
    return -(-unit // step) * step


def picture(scene: Scene) -> Image:
    """The scene as an image, uint8 [height, width, 3]."""
    canvas = _Canvas()
    ring = _Ring.of(len(scene.counts))
    layers = _layers(scene, MOST_DENSE_DOTS if ring.is_dense else MOST_DOTS)
    _draw_header(canvas, scene)
    canvas.discs(ring.centres, ring.radius, face=ZONE_FILL, edge=ZONE_EDGE, line=1.2)
    if scene.dispatcher_zone is not None:
        canvas.discs(ring.centres[[scene.dispatcher_zone]], ring.radius, face=YELLOW, edge=BLACK, line=3.5)
    _draw_dots(canvas, ring, layers)
    free_radius = _draw_labels(canvas, scene, ring)
    _draw_hub(canvas, scene, ring, free_radius)
    _draw_legend(canvas, scene, layers)
    return canvas.image()


@dataclass(frozen=True, eq=False, kw_only=True)
class _Ring:
    """Unit vectors `directions` and disc `centres` of the zones, float [s_l, 2]; `distance` is R, `radius` is r."""

    directions: FloatArray
    centres: FloatArray
    distance: float
    radius: float
    is_dense: bool

    @classmethod
    def of(cls, n_zones: int) -> "_Ring":
        is_dense = n_zones > MOST_LEVEL_LABELS
        start = math.pi if n_zones == 2 else math.pi / 2
        angles = start - 2 * math.pi * np.arange(n_zones) / n_zones
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ratio = min(0.45, (0.92 if is_dense else 0.8) * math.sin(math.pi / n_zones))
        distance = (232 if is_dense else 276) / (1 + ratio) if n_zones > 1 else 0.0
        radius = ratio * distance if n_zones > 1 else 130.0
        centres = CENTRE + distance * directions
        return cls(directions=directions, centres=centres, distance=distance, radius=radius, is_dense=is_dense)

    def label_room(self, zone: int) -> float:
        """Pixels free for the name of a zone, up to the picture's edge or to the neighbouring names."""
        direction = np.maximum(np.abs(self.directions[zone]), 1e-9)
        start = (self.distance + self.radius + LABEL_GAP) * direction
        free = HALF_SIZE - start
        if self.is_dense:
            return float(min(150.0, *(free / direction)))
        if direction[0] > CENTRED:
            return float(free[0])
        n_zones = len(self.centres)
        neighbour = start[1] * math.sin(2 * math.pi / n_zones) - LABEL_GAP if n_zones > 4 else math.inf
        return 2 * float(min(HALF_SIZE[0], neighbour))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Layer:
    """Dots of one kind: how many lie in each zone, int64 [s_l], how many agents each stands for, and their look."""

    dots: IntArray
    most: int
    unit: int
    noun: str
    colour: str

    @classmethod
    def of(cls, counts: IntArray, unit: int, noun: str, colour: str) -> "_Layer":
        """Counts in units, rounded, but at least one dot where there is anybody."""
        dots = np.where(counts > 0, np.maximum((counts + unit // 2) // unit, 1), 0)
        return cls(dots=dots, most=math.ceil(int(counts.sum()) / unit), unit=unit, noun=noun, colour=colour)


def _layers(scene: Scene, most_dots: int) -> list[_Layer]:
    unit = dot_unit(int(scene.counts.sum()), most_dots)
    if scene.sampled is None:
        return [_Layer.of(scene.counts, unit, "agent", BLUE)]
    sampled_unit = dot_unit(int(scene.sampled.sum()), most_dots)
    sampled = _Layer.of(scene.sampled, sampled_unit, "sampled agent", ORANGE)
    return [sampled, _Layer.of(scene.counts - scene.sampled, unit, "other agent", BLUE)]


def _draw_header(canvas: "_Canvas", scene: Scene) -> None:
    top = HEIGHT - 36
    taken = canvas.text((WIDTH - MARGIN, top), f"step {scene.timestep:,}", 14, color=GREY, ha="right")
    canvas.text((MARGIN, top), scene.labels.title, 16, weight="bold", room=WIDTH - 4 * MARGIN - taken)
    canvas.text((MARGIN, top - 25), scene.view, 10.5, color=GREY)


def _draw_dots(canvas: "_Canvas", ring: _Ring, layers: list[_Layer]) -> None:
    """The j-th dot of a zone lies at radius proportional to sqrt(j + 1/2), one golden angle on from the last."""
    spacing = 0.95 * ring.radius / (0.7 + math.sqrt(max(12, sum(layer.most for layer in layers))))
    taken = np.zeros(len(ring.centres), dtype=np.int64)
    for layer in layers:
        zone = np.repeat(np.arange(len(taken)), layer.dots)
        first = np.cumsum(layer.dots) - layer.dots
        rank = np.arange(len(zone)) - first[zone] + taken[zone]
        angle = rank * math.pi * (3 - math.sqrt(5))
        spiral = np.sqrt(rank + 0.5)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        places = ring.centres[zone] + spacing * spiral
        canvas.discs(places, 0.7 * spacing, face=layer.colour, edge=BLACK, line=min(0.9, spacing / 8))
        taken += layer.dots


def _draw_labels(canvas: "_Canvas", scene: Scene, ring: _Ring) -> float:
    """Name every zone and its number of agents; returns the radius that stays free in the middle of the ring."""
    draw = _draw_radial_label if ring.is_dense else _draw_level_label
    every = -(-len(ring.centres) // MOST_LABELS)
    widths = [draw(canvas, scene, ring, zone) for zone in range(0, len(ring.centres), every)]
    return ring.distance - ring.radius - LABEL_GAP - max(widths)


def _draw_level_label(canvas: "_Canvas", scene: Scene, ring: _Ring, zone: int) -> float:
    """Name and number outside the ring, in two lines; nothing inside."""
    x, y = ring.directions[zone]
    at = ring.centres[zone] + (ring.radius + LABEL_GAP) * ring.directions[zone] + 0.8 * y * LINE_SKIP
    ha = "center" if abs(x) < CENTRED else "left" if x > 0 else "right"
    room = ring.label_room(zone)
    words = _number(scene, zone, in_words=True)
    words = words if text_width(words, 9.5) <= room else _number(scene, zone, in_words=False)
    name = scene.labels.local_states[zone]
    canvas.text(at + LINE_SKIP / 2, name, 11.5, room=room, weight="bold", ha=ha, va="center")
    canvas.text(at - LINE_SKIP / 2, words, 9.5, room=room, color=GREY, ha=ha, va="center")
    return 0.0


def _draw_radial_label(canvas: "_Canvas", scene: Scene, ring: _Ring, zone: int) -> float:
    """Name outside and number inside the ring, along the radius; returns the width of the number."""
    x, y = ring.directions[zone]
    rim = (ring.radius + LABEL_GAP / 2) * ring.directions[zone]
    sides = ("left", "right") if x > -1e-9 else ("right", "left")
    turn = math.degrees(math.atan2(y, x)) + (0 if x > -1e-9 else 180)
    look: dict[str, Any] = {"rotation": turn, "va": "center_baseline"}
    name, room = scene.labels.local_states[zone], ring.label_room(zone)
    canvas.text(ring.centres[zone] + rim, name, 8.5, room=room, ha=sides[0], **look)
    number = _number(scene, zone, in_words=False)
    return canvas.text(ring.centres[zone] - rim, number, 8.5, color=GREY, ha=sides[1], **look)


def _number(scene: Scene, zone: int, *, in_words: bool) -> str:
    """Agents in a zone, with the sampled ones before them."""
    agents = f"{scene.counts[zone]:,}"
    if scene.sampled is None:
        return f"{agents} agent{'s' * (agents != '1')}" if in_words else agents
    sampled = f"{scene.sampled[zone]:,}"
    return f"{sampled} of {agents} sampled" if in_words else f"{sampled}/{agents}"


def _draw_hub(canvas: "_Canvas", scene: Scene, ring: _Ring, free_radius: float) -> None:
    """The global state's name in the middle, with an arrow to its zone if it has one; below an only zone."""
    is_alone = len(ring.centres) == 1
    hub = CENTRE - [0, ring.radius + 60] if is_alone else CENTRE
    if scene.dispatcher_zone is not None and not is_alone:
        canvas.arrow(CENTRE, CENTRE + free_radius * ring.directions[scene.dispatcher_zone])
    room = WIDTH / 2 if is_alone else 2 * free_radius - 72
    canvas.sign(hub, scene.global_caption, scene.global_name, max(room, 120.0))


def _draw_legend(canvas: "_Canvas", scene: Scene, layers: list[_Layer]) -> None:
    x, y = float(MARGIN), 24
    entries = [(layer.colour, f"1 dot = {layer.unit:,} {layer.noun}{'s' * (layer.unit > 1)}") for layer in layers]
    if scene.dispatcher_zone is not None:
        entries.append((YELLOW, "the dispatcher is here"))
    for colour, words in entries:
        canvas.discs(np.array([[x + 7.0, y]]), 7, face=colour, edge=BLACK, line=1)
        x += 50 + canvas.text((x + 20, y), words, 10, va="center_baseline")


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


class _Canvas:
    """A figure in pixel coordinates; what is added later lies on top."""

    def __init__(self) -> None:
        self._figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white", edgecolor="white")
        self._agg = _agg(self._figure)

    def image(self) -> Image:
        self._agg.draw()
        return np.array(self._agg.buffer_rgba(), dtype=np.uint8)[..., :3].copy()

    def discs(self, centres: FloatArray, radius: float, *, face: str, edge: str, line: float) -> None:
        """Discs of equal size; centres [disc, 2], line width in pixels."""
        sizes = np.full(len(centres), 2 * radius)
        look = {"facecolors": face, "edgecolors": edge, "linewidths": line * 72 / DPI}
        place = {"offsets": centres, "offset_transform": IdentityTransform()}
        self._add(EllipseCollection(sizes, sizes, np.zeros(len(centres)), units="dots", **look, **place))

    def arrow(self, start: FloatArray, end: FloatArray) -> None:
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
