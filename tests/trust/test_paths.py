"""Names that become part of a path stay in their folder: refused before anything is read or written elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from kofn.agents.alternation.learners import MissingLearner, rebuild_learner
from kofn.agents.alternation.multi_start_files import read_done
from kofn.envs.files import plain_name
from kofn.experiments.cli import main
from kofn.experiments.config import SweepConfig, TrainConfig
from kofn.experiments.plots.save import save_in_formats
from kofn.experiments.run_game import load_run
from kofn.experiments.sweep_command import sweep_folder
from kofn.experiments.sweeps.cells import CellOutcome
from kofn.experiments.sweeps.folder import read_cells, read_sweep, start_sweep, write_cell, write_tables
from kofn.experiments.sweeps.grid import cell_hash, describe
from kofn.experiments.tracking import trackers

ROW = {"return": 1.0, "standard_error": 0.1}

EVIL = (
    "../outside",
    "..",
    "a/b",
    "/tmp/outside",
    "a\\b",
    "",
    ".hidden",
    "-option",
    "a\x00b",
    "a\nb",
    "x" * 300,
    "é",
    7,
)


@pytest.mark.parametrize("name", EVIL, ids=repr)
def test_only_plain_names_are_names_of_files(name: Any) -> None:
    with pytest.raises(ValueError, match="cell must be a plain file name"):
        plain_name("cell", name)


def test_plain_names_pass() -> None:
    for name in ("paper", "0123456789abcdef", "return_warehouse_dispatch_n1000", "run-n3-k1-seed0", "a.b"):
        assert plain_name("cell", name) == name


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../b"])
@pytest.mark.parametrize(
    "call",
    [
        lambda folder, name: read_done(folder, name, None),
        lambda folder, name: read_cells(folder, [name]),
        lambda folder, name: write_cell(folder, name, CellOutcome(row=ROW, timing={}, history=[], episode={})),
        lambda folder, name: trackers(folder, name, {}, project=None),
        lambda folder, name: save_in_formats(Figure(), folder, name),
        lambda _, name: sweep_folder(SweepConfig(games=(name,))),
    ],
)
def test_whatever_takes_a_name_refuses_a_path(call: Callable[[Path, str], Any], name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a plain file name"):
        call(tmp_path / "folder", name)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """A sweep with one finished cell."""
    folder = tmp_path / "sweep"
    description = describe(TrainConfig(game="formation", k=1, n_agents=3))
    name = cell_hash(description)
    timing = {"train_seconds": 1.0, "train_cpu_seconds": 1.0}
    outcome = CellOutcome(row=ROW, timing=timing, history=[], episode={})
    start_sweep(folder, {name: description}, resume=False, overwrite=False)
    write_cell(folder, name, outcome)
    write_tables(folder, {name: description}, {name: outcome})
    return folder


def test_a_sweep_whose_cells_are_paths_is_refused(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = swept / "sweep.json"
    content = json.loads(file.read_text())
    content["cells"] = {"../../secret": next(iter(content["cells"].values()))}
    file.write_text(json.dumps(content))
    (swept.parent / "secret.json").write_text("{}")
    with pytest.raises(ValueError, match=r"sweep\.json is damaged: cell must be a plain file name.*secret"):
        read_sweep(swept)
    assert main(["report", str(swept)]) == 2
    assert main(["sweep", "formation", "--resume", "--folder", str(swept)]) == 2
    assert "secret" in capsys.readouterr().err


def test_a_table_cannot_send_figures_elsewhere(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two populations: the number of agents is part of the figures' names."""
    file = swept / "results.csv"
    header, line = file.read_text().splitlines()
    column = header.split(",").index("n_agents")
    cells = line.split(",")
    assert cells[column] == "3"
    cells[column] = "3/../../../outside"
    file.write_text("\n".join([header, line, ",".join(cells)]) + "\n")
    before = sorted(swept.parent.iterdir())
    assert main(["plot", str(swept)]) == 2
    assert "figure must be a plain file name" in capsys.readouterr().err
    assert sorted(swept.parent.iterdir()) == before


def test_a_run_cannot_name_a_module(tmp_path: Path) -> None:
    """`game.txt` is looked up among the registered games; learners that are not ours are not imported."""
    for name in ("../outside", "files", "os", "kofn.envs.formation"):
        (tmp_path / "game.txt").write_text(name)
        with pytest.raises(ValueError, match=r"game must be one of .*; got"):
            load_run(tmp_path)
    assert rebuild_learner({"name": "os.system"}) == MissingLearner("os.system")
