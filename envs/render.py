"""Frames of a population: one picture and one text table for every game.

Picture, in pixels from the lower left corner. Zone z of S (one per local state) is a disc of radius r whose centre lies
at angle pi/2 - 2 pi z / S on a circle of radius R (R = 0 when S = 1). R + r is fixed and r / R = min(0.45,
0.8 sin(pi / S)), so that neighbouring discs, 2 R sin(pi / S) apart, never touch. The agents of a zone are dots on a
sunflower spiral. One dot stands for `dot_unit(n)` agents, so that n agents never need more than 60 dots; sampled agents
are orange, in a unit of their own, and lie in the middle.

A frame is a function of its `Scene`: nothing is drawn at random, and neither pyplot nor its current figure is touched.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.game import Labels

Image = npt.NDArray[np.uint8]
MODES = ("human", "rgb_array", "ansi")

WIDTH, HEIGHT, DPI = 960, 832, 100  # multiples of 16, which video encoders ask for
CENTRE = np.array([WIDTH / 2, HEIGHT / 2 - 12])
MARGIN, LABEL_GAP = 16, 11
LINE_SKIP = np.array([0.0, 18.0])
HALF_SIZE = np.array([WIDTH / 2 - MARGIN, HEIGHT / 2 - 64])  # of the ring with its names, from the centre on
CENTRED = 0.15  # names of zones this close to the vertical axis (cosine) are centred
MOST_LEVEL_LABELS, MOST_LABELS = 20, 70  # with more zones, names turn radial; then some are left out
MOST_DOTS, MOST_DENSE_DOTS = 60, 20  # per kind of agents; the latter when names are radial
BAR_WIDTH = 40

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, BLACK = "#0072B2", "#E69F00", "#000000"
YELLOW = "#F8F1A0"  # a lighter tint of the palette's #F0E442
ZONE_FILL, ZONE_EDGE, GREY = "#F3F5F8", "#9AA5B1", "#4A5560"


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """What there is to draw.

    Args:
        labels: title and names.
        global_state: s_g.
        counts: agents per local state, int64 [s_l].
        sampled: sampled agents per local state, which the global agent sees, int64 [s_l]. None: it sees all agents.
        timestep: steps taken in this episode.
    """

    labels: Labels
    global_state: int
    counts: IntArray
    sampled: IntArray | None
    timestep: int

    @property
    def dispatcher_zone(self) -> int | None:
        """The local state at which the global agent stands; None when global states are no places on that map."""
        return self.global_state if self.labels.global_states == self.labels.local_states else None

    @property
    def global_caption(self) -> str:
        """What the name of the global state tells: a place or a state."""
        return "global state" if self.dispatcher_zone is None else "dispatcher at"

    @property
    def view(self) -> str:
        """How many agents the global agent sees, in words."""
        n_agents = int(self.counts.sum())
        seen = f"all {n_agents:,}" if self.sampled is None else f"{int(self.sampled.sum()):,} of {n_agents:,}"
        return f"the global agent sees {seen} agents"


class Renderer:
    """Draws scenes; holds the window of "human" mode, which copies and pickles leave behind.

    Args:
        fps: frames per second of the window.
    """

    def __init__(self, fps: int) -> None:
        self._fps = integer("fps", fps, 1)
        self._window: _Window | None = None

    def render(self, scene: Scene, mode: Literal["human", "rgb_array", "ansi"] | None) -> Image | str | None:
        """An image uint8 [height, width, 3] ("rgb_array"), text ("ansi"), or None after showing a window ("human").

        Raises:
            ValueError: no mode, or an unknown one.
            ImportError: mode "human" without pygame.
        """
        if mode is None:
            modes = ", ".join(map(repr, MODES))
            raise ValueError(
                f"to render, pass render_mode=... to the environment's constructor: one of {modes}; got None"
            )
        one_of("render_mode", mode, MODES)
        if mode == "ansi":
            return table(scene)
        if mode == "rgb_array":
            return picture(scene)
        if self._window is None:
            self._window = _Window(self._fps)
        self._window.show(picture(scene), scene.labels.title)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_window": None}


class _Window:
    """A pygame window. pygame has one per process: a second renderer takes over the window of the first."""

    def __init__(self, fps: int) -> None:
        try:
            import pygame  # noqa: PLC0415 - an optional dependency, which only this mode needs
        except ImportError as error:
            raise ImportError('render_mode="human" needs pygame: pip install "kofn[render]"') from error
        self._pygame = pygame
        self._fps = fps
        self._clock = pygame.time.Clock()
        self._surface: pygame.Surface | None = None

    def show(self, image: Image, title: str) -> None:
        """Draw the image, let pygame handle its events, and wait for the next frame's turn."""
        display = self._pygame.display
        if self._surface is None or display.get_surface() is not self._surface:
            display.init()
            self._surface = display.set_mode((WIDTH, HEIGHT))
        display.set_caption(title)
        self._pygame.surfarray.blit_array(self._surface, image.swapaxes(0, 1))
        display.flip()
        self._pygame.event.pump()
        self._clock.tick(self._fps)

    def close(self) -> None:
        self._pygame.display.quit()


