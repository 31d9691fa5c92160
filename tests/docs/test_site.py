"""The site's pages of the environments, and what becomes of links to files of the repository."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from kofn.envs import GAMES, game_id

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", GAMES)
def test_every_game_has_a_page_from_its_docstring(site, name):
    page = site.environment_page(name)
    assert page.startswith(f"# {game_id(name)}")
    for heading in ("## Description", "## Dynamics", "## Rewards", "## Starting State"):
        assert heading in page
    assert f"environments/{name}.md" in site.overview()


@pytest.mark.parametrize(
    ("path", "depth", "expected"),
    [
        ("envs/formation.py", 0, "[text](environments/formation.md)"),
        ("envs/game.py", 0, "[text](api/envs.md)"),
        ("agents/bounds/__init__.py", 1, "[text](../api/agents.md)"),
        ("LICENSE", 0, "text (`LICENSE`)"),
    ],
)
def test_links_to_the_repository_lead_into_the_site_or_nowhere(site, path, depth, expected):
    assert site.redirected("text", path, depth) == expected


def test_pages_of_single_subjects_enter_the_menu_when_they_exist(site, monkeypatch):
    monkeypatch.setattr(site, "SUBJECTS", {"concepts.md": "There", "nowhere.md": "Not there"})
    menu = [{str(entry): f"{entry}.md"} for entry in range(8)]
    found = site.on_config({"nav": list(menu)})["nav"]
    assert found == [*menu[:6], {"Subjects": [{"There": "concepts.md"}]}, *menu[6:]]


def test_every_page_of_the_menu_exists_or_is_generated():
    menu = [line.strip() for line in (ROOT / "mkdocs.yml").read_text(encoding="utf-8").splitlines() if ".md" in line]
    pages = [line.split(": ")[-1] for line in menu if line.startswith("- ") and line.endswith(".md")]
    missing = [page for page in pages if not (ROOT / "docs" / page).exists()]
    assert missing == ["environments.md"]
