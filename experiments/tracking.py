"""Scalars for TensorBoard (when it is installed) and Weights & Biases (when asked for), beside the CSV files.

The CSV files are the record; these only show it while it grows. TensorBoard's files lie in `tensorboard/` of the run's
folder, one folder per cell of a sweep. `--track PROJECT` starts one Weights & Biases run per run or cell; set
WANDB_MODE=offline to keep it on this machine.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kofn.agents import Proposal
from kofn.envs.files import plain_name

TENSORBOARD = "tensorboard"


class Tracker(Protocol):
    """Takes named numbers as a run goes on."""

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Record some numbers at a step."""

    def close(self) -> None:
        """End the record."""


class TensorBoardTracker:
    """Event files in a folder; needs tensorboard (not PyTorch or TensorFlow)."""

    def __init__(self, folder: Path) -> None:
        self._writer: Any = importlib.import_module("tensorboard.summary").Writer(str(folder))

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Record some numbers at a step."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()


class WandbTracker:
    """One Weights & Biases run."""

    def __init__(
        self, project: str, name: str, config: Mapping[str, Any], folder: Path, group: str | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb().init(
            project=project, name=name, group=group, config=dict(config), dir=str(folder), reinit="create_new"
        )

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Record some numbers at a step."""
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def wandb() -> Any:
    """The library; ImportError says how to get it."""
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise ImportError(f"--track needs Weights & Biases: pip install wandb ({error})") from None


def trackers(
    folder: Path, name: str, config: Mapping[str, Any], *, project: str | None, group: str | None = None
) -> list[Tracker]:
    """What records a run or a cell.

    Args:
        folder: of the run or the sweep.
        name: of the run or the cell; "" for the folder's only run.
        config: its settings.
        project: Weights & Biases project; None: not there.
        group: name that the cells of a sweep share.

    Raises:
        ImportError: a project is named and wandb is not installed.
    """
    found: list[Tracker] = []
    if importlib.util.find_spec("tensorboard") is not None:
        place = folder / TENSORBOARD
        found.append(TensorBoardTracker(place / plain_name("cell", name) if name else place))
    if project is not None:
        found.append(WandbTracker(project, name if name else folder.name, config, folder, group))
    return found


def proposal_scalars(proposal: Proposal | Mapping[str, Any]) -> dict[str, float]:
    """What is recorded of a proposal."""
    line = proposal if isinstance(proposal, Mapping) else vars(proposal)
    accepted = line["verdict"] == "accept"
    return {
        "potential": float(line["proposed_potential"] if accepted else line["potential"]),
        "proposed_potential": float(line["proposed_potential"]),
        "accepted": float(accepted),
    }


def proposal_log(record: Sequence[Tracker]) -> Callable[[Proposal], None]:
    """What hands every proposal to the trackers; where several starts count their own steps, steps go on rising."""
    logged = 0

    def log(proposal: Proposal) -> None:
        nonlocal logged
        logged = max(logged + 1, proposal.step)
        for tracker in record:
            tracker.log(proposal_scalars(proposal), logged)

    return log
