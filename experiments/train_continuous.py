"""`kofn train` for games with continuous states: learners with networks, and a heatmap of places.

The folder is that of any run (`kofn.experiments.train`), with networks in `.safetensors` files, and `game.txt`, the
registered name of the game, whose functions are not stored.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kofn.agents import AlternatingMARL, Evaluation
from kofn.agents.alternation.history import AlternatingConfig
from kofn.agents.alternation.pairs import Pair
from kofn.agents.alternation.setting import Setting
from kofn.agents.line_evaluation import acting_policy, evaluate_line
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.files import write_text
from kofn.envs.population import sample_without_replacement
from kofn.envs.registration import registered_game
from kofn.envs.streams import Seed, Streams
from kofn.experiments.config import TrainConfig
from kofn.experiments.figures import BLUE, ORANGE, VERMILLION, potential_figure, save_figure
from kofn.wrappers.factory import make_parallel

NAME_FILE = "game.txt"


def is_continuous(game: str) -> bool:
    """Whether a registered game has continuous states."""
    return isinstance(registered_game(game), ContinuousGame)


def build_continuous(config: TrainConfig) -> AlternatingMARL:
    """The untrained model of a configuration whose sizes are given (see `train.resolved`)."""
    # Loads PyTorch, an extra, which other runs do without.
    from kofn.agents.deep.recipes import cluster_line_starts, deep_model  # noqa: PLC0415

    if not is_continuous(config.game):
        raise ValueError(f"--learner {config.learner} trains games with continuous states; {config.game} has tables")
    env = make_parallel(game=config.game, k=config.k, n_agents=config.n_agents, max_cycles=config.max_cycles)
    setting = Setting.of(env)
    starts = cluster_line_starts(setting.k) if (config.game, config.learner) == ("cluster_line", "reward") else ()
    alternation = config.alternation if config.alternation != AlternatingConfig() else None
    return deep_model(setting, config.learner, seed=config.seed, config=alternation, starts=starts)


def note_game(folder: Path, game: str) -> None:
    """Write the registered name of a continuous game beside its run."""
    if is_continuous(game):
        write_text(folder / NAME_FILE, game)


def load_run(folder: Path) -> AlternatingMARL:
    """A run's model, whatever its game."""
    name = folder / NAME_FILE
    game = registered_game(name.read_text(encoding="utf-8").strip()) if name.exists() else None
    return AlternatingMARL.load(folder, game=game)


def evaluate_pair(model: Any, pair: Pair, n_rollouts: int, seed: Seed) -> Evaluation:
    """Returns of a pair over an episode's length, most likely actions."""
    setting = model.setting
    return evaluate_line(
        setting.game, *pair, setting.n_agents, horizon=setting.max_cycles, n_rollouts=n_rollouts, seed=seed
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class LineTrajectory:
    """One episode.

    Attributes:
        global_states: s_g, float [H].
        targets: where the global agent's actions lead, float [H] (nan where the game marks no places).
        shares: agents per cell of a fine grid, float [H, cell].
        true_mode: the bin in which most agents started.
    """

    global_states: FloatArray
    targets: FloatArray
    shares: FloatArray
    true_mode: int


N_CELLS = 80
"""Cells of the heatmap along the line."""


def record_line(model: Any, seed: Seed) -> LineTrajectory:
    """Play one episode of the current pair and record it."""
    setting, streams = model.setting, Streams.from_seed(seed)
    game: ContinuousGame = setting.game
    simulator = ContinuousSimulator(game, setting.n_agents)
    simulator.reset(streams)
    fleet = acting_policy(model.local_policy, game)
    edges = np.linspace(*game.local_bounds, N_CELLS + 1)
    states, targets, shares = [], [], []
    for _ in range(setting.max_cycles):
        seen = sample_without_replacement(streams.sampling, simulator.counts(), setting.k)
        action: IntArray = model.global_policy.act(simulator.global_states, seen)
        states.append(float(simulator.global_states[0]))
        marked = action[0] < len(game.landmarks)
        targets.append(game.landmarks[int(action[0])] if marked else float("nan"))
        shares.append(np.histogram(simulator.local_states[0], edges)[0] / setting.n_agents)
        simulator.step(action, fleet.act(simulator.local_states, simulator.global_states[:, None]))
    return LineTrajectory(
        global_states=np.array(states),
        targets=np.array(targets),
        shares=np.array(shares),
        true_mode=int(simulator.start_modes[0]),
    )


def line_figure(trajectory: LineTrajectory, game: ContinuousGame, title: str) -> Figure:
    """Heatmap of where the agents are, with the global agent, its targets, the bins and the true mode."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.add_subplot()
    n_steps = len(trajectory.shares)
    low, high = game.local_bounds
    image = axes.imshow(
        trajectory.shares.T, aspect="auto", origin="lower", cmap="Greys", extent=(-0.5, n_steps - 0.5, low, high)
    )
    figure.colorbar(image, ax=axes, label="share of local agents", pad=0.01)
    steps = np.arange(n_steps)
    axes.plot(steps, trajectory.global_states, color=BLUE, label="global agent")
    axes.scatter(steps, trajectory.targets, marker=".", s=16, color=ORANGE, label="its choice", zorder=3)
    edges = game.bin_edges
    mode = edges[trajectory.true_mode], edges[trajectory.true_mode + 1]
    axes.axhspan(*mode, facecolor="none", edgecolor=VERMILLION, label="bin of the true mode")
    axes.set_yticks(edges)
    axes.set_xlabel("step")
    axes.set_ylabel("place")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


def draw_continuous(model: Any, folder: Path, seed: Seed) -> None:
    """The two figures, and the episode behind the second."""
    setting = model.setting
    trajectory = record_line(model, seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "global_state", "target", *(f"cell_{cell}" for cell in range(N_CELLS))])
    for step, row in enumerate(trajectory.shares.tolist()):
        writer.writerow([step, trajectory.global_states[step], trajectory.targets[step], *row])
    write_text(folder / "trajectory.csv", text.getvalue())
    title = f"{setting.game.title}, n = {setting.n_agents}, k = {setting.k}"
    save_figure(potential_figure(model.history, title), folder / "potential.png")
    save_figure(line_figure(trajectory, setting.game, title), folder / "occupancy.png")
