"""Return against k on the SUBSAMPLE-MFQ paper's two experiments, for its algorithm and for ALTERNATING-MARL.

A joint policy of k agents needs a table over the histograms of k agents over |S_l||A_l| pairs (30 and 125 of them), so
the exact operator fits into memory up to k = 3 and k = 2 on the default games. Smaller ones go further, and with few
agents k reaches n, where the optimum of the fully centralised game is known exactly; over the 200 steps taken there the
tail beyond the horizon is below 0.002. Every point is a mean over seeds, never the best of them, and all of them meet
the same starts, so that gains over k = 1 are paired. `python benchmarks/subsampling_figures.py` draws the curves.

In theory the loss of SUBSAMPLE-MFQ shrinks as 1/sqrt(k), though not at every step. At small k it is no upper baseline:
it plans for k agents and steers n. ALTERNATING-MARL refuses gains below its eta, so its curve need not rise.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
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
from kofn.wrappers import SubsampleObservation

SEEDS = range(4)
CHECK_SEEDS = range(10)
N_ROLLOUTS = 500
CONFIG = AlternatingConfig(n_rollouts=250)
TOLERANCE = 1e-3
MFQ, ALTERNATING = "SUBSAMPLE-MFQ", "ALTERNATING-MARL"


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
