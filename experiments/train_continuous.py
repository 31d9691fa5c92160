"""`kofn train` for games with continuous states: learners with networks, and a heatmap of places.

The folder is that of any run (`kofn.experiments.train`), with networks in `.safetensors` files; the game, whose
functions are not stored, is made again by the name in `game.txt`.
"""

import json
from pathlib import Path
from typing import Any

from pettingzoo import ParallelEnv

from kofn.agents import AlternatingMARL, Evaluation
from kofn.agents.alternation.history import AlternatingConfig
from kofn.agents.alternation.pairs import Pair
from kofn.agents.alternation.setting import Setting
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs.files import naming_damage, write_text
from kofn.envs.observations import Observation
from kofn.envs.registration import registered_game
from kofn.envs.streams import Seed
from kofn.experiments.config import TrainConfig
from kofn.experiments.figures import potential_figure, save_figure
from kofn.experiments.line_episode import line_csv, line_figure, record_line
from kofn.wrappers.continuous_episodes import is_continuous
from kofn.wrappers.factory import make_parallel

NAME_FILE = "game.txt"


def build_continuous(config: TrainConfig) -> AlternatingMARL:
    """The untrained model of a configuration whose sizes are given (see `train.resolved`)."""
    # Loads PyTorch, an extra, which other runs do without.
    from kofn.agents.deep.recipes import cluster_line_starts, deep_model  # noqa: PLC0415

    if not is_continuous(config.game):
        raise ValueError(f"--learner {config.learner} trains games with continuous states; {config.game} has tables")
    setting = Setting.of(make_env(config))
    starts = cluster_line_starts(setting.k) if (config.game, config.learner) == ("cluster_line", "reward") else ()
    alternation = config.alternation if config.alternation != AlternatingConfig() else None
    return deep_model(setting, config.learner, seed=config.seed, config=alternation, starts=starts)


def make_env(config: TrainConfig) -> ParallelEnv[str, Observation, int]:
    """The environment of a configuration whose sizes are given (see `train.resolved`)."""
    options: dict[str, Any] = {**config.options, "n_agents": config.n_agents, "max_cycles": config.max_cycles}
    return make_parallel(game=config.game, k=config.k, **options)


def note_game(folder: Path, config: TrainConfig) -> None:
    """Write the registered name of the game beside its run, and in a second line its options, as JSON."""
    write_text(folder / NAME_FILE, f"{config.game}\n{json.dumps(config.options)}\n")


def noted_game(folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The name and options that `note_game` wrote; None where a run was saved by hand.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    path = folder / NAME_FILE
    if not path.exists():
        return None
    with naming_damage(path):
        name, _, options = path.read_text(encoding="utf-8").partition("\n")
        return name.strip(), dict(json.loads(options or "{}"))


def load_run(folder: Path) -> AlternatingMARL:
    """A run's model, whatever its game."""
    noted = noted_game(folder)
    if noted is None or not is_continuous(noted[0]):
        return AlternatingMARL.load(folder)
    name, options = noted
    return AlternatingMARL.load(folder, game=registered_game(name, **options))


def evaluate_pair(model: Any, pair: Pair, n_rollouts: int, seed: Seed) -> Evaluation:
    """Returns of a pair over an episode's length, most likely actions."""
    setting = model.setting
    return evaluate_line(
        setting.game, *pair, setting.n_agents, horizon=setting.max_cycles, n_rollouts=n_rollouts, seed=seed
    )


def draw_continuous(model: Any, folder: Path, seed: Seed) -> None:
    """The two figures, and the episode behind the second."""
    setting = model.setting
    trajectory = record_line(model, seed)
    write_text(folder / "trajectory.csv", line_csv(trajectory))
    title = f"{setting.game.title}, n = {setting.n_agents}, k = {setting.k}"
    save_figure(potential_figure(model.history, title), folder / "potential.png")
    save_figure(line_figure(trajectory, setting.game, title), folder / "occupancy.png")
