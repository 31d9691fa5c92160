"""The exact and the sampled operator of G-LEARN on the warehouse, against plain ways of doing the same.

python benchmarks/operators.py           the table, and docs/images/operators.png

Seconds are processor time of one thread, after a first call that compiles. The plain ways live here: dense kernels
with value iteration and no acceleration; next histograms drawn agent by agent by comparing with cumulated
probabilities; and, where it is installed, quantecon's value iteration, which is given its matrix for nothing.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from result import HEADER, Figure
from threadpoolctl import threadpool_limits

from kofn.agents import g_learn
from kofn.agents.averaging_kernel import averaging_kernel
from kofn.agents.operators import (
    action_values,
    exact_kernel,
    induced_transition,
    look_ahead,
    sampled_successors,
    surrogate_reward,
)
from kofn.agents.solvers import value_iteration
from kofn.agents.symmetric_power.power import symmetric_power
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, n_histograms
from kofn.envs.warehouse_dispatch import game as warehouse
from kofn.experiments.tables import text_table

TOLERANCE = 1e-6
SECONDS_ALLOWED = {10: 0.1, 20: 1.0, 30: 5.0, 50: 60.0}
QUICK_SIZES = (10, 20)
SAMPLES = 30
DRAWN_AT, DRAW_SECONDS, SWEEP_SECONDS = 30, 1.0, 0.05
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "operators.png"


def cpu_seconds(call: Callable[[], Any], repeats: int = 1) -> float:
    """Least processor time of `repeats` calls."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def plain_solution(game: TabularGame, policy: LocalPolicy, k: int) -> FloatArray:
    """Q by dense kernels and plain value iteration."""
    kernels = [exact_kernel(law, k) for law in induced_transition(game, policy)]
    ahead = partial(look_ahead, kernels=kernels, global_transition=game.global_transition)
    rewards = surrogate_reward(game, policy, k)
    operator = partial(action_values, rewards=rewards, ahead=ahead, discount=game.discount)
    start, best = np.zeros(rewards.shape[:2]), partial(np.max, axis=2)
    return value_iteration(operator, start, game.discount, reduce=best, tolerance=TOLERANCE).values


def plain_draws(law: FloatArray, k: int, rows: int, rng: np.random.Generator) -> FloatArray:
    """Next histograms of the first histograms, agent by agent."""
    thresholds = law.cumsum(axis=1)
    counts = enumerate_histograms(k, len(law))[:rows]
    states = np.array([np.repeat(np.arange(len(law)), row) for row in counts])
    landed = (rng.random((SAMPLES, *states.shape))[..., None] > thresholds[states]).sum(axis=-1)
    return np.stack([(landed == y).sum(axis=-1) for y in range(len(law))], axis=-1)


