"""docs/theory.md says what the code says: its tables, its example, and a line for every function."""

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from kofn.agents import bounds

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """docs/theory_figures.py."""
    spec = importlib.util.spec_from_file_location("theory_figures", ROOT / "docs" / "theory_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["bounds", "defaults", "comparison", "logarithmic"])
def test_tables_are_those_of_the_script(script: ModuleType, name: str) -> None:
    tables = script.tables()
    assert len(tables) == 4
    assert "\n".join(tables[name]) in PAGE


def test_the_example_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(example, {})
    printed = capsys.readouterr().out.strip()
    assert f"# {printed}\n" in example


def test_every_function_is_on_the_page() -> None:
    functions = [name for name in bounds.__all__ if inspect.isfunction(getattr(bounds, name))]
    assert len(functions) > 40
    assert not [name for name in functions if f"`{name}`" not in PAGE]


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)]+)\)", PAGE)
    files = re.findall(r"`(tests/[^`]+\.py)`", PAGE)
    assert len(targets) == 5
    assert len(files) >= 8
    missing = [target for target in targets if not (ROOT / "docs" / target).is_file()]
    assert not missing + [file for file in files if not (ROOT / file).is_file()]


def test_measured_losses_are_drawn_beside_their_predictor(script: ModuleType) -> None:
    """Figures and reports of given numbers; measuring them takes minutes."""
    losses = [14.52, 11.64, 12.17, 12.33, 11.04, 10.33, 9.08, 8.09, 5.64, 2.93]
    report = list(script.loss_report(losses))
    assert report[2] in PAGE
    assert report[3].endswith("against k: -0.60")
    assert report[4].endswith(": 0.95")
    near, far = script.loss_figure(losses, losses).axes
    assert [len(axes.get_lines()) for axes in (near, far)] == [3, 5]
