"""`--options`: games that are not at their defaults, through training, sweeps, figures and the report."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kofn.agents import AlternatingConfig
from kofn.envs.registration import registered_game
from kofn.experiments import cli
from kofn.experiments.config import SweepConfig, TrainConfig
from kofn.experiments.plots.data import read_csv, series
from kofn.experiments.plots.redraw import game_options, read_tables, sweep_figures
from kofn.experiments.run_game import load_run, note_game, noted_game
from kofn.experiments.sweep_command import sweep_tasks
from kofn.experiments.sweeps.grid import cell_hash, describe, grid, label
from kofn.experiments.sweeps.sweep import sweep

SMALL = ["--learner", "paper", "--n-agents", "6", "--k", "1", "--max-cycles", "5", "--n-rollouts", "4"]
SHORT = ["--alternation.n-rollouts", "4", "--alternation.max-alternations", "1", "--alternation.horizon", "4"]
TINY = AlternatingConfig(n_rollouts=4, max_alternations=1, horizon=4)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_trains_the_game_of_its_options_and_its_report_says_how() -> None:
    options = ["--options", "n_zones", "3", "discount", "0.5"]
    assert cli.main(["train", "warehouse_dispatch", *options, *SMALL, *SHORT]) == 0
    (folder,) = Path("runs").iterdir()
    assert folder.name == "warehouse_dispatch-n_zones3-discount0.5-n6-k1-seed0"
    assert noted_game(folder) == ("warehouse_dispatch", {"n_zones": 3, "discount": 0.5})
    game = load_run(folder).setting.game
    assert (game.n_local_states, game.discount) == (3, 0.5)
    assert cli.main(["report", str(folder)]) == 0
    written = next(folder.glob("*.html")).read_text(encoding="utf-8")
    how = "--k 1 --n-agents 6 --seed 0 --max-cycles 5 --learner paper --n-rollouts 4<"
    assert f"kofn train warehouse_dispatch --options n_zones 3 discount 0.5 {how}" in written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["n_zone", "3"],
            "an option of warehouse_dispatch must be one of 'n_zones', 'discount'; got 'n_zone'; did you",
        ),
        (["n_agents", "3"], "an option of warehouse_dispatch must be one of 'n_zones', 'discount'; got 'n_agents'"),
        (["n_zones", "three"], "n_zones must be an integer; got 'three'"),
        (["discount", "1.5"], "discount must"),
    ],
)
def test_options_that_the_game_does_not_take_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert cli.main(["train", "warehouse_dispatch", "--options", *options, *SMALL]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not list(empty_folder.iterdir())


def test_another_game_is_not_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor the same one with other options, though policies fit and start alike."""
    train = [*SMALL, *SHORT, "--folder", "run"]
    assert cli.main(["train", "warehouse_dispatch", *train]) == 0
    before = {path.name: path.read_bytes() for path in Path("run").iterdir() if path.is_file()}
    assert cli.main(["train", "warehouse_dispatch", *train, "--options", "discount", "0.5", "--resume"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "run holds a run of warehouse_dispatch, not of warehouse_dispatch --options discount 0.5" in said
    assert {path.name: path.read_bytes() for path in Path("run").iterdir() if path.is_file()} == before
    assert cli.main(["train", "formation", *train, "--resume"]) == 2
    assert "run holds a run of warehouse_dispatch, not of formation" in " ".join(capsys.readouterr().err.split())


def test_options_at_their_defaults_are_the_game_itself() -> None:
    """The same folder, the same run to go on with, the same cell of a sweep."""
    spelled_out = ["--options", "discount", "0.95", "n_zones", "5"]
    assert cli.main(["train", "warehouse_dispatch", *SMALL, *SHORT]) == 0
    assert cli.main(["train", "warehouse_dispatch", *SMALL, *SHORT, *spelled_out, "--resume"]) == 0
    assert len(list(Path("runs").iterdir())) == 1
    names = [
        cell_hash(describe(TrainConfig(game="warehouse_dispatch", options=options)))
        for options in ({}, {"n_zones": 5}, {"n_zones": 3, "discount": 0.95}, {"n_zones": 3})
    ]
    assert names[0] == names[1] != names[2] == names[3]


def test_a_sweep_varies_options_and_draws_every_game_of_its_own() -> None:
    base = TrainConfig(
        game="warehouse_dispatch",
        learner="paper",
        n_agents=6,
        max_cycles=5,
        n_rollouts=4,
        options={"discount": 0.5},
        alternation=TINY,
    )
    tasks = grid(base, {"options.n_zones": [3, 4], "k": [1, 2]})
    assert [task.options for task in tasks[1:3]] == [{"discount": 0.5, "n_zones": n} for n in (3, 4)]
    with ThreadPoolExecutor(1) as executor:
        assert not sweep(tasks, executor, folder=Path("swept")).failures
    rows = read_csv(Path("swept/results.csv"))
    assert [game_options(row) for row in rows[1:3]] == [{"discount": 0.5, "n_zones": n} for n in (3, 4)]
    assert [line.name for line in series(rows, "return")] == ["options.n_zones = 3", "options.n_zones = 4"]
    figures = dict(sweep_figures(read_tables(Path("swept"))))
    for n_zones in (3, 4):
        heatmap = figures[f"heatmap_warehouse_dispatch_discount0.5_n_zones{n_zones}"]
        images = [axes.get_images()[0].get_array() for axes in heatmap.axes if axes.get_images()]
        assert [image.shape[0] for image in images] == [n_zones, n_zones]
        assert f"discount = 0.5, n_zones = {n_zones}, n = 6" in heatmap.get_suptitle()


def test_the_command_line_varies_options_beside_those_that_all_cells_share() -> None:
    config = SweepConfig(
        games=("warehouse_dispatch",), seeds=1, options={"discount": 0.5}, vary=("options.n_zones=3,4",)
    )
    tasks = sweep_tasks(config)
    assert [task.options for task in tasks] == [{"discount": 0.5, "n_zones": n} for n in (3, 4)]
    assert len({cell_hash(describe(task)) for task in tasks}) == 2
    assert label(describe(tasks[0])).startswith("warehouse_dispatch discount=0.5 n_zones=3 observation_aware k=")


def test_a_continuous_game_is_made_again_with_its_options(tmp_path: Path) -> None:
    note_game(tmp_path, TrainConfig(game="cluster_line", options={"discount": 0.5}))
    noted = noted_game(tmp_path)
    assert noted is not None
    name, options = noted
    assert registered_game(name, **options).discount == 0.5
    (tmp_path / "game.txt").write_text("cluster_line\n{discount", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'game.txt'} is damaged")):
        noted_game(tmp_path)
