"""Least-squares value iteration on processes small enough to solve by hand."""

import numpy as np
import pytest

from kofn.agents.global_response.linear_fit import FitOutcome, Regression, fitted_iteration, regression_matrix
from kofn.envs.arrays import FloatArray


def iterate(
    features: FloatArray, transition: FloatArray, rewards: FloatArray, discount: float, ridge: float = 0.0
) -> FitOutcome:
    """At all states of a process [s, a, s']."""
    problem = Regression(
        design=features,
        landing=features,
        rewards=rewards,
        expect=lambda values: transition @ values,
        discount=discount,
        value_range=(rewards.min() / (1 - discount), rewards.max() / (1 - discount)),
        ridge=ridge,
    )
    return fitted_iteration(problem, 1e-10, 5000)


def process(seed: int, n_states: int = 6) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_states), (n_states, 2)), rng.random((n_states, 2))


def optimum(transition: FloatArray, rewards: FloatArray, discount: float) -> FloatArray:
    q = np.zeros(rewards.shape)
    for _ in range(400):
        q = rewards + discount * transition @ q.max(axis=1)
    return q


@pytest.mark.parametrize("seed", range(3))
def test_indicators_give_value_iteration(seed: int) -> None:
    transition, rewards = process(seed)
    outcome = iterate(np.eye(6), transition, rewards, 0.8)
    exact = optimum(transition, rewards, 0.8)
    assert outcome.expansion == pytest.approx(1)
    assert outcome.converged
    assert np.abs(outcome.weights - exact).max() <= outcome.certificate + 1e-12
    assert (outcome.residual, outcome.clipped) == (pytest.approx(0, abs=1e-12), 0)


@pytest.mark.parametrize("seed", range(3))
def test_aggregation_solves_the_aggregated_process(seed: int) -> None:
    """Features that are the same within three groups of two states: averages, kappa = 1, a smaller process."""
    transition, rewards = process(seed)
    groups = np.repeat(np.eye(3), 2, axis=0)
    outcome = iterate(groups, transition, rewards, 0.8)
    averaged = (transition @ groups).reshape(3, 2, 2, 3).mean(axis=1)
    exact = optimum(averaged, rewards.reshape(3, 2, 2).mean(axis=1), 0.8)
    assert outcome.expansion == pytest.approx(1)
    assert outcome.weights == pytest.approx(exact, abs=1e-9)
    assert outcome.residual > 0.01


def test_a_linear_process_is_solved_exactly() -> None:
    """Transitions mu(s'|i) mixed by phi, rewards linear in phi: the fitted Q is the true one, with 2 features for 6."""
    rng = np.random.default_rng(4)
    phi = rng.dirichlet(np.ones(2), 6)
    bases = rng.dirichlet(np.ones(6), (2, 2))  # [feature, a, s']
    transition, rewards = np.einsum("sf,fap->sap", phi, bases), phi @ rng.random((2, 2))
    outcome = iterate(phi, transition, rewards, 0.7)
    assert outcome.converged
    assert phi @ outcome.weights == pytest.approx(optimum(transition, rewards, 0.7), abs=1e-8)
    assert outcome.residual == pytest.approx(0, abs=1e-9)


def two_states(discount: float) -> FitOutcome:
    """States with features 1 and 2 and rewards 1 and 0, both leading to the second.

    The regression of (1 + gamma V, gamma V) on (1, 2) has the slope (1 + 3 gamma V)/5, twice which is the next V.
    """
    return iterate(np.array([[1.0], [2.0]]), np.array([[[0.0, 1.0]]] * 2), np.array([[1.0], [0.0]]), discount)


def test_an_expansion_is_reported_and_values_stay_in_range() -> None:
    """V <- (2 + 6 gamma V)/5 grows for ever at gamma = 0.95, but for the limit 1/(1-gamma) = 20."""
    outcome = two_states(0.95)
    assert outcome.expansion == pytest.approx(1.2)
    assert outcome.certificate == np.inf
    assert outcome.clipped == 0.5
    assert outcome.weights[0, 0] == pytest.approx((1 + 3 * 0.95 * 20) / 5)


def test_the_same_features_contract_at_a_smaller_discount() -> None:
    """V = 0.4 + 0.6 V = 1."""
    outcome = two_states(0.5)
    assert outcome.converged
    assert outcome.certificate <= 1e-10
    assert outcome.observed_rate == pytest.approx(0.6, rel=1e-3)
    assert (outcome.weights[0, 0], outcome.clipped) == (pytest.approx(0.5, abs=1e-9), 0)


def test_stopping_early_is_said() -> None:
    transition, rewards = process(0)
    problem = Regression(
        design=np.eye(6),
        landing=np.eye(6),
        rewards=rewards,
        expect=lambda values: transition @ values,
        discount=0.9,
        value_range=(0.0, 10.0),
    )
    outcome = fitted_iteration(problem, 1e-10, 3)
    assert (outcome.converged, outcome.n_iterations) == (False, 3)
    exact = optimum(transition, rewards, 0.9).max(axis=1)
    assert np.abs(outcome.weights.max(axis=1) - exact).max() <= outcome.certificate


def test_regression_matrix() -> None:
    """The normal equations with a penalty; of least norm where features repeat each other."""
    rng = np.random.default_rng(0)
    design = rng.normal(size=(20, 4))
    wanted = np.linalg.solve(design.T @ design + 0.3 * np.eye(4), design.T)
    assert regression_matrix(design, 0.3) == pytest.approx(wanted, abs=1e-12)
    twice = np.hstack([design, design])
    assert regression_matrix(twice, 0.0) == pytest.approx(
        np.vstack([regression_matrix(design, 0.0) / 2] * 2), abs=1e-10
    )
