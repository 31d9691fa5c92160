"""Tables of a run as CSV files, written atomically."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from kofn.agents import Evaluation
from kofn.envs.files import write_text


def write_evaluations(folder: Path, start: Evaluation, trained: Evaluation) -> None:
    """Write `evaluation.csv`: the start pair and the trained one."""
    rows = [
        (name, result.n_agents, result.k, result.horizon, result.n_rollouts, result.mean, result.standard_error)
        for name, result in (("start", start), ("trained", trained))
    ]
    header = ["policies", "n_agents", "k", "horizon", "n_rollouts", "mean", "standard_error"]
    write_rows(folder / "evaluation.csv", header, rows)


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table; floats round-trip exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
