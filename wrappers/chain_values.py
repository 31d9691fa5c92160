r"""Discounting a chain of L micro-steps per macro step, and the values of its policies.

The macro step t occupies the micro-steps tau = tL .. tL+L-1, so a reward paid at tau must weigh gamma^floor(tau/L).
Three placements give every reward exactly that weight (h = tau mod L):

| placement | discount of a step | reward paid |
|---|---|---|
| "commit" | gamma at h = L-1, otherwise 1 | r |
| "stage" | beta = gamma^(1/L) | r beta^-h |
| "horizon" | 1 | r gamma^floor(tau/L) |

With the first two the value of a policy solves a linear system. Eliminating all stages but the first leaves the macro
system V_0 = b + gamma M V_0, in which M is applied by one sweep through the stages. GMRES solves it to a relative
residual of 1e-8, and once more for the residual that is left, which takes the values to rounding. With the third it is
a finite sum, by recursion from the end of the episode.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, gmres

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of

Placement = Literal["commit", "stage", "horizon"]
PLACEMENTS = ("commit", "stage", "horizon")

RELATIVE_TOLERANCE = 1e-8
"""Residual of each of the two solves relative to its right-hand side."""


@dataclass(frozen=True)
class Discounting:
    """Where the discount is placed.

    Args:
        placement: "commit", "stage" or "horizon" (see the module docstring).
        discount: gamma, of a macro step.
        n_stages: L, micro-steps per macro step.

    Raises:
        ValueError: an unknown placement.
    """

    placement: Placement
    discount: float
    n_stages: int

    def __post_init__(self) -> None:
        """Validate."""
        one_of("discounting", self.placement, PLACEMENTS)

    def step_discount(self, stage: IntArray) -> FloatArray:
        """Discount between a step at stage h and the next step, float [...]."""
        if self.placement == "commit":
            return np.where(stage == self.n_stages - 1, self.discount, 1.0)
        each = self.discount ** (1 / self.n_stages) if self.placement == "stage" else 1.0
        return np.full(stage.shape, each)

    def reward_scale(self, stage: IntArray) -> FloatArray:
        """beta^-h under "stage", otherwise 1, float [...]: the part of the reward's factor that depends on h alone."""
        power = -stage / self.n_stages if self.placement == "stage" else np.zeros(stage.shape)
        return np.asarray(self.discount**power)

    def clock_scale(self, step: int) -> float:
        """gamma^floor(tau/L) under "horizon", otherwise 1: the part that depends on the clock."""
        return float(self.discount ** (step // self.n_stages)) if self.placement == "horizon" else 1.0

    def reward_weights(self, horizon: int) -> FloatArray:
        """gamma^floor(tau/L), float [tau]: what the reward of micro-step tau counts in the return, in any placement."""
        return np.asarray(self.discount ** (np.arange(integer("horizon", horizon, 1)) // self.n_stages))

    def values(
        self, transition: sparse.csr_array, rewards: FloatArray, stages: IntArray, horizon: int | None = None
    ) -> FloatArray:
        """Value of every state, float [state]: infinite under "commit" and "stage", of `horizon` steps under "horizon".

        Args:
            transition: under the policy, [state, next state].
            rewards: mean and undiscounted, float [state].
            stages: h, int64 [state].
            horizon: micro-steps of an episode that begins in the state; "horizon" only.
        """
        if self.placement != "horizon":
            paid, kept = self.reward_scale(stages) * rewards, self.step_discount(stages)
            return _solve(sparse.diags_array(kept) @ transition, paid, stages)
        value = np.zeros(len(rewards))
        for weight in self.reward_weights(integer("horizon", horizon, 1))[::-1]:
            value = weight * rewards + transition @ value
        return value


def _solve(discounted: sparse.csr_array, rewards: FloatArray, stages: IntArray) -> FloatArray:
    """Solution V of V = rewards + discounted @ V, in which stage h leads to stage h+1 and the last to the first."""
    members = [np.flatnonzero(stages == stage) for stage in range(int(stages.max()) + 1)]
    first = members[0]
    blocks = [(rows, discounted[rows]) for rows in reversed(members)]

    def sweep(ahead: FloatArray, paid: FloatArray) -> FloatArray:
        """Values of all states, those of the first stage one macro step after `ahead` [state of the first stage]."""
        value = np.zeros(len(rewards))
        value[first] = ahead
        for rows, block in blocks:
            value[rows] = paid[rows] + block @ value
        return value

    nothing = np.zeros(len(rewards))
    system = LinearOperator(
        (len(first), len(first)), matvec=lambda flat: flat - sweep(flat, nothing)[first], dtype=np.float64
    )
    solution = np.zeros(len(first))
    for _ in range(2):
        residual = sweep(solution, rewards)[first] - solution
        correction, failed = gmres(
            system, residual, rtol=RELATIVE_TOLERANCE, atol=0.0, restart=min(len(first), 60), maxiter=100
        )
        if failed:
            raise FloatingPointError("evaluation of the chain did not converge; are its arrays finite and stochastic?")
        solution = solution + correction
    return sweep(solution, rewards)
