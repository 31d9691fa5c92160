r"""Climbing Phi over the memoryless policies of a global agent that sees k of n agents, the fleet's policy held fixed.

The best policy of this class solves a partially observed problem (NP-hard in general); the climb finds a policy that no
change of a single entry improves. With the gradient A(s_g, F, a) = dPhi/dpi_g(a | s_g, F) of the lumped chain,

    propose     in every entry the action of largest A; rank the entries by what they promise, A(best) - <pi_g, A>
    accept      switching all promising entries, or the first half, quarter, .. of the ranking, or the first: whichever
                raises Phi first (switching all at once need not, since each changes how often the others are met)
    finish      when none does, try every single switch, and go on from the first that raises Phi (in a small chain only
                those whose exact gain says so, `single_switches`)

Phi never decreases. Stops at a policy without a single improving switch (`converged`), or at `max_steps`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kofn.agents.global_response.single_switches import MAX_STATES, switch_gains
from kofn.agents.lumped_chain import LumpedChain
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.policies import GlobalPolicy

BuildChain = Callable[[GlobalPolicy], LumpedChain]

RESOLUTION = 1e-10
"""A rise of Phi below this fraction of r~/(1-gamma) may be rounding of the linear solves."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ClimbOutcome:
    """Outcome of `climb_global`.

    Attributes:
        policy: the policy reached.
        potential: its Phi.
        n_iterations: accepted steps.
        converged: whether no switch of a single entry raises Phi.
    """

    policy: GlobalPolicy
    potential: float
    n_iterations: int
    converged: bool


@checked_types
def climb_global(build_chain: BuildChain, start: GlobalPolicy, *, max_steps: int = 1000) -> ClimbOutcome:
    """Climb Phi from `start`.

    Args:
        build_chain: the chain of a global policy, the fleet's policy fixed.
        start: initial pi_g.
        max_steps: accepted steps after which to give up.
    """
    chain = build_chain(start)
    for step in range(integer("max_steps", max_steps, 0)):
        improved = _first_better(chain, build_chain, _switches(chain))
        if improved is None:
            return ClimbOutcome(
                policy=chain.global_policy, potential=chain.potential, n_iterations=step, converged=True
            )
        chain = improved
    return ClimbOutcome(policy=chain.global_policy, potential=chain.potential, n_iterations=max_steps, converged=False)


def _first_better(chain: LumpedChain, build_chain: BuildChain, candidates: Iterator[FloatArray]) -> LumpedChain | None:
    """The chain of the first candidate table that raises Phi; None when none does."""
    threshold = chain.potential + RESOLUTION * chain.game.value_bound
    for table in candidates:
        candidate = build_chain(_policy_like(chain.global_policy, table))
        if candidate.potential > threshold:
            return candidate
    return None


def _policy_like(policy: GlobalPolicy, table: FloatArray) -> GlobalPolicy:
    return GlobalPolicy(table=table, k=policy.k, n_local_states=policy.n_local_states, n_actions=policy.n_actions)


def _switches(chain: LumpedChain) -> Iterator[FloatArray]:
    """Tables to try, in order: shrinking sets of promising entries, then every single switch."""
    table = chain.global_policy.probabilities()
    gradient = chain.global_gradient()
    best = gradient.argmax(axis=2)
    promise = (gradient.max(axis=2) - (table * gradient).sum(axis=2)).ravel()
    ranking = np.argsort(-promise, kind="stable")
    size = int((promise > 0).sum())
    while size > 0:
        yield _switched(table, ranking[:size], best.ravel()[ranking[:size]])
        size //= 2
    promising = _promising(chain)
    for entry in ranking:
        for action in np.flatnonzero(promising[entry]):
            yield _switched(table, np.array([entry]), np.array([action]))


def _promising(chain: LumpedChain) -> npt.NDArray[np.bool_]:
    """Which single switches may raise Phi, bool [entry, a_g]: all that change anything where the chain is too large."""
    table, least = chain.global_policy.probabilities(), RESOLUTION / 2 * chain.game.value_bound
    may = table < 1 if chain.start.size > MAX_STATES else switch_gains(chain) > least
    return np.asarray(may.reshape(-1, table.shape[2]))


def _switched(table: FloatArray, entries: IntArray, actions: IntArray) -> FloatArray:
    """The table [s_g, F, a_g] with flat entries (s_g, F) playing `actions`."""
    rows = table.reshape(-1, table.shape[2]).copy()
    rows[entries] = np.eye(table.shape[2])[actions]
    return rows.reshape(table.shape)
