"""UCFH on RiverSwim against a table of gaps, and its invariants: optimism, doubling, tables and play alike."""

import io
from dataclasses import replace
from math import ceil, log, log2, sqrt
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from oracle import riverswim

from kofn.agents.finite_horizon.backward_induction import backward_induction, evaluate_nonstationary
from kofn.agents.finite_horizon.transition_counts import (
    DoublingRule,
    TableProcess,
    TransitionCounts,
    play_episodes,
    record_visit,
)
from kofn.agents.finite_horizon.ucfh import UcfhResult, ucfh
from kofn.agents.finite_horizon.ucfh_problems import listed_rows, thresholds
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig, ucfh_constants
from kofn.wrappers.finite_mdp import FiniteMDP

RIVER = FiniteMDP.from_dense(riverswim.transition(), riverswim.reward(), riverswim.start())
HORIZON = 10
OPTIMUM = riverswim.best_return(HORIZON)

SETTINGS = {
    "paper's l": UcfhConfig(scale_log=1.0),
    "l/10": UcfhConfig(),
    "l/10, support known": UcfhConfig(support_known=True),
}
EPISODES = [50, 100, 200, 500, 1000, 2000]
TABLE = {
    "paper's l": [0.2577, 0.2452, 0.0261, 0.0345, 0.0201, 0.0032],
    "l/10": [0.0859, 0.0067, 0.0001, 0.0004, 0.0, 0.0],
    "l/10, support known": [0.0] * 6,
}
"""Optimum less value of the policy, means over 4 runs of an independent implementation."""


def value(policy: Any, weights: Any = None, mdp: FiniteMDP = RIVER) -> float:
    return float(mdp.start @ evaluate_nonstationary(mdp, policy, weights)[0])


def same(first: UcfhResult, second: UcfhResult) -> bool:
    fields = ("optimistic_value", "pessimistic_value", "n_episodes", "n_plans", "n_samples")
    equal = all(getattr(first, name) == getattr(second, name) for name in fields)
    return equal and np.array_equal(first.policy, second.policy)


def test_the_optimum_of_riverswim() -> None:
    assert pytest.approx(0.9068, abs=5e-5) == OPTIMUM
    assert backward_induction(RIVER, HORIZON).values[0, 0] == pytest.approx(OPTIMUM, abs=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_gaps_on_riverswim_are_those_of_the_table(name: str) -> None:
    """Within 4.5 standard errors of the two means and the table's rounding; the bounds enclose the truth throughout."""
    n_runs = 40
    for n_episodes, expected in zip(EPISODES, TABLE[name], strict=True):
        config = replace(SETTINGS[name], max_episodes=n_episodes)
        runs = [ucfh(RIVER, horizon=HORIZON, config=config, seed=seed) for seed in range(n_runs)]
        gaps = np.array([OPTIMUM - value(run.policy) for run in runs])
        for run, gap in zip(runs, gaps, strict=True):
            assert run.n_episodes == n_episodes, "none meets its epsilon so early"
            assert run.optimistic_value >= OPTIMUM - 1e-12
            assert run.pessimistic_value <= OPTIMUM - gap + 1e-12
            assert run.certified_gap == run.optimistic_value - run.pessimistic_value > 0.1
        error = gaps.std(ddof=1) * sqrt(1 / 4 + 1 / n_runs)
        assert abs(gaps.mean() - expected) <= 4.5 * error + 5e-5


def test_the_certificate_on_riverswim_is_that_of_the_table() -> None:
    """After 10,000 episodes, l/10: optimism .066, certified gap .115, 97 plans (the table), over 12 runs."""
    config = UcfhConfig(epsilon=1e-3, max_episodes=10_000)
    runs = [ucfh(RIVER, horizon=HORIZON, config=config, seed=seed) for seed in range(12)]
    for name, expected in (("optimism", 0.066), ("certified_gap", 0.115), ("n_plans", 97)):
        found = np.array([r.optimistic_value - OPTIMUM if name == "optimism" else getattr(r, name) for r in runs])
        assert abs(found.mean() - expected) <= 4.5 * found.std(ddof=1) * sqrt(1 / 4 + 1 / 12)
    assert max(OPTIMUM - value(run.policy) for run in runs) <= 0.002


def test_it_stops_when_the_certificate_meets_epsilon() -> None:
    run = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(epsilon=0.5), seed=3)
    assert run.converged
    assert run.certified_gap <= 0.5
    assert run.n_episodes < 5000
    assert OPTIMUM - value(run.policy) <= run.certified_gap
    shorter = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(epsilon=0.5, max_episodes=run.n_episodes - 1), seed=3)
    assert not shorter.converged


