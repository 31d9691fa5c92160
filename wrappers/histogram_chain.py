r"""The histogram chain of L-LEARN: agents move one local state after another, counted (paper, Algorithm 28).

## Description
The fleet's problem under a fixed global policy pi_g, with one local action per step. The N agents are counts c over
local states ("bins"); in a macro step the bins move one after another, all agents of a bin by the same action, and the
global state changes after the last bin.

* `kind="aggregate"`: all N agents are counts. The value of a DETERMINISTIC policy pi_l(s_b, s_g) is that of the game of
  N agents that follow it.
* `kind="tagged"`, the paper's: one agent is followed by itself and paid for, c counts the other N-1. The value V_tag is
  that of the game after averaging over who is followed: sum_x (c_x/N) V_tag(s_g, x, c - e_x) = V(s_g, c).

Agents of a bin that draw their own actions from a STOCHASTIC policy do not move alike, so both chains are wrong for
such a policy and refuse to evaluate it. With the argument `local_policy` (or `induced(policy)`) each agent follows that
policy on its own: bins move by the mixture kernel P~ = sum_a pi_l(a | b, s_g) P_l, the only action is to go on, and the
value is exact. `ReplicaChain` takes stochastic policies as they are.

With N = k the chain is the surrogate game of the k agents that pi_g sees. With N > k, pi_g sees k of the N agents drawn
afresh each macro step; N = n is the real game.

## Spaces
Observation: Discrete, the number of the state. Aggregate: x = (b; c; c+; s_g; p), b the bin to move, c the agents not
yet moved (none in bins before b), c+ those that have moved, p the pending next global state, none iff b is the first.
Their number is |S_g| C(N+S-1, S-1) + |S_g|^2 sum_{b=1..S-1} C(N+2S-b-1, 2S-b-1), S = |S_l|. Tagged: the tagged agent's
state is added, it moves in a stage of its own before the bins, and c, c+ count N-1 agents.
`info["observation"]` is o(x) = (s_b, s_g), all that a policy of the game may use, s_b = b or the tagged agent's state.
Action: Discrete, a_l of the bin, or of the tagged agent.

## Dynamics
    first stage    a_g ~ pi_g(. | s_g, F), F the histogram of k of all N agents,  p ~ P_g(. | s_g, a_g)
    tagged agent   x' ~ P_l(. | x, s_g, a)
    bin b          c+ <- c+ + Multinomial(c_b, P_l(. | b, s_g, a)),  c_b <- 0
    last bin       c <- c+, c+ <- 0, s_g <- p, p <- none

p is drawn before anyone moves and every bin uses the OLD s_g.
With `deciding_states` each step is split in two: choose a (no reward), then move (any action does).

## Rewards
Aggregate: (c_b/N) r_l(b, s_g, a). Tagged: r_l(x, s_g, a) when the tagged agent moves, nothing for the bins. Both: at
the first stage also the mean of r_g(s_g, a_g) over a_g. `discounting` places gamma as in `ReplicaChain`, with L = |S_l|
stages per macro step (aggregate) or |S_l| + 1 (tagged).

## Starting State
The first stage; s_g and the agents from the game's start law.

## Episode End
Truncation after `max_cycles` macro steps, L steps each (2L with `deciding_states`). Nothing terminates.

## Arguments
Those of `HistogramChain`.

## References
"Learning Approximate Nash Equilibria in Cooperative Multi-Agent Reinforcement Learning via Mean-Field Subsampling"
(arXiv 2603.03759), Algorithms 17 and 28. That the population pi_g sees includes the tagged agent is our choice.

## Version History
* v0: first release.

>>> chain = HistogramChain("warehouse_dispatch", global_policy="keep", n_agents=3)
>>> chain.n_stages, chain.n_states
(5, 10800)
>>> chain.reset(seed=0)[1]["stage"], chain.step(0)[4]["discount"]
(0, 1.0)
>>> round(chain.potential("stay"), 4), round(chain.induced("uniform").potential(), 4)
(80.1243, 82.6988)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import IntArray, first_index, one_of
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.model import OMITTED
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_local_policy
from kofn.wrappers.chain_values import Placement
from kofn.wrappers.chained import ChainedEnv, chain_sizes
from kofn.wrappers.crowds import Counts

Kind = Literal["aggregate", "tagged"]
KINDS = ("aggregate", "tagged")


class HistogramChain(ChainedEnv):
    """The local side's problem as a chain over counts (see the module docstring for the full specification).

    Args:
        game: a TabularGame, a GenerativeGame (played, without tables) or the name of a registered game.
        global_policy: pi_g: GlobalPolicy, table [s_g, histogram(, a_g)], or "uniform" or "keep" (which heed nobody, as
            with k = 1).
        kind: "aggregate" or "tagged".
        n_agents: N >= k; omitted: k.
        local_policy: a policy, possibly stochastic, that every agent follows on its own; the chain then has one action,
            which is to go on. Omitted: the learner picks one action per bin.
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
        kind: Kind = "aggregate",
        n_agents: int | None = None,
        local_policy: LocalPolicy | str | npt.ArrayLike | None = None,
        discounting: Placement = "commit",
        max_cycles: int | None = None,
        deciding_states: bool = False,
    ) -> None:
        one_of("kind", kind, KINDS)
        sizes = chain_sizes(game, global_policy, "n_agents", n_agents, max_cycles)
        if local_policy is not None:
            sizes = replace(sizes, game=_one_action(sizes.game, as_local_policy(local_policy, sizes.game)))
        self.kind: Kind = kind
        crowd = Counts(sizes.n_agents, sizes.game.n_local_states, kind == "tagged")
        super().__init__(sizes, crowd, discounting, deciding_states=deciding_states)

    def induced(self, local_policy: LocalPolicy | str | npt.ArrayLike) -> "HistogramChain":
        """The same chain when every agent follows a policy, possibly stochastic, on its own."""
        return HistogramChain(
            self.game,
            global_policy=self.global_policy,
            kind=self.kind,
            n_agents=self.n_agents,
            local_policy=local_policy,
            discounting=self.discounting.placement,
            max_cycles=self.max_cycles,
            deciding_states=self.deciding_states,
        )

    def checked_policy(self, policy: LocalPolicy | str | npt.ArrayLike | None = None) -> LocalPolicy:
        """A policy of the chain, checked; omitted: the only action of a chain that has one.

        Raises:
            TypeError, ValueError: a policy of another game, none although there is a choice, or a stochastic one.
        """
        checked = super().checked_policy(policy)
        mixed = (checked.table > 0) & (checked.table < 1)
        if mixed.any():
            index = first_index(mixed)
            raise ValueError(
                "a histogram chain moves all agents of a bin by one action, which is wrong for a stochastic local "
                "policy, whose agents draw their own: use induced(local_policy), or ReplicaChain; "
                f"entry {list(index)} is {checked.table[index]}"
            )
        return checked


