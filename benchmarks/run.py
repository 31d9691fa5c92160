"""Run the benchmarks and print one table; the exit status is 1 when a limit is missed.

python benchmarks/run.py            all sizes, some minutes
python benchmarks/run.py --quick    what continuous integration runs, about a minute
                         --page F   also write the figures to a page, as docs/benchmarks.md
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import games
import homogenized_step
import interfaces
import operators
import riverswim
import subsampling
import warehouse_training
from result import HEADER, Figure

from kofn.experiments.tables import text_table


def main() -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--page", type=Path, help="Markdown file to write the figures to")
    arguments = parser.parse_args()
    quick = arguments.quick
    figures = [
        *interfaces.measure(quick=quick),  # the shortest timings first, in a young process
        *homogenized_step.measure(quick=quick),
        *operators.measure(quick=quick),
        *riverswim.measure(quick=quick),
        *subsampling.measure(quick=quick),
        *games.measure(quick=quick),
        *warehouse_training.measure(quick=quick),
    ]
    print(text_table(HEADER, [figure.cells() for figure in figures]))
    if arguments.page is not None:
        arguments.page.write_text(page(figures, quick=quick), encoding="utf-8")
    return 0 if all(figure.kept for figure in figures) else 1


def page(figures: Sequence[Figure], *, quick: bool) -> str:
    """The figures as a page of the documentation."""
    rows = [f"| {' | '.join(cell.replace('|', '/') for cell in figure.cells())} |" for figure in figures]
    head = f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}"
    command = f"python benchmarks/run.py{' --quick' if quick else ''}"
    return "\n".join(
        [f"# Benchmarks\n\nFigures of the last run of `{command}`, with kofn {version('kofn')}.\n", head, *rows, ""]
    )


if __name__ == "__main__":
    sys.exit(main())
