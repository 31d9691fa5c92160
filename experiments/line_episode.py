"""Episodes of games with continuous states: recorded, written, drawn as a heatmap of places.

Compare the paper's Figure 7. Places are counted in `N_CELLS` cells between the bounds of local states.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from kofn.agents.line_evaluation import acting_policy
from kofn.envs.arrays import BoolArray, FloatArray, IntArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.population import sample_without_replacement
from kofn.envs.streams import Seed, Streams
from kofn.experiments.plots.save import BLUE, ORANGE, VERMILLION

N_CELLS = 80


@dataclass(frozen=True, eq=False, kw_only=True)
class LineTrajectory:
    """What happened at steps 0 .. H-1.

    Attributes:
        global_states: s_g, float [H].
        global_actions: a_g, int64 [H].
        counts: agents per cell, int64 [H, cell].
    """

    global_states: FloatArray
    global_actions: IntArray
    counts: IntArray

    @property
    def shares(self) -> FloatArray:
        """Share of agents per cell, float [H, cell]."""
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True))

    def bins(self, game: ContinuousGame) -> IntArray:
        """Agents per bin, a cell belonging where its middle is, int64 [H, bin]."""
        low, high = game.local_bounds
        middles = low + (np.arange(N_CELLS) + 0.5) * (high - low) / N_CELLS
        of_cell = game.count_bins(middles.astype(np.float32)[:, None])
        return np.asarray(self.counts @ of_cell)

    def true_mode(self, game: ContinuousGame) -> int:
        """The bin in which most agents started."""
        return int(self.bins(game)[0].argmax())

    def at_mode(self, game: ContinuousGame) -> BoolArray:
        """Where the global agent is in the most crowded bin, bool [H]."""
        return _in_mode(game, self.global_states.astype(np.float32), self.bins(game))

    def targets(self, game: ContinuousGame) -> FloatArray:
        """The places that the global actions are for, float [H]; nan where the game marks none."""
        places = np.full(game.n_global_actions, np.nan)
        marked = min(len(game.landmarks), game.n_global_actions)
        places[:marked] = game.landmarks[:marked]
        return np.asarray(places[self.global_actions])


def _in_mode(game: ContinuousGame, global_states: Any, bins: IntArray) -> BoolArray:
    return np.asarray(game.count_bins(global_states[:, None]).argmax(axis=1) == bins.argmax(axis=1))


def record_line(model: Any, seed: Seed) -> LineTrajectory:
    """Play one episode of a model's pair and record it."""
    low, high = model.setting.game.local_bounds
    edges = np.linspace(low, high, N_CELLS + 1)
    states, actions, counts = [], [], []
    for simulator, action in _steps(model, 1, seed):
        states.append(float(simulator.global_states[0]))
        actions.append(int(action[0]))
        counts.append(np.histogram(simulator.local_states[0], edges)[0])
    return LineTrajectory(
        global_states=np.array(states), global_actions=np.array(actions), counts=np.array(counts, dtype=np.int64)
    )


def line_mode_accuracy(model: Any, n_rollouts: int, seed: Seed) -> float:
    """Share of all steps of a model's pair at which the global agent is in the bin with most agents."""
    game = model.setting.game
    met = [_in_mode(game, s.global_states, s.counts()).mean() for s, _ in _steps(model, n_rollouts, seed)]
    return float(np.mean(met))


def _steps(model: Any, n_populations: int, seed: Seed) -> Iterator[tuple[ContinuousSimulator, IntArray]]:
    """The simulator before every step of an episode, and a_g [population]; most likely actions."""
    setting, streams = model.setting, Streams.from_seed(seed)
    simulator = ContinuousSimulator(setting.game, setting.n_agents, n_populations=n_populations)
    simulator.reset(streams)
    fleet = acting_policy(model.local_policy, setting.game)
    for _ in range(setting.max_cycles):
        seen = sample_without_replacement(streams.sampling, simulator.counts(), setting.k)
        action = model.global_policy.act(simulator.global_states, seen)
        yield simulator, action
        simulator.step(action, fleet.act(simulator.local_states, simulator.global_states[:, None]))


def line_csv(trajectory: LineTrajectory) -> str:
    """The trajectory as CSV text, one line per step; floats round-trip exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "global_state", "global_action", *(f"cell_{cell}" for cell in range(N_CELLS))])
    columns = zip(trajectory.global_states.tolist(), trajectory.global_actions.tolist(), strict=True)
    for step, ((state, action), row) in enumerate(zip(columns, trajectory.counts.tolist(), strict=True)):
        writer.writerow([step, state, action, *row])
    return text.getvalue()


def read_line(lines: Sequence[Mapping[str, str]]) -> LineTrajectory:
    """A trajectory from the lines of `line_csv`."""
    return _trajectory(lines, [[line[f"cell_{cell}"] for cell in range(N_CELLS)] for line in lines])


def episode_of(lines: Sequence[Mapping[str, str]]) -> LineTrajectory:
    """A trajectory from a cell's lines in a sweep's episodes.csv, whose counts stand in one column."""
    return _trajectory(lines, [line["counts"].split() for line in lines])


def _trajectory(lines: Sequence[Mapping[str, str]], counts: Sequence[Sequence[str]]) -> LineTrajectory:
    return LineTrajectory(
        global_states=np.array([float(line["global_state"]) for line in lines]),
        global_actions=np.array([int(line["global_action"]) for line in lines]),
        counts=np.array([[int(count) for count in row] for row in counts]),
    )


def draw_line(axes: Axes, trajectory: LineTrajectory, game: ContinuousGame) -> AxesImage:
    """Heatmap of where the agents are, with the global agent, its choices, and the bin where most agents began."""
    steps = np.arange(len(trajectory.counts))
    extent = (-0.5, len(steps) - 0.5, *game.local_bounds)
    image = axes.imshow(trajectory.shares.T, aspect="auto", origin="lower", cmap="Greys", vmin=0, extent=extent)
    axes.plot(steps, trajectory.global_states, color=BLUE, label="global agent")
    axes.scatter(steps, trajectory.targets(game), marker=".", s=16, color=ORANGE, label="its choice", zorder=3)
    edges, mode = game.bin_edges, trajectory.true_mode(game)
    axes.axhspan(edges[mode], edges[mode + 1], facecolor="none", edgecolor=VERMILLION, label="where most began")
    axes.set_yticks(edges)
    return image


def line_figure(trajectory: LineTrajectory, game: ContinuousGame, title: str) -> Figure:
    """One episode."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.add_subplot()
    figure.colorbar(draw_line(axes, trajectory, game), ax=axes, label="share of local agents", pad=0.01)
    axes.set_xlabel("step")
    axes.set_ylabel("place")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure
