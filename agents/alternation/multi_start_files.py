"""Files of a multi-start run: every start's, the one kept, and where all of them ended.

| file | content |
|---|---|
| `starts/NAME/` | a model's folder (`model_files`) for every start begun |
| those of a model's folder | copies of the files of the start kept, written after it (`model_files`) |
| `equilibria.csv` | one line per start |

Every file is replaced atomically and in this order: stopped anywhere in between, the run can be loaded and resumed.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from kofn.agents.alternation.alternating import AlternatingMARL
from kofn.agents.alternation.model_files import holds_only_a_model
from kofn.agents.alternation.multi_start_result import Equilibrium
from kofn.envs.files import plain_name, write_text
from kofn.envs.interface import OpenGame

STARTS_FOLDER = "starts"

COLUMNS = ("start", "potential", "standard_error", "converged", "n_proposals", "same_as")


def write_equilibria(folder: Path, equilibria: Sequence[Equilibrium]) -> None:
    """Write `equilibria.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(equilibrium, column) for column in COLUMNS] for equilibrium in equilibria)
    write_text(folder / "equilibria.csv", text.getvalue())


def write_starts(folder: Path, models: Mapping[str, AlternatingMARL], best: AlternatingMARL) -> None:
    """Write every start's folder, then copies of the files of the one kept."""
    for name, model in models.items():
        model.save(folder / STARTS_FOLDER / name)
    best.save(folder)


def stored_starts(folder: Path) -> list[Path]:
    """The starts' folders that runs have left in a folder.

    Raises:
        FileExistsError: something else lies there.
    """
    root = folder / STARTS_FOLDER
    places = sorted(root.iterdir()) if root.is_dir() else [root] if root.exists() else []
    for place in places:
        if not holds_only_a_model(place):
            raise FileExistsError(
                f"{root} must hold starts of a run of kofn only; {place} is none, or holds other files: move it away, "
                "or choose another folder (nothing here was changed)"
            )
    return places


def forget_starts(folder: Path) -> None:
    """Remove the starts that an earlier run left in the folder, which is to be replaced, and nothing else.

    Raises:
        FileExistsError: something else lies among them; nothing was removed.
    """
    places = stored_starts(folder)
    for place in places:
        (place / "config.json").unlink(missing_ok=True)  # before the rest: half a start is nobody's to resume
    for place in places:
        for file in place.iterdir():
            file.unlink()
        place.rmdir()


def read_done(folder: Path, name: str, game: OpenGame | None) -> AlternatingMARL | None:
    """The alternation of a start as the folder has it; None when it was not begun."""
    place = folder / STARTS_FOLDER / plain_name("start", name)
    return AlternatingMARL.load(place, game=game) if (place / "config.json").exists() else None
