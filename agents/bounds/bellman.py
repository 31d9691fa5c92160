r"""G-LEARN's own errors: how many sweeps T and how many samples m it takes (Lemma 4.3, Lemmas B.34-B.36).

Both operators are gamma-contractions and Q^0 = 0, so after T sweeps gamma^T r~/(1-gamma) of the fixed point is missing:

    T = ceil( ln(r~ sqrt k/(1-gamma)) / (1-gamma) )      makes that at most 1/sqrt k, since -ln gamma >= 1-gamma.

At the fixed point Q*_k each of the N entries of T_{k,m} Q*_k - T_k Q*_k is gamma times a mean of m independent values
in [0, r~/(1-gamma)] less its expectation (Hoeffding), and a contraction turns an error there into 1/(1-gamma) times as
much between the fixed points. With probability at least 1-delta, whatever the dependence between entries,

    |Q^est_{k,m} - Q*_k| <= gamma r~/(1-gamma)^2 sqrt( ln(2N/delta) / (2m) )                           (Lemma 4.3)
    m* = ceil( k gamma^2 r~^2 / (2 (1-gamma)^4) ln(2N/delta) )      makes that at most 1/sqrt k,

N = |S_g||A_g| times the number of histograms C(k+|S_l|-1, |S_l|-1) ("meanfield") or of tuples |S_l|^k ("standard").
The papers count histograms by k^|S_l|, which is too few at k = 1; this module counts them exactly.
"""

from math import ceil, log, sqrt
from typing import Literal

from kofn.agents.bounds.bound import Bound, confidence, fraction, log_binomial
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.bounds.truncation import truncation_horizon
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer, one_of, positive
from kofn.envs.model import Game

Regime = Literal["standard", "meanfield"]
REGIMES = ("standard", "meanfield")


def log_columns(k: int, n_local_states: int, regime: Regime = "meanfield") -> float:
    """Logarithm of the number of observations of k agents, histograms or tuples."""
    one_of("regime", regime, REGIMES)
    k, n_local_states = integer("k", k, 1), integer("n_local_states", n_local_states, 1)
    return k * log(n_local_states) if regime == "standard" else log_binomial(k + n_local_states - 1, k)


def log_entries(
    k: int, n_global_states: int, n_global_actions: int, n_local_states: int, regime: Regime = "meanfield"
) -> float:
    """Logarithm of N, the entries of G-LEARN's table."""
    pairs = integer("n_global_states", n_global_states, 1) * integer("n_global_actions", n_global_actions, 1)
    return log(pairs) + log_columns(k, n_local_states, regime)


def iterations_for(k: int, reward_bound: float, discount: float) -> int:
    """T, sweeps after which at most 1/sqrt k is missing of the fixed point (`truncation_horizon`).

    Assumes rewards in [0, reward_bound] and a start at Q = 0.
    """
    return truncation_horizon(1 / sqrt(integer("k", k, 1)), reward_bound, discount)


@checked_types
def bellman_noise(
    m: int, k: int, sizes: GameSizes, *, delta: float | None = None, regime: Regime = "meanfield"
) -> Bound:
    """Lemma 4.3: sup-norm distance between the fixed points of T_{k,m} and T_k.

    Assumes m independent samples per entry, drawn once and used in every sweep; entries may share samples.

    Args:
        m: samples per entry.
        k: agents seen.
        sizes: of the game.
        delta: probability with which it may fail; None: 1/(100 sqrt k).
        regime: how observations are counted.
    """
    m, delta = integer("m", m, 1), confidence(delta, integer("k", k, 1))
    scale = sizes.discount * sizes.value_bound / (1 - sizes.discount)
    return Bound(
        value=scale * sqrt(log_union(k, sizes, delta, regime) / (2 * m)),
        probability=1 - delta,
        source="Lemma 4.3 (B.34-B.36)",
        assumptions=("samples drawn once and kept for every sweep",),
        note="the paper may print it without the leading discount, which only makes it larger",
    )


def log_union(k: int, sizes: GameSizes, delta: float, regime: Regime) -> float:
    """Logarithm of 2N/delta, of a two-sided bound on all entries at once."""
    entries = log_entries(k, sizes.n_global_states, sizes.n_global_actions, sizes.n_local_states, regime)
    return log(2 / delta) + entries


def samples_for(
    k: int,
    n_global_states: int,
    n_global_actions: int,
    n_local_states: int,
    reward_bound: float,
    discount: float,
    delta: float | None = None,
    regime: Regime = "meanfield",
) -> int:
    """m*, samples per entry that make `bellman_noise` at most 1/sqrt k.

    Assumes what `bellman_noise` does; delta defaults to 1/(100 sqrt k).
    """
    delta = confidence(delta, integer("k", k, 1))
    union = log(2 / delta) + log_entries(k, n_global_states, n_global_actions, n_local_states, regime)
    scale = fraction("discount", discount) * positive("reward_bound", reward_bound) / (1 - discount) ** 2
    return ceil(k * scale**2 * union / 2)


@checked_types
def theoretical_iterations(game: Game, k: int) -> int:
    """`iterations_for` a game."""
    return iterations_for(k, game.reward_bound, game.discount)


@checked_types
def theoretical_samples(game: Game, k: int, delta: float | None = None, regime: Regime = "meanfield") -> int:
    """`samples_for` a game."""
    return samples_for(
        k,
        game.n_global_states,
        game.n_global_actions,
        game.n_local_states,
        game.reward_bound,
        game.discount,
        delta,
        regime,
    )
