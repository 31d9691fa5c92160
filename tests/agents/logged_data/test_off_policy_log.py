"""Off-policy G-LEARN from a log: equation (38) written out, other fixed points, many passes, convergence."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from surrogate_process import K

from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.off_policy import StepRule, off_policy_g_learn
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.wrappers import SubsampleObservation


def by_equation_38(log: Transitions, discount: float, step: StepRule, n_passes: int) -> tuple[FloatArray, FloatArray]:
    """(Q, visits) by the formula, with a dictionary of entries."""
    n_local, histograms, q, visits = log.sizes.n_local_states, log.histograms.tolist(), {}, {}
    vectors = brute_force.count_vectors(log.k, n_local)
    keys = list(product(range(log.sizes.n_global_states), vectors))
    for t in [*range(len(log))] * n_passes:
        here = int(log.global_states[t]), tuple(histograms[t])
        there = int(log.next_global_states[t]), tuple(log.next_histograms[t].tolist())
        entry = here, int(log.global_actions[t])
        best = max(q.get((there, a), 0.0) for a in range(log.n_global_actions))
        alpha = step.step_size / (1 + visits.get(entry, 0)) ** step.decay
        q[entry] = q.get(entry, 0.0) + alpha * (log.sampled_rewards[t] + discount * best - q.get(entry, 0.0))
        visits[entry] = visits.get(entry, 0) + 1
    shape = log.sizes.n_global_states, len(vectors), log.n_global_actions
    tables = [[table.get((key, a), 0.0) for key in keys for a in range(shape[2])] for table in (q, visits)]
    return np.reshape(tables[0], shape), np.reshape(tables[1], shape)


@pytest.mark.parametrize("step", [StepRule(), StepRule(step_size=0.3, decay=0.0), StepRule(step_size=0.5, decay=1.0)])
@pytest.mark.parametrize("n_passes", [1, 3])
def test_learning_from_a_log_is_equation_38(log: Transitions, step: StepRule, n_passes: int) -> None:
    result = off_policy_g_learn(log, discount=0.8, step=step, n_passes=n_passes)
    q, visits = by_equation_38(log, 0.8, step, n_passes)
    assert result.q_values == pytest.approx(q, rel=1e-12)
    assert (result.visits == visits).all()
    assert result.n_steps == n_passes * len(log)
    assert (result.policy.table == q.argmax(axis=2)).all()
    assert (result.policy.k, result.policy.n_actions) == (K, 2)
    assert result.n_min == visits.min() / visits.sum() > 0
    assert result.n_unvisited == 0
    assert 0 < result.wall_time < 60


def standing_agents(discount: float = 0.9) -> TabularGame:
    """Local agents never move; one in state 1 earns 1."""
    return TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=np.eye(2).reshape(2, 1, 1, 2),
        global_reward=np.zeros((1, 1)),
        local_reward=np.array([0.0, 1.0]).reshape(2, 1, 1),
        discount=discount,
        initial_local=FixedStart(np.array([0.5, 0.5])),
    )


def test_the_same_agents_on_both_sides() -> None:
    """An agent that stands in 0 for ever is worth 0, one in 1 is worth 1/(1-gamma) = 10, whoever else there is."""
    env = SubsampleObservation(PopulationEnv(standing_agents(), 2, max_cycles=10), 1)
    log = collect_transitions(env, n_steps=4000, seed=0)
    result = off_policy_g_learn(log, discount=0.9, n_passes=50)
    assert result.q_values[0, :, 0] == pytest.approx([10.0, 0.0], abs=0.002)


def test_traps_have_other_fixed_points() -> None:
    """What the same log would teach with the agents drawn for the next observation, or with the team reward.

    Two agents at fair starts, one seen. Freshly drawn agents make the states mix: the difference of the values is
    1/(1 - gamma/2) = 1.8 instead of 10. The team reward of an agent in 1 is 3/4 on average and of one in 0 is 1/4:
    5 instead of 10.
    """
    rng = np.random.default_rng(0)
    states = np.repeat(rng.integers(2, size=(5000, 2)), 4, axis=0)
    length = len(states)
    members, fresh = rng.integers(2, size=(2, length, 1))
    zeros = np.zeros(length, dtype=np.int64)

    def gap(next_of_member: Any, rewards: Any) -> float:
        """Difference of the values of 1 and 0, of a single agent that is seen."""
        log = Transitions.from_arrays(
            (zeros, np.take_along_axis(states, members, axis=1)),
            (zeros, zeros[:, None]),
            (np.zeros(length), rewards),
            (zeros, next_of_member),
            sizes=SpaceSizes(1, 2, 1, 1),
        )
        values = off_policy_g_learn(log, discount=0.9, n_passes=5).q_values[0, :, 0]
        return float(values[0] - values[1])

    seen = np.take_along_axis(states, members, axis=1)
    assert gap(seen, seen[:, 0].astype(float)) == pytest.approx(10.0, abs=0.02)
    assert gap(np.take_along_axis(states, fresh, axis=1), seen[:, 0].astype(float)) == pytest.approx(1.8, abs=0.15)
    assert gap(seen, states.mean(axis=1)) == pytest.approx(5.0, abs=0.3)


def test_many_passes_approach_the_empirical_model(log: Transitions) -> None:
    """Value iteration on the log's own frequencies."""
    short = first_steps(log, 600)
    states, next_states = short.surrogate_states
    n_states, discount = 6, 0.5
    moves, paid = np.zeros((n_states, 2, n_states)), np.zeros((n_states, 2))
    np.add.at(moves, (states, short.global_actions, next_states), 1)
    np.add.at(paid, (states, short.global_actions), short.sampled_rewards)
    counts = moves.sum(axis=2)
    assert counts.min() > 0
    q = np.zeros((n_states, 2))
    for _ in range(60):
        q = paid / counts + discount * np.einsum("sat,t->sa", moves / counts[:, :, None], q.max(axis=1))
    result = off_policy_g_learn(short, discount=discount, n_passes=30_000)
    # Within a pass an entry drifts by at most visits per pass * alpha * range of its target, here 2.
    alpha = (counts * 30_000.0) ** -0.7
    assert np.abs(result.q_values.reshape(6, 2) - q).max() < (counts * alpha).max() * 2 / (1 - discount)
    assert result.converged
    one_pass = off_policy_g_learn(short, discount=discount)
    assert np.abs(one_pass.q_values.reshape(6, 2) - q).max() > (counts * alpha).max() * 2 / (1 - discount)


