r"""G-LEARN when rewards are random (Appendix F; Theorem 0.13 of the SUBSAMPLE-MFQ paper).

r_g and r_l are drawn from laws of bounded support with spreads D_g and D_l (largest less smallest possible reward). The
operator averages the empirical one over Xi independent draws of all rewards, the next states being shared by the draws:
a gamma-contraction whose fixed point is that of T_{k,m} with the averaged rewards. Each entry's averaged reward is a
mean of Xi values in a range D_g + D_l, so that with probability 1-delta (Hoeffding, a union over the N entries)

    |Q^rand - Q^est| <= (D_g + D_l)/(1-gamma) sqrt( ln(2N/delta)/(2 Xi) )
    Xi = ceil( k (D_g + D_l)^2 ln(2N/delta) / (2 (1-gamma)^2) )      makes that at most 1/sqrt k,

and the greedy policy loses at most 2/(1-gamma) times as much more.
"""

from math import ceil, sqrt

from kofn.agents.bounds.bellman import Regime, bellman_noise, log_union
from kofn.agents.bounds.bound import Bound, confidence, union
from kofn.agents.bounds.global_response import theorem_4_2
from kofn.agents.bounds.sizes import GameSizes
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer, nonnegative

SHARED = "next states shared by the draws of the rewards"


def hoeffding_reward_noise(n_draws: int, spread: float, discount: float, union_log: float) -> float:
    """D/(1-gamma) sqrt(ln(2N/delta)/(2 Xi)) for a table with ln(2N/delta) = `union_log`."""
    return nonnegative("spread", spread) / (1 - discount) * sqrt(union_log / (2 * integer("n_draws", n_draws, 1)))


@checked_types
def reward_noise(
    n_draws: int, spread: float, k: int, sizes: GameSizes, *, delta: float | None = None, regime: Regime = "meanfield"
) -> Bound:
    """Theorem F.4: distance between the fixed points with averaged and with mean rewards.

    Assumes bounded rewards, drawn once, and next states shared by the draws.

    Args:
        n_draws: Xi.
        spread: D_g + D_l.
        k: agents seen.
        sizes: of the game with mean rewards.
        delta: failure probability; None: 1/(100 sqrt k).
        regime: how observations are tabulated.
    """
    delta = confidence(delta, integer("k", k, 1))
    return Bound(
        value=hoeffding_reward_noise(n_draws, spread, sizes.discount, log_union(k, sizes, delta, regime)),
        probability=1 - delta,
        source="Theorem F.4",
        assumptions=(SHARED,),
        reconstructed=True,
    )


@checked_types
def reward_draws_for(
    spread: float, k: int, sizes: GameSizes, *, delta: float | None = None, regime: Regime = "meanfield"
) -> int:
    """Xi that makes `reward_noise` at most 1/sqrt k; arguments as there."""
    delta = confidence(delta, integer("k", k, 1))
    scale = nonnegative("spread", spread) / (1 - sizes.discount)
    return max(1, ceil(k * scale**2 * log_union(k, sizes, delta, regime) / 2))


@checked_types
def theorem_f_4(k: int, n_agents: int, sizes: GameSizes, *, m: int, n_draws: int, spread: float) -> Bound:
    """Theorem 4.2 with m samples per entry and random rewards averaged over `n_draws` draws of this `spread`.

    Assumes what `theorem_4_2` and `reward_noise` do. Each noise fails with probability at most 1/(100 sqrt k).
    """
    samples = bellman_noise(m, k, sizes)
    noise = union(samples, reward_noise(n_draws, spread, k, sizes), source="Lemma 4.3 and Theorem F.4")
    return theorem_4_2(k, n_agents, sizes, noise=noise)
