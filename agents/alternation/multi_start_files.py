"""Files of a multi-start run besides its models': where every start ended.

The folder of a run is a model's folder (the best pair, `model_files`) with `starts/NAME/`, a model's folder for every
start begun, and `equilibria.csv`, one line per start.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from kofn.agents.alternation.alternating import AlternatingMARL
from kofn.agents.alternation.multi_start_result import Equilibrium
from kofn.envs.files import write_text

COLUMNS = ("start", "potential", "standard_error", "converged", "n_proposals", "same_as")


def write_equilibria(folder: Path, equilibria: Sequence[Equilibrium]) -> None:
    """Write `equilibria.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(equilibrium, column) for column in COLUMNS] for equilibrium in equilibria)
    write_text(folder / "equilibria.csv", text.getvalue())


def read_done(folder: Path, name: str) -> AlternatingMARL | None:
    """The alternation of a start as the folder has it; None when it was not begun."""
    place = folder / "starts" / name
    return AlternatingMARL.load(place) if (place / "config.json").exists() else None
