"""Run the benchmarks and print one table; the exit status is 1 when a limit is missed.

python benchmarks/run.py            all sizes, some minutes
python benchmarks/run.py --quick    what continuous integration runs, about a minute
"""

import argparse
import sys

import games
import homogenized_step
import interfaces
import riverswim
import subsampling
import warehouse_training
from result import HEADER

from kofn.experiments.tables import text_table


def main() -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    quick = parser.parse_args().quick
    figures = [
        *interfaces.measure(quick=quick),  # the shortest timings first, in a young process
        *homogenized_step.measure(quick=quick),
        *riverswim.measure(quick=quick),
        *subsampling.measure(quick=quick),
        *games.measure(quick=quick),
        *warehouse_training.measure(quick=quick),
    ]
    print(text_table(HEADER, [figure.cells() for figure in figures]))
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
