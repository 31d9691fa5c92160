r"""Shared conservative policy iteration: a best response of the fleet when ALL agents adopt the same policy.

With G = dPhi/dpi_l (see `lumped_chain`) and the greedy map tau(x, s_g) = argmax_a G(x, s_g, a), the gap
<tau - pi_l, G> bounds the first-order gain from any shared deviation. While it exceeds the tolerance, step to
(1-alpha) pi_l + alpha tau with the first alpha in 1, 1/2, 1/4, .. that raises Phi. Phi never decreases; the limit is a
first-order stationary point.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kofn.agents.g_learn import TIE_TOLERANCE
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.operators import Kernel
from kofn.envs.arrays import FloatArray
from kofn.envs.policies import LocalPolicy

SMALLEST_STEP = 2.0**-20

SOLVER_ERROR = 1e-11
"""A rise of Phi below this fraction of r~/(1-gamma) may be rounding of the linear solves."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CpiOutcome:
    """Outcome of `shared_cpi`.

    Attributes:
        chain: the chain at the final local policy.
        gap: first-order gap <tau - pi_l, G> there.
        n_iterations: accepted steps.
        converged: whether the gap met the tolerance.
    """

    chain: LumpedChain
    gap: float
    n_iterations: int
    converged: bool


def shared_cpi(
    build_chain: Callable[[LocalPolicy], LumpedChain],
    kernels_of_others: Callable[[LocalPolicy], Sequence[Kernel]],
    start: LocalPolicy,
    *,
    tolerance: float,
    max_iterations: int,
) -> CpiOutcome:
    """Climb Phi from `start` until the first-order gap is within `tolerance`.

    Args:
        build_chain: the chain of a local policy.
        kernels_of_others: kernels of N-1 agents under a local policy.
        start: initial pi_l.
        tolerance: largest gap accepted, in units of Phi.
        max_iterations: accepted steps after which to give up.
    """
    chain = build_chain(start)
    iteration = 0
    while True:
        gradient = chain.local_gradient(kernels_of_others(chain.local_policy))
        target = _greedy(gradient, chain.local_policy)
        gap = float(np.vdot(target - chain.local_policy.table, gradient))
        finished = gap <= tolerance or iteration == max_iterations
        improved = None if finished else _line_search(build_chain, chain, target)
        if improved is None:
            return CpiOutcome(chain=chain, gap=gap, n_iterations=iteration, converged=gap <= tolerance)
        chain = improved
        iteration += 1


def _greedy(gradient: FloatArray, current: LocalPolicy) -> FloatArray:
    """tau, [s_l, s_g, a_l]; rows in which no action matters keep the current policy."""
    best = gradient.max(axis=2, keepdims=True)
    tie = TIE_TOLERANCE * max(1.0, float(np.abs(gradient).max()))
    greedy = np.eye(gradient.shape[2])[(gradient >= best - tie).argmax(axis=2)]
    indifferent = best - gradient.min(axis=2, keepdims=True) <= tie
    return np.where(indifferent, current.table, greedy)


def _line_search(
    build_chain: Callable[[LocalPolicy], LumpedChain], chain: LumpedChain, target: FloatArray
) -> LumpedChain | None:
    """The first chain on the way to `target` that raises Phi; None when no step does."""
    table = chain.local_policy.table
    rounding = SOLVER_ERROR * chain.game.value_bound
    step = 1.0
    while step >= SMALLEST_STEP:
        candidate = build_chain(LocalPolicy((1 - step) * table + step * target))
        if candidate.potential > chain.potential + rounding:
            return candidate
        step /= 2
    return None
