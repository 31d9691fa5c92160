"""UCFH on RiverSwim beside figures of an independent implementation, and what a plan and an episode cost.

python benchmarks/riverswim.py      the whole table, gaps by episodes
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from result import Figure
from timing import paired_seconds

from kofn.agents.finite_horizon.backward_induction import backward_induction, evaluate_nonstationary
from kofn.agents.finite_horizon.extended_values import TransitionSets, optimistic_plan
from kofn.agents.finite_horizon.transition_counts import DoublingRule, TableProcess, TransitionCounts, play_episodes
from kofn.agents.finite_horizon.ucfh import UcfhResult, ucfh
from kofn.agents.finite_horizon.ucfh_problems import listed_rows, thresholds
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig
from kofn.envs.arrays import FloatArray, IntArray
from kofn.experiments.tables import text_table
from kofn.wrappers.finite_mdp import FiniteMDP

REFERENCE = json.loads((Path(__file__).parent / "reference" / "ucfh_riverswim.json").read_text())
HORIZON = 10
STANDARD_ERRORS = 4.5
"""Allowed between the two means; both estimate the same figure."""
ROUNDING = 5e-5
"""Of the reference."""


def riverswim(n_places: int = 5) -> FiniteMDP:
    """The river of the reference file, for any number of places."""
    laws, rewards = np.zeros((n_places, 2, n_places)), np.zeros((n_places, 2))
    for place in range(n_places):
        laws[place, 0, max(place - 1, 0)] = 1
    for place in range(1, n_places - 1):
        laws[place, 1, place - 1 : place + 2] = 0.05, 0.6, 0.35
    laws[0, 1, :2] = 0.4, 0.6
    laws[-1, 1, -2:] = 0.4, 0.6
    rewards[0, 0], rewards[-1, 1] = 0.005, 1
    return FiniteMDP.from_dense(laws, rewards, np.eye(n_places)[0])


def random_process(n_states: int, n_actions: int, n_successors: int) -> FiniteMDP:
    """Random successors, Dirichlet(1) probabilities, uniform rewards, uniform start."""
    rng = np.random.default_rng(0)
    return FiniteMDP(
        successors=rng.integers(n_states, size=(n_states, n_actions, n_successors)),
        probabilities=rng.dirichlet(np.ones(n_successors), (n_states, n_actions)),
        rewards=rng.random((n_states, n_actions)),
        start=np.full(n_states, 1 / n_states),
    )


def gaps(config: UcfhConfig, n_seeds: int) -> tuple[FloatArray, list[UcfhResult]]:
    """Optimal value less value of the policy, one per seed, and the runs."""
    river = riverswim()
    optimum = backward_induction(river, HORIZON).values[0, 0]
    runs = [ucfh(river, horizon=HORIZON, config=config, seed=seed) for seed in range(n_seeds)]
    return np.array([optimum - evaluate_nonstationary(river, run.policy)[0, 0] for run in runs]), runs


def config_of(row: dict[str, Any]) -> UcfhConfig:
    """The settings of a row of the reference."""
    return UcfhConfig(epsilon=1e-6, scale_log=row["log_scale"], support_known=row["support_known"])


def standard_errors_apart(found: FloatArray, expected: float) -> float:
    """Distance of the two means in standard errors of their difference, less the rounding of the reference."""
    error = found.std(ddof=1) * np.sqrt(1 / REFERENCE["n_seeds"] + 1 / len(found))
    distance = max(0.0, abs(found.mean() - expected) - ROUNDING)
    return 0.0 if distance == 0 else float(distance / error) if error > 0 else float("inf")


def sets_around(mdp: FiniteMDP, slack: float) -> TransitionSets:
    """Intervals of half-width `slack` around the true probabilities."""
    successors, probabilities, n_listed = listed_rows(mdp)
    rewards = mdp.rewards.flatten()
    return TransitionSets(
        successors=successors,
        n_listed=n_listed,
        lower=np.maximum(probabilities - slack, 0),
        upper=np.minimum(probabilities + slack, 1),
        unlisted=np.full(len(rewards), slack / 10),
        reward_low=rewards,
        reward_high=rewards,
        order=np.tile(np.arange(successors.shape[1]), (len(rewards), 1)),
    )


def plain_plan(sets: TransitionSets, horizon: int, n_states: int, n_actions: int) -> FloatArray:
    """The optimistic values by the textbook: every row hands out its mass state by state."""
    values = np.zeros((horizon + 1, n_states))
    for t in reversed(range(horizon)):
        best_first = np.argsort(-values[t + 1], kind="stable").tolist()
        q = []
        for row in range(n_states * n_actions):
            listed = sets.successors[row, : sets.n_listed[row]]
            lower, upper = np.zeros(n_states), np.full(n_states, sets.unlisted[row])
            lower[listed], upper[listed] = sets.lower[row, : len(listed)], sets.upper[row, : len(listed)]
            law, mass = lower, 1 - lower.sum()
            for state in best_first:
                given = min(upper[state] - lower[state], mass)
                law[state] += given
                mass -= given
                if mass <= 0:
                    break
            q.append(sets.reward_high[row] + law @ values[t + 1])
        values[t] = np.max(np.reshape(q, (n_states, n_actions)), axis=1)
    return values


def plain_episodes(mdp: FiniteMDP, policy: IntArray, rng: np.random.Generator, n_episodes: int) -> IntArray:
    """The same number of episodes, step by step in Python; returns visits [state, action]."""
    visits = np.zeros((mdp.n_states, mdp.n_actions), dtype=np.int64)
    for _ in range(n_episodes):
        state = int(rng.choice(mdp.n_states, p=mdp.start))
        for actions in policy:
            action = int(actions[state])
            visits[state, action] += 1
            state = int(rng.choice(mdp.successors[state, action], p=mdp.probabilities[state, action]))
    return visits


def law_figures(*, quick: bool) -> list[Figure]:
    """Agreement with the reference, and whether the optimistic value ever fell below the optimum."""
    n_seeds = 40 if quick else 100
    found = []
    broken = 0
    for row in REFERENCE["rows"]:
        apart = []
        for n_episodes, expected in zip(REFERENCE["episodes"], row["gap"], strict=True):
            reached, runs = gaps(replace(config_of(row), max_episodes=n_episodes), n_seeds)
            apart.append(standard_errors_apart(reached, expected))
            broken += sum(run.optimistic_value < REFERENCE["optimal_value"] for run in runs)
        name = f"gap on RiverSwim, l x {row['log_scale']:g}{', support known' * row['support_known']}"
        note = f"last: gap {reached.mean():.4f}, {runs[-1].n_plans} plans, certified gap {runs[-1].certified_gap:.3f}"
        worst = f"{name} (standard errors from reference)"
        found.append(Figure(name=worst, value=max(apart), limit=STANDARD_ERRORS, at_least=False, note=note))
    note = f"{n_seeds} seeds x {len(REFERENCE['episodes'])} budgets x {len(REFERENCE['rows'])} settings"
    return [*found, Figure(name="runs without optimism", value=broken, limit=0, at_least=False, note=note)]


def speed_figures(name: str, mdp: FiniteMDP, horizon: int) -> list[Figure]:
    """Compiled against plain plans and episodes."""
    sets, weights, sizes = sets_around(mdp, 0.05), np.ones(horizon), (mdp.n_states, mdp.n_actions)
    policy, values = optimistic_plan(sets, weights, *sizes, mdp.n_states)
    assert np.allclose(values, plain_plan(sets, horizon, *sizes)), "the two plans differ"
    plan = paired_seconds(
        lambda: [optimistic_plan(sets, weights, *sizes, mdp.n_states) for _ in range(10)],
        lambda: plain_plan(sets, horizon, *sizes),
        calls=1,
        rounds=3,
    )
    successors, probabilities, _ = listed_rows(mdp)
    process = TableProcess(successors, thresholds(probabilities), thresholds(mdp.start))
    counts, rng = TransitionCounts.zeros(*successors.shape), np.random.default_rng(0)
    never = DoublingRule(first=1e18, cap=1e18)
    episode = paired_seconds(
        lambda: play_episodes(process, counts, policy, never, rng, 1, 1000),
        lambda: plain_episodes(mdp, policy, rng, 10),
        calls=1,
        rounds=3,
    )
    measured = [("plan", plan[0] / 10, 10 * plan[2]), ("episode", episode[0] / 1000, 100 * episode[2])]
    return [
        Figure(
            name=f"{what}, plain against compiled, {name} (ratio)",
            value=ratio,
            limit=10.0,
            at_least=True,
            note=f"{seconds * 1e6:.3g} us compiled",
        )
        for what, seconds, ratio in measured
    ]


def training_figure(*, quick: bool) -> Figure:
    """Seconds of a whole run at the size of a chain."""
    n_episodes = 200 if quick else 100_000
    config = UcfhConfig(epsilon=1e-6, max_episodes=n_episodes, phase_growth=0.1, support_known=True)
    mdp = random_process(1000, 3, 10)
    began = time.perf_counter()
    run = ucfh(mdp, horizon=60, config=config, seed=0)
    seconds = time.perf_counter() - began
    gap = float(mdp.start @ (backward_induction(mdp, 60).values[0] - evaluate_nonstationary(mdp, run.policy)[0]))
    each = seconds / run.n_plans
    note = f"{run.n_plans} plans, {each * 1e3:.0f} ms each; gap {gap:.3f}, certified gap {run.certified_gap:.2f}"
    name = f"seconds of UCFH, 1000 states x 3 actions, H=60, {n_episodes} episodes"
    return Figure(name=name, value=seconds, limit=60.0, at_least=False, note=note)


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark."""
    return [
        *law_figures(quick=quick),
        *speed_figures("5 states, H=10", riverswim(), 10),
        *speed_figures("100 states x 3 actions, H=60", random_process(100, 3, 10), 60),
        training_figure(quick=quick),
    ]


def main() -> None:
    """Print measured gaps below those of the reference."""
    lines = []
    for row in REFERENCE["rows"]:
        name = f"l x {row['log_scale']:g}{', support known' * row['support_known']}"
        lines.append([f"{name}: reference", *(f"{gap:.4f}" for gap in row["gap"])])
        means = [gaps(replace(config_of(row), max_episodes=n), 100)[0].mean() for n in REFERENCE["episodes"]]
        lines.append([f"{name}: kofn, 100 seeds", *(f"{gap:.4f}" for gap in means)])
    print(text_table(["gap after", *map(str, REFERENCE["episodes"])], lines))


if __name__ == "__main__":
    main()
