"""Samplers against exact laws at 1 to 10^12 agents."""

import re
from collections import Counter
from collections.abc import Callable
from math import comb, prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.population import (
    MAX_AGENTS,
    conditional_probabilities,
    count_states,
    sample_multinomial,
    sample_without_replacement,
)

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]


def test_count_states_counts_each_population() -> None:
    states = np.random.default_rng(0).integers(0, 4, size=(50, 9))
    counts = count_states(states, 5)
    assert [[Counter(row)[x] for x in range(5)] for row in states.tolist()] == counts.tolist()
    np.testing.assert_array_equal(count_states(np.zeros((3, 0), dtype=np.int64), 2), np.zeros((3, 2)))


# --- multinomial


def test_conditional_probabilities_exclude_earlier_outcomes() -> None:
    rows = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.25, 0.0, 0.75], [1.0, 0.0, 0.0]])
    expected = [[0.5, 0.5, 1.0], [0.0, 1.0, 0.0], [0.25, 0.0, 1.0], [1.0, 0.0, 0.0]]
    np.testing.assert_array_equal(conditional_probabilities(rows), expected)


def test_the_last_possible_outcome_takes_the_rest_exactly() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(6), size=2000)
    rows[:, 4:] = 0
    rows /= rows.sum(axis=1, keepdims=True)
    assert (rows.sum(axis=1) != 1).any()  # else rounding is not put to the test
    conditional = conditional_probabilities(rows)
    np.testing.assert_array_equal(conditional[:, 3:], [[1.0, 0.0, 0.0]] * 2000)
    assert conditional.max() <= 1


def multinomial_law(n: int, p: FloatArray) -> FloatArray:
    return np.array([stats.multinomial.pmf(row, n, p) for row in enumerate_histograms(n, len(p))])


def tally(samples: IntArray) -> IntArray:
    """How often each histogram was drawn, in rank order; samples [n_samples, n_states] of one total."""
    assert samples.min() >= 0
    (k,) = set(samples.sum(axis=1).tolist())
    return np.bincount(rank_histograms(samples), minlength=n_histograms(k, samples.shape[1]))


@pytest.mark.parametrize(
    "p", [[0.2, 0.5, 0.3], [0.0, 0.5, 0.5], [0.9, 0.1, 0.0], [0.5, 0.0, 0.5], [0.25] * 4, [0.7, 0.3]]
)
@pytest.mark.parametrize("n", [1, 2, 6])
def test_multinomial_law(p: list[float], n: int, assert_law: AssertLaw) -> None:
    conditional = conditional_probabilities(np.array(p))
    samples = sample_multinomial(np.random.default_rng(1), np.full(20_000, n), conditional)
    assert samples.shape == (20_000, len(p))
    assert samples.dtype == np.int64
    assert_law(tally(samples), multinomial_law(n, np.array(p)))


def test_multinomial_law_for_every_cell_of_a_batch(assert_law: AssertLaw) -> None:
    totals = np.tile([[1, 4], [3, 0], [2, 5]], (20_000, 1, 1))  # [batch, 3, 2]
    p = np.random.default_rng(2).dirichlet(np.ones(3), size=(3, 2))
    samples = sample_multinomial(np.random.default_rng(3), totals, conditional_probabilities(p))
    assert samples.shape == (20_000, 3, 2, 3)
    for i, j in np.ndindex(3, 2):
        assert_law(tally(samples[:, i, j]), multinomial_law(totals[0, i, j], p[i, j]))


def test_cells_of_a_batch_are_independent(assert_law: AssertLaw) -> None:
    p = np.array([[0.3, 0.7], [0.6, 0.4]])
    samples = sample_multinomial(np.random.default_rng(4), np.full((40_000, 2), 2), conditional_probabilities(p))
    joint = np.bincount(samples[:, 0, 0] * 3 + samples[:, 1, 0], minlength=9)
    assert_law(joint, np.outer(stats.binom.pmf(range(3), 2, 0.3), stats.binom.pmf(range(3), 2, 0.6)))