def test_results_report_what_was_done() -> None:
    run = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(max_episodes=300), seed=0)
    assert (run.n_episodes, run.n_samples, run.converged) == (300, 3000, False)
    assert run.policy.shape == (10, 5)
    assert run.m == pytest.approx(1 / run.theory.w_min)
    assert run.log_term == pytest.approx(0.1 * log(6 / run.theory.delta1))


@pytest.mark.parametrize("config", [UcfhConfig(max_episodes=3000), UcfhConfig(max_episodes=3000, phase_growth=0.1)])
def test_the_same_seed_gives_the_same_result(config: UcfhConfig) -> None:
    first, again = (ucfh(RIVER, horizon=HORIZON, config=config, seed=7) for _ in range(2))
    other = ucfh(RIVER, horizon=HORIZON, config=config, seed=8)
    assert same(first, again)
    assert not same(first, other)


def watch_absorption(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """(row, n, v) of every absorption from now on."""
    seen: list[tuple[int, int, int]] = []
    absorb = TransitionCounts.absorb

    def watched(counts: TransitionCounts, row: int) -> None:
        seen.append((row, int(counts.visits[row]), int(counts.new_visits[row])))
        absorb(counts, row)
        assert counts.visits[row] == sum(seen[-1][1:]) == counts.outcomes[row].sum()
        assert counts.new_visits[row] == counts.new_outcomes[row].sum() == 0

    monkeypatch.setattr(TransitionCounts, "absorb", watched)
    return seen


@pytest.mark.parametrize("phase_growth", [0.0, 0.05])
def test_counts_at_least_double(monkeypatch: pytest.MonkeyPatch, phase_growth: float) -> None:
    seen = watch_absorption(monkeypatch)
    config = UcfhConfig(epsilon=1e-6, max_episodes=5000, phase_growth=phase_growth)
    run = ucfh(RIVER, horizon=HORIZON, config=config, seed=0)
    assert all(v >= max(1, n) for _, n, v in seen)
    assert {row for row, _, _ in seen} == set(range(10)) - {8}, "drifting off the right bank is never worth a try"
    assert sum(v for _, _, v in seen) > run.n_samples / 4, "most of what was seen is used"
    per_row = np.bincount([row for row, _, _ in seen])
    assert per_row.max() <= 1 + ceil(log2(run.n_samples))
    assert run.n_plans <= run.theory.u_max
    if phase_growth == 0:
        assert run.n_plans == len(seen) + 1, "one row per plan"


def test_a_larger_m_waits_for_more_visits_and_a_smaller_one_stops_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch_absorption(monkeypatch)
    theory = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(max_episodes=1), seed=0).theory
    seen.clear()
    patient = UcfhConfig(max_episodes=2000, scale_m=25.5 / (theory.w_min * theory.m))
    run = ucfh(RIVER, horizon=HORIZON, config=patient, seed=0)
    assert run.m * theory.w_min == pytest.approx(25.5)
    assert min(v for _, _, v in seen) == 26
    seen.clear()
    hasty = UcfhConfig(max_episodes=2000, scale_m=1 / theory.m)  # n < |S| m H = 50
    ucfh(RIVER, horizon=HORIZON, config=hasty, seed=0)
    assert 25 < max(n for _, n, _ in seen) < 50


