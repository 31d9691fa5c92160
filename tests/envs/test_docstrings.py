"""What the docstrings and README's table say of every registered game is what the code does: defaults and sizes.

Every game also says what looking is worth, with a test of it.
"""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from kofn.envs import GAMES, PopulationEnv, game_id
from kofn.envs.registration import Defaults, game_module, registered_game

ROOT = Path(__file__).parents[2]
every_game = pytest.mark.parametrize("name", GAMES)


def section(name: str, title: str) -> str:
    """A section of a game's docstring, its lines joined."""
    found = re.search(rf"\n## {title}\n(.*?)(?=\n## |\Z)", game_module(name).__doc__ or "", flags=re.DOTALL)
    assert found is not None, f"{name} has no section {title}"
    return " ".join(found[1].split())


def defaults_of(function: Any) -> dict[str, Any]:
    """Arguments with a default, by name."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def true_defaults(name: str) -> dict[str, Any]:
    """Defaults of the game's own arguments, which may be fields of its class, and those of the environment."""
    module, sizes = game_module(name), game_module(name).DEFAULTS
    game = registered_game(name)
    own = {**defaults_of(type(game)), **defaults_of(module.game)}
    return {**own, **defaults_of(PopulationEnv), "n_agents": sizes.n_agents, "max_cycles": sizes.max_cycles}


@every_game
def test_arguments_have_the_defaults_that_are_stated(name: str) -> None:
    text, sizes = section(name, "Arguments"), game_module(name).DEFAULTS
    stated = {found[1]: ast.literal_eval(found[2]) for found in re.finditer(r"`(\w+)=([^`]+)`", text)}
    true = true_defaults(name)
    assert {"discount", "n_agents", "max_cycles", "obs_mode", "render_mode", "global_view"} <= set(stated)
    own = {argument for argument in defaults_of(game_module(name).game) if argument != "options"}
    assert own <= set(stated)
    for argument, value in stated.items():
        # A game's class may take its discount without a default, where `game` always gives one.
        assert true[argument] == value, argument
    assert re.search(rf"`kofn train` uses k={sizes.k}\b|`k` \({sizes.k} by default", text)
    assert f"(default {sizes.max_cycles}" in section(name, "Episode End")
    assert section(name, "Starting State")


@every_game
def test_the_readme_has_its_sizes(name: str) -> None:
    rows = [
        line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if f"`{game_id(name)}`" in line
    ]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    sizes: Defaults = game_module(name).DEFAULTS
    game = registered_game(name)
    assert cells[4:] == [str(n) for n in (sizes.n_agents, sizes.k, sizes.max_cycles, game.discount)]
    assert cells[3] == f"{game.n_global_actions} / {game.n_local_actions}"
    if hasattr(game, "n_local_states"):
        assert cells[2].removesuffix(" seen") == f"{game.n_global_states} / {game.n_local_states}"
    assert f"envs/{name}.py" in rows[0]


@every_game
def test_the_value_of_information_is_told_and_tested(name: str) -> None:
    assert re.search(r"\d", section(name, "Value of information"))
    studies = (ROOT / "tests" / "envs" / "test_value_of_information.py").read_text(encoding="utf-8")
    own = (ROOT / "tests" / "envs" / f"test_{name}.py").read_text(encoding="utf-8")
    assert f'    "{name}": Study(' in studies or "\ndef test_looking_pays" in own