@pytest.mark.parametrize(
    ("totals_shape", "p_shape", "shape"),
    [
        ((), (), ()),
        ((4,), (), (4,)),
        ((), (4,), (4,)),
        ((5, 1), (4,), (5, 4)),
        ((2, 3), (5, 2, 3), (5, 2, 3)),
        ((0,), (), (0,)),
    ],
)
def test_multinomial_axes_broadcast(
    totals_shape: tuple[int, ...], p_shape: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(5)
    totals = rng.integers(0, 10**6, size=totals_shape)
    p = rng.dirichlet(np.ones(3), size=p_shape)
    samples = sample_multinomial(rng, np.asarray(totals), conditional_probabilities(p))
    assert samples.shape == (*shape, 3)
    np.testing.assert_array_equal(samples.sum(axis=-1), np.broadcast_to(totals, shape))


@pytest.mark.parametrize("n", [10**6, 10**9, MAX_AGENTS])
@pytest.mark.parametrize("p", [[0.2, 0.5, 0.3], [1e-4, 0.4999, 0.5], [0.0, 1 / 3, 2 / 3]])
def test_large_multinomials_are_normal_with_the_right_moments(n: int, p: list[float]) -> None:
    """Kolmogorov-Smirnov on 2000 counts, p > 1e-4: the exact binomial law where few are expected, else the normal.

    The normal is then within 0.48 / sqrt(n p q) of the binomial (Berry-Esseen): below 0.001, where 0.05 is significant.
    """
    samples = sample_multinomial(np.random.default_rng(6), np.full(2000, n), conditional_probabilities(np.array(p)))
    np.testing.assert_array_equal(samples.sum(axis=1), n)
    for count, chance in zip(samples.T, p, strict=True):
        if chance == 0:
            assert not count.any()
        elif n * chance * (1 - chance) > 0.48**2 * 1e6:
            spread = (n * chance * (1 - chance)) ** 0.5
            jitter = np.random.default_rng(7).uniform(-0.5, 0.5, 2000)  # counts are whole
            assert stats.kstest((count - n * chance + jitter) / spread, "norm").pvalue > 1e-4
        else:
            assert stats.kstest(count + np.random.default_rng(7).random(2000), continued(n, chance)).pvalue > 1e-4


def continued(n: int, p: float) -> Callable[[FloatArray], FloatArray]:
    """Distribution function of a binomial count plus an independent uniform number."""

    def cdf(x: FloatArray) -> FloatArray:
        whole = np.floor(x)
        below = stats.binom.cdf(whole - 1, n, p)
        return below + (x - whole) * (stats.binom.cdf(whole, n, p) - below)

    return cdf


@pytest.mark.parametrize("n", [1, 10**6, MAX_AGENTS])
def test_impossible_outcomes_are_never_drawn(n: int) -> None:
    """Rows whose rounded sums are off by a unit in the last place would leak some 10^-16 of 10^12 agents."""
    rng = np.random.default_rng(8)
    p = rng.dirichlet(np.full(8, 0.5), size=20_000)
    p[rng.random(p.shape) < 0.5] = 0
    p[np.arange(20_000), rng.integers(0, 8, 20_000)] += 0.1  # no row is left empty
    p /= p.sum(axis=1, keepdims=True)
    samples = sample_multinomial(rng, np.full(20_000, n), conditional_probabilities(p))
    assert not samples[p == 0].any()
    np.testing.assert_array_equal(samples.sum(axis=1), n)


# --- without replacement


def exact_hypergeometric(counts: tuple[int, ...], k: int) -> FloatArray:
    """Law of the sample in rank order, from whole numbers: prod C(c_x, h_x) / C(n, k)."""
    cells = enumerate_histograms(k, len(counts)).tolist()
    n_ways = [prod(map(comb, counts, cell)) for cell in cells]
    return np.array([ways / comb(sum(counts), k) for ways in n_ways])


@pytest.mark.parametrize(("counts", "k"), [((3, 2, 1), 3), ((5, 0, 2), 2), ((4, 4), 4), ((2, 60, 9), 65)])
def test_the_oracle_agrees_with_scipy(counts: tuple[int, ...], k: int) -> None:
    """scipy takes logarithms of factorials: 4 units in the last place of each, about 200 here, of 2 S + 3 of them."""
    expected = stats.multivariate_hypergeom.pmf(enumerate_histograms(k, len(counts)), counts, k)
    rounding = 4 * np.finfo(float).eps * 200 * (2 * len(counts) + 3)
    np.testing.assert_allclose(exact_hypergeometric(counts, k), expected, rtol=rounding)


@pytest.mark.parametrize(
    ("counts", "k"),
    [
        ((3, 2, 1), 0),
        ((3, 2, 1), 1),
        ((3, 2, 1), 3),
        ((3, 2, 1), 5),
        ((5, 0, 2), 2),
        ((0, 0, 9), 4),
        ((40, 25), 64),
        ((300, 2, 1), 64),
        ((6 * 10**11, 3 * 10**11, 10**11), 3),
        ((10**12 - 2, 1, 1), 2),
        ((10**9, 10**9), 64),
        # more than 64 agents: state by state
        ((65, 1, 1), 65),
        ((60, 10, 3), 70),
        ((30, 0, 40), 65),
        ((10**4, 10**4), 65),
        ((5 * 10**8 - 1, 5 * 10**8), 65),
        # more than 64 of at least 10^9 agents: by a table of our own
        ((10**9, 10**9), 65),
        ((5 * 10**11, 5 * 10**11), 70),
        ((10**9, 0), 100),
    ],
)
def test_sampling_without_replacement_has_the_exact_law(counts: tuple[int, ...], k: int, assert_law: AssertLaw) -> None:
    populations = np.tile(counts, (10_000, 1))
    samples = sample_without_replacement(np.random.default_rng(9), populations, k)
    assert samples.dtype == np.int64
    assert (samples <= populations).all()
    assert_law(tally(samples), exact_hypergeometric(counts, k))


@pytest.mark.parametrize("counts", [(10**9, 2, 1), (10**12 - 6, 3, 3), (3 * 10**11, 7 * 10**11)])
def test_what_a_nearly_complete_sample_leaves_has_the_exact_law(counts: tuple[int, ...], assert_law: AssertLaw) -> None:
    """The agents left out are a sample themselves, of size n - k = 2."""
    populations = np.tile(counts, (10_000, 1))
    samples = sample_without_replacement(np.random.default_rng(19), populations, sum(counts) - 2)
    assert_law(tally(populations - samples), exact_hypergeometric(counts, 2))


@pytest.mark.parametrize("k", [2, 66])
def test_populations_of_one_batch_may_differ(k: int, assert_law: AssertLaw) -> None:
    kinds = [(66, 1, 1), (1, 66, 2), (k, 0, 0), (30, 20, 16)]
    samples = sample_without_replacement(np.random.default_rng(10), np.tile(kinds, (8000, 1)), k)
    for i, counts in enumerate(kinds):
        assert_law(tally(samples[i::4]), exact_hypergeometric(counts, k))


@pytest.mark.parametrize("k", [3, 70])
def test_populations_of_one_batch_are_independent(k: int, assert_law: AssertLaw) -> None:
    counts = (2, k)
    samples = sample_without_replacement(np.random.default_rng(11), np.tile(counts, (40_000, 1)), k)[:, 0]
    law = stats.hypergeom.pmf(range(3), sum(counts), 2, k)
    assert_law(np.bincount(samples[::2] * 3 + samples[1::2], minlength=9), np.outer(law, law))


@pytest.mark.parametrize("n", [1, 64, 65, 10**9 - 1, 10**9, MAX_AGENTS])
@pytest.mark.parametrize("k", [1, 64, 65, 1000])
def test_samples_hold_k_agents_of_the_population(n: int, k: int) -> None:
    k = min(k, n)
    counts = np.array([[n, 0, 0], [0, n, 0], [n // 3, n - n // 3 - n // 5, n // 5]])
    samples = sample_without_replacement(np.random.default_rng(12), counts, k)
    np.testing.assert_array_equal(samples.sum(axis=1), k)
    assert ((samples >= 0) & (samples <= counts)).all()


@pytest.mark.parametrize(
    ("counts", "k"),
    [
        ((4 * 10**8, 6 * 10**8 - 1), 10**5),
        ((4 * 10**8, 6 * 10**8), 10**5),
        ((3 * 10**11, 7 * 10**11), 2 * 10**7),
        ((3 * 10**11, 7 * 10**11), 10**12 - 2 * 10**7),
    ],
)
def test_large_samples_are_normal_with_the_right_moments(counts: tuple[int, int], k: int) -> None:
    """2000 samples: Kolmogorov-Smirnov, p > 1e-4.

    The variance is k p (1 - p) (n - k) / (n - 1); the normal is within 1 / sqrt(that) = 0.007 of the law.
    """
    n, p = sum(counts), counts[0] / sum(counts)
    drawn = sample_without_replacement(np.random.default_rng(16), np.tile(counts, (2000, 1)), k)[:, 0]
    spread = (k * p * (1 - p) * (n - k) / (n - 1)) ** 0.5
    jitter = np.random.default_rng(17).uniform(-0.5, 0.5, 2000)  # counts are whole
    assert stats.kstest((drawn - k * p + jitter) / spread, "norm").pvalue > 1e-4


def test_half_of_the_largest_population_can_be_drawn() -> None:
    """The widest law there is: deviation 250,000 about 2.5 * 10^11, each of three samples within 6 of them."""
    half = MAX_AGENTS // 2
    samples = sample_without_replacement(np.random.default_rng(18), np.tile([half, half], (3, 1)), half)
    assert len(set(samples[:, 0].tolist())) == 3
    assert (np.abs(samples[:, 0] - half // 2) < 6 * 250_000).all()


@pytest.mark.parametrize("n", [1, 64, 65, 10**9, MAX_AGENTS])
def test_all_agents_are_the_population_itself(n: int) -> None:
    counts = np.array([[n, 0], [n // 2, n - n // 2]])
    rng = np.random.default_rng(13)
    before = rng.bit_generator.state
    samples = sample_without_replacement(rng, counts, n)
    np.testing.assert_array_equal(samples, counts)
    assert not np.shares_memory(samples, counts)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("k", [0, 1, 5, 64])
@pytest.mark.parametrize("n", [65, 10**4, 3 * 10**9, MAX_AGENTS])
def test_draws_do_not_depend_on_where_agents_are(k: int, n: int) -> None:
    """Common random numbers: after sampling from other counts of as many agents the generator is where it would be."""
    states = []
    for counts in ([[n, 0, 0], [1, n - 1, 0]], [[0, 0, n], [n // 3, n // 3, n - 2 * (n // 3)]]):
        rng = np.random.default_rng(14)
        sample_without_replacement(rng, np.array(counts), k)
        states.append(rng.bit_generator.state)
    assert states[0] == states[1]


def test_a_population_does_not_see_the_others() -> None:
    first = np.array([30, 20, 15])
    samples = [
        sample_without_replacement(np.random.default_rng(15), np.array([first, other]), 20)[0].tolist()
        for other in ([65, 0, 0], [0, 1, 64])
    ]
    assert samples[0] == samples[1]


@pytest.mark.parametrize(
    ("counts", "k", "error", "message"),
    [
        ([[3, 2], [2, 2]], 5, ValueError, "k must be at most the number of agents; population 1 has 4, k is 5"),
        ([[3, 2]], -1, ValueError, "k must be at least 0; got -1"),
        ([[3, 2]], 2.0, TypeError, "k must be an integer; got 2.0 (float)"),
    ],
)
def test_impossible_samples_are_refused(counts: list[list[int]], k: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        sample_without_replacement(np.random.default_rng(0), np.array(counts), k)
