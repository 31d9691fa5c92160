"""The tutorial's code blocks run as printed, one after another, and its commands exist."""

from pathlib import Path

import pytest
from pages import parsed_commands, run_python_blocks

from kofn.experiments import cli

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_every_python_block_runs_in_turn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert TUTORIAL.count("```python") >= 5
    names = run_python_blocks("docs/tutorial.md", TUTORIAL, capsys)
    assert names["result"].converged
    assert names["trained"].local_policy.table[:, 0, 1].min() > 0.9  # at a low toll everybody takes the road


def test_the_commands_are_understood(monkeypatch):
    assert parsed_commands(TUTORIAL, monkeypatch) == ["EnvsConfig", "SweepConfig", "ReportConfig"]
    with pytest.raises(SystemExit):
        cli.main(["sweeep"])
