"""The README's code blocks run as printed."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = dict(re.findall(r"<!-- ([a-z-]+) -->\s*```python\n(.*?)```", README, flags=re.DOTALL))


def test_every_python_block_is_marked_and_therefore_run():
    assert len(BLOCKS) == README.count("```python") >= 3


def test_the_quickstart_is_short():
    assert len(BLOCKS["quickstart"].strip().splitlines()) <= 15


@pytest.mark.parametrize("name", BLOCKS)
def test_block_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[name], f"README:{name}", "exec"), {})
    assert capsys.readouterr().out.strip()
