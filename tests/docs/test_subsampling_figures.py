"""The command that draws return against k measures, draws and writes what it measured, at a small size."""

import csv
import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
IMAGES = BENCHMARKS.parent / "docs" / "images"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("subsampling_figures")


def test_curves_are_drawn_and_written(figures: ModuleType, tmp_path: Path) -> None:
    small: Any = figures.INSTANCES["gaussian_squeeze"][-1]
    instance = replace(small, sizes={"n_levels": 3, "target": 1}, n_agents=2, horizon=9, ks=(1, 2))
    curves = [figures.measure_curve(instance, method, range(2), 10) for method in figures.STYLES]
    figures.report("squeeze", curves, tmp_path)
    assert (tmp_path / "mfq_squeeze.png").stat().st_size > 10_000
    with (tmp_path / "mfq_squeeze.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["k"]) for row in rows] == [(c.method, str(k)) for c in curves for k in (1, 2)]
    for row, value in zip(rows, (value for curve in curves for value in curve.returns.mean(axis=1)), strict=True):
        assert float(row["return"]) == pytest.approx(value, abs=5e-5)
    assert {row["optimum"] for row in rows} == {f"{figures.centralised_optimum(instance):.4f}"}


def test_the_papers_two_figures_are_there_and_told_of(figures: ModuleType) -> None:
    readme = (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8")
    for name in figures.INSTANCES:
        assert (IMAGES / f"mfq_{name}.png").stat().st_size > 10_000
        assert f"docs/images/mfq_{name}.png" in readme
    assert figures.IMAGES == IMAGES
