r"""Exact planning over a finite horizon, in a decision process that is known.

A policy is nonstationary, an action pi_t(s) for every step t = 0..H-1, and the reward of step t is w_t r(s, a). With
V_H = 0 and t = H-1, .., 0 (backward induction: a fixed number of steps, nothing to converge)

    Q_t(s, a) = w_t r(s, a) + sum_s' p(s' | s, a) V_{t+1}(s')        V_t(s) = max_a Q_t(s, a), or Q_t(s, pi_t(s))

The weights stand for a discount: w_t = gamma^floor(t/N) where N steps of a chain make up one step of the game.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kofn.agents.global_response.g_learn import TIE_TOLERANCE
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, as_array, first_index, float_array, integer
from kofn.wrappers.finite_mdp import FiniteMDP


@dataclass(frozen=True, eq=False, kw_only=True)
class NonstationaryPlan:
    """A policy for H steps and its values.

    Attributes:
        policy: actions, int [t, state].
        values: reward still to be collected, float [t, state], t = 0..H; the last row is 0.
    """

    policy: IntArray
    values: FloatArray


@checked_types
def backward_induction(mdp: FiniteMDP, horizon: int, reward_weights: npt.ArrayLike | None = None) -> NonstationaryPlan:
    """An optimal policy over `horizon` steps: in every state the lowest action within 1e-9 of the best.

    Args:
        mdp: the decision process.
        horizon: H.
        reward_weights: w, float [t]; omitted: ones.

    Raises:
        TypeError, ValueError: an argument out of range.
    """
    weights = horizon_weights(horizon, reward_weights)
    values = np.zeros((len(weights) + 1, mdp.n_states))
    policy = np.empty((len(weights), mdp.n_states), dtype=np.int64)
    for t in reversed(range(len(weights))):
        q = weights[t] * mdp.rewards + mdp.expect(values[t + 1])
        values[t] = q.max(axis=1)
        policy[t] = (q >= values[t, :, None] - TIE_TOLERANCE).argmax(axis=1)
    return NonstationaryPlan(policy=policy, values=values)


@checked_types
def evaluate_nonstationary(
    mdp: FiniteMDP, policy: npt.ArrayLike, reward_weights: npt.ArrayLike | None = None
) -> FloatArray:
    """Values of a policy, float [t, state], t = 0..H.

    Args:
        mdp: the decision process.
        policy: actions, int [t, state]; H is its length.
        reward_weights: w, float [t]; omitted: ones.

    Raises:
        TypeError, ValueError: a policy of another shape or with an action the process does not have, or bad weights.
    """
    actions = _policy_array(policy, mdp)
    weights = horizon_weights(len(actions), reward_weights)
    state = np.arange(mdp.n_states)
    values = np.zeros((len(weights) + 1, mdp.n_states))
    for t in reversed(range(len(weights))):
        chosen = state, actions[t]
        ahead = values[t + 1][mdp.successors[chosen]]
        values[t] = weights[t] * mdp.rewards[chosen] + (mdp.probabilities[chosen] * ahead).sum(axis=1)
    return values


def horizon_weights(horizon: int, reward_weights: npt.ArrayLike | None) -> FloatArray:
    """w, float [t], after checking it; ones when omitted.

    Raises:
        TypeError, ValueError: not one finite nonnegative number per step.
    """
    horizon = integer("horizon", horizon, 1)
    if reward_weights is None:
        return np.ones(horizon)
    weights = float_array("reward_weights", reward_weights, (horizon,))
    if (weights < 0).any():
        index = first_index(weights < 0)
        raise ValueError(f"reward_weights must be nonnegative; entry {list(index)} is {weights[index]}")
    return weights


def _policy_array(policy: npt.ArrayLike, mdp: FiniteMDP) -> IntArray:
    actions = np.array(as_array("policy", policy))
    if not np.issubdtype(actions.dtype, np.integer):
        raise TypeError(f"policy must be integers; got dtype {actions.dtype}")
    if actions.ndim != 2 or not len(actions) or actions.shape[1] != mdp.n_states:
        raise ValueError(f"policy must have shape [t, {mdp.n_states}]; got {list(actions.shape)}")
    outside = (actions < 0) | (actions >= mdp.n_actions)
    if outside.any():
        index = first_index(outside)
        raise ValueError(f"policy must lie in 0..{mdp.n_actions - 1}; entry {list(index)} is {actions[index]}")
    return actions.astype(np.int64)
