r"""How far the histogram of k sampled agents is from that of all n (Lemma B.26 and what the proofs need instead).

Sampling is without replacement; F_D is the sample's histogram and F the population's, both as frequencies.

* Sup norm. Serfling's inequality for each state and a union over states and signs give

      Pr[ max_x |F_D(x) - F(x)| > eps ] <= 2|S_l| exp( -2 k n eps^2 / (n-k+1) )                             (B.26).

* Total variation is up to |S_l|/2 times the sup norm. The papers use the radius of B.26 for it: false. Each F_D(x) has
  variance F(x)(1-F(x)) (n-k)/(k(n-1)), so that Jensen's and Cauchy's inequalities give

      E TV(F_D, F) <= (1/2) sqrt( (|S_l|-1) (n-k) / (k(n-1)) ),

  and since exchanging one sampled agent moves TV by at most 1/k, bounded differences of the successive draws give, with
  probability at least 1-delta, TV <= E TV + sqrt( ln(1/delta) / (2k) ).
"""

from math import exp, log, sqrt

from kofn.agents.bounds.bound import Bound, fraction, sampled_of
from kofn.envs.arrays import integer, nonnegative

WITHOUT_REPLACEMENT = ("k of n agents drawn uniformly without replacement",)


def dkw_probability(radius: float, k: int, n_agents: int, n_local_states: int) -> float:
    """Bound on the chance that some state's frequency is off by more than `radius` (B.26), at most 1."""
    k, n = sampled_of(k, n_agents)
    exponent = 2 * k * n * nonnegative("radius", radius) ** 2 / (n - k + 1)
    return min(1.0, 2 * integer("n_local_states", n_local_states, 1) * exp(-exponent))


def dkw_radius(k: int, n_agents: int, n_local_states: int, delta: float) -> Bound:
    """The sup-norm radius that is exceeded with probability at most `delta` (B.26)."""
    return Bound(
        value=_dkw_radius(k, n_agents, n_local_states, delta),
        probability=1 - delta,
        source="Lemma B.26",
        assumptions=WITHOUT_REPLACEMENT,
        reconstructed=True,
        note="of the sup norm over states, not of total variation",
    )


def total_variation_printed(k: int, n_agents: int, n_local_states: int, delta: float) -> Bound:
    """The radius of B.26 taken for one of total variation, as in the proof of Theorem 4.2. False: do not use.

    At |S_l| = 100, k = 10 and n = 1000 equally spread agents it is 0.614, and total variation is at least 0.9 always.
    """
    return Bound(
        value=_dkw_radius(k, n_agents, n_local_states, delta),
        probability=1 - delta,
        source="Lemma B.26 as used in the proof of Theorem 4.2",
        assumptions=WITHOUT_REPLACEMENT,
        verdict="false",
        reconstructed=True,
        note="a sup-norm radius; use total_variation_quantile",
    )


def _dkw_radius(k: int, n_agents: int, n_local_states: int, delta: float) -> float:
    k, n = sampled_of(k, n_agents)
    union = 2 * integer("n_local_states", n_local_states, 1) / fraction("delta", delta)
    return sqrt(log(union) * (n - k + 1) / (2 * k * n))


def finite_population(k: int, n_agents: int) -> float:
    """(n-k)/(k(n-1)): variance of a frequency over F(x)(1-F(x)); 0 when everyone is seen."""
    k, n = sampled_of(k, n_agents)
    return (n - k) / (k * (n - 1)) if n > k else 0.0


def expected_total_variation(k: int, n_agents: int, n_local_states: int) -> Bound:
    """Bound on E TV between the sample and the population."""
    spread = (integer("n_local_states", n_local_states, 1) - 1) * finite_population(k, n_agents)
    return Bound(
        value=sqrt(spread) / 2, source="replaces Lemma B.26", assumptions=WITHOUT_REPLACEMENT, note="in expectation"
    )


def expected_total_variation_independent(k: int, n_local_states: int) -> Bound:
    """Bound on E TV between the histogram of k independent agents, of whatever laws, and the mean of their laws.

    Each frequency has variance at most p(1-p)/k, p its mean: (1/2) sqrt((|S_l|-1)/k).
    """
    spread = (integer("n_local_states", n_local_states, 1) - 1) / integer("k", k, 1)
    return Bound(
        value=sqrt(spread) / 2,
        source="replaces Lemma B.22",
        assumptions=("k agents move independently",),
        note="in expectation",
    )


def total_variation_quantile(k: int, n_agents: int, n_local_states: int, delta: float) -> Bound:
    """The total variation that is exceeded with probability at most `delta`; 0 when everyone is seen."""
    k, n = sampled_of(k, n_agents)
    spread = sqrt(log(1 / fraction("delta", delta)) / (2 * k)) if n > k else 0.0
    return Bound(
        value=expected_total_variation(k, n, n_local_states).value + spread,
        probability=1 - delta,
        source="replaces Lemma B.26",
        assumptions=WITHOUT_REPLACEMENT,
    )
