"""`kofn report RUN`: one HTML page that holds everything: configuration, tables, figures, how to reproduce it.

The page needs no other file and no network: figures are embedded (SVG), styles are inline, there are no scripts.
"""

import base64
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kofn.agents.alternation.multi_start_files import STARTS_FOLDER
from kofn.envs.files import naming_damage, read_json, write_text
from kofn.experiments.plots.data import Row, distinct, read_csv, setting_columns, values
from kofn.experiments.plots.redraw import is_sweep, read_tables, redraw
from kofn.experiments.report_page import PAGE
from kofn.experiments.run_command import train_command
from kofn.experiments.statistics import Interval, aggregate, paired_difference, probability_of_improvement
from kofn.experiments.sweeps.folder import read_cells, read_sweep
from kofn.experiments.sweeps.grid import BASE_COLUMNS, flat, varied_fields

REPORT_FILE = "report.html"

FURTHER_TABLES = {
    "gain.csv": "Where the gain over the paper's method comes from",
    "equilibria.csv": "Equilibria",
    "nash_gap.csv": "Nash gap: what either player could still gain",
}
"""Tables that some runs have, and what the report calls them."""


def write_report(folder: Path) -> Path:
    """Draw the figures of a run or a sweep again and write its page; returns the file.

    Raises:
        FileNotFoundError: neither a run nor a sweep is in the folder.
        ValueError: a file is damaged, or nothing is finished yet.
    """
    figures = [path for path in redraw(folder) if path.suffix == ".svg"]  # says so where nothing is finished
    with naming_damage(folder):
        sections = list(_sweep_sections(folder) if is_sweep(folder) else _run_sections(folder))
    sections.insert(1, ("Figures", "\n".join(map(_figure, figures))))
    body = "\n".join(f"<section><h2>{html.escape(title)}</h2>\n{content}\n</section>" for title, content in sections)
    page = PAGE.format(title=html.escape(folder.resolve().name), version=version("kofn"), body=body)
    write_text(folder / REPORT_FILE, page)
    return folder / REPORT_FILE


