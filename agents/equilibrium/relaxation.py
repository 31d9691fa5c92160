r"""An upper bound on Phi that costs nothing: every agent gets a global agent of its own.

The return is an average over agents, sum_t gamma^t r = (1/n) sum_i sum_t gamma^t [r_g + r_l(s_i, s_g, a_i)]. Whatever
the policies, the i-th term is at most what agent i and the global agent could reach together if nobody else mattered:
the optimal value W of the Markov decision process with states (s_g, x), actions (a_g, a) and rewards
r_g(s_g, a_g) + r_l(x, s_g, a). Hence, for any n, any k and any observation,

    Phi(pi_g, pi_l) <= E_{s_g, x ~ rho} W(s_g, x).

With the fleet's policy fixed the same holds with its law P~ and rewards r~ in place of the choice of a. The bound is
loose where agents pull the global agent in different directions, and tight for one agent (n = k = 1).
"""

import numpy as np

from kofn.agents.operators import induced_reward, induced_transition
from kofn.agents.solvers import FixedPoint, value_iteration
from kofn.envs.arrays import FloatArray
from kofn.envs.game import TabularGame
from kofn.envs.policies import LocalPolicy
from kofn.envs.population import enumerate_histograms

TOLERANCE = 1e-9
"""Largest certificate accepted, as a fraction of r~/(1-gamma)."""


def relaxed_potential(game: TabularGame, local_policy: LocalPolicy | None = None) -> float:
    """Upper bound on Phi over all pairs of policies, or over all global policies against a fixed `local_policy`."""
    found = relaxed_values(game, local_policy)
    start = game.initial_global @ found.values @ agent_start(game)
    return float(start) + found.certificate


def relaxed_values(game: TabularGame, local_policy: LocalPolicy | None = None) -> FixedPoint:
    """W, float [s_g, s_l], of one agent with a global agent of its own."""
    if local_policy is None:
        transition, rewards = game.local_transition, game.local_reward
    else:
        local_policy.check_fits(game)
        transition = induced_transition(game, local_policy).swapaxes(0, 1)[:, :, None]
        rewards = induced_reward(game, local_policy).T[:, :, None]

    def operator(values: FloatArray) -> FloatArray:
        # max over a_g and a of r_g + r_l + gamma E W(s_g', y), the two moves being independent.
        ahead = np.einsum("gup,xgay,py->gxau", game.global_transition, transition, values, optimize=True)
        paid = game.global_reward[:, None, None, :] + rewards.swapaxes(0, 1)[..., None]
        return np.asarray((paid + game.discount * ahead).max(axis=(2, 3)))

    start = np.zeros((game.n_global_states, game.n_local_states))
    return value_iteration(operator, start, game.discount, tolerance=TOLERANCE * max(game.value_bound, 1.0))


def agent_start(game: TabularGame) -> FloatArray:
    """Law of one agent's first state, float [s_l]."""
    states = enumerate_histograms(1, game.n_local_states).argmax(axis=1)
    law = np.zeros(game.n_local_states)
    law[states] = game.initial_local.histogram_law(1)
    return law
