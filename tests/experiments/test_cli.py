"""The command line, run as a user runs it (in process, in an empty folder, on a small warehouse)."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from kofn.agents import AlternatingMARL
from kofn.envs import GAMES
from kofn.envs.files import read_npz
from kofn.experiments import cli
from kofn.experiments import train as train_module
from kofn.experiments.folders import clear

SMALL = ["--n-agents", "30", "--k", "2", "--max-cycles", "20", "--n-rollouts", "200", "--alternation.n-rollouts", "300"]
TRAIN = ["train", "warehouse_dispatch", "--learner", "paper", *SMALL]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def status_of(arguments: list[str]) -> int:
    """Exit status, also when the parser itself ends the program."""
    try:
        return cli.main(arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)


def words(text: str) -> str:
    """Text without line breaks and boxes."""
    return " ".join(text.replace("│", " ").split())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_train_writes_the_run_folder_and_prints_the_outcome(capsys):
    assert cli.main([*TRAIN, "--seed", "3"]) == 0
    folder = Path("runs/warehouse_dispatch-n30-k2-seed3")
    assert set(files_of(folder)) == {
        "config.json",
        "game.txt",
        "history.csv",
        "game.npz",
        "global_policy.npz",
        "local_policy.npz",
        "evaluation.csv",
        "trajectory.csv",
        "potential.png",
        "occupancy.png",
        ".lock",
    }
    captured = capsys.readouterr()
    assert "converged after" in captured.out
    assert "start (keep, uniform)" in captured.out
    assert str(folder) in captured.out
    assert "proposal 1 (global)" in captured.err  # plain lines where there is no terminal
    stored = json.loads((folder / "config.json").read_text())
    assert (stored["n_agents"], stored["k"], stored["max_cycles"], stored["seed"]["entropy"]) == (30, 2, 20, 3)


def test_training_improves_on_the_start_pair():
    cli.main([*TRAIN, "--folder", "run"])
    header, start, trained = (line.split(",") for line in Path("run/evaluation.csv").read_text().splitlines())
    mean, error = header.index("mean"), header.index("standard_error")
    gain = float(trained[mean]) - float(start[mean])
    assert gain > 4.5 * np.hypot(float(start[error]), float(trained[error]))


def test_the_same_seed_writes_the_same_files_and_another_does_not():
    for folder, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert cli.main([*TRAIN, "--seed", seed, "--folder", folder]) == 0
    first, second, other = (files_of(Path(name)) for name in "abc")
    assert first == second
    assert first["history.csv"] != other["history.csv"]


def test_an_existing_run_is_not_touched_unless_told(capsys):
    cli.main([*TRAIN, "--folder", "run"])
    before = files_of(Path("run"))
    assert cli.main([*TRAIN, "--folder", "run", "--seed", "5"]) == 2
    assert "already holds a run; pass --resume, --overwrite" in capsys.readouterr().err
    assert files_of(Path("run")) == before
    assert cli.main([*TRAIN, "--folder", "run", "--seed", "5", "--overwrite"]) == 0
    assert files_of(Path("run")) != before


def test_an_interrupted_run_resumes_to_the_same_files(monkeypatch, capsys):
    assert cli.main([*TRAIN, "--folder", "whole"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(cli, "_print_proposal", interrupt_after_two())
        assert cli.main([*TRAIN, "--folder", "broken"]) == cli.INTERRUPTED
    assert "add --resume" in capsys.readouterr().err
    assert len(AlternatingMARL.load("broken").history) == 2
    assert cli.main([*TRAIN, "--folder", "broken", "--resume"]) == 0
    assert files_of(Path("broken")) == files_of(Path("whole"))


def interrupt_after_two():
    seen = []

    def on_proposal(proposal):
        seen.append(proposal)
        if len(seen) == 2:
            raise KeyboardInterrupt

    return on_proposal


def test_a_terminal_shows_a_bar_with_potential_and_verdict():
    text = run_on_a_terminal(["kofn", *TRAIN])
    assert re.search(r"proposals: +\d+%.* 1/20 .*global: (accept|reject|overlap), potential \d+\.\d\d", text)
    assert "proposal 1 (global)" not in text  # the plain lines are for files


def run_on_a_terminal(command: list[str]) -> str:
    """Everything a command writes to a terminal of 40 lines and 110 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    script = Path(sys.executable).with_name(command[0])
    process = subprocess.Popen([script, *command[1:]], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = []
    with contextlib.suppress(OSError):  # how a closed terminal ends on Linux
        while chunk := os.read(ours, 4096):
            written.append(chunk)
    os.close(ours)
    assert process.wait() == 0
    return b"".join(written).decode()


def test_resuming_with_other_settings_is_refused(capsys):
    cli.main([*TRAIN, "--folder", "run"])
    assert cli.main([*TRAIN, "--folder", "run", "--resume", "--seed", "9"]) == 2
    assert "holds a run with seed=" in capsys.readouterr().err


def test_resume_and_overwrite_exclude_each_other(capsys):
    assert status_of([*TRAIN, "--resume", "--overwrite"]) == 2
    assert "exclude each other" in words(capsys.readouterr().err)


def test_evaluate_reads_a_run_at_any_number_of_agents(capsys):
    cli.main([*TRAIN, "--folder", "run"])
    capsys.readouterr()
    assert cli.main(["evaluate", "run", "--n-agents", "1000000000", "--n-rollouts", "50", "--horizon", "7"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:4] == ["run", "1000000000", "2", "7"]


def test_evaluate_names_what_is_missing_or_damaged(capsys):
    assert cli.main(["evaluate", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
    cli.main([*TRAIN, "--folder", "run"])
    Path("run/global_policy.npz").write_bytes(b"not an archive")
    capsys.readouterr()
    assert cli.main(["evaluate", "run"]) == 2
    assert "global_policy.npz" in capsys.readouterr().err


def test_envs_lists_every_game(capsys):
    assert cli.main(["envs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(GAMES)
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert rows["warehouse_dispatch"][:4] == ["kofn/warehouse_dispatch-v0", "5", "/", "5"]
    assert rows["cluster_line"] == ["kofn/cluster_line-v0", "continuous", "5", "/", "3", "500", "75", "50", "0.95"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cluster_line", "cluster_line has continuous states: choose --learner trpo, ppo, a2c, reward"),
        ("gaussian_squeeze_native", "env must play a TabularGame, a GenerativeGame or a ContinuousGame; got"),
    ],
)
def test_games_that_learners_of_tables_cannot_play_are_refused(name, message, capsys):
    assert cli.main(["train", name, "--k", "3"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "warehose_dispatch"], "did you mean 'warehouse_dispatch'"),
        (["train", "warehouse_dispatch", "--learner", "papper"], "got 'papper'; did you mean 'paper'?"),
        (["train", "warehouse_dispatch", "--k", "0"], "k must be at least 1; got 0"),
        (
            ["train", "warehouse_dispatch", "--k", "31", "--n-agents", "30"],
            "k must be at most the number of agents, 30",
        ),
        (["train", "warehouse_dispatch", "--seed", "-1"], "seed must be at least 0; got -1"),
        (["train", "warehouse_dispatch", "--n-rollouts", "1"], "n_rollouts must be at least 2; got 1"),
        (["train", "warehouse_dispatch", "--alternation.eta", "0"], "eta must be positive"),
        (["train", "warehouse_dispatch", "--k", "200"], "use a smaller k"),
    ],
)
def test_bad_settings_end_in_an_error_that_says_what_to_do(arguments, message, capsys, tmp_path):
    assert status_of(arguments) == 2
    error = words(capsys.readouterr().err)
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())  # refused before anything was written


def test_help_is_generated_from_the_config_docstrings(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", "--help"])
    assert stopped.value.code == 0
    text = words(capsys.readouterr().out)
    assert "source of all randomness; the same seed writes the same files" in text
    assert "rounds of one global and one local proposal" in text


def test_the_installed_script_runs():
    script = Path(sys.executable).with_name("kofn")
    done = subprocess.run([script, "envs"], capture_output=True, text=True, check=True)
    assert "kofn/warehouse_dispatch-v0" in done.stdout


def test_monte_carlo_runs_are_reproducible():
    monte_carlo = ["--global-learner.operator", "monte_carlo", "--local-learner.operator", "monte_carlo"]
    for folder in "ab":
        assert cli.main([*TRAIN, *monte_carlo, "--folder", folder]) == 0
    assert files_of(Path("a")) == files_of(Path("b"))
    assert read_npz("a/global_policy.npz", "GlobalPolicy")["k"] == 2


def test_train_returns_what_it_wrote():
    sizes = {"n_agents": 20, "k": 2, "max_cycles": 10, "n_rollouts": 50}
    config = train_module.TrainConfig(game="warehouse_dispatch", learner="paper", **sizes)
    outcome = train_module.train(config)
    loaded = AlternatingMARL.load(outcome.folder)
    assert loaded.history == outcome.result.history
    assert np.array_equal(loaded.global_policy.table, outcome.result.global_policy.table)


def test_the_named_learner_is_the_one_that_proposes():
    heuristics = train_module.build_model(train_module.TrainConfig(game="warehouse_dispatch", learner="mean_field"))
    assert (heuristics.global_learner.operator, heuristics.local_learner.method) == ("rounded", "mean_field")
    model = train_module.build_model(train_module.TrainConfig(game="warehouse_dispatch", learner="paper"))
    assert (model.global_learner.operator, model.local_learner.method) == ("auto", "shared_cpi")


def test_the_default_learner_lists_the_equilibria_and_keeps_the_best(capsys):
    sizes = ["--k", "2", "--n-agents", "6", "--max-cycles", "10", "--n-rollouts", "50"]
    short = ["--alternation.n-rollouts", "50", "--alternation.horizon", "20", "--alternation.max-alternations", "2"]
    command = ["train", "formation", *sizes, *short, "--folder", "run"]
    assert cli.main(command) == 0
    header, *rows = (line.split(",") for line in Path("run/equilibria.csv").read_text().splitlines())
    potentials = {row[0]: float(row[header.index("potential")]) for row in rows}
    assert list(potentials)[:4] == ["paper", "from_paper", "uniform", "chase"]
    said = capsys.readouterr().out
    best = said.partition("kept: ")[2].split()[0]
    assert "gain from the choice of equilibrium" in said
    _, *parts = (line.split(",") for line in Path("run/gain.csv").read_text().splitlines())
    gains = {part[0]: float(part[1]) for part in parts}
    assert gains["total"] == pytest.approx(gains["dispatcher"] + gains["fleet"] + gains["equilibrium"])
    trained = Path("run/evaluation.csv").read_text().splitlines()[2].split(",")
    assert gains["paper"] + gains["total"] == pytest.approx(float(trained[5]))
    assert cli.main(["report", "run"]) == 0
    page = Path("run/report.html").read_text()
    assert "Where the gain over the paper" in page
    assert "--learner observation_aware --n-rollouts 50<" in page
    kept = AlternatingMARL.load("run").global_policy.table
    assert np.array_equal(kept, AlternatingMARL.load(Path("run/starts") / best).global_policy.table)
    before = files_of(Path("run/starts") / best)
    assert cli.main([*command, "--resume"]) == 0  # everything is there already: nothing changes
    assert files_of(Path("run/starts") / best) == before
    clear(Path("run"), "train")  # nothing that training and report have written is missing from the list
    assert [path.name for path in Path("run").rglob("*") if path.is_file()] == [".lock"]
