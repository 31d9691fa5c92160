"""`kofn train` for games with continuous states: learners with networks, and a heatmap of places.

The folder is that of any run (`kofn.experiments.train`), with networks in `.safetensors` files; the game, whose
functions are not stored, is made again by the name in `game.txt`.
"""

from pathlib import Path
from typing import Any

from kofn.agents import AlternatingMARL, Evaluation
from kofn.agents.alternation.history import AlternatingConfig
from kofn.agents.alternation.pairs import Pair
from kofn.agents.alternation.setting import Setting
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs.files import write_text
from kofn.envs.streams import Seed
from kofn.experiments.config import TrainConfig
from kofn.experiments.figures import potential_figure, save_figure
from kofn.experiments.line_episode import line_csv, line_figure, record_line
from kofn.experiments.run_game import make_env
from kofn.wrappers.continuous_episodes import is_continuous


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
