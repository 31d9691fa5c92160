"""Return against k on the SUBSAMPLE-MFQ paper's two experiments, for its algorithm and for ALTERNATING-MARL.

python benchmarks/subsampling.py --folder FOLDER    both figures and their numbers as CSV, some minutes

A joint policy of k agents needs a table over the histograms of k agents over |S_l||A_l| pairs (30 and 125 of them), so
the exact operator fits into memory up to k = 3 and k = 2 on the default games. Smaller ones go further, and with few
agents k reaches n, where the optimum of the fully centralised game is known exactly; over the 200 steps taken there the
tail beyond the horizon is below 0.002. Every point is a mean over seeds, never the best of them, and all of them meet
the same starts, so that gains over k = 1 are paired.

In theory the loss of SUBSAMPLE-MFQ shrinks as 1/sqrt(k), though not at every step. At small k it is no upper baseline:
it plans for k agents and steers n. ALTERNATING-MARL refuses gains below its eta, so its curve need not rise.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from result import Figure
from scipy.stats import t as student

from kofn.agents import (
    AlternatingConfig,
    AlternatingMARL,
    Evaluation,
    evaluate,
    evaluate_mfq,
    mean_field_value_iteration,
    subsample_mfq,
)
from kofn.envs import TabularGame, constrained_exploration, gaussian_squeeze
from kofn.envs.arrays import FloatArray
from kofn.experiments.figures import BLUE, GREY, ORANGE, save_figure
from kofn.wrappers import SubsampleObservation

SEEDS = range(4)
CHECK_SEEDS = range(10)
N_ROLLOUTS = 500
CONFIG = AlternatingConfig(n_rollouts=250)
TOLERANCE = 1e-3
MFQ, ALTERNATING = "SUBSAMPLE-MFQ", "ALTERNATING-MARL"
STYLES = {MFQ: (BLUE, "o", -1), ALTERNATING: (ORANGE, "s", 1)}


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A game at one size, and the k to measure.

    Attributes:
        title: what to call it.
        module: the game's module.
        sizes: arguments of its `game`.
        n_agents: n.
        horizon: H.
        ks: numbers of agents to see.
    """

    title: str
    module: Any
    sizes: dict[str, int] = field(default_factory=dict)
    n_agents: int = 1000
    horizon: int = 100
    ks: tuple[int, ...]

    @property
    def game(self) -> TabularGame:
        """Its arrays."""
        found: TabularGame = self.module.game(**self.sizes)
        return found

    @property
    def optimum_known(self) -> bool:
        """Whether the fully centralised game of n agents can be solved."""
        return self.n_agents in self.ks


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """Returns of one method on one instance.

    Attributes:
        instance: where.
        method: MFQ or ALTERNATING.
        returns: mean return of every run, float [k, seed].
        seconds: of training, float [k, seed].
    """

    instance: Instance
    method: str
    returns: FloatArray
    seconds: FloatArray

    def interval(self, *, over_first: bool) -> tuple[FloatArray, FloatArray]:
        """Mean over seeds and 95% half-width, float [k], of the returns or of the paired gains over the smallest k."""
        return mean_interval(self.returns - self.returns[0] if over_first else self.returns)


