r"""An upper bound on Phi that costs nothing: every agent gets a global agent of its own.

The return is an average over agents, sum_t gamma^t r = (1/n) sum_i sum_t gamma^t [r_g + r_l(s_i, s_g, a_i)]. Whatever
the policies, the i-th term is at most what agent i and the global agent could reach together if nobody else mattered:
the optimal value W of the Markov decision process with states (s_g, x), actions (a_g, a) and rewards
r_g(s_g, a_g) + r_l(x, s_g, a). Hence, for any n, any k and any observation,

    Phi(pi_g, pi_l) <= E_{s_g, x ~ rho} W(s_g, x).

With the fleet's policy fixed the same holds with its law P~ and rewards r~ in place of the choice of a. The bound is
loose where agents pull the global agent in different directions, and tight for one agent (n = k = 1).

Of a game that can only be sampled the equation is solved on one empirical game and confirmed on another. If T is the
operator of the true game, T V <= V + c everywhere implies W <= V + c/(1-gamma), for any V. Take for V the solution on
m draws per row, and for T V the means over m fresh ones: averages over pairs of independent draws within an interval of
width R = spread of r_g + spread of r_l + gamma spread of V, whose errors in all N = |S_g||A_g||S_l||A_l| entries are at
most R sqrt(ln(N/delta) / (2m)) with probability 1 - delta (Hoeffding, for two-sample averages too).
"""

from collections.abc import Callable

import numpy as np

from kofn.agents.operators import induced_reward, induced_transition
from kofn.agents.solvers import FixedPoint, value_iteration
from kofn.envs.arrays import FloatArray
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

TOLERANCE = 1e-9
"""Largest certificate accepted, as a fraction of r~/(1-gamma)."""


def relaxed_potential(game: TabularGame, local_policy: LocalPolicy | None = None) -> float:
    """Upper bound on Phi over all pairs of policies, or over all global policies against a fixed `local_policy`."""
    found = relaxed_values(game, local_policy)
    start = game.initial_global @ found.values @ agent_start(game)
    return float(start) + found.certificate


def sampled_relaxed_potential(
    oracle: GenerativeGame,
    local_policy: LocalPolicy | None = None,
    *,
    n_samples: int,
    delta: float,
    seed: Seed = None,
) -> float:
    """`relaxed_potential` of a game that can only be sampled: above Phi with probability 1 - delta.

    Args:
        oracle: the game.
        local_policy: the fleet's policy, if it is fixed.
        n_samples: m, draws per row, taken twice.
        delta: probability in (0, 1) that it fails.
        seed: source of the draws.

    Raises:
        TypeError, ValueError: no GenerativeGame, an argument out of range, or a policy that does not fit.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie strictly between 0 and 1; got {delta}")
    root = seed_sequence(seed)
    guess = relaxed_values(sampled_game(oracle, n_samples, child(root, 0)), local_policy).values
    backed_up = _operator(sampled_game(oracle, n_samples, child(root, 1)), local_policy)(guess)
    spread = np.ptp(oracle.global_reward_bounds) + np.ptp(oracle.local_reward_bounds) + oracle.discount * np.ptp(guess)
    n_entries = guess.size * oracle.n_global_actions * oracle.n_local_actions
    excess = float((backed_up - guess).max() + spread * np.sqrt(np.log(n_entries / delta) / (2 * n_samples)))
    return float(oracle.initial_global @ guess @ agent_start(oracle)) + excess / (1 - oracle.discount)


def relaxed_values(game: TabularGame, local_policy: LocalPolicy | None = None) -> FixedPoint:
    """W, float [s_g, s_l], of one agent with a global agent of its own."""
    start = np.zeros((game.n_global_states, game.n_local_states))
    tolerance = TOLERANCE * max(game.value_bound, 1.0)
    return value_iteration(_operator(game, local_policy), start, game.discount, tolerance=tolerance)


def _operator(game: TabularGame, local_policy: LocalPolicy | None) -> Callable[[FloatArray], FloatArray]:
    """One step of value iteration on W [s_g, s_l]."""
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

    return operator


def agent_start(game: Game) -> FloatArray:
    """Law of one agent's first state, float [s_l]."""
    states = enumerate_histograms(1, game.n_local_states).argmax(axis=1)
    law = np.zeros(game.n_local_states)
    law[states] = game.initial_local.histogram_law(1)
    return law
