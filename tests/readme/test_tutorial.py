"""The tutorial's code blocks run as printed, one after another, and its commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from kofn.experiments import cli

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_every_python_block_runs_in_turn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL, flags=re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/tutorial.md, block {number}", "exec"), names)
        assert capsys.readouterr().out.strip(), f"block {number} prints nothing"
    assert names["result"].converged
    assert names["trained"].local_policy.table[:, 0, 1].min() > 0.9  # at a low toll everybody takes the road


def test_the_commands_are_understood(monkeypatch):
    """Parsed, not run: what they do has tests of its own."""
    parsed: list[object] = []
    monkeypatch.setattr(cli, "_run", lambda config: parsed.append(config) or 0)
    commands = [line for line in TUTORIAL.splitlines() if re.match(r"(\.venv/bin/)?kofn ", line)]
    for command in commands:
        assert cli.main(shlex.split(command)[1:]) == 0
    assert [type(config).__name__ for config in parsed] == ["EnvsConfig", "SweepConfig", "ReportConfig"]
    with pytest.raises(SystemExit):
        cli.main(["sweeep"])