def test_a_row_is_ready_when_its_new_visits_reach_the_threshold() -> None:
    counts = TransitionCounts.zeros(3, 2)
    rule = DoublingRule(first=1.5, cap=4.0)
    record_visit(counts, 2, 0, rule)
    assert counts.next_ready() is None
    record_visit(counts, 1, 1, rule)
    record_visit(counts, 1, 1, rule)
    record_visit(counts, 1, 0, rule)
    record_visit(counts, 2, 0, rule)
    assert counts.ready.tolist() == [2, 1, 2, 0], "first come first, each once"
    assert counts.next_ready() == 1
    counts.absorb(1)
    assert (counts.visits.tolist(), counts.outcomes[1].tolist()) == ([0, 3, 0], [1, 2])
    assert counts.next_ready() == 2
    for _ in range(2):
        record_visit(counts, 1, 0, rule)
        assert counts.next_ready() is None
    record_visit(counts, 1, 0, rule)
    assert counts.next_ready() == 1, "three new visits on top of three"
    counts.absorb(1)
    for _ in range(20):
        record_visit(counts, 1, 0, rule)
    assert counts.next_ready() is None, "six visits are more than the cap"


def test_longer_phases_need_fewer_plans() -> None:
    paper = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(max_episodes=4000), seed=1)
    longer = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(max_episodes=4000, phase_growth=0.5), seed=1)
    assert longer.n_plans <= 4 + log(4000) / log(1.5)
    assert longer.n_plans < paper.n_plans / 2
    assert longer.optimistic_value >= OPTIMUM
    assert OPTIMUM - value(longer.policy) <= 0.002


def test_episodes_follow_the_tables() -> None:
    """Visits of places and what follows, within 5 standard errors of their exact means."""
    successors, probabilities, _ = listed_rows(RIVER)
    process = TableProcess(successors, thresholds(probabilities), thresholds(np.array([0.25, 0, 0.75, 0, 0])))
    counts = TransitionCounts.zeros(*successors.shape)
    policy = np.ones((3, 5), dtype=np.int64)
    n = 40_000
    never = DoublingRule(first=1e18, cap=1e18)
    assert play_episodes(process, counts, policy, never, np.random.default_rng(0), 1, n) == n
    law, expected = np.array([0.25, 0, 0.75, 0, 0]), np.zeros(5)
    for _ in range(3):
        expected += law
        law = law @ riverswim.transition()[:, 1]
    visits = counts.new_visits.reshape(5, 2)
    assert not visits[:, 0].any()
    assert (np.abs(visits[:, 1] / n - expected) <= 5 * 3 / sqrt(4 * n)).all()
    for place in range(4):
        share = counts.new_outcomes[2 * place + 1] / visits[place, 1]
        assert share == pytest.approx(probabilities[2 * place + 1], abs=5 * 0.5 / sqrt(visits[place, 1]))
    assert counts.new_outcomes.sum() == 3 * n


@pytest.mark.parametrize(("at_least", "at_most", "played"), [(1, 9, 2), (5, 9, 5), (-3, 9, 2), (1, 1, 1)])
def test_episodes_stop_at_the_first_ready_row_unless_told_to_go_on(at_least: int, at_most: int, played: int) -> None:
    """One state visited twice per episode: the third visit is in the second episode."""
    process = TableProcess(np.zeros((1, 1), dtype=np.int64), np.ones((1, 1)), np.ones(1))
    counts = TransitionCounts.zeros(1, 1)
    policy, rule = np.zeros((2, 1), dtype=np.int64), DoublingRule(first=3.0, cap=100.0)
    assert play_episodes(process, counts, policy, rule, np.random.default_rng(0), at_least, at_most) == played
    assert counts.new_visits[0] == 2 * played


def test_next_states_are_listed_once_and_only_if_possible() -> None:
    mdp = FiniteMDP(
        successors=np.array([[[2, 0, 2, 1]], [[1, 1, 1, 0]], [[0, 1, 2, 2]]]),
        probabilities=np.array([[[0.2, 0.0, 0.3, 0.5]], [[0.0, 1.0, 0.0, 0.0]], [[0.1, 0.2, 0.3, 0.4]]]),
        rewards=np.zeros((3, 1)),
        start=np.ones(3) / 3,
    )
    successors, probabilities, n_listed = listed_rows(mdp)
    assert successors.tolist() == [[1, 2, 0], [1, 0, 0], [0, 1, 2]]
    assert probabilities == pytest.approx(np.array([[0.5, 0.5, 0], [1, 0, 0], [0.1, 0.2, 0.7]]))
    assert n_listed.tolist() == [2, 1, 3]
    assert thresholds(np.array([0.1 + 0.2, 0.7 - 1e-12, 0.0])).tolist() == [0.1 + 0.2, 1.0, 1.0]


