"""The page on networks: its code blocks run as printed, one after another, and its commands exist."""

from pathlib import Path

import pytest
from pages import parsed_commands, run_python_blocks

from kofn.agents.deep import plug_in_networks
from kofn.agents.deep.networks import FitConfig

PAGE = (Path(__file__).parents[2] / "docs" / "deep.md").read_text(encoding="utf-8")


def test_every_python_block_runs_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plug_in_networks, "IMITATION", FitConfig(n_steps=50, batch_size=128))
    monkeypatch.setattr(plug_in_networks, "N_SITUATIONS", 2000)
    assert PAGE.count("```python") >= 3
    run_python_blocks("docs/deep.md", PAGE, capsys)
    assert (tmp_path / "runs" / "line" / "global_policy.safetensors").exists()


def test_the_commands_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(parsed_commands(PAGE, monkeypatch)) == {"TrainConfig", "EvaluateConfig", "PlotConfig", "ReproduceConfig"}
