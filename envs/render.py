"""Frames of a population: a picture, a text table, or a window that shows the picture.

A frame is a function of its `Scene`: nothing is drawn at random. Names tell where local states lie, on a ring
(`kofn.envs.picture`), a grid, a scale or a table; see `kofn.envs.picture_layout`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import IntArray, integer, one_of
from kofn.envs.model import Labels
from kofn.envs.picture_layout import cells, layout, marked_states

Image = npt.NDArray[np.uint8]
MODES = ("human", "rgb_array", "ansi")
BAR_WIDTH = 40


RenderMode = Literal["human", "rgb_array", "ansi"]


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
    def marked(self) -> IntArray:
        """Local states that the global state marks, int64 [any]."""
        return marked_states(self.labels, self.global_state)

    @property
    def global_caption(self) -> str:
        """What the name of the global state tells: a place or a state."""
        return "global state" if self.dispatcher_zone is None else "dispatcher at"

    @property
    def global_name(self) -> str:
        """Name of the global state."""
        return self.labels.global_states[self.global_state]

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

    def render(self, scene: Scene, mode: RenderMode | None) -> Image | str | None:
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
            return grid_table(scene) if layout(scene.labels) == "grid" else table(scene)
        image = _picture(scene)
        if mode == "rgb_array":
            return image
        if self._window is None:
            self._window = _Window(self._fps)
        self._window.show(image, scene.labels.title)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_window": None}


def _picture(scene: Scene) -> Image:
    """The scene as an image."""
    # Matplotlib, which nothing else needs.
    from kofn.envs import picture, picture_columns, picture_grid, picture_table  # noqa: PLC0415 - see above

    pictures = {
        "grid": picture_grid.picture,
        "columns": picture_columns.picture,
        "table": picture_table.picture,
        "ring": picture.picture,
    }
    return pictures[layout(scene.labels)](scene)


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
            self._surface = display.set_mode((image.shape[1], image.shape[0]))
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
    lines = _headlines(scene)
    for row, (entries, bar) in enumerate(zip(zip(*columns, strict=True), bars, strict=True)):
        marker = ">" if row - 1 in scene.marked else " "
        numbers = (entry.rjust(width) for entry, width in zip(entries[1:], widths[1:], strict=True))
        lines.append("  ".join([f"{marker} {entries[0].ljust(widths[0])}", *numbers, bar]).rstrip())
    return "\n".join(lines)


def grid_table(scene: Scene) -> str:
    """The scene as a text grid: agents per cell, sampled ones before them; cells the global state marks in brackets."""
    places = cells(scene.labels)
    assert places is not None  # the layout was found to be a grid
    entries = np.full(places.max(axis=0) + 1, "", dtype=object)
    sampled = scene.sampled if scene.sampled is not None else np.zeros_like(scene.counts)
    words = [f"{seen:,}/{count:,}" if seen else f"{count:,}" for seen, count in zip(sampled, scene.counts, strict=True)]
    width = max(map(len, words))
    for state, (row, column) in enumerate(places):
        left, right = "[]" if state in scene.marked else "  "
        entries[row, column] = f"{left}{words[state].rjust(width)}{right}"
    margin = len(str(len(entries)))
    header = "".join([" " * margin, *(f"{column:>{width + 2}} " for column in range(entries.shape[1]))])
    rows = [" ".join([f"{row:>{margin}}", *line]) for row, line in enumerate(entries)]
    return "\n".join([*_headlines(scene), *(line.rstrip() for line in (header, *rows))])


def _headlines(scene: Scene) -> list[str]:
    return [
        f"{scene.labels.title} | step {scene.timestep} | {scene.global_caption}: {scene.global_name}",
        scene.view,
    ]


def _thousands(numbers: Sequence[Any]) -> list[str]:
    return [f"{int(number):,}" for number in numbers]
