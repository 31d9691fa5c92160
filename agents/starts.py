r"""Where searches for an equilibrium begin: policies of both players that need no partner's, for any game of arrays.

A game of this kind has many equilibria, and a climb ends in the one above which it began. Starts of the fleet:

    chase      pi_l(x, s_g) maximises one agent's own discounted reward as if s_g never moved ("go where s_g is")
    focal z    pi_l(x, s_g) = chase(x, z), whatever s_g is: the fleet has one convention, which the global agent serves

and of the global agent, besides "keep" and the constants, hysteresis on values Q(s_g, F, a): keep s_g unless an action
promises more than a margin more than the one that keeps it. Margin 0 is the greedy policy.
"""

import numpy as np

from kofn.agents.solvers import value_iteration
from kofn.envs.arrays import FloatArray
from kofn.envs.game import TabularGame
from kofn.envs.policies import GlobalPolicy, LocalPolicy

MARGINS = (0.0, 0.005, 0.01, 0.02)
"""Margins of the hysteresis policies, as fractions of r~/(1-gamma)."""

TIE = 1e-9
"""Actions whose values differ by less than this fraction of r~/(1-gamma) are equally good; the first is taken."""


def chase(game: TabularGame) -> LocalPolicy:
    """The fleet that maximises each agent's own reward as if the global state never moved."""
    moves = game.local_transition

    def operator(values: FloatArray) -> FloatArray:
        ahead = np.einsum("xgay,yg->xga", moves, values.max(axis=2))
        return np.asarray(game.local_reward + game.discount * ahead)

    tolerance = TIE * game.value_bound if game.value_bound > 0 else TIE
    values = value_iteration(operator, np.zeros_like(game.local_reward), game.discount, tolerance=tolerance).values
    best = values >= values.max(axis=2, keepdims=True) - 4 * tolerance
    return LocalPolicy.from_actions(best.argmax(axis=2), game.n_local_actions)


def focal(game: TabularGame, s_g: int) -> LocalPolicy:
    """The fleet that acts as `chase` does at global state `s_g`, wherever the global state is."""
    table = chase(game).table[:, s_g]
    return LocalPolicy(np.repeat(table[:, None], game.n_global_states, axis=1))


def heading_to(game: TabularGame, k: int, s_g: int) -> GlobalPolicy:
    """The constant policy whose action is most likely to lead to `s_g`, averaged over where it starts."""
    return GlobalPolicy.constant(game, k, int(game.global_transition[:, :, s_g].mean(axis=0).argmax()))


def hysteresis(game: TabularGame, q_values: FloatArray, k: int, margin: float) -> GlobalPolicy:
    """Keep s_g unless the best action promises more than `margin` more, by `q_values` [s_g, histogram, a_g]."""
    keep = GlobalPolicy.named("keep", game, k).table
    lead = q_values.max(axis=2) - np.take_along_axis(q_values, keep[..., None].astype(np.int64), axis=2)[..., 0]
    table = np.where(lead > margin + TIE * game.value_bound, q_values.argmax(axis=2), keep)
    return GlobalPolicy(table=table, k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions)
