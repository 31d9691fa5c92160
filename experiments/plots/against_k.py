"""Quantities against k: return and runtime (the paper's Figure 6), mode accuracy, Nash gap, bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kofn.agents.bounds import GameSizes, theorem_4_8
from kofn.envs.game import TabularGame
from kofn.experiments.plots.data import Row, Series, series
from kofn.experiments.plots.save import COLOURS, GREY, MARKERS, agents_axis, labelled, legend_below

DELTA = 0.05
AGENTS_SEEN = "agents seen per step, k"
BAND = "mean over {n} seeds, 95% interval"


@dataclass(frozen=True, eq=False, kw_only=True)
class Points:
    """Somebody else's figures, drawn as points.

    Attributes:
        name: whose.
        values: k -> one value per run.
    """

    name: str
    values: Mapping[int, Sequence[float]]


def draw_series(axes: Axes, lines: Sequence[Series], statistic: str = "mean") -> None:
    """Each series as a line with its 95% band over seeds."""
    for index, line in enumerate(lines):
        found = line.intervals(statistic)
        colour = COLOURS[index % len(COLOURS)]
        label = f"kofn, {line.name} ({BAND.format(n=_seeds(line))})"
        estimates = [interval.estimate for interval in found]
        axes.plot(line.ks, estimates, marker=MARKERS[index % len(MARKERS)], color=colour, markersize=5, label=label)
        axes.fill_between(
            line.ks, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.2, linewidth=0
        )


def _seeds(line: Series) -> str:
    counts = sorted({len(scores) for scores in line.scores})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def draw_points(axes: Axes, points: Points, marker: str = "x") -> None:
    """Reference figures as black marks."""
    pairs = [(k, value) for k, values in points.values.items() for value in values]
    axes.plot(*zip(*pairs, strict=True), marker, color="black", markersize=7, label=points.name)


def _ks(lines: Sequence[Series], points: Points | None = None) -> list[int]:
    return sorted({k for line in lines for k in line.ks} | set(points.values if points is not None else ()))


def return_figure(
    rows: Sequence[Row],
    timings: Sequence[Row],
    title: str,
    returns: Points | None = None,
    seconds: Points | None = None,
) -> Figure:
    """Return and training time against k (compare the paper's Figure 6)."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    lines, times = series(rows, "return"), series(timings, "train_cpu_seconds")
    labelled(left, AGENTS_SEEN, "mean discounted return per episode")
    labelled(right, AGENTS_SEEN, "training time (CPU seconds, log scale)")
    draw_series(left, lines)
    draw_series(right, times)
    for axes, drawn, points in ((left, lines, returns), (right, times, seconds)):
        if points is not None:
            draw_points(axes, points)
        agents_axis(axes, _ks(drawn, points))
        legend_below(axes)
    right.set_yscale("log")
    figure.suptitle(title)
    return figure


def accuracy_figure(rows: Sequence[Row], title: str) -> Figure:
    """Mode accuracy against k: how often the global agent stands where most local agents are (Figure 7)."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = labelled(figure.add_subplot(), AGENTS_SEEN, "steps in the most crowded place (%)", title)
    lines = [
        Series(name=line.name, ks=line.ks, scores=tuple(100 * scores for scores in line.scores))
        for line in series(rows, "mode_accuracy")
    ]
    draw_series(axes, lines)
    agents_axis(axes, _ks(lines))
    axes.set_ylim(0, 100)
    legend_below(axes)
    return figure


def gap_figure(rows: Sequence[Row], title: str) -> Figure:
    """Bracket of the Nash gap against k, and the 1/sqrt(k) guide through the first upper end."""
    figure = Figure(figsize=(6.5, 4.4), layout="constrained")
    axes = labelled(figure.add_subplot(), AGENTS_SEEN, "Nash gap (discounted return)", title)
    for index, (low, high) in enumerate(zip(series(rows, "gap_lower"), series(rows, "gap_upper"), strict=True)):
        _draw_bracket(axes, low, high, COLOURS[index % len(COLOURS)])
    ks = _ks(series(rows, "gap_upper"))
    first = max(line.intervals()[0].estimate for line in series(rows, "gap_upper"))
    guide = first * np.sqrt(ks[0] / np.array(ks))
    axes.plot(ks, guide, ":", color=GREY, label=r"guide proportional to $1/\sqrt{k}$")
    agents_axis(axes, ks)
    axes.set_ylim(bottom=0)
    legend_below(axes)
    return figure


def _draw_bracket(axes: Axes, low: Series, high: Series, colour: str) -> None:
    """What the gap is at least and at most: means over seeds, and the interval of each end."""
    for line, style, end in ((high, "-", "at most"), (low, "--", "at least")):
        found = line.intervals()
        means = np.array([one.estimate for one in found])
        ends = np.array([[one.low for one in found], [one.high for one in found]])
        errors = np.nan_to_num(np.abs(ends - means))  # one seed has no interval
        label = f"kofn, {line.name}: {end} ({BAND.format(n=_seeds(line))})"
        options: dict[str, Any] = {"linestyle": style, "marker": "o", "markersize": 4, "capsize": 3, "color": colour}
        axes.errorbar(line.ks, means, yerr=errors, label=label, **options)
    floor, ceiling = ([one.estimate for one in line.intervals()] for line in (low, high))
    axes.fill_between(high.ks, floor, ceiling, color=colour, alpha=0.15)


def bound_figure(rows: Sequence[Row], game: TabularGame, title: str) -> Figure:
    """The measured gap beside what Theorem 4.8 promises, on a logarithmic scale."""
    figure = Figure(figsize=(6.5, 4.4), layout="constrained")
    axes = labelled(figure.add_subplot(), AGENTS_SEEN, "Nash gap (discounted return, log scale)", title)
    measured = series(rows, "gap_upper")
    draw_series(axes, [Series(name=f"{one.name}: measured, at most", ks=one.ks, scores=one.scores) for one in measured])
    n_agents, sizes, ks = int(rows[0]["n_agents"]), GameSizes.of(game), _ks(measured)
    promised = [theorem_4_8(k, n_agents, sizes, delta=DELTA).gap.value for k in ks]
    axes.plot(ks, promised, "-.", color=COLOURS[3], label=f"Theorem 4.8, with probability {1 - DELTA}")
    axes.axhline(sizes.value_bound, color=GREY, linestyle=":", label="largest possible value")
    agents_axis(axes, ks)
    axes.set_yscale("log")
    legend_below(axes)
    return figure


def continuous_figure(rows: Sequence[Row], title: str, points: Sequence[Points] = ()) -> Figure:
    """Return and mode accuracy of the continuous game against k."""
    accuracies = series(rows, "mode_accuracy")
    figure = Figure(figsize=(11 if accuracies else 6.5, 4.4), layout="constrained")
    panels = figure.subplots(1, 2 if accuracies else 1, squeeze=False)[0]
    lines = series(rows, "return")
    draw_series(labelled(panels[0], AGENTS_SEEN, "mean discounted return per episode"), lines)
    for index, reference in enumerate(points):
        draw_points(panels[0], reference, "x+1"[index % 3])
    agents_axis(panels[0], sorted({*_ks(lines), *(k for reference in points for k in reference.values)}))
    legend_below(panels[0])
    if accuracies:
        shares = [Series(name=one.name, ks=one.ks, scores=tuple(100 * s for s in one.scores)) for one in accuracies]
        draw_series(labelled(panels[1], AGENTS_SEEN, "steps in the most crowded place (%)"), shares)
        agents_axis(panels[1], _ks(shares))
        panels[1].set_ylim(0, 100)
        legend_below(panels[1])
    figure.suptitle(title)
    return figure
