"""The interfaces against plain implementations, and against other suites where they are installed.

python benchmarks/interfaces.py                          a table
python benchmarks/interfaces.py --peers PYTHON           and of the suites it can import; draws docs/images/speed.png

Every figure is a ratio of two things timed in turns in one process, or noted beside one.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from plain import Comprehensions, DoNothing, PlainAgents, plain_crowd_step, plain_evaluation
from result import HEADER, Figure
from timing import cpu_clock
from timing import paired_seconds as paired

from kofn.agents import evaluate
from kofn.envs import GlobalPolicy, IndividualSimulator, LocalPolicy, LumpedSimulator, PopulationEnv, Streams
from kofn.envs.warehouse_dispatch import game
from kofn.experiments.tables import text_table
from kofn.wrappers import SubsampleObservation
from kofn.wrappers.best_response import GlobalBestResponse
from kofn.wrappers.vector_views import global_best_response_vec

GAME, K = game(), 10
PAIR = GlobalPolicy.named("keep", GAME, K), LocalPolicy.named("uniform", GAME)
FIGURE = Path(__file__).parents[1] / "docs" / "images" / "speed.png"
Call = Callable[[], object]
paired_seconds = partial(paired, clock=cpu_clock)


def figure(name: str, value: float, limit: float, *, at_least: bool, note: str) -> Figure:
    return Figure(name=name, value=value, limit=limit, at_least=at_least, note=note)


def dict_steps(n_agents: int, *, limited: bool) -> tuple[Call, Call, Call]:
    """Steps of an environment, of one that does nothing, and of one that does nothing in comprehensions."""
    env = PopulationEnv(GAME, n_agents, max_cycles=10**9, global_view="none" if limited else "all")
    env_or_view = SubsampleObservation(env, K) if limited else env
    env_or_view.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = {agent: int(action) for agent, action in zip(env.agents, rng.integers(0, 3, n_agents + 1), strict=True)}
    width = GAME.n_local_states + GAME.n_global_states
    nothing, naive = DoNothing(env.possible_agents, width), Comprehensions(env.possible_agents, width)
    return (lambda: env_or_view.step(actions)), (lambda: nothing.step(actions)), (lambda: naive.step(actions))


def standard_api(sizes: list[int], rounds: int) -> list[Figure]:
    figures = []
    for n_agents in sizes:
        calls = max(1, 20_000 // n_agents)
        for limited in (False, True):
            step, nothing, naive = dict_steps(n_agents, limited=limited)
            base, ours, ratio = paired_seconds(nothing, step, calls=calls, rounds=rounds)
            plain = paired_seconds(step, naive, calls=calls, rounds=3)[2]
            rate = n_agents / ours / 1e6
            note = (
                f"{rate:.2f} M agent-steps/s; nothing {n_agents / base / 1e6:.2f} M; comprehensions {plain:.2f} of ours"
            )
            name = f"dict step{f', k={K}' if limited else ''}, n={n_agents} against doing nothing (ratio)"
            figures.append(figure(name, ratio, 2.0, at_least=False, note=note))
    return figures


def array_api(n_agents: int, rounds: int) -> Figure:
    """Individual actions, one population."""
    simulator, plain = IndividualSimulator(GAME, n_agents), PlainAgents(GAME, n_agents, 1, seed=0)
    simulator.reset(Streams.from_seed(0))
    action, actions = np.zeros(1, dtype=np.int64), np.random.default_rng(0).integers(0, 3, (1, n_agents))
    ours, theirs, gain = paired_seconds(
        lambda: simulator.step(action, actions), lambda: plain.step(action, actions), calls=2, rounds=rounds
    )
    note = f"{ours / n_agents * 1e9:.1f} ns per agent against {theirs / n_agents * 1e9:.0f}"
    return figure(f"array step, n={n_agents}: plain against ours (ratio)", gain, 5.0, at_least=True, note=note)


def lumped(n_populations: int, n_agents: int, rounds: int) -> Figure:
    """A batch of lumped populations; the plain one does some of them."""
    simulator, part = LumpedSimulator(GAME, n_agents, n_populations=n_populations), n_populations // 32
    simulator.reset(Streams.from_seed(0))
    actions, rng = np.zeros(n_populations, dtype=np.int64), np.random.default_rng(0)
    table = PAIR[1].table
    ours, theirs, gain = paired_seconds(
        lambda: simulator.step(actions, table),
        lambda: plain_crowd_step(rng, GAME, simulator.counts[:part], simulator.global_states[:part], table),
        calls=3,
        rounds=rounds,
    )
    per, plain = ours / n_populations * 1e6, theirs / part * 1e6
    name = f"lumped step of {n_populations}, n={n_agents:.0e}: plain against ours (ratio)"
    note = f"{per:.1f} us per population against {plain:.0f}"
    return figure(name, gain * n_populations / part, 12.0, at_least=True, note=note)


def lumped_growth(rounds: int) -> Figure:
    """One population, of a thousand and of a trillion agents."""

    def stepper(n_agents: int) -> Call:
        simulator, action = LumpedSimulator(GAME, n_agents), np.zeros(1, dtype=np.int64)
        simulator.reset(Streams.from_seed(0))
        return lambda: simulator.step(action, PAIR[1].table)

    small, large, ratio = paired_seconds(stepper(10**3), stepper(10**12), calls=300, rounds=rounds)
    note = f"{small * 1e6:.0f} us at 1e3, {large * 1e6:.0f} us at 1e12"
    return figure("lumped step, n=1e12 against n=1e3 (ratio)", ratio, 2.0, at_least=False, note=note)


def evaluation(n_rollouts: int, horizon: int, rounds: int) -> list[Figure]:
    def ours(n_agents: int) -> Call:
        return lambda: evaluate(GAME, *PAIR, n_agents, horizon=horizon, n_rollouts=n_rollouts, seed=0)

    def theirs() -> object:
        return plain_evaluation(GAME, PAIR, 1000, n_rollouts, horizon)

    fast, plain, gain = paired_seconds(ours(1000), theirs, calls=1, rounds=rounds)
    small, large, ratio = paired_seconds(ours(1000), ours(10**6), calls=3, rounds=max(5, rounds))
    size = f"{n_rollouts} rollouts x {horizon} steps"
    return [
        figure(
            "evaluation, n=1000: agent by agent against ours (ratio)",
            gain,
            15.0,
            at_least=True,
            note=f"{size}: {plain:.2f} s against {fast:.3f} s",
        ),
        figure(
            "evaluation, n=1e6 against n=1e3 (ratio)",
            ratio,
            2.5,
            at_least=False,
            note=f"{small * 1e3:.0f} ms at 1e3, {large * 1e3:.0f} ms at 1e6",
        ),
    ]


def vector_views(n_envs: int, rounds: int) -> Figure:
    envs = global_best_response_vec(n_envs, "warehouse_dispatch", n_agents=1000, k=K, max_cycles=10**9)
    single = GlobalBestResponse("warehouse_dispatch", n_agents=1000, k=K, max_cycles=10**9)
    envs.reset(seed=0)
    single.reset(seed=0)
    actions = np.zeros(n_envs, dtype=np.int64)
    ours, alone, gain = paired_seconds(
        lambda: envs.step(actions), lambda: [single.step(0) for _ in range(100)], calls=2, rounds=rounds
    )
    note = f"{n_envs / ours:,.0f} global-agent steps/s against {100 / alone:,.0f} of the single view"
    return figure(
        f"vector view, B={n_envs}, n=1000, k={K}: against the single view (ratio)",
        gain * n_envs / 100,
        16.0,
        at_least=True,
        note=note,
    )


def import_time(rounds: int) -> Figure:
    """A fresh interpreter each; what the dependencies alone take is the measure."""

    def load(modules: str) -> Call:
        return lambda: subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)

    base, ours, ratio = paired_seconds(load("numpy, gymnasium, pettingzoo"), load("kofn.envs"), calls=1, rounds=rounds)
    note = f"{ours:.2f} s against {base:.2f} s of numpy, gymnasium and pettingzoo, interpreter included"
    return figure("import kofn.envs against its dependencies (ratio)", ratio, 2.0, at_least=False, note=note)


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark."""
    rounds = 5 if quick else 7
    return [
        *standard_api([1000] if quick else [1000, 10_000, 100_000], rounds),
        array_api(10**5 if quick else 10**6, rounds),
        *(lumped(b, n, rounds) for b, n in ([(4096, 1000)] if quick else [(4096, 1000), (4096, 10**12)])),
        lumped_growth(rounds),
        *evaluation(*((250, 8) if quick else (250, 50)), 3),
        vector_views(1024 if quick else 4096, rounds),
        import_time(2 if quick else 5),
    ]