def mean_interval(runs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over seeds of runs [k, seed] and the half-width of its 95% interval (Student), float [k]."""
    n_seeds = runs.shape[1]
    return runs.mean(axis=1), student.ppf(0.975, n_seeds - 1) * runs.std(axis=1, ddof=1) / np.sqrt(n_seeds)


SMALL_SQUEEZE = partial(Instance, module=gaussian_squeeze, sizes={"n_levels": 5, "target": 2})
SMALL_EXPLORATION = partial(Instance, module=constrained_exploration, sizes={"size": 3, "box": 2})
INSTANCES = {
    "gaussian_squeeze": (
        Instance(title="default: 10 loads; the exact operator fits for k ≤ 3", module=gaussian_squeeze, ks=(1, 2, 3)),
        SMALL_SQUEEZE(title="smaller: 5 loads", ks=(1, 2, 3, 5)),
        SMALL_SQUEEZE(title="smaller: 5 loads", n_agents=6, horizon=200, ks=(1, 2, 4, 6)),
    ),
    "constrained_exploration": (
        Instance(
            title="default: 5x5, box 3x3; the exact operator fits for k ≤ 2", module=constrained_exploration, ks=(1, 2)
        ),
        SMALL_EXPLORATION(title="smaller: 3x3, box 2x2", ks=(1, 2, 3)),
        SMALL_EXPLORATION(title="smaller: 3x3, box 2x2", n_agents=3, horizon=200, ks=(1, 2, 3)),
    ),
}

# ---- measuring ----


def train_mfq(instance: Instance, k: int, seed: int) -> Callable[..., Evaluation]:
    """How to evaluate what SUBSAMPLE-MFQ learns."""
    game = instance.game
    found = subsample_mfq(game, k=k, operator="exact", tolerance=TOLERANCE, seed=seed)
    if not found.converged:
        raise RuntimeError(f"SUBSAMPLE-MFQ did not converge on {instance.title}, k={k}")
    return partial(evaluate_mfq, game, found.policy)


def train_alternating(instance: Instance, k: int, seed: int) -> Callable[..., Evaluation]:
    """How to evaluate what ALTERNATING-MARL learns."""
    env = instance.module.parallel_env(**instance.sizes, n_agents=instance.n_agents)
    model = AlternatingMARL(SubsampleObservation(env, k), CONFIG, seed=seed)
    model.learn()
    return partial(evaluate, model.setting.game, model.global_policy, model.local_policy)


def measure_curve(instance: Instance, method: str, seeds: range = SEEDS, n_rollouts: int = N_ROLLOUTS) -> Curve:
    """Train and evaluate at every k and seed; SUBSAMPLE-MFQ's exact operator learns the same for every seed."""
    runs = []
    for k in instance.ks:
        for seed in seeds:
            if seed == seeds[0] or method == ALTERNATING:
                began = time.perf_counter()
                play = (train_mfq if method == MFQ else train_alternating)(instance, k, seed)
                seconds = time.perf_counter() - began
            found = play(instance.n_agents, horizon=instance.horizon, n_rollouts=n_rollouts, seed=[seed, 1])
            runs.append((found.mean, seconds))
    table = np.array(runs).reshape(len(instance.ks), len(seeds), 2)
    return Curve(instance=instance, method=method, returns=table[:, :, 0], seconds=table[:, :, 1])


def centralised_optimum(instance: Instance) -> float:
    """Value of the fully centralised game of n agents from its start law, over an infinite horizon."""
    game = instance.game
    found = mean_field_value_iteration(game, instance.n_agents, tolerance=TOLERANCE)
    start = game.initial_global @ found.values @ game.initial_local.histogram_law(instance.n_agents)
    return float(start)


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark: seeing more agents pays, and seeing all of them comes to the optimum."""
    figures = []
    for name, ks in {"gaussian_squeeze": (1, 4), "constrained_exploration": (1, 3)}.items():
        _, many, few = INSTANCES[name]
        figures.append(_growth(name, measure_curve(_with(many, ks), MFQ, CHECK_SEEDS)))
        if quick:
            break
        figures.append(_loss_at_n(name, measure_curve(_with(few, (few.n_agents,)), MFQ, CHECK_SEEDS)))
    return figures


def _with(instance: Instance, ks: tuple[int, ...]) -> Instance:
    return Instance(**{**vars(instance), "ks": ks})


def _growth(name: str, curve: Curve) -> Figure:
    """Gain of the largest k over the smallest in standard errors."""
    gains = curve.returns[-1] - curve.returns[0]
    error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    ks = curve.instance.ks
    return Figure(
        name=f"{name} ({curve.instance.title}): MFQ's gain at k={ks[-1]} over k={ks[0]}, standard errors",
        value=float(gains.mean()) / error,
        limit=4.0,
        at_least=True,
        note=f"gain {gains.mean():.4f}, standard error {error:.4f}, {len(gains)} seeds",
    )


def _loss_at_n(name: str, curve: Curve) -> Figure:
    """Distance of the return at k = n from the optimum in standard errors."""
    optimum = centralised_optimum(curve.instance)
    runs = curve.returns[-1]
    error = float(runs.std(ddof=1) / np.sqrt(len(runs)))
    return Figure(
        name=f"{name} ({curve.instance.title}): MFQ at k=n={curve.instance.n_agents} from the optimum, standard errors",
        value=abs(float(runs.mean()) - optimum) / error,
        limit=4.0,
        at_least=False,
        note=f"return {runs.mean():.3f}, optimum {optimum:.3f}, standard error {error:.4f}",
    )


# ---- drawing ----


def draw(curves: list[Curve], title: str) -> matplotlib.figure.Figure:
    """Returns above and paired gains over the smallest k below, one column per instance."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 7), layout="constrained")
    figure.suptitle(title)
    instances = list(dict.fromkeys(id(curve.instance) for curve in curves))
    rows = figure.subplots(2, len(instances), sharex="col", squeeze=False)
    for column, instance in enumerate(instances):
        here = [curve for curve in curves if id(curve.instance) == instance]
        draw_instance(rows[:, column], here)
    rows[0, 0].set_ylabel("discounted return")
    rows[1, 0].set_ylabel("gain over the same method at k = 1")
    handles, labels = rows[0, -1].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(list(unique.values()), list(unique), loc="outside lower center", ncols=3)
    return figure


def draw_instance(rows: np.ndarray, curves: list[Curve]) -> None:
    """Both rows of one instance."""
    instance = curves[0].instance
    for axes, over_first in zip(rows, (False, True), strict=True):
        for curve in curves:
            draw_curve(axes, curve, over_first=over_first)
        axes.set_xticks(range(1, max(instance.ks) + 1))
        axes.set_xlim(0.6, max(instance.ks) + 0.4)
        axes.grid(alpha=0.3)
    if instance.optimum_known:
        rows[0].axhline(
            centralised_optimum(instance), color=GREY, linestyle="--", label="full information: centralised optimum"
        )
    rows[1].axhline(0, color=GREY, linewidth=0.8)
    rows[1].set_xlabel("k, agents seen")
    rows[0].set_title(f"{instance.title}\nn = {instance.n_agents:,}, {instance.horizon} steps", fontsize="medium")


def draw_curve(axes: Axes, curve: Curve, *, over_first: bool) -> None:
    """Means with 95% intervals, set slightly apart where the two methods share a k."""
    mean, half_width = curve.interval(over_first=over_first)
    colour, marker, side = STYLES[curve.method]
    places = np.array(curve.instance.ks) + 0.04 * side
    axes.errorbar(places, mean, half_width, color=colour, marker=marker, capsize=3, label=curve.method)


# ---- the command ----

HEADER = [
    "game", "instance", "n", "horizon", "method", "k", "seeds", "rollouts",
    "return", "half_width_95", "gain_over_first_k", "gain_half_width_95", "slowest_training_seconds", "optimum",
]  # fmt: skip


def table_rows(name: str, curve: Curve) -> Iterator[list[object]]:
    """One line per k."""
    instance, at = curve.instance, curve.interval(over_first=False)
    gain = curve.interval(over_first=True)
    optimum = f"{centralised_optimum(instance):.4f}" if instance.optimum_known else ""
    for row, k in enumerate(instance.ks):
        numbers = [at[0][row], at[1][row], gain[0][row], gain[1][row]]
        yield [
            name, instance.title, instance.n_agents, instance.horizon, curve.method, k, len(SEEDS),
            N_ROLLOUTS, *(f"{number:.4f}" for number in numbers), f"{curve.seconds[row].max():.1f}", optimum,
        ]  # fmt: skip


def report(name: str, curves: list[Curve], folder: Path) -> None:
    """Write mfq_<name>.png and mfq_<name>.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    title = (
        f"{name.replace('_', ' ')}: mean over {len(SEEDS)} seeds of {N_ROLLOUTS} rollouts, with 95% intervals (Student)"
    )
    save_figure(draw(curves, title), folder / f"mfq_{name}.png")
    with (folder / f"mfq_{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for curve in curves:
            writer.writerows(table_rows(name, curve))


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description="Return against k, SUBSAMPLE-MFQ beside ALTERNATING-MARL.")
    parser.add_argument("--folder", type=Path, required=True, help="where to write the figures and tables")
    parser.add_argument("--game", choices=list(INSTANCES), help="only this game")
    options = parser.parse_args()
    for name in [options.game] if options.game is not None else INSTANCES:
        curves = [measure_curve(instance, method) for instance in INSTANCES[name] for method in STYLES]
        report(name, curves, options.folder)


if __name__ == "__main__":
    main()
