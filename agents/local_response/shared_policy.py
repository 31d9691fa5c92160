r"""Shared conservative policy iteration: a best response of the fleet when ALL agents adopt the same policy.

With G = dPhi/dpi_l (see `lumped_chain`) and the greedy map tau(x, s_g) = argmax_a G(x, s_g, a), the gap
<tau - pi_l, G> bounds the first-order gain from any shared deviation. While it exceeds the tolerance:

    jump     to tau, if that raises Phi
    climb    otherwise to pi_l + alpha (Proj(pi_l + eta G) - pi_l), alpha the first of 1, 1/2, 1/4, .. that raises Phi

Proj is the Euclidean projection of every row onto the simplex, and eta = |s|^2 / <s, y> the Barzilai-Borwein step of
the last change s of pi_l and y of -G (1/max|G| where Phi is not concave along s, and at first). Phi never decreases;
the limit is a first-order stationary point. (Stepping towards tau instead, as conservative policy iteration does,
zigzags where the best policy is stochastic: its gap shrinks as slowly as 1/t.)
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from kofn.agents.global_response.g_learn import TIE_TOLERANCE
from kofn.agents.local_response.fleet_problem import FleetProblem, FleetResponse
from kofn.agents.lumped_chain import LumpedChain
from kofn.envs.arrays import FloatArray, integer, positive
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy

SMALLEST_STEP = 2.0**-20


@dataclass(frozen=True, kw_only=True)
class SharedCpi:
    """Climb Phi of N agents that share one policy to a first-order stationary point.

    Args:
        tolerance: first-order gap at which to stop, as a fraction of r~/(1-gamma).
        max_iterations: accepted steps after which to give up.
    """

    tolerance: float = 1e-5
    max_iterations: int = 200

    uses_kernels: ClassVar[bool] = True
    uses_population: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "tolerance", positive("tolerance", self.tolerance))
        object.__setattr__(self, "max_iterations", integer("max_iterations", self.max_iterations, 1))

    def check(self, game: Game, n_agents: int) -> None:
        """Any size will do."""

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """Climb from `problem.start`."""
        tolerance = self.tolerance * problem.game.value_bound
        last, point = None, _point(problem, problem.chain(problem.start))
        n_iterations = 0
        while point.gap > tolerance and n_iterations < self.max_iterations:
            improved = _improve(problem, point, last)
            if improved is None:
                break
            last, point = point, _point(problem, improved)
            n_iterations += 1
        return FleetResponse(
            policy=point.chain.local_policy,
            value=point.chain.potential,
            deviation="shared",
            n_samples=problem.n_samples,
            n_iterations=n_iterations,
            converged=point.gap <= tolerance,
            certificate=point.gap,
        )


@dataclass(frozen=True, eq=False)
class _Point:
    """A policy on the way up: its chain, G, tau and first-order gap."""

    chain: LumpedChain
    gradient: FloatArray
    target: FloatArray
    gap: float

    @property
    def table(self) -> FloatArray:
        """pi_l."""
        return self.chain.local_policy.table


def _point(problem: FleetProblem, chain: LumpedChain) -> _Point:
    gradient = chain.local_gradient(partial(problem.kernel, problem.n_agents - 1), exact=problem.n_samples == 0)
    # Of all rows, whether `_greedy` changes them or not. Where all returns are equal there is nothing but rounding.
    losses = gradient.max(axis=2, keepdims=True) - gradient
    gap = float(np.vdot(chain.local_policy.table, losses)) if problem.game.value_bound > 0 else 0.0
    return _Point(chain, gradient, _greedy(gradient, chain.local_policy), gap)


def _greedy(gradient: FloatArray, current: LocalPolicy) -> FloatArray:
    """tau, [s_l, s_g, a_l]; rows in which no action matters keep the current policy."""
    best = gradient.max(axis=2, keepdims=True)
    tie = TIE_TOLERANCE * float(np.abs(gradient).max())
    greedy = np.eye(gradient.shape[2])[(gradient >= best - tie).argmax(axis=2)]
    indifferent = best - gradient.min(axis=2, keepdims=True) <= tie
    return np.where(indifferent, current.table, greedy)


def _improve(problem: FleetProblem, point: _Point, last: _Point | None) -> LumpedChain | None:
    """The first chain that raises Phi, jumping and then climbing; None when no step does."""
    threshold = point.chain.potential + problem.resolution
    jumped = problem.chain(LocalPolicy(point.target))
    if jumped.potential > threshold:
        return jumped
    projected = project_rows(point.table + _step_length(point, last) * point.gradient)
    step = 1.0
    while step >= SMALLEST_STEP:
        climbed = problem.chain(LocalPolicy((1 - step) * point.table + step * projected))
        if climbed.potential > threshold:
            return climbed
        step /= 2
    return None


def _step_length(point: _Point, last: _Point | None) -> float:
    """Eta of the module docstring."""
    if last is not None:
        moved = point.table - last.table
        bend = float(np.vdot(moved, last.gradient - point.gradient))
        if bend > 0:
            return float(np.vdot(moved, moved)) / bend
    return 1 / float(np.abs(point.gradient).max())


def project_rows(rows: FloatArray) -> FloatArray:
    """The nearest distributions, [..., outcome]: max(row - c, 0) with c such that it sums to 1."""
    descending = -np.sort(-rows, axis=-1)
    levels = (np.cumsum(descending, axis=-1) - 1) / np.arange(1, rows.shape[-1] + 1)
    last = (descending > levels).sum(axis=-1, keepdims=True) - 1
    projected: FloatArray = np.maximum(rows - np.take_along_axis(levels, last, axis=-1), 0.0)
    return projected
