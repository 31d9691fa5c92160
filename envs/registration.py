"""The games by name, and their ids in the registries of PettingZoo and Gymnasium.

Every game module exports `game(...)`, `parallel_env(...)`, `env(...)` and `DEFAULTS`. The id
`kofn/<name>-v<version>` is registered with PettingZoo as "parallel" and "aec"; entry points are strings, so that
registering imports nothing.
"""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import gymnasium
import pettingzoo

from kofn.envs.arrays import known_name
from kofn.envs.game import TabularGame
from kofn.envs.observations import OBS_MODES, ObsMode


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Sizes a game is played at unless told otherwise.

    Args:
        n_agents: n, number of local agents.
        max_cycles: horizon, steps per episode.
        k: number of local agents the global agent sees.
        obs_modes: observation modes it has; games with continuous states have "box" only.
    """

    n_agents: int
    max_cycles: int
    k: int
    obs_modes: tuple[ObsMode, ...] = OBS_MODES


GAMES: dict[str, int] = {
    "cluster_line": 0,
    "constrained_exploration": 0,
    "federated_anchored": 0,
    "federated_averaging": 0,
    "federated_optimization": 0,
    "formation": 0,
    "gaussian_squeeze": 0,
    "gaussian_squeeze_native": 0,
    "warehouse_dispatch": 0,
}
"""Names of the registered games and the version of each; the module of a game is `kofn.envs.<name>`."""

VIEWS = {
    "kofn/GlobalBestResponse-v0": "kofn.wrappers.continuous_best_response:global_best_response",
    "kofn/LocalBestResponse-v0": "kofn.wrappers.continuous_best_response:local_best_response",
    "kofn/ReplicaChain-v0": "kofn.wrappers.replica_chain:ReplicaChain",
    "kofn/HistogramChain-v0": "kofn.wrappers.histogram_chain:HistogramChain",
}
"""Single-agent views registered with Gymnasium; the first two also of games with continuous states."""

VECTOR_VIEWS = {
    "kofn/GlobalBestResponse-v0": "kofn.wrappers.continuous_vector_views:global_best_response_vec",
    "kofn/LocalBestResponse-v0": "kofn.wrappers.continuous_vector_views:local_best_response_vec",
}
"""What `gymnasium.make_vec` makes of those views that step many populations at once."""


def game_id(name: str) -> str:
    """The registered id of a game, `kofn/<name>-v<version>`; raises ValueError for an unknown one."""
    known_name("game", name, GAMES)
    return f"kofn/{name}-v{GAMES[name]}"


def game_module(name: str) -> ModuleType:
    """The module of a registered game.

    Raises:
        ValueError: unknown name; the message lists the known ones and suggests the nearest.
    """
    return importlib.import_module(f"kofn.envs.{known_name('game', name, GAMES)}")


def registered_game(name: str, **options: Any) -> Any:
    """A registered game: a TabularGame or, without arrays, an `OpenGame`.

    Args:
        name: registered name.
        options: arguments of the game module's `game`, where they differ from their defaults.

    Raises:
        TypeError, ValueError: an unknown name or option (the message lists the known), or a value out of range.
    """
    make = game_module(name).game
    for option in options:
        known_name(f"an option of {name}", option, inspect.signature(make).parameters)
    return make(**options)


def default_options(name: str) -> dict[str, Any]:
    """A registered game's options at their defaults."""
    parameters = inspect.signature(game_module(name).game).parameters
    return {
        option: parameter.default
        for option, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def typed_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A registered game's options, integers as floats where the default is one: 1 and 1.0 are one game."""
    defaults = default_options(name)
    return {
        option: float(value) if type(value) is int and isinstance(defaults.get(option), float) else value
        for option, value in options.items()
    }


def changed_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a registered game's options that are not its defaults: two games that agree in them are the same."""
    defaults = default_options(name)
    return {
        option: value
        for option, value in typed_options(name, options).items()
        if option not in defaults or value != defaults[option]
    }


def as_game(game: TabularGame | str) -> TabularGame:
    """A game of arrays, given as object or registered name.

    Raises:
        TypeError: neither, or a game without arrays.
        ValueError: unknown name.
    """
    if isinstance(game, TabularGame):
        return game
    if not isinstance(game, str):
        raise TypeError(f"game must be a TabularGame or a registered name; got {type(game).__name__}")
    made = registered_game(game)
    if not isinstance(made, TabularGame):
        raise TypeError(
            f"game must have arrays (a TabularGame); {game!r} is of type {type(made).__name__}, which has none: "
            "it is played as an environment"
        )
    return made


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
        # Bare, without Gymnasium's own guards: views check themselves, and a k set on a guard would be lost.
        vector = VECTOR_VIEWS.get(view)
        gymnasium.register(
            id=view,
            entry_point=entry_point,
            vector_entry_point=vector,
            order_enforce=False,
            disable_env_checker=True,
        )