@pytest.mark.parametrize("n_episodes", [1, 10, 300])
def test_a_known_support_rules_out_the_rest(n_episodes: int) -> None:
    """States 0 and 1 pay at most 0.01 and never lead to state 2, which pays 1."""
    laws = np.array([[[0.5, 0.5, 0]], [[0.5, 0.5, 0]], [[0, 0, 1]]])
    mdp = FiniteMDP.from_dense(laws, np.array([[0.0], [0.01], [1.0]]), np.eye(3)[0])
    found = {}
    for known in (True, False):
        config = UcfhConfig(epsilon=1e-6, max_episodes=n_episodes, support_known=known)
        found[known] = ucfh(mdp, horizon=6, config=config, seed=0).optimistic_value
    assert found[True] <= 0.01 * 5 < found[False]


def test_a_single_state_needs_no_episode() -> None:
    trivial = FiniteMDP.from_dense(np.ones((1, 2, 1)), np.array([[0.25, 1.0]]), np.ones(1))
    run = ucfh(trivial, horizon=3, seed=0)
    assert (run.converged, run.n_episodes, run.n_plans) == (True, 0, 1)
    assert run.optimistic_value == run.pessimistic_value == 3.0
    assert run.policy.tolist() == [[1], [1], [1]]


@pytest.mark.parametrize("horizon", [1, 2])
def test_short_horizons(horizon: int) -> None:
    """Rewards are known, so that one step needs no episode; two steps need the law of the first."""
    rng = np.random.default_rng(horizon)
    mdp = FiniteMDP.from_dense(rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2)), rng.dirichlet(np.ones(3)))
    run = ucfh(mdp, horizon=horizon, config=UcfhConfig(epsilon=0.05), seed=0)
    exact = backward_induction(mdp, horizon)
    assert run.converged
    assert (run.n_episodes == 0) == (horizon == 1)
    assert np.array_equal(run.policy[-1], exact.policy[-1])
    assert value(run.policy, mdp=mdp) >= mdp.start @ exact.values[0] - run.certified_gap


def test_weighted_rewards() -> None:
    weights = 0.7 ** (np.arange(HORIZON) // 2)
    best = backward_induction(RIVER, HORIZON, weights).values[0, 0]
    run = ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(epsilon=0.01), seed=0, reward_weights=weights)
    assert run.converged
    assert run.optimistic_value >= best >= value(run.policy, weights) >= run.pessimistic_value
    assert best - value(run.policy, weights) <= 0.01


def test_rewards_of_another_scale_are_the_same_problem() -> None:
    """2 r - 3 with twice the epsilon: the same episodes, values mapped accordingly; weights of 2 do likewise."""
    config = UcfhConfig(epsilon=0.5, max_episodes=1000)
    shifted = FiniteMDP.from_dense(riverswim.transition(), 2 * riverswim.reward() - 3, riverswim.start())
    plain = ucfh(RIVER, horizon=HORIZON, config=config, seed=5)
    moved = ucfh(shifted, horizon=HORIZON, config=replace(config, epsilon=1.0), seed=5)
    doubled = ucfh(
        RIVER, horizon=HORIZON, config=replace(config, epsilon=1.0), seed=5, reward_weights=np.full(HORIZON, 2.0)
    )
    assert moved.n_episodes == doubled.n_episodes == plain.n_episodes
    assert moved.theory == doubled.theory == plain.theory
    assert moved.optimistic_value == pytest.approx(2 * plain.optimistic_value - 3 * HORIZON)
    assert moved.certified_gap == pytest.approx(2 * plain.certified_gap)
    assert doubled.pessimistic_value == pytest.approx(2 * plain.pessimistic_value)


