"""Episodes and histories of a sweep: zone heatmaps per k (the paper's Figure 7), potential per proposal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from kofn.envs.continuous import ContinuousGame
from kofn.envs.model import Game
from kofn.experiments.line_episode import draw_line, episode_of
from kofn.experiments.plots.data import Row, distinct
from kofn.experiments.plots.save import BLUE, COLOURS, MARKERS, ORANGE, VERMILLION, labelled
from kofn.experiments.trajectory import Trajectory, global_state_is_place

MAX_PANELS = 6


def trajectory_of(lines: Sequence[Row]) -> Trajectory:
    """A recorded episode from its lines in episodes.csv."""
    return Trajectory(
        global_states=np.array([int(line["global_state"]) for line in lines]),
        global_actions=np.array([int(line["global_action"]) for line in lines]),
        counts=np.array([[int(count) for count in line["counts"].split()] for line in lines]),
    )


def spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many of the items, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[index] for index in chosen]


def heatmap_figure(
    rows: Sequence[Row], episodes: Sequence[Row], game: Game | ContinuousGame, title: str
) -> Figure | None:
    """Where the local agents were in one episode, and where the global agent was, for several k.

    None when the game's global states are not places, or no episode is recorded.
    """
    recorded = {cell: [line for line in episodes if line["cell"] == cell] for cell in distinct(episodes, "cell")}
    first_of = {int(row["k"]): row["cell"] for row in reversed(rows) if row["cell"] in recorded}
    if not first_of or not (isinstance(game, ContinuousGame) or global_state_is_place(game)):
        return None
    ks = spread(sorted(first_of), MAX_PANELS)
    shown = next(f"learner {row['learner']}, seed {row['seed']}" for row in rows if row["cell"] in recorded)
    figure = Figure(figsize=(11, 1 + 1.55 * len(ks)), layout="constrained")
    panels = figure.subplots(len(ks), 1, sharex=True, squeeze=False)[:, 0]
    for axes, k in zip(panels, ks, strict=True):
        lines = recorded[first_of[k]]
        image, met = _draw_episode(axes, lines, game)
        axes.set_title(f"k = {k}: in the most crowded place {met:.0%} of the time", fontsize="small")
    figure.colorbar(image, ax=list(panels), label="share of local agents", pad=0.01)
    panels[-1].set_xlabel("step")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    figure.suptitle(f"{title}: one episode of {shown}")
    return figure


def _draw_episode(axes: Axes, lines: Sequence[Row], game: Game | ContinuousGame) -> tuple[AxesImage, float]:
    """A panel, and how often the global agent was in the most crowded place."""
    if not isinstance(game, ContinuousGame):
        return _draw_places(axes, lines, game)
    trajectory = episode_of(lines)
    return draw_line(axes, trajectory, game), float(trajectory.at_mode(game).mean())


def _draw_places(axes: Axes, lines: Sequence[Row], game: Game) -> tuple[AxesImage, float]:
    """A panel of local states, and how often the global agent stood in the most crowded one."""
    trajectory = trajectory_of(lines)
    shares = trajectory.counts / trajectory.counts.sum(axis=1, keepdims=True)
    image = axes.imshow(shares.T, aspect="auto", origin="lower", cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    steps = np.arange(len(trajectory.global_states))
    axes.scatter(steps, trajectory.modes, marker="s", s=12, facecolors="none", edgecolors=VERMILLION, label="true mode")
    axes.step(steps, trajectory.global_states, where="mid", color=BLUE, label="global agent's state")
    axes.scatter(steps, trajectory.global_actions, marker=".", s=10, color=ORANGE, label="its choice", zorder=3)
    axes.set_yticks(range(game.n_local_states), game.labels.local_states, fontsize="small")
    return image, float(trajectory.at_mode().mean())


def histories_figure(rows: Sequence[Row], history: Sequence[Row], title: str) -> Figure | None:
    """The potential kept after every proposal, one line per run, one colour per k; None without a history."""
    lines = {cell: [line for line in history if line["cell"] == cell] for cell in distinct(history, "cell")}
    shown = [row for row in rows if row["cell"] in lines]
    if not shown:
        return None
    ks = spread(sorted({int(row["k"]) for row in shown}), len(COLOURS))
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = labelled(figure.add_subplot(), "proposal", "potential kept (discounted return)", title)
    labelled_ks: set[int] = set()
    for row in shown:
        k = int(row["k"])
        if k not in ks:
            continue
        index = ks.index(k)
        label = None if k in labelled_ks else f"k = {k}"
        labelled_ks.add(k)
        potentials = kept_potentials(lines[row["cell"]])
        style: dict[str, Any] = {"color": COLOURS[index], "marker": MARKERS[index], "markersize": 4, "alpha": 0.7}
        axes.step(range(len(potentials)), potentials, where="post", label=label, **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small", title="one line per run")
    return figure


def kept_potentials(lines: Sequence[Row]) -> list[float]:
    """The potential before the first proposal and after each."""
    after = [float(line["proposed_potential" if line["verdict"] == "accept" else "potential"]) for line in lines]
    return [float(lines[0]["potential"]), *after]
