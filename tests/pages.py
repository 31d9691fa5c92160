"""Pages of the documentation as tests: their code runs as printed, their commands are understood."""

import re
import shlex
from typing import Any

import pytest

from kofn.experiments import cli


def run_python_blocks(page: str, text: str, capsys: pytest.CaptureFixture) -> dict[str, Any]:
    """Run the python blocks of a page one after another, each of which must print; returns their names and values."""
    names: dict[str, Any] = {}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL), start=1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
        assert capsys.readouterr().out.strip(), f"{page}: block {number} prints nothing"
    return names


def parsed_commands(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kinds of the `kofn` commands of a page, parsed and not run: what they do has tests of its own."""
    parsed: list[object] = []
    monkeypatch.setattr(cli, "_run", lambda config: parsed.append(config) or 0)
    commands = [line for line in text.splitlines() if re.match(r"(\.venv/bin/)?kofn ", line)]
    for command in commands:
        assert cli.main(shlex.split(command, comments=True)[1:]) == 0
    return [type(config).__name__ for config in parsed]
