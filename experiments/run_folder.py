"""The folder of one run: its name, whether it may be written to, and the model to go on with."""

from pathlib import Path

from kofn.agents import AlternatingMARL, MultiStart
from kofn.envs.files import plain_name
from kofn.envs.registration import changed_options
from kofn.experiments.config import TrainConfig
from kofn.experiments.folders import claim, clear, has_model, has_outcome
from kofn.experiments.run_game import load_run, refuse_other_game

Model = AlternatingMARL | MultiStart
"""What can be trained."""


def default_folder(config: TrainConfig, model: Model) -> Path:
    """runs/GAME-OPTIONS-nN-kK-seedSEED; options at their defaults are left out."""
    changed = changed_options(config.game, config.options)
    options = "".join(f"-{name}{value}" for name, value in changed.items())
    name = f"{config.game}{options}-n{model.setting.n_agents}-k{model.setting.k}-seed{config.seed}"
    return Path("runs") / plain_name("run folder", name)


def open_folder(model: Model, folder: Path, config: TrainConfig) -> Model:
    """The model to train: the new one, or the folder's own when resuming; what is overwritten is gone afterwards.

    Raises:
        FileExistsError: the folder holds a run and neither resume nor overwrite was asked for, or it is no run's.
        ValueError: its run had other settings.
    """
    if not claim(folder, "train"):
        return model
    begun = has_model(folder)
    if begun and config.resume:
        refuse_other_game(folder, config, model.setting.game)
        return _resume(model, folder)
    if (begun or has_outcome(folder)) and not (config.resume or config.overwrite):
        raise FileExistsError(f"{folder} already holds a run; pass --resume, --overwrite or another --folder")
    clear(folder, "train")
    return model


def _resume(model: Model, folder: Path) -> Model:
    """The folder's model, after checking that it was started with the same settings."""
    if isinstance(model, MultiStart):
        model.resume(folder)
        return model
    stored = load_run(folder)
    wanted, found = model.description(), stored.description()
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ValueError(
                f"{folder} holds a run with {name}={found.get(name)}, not {value}; use its settings or another --folder"
            )
    return stored
