"""The games by name, and their ids in the registries of PettingZoo and Gymnasium.

Every game module exports `game(...)`, `parallel_env(...)`, `env(...)` and `DEFAULTS`. The id
`kofn/<name>-v<version>` is registered with PettingZoo as "parallel" and "aec"; entry points are strings, so that
registering imports nothing.
"""

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import gymnasium
import pettingzoo

from kofn.envs.game import TabularGame


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Sizes a game is played at unless told otherwise.

    Args:
        n_agents: n, number of local agents.
        max_cycles: horizon, steps per episode.
        k: number of local agents the global agent sees.
    """

    n_agents: int
    max_cycles: int
    k: int


GAMES: dict[str, int] = {"warehouse_dispatch": 0}
"""Names of the registered games and the version of each; the module of a game is `kofn.envs.<name>`."""

VIEWS = {
    "kofn/GlobalBestResponse-v0": "kofn.wrappers.best_response:GlobalBestResponse",
    "kofn/LocalBestResponse-v0": "kofn.wrappers.best_response:LocalBestResponse",
}
"""Single-agent views registered with Gymnasium."""


def game_id(name: str) -> str:
    """The registered id of a game, `kofn/<name>-v<version>`."""
    return f"kofn/{name}-v{GAMES[name]}"


def game_module(name: str) -> ModuleType:
    """The module of a registered game.

    Raises:
        ValueError: unknown name; the message lists the known ones and suggests the nearest.
    """
    if name not in GAMES:
        near = difflib.get_close_matches(str(name), GAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"game must be one of {', '.join(map(repr, GAMES))}; got {name!r}{hint}")
    return importlib.import_module(f"kofn.envs.{name}")


def as_game(game: TabularGame | str) -> TabularGame:
    """A game given as object or registered name."""
    if isinstance(game, TabularGame):
        return game
    if not isinstance(game, str):
        raise TypeError(f"game must be a TabularGame or a registered name; got {type(game).__name__}")
    make_game: Callable[[], TabularGame] = game_module(game).game
    return make_game()


def default_sizes(game: TabularGame | str) -> Defaults | None:
    """Default sizes of a registered game; None for a user's own game."""
    if isinstance(game, TabularGame):
        return None
    defaults: Defaults = game_module(game).DEFAULTS
    return defaults


def register_all() -> None:
    """Register every game with PettingZoo (where it has a registry) and every view with Gymnasium."""
    # PettingZoo before 1.27 has no registry; there the modules' own parallel_env() and env() remain.
    if hasattr(pettingzoo, "register"):
        for name in GAMES:
            options: dict[str, Any] = {"game": name}
            pettingzoo.register("parallel", game_id(name), "kofn.wrappers.factory:make_parallel", kwargs=options)
            pettingzoo.register("aec", game_id(name), "kofn.wrappers.factory:make_aec", kwargs=options)
    for view, entry_point in VIEWS.items():
        gymnasium.register(id=view, entry_point=entry_point)
