"""The picture of a population on a ring.

In pixels from the lower left corner. Zone z of S (one per local state) is a disc of radius r whose centre lies
at angle pi/2 - 2 pi z / S on a circle of radius R; an only zone lies in the middle, two lie side by side. R + r is
fixed and r / R is below sin(pi / S), so that neighbouring centres, 2 R sin(pi / S) apart, are more than 2 r apart. The
agents of a zone are dots on a sunflower spiral: the sampled ones, orange, in the middle and the others around them. One
dot stands for `dot_unit` agents, so that either kind never needs more than 60 dots. With more than 20 zones names and
numbers are written along the radius, and a kind needs at most 20 dots.

A picture is a function of its scene: nothing is drawn at random, and neither pyplot nor its current figure is touched.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kofn.envs.arrays import FloatArray
from kofn.envs.picture_canvas import (
    BLACK,
    BLUE,
    GREY,
    HEIGHT,
    MARGIN,
    MOST_DOTS,
    ORANGE,
    WIDTH,
    YELLOW,
    ZONE_EDGE,
    ZONE_FILL,
    Canvas,
    dot_unit,
    draw_header,
    draw_legend,
    make_layers,
    number,
    scatter_dots,
    shorten,
    text_width,
)
from kofn.envs.render import Image, Scene

__all__ = [
    "BLACK",
    "BLUE",
    "GREY",
    "HEIGHT",
    "ORANGE",
    "WIDTH",
    "YELLOW",
    "ZONE_EDGE",
    "ZONE_FILL",
    "dot_unit",
    "picture",
    "shorten",
    "text_width",
]

CENTRE = np.array([WIDTH / 2, HEIGHT / 2 - 12])
LABEL_GAP = 11
LINE_SKIP = np.array([0.0, 18.0])
HALF_SIZE = np.array([WIDTH / 2 - MARGIN, HEIGHT / 2 - 64])  # of the ring with its names, from the centre on
CENTRED = 0.15  # names of zones this close to the vertical axis (cosine) are centred
MOST_LEVEL_LABELS, MOST_LABELS = 20, 70  # with more zones, names turn radial; then some are left out
MOST_DENSE_DOTS = 20  # per kind of agents, when names are radial


def picture(scene: Scene) -> Image:
    """The scene as an image, uint8 [height, width, 3]."""
    canvas = Canvas()
    ring = _Ring.of(len(scene.counts))
    layers = make_layers(scene, MOST_DENSE_DOTS if ring.is_dense else MOST_DOTS)
    draw_header(canvas, scene)
    canvas.discs(ring.centres, ring.radius, face=ZONE_FILL, edge=ZONE_EDGE, line=1.2)
    canvas.discs(ring.centres[scene.marked], ring.radius, face=YELLOW, edge=BLACK, line=3.5)
    scatter_dots(canvas, ring.centres, ring.radius, layers)
    free_radius = _draw_labels(canvas, scene, ring)
    _draw_hub(canvas, scene, ring, free_radius)
    draw_legend(canvas, layers, "the dispatcher is here" if len(scene.marked) else None)
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


def _draw_labels(canvas: Canvas, scene: Scene, ring: _Ring) -> float:
    """Name every zone and its number of agents; returns the radius that stays free in the middle of the ring."""
    draw = _draw_radial_label if ring.is_dense else _draw_level_label
    every = -(-len(ring.centres) // MOST_LABELS)
    widths = [draw(canvas, scene, ring, zone) for zone in range(0, len(ring.centres), every)]
    return ring.distance - ring.radius - LABEL_GAP - max(widths)


def _draw_level_label(canvas: Canvas, scene: Scene, ring: _Ring, zone: int) -> float:
    """Name and number outside the ring, in two lines; nothing inside."""
    x, y = ring.directions[zone]
    at = ring.centres[zone] + (ring.radius + LABEL_GAP) * ring.directions[zone] + 0.8 * y * LINE_SKIP
    ha = "center" if abs(x) < CENTRED else "left" if x > 0 else "right"
    room = ring.label_room(zone)
    words = number(scene, zone, in_words=True)
    words = words if text_width(words, 9.5) <= room else number(scene, zone, in_words=False)
    name = scene.labels.local_states[zone]
    canvas.text(at + LINE_SKIP / 2, name, 11.5, room=room, weight="bold", ha=ha, va="center")
    canvas.text(at - LINE_SKIP / 2, words, 9.5, room=room, color=GREY, ha=ha, va="center")
    return 0.0


def _draw_radial_label(canvas: Canvas, scene: Scene, ring: _Ring, zone: int) -> float:
    """Name outside and number inside the ring, along the radius; returns the width of the number."""
    x, y = ring.directions[zone]
    rim = (ring.radius + LABEL_GAP / 2) * ring.directions[zone]
    sides = ("left", "right") if x > -1e-9 else ("right", "left")
    turn = math.degrees(math.atan2(y, x)) + (0 if x > -1e-9 else 180)
    look: dict[str, Any] = {"rotation": turn, "va": "center_baseline"}
    name, room = scene.labels.local_states[zone], ring.label_room(zone)
    canvas.text(ring.centres[zone] + rim, name, 8.5, room=room, ha=sides[0], **look)
    agents = number(scene, zone, in_words=False)
    return canvas.text(ring.centres[zone] - rim, agents, 8.5, color=GREY, ha=sides[1], **look)


def _draw_hub(canvas: Canvas, scene: Scene, ring: _Ring, free_radius: float) -> None:
    """The global state's name in the middle, with an arrow to its zone if it has one; below an only zone."""
    is_alone = len(ring.centres) == 1
    hub = CENTRE - [0, ring.radius + 60] if is_alone else CENTRE
    if scene.dispatcher_zone is not None and not is_alone:
        canvas.arrow(CENTRE, CENTRE + free_radius * ring.directions[scene.dispatcher_zone])
    room = WIDTH / 2 if is_alone else 2 * free_radius - 72
    canvas.sign(hub, scene.global_caption, scene.global_name, max(room, 120.0))
