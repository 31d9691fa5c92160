"""Whose a folder is: what `kofn train` and `kofn sweep` write to it, and what --overwrite removes.

A folder is a run's when its `config.json` is a model's, its `game.txt` names a game, or `starts/` holds a model; it is
a sweep's when `sweep.json` or a cell says so. Each command refuses the other's folder, and one that is nobody's where a
file lies that it would write. --overwrite removes `FILES` of the old run or sweep before the new one begins, and
nothing else; where the removal is cut short, what is left is still known for what it was.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from kofn.agents.alternation.model_files import KIND, MODEL_FILES, kind_of
from kofn.agents.alternation.multi_start_files import STARTS_FOLDER, forget_starts, stored_starts
from kofn.envs.registration import GAMES

Command = Literal["train", "sweep"]

GAME_FILE = "game.txt"
SWEEP_FILE = "sweep.json"
SWEEP_KIND, CELL_KIND = "Sweep", "SweepCell"
EVENTS = "events.out.tfevents.*"
CELL = "[0-9a-f]" * 16
"""Pattern of a cell's name."""

OUTCOME = (
    *("equilibria.csv", "gain.csv", "evaluation.csv", "nash_gap.csv", "trajectory.csv", "report.html"),
    *(f"{figure}.{suffix}" for figure in ("potential", "occupancy") for suffix in ("png", "svg", "pdf")),
    f"tensorboard/{EVENTS}",
)
"""What a run writes beside its model, `starts/` and `game.txt`."""

FILES: dict[Command, tuple[str, ...]] = {
    "train": (*MODEL_FILES, *OUTCOME, GAME_FILE),
    "sweep": (
        f"cells/{CELL}.json",
        *("results.csv", "timings.csv", "history.csv", "episodes.csv", "report.html"),
        f"tensorboard/{CELL}/{EVENTS}",
        SWEEP_FILE,
    ),
}
"""Patterns of the files in the folder of a command, in the order in which they are removed."""

WORDS: dict[Command, str] = {"train": "a run of kofn train", "sweep": "a sweep"}


def holds(folder: Path, command: Command) -> bool:
    """Whether the folder is one of this command."""
    if command == "train":
        models = (folder, *(folder / STARTS_FOLDER).glob("*"))
        return any(kind_of(place / "config.json") == KIND for place in models) or _names_a_game(folder / GAME_FILE)
    cells = (folder / "cells").glob(f"{CELL}.json")
    return kind_of(folder / SWEEP_FILE) == SWEEP_KIND or any(kind_of(cell) == CELL_KIND for cell in cells)


def _names_a_game(path: Path) -> bool:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip() in GAMES
    except (OSError, ValueError):
        return False


def claim(folder: Path, command: Command) -> bool:
    """Whether the folder is one of this command already.

    Raises:
        FileExistsError: it is of the other command, or would lose a file that is of neither.
    """
    other: Command = "sweep" if command == "train" else "train"
    if holds(folder, other):
        raise FileExistsError(
            f"{folder} holds {WORDS[other]}, which kofn {command} would damage; choose another --folder"
        )
    if command == "train":
        stored_starts(folder)
    if holds(folder, command):
        return True
    for path in _files(folder, command):
        raise FileExistsError(
            f"{path} would be overwritten, and {folder} does not hold {WORDS[command]}: move the file away, or choose "
            "another --folder (nothing here was changed)"
        )
    return False


def _files(folder: Path, command: Command) -> Iterator[Path]:
    for pattern in FILES[command]:
        yield from sorted(folder.glob(pattern))


def clear(folder: Path, command: Command) -> None:
    """Remove what the command has written to its folder."""
    if command == "train":
        forget_starts(folder)
    for path in _files(folder, command):
        path.unlink()


def has_outcome(folder: Path) -> bool:
    """Whether anything is left of a run but its model."""
    return any(True for pattern in OUTCOME for _ in folder.glob(pattern))


def has_model(folder: Path) -> bool:
    """Whether a model is there, whole or damaged: a run to go on with."""
    return any((place / "config.json").exists() for place in (folder, *(folder / STARTS_FOLDER).glob("*")))
