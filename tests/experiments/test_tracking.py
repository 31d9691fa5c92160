"""What is logged beside the CSV files: TensorBoard by itself, Weights & Biases when asked for."""

import sys
from pathlib import Path

import pytest

from kofn.experiments import cli
from kofn.experiments.plots.data import read_csv

SMALL = ["--n-agents", "6", "--k", "2", "--max-cycles", "5", "--n-rollouts", "20"]
SHORT = ["--alternation.n-rollouts", "40", "--alternation.horizon", "10", "--alternation.max-alternations", "1"]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Everything in a folder's event files."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors(name)]
        for name in events.Tags()["tensors"]
    }


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_logs_every_proposal_to_tensorboard():
    assert cli.main(["train", "formation", "--learner", "paper", *SMALL, *SHORT, "--folder", "run"]) == 0
    found = scalars(Path("run/tensorboard"))
    lines = read_csv(Path("run/history.csv"))
    expected = [(int(line["step"]), float(line["proposed_potential"])) for line in lines]
    assert [step for step, _ in found["proposed_potential"]] == [step for step, _ in expected]
    assert [value for _, value in found["proposed_potential"]] == pytest.approx(
        [value for _, value in expected], rel=1e-6
    )


def test_a_sweep_logs_every_cell_to_tensorboard():
    options = ["--learner", "paper", "--seeds", "1", "--workers", "1", "--folder", "sweep"]
    assert cli.main(["sweep", "formation", *SMALL, *SHORT, *options]) == 0
    (row,) = read_csv(Path("sweep/results.csv"))
    found = scalars(Path("sweep/tensorboard") / row["cell"])
    assert found["return"][0][1] == pytest.approx(float(row["return"]), rel=1e-6)
    assert len(found["potential"]) >= int(row["n_proposals"])


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_track_without_wandb_says_how_to_get_it(command, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it fails, installed or not
    assert cli.main([command, "formation", *SMALL, *SHORT, "--track", "project", "--folder", "run"]) == 2
    assert "--track needs Weights & Biases: pip install wandb" in capsys.readouterr().err
    assert not Path("run/history.csv").exists()


def test_track_logs_every_proposal_to_wandb(monkeypatch):
    """Offline: the run's file holds the numbers of history.csv as JSON texts."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    command = ["train", "formation", "--learner", "paper", *SMALL, *SHORT, "--track", "kofn-test", "--folder", "run"]
    assert cli.main(command) == 0
    (path,) = Path("run").glob("wandb/offline-run-*/*.wandb")
    content = path.read_bytes()
    lines = read_csv(Path("run/history.csv"))
    assert lines
    assert all(line["proposed_potential"].encode() in content for line in lines)
    assert content.count(b"proposed_potential") >= len(lines)
    assert b"kofn-test" in content
