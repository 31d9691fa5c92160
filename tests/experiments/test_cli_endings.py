"""How commands end that cannot go on: what they say to do next holds, and nobody meets a traceback."""

import subprocess
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from kofn.experiments import cli, sweep_command
from kofn.experiments.config import EvaluateConfig, SweepConfig, TrainConfig
from kofn.experiments.run_game import note_game
from kofn.experiments.sweeps.folder import start_sweep
from kofn.experiments.sweeps.grid import cell_hash, describe
from kofn.experiments.sweeps.sweep import SweepResult
from kofn.experiments.train import build_model

SMALL = ["--learner", "paper", "--n-agents", "4", "--k", "1", "--max-cycles", "5", "--n-rollouts", "4"]
SHORT = ["--alternation.n-rollouts", "4", "--alternation.max-alternations", "1", "--alternation.horizon", "4"]
CONFIG = TrainConfig(game="formation", learner="paper", n_agents=4, k=1, max_cycles=5)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    assert cli.main(["train", "formation", *SMALL, *SHORT, "--folder", str(folder)]) == 0
    return folder


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "work"), [("evaluate", "load_run"), ("report", "write_report"), ("plot", "redraw")]
)
def test_ctrl_c_is_no_traceback(command, work, monkeypatch, capsys):
    monkeypatch.setattr(cli, work, interrupted)
    assert cli.main([command, "run"]) == cli.INTERRUPTED
    assert capsys.readouterr().err.strip() == "interrupted"


def test_a_pipe_that_nobody_reads_ends_quietly():
    script = Path(sys.executable).with_name("kofn")
    command = f"{script} envs | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (str(cli.NOBODY_READS), "")


def test_workers_that_keep_dying_are_said_to(monkeypatch, capsys):
    def died(_: object) -> None:
        raise BrokenExecutor("the workers died (..); out of memory? 0 of 1 cells are done")

    monkeypatch.setattr(cli, "run_sweep", died)
    assert cli.main(["sweep", "formation", "--overwrite"]) == 1
    said = capsys.readouterr().err
    assert "out of memory? 0 of 1 cells are done; fewer --workers have more memory each: add --resume to" in said
    assert "the same command, without --overwrite," in said


def test_an_interrupted_command_that_overwrote_goes_on_without_it(monkeypatch, capsys):
    monkeypatch.setattr(cli, "train", interrupted)
    monkeypatch.setattr(cli, "run_sweep", interrupted)
    for command in ("train", "sweep"):
        assert cli.main([command, "formation", "--overwrite"]) == cli.INTERRUPTED
        assert "add --resume to the same command, without --overwrite, to go on" in capsys.readouterr().err
    result = SweepResult(folder=Path("f"), n_cells=1, n_new=0, failures={"a": "b"}, damaged={})
    lines = sweep_command.outcome_lines(SweepConfig(games=("formation",), overwrite=True), result)
    assert lines.endswith("add --resume to the same command, without --overwrite, to try the failed cells again")


@pytest.mark.parametrize("command", ["report", "plot"])
def test_what_is_unfinished_is_not_called_damaged(command, capsys):
    build_model(CONFIG).save(Path("run"))
    note_game(Path("run"), CONFIG)
    assert cli.main([command, "run"]) == 2
    assert capsys.readouterr().err.endswith("run has no finished proposal yet; run kofn train with --resume\n")
    description = describe(CONFIG)
    start_sweep(Path("swept"), {cell_hash(description): description}, resume=False, overwrite=False)
    assert cli.main([command, "swept"]) == 2
    assert capsys.readouterr().err.endswith("swept/results.csv is not written yet; run the sweep with --resume\n")
    for name in ("results", "timings"):
        Path(f"swept/{name}.csv").write_text("\n", encoding="utf-8")
    assert cli.main([command, "swept"]) == 2
    assert capsys.readouterr().err.endswith(
        "error: swept/results.csv has no finished cell yet; run the sweep with --resume\n"
    )


def test_a_damaged_table_of_a_run_is_mended_as_the_error_says(run, capsys):
    table = run / "evaluation.csv"
    whole = table.read_bytes()
    table.write_bytes(whole.rpartition(b",")[0])
    assert cli.main(["report", str(run)]) == 2
    assert "columns expected, 6 found; the run's own command with --resume writes it again" in capsys.readouterr().err
    assert cli.main(["train", "formation", *SMALL, *SHORT, "--folder", str(run), "--resume"]) == 0
    assert table.read_bytes() == whole
    assert cli.main(["report", str(run)]) == 0


def test_the_timing_of_an_evaluation_is_one_of_two_and_of_finite_games(capsys):
    with pytest.raises(ValueError, match="local_timing must be one of 'paper', 'code'; got 'foo'"):
        EvaluateConfig(run=Path("run"), local_timing="foo")
    pytest.importorskip("torch")
    config = TrainConfig(game="cluster_line", learner="a2c", n_agents=5, k=2, max_cycles=5)
    build_model(config).save(Path("line"))
    note_game(Path("line"), config)
    assert cli.main(["evaluate", "line", "--local-timing", "code"]) == 2
    assert "local_timing must be 'paper' in a game with continuous states; got 'code'" in capsys.readouterr().err
