"""Figures of sweeps show what the tables hold; `kofn plot` and `kofn report` need nothing but the tables."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from kofn.agents import AlternatingConfig
from kofn.envs.registration import registered_game
from kofn.experiments import cli
from kofn.experiments.config import ReproduceConfig, TrainConfig
from kofn.experiments.plots import save
from kofn.experiments.plots.against_k import (
    Points,
    accuracy_figure,
    bound_figure,
    continuous_figure,
    gap_figure,
    return_figure,
)
from kofn.experiments.plots.data import read_csv, series
from kofn.experiments.plots.episodes import heatmap_figure, histories_figure, kept_potentials, trajectory_of
from kofn.experiments.plots.redraw import read_tables, redraw
from kofn.experiments.reference.load import authors_published, authors_returns, authors_seconds
from kofn.experiments.report import compared_columns, comparison_rows, write_report
from kofn.experiments.reproduce import PLANS, reproduce
from kofn.experiments.statistics import aggregate, paired_difference
from kofn.experiments.sweeps.grid import grid
from kofn.experiments.sweeps.sweep import sweep

TINY = {
    "n_agents": 6,
    "n_rollouts": 20,
    "alternation": AlternatingConfig(n_rollouts=40, max_alternations=1, horizon=15),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two learners on the warehouse, and one with Nash gaps on another game."""
    base = TrainConfig(game="warehouse_dispatch", max_cycles=12, **TINY)
    tasks = grid(base, {"learner": ["paper", "mean_field"], "k": [1, 2], "seed": range(2)})
    gaps = TrainConfig(game="formation", learner="paper", max_cycles=5, nash_gap=True, **{**TINY, "n_agents": 2})
    folder = tmp_path_factory.mktemp("sweep") / "a sweep"
    with ThreadPoolExecutor(1) as executor:
        result = sweep([*tasks, *grid(gaps, {"k": [1, 2]})], executor, folder=folder)
    assert not result.failures
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    return read_tables(folder)


@pytest.fixture(scope="module")
def warehouse(tables):
    return [row for row in tables.results if row["game"] == "warehouse_dispatch"]


def test_series_group_by_everything_but_k_and_seed(warehouse):
    found = series(warehouse, "return")
    assert [(line.name, line.ks) for line in found] == [("paper", (1, 2)), ("mean_field", (1, 2))]
    expected = [float(row["return"]) for row in warehouse if row["learner"] == "mean_field" and row["k"] == "2"]
    assert found[1].scores[1].tolist() == expected


def test_the_return_figure_has_means_bands_labels_and_the_authors_points(warehouse, tables):
    points = Points(name="authors", values={1: [85.6], 30: [94.5]})
    figure = return_figure(warehouse, tables.timings[: len(warehouse)], "t", points)
    left, right = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["agents seen per step, k"] * 2
    assert left.get_ylabel() == "mean discounted return per episode"
    assert "seconds" in right.get_ylabel()
    line = left.get_lines()[0]
    scores = series(warehouse, "return")[0].scores
    assert np.allclose(line.get_ydata(), [values.mean() for values in scores])
    assert len(left.collections) == 2  # one band per learner
    reference = left.get_lines()[2]
    assert (list(reference.get_xdata()), list(reference.get_ydata())) == ([1, 30], [85.6, 94.5])


def test_gap_and_bound_figures_show_bracket_guide_and_theorem(tables):
    rows = [row for row in tables.results if row["game"] == "formation"]
    lower, upper = (series(rows, f"gap_{end}")[0] for end in ("lower", "upper"))
    assert all((low <= high).all() for low, high in zip(lower.scores, upper.scores, strict=True))
    axes = gap_figure(rows, "t").axes[0]
    guide = next(line for line in axes.get_lines() if "sqrt" in line.get_label())
    assert np.allclose(guide.get_ydata()[1] / guide.get_ydata()[0], 1 / np.sqrt(2))
    labels = [
        text.get_text() for text in bound_figure(rows, registered_game("formation"), "t").axes[0].get_legend().texts
    ]
    assert any("Theorem 4.8" in label for label in labels)
    assert any("measured" in label for label in labels)


