r"""The replica chain of L-LEARN: N agents move one after another (paper, Algorithm 21).

## Description
The fleet's problem under a fixed global policy pi_g, with one local action per step. N replicas stand for the local
agents; in a macro step each acts once, in a fixed order, and the global state changes when the last one has moved. A
policy pi_l(a | s_h, s_g) that looks only at the acting replica and the global state has the same value here as in the
game of N agents that all follow pi_l, deterministic or not.

With N = k the chain is the surrogate game of the k agents that pi_g sees. With N > k, pi_g sees k of the replicas drawn
afresh each macro step; N = n is the real game.

## Spaces
Observation: Discrete, the number of the state x = (h; s_1..s_N; s_g; p), h = 0..N-1 the stage, at which replica h+1
acts, and p the pending next global state, none iff h = 0. There are |S_g| |S_l|^N (1 + (N-1)|S_g|) of them.
`info["observation"]` is o(x) = (s_h, s_g), all that a policy of the game may use, s_h the state of the replica to act.
Action: Discrete, its a_l.

## Dynamics
    h = 0      a_g ~ pi_g(. | s_g, F), F the histogram of k replicas,  p ~ P_g(. | s_g, a_g)
    every h    s_h' ~ P_l(. | s_h, s_g, a), the others stay where they are
    h = N-1    s_g <- p, p <- none, h <- 0, otherwise h <- h+1

p is drawn before anyone moves and every replica uses the OLD s_g and its own state of the macro step's beginning.
With `deciding_states` each step is split in two: choose a (no reward), then move (any action does).

## Rewards
r_l(s_h, s_g, a)/N, and at h = 0 also the mean of r_g(s_g, a_g) over a_g. `discounting` says where gamma goes:

| discounting | `info["discount"]` | factor of the reward |
|---|---|---|
| "commit" | gamma at the commit, otherwise 1 | 1 |
| "stage" | beta = gamma^(1/N), always | beta^-h |
| "horizon" | 1 | gamma^floor(tau/N) at step tau |

The return, rewards times the discounts of all steps before, is the same in all three. A learner that takes one constant
discount needs "stage" or "horizon", and `discount`.

## Starting State
h = 0; s_g and the replicas from the game's start law.

## Episode End
Truncation after `max_cycles` macro steps, N steps each (2N with `deciding_states`). Nothing terminates.

## Arguments
Those of `ReplicaChain`.

## References
"Learning Approximate Nash Equilibria in Cooperative Multi-Agent Reinforcement Learning via Mean-Field Subsampling"
(arXiv 2603.03759), Algorithms 17 and 21.

## Version History
* v0: first release.

>>> chain = ReplicaChain("warehouse_dispatch", global_policy="keep", n_replicas=2, discounting="stage")
>>> chain.n_states, chain.n_stages, round(chain.discount, 4)
(750, 2, 0.9747)
>>> observation, info = chain.reset(seed=0)
>>> observation in chain.observation_space, info["stage"]
(True, 0)
>>> round(chain.potential("uniform"), 4)
82.6988
"""

import numpy.typing as npt

from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.policies import GlobalPolicy
from kofn.wrappers.chain_values import Placement
from kofn.wrappers.chained import ChainedEnv, chain_sizes
from kofn.wrappers.crowds import Replicas


class ReplicaChain(ChainedEnv):
    """The local side's problem as a chain of N replicas (see the module docstring for the full specification).

    Args:
        game: a TabularGame, a GenerativeGame (played, without tables) or the name of a registered game.
        global_policy: pi_g: GlobalPolicy, table [s_g, histogram(, a_g)], or "uniform" or "keep" (which heed nobody, as
            with k = 1).
        n_replicas: N >= k; omitted: k.
        discounting: "commit", "stage" or "horizon".
        max_cycles: macro steps per episode; omitted: the registered game's default, otherwise 100.
        deciding_states: whether choosing and moving are steps of their own.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, a policy of another game, or more than
            2^56 states.
    """

    def __init__(
        self,
        game: TabularGame | GenerativeGame | str,
        *,
        global_policy: GlobalPolicy | str | npt.ArrayLike,
        n_replicas: int | None = None,
        discounting: Placement = "commit",
        max_cycles: int | None = None,
        deciding_states: bool = False,
    ) -> None:
        sizes = chain_sizes(game, global_policy, "n_replicas", n_replicas, max_cycles)
        crowd = Replicas(sizes.n_agents, sizes.game.n_local_states)
        super().__init__(sizes, crowd, discounting, deciding_states=deciding_states)
