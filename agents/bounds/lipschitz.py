r"""How much Q changes with the histogram it is told, and with k (Lemma B.18).

The papers bound |Q_k(s_g, F, a) - Q_n(s_g, F', a)| by (2 r~_l/(1-gamma)) TV(F, F'). That is true for k = n. For k != n
it is false: at F = F' it says the two are equal, and on the 5-zone warehouse they differ by 61 at k = 1, n = 12. The
induction compares the EXPECTED next histograms, where the random ones are needed: the maximum over actions is convex,
so a small k gains from the noise of its own histogram.

What is true, with L = osc/(1 - gamma alpha) of `sizes`:

* k = n. Match as many agents of F and F' as possible and move matched ones together: TV shrinks to alpha TV on average
  in each step, and each step's rewards differ by at most osc TV. So Q*_k is L-Lipschitz, as is the limit Q*_inf of a
  deterministic mean field.
* d = sup |Q*_k - Q*_inf| satisfies d <= gamma (d + L E TV), TV between the next histogram of k independent agents and
  its mean, so that d <= (gamma L/(2(1-gamma))) sqrt((|S_l|-1)/k) and

      |Q*_k(s_g, F, a) - Q*_n(s_g, F', a)| <= L TV(F, F') + (gamma L/(2(1-gamma))) sqrt(|S_l|-1) (k^-1/2 + n^-1/2).

Wherever it was computed, with F drawn as k of the n agents that F' counts,

    sup_{s_g, F'} E_F max_a |Q*_k(s_g, F, a) - Q*_n(s_g, F', a)| <= (osc/(2(1-gamma))) sqrt((n-k)/(k(n-1))),

which is a predictor, not a theorem; some games attain it. It is about Q only: what the policy loses adds up over the
steps, and is more than four times as large in a game of the tests.
"""

from math import sqrt

from kofn.agents.bounds.bound import Bound, Verdict, fraction, sampled_of
from kofn.agents.bounds.sampling import expected_total_variation_independent, finite_population
from kofn.agents.bounds.sizes import GameSizes
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer


@checked_types
def lipschitz_printed(
    total_variation: float, k: int, n_agents: int, sizes: GameSizes, *, n_iterations: int | None = None
) -> Bound:
    """Lemma B.18 as printed: 2 r~_l (1 + gamma + .. + gamma^{T-1}) TV. False unless k = n.

    Args:
        total_variation: TV(F, F') in [0, 1].
        k: agents behind F.
        n_agents: agents behind F'.
        sizes: of the game.
        n_iterations: T, sweeps from Q = 0; None: at the fixed point.
    """
    k, n = sampled_of(k, n_agents)
    missing = sizes.discount ** integer("n_iterations", n_iterations, 0) if n_iterations is not None else 0.0
    verdict: Verdict = "holds" if k == n else "false"
    return Bound(
        value=2 * sizes.local_reward_bound * (1 - missing) / (1 - sizes.discount) * _distance(total_variation),
        source="Lemma B.18",
        verdict=verdict,
        reconstructed=True,
        note="" if verdict == "holds" else "Q depends on k even at the same histogram; use lipschitz_corrected",
    )


@checked_types
def lipschitz_corrected(total_variation: float, k: int, n_agents: int, sizes: GameSizes) -> Bound:
    """|Q*_k(s_g, F, a) - Q*_n(s_g, F', a)| for all s_g and a, TV(F, F') = `total_variation`; arguments as above."""
    k, n = sampled_of(k, n_agents)
    between = surrogate_distance(k, sizes) + surrogate_distance(n, sizes) if k < n else 0.0
    return Bound(
        value=sizes.lipschitz_constant * _distance(total_variation) + between,
        source="replaces Lemma B.18",
        assumptions=("the local policy, if any, for which the sizes were taken",),
    )


def surrogate_distance(k: int, sizes: GameSizes) -> float:
    """Bound on d = sup |Q*_k - Q*_inf|."""
    noise = expected_total_variation_independent(k, sizes.n_local_states).value
    return sizes.discount * sizes.lipschitz_constant / (1 - sizes.discount) * noise


@checked_types
def sampling_gap_predictor(k: int, n_agents: int, sizes: GameSizes) -> Bound:
    """(osc/(2(1-gamma))) sqrt((n-k)/(k(n-1))): how far Q*_k of what is seen is from Q*_n, as observed.

    No bound on the value that G-LEARN's policy loses: `safe_global_response` is.
    """
    return Bound(
        value=sizes.oscillation / (2 * (1 - sizes.discount)) * sqrt(finite_population(k, n_agents)),
        source="observed",
        verdict="unproved",
        note="of the mean distance of Q*_k from Q*_n, not of the value lost, which can be several times as large",
    )


def _distance(total_variation: float) -> float:
    """TV, after checking that it lies in [0, 1]."""
    return float(total_variation) if total_variation in {0, 1} else fraction("total_variation", total_variation)
