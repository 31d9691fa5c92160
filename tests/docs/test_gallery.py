"""The gallery shows every registered game as the code describes it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from kofn.envs import GAMES, game_id

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(gallery: ModuleType) -> None:
    """After changing a game's description: python docs/gallery.py."""
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == gallery.page()


@pytest.mark.parametrize("name", GAMES)
def test_every_game_has_its_picture(name: str) -> None:
    assert f"## {game_id(name)}" in (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert (DOCS / "images" / f"game_{name}.png").stat().st_size > 1000


def test_a_frame_follows_the_rollout(gallery: ModuleType) -> None:
    first, second, again = (gallery.frame("formation", steps, 3) for steps in (0, 4, 0))
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != second).any()