def quantecon_seconds(game: TabularGame, policy: LocalPolicy, k: int) -> float | None:
    """Seconds of quantecon's value iteration on the surrogate's full matrix; None where it is not installed."""
    if importlib.util.find_spec("quantecon") is None:
        return None
    from quantecon.markov import DiscreteDP  # noqa: PLC0415  # not among the benchmarks' requirements

    kernels = np.stack([exact_kernel(law, k) for law in induced_transition(game, policy)])
    rewards = surrogate_reward(game, policy, k).reshape(-1, game.n_global_actions)
    transition = np.einsum("gap,gfh->gfaph", game.global_transition, kernels)
    problem = DiscreteDP(rewards, transition.reshape(*rewards.shape, -1), game.discount)
    return cpu_seconds(lambda: problem.solve(method="value_iteration", epsilon=2 * TOLERANCE, max_iter=10_000))


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark."""
    game = warehouse()
    policy = LocalPolicy.named("uniform", game)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(1):  # idle threads of the linear algebra spin, and count as processor time
            solved = _solved(game, policy, QUICK_SIZES if quick else tuple(SECONDS_ALLOWED))
            return [*solved, *_plain(game, policy, quick), *_sampled(game, policy, quick)]
    finally:
        numba.set_num_threads(threads)


def _solved(game: TabularGame, policy: LocalPolicy, sizes: tuple[int, ...]) -> Iterator[Figure]:
    """Seconds of the exact operator, whole solves: the least of several."""
    g_learn(game, policy, k=8, operator="exact")
    for k in sizes:
        allowed = SECONDS_ALLOWED[k]
        seconds = cpu_seconds(lambda k=k: g_learn(game, policy, k=k, operator="exact"), 5 if k <= 20 else 1)
        note = f"{n_histograms(k, game.n_local_states)} histograms, tolerance {TOLERANCE}"
        yield Figure(name=f"exact G-LEARN, k={k}: seconds", value=seconds, limit=allowed, at_least=False, note=note)


def _plain(game: TabularGame, policy: LocalPolicy, quick: bool) -> Iterator[Figure]:
    """Accuracy and speed beside dense kernels, and speed beside quantecon."""
    k = 10
    found = g_learn(game, policy, k=k, operator="exact")
    error = np.abs(found.q_values - plain_solution(game, policy, k)).max()
    name = f"exact G-LEARN, k={k}: from the dense solution"
    yield Figure(name=name, value=float(error), limit=2 * TOLERANCE, at_least=False, note="both certified within 1e-6")
    ours = cpu_seconds(lambda: g_learn(game, policy, k=k, operator="exact"), 3)
    dense = cpu_seconds(lambda: plain_solution(game, policy, k))
    name = f"exact G-LEARN, k={k}: times faster than dense kernels"
    yield Figure(name=name, value=dense / ours, limit=2, at_least=True, note=f"{dense:.2f} s, plain value iteration")
    theirs = None if quick else quantecon_seconds(game, policy, k)
    if theirs is not None:
        name = f"exact G-LEARN, k={k}: times faster than quantecon"
        note = f"{theirs:.1f} s, its matrix for nothing"
        yield Figure(name=name, value=theirs / ours, limit=50, at_least=True, note=note)
    law = induced_transition(game, policy)[0]
    values = np.random.default_rng(0).uniform(-1, 1, (n_histograms(12, len(law)), 1))
    error = np.abs(symmetric_power(law, 12) @ values - exact_kernel(law, 12) @ values).max()
    note = "largest error for values in [-1, 1]"
    yield Figure(name="shears against the dense kernel, k=12", value=error, limit=1e-10, at_least=False, note=note)


def _sampled(game: TabularGame, policy: LocalPolicy, quick: bool) -> Iterator[Figure]:
    """Seconds of drawing and of a sweep of the sampled operator, and draws beside plain ones."""
    k = 20 if quick else DRAWN_AT
    rng = np.random.default_rng(0)
    laws = induced_transition(game, policy)
    sampled_successors(laws[0], k, SAMPLES, rng)
    drawn = [sampled_successors(law, k, SAMPLES, rng) for law in laws]
    seconds = cpu_seconds(lambda: [sampled_successors(law, k, SAMPLES, rng) for law in laws])
    rows = min(1000, len(drawn[0]))
    plain = cpu_seconds(lambda: plain_draws(laws[0], k, rows, rng)) * len(laws) * len(drawn[0]) / rows
    name = f"sampled operator, k={k}: times faster drawn than agent by agent"
    note = f"{plain:.1f} s, m={SAMPLES}"
    yield Figure(name=name, value=plain / seconds, limit=5, at_least=True, note=note)
    kernels = [averaging_kernel(ranks) for ranks in drawn]
    values = rng.random((len(laws), len(drawn[0])))
    sweep = cpu_seconds(lambda: look_ahead(values, kernels, game.global_transition), 3)
    if not quick:
        note = f"m={SAMPLES} for every (s_g, F)"
        yield Figure(
            name=f"sampled operator, k={k}: seconds of drawing",
            value=seconds,
            limit=DRAW_SECONDS,
            at_least=False,
            note=note,
        )
        name = f"sampled operator, k={k}: seconds of a sweep"
        yield Figure(name=name, value=sweep, limit=SWEEP_SECONDS, at_least=False, note=note)


def draw(path: Path) -> None:
    """Seconds against k: exact, dense and plain, and sampled."""
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415  # needed for the picture only

    from kofn.experiments.figures import save_figure  # noqa: PLC0415  # needed for the picture only

    game = warehouse()
    policy = LocalPolicy.named("uniform", game)
    picture = Picture(figsize=(6, 4))
    axes = picture.add_subplot()
    curves: dict[str, tuple[tuple[int, ...], Callable[[int], object]]] = {
        "shears, accelerated": ((8, 10, 15, 20, 30), lambda k: g_learn(game, policy, k=k, operator="exact")),
        "dense kernels, plain": ((4, 6, 8, 10, 12), lambda k: plain_solution(game, policy, k)),
        "sampled, m = 30": ((8, 10, 15, 20, 30), lambda k: g_learn(game, policy, k=k, operator="monte_carlo", seed=0)),
    }
    with threadpool_limits(1):
        for label, (sizes, solve) in curves.items():
            axes.loglog(sizes, [cpu_seconds(lambda k=k, solve=solve: solve(k), 2) for k in sizes], "o-", label=label)
    axes.set_xticks((4, 6, 8, 10, 15, 20, 30), ("4", "6", "8", "10", "15", "20", "30"))
    axes.minorticks_off()
    axes.set_xlabel("agents seen per step, k")
    axes.set_ylabel("processor seconds, whole solve")
    axes.legend()
    save_figure(picture, path)


if __name__ == "__main__":
    print(text_table(HEADER, [figure.cells() for figure in measure(quick=False)]))
    draw(PICTURE)