def table(scene: Scene) -> str:
    """The scene as text: one line per local state with its agents, how many of them are sampled, and a bar."""
    names, counts = scene.labels.local_states, scene.counts
    columns = [["local state", *names, "all"], ["agents", *_thousands([*counts, counts.sum()])]]
    if scene.sampled is not None:
        columns.append(["sampled", *_thousands([*scene.sampled, scene.sampled.sum()])])
    widths = [max(map(len, column)) for column in columns]
    largest = max(int(counts.max()), 1)
    bars = ["", *("#" * math.ceil(BAR_WIDTH * int(count) / largest) for count in counts), ""]
    lines = [f"{scene.labels.title} | step {scene.timestep} | {scene.global_caption} {_global_name(scene)}", scene.view]
    for row, (cells, bar) in enumerate(zip(zip(*columns, strict=True), bars, strict=True)):
        marker = ">" if row - 1 == scene.dispatcher_zone else " "
        numbers = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        lines.append("  ".join([f"{marker} {cells[0].ljust(widths[0])}", *numbers, bar]).rstrip())
    return "\n".join(lines)


def _global_name(scene: Scene) -> str:
    return scene.labels.global_states[scene.global_state]


def _thousands(numbers: Sequence[Any]) -> list[str]:
    return [f"{int(number):,}" for number in numbers]


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
    """Where the zones lie: unit vectors `directions` and disc `centres`, float [s_l, 2]; `distance` is R, `radius` r."""

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
    canvas.text(at + LINE_SKIP / 2, scene.labels.local_states[zone], 11.5, weight="bold", room=room, ha=ha, va="center")
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
    name = scene.labels.global_states[scene.global_state]
    canvas.sign(hub, scene.global_caption, name, room)


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
        kept = max(1, min(kept - 1, int(kept * room / width)))
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
        top = centre[1] + 9 + 10 * len(lines)
        frame = FancyBboxPatch((0, 0), 1, 1, boxstyle="round,pad=0,rounding_size=8", facecolor="white", edgecolor=GREY)
        frame.set_transform(IdentityTransform())
        self._add(frame)
        wide = self.text((centre[0], top - 7), caption, 9.5, color=GREY, ha="center", va="center")
        for row, line in enumerate(lines):
            at = (centre[0], top - 27 - 20 * row)
            wide = max(wide, self.text(at, line, 13, weight="bold", room=room, ha="center", va="center"))
        frame.set_bounds(
            centre[0] - wide / 2 - 14, top - 46 - 20 * (len(lines) - 1), wide + 28, 54 + 20 * (len(lines) - 1)
        )

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