def _figure(path: Path) -> str:
    """An embedded figure."""
    data = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.stem.replace("_", " "))
    return (
        f'<figure><img alt="{name}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{name} (also as PDF and PNG: {html.escape(path.parent.name)}/{html.escape(path.stem)}.*)"
        "</figcaption></figure>"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table>"


def _table_of(rows: Sequence[Row]) -> str:
    """A table as read."""
    return table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "<p>None yet.</p>"


def _settings(content: Mapping[str, Any]) -> str:
    rows = [[name, json.dumps(value)] for name, value in flat(content).items()]
    return f"<details><summary>All settings</summary>{table(['setting', 'value'], rows)}</details>"


def _run_sections(folder: Path) -> Iterator[tuple[str, str]]:
    """Of one run."""
    content = read_json(folder / "config.json")
    evaluation = folder / "evaluation.csv"
    if evaluation.exists():
        lines = read_csv(evaluation)
        yield "Result", _table_of(lines)
    else:
        yield "Result", "<p>Not evaluated: the run was stopped before its end; go on with <code>--resume</code>.</p>"
    for name, title in FURTHER_TABLES.items():
        if (folder / name).exists():
            yield title, _table_of(read_csv(folder / name))
    history = read_csv(folder / "history.csv")
    yield "Proposals", _table_of(history)
    yield "Configuration", _settings(content)
    words = "these are of the start kept" if (folder / STARTS_FOLDER).exists() else "config.* is --alternation.*"
    yield (
        "How to reproduce",
        f"<p>With kofn {version('kofn')}, <code>{html.escape(train_command(folder, content))}</code>, with the same of "
        f"the settings above as were given to it ({words}), trains the same policies.</p>",
    )


def _sweep_sections(folder: Path) -> Iterator[tuple[str, str]]:
    """Of a sweep."""
    cells, tables = read_sweep(folder), read_tables(folder)
    found = read_cells(folder, cells)
    said = f"<p>{len(found.cells)} of {len(cells)} cells are finished."
    said += "".join(f" Damaged: {html.escape(path)} (run again with --resume)." for path in found.damaged)
    yield "Results", f"{said}</p>\n{results_table(tables.results)}"
    comparisons = comparison_rows(tables.results)
    if comparisons:
        header = ["better?", "than", "P(better), 95% interval", "paired difference, 95% interval"]
        names = [*compared_columns(tables.results), *header]
        yield "Comparisons (same seeds, same random numbers)", table(names, comparisons)
    yield "Configuration", _configuration(list(cells.values()))
    yield (
        "How to reproduce",
        "<p>The configuration of every cell is in <code>sweep.json</code>; the same cells give the same "
        f"<code>results.csv</code> with kofn {version('kofn')}. <code>kofn plot {html.escape(folder.name)}</code> "
        "draws the figures again from the tables.</p>",
    )


def _configuration(descriptions: Sequence[Mapping[str, Any]]) -> str:
    """What the cells share, and what differs between them."""
    flattened = [flat(description) for description in descriptions]
    differing = [*_base_differences(flattened), *varied_fields(descriptions)]
    shown = {name: list(dict.fromkeys(json.dumps(content.get(name)) for content in flattened)) for name in differing}
    varied = table(["varied", "values"], [[name, ", ".join(values)] for name, values in shown.items()])
    shared = {name: value for name, value in flattened[0].items() if name not in differing}
    return varied + _settings(shared)


def _base_differences(flattened: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in BASE_COLUMNS if len({json.dumps(content[name]) for content in flattened}) > 1]


def groups(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Lines by their settings and k; what is left is the seed."""
    names = [*setting_columns(rows), "k"]
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def results_table(rows: Sequence[Row]) -> str:
    """Per configuration: seeds, and mean, median and interquartile mean of the return with 95% intervals."""
    header = [*setting_columns(rows), "k", "seeds", "mean return", "median", "interquartile mean"]
    lines = []
    for key, members in groups(rows).items():
        scores = values(members, "return")
        found = [aggregate(scores, name, seed=[len(scores)]) for name in ("mean", "median", "iqm")]
        lines.append([*key, str(len(scores)), *map(in_words, found)])
    return table(header, lines)


def in_words(interval: Interval) -> str:
    """An estimate and its interval."""
    if interval.low != interval.low:  # nan: one run has none
        return f"{interval.estimate:.2f}"
    return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def compared_columns(rows: Sequence[Row]) -> list[str]:
    """Settings that tell the comparisons apart: game, k and what else has more than one value."""
    others = [name for name in setting_columns(rows) if name not in ("game", "learner")]
    return ["game", "k", *(name for name in others if len(distinct(rows, name)) > 1)]


def comparison_rows(rows: Sequence[Row]) -> list[list[str]]:
    """Every learner against the first, where both ran with the same seeds and are otherwise alike."""
    learners = distinct(rows, "learner")
    others = [name for name in [*setting_columns(rows), "k"] if name != "learner"]
    lines = []
    for key in dict.fromkeys(tuple(row[name] for name in others) for row in rows):
        alike = [row for row in rows if tuple(row[name] for name in others) == key]
        returns = {
            learner: {row["seed"]: float(row["return"]) for row in alike if row["learner"] == learner}
            for learner in learners
        }
        for learner in learners[1:]:
            seeds = [seed for seed in returns[learner] if seed in returns[learners[0]]]
            if seeds:
                first, second = ([returns[name][seed] for seed in seeds] for name in (learner, learners[0]))
                better = probability_of_improvement(first, second, seed=[len(seeds)])
                difference = paired_difference(first, second, seed=[len(seeds)])
                shown = dict(zip(others, key, strict=True))
                settings = [shown[name] for name in compared_columns(rows)]
                lines.append([*settings, learner, learners[0], in_words(better), in_words(difference)])
    return lines
