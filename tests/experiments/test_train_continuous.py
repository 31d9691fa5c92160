"""`kofn train cluster_line`: a run folder with networks and figures, that resumes and is evaluated at any n."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kofn.agents import AlternatingConfig
from kofn.agents.deep import recipes
from kofn.envs.registration import registered_game
from kofn.experiments import cli, train
from kofn.experiments.config import TrainConfig
from kofn.experiments.line_episode import N_CELLS, LineTrajectory, line_mode_accuracy, read_line, record_line
from kofn.experiments.plots import save
from kofn.experiments.plots.data import read_csv
from kofn.experiments.plots.redraw import read_tables, sweep_figures
from kofn.experiments.reproduce import draw_continuous
from kofn.experiments.run_game import load_run
from kofn.experiments.sweeps.grid import grid
from kofn.experiments.sweeps.sweep import sweep

SMALL = ["--n-agents", "12", "--k", "3", "--max-cycles", "6", "--n-rollouts", "30"]
QUICK = ["--alternation.max-alternations", "1", "--alternation.n-rollouts", "20", "--alternation.horizon", "6"]


@pytest.fixture(scope="module", autouse=True)
def short_trainings() -> Iterator[None]:
    """What is trained matters to none of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "CLASSIFYING_STEPS", 3)
        patch.setattr(recipes, "PAPER_UPDATES", 1)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "line"
    assert cli.main(["train", "cluster_line", "--learner", "trpo", *SMALL, *QUICK, "--folder", str(folder)]) == 0
    return folder


def test_the_run_folder_is_whole(run: Path) -> None:
    names = {path.name for path in run.iterdir()} - {"tensorboard", ".lock"}
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
    assert (trajectory.counts.sum(axis=1) == 12).all()
    assert np.abs(trajectory.global_states).max() <= 2
    again = record_line(load_run(run), seed=1)
    assert (again.counts == trajectory.counts).all()
    written = read_line(read_csv(run / "trajectory.csv"))
    assert written.counts.shape == (6, N_CELLS)
    assert written.targets(registered_game("cluster_line")) == pytest.approx(
        written.global_actions * 0.8 - 1.6, abs=1e-6
    )


def test_modes_of_a_recorded_episode() -> None:
    """Five bins of 16 cells: nine agents around -1.6 and then around 0, the beacon at 0."""
    counts = np.zeros((2, N_CELLS), dtype=np.int64)
    counts[0, [3, 4, 5]], counts[1, 40], counts[:, 70] = 3, 9, 2
    episode = LineTrajectory(global_states=np.zeros(2), global_actions=np.array([2, 2]), counts=counts)
    game = registered_game("cluster_line")
    assert episode.bins(game).tolist() == [[9, 0, 0, 0, 2], [0, 0, 9, 0, 2]]
    assert episode.true_mode(game) == 0
    assert episode.at_mode(game).tolist() == [False, True]


def test_accuracy_of_a_beacon_that_stays(run: Path) -> None:
    """Few steps from a start where two of five bins are taken: it is some share, the same for the same seed."""
    model = load_run(run)
    found = [line_mode_accuracy(model, 50, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert 0 < found[0] < 1


def test_scalars_for_tensorboard_are_those_of_the_history(run: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    record = events.EventAccumulator(str(run / "tensorboard"))
    record.Reload()
    assert set(record.Tags()["tensors"]) == {"potential", "proposed_potential", "accepted"}
    written = record.Tensors("proposed_potential")
    found = [float(event.tensor_proto.float_val[0]) for event in written]
    wanted = [float(line["proposed_potential"]) for line in read_csv(run / "history.csv")]
    assert found == pytest.approx(wanted, rel=1e-6)
    assert [event.step for event in written] == list(range(1, len(wanted) + 1))


def test_figures_and_the_report_are_drawn_from_the_folder(
    run: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save, "FORMATS", ("svg",))
    assert cli.main(["plot", str(run)]) == 0
    drawn = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert drawn == ["potential.svg", "occupancy.svg"]
    assert cli.main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert page.count("<img") == 2
    assert "kofn train cluster_line --k 3" in page


class KilledError(Exception):
    """What ends a run after its first proposal."""


def test_a_killed_run_goes_on_to_the_same_result(run: Path, tmp_path: Path) -> None:
    quick = AlternatingConfig(max_alternations=1, n_rollouts=20, horizon=6)
    sizes = {"n_agents": 12, "k": 3, "max_cycles": 6, "n_rollouts": 30, "learner": "trpo"}
    config = TrainConfig(game="cluster_line", alternation=quick, folder=tmp_path / "run", resume=True, **sizes)

    def kill(_proposal: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        train.train(config, on_proposal=kill)
    assert len(read_csv(tmp_path / "run" / "history.csv")) == 1
    train.train(config)
    for name in ("history.csv", "evaluation.csv", "trajectory.csv", "global_policy.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    quick = AlternatingConfig(max_alternations=1, n_rollouts=20, horizon=6)
    sizes = {"n_agents": 12, "max_cycles": 6, "n_rollouts": 30, "learner": "trpo"}
    base = TrainConfig(game="cluster_line", alternation=quick, **sizes)
    folder = tmp_path_factory.mktemp("sweep") / "cells"
    with ThreadPoolExecutor(1) as executor:
        result = sweep(grid(base, {"k": [1, 3]}), executor, folder=folder)
    assert not result.failures
    return folder


def test_a_sweep_measures_the_mode_and_keeps_an_episode(cells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "FORMATS", ("png",))
    tables = read_tables(cells)
    assert all(0 <= float(row["mode_accuracy"]) <= 1 for row in tables.results)
    assert len(tables.episodes) == 2 * 6
    assert len(tables.episodes[0]["counts"].split()) == N_CELLS
    names = {path.name for path in draw_continuous(cells)}
    assert names == {"continuous.png", "continuous_heatmaps_trpo.png"}
    assert {"heatmap_cluster_line", "accuracy_cluster_line"} <= {name for name, _ in sweep_figures(tables)}


def test_learners_with_networks_refuse_games_of_tables(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["train", "warehouse_dispatch", "--learner", "ppo"]) == 2
    assert "--learner ppo trains games with continuous states; warehouse_dispatch has tables" in capsys.readouterr().err
