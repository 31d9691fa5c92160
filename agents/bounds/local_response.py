r"""L-LEARN: the sizes of its chains and the episodes UCFH needs in them (Theorem 4.6, Theorem C.4, Lemmas C.1, C.2).

One step of the game of N agents is cut into several steps of a chain in which one action is chosen at a time:

    replicas    N steps: one replica moves per step; states |S_g||S_l|^N (1 + (N-1)|S_g|)
    histogram   |S_l| steps: all agents of one state move per step; the pointer b, who has not moved (states >= b),
                who has (all states), s_g and, for b > 0, the pending s_g'
    tagged      |S_l|+1 steps: one agent moves, then the other N-1 state by state

(Lemma C.2, rebuilt: the sizes are counts of the states that can be reached when every transition has positive
probability.) Deciding states, one (x, a) per action, multiply the states by 1 + |A_l| and double the horizon.

H = ceil( ln(r~ sqrt k/(1-gamma))/(1-gamma) ) steps of the game leave out at most 1/sqrt k of the return (Lemma C.1);
UCFH then leaves, with probability 1-delta, at most

    Hmic^2 C |chain||A_l| / eps^2 ln(1/delta)          up to constants and logarithms (Theorem C.3)

of its episodes of Hmic = H times (steps per game step) without an eps-optimal policy, C the largest number of
successors. Rewards are divided by r~, so that eps = 1/(r~ sqrt k) (Theorem 4.6, C.4).

The theorem compares with the best policy of the CHAIN, which may depend on everything in its state; L-LEARN's class
reads (s_h, s_g). On the 3-zone warehouse at k = 2 the two optima differ by 6.1, and the chain of k agents has other
values than the game of n. So `theorem_4_6` is "unproved" for what L-LEARN returns.
"""

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

from kofn.agents.bounds.bound import Bound, Count, confidence, fraction, log_binomial, log_sum
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.bounds.truncation import truncation_horizon
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer, one_of, positive

Chain = Literal["replicas", "histogram", "tagged"]
CHAINS: tuple[Chain, ...] = ("replicas", "histogram", "tagged")


@dataclass(frozen=True, kw_only=True)
class ChainSize:
    """A chained decision process of L-LEARN.

    Attributes:
        kind: "replicas", "histogram" or "tagged".
        n_states: states that can be reached.
        n_successors: C, a bound on the successors of a state and action.
        steps_per_round: steps of the chain per step of the game.
    """

    kind: str
    n_states: Count
    n_successors: Count
    steps_per_round: int

    def horizon(self, k: int, sizes: GameSizes) -> int:
        """Hmic: steps of the chain after which at most 1/sqrt k of the return is left out (Lemma C.1)."""
        return self.steps_per_round * max(1, truncation_horizon(k**-0.5, sizes.reward_bound, sizes.discount))

    def with_deciding_states(self, n_local_actions: int) -> "ChainSize":
        """The chain with a state (x, a) behind every choice of action (Algorithm 17)."""
        factor = log(1 + integer("n_local_actions", n_local_actions, 1))
        states = Count(log=self.n_states.log + factor, source="Lemma C.2", reconstructed=True)
        return ChainSize(
            kind=self.kind,
            n_states=states,
            n_successors=self.n_successors,
            steps_per_round=2 * self.steps_per_round,
        )


@checked_types
def chain_size(kind: Chain, n_agents: int, sizes: GameSizes) -> ChainSize:
    """Lemma C.2: the size of the chain of `n_agents` agents, all transitions being possible.

    Args:
        kind: "replicas", "histogram" or "tagged".
        n_agents: N, agents in the chain (k in the paper).
        sizes: of the game.
    """
    one_of("kind", kind, CHAINS)
    n, n_local, n_global = integer("n_agents", n_agents, 1), sizes.n_local_states, sizes.n_global_states
    if kind == "replicas":
        states = log(n_global) + n * log(n_local) + log(1 + (n - 1) * n_global)
        successors, steps = log(n_global * n_local), n
    elif kind == "histogram":
        states = _log_histogram_states(n, n_local, n_global)
        successors, steps = log(n_global) + log_binomial(n + n_local - 1, n), n_local
    else:
        states = _log_tagged_states(n, n_local, n_global)
        landed = max(log(n_global * n_local), log_binomial(n - 1 + n_local - 1, n - 1))
        successors, steps = landed, n_local + 1
    return ChainSize(
        kind=kind,
        n_states=Count(log=states, source="Lemma C.2", reconstructed=True),
        n_successors=Count(log=successors, source="Lemma C.2", reconstructed=True),
        steps_per_round=steps,
    )


