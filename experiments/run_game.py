"""The game of a run: made from its configuration, noted beside it, and made again when the run is read.

`game.txt` holds the registered name and, in a second line, the options as JSON. Games given as functions are not
stored, but looked up by that name.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from kofn.agents import AlternatingMARL
from kofn.agents.alternation.multi_start_files import STARTS_FOLDER
from kofn.envs.files import naming_damage, read_npz, write_text
from kofn.envs.game import TabularGame
from kofn.envs.observations import Observation
from kofn.envs.registration import changed_options, registered_game
from kofn.experiments.config import TrainConfig
from kofn.experiments.folders import GAME_FILE
from kofn.wrappers.continuous_episodes import is_continuous
from kofn.wrappers.factory import make_parallel


def make_env(config: TrainConfig) -> ParallelEnv[str, Observation, int]:
    """The environment of a configuration whose sizes are given (see `train.resolved`)."""
    options: dict[str, Any] = {**config.options, "n_agents": config.n_agents, "max_cycles": config.max_cycles}
    return make_parallel(game=config.game, k=config.k, **options)


def note_game(folder: Path, config: TrainConfig) -> None:
    """Write the registered name of the game beside its run, and in a second line its options, as JSON."""
    write_text(folder / GAME_FILE, f"{config.game}\n{json.dumps(config.options)}\n")


def noted_game(folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The name and options that `note_game` wrote; None where a run was saved by hand.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    path = folder / GAME_FILE
    if not path.exists():
        return None
    with naming_damage(path):
        name, _, options = path.read_text(encoding="utf-8").partition("\n")
        return name.strip(), dict(json.loads(options or "{}"))


def as_typed(name: str, options: Mapping[str, Any]) -> str:
    """A game and its options as the command line takes them."""
    return " ".join([name, *(["--options"] if options else []), *(f"{key} {value}" for key, value in options.items())])


def load_run(folder: Path) -> AlternatingMARL:
    """A run's model, whatever its game."""
    noted = noted_game(folder)
    if noted is None or not is_continuous(noted[0]):
        return AlternatingMARL.load(folder)
    name, options = noted
    return AlternatingMARL.load(folder, game=registered_game(name, **options))


def refuse_other_game(folder: Path, config: TrainConfig, game: Any) -> None:
    """ValueError where the folder's run is of another game, or of other options: it cannot be gone on with.

    Where no game is noted (a run saved by hand), the arrays that were saved tell.
    """
    noted, asked = noted_game(folder), as_typed(config.game, config.options)
    if noted is None:
        for path in (folder / "game.npz", *sorted((folder / STARTS_FOLDER).glob("*/game.npz"))):
            if path.exists() and not (isinstance(game, TabularGame) and _same(path, game)):
                raise ValueError(f"{path} is another game than {asked}; name the run's game, or use another --folder")
        return
    (name, options), wanted = noted, changed_options(config.game, config.options)
    if name != config.game or changed_options(name, options) != wanted:
        raise ValueError(f"{folder} holds a run of {as_typed(name, options)}, not of {asked}; use another --folder")


def _same(saved: Path, game: TabularGame) -> bool:
    """Whether a saved game agrees with another in everything that is saved."""
    with tempfile.TemporaryDirectory() as folder:
        game.save(Path(folder) / saved.name)
        arrays = [read_npz(path, "TabularGame") for path in (saved, Path(folder) / saved.name)]
    return arrays[0].keys() == arrays[1].keys() and all(
        np.array_equal(array, arrays[1][name]) for name, array in arrays[0].items()
    )
