r"""From best responses to an equilibrium (Lemma D.15, Theorem 4.8 = D.16, and the error of evaluation).

The potential lies in [0, r~/(1-gamma)] and an accepted proposal raises it by eta, so at most r~/((1-gamma) eta) are
accepted and N_steps = 2 (ceil(r~/((1-gamma) eta)) + 1) proposals are made (Lemma D.15; `kofn.agents.proposal_bound`).
With responses within eps_G (Theorem 4.4) and eps_L (Theorem 4.6) and eta = max(eps_G, eps_L), a union over the steps
makes the outcome a 2 eta-equilibrium with probability 1-delta (Theorem 4.8):

    samples  N_steps [ SC_G(k, delta/N_steps) + SC_L(k, delta/N_steps) ].

With a threshold tau, responses within eps and potentials known within nu, each player's gap at the end is at most
eps + tau + 2 nu, and every accepted proposal gains at least tau - 2 nu.

EVAL by R rollouts of H steps: with probability 1-delta (Hoeffding)

    |V^ - Phi| <= gamma^H r~/(1-gamma) + r~/(1-gamma) sqrt( ln(2/delta)/(2R) ).
"""

from dataclasses import dataclass
from math import ceil, floor, log, sqrt

from kofn.agents.alternation.update import proposal_bound
from kofn.agents.bounds.bellman import Regime
from kofn.agents.bounds.bound import Bound, Count, fraction, log_sum
from kofn.agents.bounds.global_response import theorem_4_4
from kofn.agents.bounds.local_response import cheapest_chain, local_response_episodes, theorem_4_6
from kofn.agents.bounds.sample_complexity import global_response_samples
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.bounds.truncation import truncation_error
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer, nonnegative, positive


@dataclass(frozen=True, kw_only=True)
class EquilibriumBound:
    """Theorem 4.8.

    Attributes:
        gap: 2 eta, what either player could still gain, with its probability and verdict.
        eta: max(eps_G, eps_L), the threshold of UPDATE.
        n_steps: proposals before the alternation stops.
        samples: draws of G-LEARN and steps of L-LEARN's chain over all proposals.
    """

    gap: Bound
    eta: float
    n_steps: int
    samples: Count


@checked_types
def accepted_proposals(eta: float, sizes: GameSizes) -> int:
    """Lemma D.15: proposals that can be accepted, each raising the potential by `eta`. Assumes rewards in [0, r~]."""
    return floor(round(sizes.value_bound / positive("eta", eta), 9))  # 11.5/(1-0.95) is 229.9999999999998


@checked_types
def theorem_4_8(
    k: int, n_agents: int, sizes: GameSizes, *, delta: float = 0.05, regime: Regime = "meanfield"
) -> EquilibriumBound:
    """ALTERNATING-MARL reaches a 2 eta-equilibrium; 1/sqrt k up to logarithms.

    Assumes Theorems 4.4 and 4.6, both of which have gaps (see there), and a threshold with which accepting means a gain
    of eta: report measured gaps rather than this.

    Args:
        k: agents seen.
        n_agents: n.
        sizes: of the game.
        delta: failure probability of the whole run.
        regime: how G-LEARN tabulates observations.
    """
    delta = fraction("delta", delta)
    responses = theorem_4_4(k, n_agents, sizes), theorem_4_6(k)
    eta = max(response.value for response in responses)
    steps = proposal_bound(sizes.value_bound, eta)
    gap = Bound(
        value=2 * eta,
        probability=1 - delta,
        source="Theorem 4.8 (D.16)",
        assumptions=tuple(assumption for response in responses for assumption in response.assumptions),
        verdict="unproved",
        reconstructed=True,
        note="rests on Theorems 4.4 and 4.6",
    )
    per_pair = log_sum(
        global_response_samples(k, sizes, delta=delta / steps, regime=regime).log,
        local_response_episodes(k, sizes, delta=delta / steps).log + log(cheapest_chain(k, sizes).horizon(k, sizes)),
    )
    samples = Count(log=log(steps) + per_pair, source="Theorem 4.8 (D.16)", reconstructed=True)
    return EquilibriumBound(gap=gap, eta=eta, n_steps=steps, samples=samples)


def stopping_gap(threshold: float, response_error: float, evaluation_error: float = 0.0) -> Bound:
    """What either player could still gain once both have failed against the same pair: eps + tau + 2 nu.

    Assumes that a proposal is accepted when it is seen to gain `threshold` or more, and that the run ended by itself.

    Args:
        threshold: tau.
        response_error: eps, of either player's response.
        evaluation_error: nu, of each potential.
    """
    terms = nonnegative("threshold", threshold), nonnegative("response_error", response_error)
    return Bound(
        value=sum(terms) + 2 * nonnegative("evaluation_error", evaluation_error),
        source="Lemma D.15",
        assumptions=("one failed proposal of each player against the same pair",),
    )


@checked_types
def evaluation_error(n_rollouts: int, horizon: int, sizes: GameSizes, delta: float) -> Bound:
    """EVAL: error of the mean return of independent rollouts.

    Assumes rewards in [0, r~].

    Args:
        n_rollouts: R.
        horizon: H.
        sizes: of the game.
        delta: failure probability.
    """
    delta = fraction("delta", delta)
    noise = sizes.value_bound * sqrt(log(2 / delta) / (2 * integer("n_rollouts", n_rollouts, 1)))
    return Bound(
        value=truncation_error(horizon, sizes.reward_bound, sizes.discount).value + noise,
        probability=1 - delta,
        source="EVAL (Hoeffding)",
        assumptions=("independent rollouts",),
        note="differences under common random numbers are far more precise",
    )


@checked_types
def rollouts_for(error: float, sizes: GameSizes, delta: float) -> int:
    """R that makes the random part of `evaluation_error` at most `error`."""
    ratio = sizes.value_bound / positive("error", error)
    return ceil(ratio**2 * log(2 / fraction("delta", delta)) / 2)
