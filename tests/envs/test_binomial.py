"""Binomial counts against their exact law, and the bounds by which they are accepted at once."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from word_streams import stream

from kofn.envs import binomial
from kofn.envs.arrays import FloatArray

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]


@pytest.mark.parametrize(
    ("n", "p"),
    [(5, 0.3), (60, 0.07), (10**6, 3e-6), (60, 0.9), (10, 0.5), (40, 0.5), (150, 0.2), (2000, 0.7), (10**5, 0.02)],
)
def test_binomial_counts_have_the_exact_law(n: int, p: float, assert_law: AssertLaw) -> None:
    """Both methods, both sides of 1/2."""
    state = stream(2)
    drawn = np.array([binomial.binomial(state, n, p) for _ in range(20_000)])
    low, high = drawn.min(), drawn.max()
    law = stats.binom.pmf(np.arange(low, high + 1), n, p)
    outside = np.array([stats.binom.cdf(low - 1, n, p), stats.binom.sf(high, n, p)])
    assert_law([0, *np.bincount(drawn - low), 0], [outside[0], *law, outside[1]])


def test_binomial_counts_of_a_trillion_are_normal(assert_law: AssertLaw) -> None:
    """In hundredths; the skewness, (1-2p)/s = 1.5e-6, is beyond what 50,000 draws could tell."""
    n, p, state = 10**12, 0.2, stream(26)
    drawn = np.array([binomial.binomial(state, n, p) for _ in range(50_000)])
    ranks = stats.norm.cdf((drawn - n * p) / math.sqrt(n * p * (1 - p)))
    assert_law(np.bincount((ranks * 100).astype(int), minlength=100), np.full(100, 0.01))


@pytest.mark.parametrize(("n", "p"), [(7, 0.4), (300, 0.01), (10**4, 0.3)])
def test_log_densities_are_those_of_whole_numbers(n: int, p: float) -> None:
    """Logarithms of exact binomial coefficients, at most 7000 here and so right to 7000 * 2^-52 * a few."""
    for k in {0, 1, n // 3, n // 2, n - 1, n}:
        exact = math.log(math.comb(n, k)) + k * math.log(p) + (n - k) * math.log1p(-p)
        assert binomial.binomial_log_density(k, n, p) == pytest.approx(exact, abs=1e-11)


def test_log_densities_of_a_trillion_agents_have_the_right_ratios() -> None:
    """f(k+1)/f(k) = (n-k)/(k+1) p/q, summed over a deviation of 5 * 10^5 in steps of 10^3 by the midpoint rule."""
    n, p = 10**12, 0.3
    mean, step = int(n * p), 1000
    for start in (mean, mean - 10**6, mean + 10**6):
        steps = np.arange(start, start + 500_000, step) + (step - 1) / 2
        exact = float(step * np.log((n - steps) / (steps + 1) * (p / (1 - p))).sum())
        found = binomial.binomial_log_density(start + 500_000, n, p) - binomial.binomial_log_density(start, n, p)
        # Rounding of the 500 logarithms: step * 2^-53 each; and of n p, 6e-5 of a deviation of 4.6e5, times 4.
        assert found == pytest.approx(exact, abs=500 * step * 2.0**-53 * 10 + 1e-8)


def sent_to(y: FloatArray, n: int, p: float) -> FloatArray:
    """The normal numbers z that Cornish and Fisher send to y, by bisection on the branch that increases."""
    mean, spread, skew = n * p, math.sqrt(n * p * (1 - p)), 1 - 2 * p
    low, high = np.full(y.shape, -3 * spread / max(skew, 1e-300)), np.full(y.shape, 1e4)
    low = np.maximum(low, -1e4)
    for _ in range(100):
        middle = (low + high) / 2
        below = mean + spread * middle + skew * (middle**2 - 1) / 6 < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


MEANS = [binomial.LEAST_MEAN, 5.4, 6, 7, 8.3, 10, 12, 15, 20, 33, 50, 100, 400]


@pytest.mark.parametrize("p", [1e-6, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49, 0.5])
def test_rejection_is_sound(p: float) -> None:
    """The hat lies above the law at every count, and what is accepted at once lies below it, for every Z of the count.

    The proposals' law is found here by bisection and from tails by scipy.
    """
    for mean in MEANS:
        n = math.ceil(mean / p)
        variance = n * p * (1 - p)
        k = np.arange(min(n, int(n * p + 30 * math.sqrt(variance))) + 1)
        low, high = sent_to(k - 0.5, n, p), sent_to(k + 0.5, n, p)
        logs = np.where(high < -low, stats.norm.logcdf([high, low]), stats.norm.logsf([low, high]))
        log_proposed = logs[0] + np.log(-np.expm1(logs[1] - logs[0]))
        exact = np.array([binomial.binomial_log_density(i, n, p) for i in k.tolist()])
        ratio = np.exp(exact - log_proposed)
        assert ratio.max() <= 1 + binomial.MOST / variance
        nearest = np.where(low * high < 0, 0.0, np.minimum(abs(low), abs(high)))
        assert (ratio >= 1 - (binomial.LEAST + binomial.BEND * nearest**4) / variance).all()
        found = np.array([binomial.proposal_density(i, n, p) for i in k.tolist()])
        seen = log_proposed > -300  # further out there is nothing but zeros
        # Differences of error functions: some ulps of the larger one, which is `spread` times as large.
        np.testing.assert_allclose(np.log(found[seen]), log_proposed[seen], rtol=0, atol=1e-12 * math.sqrt(variance))


@pytest.mark.parametrize(("n", "p"), [(12, 0.45), (300, 0.03), (10**4, 0.7), (10**12, 0.2)])
def test_quick_counts_are_those_of_the_careful_way(n: int, p: float) -> None:
    """Whatever two words stand for at once, they also stand for when every ratio is found; most do."""
    words = np.random.default_rng(20).integers(0, 2**64, (2, 3000), dtype=np.uint64)
    quick = [binomial.quick_binomial(a, b, n, p) for a, b in words.T]
    state = stream(21)
    careful = [binomial.careful_binomial(state.copy(), a, b, n, p) for a, b in words.T]
    decided = np.array(quick) >= 0
    assert decided.mean() > 0.85
    assert (np.array(quick)[decided] == np.array(careful)[decided]).all()
