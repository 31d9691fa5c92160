"""The command that a run folder was trained by, as far as the folder knows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kofn.agents.alternation.multi_start_files import STARTS_FOLDER
from kofn.experiments.plots.data import read_optional
from kofn.experiments.run_game import as_typed, noted_game


def train_command(folder: Path, content: Mapping[str, Any]) -> str:
    """`kofn train ..` with the game, sizes, seed, learner and evaluation of a run; its other settings are left out.

    Args:
        folder: the run's.
        content: of its `config.json`.
    """
    noted = noted_game(folder)
    sizes = {"--k": content["k"], "--n-agents": content["n_agents"], "--seed": content["seed"]["entropy"]}
    found: dict[str, Any] = {**sizes, "--max-cycles": content["max_cycles"], "--learner": _learner(folder, content)}
    evaluated = read_optional(folder / "evaluation.csv")
    if evaluated:
        found["--n-rollouts"] = evaluated[0]["n_rollouts"]
    words = ["kofn train", as_typed(*noted) if noted is not None else "GAME"]
    words += [f"{name} {value}" for name, value in found.items() if value is not None]
    return " ".join(words + (["--nash-gap"] if (folder / "nash_gap.csv").exists() else []))


def _learner(folder: Path, content: Mapping[str, Any]) -> str | None:
    """What `--learner` was; None where the run was not the command's."""
    if (folder / STARTS_FOLDER).exists():
        return "observation_aware"
    one, other = content["global_learner"], content["local_learner"]
    names = (one["name"], other["name"])
    if names == ("GLearner", "LLearner"):
        return "mean_field" if (one["operator"], other["method"]) == ("rounded", "mean_field") else "paper"
    if other["name"] == "DeepLocal":
        return "reward" if other["reward"] == "team" else str(other["algorithm"])
    return None