def test_constants_of_the_paper() -> None:
    """5 states, 2 actions, H = 10, epsilon = delta = 0.1: m = 1.6e11 with 3 successors, 2.7e11 with 5."""
    options = {"n_states": 5, "n_rows": 10, "horizon": 10, "epsilon": 0.1, "delta": 0.1, "learn_rewards": False}
    three, five = (ucfh_constants(n_successors=c, **options) for c in (3, 5))
    assert three.w_min == pytest.approx(5e-4)
    assert three.u_max == pytest.approx(10 * log2(50 / 5e-4))
    assert three.delta1 == pytest.approx(0.1 / (2 * three.u_max * 3))
    assert (three.m, five.m) == pytest.approx((1.6e11, 2.7e11), rel=0.02)
    assert ucfh(RIVER, horizon=10, config=UcfhConfig(max_episodes=1), seed=0).theory == five
    known = UcfhConfig(max_episodes=1, support_known=True)
    assert ucfh(RIVER, horizon=10, config=known, seed=0).theory == three
    learnt = ucfh_constants(n_successors=5, **{**options, "learn_rewards": True})
    assert learnt.delta1 == pytest.approx(five.delta1 * 5 / 6)


@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
def test_constants_of_short_horizons_exist(horizon: int) -> None:
    options = {"n_states": 2, "n_rows": 4, "n_successors": 2, "delta": 0.1, "learn_rewards": False}
    found = ucfh_constants(horizon=horizon, epsilon=0.1, **options)
    plain = 512 * (2 * horizon**2 / 0.01) * log2(8 * horizon**2 * 4 / 0.1) ** 2 * found.log_term
    assert found.m == pytest.approx(plain)
    vast = ucfh_constants(horizon=horizon, epsilon=1e9, **options)
    assert vast == ucfh_constants(horizon=horizon, epsilon=float(horizon), **options)
    assert vast.delta1 > 0


# Environments


def test_tables_and_the_environment_they_describe_give_the_same_law() -> None:
    config = UcfhConfig(max_episodes=1000, rewards="deterministic")
    for first in (0, 3):
        run = ucfh(riverswim.RiverSwim(first), horizon=HORIZON, config=config, seed=0)
        assert run.n_samples == 10_000
        assert run.optimistic_value >= OPTIMUM
        assert run.pessimistic_value <= value(run.policy)
        assert OPTIMUM - value(run.policy) <= 0.005
    tables = ucfh(RIVER, horizon=HORIZON, config=config, seed=0)
    assert OPTIMUM - value(tables.policy) <= 0.005
    assert tables.certified_gap <= run.certified_gap, "tables know rewards and start"


def test_an_environment_gives_the_same_result_for_the_same_seed() -> None:
    config = UcfhConfig(max_episodes=200)
    env = riverswim.RiverSwim()
    first, again = (ucfh(env, horizon=HORIZON, config=config, seed=4) for _ in range(2))
    assert same(first, again)
    assert not same(first, ucfh(env, horizon=HORIZON, config=config, seed=5))


class Walk(gymnasium.Env[int, int]):
    """Places 0 and 1 in turn. Action 0 ends the episode and pays `prize`, action 1 pays 0.1 and goes on."""

    def __init__(self, prize: float = 0.3, noise: float = 0.0, truncate: bool = False) -> None:
        self.observation_space, self.action_space = Discrete(2), Discrete(2)
        self.prize, self.noise, self.truncate = prize, noise, truncate
        self.place = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
        super().reset(seed=seed)
        self.place = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.place = 1 - self.place
        pay = (self.prize if action == 0 else 0.1) + self.noise * self.np_random.choice([-1, 1])
        return self.place, pay, action == 0 and not self.truncate, action == 0 and self.truncate, {}