def test_heatmaps_and_histories_are_those_of_the_tables(warehouse, tables):
    game = registered_game("warehouse_dispatch")
    figure = heatmap_figure(warehouse, tables.episodes, game, "t")
    images = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
    assert len(images) == 2
    lines = [line for line in tables.episodes if line["cell"] == warehouse[0]["cell"]]
    assert np.allclose(images[0], trajectory_of(lines).counts.T / 6)
    histories = histories_figure(warehouse, tables.history, "t").axes[0]
    assert len(histories.get_lines()) == len(warehouse)
    first = [line for line in tables.history if line["cell"] == warehouse[0]["cell"]]
    assert list(histories.get_lines()[0].get_ydata()) == kept_potentials(first)


def test_accuracy_is_a_percentage_of_steps(warehouse):
    line = accuracy_figure(warehouse, "t").axes[0].get_lines()[0]
    expected = [100 * scores.mean() for scores in series(warehouse, "mode_accuracy")[0].scores]
    assert np.allclose(line.get_ydata(), expected)
    assert all(0 < value < 100 for value in expected)


def test_the_continuous_figure_takes_the_same_table():
    rows = [
        {"cell": f"{k}{seed}", "game": "cluster_line", "learner": "trpo", "k": str(k), "n_agents": "500"}
        | {"max_cycles": "50", "seed": str(seed), "return": str(100 + k + seed), "mode_accuracy": "0.5"}
        for k in (1, 75)
        for seed in range(3)
    ]
    points = [authors_returns("cluster_line"), authors_published("cluster_line")]
    figure = continuous_figure(rows, "t", points)
    assert np.allclose(figure.axes[0].get_lines()[0].get_ydata(), [102, 176])
    assert len(figure.axes[0].get_lines()[1].get_xdata()) == 12  # 4 k, 3 trainings each
    assert len(figure.axes[0].get_lines()[2].get_xdata()) == 8


def test_the_authors_figures_ship_with_the_package():
    assert authors_returns("warehouse_dispatch").values[30] == [94.52]
    assert authors_seconds("warehouse_dispatch").values[50] == [130.0]
    assert authors_returns("formation") is None


