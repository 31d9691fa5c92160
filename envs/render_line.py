"""Frames of a population on a line: a picture (`kofn.envs.picture_line`), a text table of its bins, or a window.

A frame is a function of its `LineScene`: nothing is drawn at random.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kofn.envs.arrays import IntArray
from kofn.envs.continuous_observations import Bounds, count_bins
from kofn.envs.model import Labels
from kofn.envs.normals import Float32Array
from kofn.envs.render import Image, Renderer, RenderMode, Scene, _Window, table


@dataclass(frozen=True, eq=False, kw_only=True)
class LineScene:
    """What there is to draw.

    Args:
        title: name of the game.
        bin_edges: of the bins, ascending; the outer ones bound the agents' places.
        landmarks: places to mark.
        global_bounds: least and largest s_g.
        global_state: s_g.
        local_states: place of every agent, float32 [agent].
        sampled: places of the sampled agents, float32 [k]. None: the global agent sees all.
        timestep: steps taken in this episode.
    """

    title: str
    bin_edges: tuple[float, ...]
    landmarks: tuple[float, ...]
    global_bounds: Bounds
    global_state: float
    local_states: Float32Array
    sampled: Float32Array | None
    timestep: int

    @property
    def span(self) -> Bounds:
        """The part of the line where anybody may be."""
        low, high = self.global_bounds
        return min(low, self.bin_edges[0]), max(high, self.bin_edges[-1])

    def counts(self, states: Float32Array) -> IntArray:
        """States per bin, int64 [bin]."""
        return count_bins(states, np.array(self.bin_edges))

    def binned(self) -> Scene:
        """The scene with bins for local states; the global agent stands in the bin nearest to it."""
        names = tuple(f"{low:g} to {high:g}" for low, high in zip(self.bin_edges, self.bin_edges[1:], strict=False))
        labels = Labels(title=self.title, global_states=names, local_states=names, global_actions=(), local_actions=())
        return Scene(
            labels=labels,
            global_state=int(self.counts(np.array([self.global_state], dtype=np.float32)).argmax()),
            counts=self.counts(self.local_states),
            sampled=None if self.sampled is None else self.counts(self.sampled),
            timestep=self.timestep,
        )


class LineRenderer(Renderer):
    """Draws line scenes, with the window and the modes of `Renderer`."""

    def render(self, scene: Any, mode: RenderMode | None) -> Image | str | None:
        """See `Renderer`; the scene is a `LineScene`."""
        if mode == "ansi":
            return f"{table(scene.binned())}\nglobal state: {scene.global_state:.3f}"
        if mode not in {"rgb_array", "human"}:
            return super().render(scene.binned(), mode)  # refuses the mode
        from kofn.envs.picture_line import picture  # noqa: PLC0415 - loads matplotlib, which nothing else here needs

        image = picture(scene)
        if mode == "rgb_array":
            return image
        if self._window is None:
            self._window = _Window(self._fps)
        self._window.show(image, scene.title)
        return None