def own_rates() -> dict[str, float]:
    """Agent-steps per second of our interfaces."""
    rates = {}
    for n_agents in (1000, 100_000):
        seconds = paired_seconds(*dict_steps(n_agents, limited=True)[:2], calls=max(1, 20_000 // n_agents), rounds=5)
        rates[f"kofn, PettingZoo dicts, n={n_agents:,}"] = n_agents / seconds[0]
    simulator = IndividualSimulator(GAME, 10**6)
    simulator.reset(Streams.from_seed(0))
    actions = np.zeros((1, 10**6), dtype=np.int64)
    seconds = paired_seconds(lambda: simulator.step(actions[0, :1], actions), lambda: None, calls=3, rounds=5)
    rates["kofn, arrays of actions, n=1,000,000"] = 10**6 / seconds[0]
    envs = global_best_response_vec(4096, "warehouse_dispatch", n_agents=1000, k=K, max_cycles=10**9)
    envs.reset(seed=0)
    steps = np.zeros(4096, dtype=np.int64)
    seconds = paired_seconds(lambda: envs.step(steps), lambda: None, calls=2, rounds=5)
    rates["kofn, vector view, 4,096 x 1,000 lumped"] = 4096 * 1000 / seconds[0]
    return rates


def peer_rates(interpreter: str | None) -> dict[str, float]:
    """Agent-steps per second of the suites that an interpreter can import, through their Python interfaces."""
    if interpreter is None:
        return {}
    done = subprocess.run(
        [interpreter, str(Path(__file__).with_name("peers.py"))], capture_output=True, text=True, check=True
    )
    print(done.stderr, file=sys.stderr)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def draw(rates: dict[str, float]) -> None:
    """Bars, fastest last."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415  # only for the picture

    ordered = sorted(rates.items(), key=lambda item: item[1])
    canvas = Canvas(figsize=(8, 0.4 * len(ordered) + 1.2), layout="constrained")
    axes = canvas.subplots()
    colours = ["tab:blue" if name.startswith("kofn") else "tab:gray" for name, _ in ordered]
    bars = axes.barh([name for name, _ in ordered], [rate for _, rate in ordered], color=colours)
    axes.bar_label(bars, [f" {float(f'{rate:.2g}'):,.0f}" for _, rate in ordered])
    axes.set_xscale("log")
    axes.set_xlim(right=max(rates.values()) * 30)
    axes.set_xlabel("agent-steps per second, one process, through the Python interface")
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(FIGURE, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="a Python interpreter that can import other suites")
    peers = parser.parse_args().peers
    rates = {**own_rates(), **peer_rates(peers)}
    figures = measure(quick=False)
    print(text_table(HEADER, [each.cells() for each in figures]))
    print(text_table(["interface", "agent-steps/s"], [[name, f"{rate:,.0f}"] for name, rate in rates.items()]))
    if peers is not None:
        draw(rates)
    return 0 if all(each.kept for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
