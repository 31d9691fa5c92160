"""`kofn train cluster_line`: a run folder with networks and figures, that resumes and is evaluated at any n."""

from pathlib import Path

import numpy as np
import pytest

from kofn.experiments import cli
from kofn.experiments.train_continuous import load_run, record_line

SMALL = ["--n-agents", "12", "--k", "3", "--max-cycles", "6", "--n-rollouts", "30"]
QUICK = ["--alternation.max-alternations", "1", "--alternation.n-rollouts", "20", "--alternation.horizon", "6"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "line"
    assert cli.main(["train", "cluster_line", "--learner", "trpo", *SMALL, *QUICK, "--folder", str(folder)]) == 0
    return folder


def test_the_run_folder_is_whole(run: Path) -> None:
    names = {path.name for path in run.iterdir()} - {"tensorboard"}
    tables = {"evaluation.csv", "history.csv", "trajectory.csv", "config.json", "game.txt"}
    assert names == tables | {"global_policy.safetensors", "local_policy.safetensors", "potential.png", "occupancy.png"}
    assert (run / "evaluation.csv").read_text().count("\n") == 3


def test_it_resumes_and_refuses_other_settings(run: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["train", "cluster_line", "--learner", "trpo", *SMALL, *QUICK, "--folder", str(run)]
    before = (run / "history.csv").read_bytes()
    assert cli.main([*command, "--resume"]) == 0
    assert (run / "history.csv").read_bytes() == before
    assert cli.main(command) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert cli.main([*command, "--resume", "--seed", "1"]) == 2
    assert "holds a run with seed=" in capsys.readouterr().err


def test_it_is_evaluated_with_any_number_of_robots(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["evaluate", str(run), "--n-agents", "40", "--n-rollouts", "10"]) == 0
    assert " 40 " in capsys.readouterr().out


def test_the_recorded_episode_is_one_of_the_game(run: Path) -> None:
    trajectory = record_line(load_run(run), seed=1)
    assert trajectory.shares.sum(axis=1) == pytest.approx(np.ones(6))
    assert np.abs(trajectory.global_states).max() <= 2
    again = record_line(load_run(run), seed=1)
    assert (again.shares == trajectory.shares).all()


def test_learners_with_networks_refuse_games_of_tables(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["train", "warehouse_dispatch", "--learner", "ppo"]) == 2
    assert "--learner ppo trains games with continuous states; warehouse_dispatch has tables" in capsys.readouterr().err
