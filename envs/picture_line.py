"""The picture of a population on a line.

From top to bottom: the density of all agents in cells of a twentieth of the line's mean bin, with the bins shaded in
turn and the share of agents in each; the sampled agents one by one, each a stroke; and the line itself with the
landmarks and the global agent. Where the agents outnumber the strokes that can be told apart, strokes overlap.

A picture is a function of its scene: nothing is drawn at random, and neither pyplot nor matplotlib's settings matter.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kofn.envs.picture_canvas import BLACK, BLUE, GREY, ORANGE, YELLOW, ZONE_EDGE, ZONE_FILL
from kofn.envs.render import Image
from kofn.envs.render_line import LineScene

WIDTH, HEIGHT, DPI = 960, 544, 100  # multiples of 16, which video encoders ask for
CELLS_PER_BIN = 20


def picture(scene: LineScene) -> Image:
    """The scene as an image, uint8 [height, width, 3]."""
    with mpl.rc_context():
        mpl.rcdefaults()
        figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
        axes: Any = figure.add_axes((0.05, 0.12, 0.9, 0.68))
        top = _draw_density(axes, scene)
        _draw_bins(axes, scene, top)
        _draw_sample(axes, scene, top)
        _draw_line(axes, scene, top)
        _draw_words(figure, scene)
        axes.set(xlim=scene.span, ylim=(-0.42 * top, 1.16 * top), yticks=[], xticks=np.round(scene.bin_edges, 6))
        axes.spines[["left", "right", "top"]].set_visible(False)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()


def _draw_density(axes: Any, scene: LineScene) -> float:
    """Agents per cell; returns the height of the largest cell."""
    low, high = scene.bin_edges[0], scene.bin_edges[-1]
    counts, edges = np.histogram(scene.local_states, CELLS_PER_BIN * (len(scene.bin_edges) - 1), (low, high))
    axes.stairs(counts, edges, fill=True, color=BLUE, zorder=2)
    return float(counts.max())


def _draw_bins(axes: Any, scene: LineScene, top: float) -> None:
    """The bins, and how many agents, and sampled agents, are in each."""
    counts = scene.counts(scene.local_states)
    sampled = None if scene.sampled is None else scene.counts(scene.sampled)
    for number, (left, right) in enumerate(zip(scene.bin_edges, scene.bin_edges[1:], strict=False)):
        axes.axvspan(left, right, facecolor=ZONE_FILL if number % 2 == 0 else "white", zorder=0)
        words = f"{counts[number]:,}" if sampled is None else f"{sampled[number]:,} of {counts[number]:,}"
        axes.text((left + right) / 2, 1.06 * top, words, ha="center", color=GREY, size=11)


def _draw_sample(axes: Any, scene: LineScene, top: float) -> None:
    if scene.sampled is not None:
        axes.vlines(scene.sampled, -0.16 * top, -0.02 * top, color=ORANGE, linewidth=1.6, zorder=3)


def _draw_line(axes: Any, scene: LineScene, top: float) -> None:
    """The landmarks, and the global agent among them."""
    height = -0.3 * top
    axes.hlines(height, *scene.span, color=ZONE_EDGE, linewidth=1.2, zorder=1)
    axes.plot(scene.landmarks, np.full(len(scene.landmarks), height), "D", color=GREY, markersize=7, zorder=3)
    axes.vlines(scene.global_state, height, top, color=BLACK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=4)
    axes.plot([scene.global_state], [height], "o", color=YELLOW, markeredgecolor=BLACK, markersize=17, zorder=5)


def _draw_words(figure: Figure, scene: LineScene) -> None:
    """Title, step, what the global agent sees, and the meaning of the marks."""
    figure.text(0.02, 0.93, scene.title, size=16, weight="bold", parse_math=False)
    figure.text(0.98, 0.93, f"step {scene.timestep:,}", size=14, color=GREY, ha="right")
    figure.text(0.02, 0.88, scene.binned().view, size=10.5, color=GREY)
    marks = [(YELLOW, f"the global agent, at {scene.global_state:.2f}"), (GREY, "landmarks"), (BLUE, "agents")]
    if scene.sampled is not None:
        marks.append((ORANGE, "sampled agents"))
    for number, (colour, words) in enumerate(marks):
        figure.text(0.02 + 0.26 * number, 0.025, "■", size=12, color=colour)
        figure.text(0.045 + 0.26 * number, 0.027, words, size=10)
