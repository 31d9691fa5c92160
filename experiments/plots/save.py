"""Figures as files: SVG, PDF and PNG, atomically, the same bytes for the same figure."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kofn.envs.files import plain_name, write_atomically

FORMATS = ("svg", "pdf", "png")
_NO_DATE: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}
BLUE, ORANGE, GREEN, VERMILLION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, "#CC79A7", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's, which remain distinct under colour blindness."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One per series besides its colour."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, in the format of the file's suffix."""
    kind = path.suffix.removeprefix(".")
    FigureCanvasAgg(figure)  # attaches itself
    # A fixed salt makes the identifiers inside an SVG repeat; type 42 keeps text in a PDF as text.
    with mpl.rc_context({"svg.hashsalt": "kofn", "pdf.fonttype": 42}):
        write_atomically(path, lambda file: figure.savefig(file, format=kind, dpi=120, metadata=_NO_DATE[kind]))


def save_in_formats(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure in every format; returns the files."""
    paths = [folder / f"{plain_name('figure', name)}.{kind}" for kind in FORMATS]
    for path in paths:
        save_figure(figure, path)
    return paths


def labelled(axes: Axes, x_label: str, y_label: str, title: str | None = None) -> Axes:
    """Axes with labels, a title and a faint grid."""
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if title is not None:
        axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    return axes


def agents_axis(axes: Axes, ks: Sequence[int]) -> None:
    """A logarithmic axis of numbers of agents with a tick at each."""
    axes.set_xscale("log")
    axes.set_xticks(list(ks), [str(k) for k in ks])
    axes.minorticks_off()


def legend_below(axes: Axes) -> None:
    """A legend under the axes, where it can hide no point."""
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