def first_steps(log: Transitions, n_steps: int) -> Transitions:
    """The beginning of a log; moves stay those of the whole."""
    fields = ("global_states", "sampled_counts", "global_actions", "global_rewards", "sampled_rewards")
    parts = {name: getattr(log, name)[:n_steps] for name in (*fields, "next_global_states", "next_histograms")}
    return replace(log, **parts)


def test_converged_is_all_visited_and_little_changed(log: Transitions) -> None:
    result = off_policy_g_learn(log, discount=0.5)
    before = off_policy_g_learn(first_steps(log, 4500), discount=0.5)
    assert result.last_change == np.abs(result.q_values - before.q_values).max()
    scale = np.abs(result.q_values).max()
    for factor, converged in ((1.01, True), (0.99, False)):
        tolerance = factor * result.last_change / scale
        assert off_policy_g_learn(log, discount=0.5, tolerance=tolerance).converged is converged
    # One entry is never met: nothing changes there, but nothing is known either.
    states, _ = log.surrogate_states
    unmet = (states == 4) & (log.global_actions == 1)
    fields = ("global_states", "sampled_counts", "global_actions", "global_rewards", "sampled_rewards")
    rest = {name: getattr(log, name)[~unmet] for name in (*fields, "next_global_states", "next_histograms")}
    blind = off_policy_g_learn(replace(log, **rest), discount=0.5, tolerance=10.0)
    assert (blind.converged, blind.n_unvisited, blind.n_min) == (False, 1, 0.0)
    assert blind.q_values.reshape(6, 2)[4, 1] == 0