@dataclass(frozen=True)
class _Following:
    """A function of (rng, s_l, s_g, a_l) for agents that draw their actions from a policy, whatever a_l."""

    function: Callable[..., Any]
    policy: LocalPolicy

    def __call__(self, rng: np.random.Generator, s_l: IntArray, s_g: IntArray, _a_l: IntArray) -> Any:
        return self.function(rng, s_l, s_g, self.policy.act(s_l, s_g, rng))


def _one_action(game: TabularGame | GenerativeGame, policy: LocalPolicy) -> TabularGame | GenerativeGame:
    """The game in which the only local action is to follow a policy: P~ and r~ as arrays, or as functions.

    As functions the payment and the move of one step draw their actions apart; neither law nor mean return changes.
    """
    if isinstance(game, GenerativeGame):
        moves, payments = _Following(game.sample_local, policy), _Following(game.pay_local, policy)
        return replace(game, n_local_actions=1, sample_local=moves, pay_local=payments, labels=OMITTED)
    return TabularGame(
        global_transition=game.global_transition,
        local_transition=np.einsum("xga,xgay->xgy", policy.table, game.local_transition)[:, :, None, :],
        global_reward=game.global_reward,
        local_reward=np.einsum("xga,xga->xg", policy.table, game.local_reward)[:, :, None],
        discount=game.discount,
        initial_global=game.initial_global,
        initial_local=game.initial_local,
    )
