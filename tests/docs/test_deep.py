"""The page on networks: its code blocks run as printed, one after another, and its commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from kofn.agents.deep import plug_in_networks
from kofn.agents.deep.networks import FitConfig
from kofn.experiments import cli

PAGE = (Path(__file__).parents[2] / "docs" / "deep.md").read_text(encoding="utf-8")


def test_every_python_block_runs_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plug_in_networks, "IMITATION", FitConfig(n_steps=50, batch_size=128))
    monkeypatch.setattr(plug_in_networks, "N_SITUATIONS", 2000)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) >= 3
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/deep.md, block {number}", "exec"), names)
        assert capsys.readouterr().out.strip(), f"block {number} prints nothing"
    assert (tmp_path / "runs" / "line" / "global_policy.safetensors").exists()


def test_the_commands_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed, not run: what they do has tests of its own."""
    parsed: list[object] = []
    monkeypatch.setattr(cli, "_run", lambda config: parsed.append(config) or 0)
    commands = [line for line in PAGE.splitlines() if line.startswith("kofn ")]
    for command in commands:
        assert cli.main(shlex.split(command, comments=True)[1:]) == 0
    assert {type(config).__name__ for config in parsed} >= {"TrainConfig", "EvaluateConfig", "ReproduceConfig"}