def test_nothing_is_paid_after_termination() -> None:
    """The best of five steps is to go on four times and then to end: 0.4 + 0.3."""
    config = UcfhConfig(epsilon=0.05, rewards="deterministic")
    run = ucfh(Walk(), horizon=5, config=config, seed=0)
    assert run.converged
    assert run.optimistic_value >= 0.7 - 1e-12
    assert run.pessimistic_value == pytest.approx(0.7, abs=0.05)
    assert [int(run.policy[t, t % 2]) for t in range(5)] == [1, 1, 1, 1, 0]
    assert run.n_samples < 5 * run.n_episodes, "some episodes ended early"


def test_a_truncated_episode_is_only_cut_short() -> None:
    """What follows action 0 goes on unseen: 0.3 five times is the best, and the upper bound must allow for it."""
    config = UcfhConfig(epsilon=0.1, rewards="deterministic", max_episodes=2000)
    run = ucfh(Walk(truncate=True), horizon=5, config=config, seed=0)
    assert not run.converged
    assert run.optimistic_value >= 1.5 - 1e-12
    assert run.n_samples < 5 * run.n_episodes


def test_mean_rewards_are_learnt() -> None:
    config = UcfhConfig(epsilon=0.2)
    run = ucfh(Walk(noise=0.2), horizon=5, config=config, seed=0, reward_range=(-0.1, 0.5))
    assert run.converged
    assert run.optimistic_value >= 0.7 >= run.pessimistic_value
    assert [int(run.policy[t, t % 2]) for t in range(5)] == [1, 1, 1, 1, 0]


def test_nothing_is_taken_for_granted() -> None:
    """One episode absorbed one visit: every step may still pay either end of the range."""
    run = ucfh(Walk(), horizon=5, config=UcfhConfig(max_episodes=1), seed=0, reward_range=(-1, 1))
    assert (run.optimistic_value, run.pessimistic_value) == (5.0, -5.0)


def test_the_bonus_of_learnt_rewards_is_hoeffdings() -> None:
    """One place, one action, one step: the bounds are those of the mean of the rewards and of the start."""

    class Coin(gymnasium.Env[int, int]):
        observation_space = action_space = Discrete(1)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
            super().reset(seed=seed)
            return 0, {}

        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:  # noqa: ARG002  # likewise
            return 0, float(self.np_random.random() < 0.5), True, False, {}

    # Both rows are absorbed after 1, 2, 4, .., 64 episodes.
    config = UcfhConfig(epsilon=0.01, max_episodes=64, scale_log=0.2, phase_growth=1e-6)
    run = ucfh(Coin(), horizon=1, config=config, seed=0)
    radius = sqrt(run.log_term / (2 * 64))
    # The start is the one place there is, or, at worst, the absorbing one, which pays nothing.
    certain = 1 - min(sqrt(run.log_term / (2 * 64)), 7 * run.log_term / (3 * 63))
    mean = run.optimistic_value - radius
    assert 64 * mean == pytest.approx(round(64 * mean))
    assert abs(mean - 0.5) <= 5 * 0.5 / 8
    assert run.pessimistic_value == pytest.approx(certain * (mean - radius))


def test_frozen_lake() -> None:
    """The slippery lake of Gymnasium: bounds enclose the optimum of its own tables."""
    env = gymnasium.make("FrozenLake-v1", map_name=None, desc=["SF", "HG"], is_slippery=True)
    laws, rewards = np.zeros((4, 4, 4)), np.zeros((4, 4))
    for state, actions in env.unwrapped.P.items():  # type: ignore[attr-defined]  # FrozenLake's tables
        for action, outcomes in actions.items():
            for probability, following, reward, _ in outcomes:
                laws[state, action, following] += probability
                rewards[state, action] += probability * reward
    mdp = FiniteMDP.from_dense(laws, rewards, np.eye(4)[0])
    best = backward_induction(mdp, 8).values[0, 0]
    run = ucfh(env, horizon=8, config=UcfhConfig(max_episodes=4000, phase_growth=0.05), seed=0)
    assert run.optimistic_value >= best
    assert run.pessimistic_value <= value(run.policy, mdp=mdp)
    assert best - value(run.policy, mdp=mdp) <= 0.02


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("shown", [True, False])
def test_progress_bar_is_shown_on_request(monkeypatch: pytest.MonkeyPatch, shown: bool) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    ucfh(RIVER, horizon=HORIZON, config=UcfhConfig(max_episodes=10), seed=0, progress_bar=shown)
    assert ("episodes: 100%" in terminal.getvalue()) == shown
    assert ("certified gap" in terminal.getvalue()) == shown


