"""Whose a folder is: what `kofn train` and `kofn sweep` refuse, what --overwrite removes, and one writer at a time."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.envs.registration import registered_game
from kofn.experiments import cli, sweep_command
from kofn.experiments.config import TrainConfig
from kofn.experiments.sweeps.lock import folder_lock
from kofn.experiments.sweeps.sweep import sweep
from kofn.experiments.train import build_model, train

TINY = ["--n-agents", "5", "--k", "1", "--max-cycles", "5", "--n-rollouts", "4", "--folder", "own"]
SHORT = ["--alternation.n-rollouts", "4", "--alternation.max-alternations", "1", "--alternation.horizon", "4"]
SEVERAL = ["train", "formation", *TINY, *SHORT]
TRAIN = [*SEVERAL, "--learner", "paper"]
SWEEP = ["sweep", "formation", *TINY, *SHORT, "--learner", "paper", "--seeds", "1", "--workers", "1"]
COMMANDS = {"train": TRAIN, "sweep": SWEEP}
QUICK = AlternatingConfig(n_rollouts=4, max_alternations=1, horizon=4)
CELL = TrainConfig(
    game="formation",
    learner="paper",
    n_agents=5,
    k=1,
    max_cycles=5,
    n_rollouts=4,
    alternation=QUICK,
    folder=Path("own"),
)


def sweep_one() -> None:
    """A sweep of one cell, in this process."""
    with ThreadPoolExecutor(1) as executor:
        sweep([CELL], executor, folder="own")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a refused command says; it has changed nothing."""
    before = files_of(Path("own"))
    capsys.readouterr()
    assert cli.main(command) == 2
    assert files_of(Path("own")) == before
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("foreign", ["starts/notes.txt", "starts/paper/notes.txt", "starts/drafts/history.csv"])
def test_what_others_keep_in_starts_stays(
    foreign: str, overwrite: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if overwrite:
        build_model(replace(CELL, learner="observation_aware")).save("own")
    Path("own", foreign).parent.mkdir(parents=True, exist_ok=True)
    Path("own", foreign).write_text("thesis")
    said = refused([*SEVERAL, *overwrite], capsys)
    assert f"own/starts must hold starts of a run of kofn only; own/{'/'.join(foreign.split('/')[:2])} is none" in said


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", ["history.csv", "report.html", "results.csv", "config.json"])
def test_a_file_of_nobody_is_not_overwritten(
    name: str, overwrite: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own").mkdir()
    Path("own", name).write_text('{"lr": 3}')
    if (command, name) in {("train", "results.csv"), ("sweep", "config.json")}:  # names that it does not write
        return
    assert f"own/{name} would be overwritten, and own does not hold" in refused(
        [*COMMANDS[command], *overwrite], capsys
    )


def test_a_run_and_a_sweep_keep_out_of_each_others_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(TRAIN) == 0
    for how in ([], ["--overwrite"], ["--resume"]):
        assert "own holds a run of kofn train, which kofn sweep would damage" in refused([*SWEEP, *how], capsys)
    Path("own").rename("run")
    sweep_one()
    for how in ([], ["--overwrite"], ["--resume"]):
        assert "own holds a sweep, which kofn train would damage" in refused([*TRAIN, *how], capsys)


def test_nothing_is_left_of_a_run_that_is_overwritten() -> None:
    """Stopped before its first proposal, the new run has no outcome; a file of the user's own stays."""
    train(replace(CELL, nash_gap=True))
    build_model(CELL).save("own/starts/paper")
    for name in ("gain.csv", "equilibria.csv", "occupancy.svg", "report.html"):
        Path("own", name).write_text("of the old run")
    assert {"evaluation.csv", "nash_gap.csv", "trajectory.csv", "potential.png"} <= set(files_of(Path("own")))
    Path("own/notes.txt").write_text("thesis")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(CELL, seed=1, overwrite=True), stop)
    model = {"config.json", "history.csv", "game.npz", "game.txt", "global_policy.npz", "local_policy.npz"}
    left = {name for name in files_of(Path("own")) if not name.startswith("tensorboard/")}
    assert left == model | {"notes.txt"}
    assert len(list(Path("own").glob("tensorboard/*"))) <= 1
    assert AlternatingMARL.load("own").seed.entropy == 1


def test_nothing_is_left_of_a_sweep_that_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_one()
    Path("own/cells/notes.json").write_text("thesis")
    monkeypatch.setattr("kofn.experiments.sweeps.sweep.write_tables", lambda *_: None)  # as if killed before them
    monkeypatch.setattr("kofn.experiments.sweeps.sweep._run_pending", lambda *_: None)
    assert cli.main([*SWEEP, "--overwrite"]) == 0
    assert set(files_of(Path("own"))) == {"sweep.json", "cells/notes.json"}


def test_a_folder_is_cleared_only_when_every_cell_is_possible(capsys: pytest.CaptureFixture[str]) -> None:
    sweep_one()
    large = [*SWEEP, "--overwrite"]
    large[large.index("--k") + 1] = "6"
    said = refused(large, capsys)
    assert "formation paper k=6 n=5 seed=0 cannot be trained: k must be at most the number of agents, 5" in said


def test_two_processes_do_not_train_into_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    hold = "import os, pathlib, kofn.experiments.sweeps.lock as lock; held = lock.folder_lock(pathlib.Path('own'))"
    subprocess.run([sys.executable, "-c", f"{hold}; held.__enter__(); os._exit(9)"], check=False)
    assert Path("own/.lock").read_text().startswith("process ")  # of one that is dead
    assert cli.main(TRAIN) == 0
    with folder_lock(Path("own")):
        assert cli.main([*TRAIN, "--overwrite"]) == 1
    assert "own is being written by process" in capsys.readouterr().err


@pytest.mark.parametrize("learner", ["paper", "observation_aware"])
def test_a_run_saved_by_hand_is_not_resumed_as_another_game(learner: str, capsys: pytest.CaptureFixture[str]) -> None:
    build_model(replace(CELL, learner=learner)).save("own")
    command = [*SEVERAL, "--learner", learner, "--resume"]
    said = refused([*command, "--options", "discount", "0.5"], capsys)
    assert "own/game.npz is another game than formation --options discount 0.5" in said
    assert cli.main(command) == 0
    assert Path("own/game.txt").read_text().startswith("formation\n")
    assert AlternatingMARL.load("own").setting.game.discount == registered_game("formation").discount


def test_a_gap_that_is_not_to_be_had_is_refused_before_training(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = ["train", "warehouse_dispatch", *TINY, *SHORT, "--learner", "paper", "--nash-gap"]
    large[large.index("--n-agents") + 1] = "200"
    assert cli.main(large) == 2
    said = capsys.readouterr().err
    assert "products per step of the chain at n_agents=200, more than" in said
    assert "proposal 1" not in said
    assert not list(empty_folder.iterdir())


@pytest.mark.parametrize(
    ("part", "content", "why"),
    [
        ("row", 3, "row must be an object; got int"),
        ("row", {"retrun": 1.0, "standard_error": 0.1}, "row must have 'return'; it has retrun, standard_error"),
        ("row", {"return": "high", "standard_error": 0.1}, "row['return'] must be a number; got 'high'"),
        (
            "row",
            {"return": 1.0, "standard_error": 0.1, "k": [1]},
            "row['k'] must be text, a number, true, false or null",
        ),
        ("timing", [], "timing must be an object; got list"),
        ("history", {}, "history must be a list; got dict"),
        ("history", [{"step": 1}], "history[0] must have 'player'; it has step"),
        ("episode", [], "episode must be empty or have the lists global_state, global_action, counts; got []"),
        (
            "episode",
            {"global_state": [1], "global_action": [1], "counts": []},
            "the lists of episode must be of one length; got [0, 1]",
        ),
        ("episode", {"global_state": [1], "global_action": [1], "counts": [5]}, "episode's counts[0] must be a list"),
    ],
)
def test_a_cell_of_other_content_is_named_and_run_again(part: str, content: object, why: str) -> None:
    sweep_one()
    before = files_of(Path("own"))
    (cell,) = Path("own/cells").iterdir()
    cell.write_text(json.dumps({**json.loads(cell.read_text()), part: content}))
    with ThreadPoolExecutor(1) as executor:
        result = sweep([CELL], executor, folder="own", resume=True)
    assert list(result.damaged) == [str(cell)]
    assert f"{cell} is damaged: {why}" in result.damaged[str(cell)]
    assert result.n_new == 1
    assert files_of(Path("own"))["results.csv"] == before["results.csv"]


@pytest.fixture
def sigterm_is_nobodys() -> Iterator[None]:
    """Whoever leaves SIGTERM to the system fails, and does not take the tests with it."""

    def unheard(*_: object) -> None:
        raise AssertionError("SIGTERM was not heard")

    before = signal.signal(signal.SIGTERM, unheard)
    yield
    assert signal.getsignal(signal.SIGTERM) is unheard  # as it was
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("sigterm_is_nobodys")
def test_sigterm_ends_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def terminated(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(cli, "_print_proposal", terminated)
    assert cli.main(TRAIN) == cli.INTERRUPTED
    assert "interrupted; every finished proposal is saved: add --resume" in capsys.readouterr().err
    assert len(AlternatingMARL.load("own").history) == 1
    Path("own").rename("run")
    monkeypatch.setattr(sweep_command, "record_cell", terminated)
    with ThreadPoolExecutor(1) as executor:
        monkeypatch.setattr(sweep_command, "backend_executor", lambda *_: executor)
        assert cli.main([*SWEEP, "--vary", "alternation.eta=0.5,1"]) == cli.INTERRUPTED
    assert "1 finished cells are saved in own: add --resume" in capsys.readouterr().err
    assert len(Path("own/results.csv").read_text().splitlines()) == 2