def _log_histogram_states(n_agents: int, n_local: int, n_global: int) -> float:
    """At pointer b the unmoved are in states >= b, the moved anywhere; s_g' is pending except at b = 0."""
    start = log(n_global) + log_binomial(n_agents + n_local - 1, n_agents)
    later = [
        2 * log(n_global) + log_binomial(n_agents + 2 * n_local - pointer - 1, n_agents)
        for pointer in range(1, n_local)
    ]
    return log_sum(start, *later)


def _log_tagged_states(n_agents: int, n_local: int, n_global: int) -> float:
    """The tagged agent's state, times stage 0, stage 1 (nobody else has moved) and the stages after it."""
    others = n_agents - 1
    resting = log_binomial(others + n_local - 1, others)
    later = [log(n_global) + log_binomial(others + 2 * n_local - stage, others) for stage in range(2, n_local + 1)]
    return log(n_global * n_local) + log_sum(resting, log(n_global) + resting, *later)


@checked_types
def ucfh_episodes(chain: ChainSize, horizon: int, n_actions: int, error: float, delta: float) -> Count:
    """Theorem C.3: episodes without an `error`-optimal policy, up to constants and logarithms.

    Assumes rewards in [0, 1] per step of the chain.

    Args:
        chain: the decision process.
        horizon: Hmic, steps per episode.
        n_actions: actions per state.
        error: eps.
        delta: failure probability.
    """
    actions, steps = integer("n_actions", n_actions, 1), integer("horizon", horizon, 1)
    logarithm = (
        2 * log(steps / positive("error", error))
        + chain.n_successors.log
        + chain.n_states.log
        + log(actions)
        + log(log(1 / fraction("delta", delta)))
    )
    return Count(
        log=logarithm, source="Theorem C.3", reconstructed=True, note="up to constants and logarithmic factors"
    )


@checked_types
def local_response_episodes(
    k: int, sizes: GameSizes, *, delta: float | None = None, kind: Chain | None = None
) -> Count:
    """Theorem 4.6: episodes of L-LEARN for an error of 1/sqrt k; each is Hmic steps of the chain.

    Args:
        k: agents in the chain.
        sizes: of the game.
        delta: failure probability; None: 1/(100 sqrt k).
        kind: the chain; None: the one that needs the fewest.
    """
    delta = confidence(delta, integer("k", k, 1))
    chain = chain_size(kind, k, sizes) if kind is not None else cheapest_chain(k, sizes)
    error = 1 / (sizes.reward_bound * sqrt(k))
    return ucfh_episodes(chain, chain.horizon(k, sizes), sizes.n_local_actions, error, delta)


@checked_types
def cheapest_chain(k: int, sizes: GameSizes) -> ChainSize:
    """The chain of k agents that needs the fewest episodes."""

    def cost(chain: ChainSize) -> float:
        return 2 * log(chain.steps_per_round) + chain.n_successors.log + chain.n_states.log

    return min((chain_size(kind, k, sizes) for kind in CHAINS), key=cost)


def theorem_4_6(k: int, *, delta: float | None = None) -> Bound:
    """What L-LEARN's policy loses against the best response: 1/sqrt k, with probability 1 - delta (1/(100 sqrt k)).

    Assumes the samples of `local_response_episodes`, and that the chain's optimum is the best response (it is not: see
    the module).
    """
    k = integer("k", k, 1)
    return Bound(
        value=1 / sqrt(k),
        probability=1 - confidence(delta, k),
        source="Theorem 4.6 (C.4)",
        assumptions=("UCFH on the chain of k agents", "the chain's optimum is the best response"),
        verdict="unproved",
        reconstructed=True,
        note="proved for policies that read the chain's whole state, and for the game of k agents",
    )