class Odd(Walk):
    """An environment with a fault."""

    def __init__(self, **spaces: Any) -> None:
        super().__init__()
        self.__dict__.update(spaces)


class Beyond(Walk):
    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:  # noqa: ARG002  # Gymnasium's signature
        return 5, 0.1, False, False, {}


@pytest.mark.parametrize(
    ("problem", "options", "error", "message"),
    [
        (RIVER.dense(), {}, TypeError, "problem must be a FiniteMDP or a gymnasium.Env; got ndarray"),
        (RIVER, {"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
        (RIVER, {"reward_weights": [1, 2]}, ValueError, r"reward_weights must have shape \[3\]; got \[2\]"),
        (RIVER, {"reward_weights": [0, 0, 0]}, ValueError, "reward_weights must have a positive entry; all are 0"),
        (RIVER, {"reward_range": (0, 0.5)}, ValueError, r"reward_range \(0.0, 0.5\); entry \[4, 1\] is 1.0"),
        (RIVER, {"reward_range": (0.001, 1)}, ValueError, r"reward_range \(0.001, 1.0\); entry \[0, 1\] is 0.0"),
        (RIVER, {"reward_range": (1, 1)}, ValueError, r"reward_range must be \(low, high\) with low < high; got \(1"),
        (RIVER, {"reward_range": 1}, ValueError, r"reward_range must have 1 axes \[2\]"),
        (RIVER, {"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        (Odd(observation_space=Box(0, 1)), {}, TypeError, "observation_space must be Discrete; got Box"),
        (Odd(action_space=Box(0, 1)), {}, TypeError, "action_space must be Discrete; got Box"),
        (Walk(), {"config": UcfhConfig(support_known=True)}, ValueError, "support_known=True needs tables"),
        (Walk(prize=1.5), {}, ValueError, r"reward_range \(0.0, 1.0\); state 0, action 0 paid 1.5"),
        (Walk(prize=-0.1), {}, ValueError, r"reward_range \(0.0, 1.0\); state 0, action 0 paid -0.1"),
        (Walk(prize=float("nan")), {}, ValueError, "state 0, action 0 paid nan"),
        (Beyond(), {}, ValueError, r"observations must lie in 0..1; the environment gave 5"),
        (
            Walk(noise=0.05),
            {"config": UcfhConfig(rewards="deterministic")},
            ValueError,
            "rewards='deterministic', but state 0, action 0 paid .* use 'stochastic'",
        ),
    ],
)
def test_rejected(problem: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ucfh(problem, **{"horizon": 3, "seed": 0, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epsilon": 0}, ValueError, "epsilon must be positive and finite; got 0"),
        ({"delta": 1.0}, ValueError, "delta must be below 1; got 1.0"),
        ({"delta": -0.1}, ValueError, "delta must be positive and finite; got -0.1"),
        ({"scale_m": 0.0}, ValueError, "scale_m must be positive and finite; got 0.0"),
        ({"scale_log": float("inf")}, ValueError, "scale_log must be positive and finite; got inf"),
        ({"max_episodes": 0}, ValueError, "max_episodes must be at least 1; got 0"),
        ({"max_episodes": 1e3}, TypeError, "max_episodes must be an integer; got 1000.0"),
        ({"support_known": 1}, TypeError, "support_known must be a bool; got 1"),
        ({"phase_growth": -0.1}, ValueError, "phase_growth must be positive and finite; got -0.1"),
        ({"phase_growth": False}, TypeError, "phase_growth must be a number; got False"),
        ({"rewards": "fixed"}, ValueError, "rewards must be one of 'stochastic', 'deterministic'; got 'fixed'"),
    ],
)
def test_rejected_settings(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        UcfhConfig(**options)
