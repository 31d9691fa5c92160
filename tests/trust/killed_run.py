"""A short training that other processes run and kill; with pictures, so that every file of a run folder is written."""

import sys
from pathlib import Path

from kofn.agents import AlternatingConfig
from kofn.experiments.config import TrainConfig
from kofn.experiments.train import train

FOLDER_FILES = ("config.json", "history.csv", "game.npz", "global_policy.npz", "local_policy.npz", "evaluation.csv")


def run(folder: str) -> None:
    """Train on the small deterministic game, going on with an interrupted run."""
    train(
        TrainConfig(
            game="formation",
            learner="paper",
            k=2,
            n_agents=10,
            max_cycles=10,
            folder=Path(folder),
            resume=Path(folder, "config.json").exists(),
            n_rollouts=20,
            progress_bar=False,
            alternation=AlternatingConfig(n_rollouts=50, horizon=10, max_alternations=3, eta=0.01),
        )
    )


def run_in_fork(folder: str) -> None:
    """The same in a fork of a server that has loaded everything."""
    assert "trust.warm_killed_run" in sys.modules
    run(folder)
