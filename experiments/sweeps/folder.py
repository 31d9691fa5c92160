"""The folder of a sweep.

| file | content |
|---|---|
| `sweep.json` | the cells: configuration hash -> configuration; the version of kofn |
| `cells/HASH.json` | what a finished cell found, written atomically when it finished: the source of the tables |
| `results.csv` | one line per finished cell, in the order of `sweep.json`: the same however the cells were run |
| `timings.csv` | seconds of every cell, which differ from run to run |
| `history.csv`, `episodes.csv` | every proposal of every cell; one episode of each |
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kofn.envs.files import FORMAT_VERSION, check_header, naming_damage, plain_name, read_json, write_json, write_text
from kofn.experiments.folders import CELL_KIND, SWEEP_FILE, SWEEP_KIND, claim, clear
from kofn.experiments.sweeps.cells import EPISODE_COLUMNS, CellOutcome
from kofn.experiments.sweeps.grid import BASE_COLUMNS, flattened, option_fields, varied_fields


@dataclass(frozen=True, eq=False, kw_only=True)
class Finished:
    """The cells found in a folder.

    Attributes:
        cells: hash -> outcome, in the order of the sweep.
        damaged: file name -> why it cannot be read.
    """

    cells: dict[str, CellOutcome]
    damaged: dict[str, str]


def read_sweep(folder: Path) -> dict[str, dict[str, Any]]:
    """The configurations of a sweep by hash.

    Raises:
        FileNotFoundError: there is no sweep in the folder.
        ValueError: its description is damaged, or was written by a newer version.
    """
    return _read_description(folder)[0]


def _read_description(folder: Path) -> tuple[dict[str, dict[str, Any]], str]:
    path = folder / SWEEP_FILE
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no sweep: there is no {SWEEP_FILE}")
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object; it holds a {type(content).__name__}")
    check_header(path, SWEEP_KIND, content.get("kind"), content.get("format_version"))
    with naming_damage(path):
        return {plain_name("cell", name): dict(cell) for name, cell in dict(content["cells"]).items()}, content["kofn"]


def start_sweep(
    folder: Path, cells: Mapping[str, dict[str, Any]], *, resume: bool, overwrite: bool
) -> dict[str, dict[str, Any]]:
    """Write or extend the description of a sweep; returns all its cells, those of earlier calls first.

    Raises:
        FileExistsError: the folder holds a sweep, and neither `resume` nor `overwrite` was asked for, or it is no
            sweep's.
        ValueError: it was started with another version of kofn, or its description is damaged.
    """
    earlier: dict[str, dict[str, Any]] = {}
    claim(folder, "sweep")
    if (folder / SWEEP_FILE).exists() and not overwrite:
        if not resume:
            raise FileExistsError(f"{folder} already holds a sweep; pass --resume, --overwrite or another --folder")
        earlier, found = _read_description(folder)
        if found != version("kofn"):
            raise ValueError(
                f"{folder} was started with kofn {found}; this is {version('kofn')}: its cells would not be "
                f"comparable. Go on with kofn {found}, or choose another --folder (nothing here was changed)"
            )
    if overwrite:
        clear(folder, "sweep")
    merged = {**earlier, **cells}
    header = {"kind": SWEEP_KIND, "format_version": FORMAT_VERSION, "kofn": version("kofn")}
    write_json(folder / SWEEP_FILE, {**header, "cells": merged})
    return merged


def write_cell(folder: Path, name: str, outcome: CellOutcome) -> None:
    """Write one finished cell."""
    header = {"kind": CELL_KIND, "format_version": FORMAT_VERSION, "cell": name}
    write_json(_cell_file(folder, name), {**header, **asdict(outcome)})


def _cell_file(folder: Path, name: str) -> Path:
    return folder / "cells" / f"{plain_name('cell', name)}.json"


def read_cells(folder: Path, names: Iterable[str]) -> Finished:
    """The finished cells among `names`; a damaged file is named, and costs no other."""
    cells, damaged = {}, {}
    for name in names:
        path = _cell_file(folder, name)
        if not path.exists():
            continue
        try:
            cells[name] = _read_cell(path, name)
        except ValueError as error:
            damaged[str(path)] = str(error)
    return Finished(cells=cells, damaged=damaged)


def _read_cell(path: Path, name: str) -> CellOutcome:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object; it holds a {type(content).__name__}")
    check_header(path, CELL_KIND, content.get("kind"), content.get("format_version"))
    with naming_damage(path):
        if content["cell"] != name:
            raise ValueError(f"it is the file of cell {content['cell']}")
        return CellOutcome(**{field.name: content[field.name] for field in fields(CellOutcome)})


def write_tables(folder: Path, cells: Mapping[str, dict[str, Any]], finished: Mapping[str, CellOutcome]) -> None:
    """Write the tables of the finished cells."""
    done = [name for name in cells if name in finished]
    descriptions = list(cells.values())
    columns = dict.fromkeys((*BASE_COLUMNS, *option_fields(descriptions), *varied_fields(descriptions)))
    settings = dict(zip(cells, flattened(descriptions), strict=True))
    rows, timings = [], []
    for name in done:
        shown = {"cell": name, **{column: settings[name].get(column) for column in columns}}
        rows.append({**shown, **finished[name].row})
        timings.append({**shown, **finished[name].timing})
    history = [{"cell": name, **line} for name in done for line in finished[name].history]
    episodes = [line for name in done for line in _episode_lines(name, finished[name].episode)]
    for title, lines in (("results", rows), ("timings", timings), ("history", history), ("episodes", episodes)):
        write_text(folder / f"{title}.csv", csv_text(lines))


def _episode_lines(name: str, episode: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lines of episodes.csv; the counts per local state stand in one column, separated by spaces."""
    if not episode:
        return []
    columns = (episode[name] for name in EPISODE_COLUMNS)
    return [
        {
            "cell": name,
            "step": step,
            "global_state": state,
            "global_action": action,
            "counts": " ".join(map(str, counts)),
        }
        for step, (state, action, counts) in enumerate(zip(*columns, strict=True))
    ]


def csv_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """Lines as CSV, with every column that occurs; floats round-trip exactly, None is empty."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
