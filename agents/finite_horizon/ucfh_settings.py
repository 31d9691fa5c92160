r"""Settings of UCFH and the constants of its analysis.

With rewards in [0, 1], horizon H, |S| states, |S x A| rows (state, action), C possible next states of a row (|S| unless
the support is known), and epsilon in units of one reward (Dann and Brunskill 2015),

    w_min   = epsilon / (4 H |S|)
    U_max   = |S x A| log2(|S| H / w_min)                                                     bounds the number of plans
    delta_1 = delta / (2 U_max C)
    m       = 512 max(1, log2 log2 H)^2 (C H^2 / epsilon^2) log2(8 H^2 |S|^2 / epsilon)^2 ln(6 / delta_1)

m is astronomical (1.6e11 for 5 states, 2 actions, H = 10, epsilon = delta = 0.1, C = 3), so that the algorithm as
printed would learn nothing in a lifetime. Two knobs replace m by `scale_m` m and ln(6/delta_1) by `scale_log` times it;
1 and 1 are the paper. With scale_log < 1 the sets are narrower than the proof asks, and probability 1 - delta is no
longer guaranteed.
"""

from dataclasses import dataclass
from math import log, log2
from typing import Literal

from kofn.envs.arrays import integer, nonnegative, one_of, positive

Rewards = Literal["stochastic", "deterministic"]
REWARDS = ("stochastic", "deterministic")


@dataclass(frozen=True, kw_only=True)
class UcfhConfig:
    """Settings of `ucfh`.

    Args:
        epsilon: certified gap at which to stop, in units of value.
        delta: failure probability of the confidence sets (with scale_log = 1).
        scale_m: factor on m; None: 1 / (m w_min), the largest at which a row's counts start doubling at its first
            visit.
        scale_log: factor on ln(6/delta_1), which widens the confidence sets; 1: the paper's.
        max_episodes: episodes after which to give up; `converged` then says so.
        support_known: whether the learner knows which next states are possible (tables only).
        phase_growth: episodes played with one plan, as a share of all before it, before the next plan may be made; all
            rows due by then are absorbed, so that plans number about ln(episodes) / phase_growth however many rows
            there are. 0 is the paper: a plan as soon as any row is due, and one row absorbed.
        rewards: what an environment pays in one state for one action: "stochastic" (the mean is learnt) or
            "deterministic" (known once seen; paying two amounts is an error). Tables' rewards are known.

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range.
    """

    epsilon: float = 0.1
    delta: float = 0.1
    scale_m: float | None = None
    scale_log: float = 0.1
    max_episodes: int = 100_000
    support_known: bool = False
    phase_growth: float = 0.0
    rewards: Rewards = "stochastic"

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "epsilon", positive("epsilon", self.epsilon))
        object.__setattr__(self, "delta", positive("delta", self.delta))
        if self.delta >= 1:
            raise ValueError(f"delta must be below 1; got {self.delta}")
        if self.scale_m is not None:
            object.__setattr__(self, "scale_m", positive("scale_m", self.scale_m))
        object.__setattr__(self, "scale_log", positive("scale_log", self.scale_log))
        object.__setattr__(self, "max_episodes", integer("max_episodes", self.max_episodes, 1))
        if not isinstance(self.support_known, bool):
            raise TypeError(f"support_known must be a bool; got {self.support_known!r}")
        object.__setattr__(self, "phase_growth", nonnegative("phase_growth", self.phase_growth))
        one_of("rewards", self.rewards, REWARDS)


@dataclass(frozen=True, kw_only=True)
class UcfhConstants:
    """The constants of the analysis, unscaled.

    Attributes:
        w_min: least probability of reaching a row that matters.
        u_max: bound on the number of plans.
        delta1: failure probability of one confidence statement.
        log_term: ln(6 / delta_1).
        m: visits, weighted by the probability of reaching a row, after which it is known.
    """

    w_min: float
    u_max: float
    delta1: float
    log_term: float
    m: float


def ucfh_constants(
    *, n_states: int, n_rows: int, n_successors: int, horizon: int, epsilon: float, delta: float, learn_rewards: bool
) -> UcfhConstants:
    """w_min, U_max, delta_1 and m.

    Args:
        n_states: |S|.
        n_rows: |S x A|.
        n_successors: C.
        horizon: H.
        epsilon: in units of one reward; values above H count as H, the largest difference there is.
        delta: failure probability.
        learn_rewards: whether each row's mean reward is one more statement that may fail, so that C + 1 share delta.
    """
    epsilon = min(epsilon, float(horizon))
    w_min = epsilon / (4 * horizon * n_states)
    u_max = n_rows * log2(n_states * horizon / w_min)
    delta1 = delta / (2 * u_max * (n_successors + learn_rewards))
    log_term = log(6 / delta1)
    doubly_logarithmic = log2(max(2.0, log2(horizon)))  # 1 at H <= 4, where log2 log2 H would vanish or not exist
    m = 512 * doubly_logarithmic**2 * n_successors * (horizon / epsilon) ** 2
    m *= log2(8 * horizon**2 * n_states**2 / epsilon) ** 2 * log_term
    return UcfhConstants(w_min=w_min, u_max=u_max, delta1=delta1, log_term=log_term, m=m)
