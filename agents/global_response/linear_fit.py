r"""Least-squares value iteration: the fixed point of a Bellman operator followed by a linear regression.

Given design points i with features phi_i, mean rewards r(i, a), and landing points z that follow them,

    y_{i,a} = r(i, a) + gamma E[ V(z) | i, a ]      theta_a = argmin sum_i (y_{i,a} - phi_i . theta)^2 + ridge |theta|^2
    V(z)    = max_a phi(z) . theta_a, clipped to the range of values of the game

is repeated from V = 0. In the sup norm over landing points the operator is a contraction by gamma kappa,

    kappa = max_z | phi(z)^T (Phi^T Phi + ridge I)^-1 Phi^T |_1,

if that is below 1: then it has one fixed point, and the last change of V times gamma kappa/(1 - gamma kappa) bounds the
distance from it. Indicator features have kappa = 1, averagers no more. Other regressions extrapolate: kappa > 1, and
the repetition may still converge, cycle, or, without the clipping, diverge. It stops when the bound (or, without one,
the change) is within the tolerance, and says what happened.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray

BLOCK_ENTRIES = 2**24
"""Entries of the smoother computed at once for kappa."""

RANK_TOLERANCE = 1e-10
"""Singular values below this part of the largest count as 0."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Regression:
    """What is iterated.

    Attributes:
        design: phi at the design points, float [i, feature].
        landing: phi at the landing points, float [z, feature].
        rewards: mean rewards, float [i, a].
        expect: values [z] -> their expectations, float [i, a].
        discount: gamma.
        value_range: least and largest possible value.
        ridge: penalty, at least 0.
    """

    design: FloatArray
    landing: FloatArray
    rewards: FloatArray
    expect: Callable[[FloatArray], FloatArray]
    discount: float
    value_range: tuple[float, float]
    ridge: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class FitOutcome:
    """Outcome of `fitted_iteration`.

    Attributes:
        weights: theta, float [feature, a].
        n_iterations: regressions.
        converged: whether the bound, or without one the change, met the tolerance.
        expansion: kappa.
        certificate: bound on the distance of V from the fixed point; inf where gamma kappa >= 1.
        last_change: of V in the last iteration.
        observed_rate: last change as a part of the one before.
        residual: root mean square of y - phi . theta at the design points.
        clipped: share of landing points at which V is clipped.
    """

    weights: FloatArray
    n_iterations: int
    converged: bool
    expansion: float
    certificate: float
    last_change: float
    observed_rate: float
    residual: float
    clipped: float


def fitted_iteration(problem: Regression, tolerance: float, max_iterations: int, *, certify: bool = True) -> FitOutcome:
    """Iterate from V = 0 until the tolerance is met or `max_iterations` regressions are made.

    Finding kappa costs as much as dozens of regressions; without `certify` it counts as infinite.
    """
    smoother = regression_matrix(problem.design, problem.ridge)
    expansion = _expansion(problem.landing, smoother) if certify else np.inf
    shrinks = problem.discount * expansion
    factor = shrinks / (1 - shrinks) if shrinks < 1 else np.inf
    values, change = np.clip(np.zeros(len(problem.landing)), *problem.value_range), np.inf
    n_iterations = 0
    while n_iterations < max_iterations:
        n_iterations += 1
        targets = problem.rewards + problem.discount * problem.expect(values)
        weights = smoother @ targets
        raw = (problem.landing @ weights).max(axis=1)
        following, before = np.clip(raw, *problem.value_range), change
        change, values = float(np.abs(following - values).max()), following
        if change * (factor if np.isfinite(factor) else 1.0) <= tolerance:
            break
    bound = change * factor if np.isfinite(factor) else np.inf
    return FitOutcome(
        weights=weights,
        n_iterations=n_iterations,
        converged=bool((bound if np.isfinite(bound) else change) <= tolerance),
        expansion=expansion,
        certificate=float(bound),
        last_change=change,
        observed_rate=change / before if before > 0 else 0.0,
        residual=float(np.sqrt(((targets - problem.design @ weights) ** 2).mean())),
        clipped=float((raw != values).mean()),
    )


def regression_matrix(design: FloatArray, ridge: float) -> FloatArray:
    """(Phi^T Phi + ridge I)^-1 Phi^T, float [feature, i]; of least norm where features are dependent."""
    left, scales, right = np.linalg.svd(design, full_matrices=False)
    kept = scales > RANK_TOLERANCE * scales[0]
    factors = np.zeros_like(scales)
    factors[kept] = scales[kept] / (scales[kept] ** 2 + ridge)
    return np.asarray((right.T * factors) @ left.T)


def _expansion(landing: FloatArray, smoother: FloatArray) -> float:
    """kappa, in blocks."""
    height = max(1, BLOCK_ENTRIES // smoother.shape[1])
    blocks = (landing[first : first + height] @ smoother for first in range(0, len(landing), height))
    return max(float(np.abs(block).sum(axis=1).max()) for block in blocks)
