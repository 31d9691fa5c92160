"""UCFH's phases: counts at least double, episodes follow the tables and stop at the first ready row."""

from math import ceil, log, log2, sqrt

import numpy as np
import pytest
from oracle import riverswim
from river_tables import HORIZON, OPTIMUM, RIVER, value

from kofn.agents.finite_horizon.transition_counts import (
    DoublingRule,
    TableProcess,
    TransitionCounts,
    play_episodes,
    record_visit,
)
from kofn.agents.finite_horizon.ucfh import ucfh
from kofn.agents.finite_horizon.ucfh_problems import listed_rows, thresholds
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig
from kofn.wrappers.finite_mdp import FiniteMDP


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
