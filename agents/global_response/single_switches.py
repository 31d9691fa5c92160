r"""What every switch of a single entry of a global policy gains, exactly and all at once, in a small lumped chain.

Where the agents seen have histogram F, the policy is to play another action a; the k agents seen are such with chance
O(F | c) where all have histogram c. With Q of the lumped chain, d its occupancy, and e_a - pi(. | s_g, F) =: delta,

    A(c) = O(F | c) <delta, Q(s_g, c, .)>     what the switch gains at one visit to c,
    B(c, c') = gamma O(F | c) sum_{s_g'} <delta, P_g(s_g' | s_g, .)> Z(c, s_g', c')     and what visits to c' it adds,
    Phi' - Phi = d(s_g, .)^T (I - B)^{-1} A,      over the c with O(F | c) > 0,

Z(c, s_g', c') the discounted visits to (s_g, c') of the chain that begins in s_g' and in what histogram follows c: the
performance difference lemma, with the new occupancy by Woodbury's identity. One inverse serves all switches.
"""

import numpy as np

from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.observation_channel import lift
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms

MAX_STATES = 2000
"""States of the chain up to which its inverse is formed (32 MB; a second)."""


def switch_gains(chain: LumpedChain) -> FloatArray:
    """Phi' - Phi of playing a_g, and nothing else, in one entry (s_g, F) of the policy, float [s_g, F, a_g]."""
    policy, game = chain.global_policy, chain.game
    seen = np.eye(n_histograms(policy.k, game.n_local_states))
    observed = lift(seen, policy.k, chain.n_agents, game.n_local_states, chain.channel)
    changes = np.eye(policy.n_actions) - policy.probabilities()[:, :, None]  # [s_g, F, a, a_g]
    visits, action_values = _visits(chain), chain.action_values
    gains = np.zeros(changes.shape[:3])
    for s_g, rank in np.ndindex(gains.shape[:2]):
        met = np.flatnonzero(observed[:, rank])
        chances, delta = observed[met, rank], changes[s_g, rank]
        gained = chances * (delta @ action_values[s_g, met].T)
        leads = game.discount * delta @ game.global_transition[s_g]
        again = chances[:, None] * np.tensordot(leads, visits[s_g][:, met[:, None], met], 1)
        totals = np.linalg.solve(np.eye(len(met)) - again, gained[..., None])
        gains[s_g, rank] = totals[..., 0] @ chain.occupancy[s_g, met]
    return gains


def _visits(chain: LumpedChain) -> FloatArray:
    """Z, float [s_g, s_g', c, c']."""
    inverse = np.linalg.inv(chain.dense_system).reshape(chain.start.shape * 2)
    return np.stack([kernel @ inverse[:, :, s_g] for s_g, kernel in enumerate(chain.dense_kernels)])
