"""UCFH on tables: RiverSwim against a table of gaps, optimism, horizons, known supports, scales of rewards."""

import io
from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from oracle import riverswim
from river_tables import HORIZON, OPTIMUM, RIVER, same, value

from kofn.agents.finite_horizon.backward_induction import backward_induction
from kofn.agents.finite_horizon.ucfh import ucfh
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig
from kofn.wrappers.finite_mdp import FiniteMDP

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