def test_plot_draws_from_the_tables_alone_and_the_same_bytes_again(folder, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(folder / "sweep.json", copy)
    for name in ("results.csv", "timings.csv"):  # of one game, to draw less
        header, *lines = (folder / name).read_text().splitlines()
        (copy / name).write_text("\n".join([header, *(line for line in lines if ",formation," in line)]))
    assert cli.main(["plot", str(copy)]) == 0
    written = sorted((copy / "figures").iterdir())
    names = [f"{figure}_formation.{kind}" for figure in ("bound", "gap", "return") for kind in ("pdf", "png", "svg")]
    assert [path.name for path in written] == names
    before = [path.read_bytes() for path in written]
    monkeypatch.setattr(save, "FORMATS", ("svg",))  # test_figures has the others
    assert sorted(path.name for path in redraw(copy)) == [name for name in names if name.endswith("svg")]
    assert [path.read_bytes() for path in written] == before
    assert np.unique(imread(copy / "figures" / "gap_formation.png").reshape(-1, 4), axis=0).shape[0] > 10


def test_a_damaged_table_is_named_with_its_line(folder, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    lines = (copy / "results.csv").read_text().splitlines()
    (copy / "results.csv").write_text("\n".join([*lines[:2], lines[2][:30], *lines[3:]]))
    assert cli.main(["plot", str(copy)]) == 2
    assert re.search(r"results\.csv, line 3 is damaged: \d+ columns expected, \d+ found", capsys.readouterr().err)


def test_a_folder_that_holds_nothing_is_said_to(tmp_path, capsys):
    assert cli.main(["plot", str(tmp_path)]) == 2
    assert "holds neither a run nor a sweep" in capsys.readouterr().err


def test_comparisons_pair_the_seeds(warehouse):
    rows = comparison_rows(warehouse)
    assert [row[:4] for row in rows] == [["warehouse_dispatch", k, "mean_field", "paper"] for k in ("1", "2")]
    one, other = (
        [float(row["return"]) for row in warehouse if row["learner"] == name and row["k"] == "1"]
        for name in ("mean_field", "paper")
    )
    assert rows[0][-1].startswith(f"{paired_difference(one, other, seed=0).estimate:.2f} [")


def test_comparisons_name_every_setting_that_varies(warehouse):
    larger = [{**row, "n_agents": "7", "options.n_zones": "3"} for row in warehouse]
    rows = [*({**row, "options.n_zones": ""} for row in warehouse), *larger]
    columns = [*list(rows[0])[:-1]]
    columns.insert(columns.index("return"), "options.n_zones")
    rows = [{name: row[name] for name in columns} for row in rows]
    assert compared_columns(rows) == ["game", "k", "n_agents", "options.n_zones"]
    settings = [row[:4] for row in comparison_rows(rows)]
    assert settings == [["warehouse_dispatch", k, *more] for more in (("6", ""), ("7", "3")) for k in ("1", "2")]


VISIBLE = """
<script>
addEventListener("load", () => {
  const visible = image => image.complete && image.naturalWidth > 0 && image.getBoundingClientRect().width > 100;
  const shown = [...document.images].filter(visible);
  document.body.setAttribute("data-shown", shown.length + " of " + document.images.length);
});
</script>
"""


@pytest.fixture(scope="module")
def report(folder) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "FORMATS", ("svg",))  # what a page embeds
        return write_report(folder).read_text(encoding="utf-8")


def test_the_report_renders_in_a_browser_without_an_error(report, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        assert not os.environ.get("CI"), "CI must have chromium"
        pytest.skip("chromium is not installed, so the report was not rendered")
    n_figures = report.count("<img")
    copy = tmp_path / "page.html"
    copy.write_text(report.replace("</body>", f"{VISIBLE}</body>"))
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    offline = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    offline += [f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [chromium, *quiet, *offline, "--enable-logging=stderr", "--dump-dom", copy.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert f'data-shown="{n_figures} of {n_figures}"' in done.stdout
    assert n_figures >= 7
    assert "CONSOLE" not in done.stderr


def test_the_report_says_what_was_run_and_found(report, folder):
    assert not re.search(r'(src|href)="(?!data:)', report)  # nothing to load from anywhere
    assert "10 of 10 cells are finished" in report
    for learner in ("paper", "mean_field"):
        assert f"heatmap_{learner}_warehouse_dispatch" in report.replace(" ", "_")
    scores = [float(row["return"]) for row in read_csv(folder / "results.csv")[:2]]
    assert f"{aggregate(scores, 'mean', seed=[2]).estimate:.2f} [" in report
    for words in ("How to reproduce", "Configuration", "alternation.max_alternations", "paired difference"):
        assert words in report


def test_a_run_of_train_is_plotted_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--n-agents", "2", "--k", "2", "--max-cycles", "8", "--n-rollouts", "20", "--nash-gap", "--folder", "run"]
    alternation = [
        "--alternation.n-rollouts",
        "40",
        "--alternation.horizon",
        "10",
        "--alternation.max-alternations",
        "1",
    ]
    assert cli.main(["train", "formation", "--learner", "paper", *small, *alternation]) == 0
    assert "either player could gain between" in capsys.readouterr().out
    assert cli.main(["report", "run"]) == 0
    page = Path("run/report.html").read_text()
    assert page.count("<img") == 2
    assert "--learner paper --n-rollouts 20 --nash-gap<" in page
    assert "Nash gap: what either player could still gain" in page
    assert (tmp_path / "run" / "occupancy.svg").exists()
    lower, upper = map(float, Path("run/nash_gap.csv").read_text().splitlines()[1].split(","))
    assert 0 <= lower <= upper


def test_reproduce_runs_draws_and_goes_on(tmp_path, monkeypatch):
    tiny = grid(TrainConfig(game="warehouse_dispatch", learner="paper", max_cycles=12, **TINY), {"k": [1, 2]})
    folder, _, draw = PLANS["figure7"]
    monkeypatch.setitem(PLANS, "figure7", (folder, lambda **_: tiny, draw))
    config = ReproduceConfig(figure="figure7", folder=tmp_path, progress_bar=False)
    with ThreadPoolExecutor(1) as executor:
        written = reproduce(config, executor)
        cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "warehouse" / "cells").iterdir()}
        assert reproduce(config, executor) == written
    assert {path.name for path in written} >= {"figure7_heatmaps_paper.svg", "figure7_accuracy.pdf"}
    assert {path: path.stat().st_mtime_ns for path in cells} == cells


def test_what_is_reproduced_is_the_papers_experiment():
    _, tasks, _ = PLANS["figure6"]
    full = [task for task in tasks(quick=False) if task.learner == "paper"]
    assert sorted({task.k for task in full}) == sorted(authors_returns("warehouse_dispatch").values)
    assert {task.seed for task in full} == set(range(15))
    assert len(tasks(quick=True)) <= 12


def test_reproduce_knows_its_figures(capsys):
    assert cli.main(["reproduce", "figure8"]) == 2
    assert (
        "figure must be one of 'figure6', 'figure7', 'continuous', 'gap', 'all'; got 'figure8'"
        in capsys.readouterr().err
    )
