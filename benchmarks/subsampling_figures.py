"""Draw the SUBSAMPLE-MFQ paper's two experiments anew, return against k: `python benchmarks/subsampling_figures.py`.

Writes `docs/images/mfq_<game>.png` and its numbers, `mfq_<game>.csv`; some minutes. What is measured, and how, is in
`subsampling.py`.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from subsampling import (
    ALTERNATING,
    INSTANCES,
    MFQ,
    N_ROLLOUTS,
    SEEDS,
    Curve,
    centralised_optimum,
    measure_curve,
)

from kofn.experiments.figures import BLUE, GREY, ORANGE, save_figure

IMAGES = Path(__file__).parents[1] / "docs" / "images"
STYLES = {MFQ: (BLUE, "o", -1), ALTERNATING: (ORANGE, "s", 1)}


def draw(curves: list[Curve], title: str) -> matplotlib.figure.Figure:
    """Returns above and paired gains over the smallest k below, one column per instance."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 7), layout="constrained")
    figure.suptitle(title)
    instances = list(dict.fromkeys(id(curve.instance) for curve in curves))
    rows = figure.subplots(2, len(instances), sharex="col", squeeze=False)
    for column, instance in enumerate(instances):
        here = [curve for curve in curves if id(curve.instance) == instance]
        draw_instance(rows[:, column], here)
    rows[0, 0].set_ylabel("discounted return")
    rows[1, 0].set_ylabel("gain over the same method at k = 1")
    handles, labels = rows[0, -1].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(list(unique.values()), list(unique), loc="outside lower center", ncols=3)
    return figure


def draw_instance(rows: np.ndarray, curves: list[Curve]) -> None:
    """Both rows of one instance."""
    instance = curves[0].instance
    for axes, over_first in zip(rows, (False, True), strict=True):
        for curve in curves:
            draw_curve(axes, curve, over_first=over_first)
        axes.set_xticks(range(1, max(instance.ks) + 1))
        axes.set_xlim(0.6, max(instance.ks) + 0.4)
        axes.grid(alpha=0.3)
    if instance.optimum_known:
        rows[0].axhline(
            centralised_optimum(instance), color=GREY, linestyle="--", label="full information: centralised optimum"
        )
    rows[1].axhline(0, color=GREY, linewidth=0.8)
    rows[1].set_xlabel("k, agents seen")
    rows[0].set_title(f"{instance.title}\nn = {instance.n_agents:,}, {instance.horizon} steps", fontsize="medium")


def draw_curve(axes: Axes, curve: Curve, *, over_first: bool) -> None:
    """Means with 95% intervals, set slightly apart where the two methods share a k."""
    mean, half_width = curve.interval(over_first=over_first)
    colour, marker, side = STYLES[curve.method]
    places = np.array(curve.instance.ks) + 0.04 * side
    axes.errorbar(places, mean, half_width, color=colour, marker=marker, capsize=3, label=curve.method)


HEADER = [
    "game", "instance", "n", "horizon", "method", "k", "seeds", "rollouts",
    "return", "half_width_95", "gain_over_first_k", "gain_half_width_95", "slowest_training_seconds", "optimum",
]  # fmt: skip


def table_rows(name: str, curve: Curve) -> Iterator[list[object]]:
    """One line per k."""
    instance, at = curve.instance, curve.interval(over_first=False)
    gain = curve.interval(over_first=True)
    optimum = f"{centralised_optimum(instance):.4f}" if instance.optimum_known else ""
    for row, k in enumerate(instance.ks):
        numbers = [at[0][row], at[1][row], gain[0][row], gain[1][row]]
        yield [
            name, instance.title, instance.n_agents, instance.horizon, curve.method, k, len(SEEDS),
            N_ROLLOUTS, *(f"{number:.4f}" for number in numbers), f"{curve.seconds[row].max():.1f}", optimum,
        ]  # fmt: skip


def report(name: str, curves: list[Curve], folder: Path) -> None:
    """Write mfq_<name>.png and mfq_<name>.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    title = (
        f"{name.replace('_', ' ')}: mean over {len(SEEDS)} seeds of {N_ROLLOUTS} rollouts, with 95% intervals (Student)"
    )
    save_figure(draw(curves, title), folder / f"mfq_{name}.png")
    with (folder / f"mfq_{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for curve in curves:
            writer.writerows(table_rows(name, curve))


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description="Return against k, SUBSAMPLE-MFQ beside ALTERNATING-MARL.")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where to write the figures and tables")
    parser.add_argument("--game", choices=list(INSTANCES), help="only this game")
    options = parser.parse_args()
    for name in [options.game] if options.game is not None else INSTANCES:
        curves = [measure_curve(instance, method) for instance in INSTANCES[name] for method in STYLES]
        report(name, curves, options.folder)


if __name__ == "__main__":
    main()
