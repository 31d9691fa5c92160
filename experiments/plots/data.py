"""Tables of a sweep as figures and reports use them: read from CSV, grouped, with intervals over seeds."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kofn.envs.arrays import FloatArray
from kofn.experiments.folders import SWEEP_FILE
from kofn.experiments.statistics import Interval, aggregate

Row = Mapping[str, str]


def read_csv(path: Path) -> list[dict[str, str]]:
    """Lines of a table.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is damaged (the message names it), or the file is no table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a table ({error}); {_mending(path)}") from None
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(
                f"{path}, line {number} is damaged: {len(header)} columns expected, {len(line)} found; {_mending(path)}"
            )
    return [dict(zip(header, line, strict=True)) for line in lines]


def _mending(path: Path) -> str:
    """What helps a damaged table: a sweep has its cells to write it again, a run all but its history."""
    if (path.parent / SWEEP_FILE).exists():
        return "write the tables again from the cells with --resume"
    if path.name == "history.csv":
        return "restore it from a copy, or train again with --overwrite"
    return "the run's own command with --resume writes it again"


def read_optional(path: Path) -> list[dict[str, str]]:
    """Lines of a table that need not exist."""
    return read_csv(path) if path.exists() else []


@dataclass(frozen=True, eq=False, kw_only=True)
class Series:
    """One quantity of one learner on one game, against k.

    Attributes:
        name: what the legend says.
        ks: numbers of agents seen, ascending.
        scores: one array [seed] per k.
    """

    name: str
    ks: tuple[int, ...]
    scores: tuple[FloatArray, ...]

    def intervals(self, statistic: str = "mean") -> list[Interval]:
        """The statistic over seeds, with its 95% interval, per k."""
        # The seed is the data's own position, so that a figure repeats.
        pairs = zip(self.ks, self.scores, strict=True)
        return [aggregate(scores, statistic, seed=[k, len(scores)]) for k, scores in pairs]


def values(rows: Iterable[Row], column: str) -> FloatArray:
    """A column of numbers; lines where it is empty or missing are left out."""
    return np.array([float(row[column]) for row in rows if row.get(column, "") != ""])


def distinct(rows: Iterable[Row], column: str) -> list[str]:
    """Values of a column in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def series(rows: Sequence[Row], column: str) -> list[Series]:
    """A column against k, one series per combination of the other settings (seeds apart)."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    names = setting_columns(rows)
    for row in rows:
        groups.setdefault(tuple((name, row[name]) for name in names), []).append(row)
    varied = [name for name in names if len(distinct(rows, name)) > 1]
    found = []
    for key, members in groups.items():
        ks = sorted({int(row["k"]) for row in members})
        scores = [values((row for row in members if int(row["k"]) == k), column) for k in ks]
        kept = [(k, score) for k, score in zip(ks, scores, strict=True) if len(score)]
        if kept:
            said = [value if name == "learner" else f"{name} = {value}" for name, value in key if name in varied]
            name = ", ".join(said) if said else dict(key)["learner"]
            found.append(Series(name=name, ks=tuple(k for k, _ in kept), scores=tuple(score for _, score in kept)))
    return found


def setting_columns(rows: Sequence[Row]) -> list[str]:
    """Columns that are settings, without cell, k and seed: those before the first result."""
    columns = list(rows[0]) if rows else []
    ends = [columns.index(name) for name in ("return", "train_seconds") if name in columns]
    return [name for name in columns[: min(ends, default=len(columns))] if name not in ("cell", "k", "seed")]
