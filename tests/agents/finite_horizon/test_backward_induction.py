"""Exact planning against all policies and all trajectories; optimistic and pessimistic planning against scipy's LP."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from kofn.agents.finite_horizon.backward_induction import backward_induction, evaluate_nonstationary
from kofn.agents.finite_horizon.extended_values import (
    TransitionSets,
    extreme_means,
    largest_mean,
    optimistic_plan,
    pessimistic_values,
    rank_values,
)
from kofn.envs.arrays import FloatArray, IntArray
from kofn.wrappers.finite_mdp import FiniteMDP


def random_mdp(seed: int, n_states: int = 3, n_actions: int = 2) -> FiniteMDP:
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.ones(n_states), (n_states, n_actions))
    return FiniteMDP.from_dense(laws, rng.normal(size=(n_states, n_actions)), rng.dirichlet(np.ones(n_states)))


def by_trajectories(mdp: FiniteMDP, policy: IntArray, weights: FloatArray, state: int) -> float:
    """Value of a policy as a sum over every sequence of states."""
    laws, total = mdp.dense(), 0.0
    for path in product(range(mdp.n_states), repeat=len(weights)):
        probability, collected, at = 1.0, 0.0, state
        for t, following in enumerate(path):
            collected += weights[t] * mdp.rewards[at, policy[t, at]]
            probability *= laws[at, policy[t, at], following]
            at = following
        total += probability * collected
    return total


@pytest.mark.parametrize("seed", range(3))
def test_values_of_a_policy_are_sums_over_trajectories(seed: int) -> None:
    mdp, rng = random_mdp(seed), np.random.default_rng(seed)
    policy, weights = rng.integers(2, size=(4, 3)), rng.random(4)
    values = evaluate_nonstationary(mdp, policy, weights)
    assert values.shape == (5, 3)
    assert not values[4].any()
    for t in range(4):
        assert values[t] == pytest.approx(
            [by_trajectories(mdp, policy[t:], weights[t:], s) for s in range(3)], abs=1e-12
        )


@pytest.mark.parametrize("seed", range(3))
def test_backward_induction_beats_every_policy(seed: int) -> None:
    mdp = random_mdp(seed, n_states=2)
    weights = np.array([1.0, 0.5, 2.0])
    plan = backward_induction(mdp, 3, weights)
    policies = [np.reshape(actions, (3, 2)) for actions in product(range(2), repeat=6)]
    best = np.max([evaluate_nonstationary(mdp, policy, weights)[0] for policy in policies], axis=0)
    assert plan.values[0] == pytest.approx(best, abs=1e-12)
    assert evaluate_nonstationary(mdp, plan.policy, weights) == pytest.approx(plan.values, abs=1e-12)


def test_ties_go_to_the_lowest_action() -> None:
    mdp = FiniteMDP.from_dense(np.ones((1, 3, 1)), np.array([[0.0, 1.0, 1.0]]), np.ones(1))
    assert backward_induction(mdp, 2).policy.tolist() == [[1], [1]]


def test_weights_of_one_are_the_default() -> None:
    mdp = random_mdp(4)
    assert np.array_equal(backward_induction(mdp, 5).values, backward_induction(mdp, 5, np.ones(5)).values)
    policy = np.zeros((5, 3), dtype=int)
    default = evaluate_nonstationary(mdp, policy)
    assert np.array_equal(default, evaluate_nonstationary(mdp, policy, np.ones(5)))


def random_sets(seed: int, n_states: int, n_actions: int, width: int, *, support_known: bool) -> TransitionSets:
    """Intervals around random laws on `width` (fewer in some rows) of the states, wide enough for a law to exist."""
    rng = np.random.default_rng(seed)
    n_rows = n_states * n_actions
    successors = np.array([rng.choice(n_states, width, replace=False) for _ in range(n_rows)])
    n_listed = rng.integers(1, width + 1, size=n_rows)
    lower, upper = np.full((n_rows, width), np.nan), np.full((n_rows, width), np.nan)
    for row, listed in enumerate(n_listed):
        law = rng.dirichlet(np.ones(listed))
        lower[row, :listed] = law * rng.random(listed)
        upper[row, :listed] = law + (1 - law) * rng.random(listed) * rng.choice([0, 0.2, 1])
    low = rng.random(n_rows)
    return TransitionSets(
        successors=successors,
        n_listed=n_listed,
        lower=lower,
        upper=upper,
        unlisted=np.zeros(n_rows) if support_known else rng.random(n_rows) * rng.choice([0.01, 0.3, 1], n_rows),
        reward_low=low,
        reward_high=low + rng.random(n_rows),
        order=np.tile(np.arange(width), (n_rows, 1)),
    )


def bounds(sets: TransitionSets, row: int, n_states: int) -> list[tuple[float, float]]:
    """(least, largest) probability of every state."""
    found = [(0.0, float(sets.unlisted[row]))] * n_states
    for j in range(sets.n_listed[row]):
        found[sets.successors[row, j]] = float(sets.lower[row, j]), float(sets.upper[row, j])
    return found


def by_linear_program(sets: TransitionSets, row: int, values: FloatArray) -> float:
    solved = linprog(-values, A_eq=np.ones((1, len(values))), b_eq=[1.0], bounds=bounds(sets, row, len(values)))
    assert solved.status == 0
    return float(-solved.fun)


@pytest.mark.parametrize("support_known", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_largest_mean_is_that_of_the_linear_program(seed: int, support_known: bool) -> None:
    sets = random_sets(seed, 9, 3, 5, support_known=support_known)
    rng = np.random.default_rng(seed)
    for values in (rng.normal(size=9), rng.integers(3, size=9).astype(float), np.full(9, 2.0)):
        ranking = rank_values(values)
        for row in range(27):
            assert largest_mean(sets, row, ranking) == pytest.approx(by_linear_program(sets, row, values), abs=1e-9)


def test_least_and_largest_mean_of_a_row() -> None:
    sets = random_sets(5, 6, 1, 4, support_known=False)
    rng = np.random.default_rng(5)
    least, largest = rng.normal(size=6), rng.normal(size=6)
    expected = -by_linear_program(sets, 2, -least), by_linear_program(sets, 2, largest)
    assert extreme_means(sets, 2, least, largest) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("support_known", [True, False])
def test_plans_are_backward_inductions_with_linear_programs(support_known: bool) -> None:
    n_states, n_actions, n_values, horizon = 4, 3, 5, 3
    sets = random_sets(1, n_values, n_actions, 3, support_known=support_known)
    weights = np.array([0.3, 1.0, 0.7])
    policy, values = optimistic_plan(sets, weights, n_states, n_actions, n_values)
    least = pessimistic_values(sets, weights, policy, n_actions, n_values)
    assert not values[:, 4].any(), "the last state is absorbing and pays nothing"
    assert not least[:, 4].any()
    for t, s in product(range(horizon), range(n_states)):
        rows = s * n_actions + np.arange(n_actions)
        q = [weights[t] * sets.reward_high[row] + by_linear_program(sets, row, values[t + 1]) for row in rows]
        assert values[t, s] == pytest.approx(max(q), abs=1e-9)
        assert policy[t, s] == np.argmax(q)
        row = rows[policy[t, s]]
        expected = weights[t] * sets.reward_low[row] - by_linear_program(sets, row, -least[t + 1])
        assert least[t, s] == pytest.approx(expected, abs=1e-9)


def known_sets(mdp: FiniteMDP, slack: float = 0.0) -> TransitionSets:
    """Intervals of half-width `slack` around the true laws."""
    n_rows = mdp.n_states * mdp.n_actions
    law = mdp.probabilities.reshape(n_rows, -1)
    return TransitionSets(
        successors=mdp.successors.reshape(n_rows, -1).copy(),
        n_listed=np.full(n_rows, mdp.n_successors),
        lower=np.maximum(law - slack, 0),
        upper=np.minimum(law + slack, 1),
        unlisted=np.zeros(n_rows),
        reward_low=mdp.rewards.flatten(),
        reward_high=mdp.rewards.flatten(),
        order=np.tile(np.arange(mdp.n_successors), (n_rows, 1)),
    )


@pytest.mark.parametrize("seed", range(4))
def test_when_the_law_is_known_the_plan_is_backward_induction(seed: int) -> None:
    mdp = random_mdp(seed, n_states=6, n_actions=3)
    weights = np.random.default_rng(seed).random(7)
    exact = backward_induction(mdp, 7, weights)
    policy, values = optimistic_plan(known_sets(mdp), weights, 6, 3, 6)
    assert values == pytest.approx(exact.values, abs=1e-12)
    assert np.array_equal(policy, exact.policy)
    assert pessimistic_values(known_sets(mdp), weights, policy, 3, 6) == pytest.approx(exact.values, abs=1e-12)


@pytest.mark.parametrize("slack", [0.01, 0.2, 1.0])
def test_bounds_enclose_the_optimum_and_widen_with_the_sets(slack: float) -> None:
    mdp = random_mdp(8, n_states=6, n_actions=3)
    exact, weights = backward_induction(mdp, 7), np.ones(7)
    policy, values = optimistic_plan(known_sets(mdp, slack), weights, 6, 3, 6)
    least = pessimistic_values(known_sets(mdp, slack), weights, policy, 3, 6)
    achieved = evaluate_nonstationary(mdp, policy)
    assert (values[:7] > exact.values[:7])[:6].all()
    assert (least[:6] < achieved[:6]).all()
    assert (achieved <= exact.values + 1e-12).all()
    assert values[0].max() <= 7 * mdp.rewards.max() + 1e-12, "no more than the largest reward at every step"


MDP = random_mdp(0)


@pytest.mark.parametrize(
    ("horizon", "weights", "error", "message"),
    [
        (0, None, ValueError, "horizon must be at least 1; got 0"),
        (2.0, None, TypeError, "horizon must be an integer; got 2.0"),
        (2, [1.0], ValueError, r"reward_weights must have shape \[2\]; got \[1\]"),
        (2, [1.0, -0.5], ValueError, r"reward_weights must be nonnegative; entry \[1\] is -0.5"),
        (2, [np.inf, 1.0], ValueError, r"reward_weights must be finite; entry \[0\] is inf"),
        (2, ["a", "b"], TypeError, "reward_weights must be an array of real numbers"),
    ],
)
def test_rejected_plan(horizon: Any, weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        backward_induction(MDP, horizon, weights)


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (np.zeros((2, 3)), TypeError, "policy must be integers; got dtype float64"),
        (np.zeros((2, 4), dtype=int), ValueError, r"policy must have shape \[t, 3\]; got \[2, 4\]"),
        (np.zeros((0, 3), dtype=int), ValueError, r"policy must have shape \[t, 3\]; got \[0, 3\]"),
        (np.zeros(3, dtype=int), ValueError, r"policy must have shape \[t, 3\]; got \[3\]"),
        ([[0, 1, 2]], ValueError, r"policy must lie in 0..1; entry \[0, 2\] is 2"),
        ([[0, -1, 0]], ValueError, r"policy must lie in 0..1; entry \[0, 1\] is -1"),
    ],
)
def test_rejected_policy(policy: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate_nonstationary(MDP, policy)
