r"""The bounds of the SUBSAMPLE-MFQ paper (arXiv 2412.00661), which controls every agent jointly.

Z_l = S_l x A_l; the table is over S_g x A_g x Z_l and the histogram of k-1 agents in Z_l.

    Lemma 0.9     |Q^est - Q*| <= 1/sqrt k after, in total over all entries and sweeps,
                      2 |S_g||A_g||S_l||A_l| k^{2.5+|S_l||A_l|}/(1-gamma)^5
                      ln(|S_g||A_g||A_l||S_l|) ln(1/(1-gamma)^2)  samples
    Theorem 0.11  V* - V^est <= r~/(1-gamma)^2 sqrt((n-k+1)/(2nk))
                      sqrt( ln( 40 r~ |S_l||A_l||A_g| k^{|A_l|+1/2}/(1-gamma)^2 ) ) + 3/sqrt k
    Theorem 0.13  the same for random rewards, with probability 1 - 1/(100 sqrt k)

The comparator controls all agents with full information; its value is above anything that pi_g and pi_l of this
package can reach. The proof shares the false steps of Theorem 4.2 (`global_response`).
"""

from math import log, sqrt

from kofn.agents.bounds.bound import Bound, Count, confidence, log_binomial, sampled_of
from kofn.agents.bounds.global_response import FRESH_SAMPLES, PROOF_GAP, sampling_term
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.bounds.stochastic_rewards import SHARED, hoeffding_reward_noise
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer


@checked_types
def lemma_0_9(k: int, sizes: GameSizes) -> Count:
    """Samples for an error of 1/sqrt k in Q. Assumes at least two states or actions in the game."""
    pairs = sizes.n_local_states * sizes.n_local_actions
    product = sizes.n_global_states * sizes.n_global_actions * pairs
    if product == 1:
        raise ValueError("the game must have more than one state or action; all of its sizes are 1")
    logarithm = (
        log(2 * product)
        + (2.5 + pairs) * log(integer("k", k, 1))
        - 5 * log(1 - sizes.discount)
        + log(log(product))
        + log(-2 * log(1 - sizes.discount))
    )
    return Count(log=logarithm, source="Lemma 0.9 of the SUBSAMPLE-MFQ paper")


def mfq_log_entries(k: int, sizes: GameSizes) -> float:
    """Logarithm of the entries of the table over S_g x A_g x Z_l and histograms of k-1 agents in Z_l."""
    pairs = sizes.n_local_states * sizes.n_local_actions
    own = log(sizes.n_global_states * sizes.n_global_actions * pairs)
    return own + log_binomial(integer("k", k, 1) + pairs - 2, pairs - 1)


@checked_types
def theorem_0_11(k: int, n_agents: int, sizes: GameSizes) -> Bound:
    """Loss of SUBSAMPLE-MFQ against joint control with full information.

    Assumes rewards in [0, r~], k agents sampled afresh in every step and the samples of `lemma_0_9`.

    Args:
        k: agents seen.
        n_agents: n.
        sizes: of the game.
    """
    k, n = sampled_of(k, n_agents)
    scale = sizes.value_bound / (1 - sizes.discount)
    union = log(40 * sizes.n_local_states * sizes.n_local_actions * sizes.n_global_actions * scale)
    union += (sizes.n_local_actions + 0.5) * log(k)
    return Bound(
        value=sampling_term(k, n, sizes, union) + 3 / sqrt(k),
        probability=1 - 1 / (100 * sqrt(k)),
        source="Theorem 0.11 of the SUBSAMPLE-MFQ paper",
        assumptions=FRESH_SAMPLES,
        verdict="unproved",
        note=PROOF_GAP,
    )


@checked_types
def theorem_0_13(k: int, n_agents: int, sizes: GameSizes, *, n_draws: int, spread: float) -> Bound:
    """Theorem 0.11 with rewards averaged over `n_draws` draws whose spreads add up to `spread`.

    Assumes what `theorem_0_11` does, and next states shared by the draws. The probability is the printed one, although
    Theorem 0.11 and the noise of the rewards may each fail with 1/(100 sqrt k): a union of both leaves twice as much.
    """
    delta = confidence(None, integer("k", k, 1))
    noise = hoeffding_reward_noise(n_draws, spread, sizes.discount, log(2 / delta) + mfq_log_entries(k, sizes))
    return Bound(
        value=theorem_0_11(k, n_agents, sizes).value + 2 * noise / (1 - sizes.discount),
        probability=1 - delta,
        source="Theorem 0.13 of the SUBSAMPLE-MFQ paper",
        assumptions=(*FRESH_SAMPLES, SHARED),
        verdict="unproved",
        reconstructed=True,
        note=f"{PROOF_GAP}; the probability is as printed, a union would leave 1 - 1/(50 sqrt k)",
    )
