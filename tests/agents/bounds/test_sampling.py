"""Sample and population histograms: exact probabilities over all subsets against every bound."""

import math
from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.bounds import (
    dkw_probability,
    dkw_radius,
    expected_total_variation,
    expected_total_variation_independent,
    total_variation_printed,
    total_variation_quantile,
)
from kofn.agents.bounds.sampling import finite_population
from kofn.envs.arrays import FloatArray
from kofn.envs.population import sample_without_replacement

SMALL = [(n, k, n_states) for n in (2, 4, 6) for k in range(1, n + 1) for n_states in (2, 3)]


def deviations(n: int, k: int, n_states: int) -> Iterator[FloatArray]:
    """For every population of n agents: F_D - F for each subset of k of them, float [subset, s_l]."""
    for counts in brute_force.count_vectors(n, n_states):
        agents = np.repeat(np.arange(n_states), counts)
        subsets = np.array([brute_force.counts_of(seen, n_states) for seen in combinations(agents.tolist(), k)])
        yield subsets / k - np.array(counts) / n


@pytest.mark.parametrize(("n", "k", "n_states"), SMALL)
def test_expected_total_variation_bounds_the_exact_expectation(n: int, k: int, n_states: int) -> None:
    bound = expected_total_variation(k, n, n_states)
    exact = max(np.abs(apart).sum(axis=1).mean() / 2 for apart in deviations(n, k, n_states))
    assert exact <= bound.value + 1e-12
    assert bound.verdict == "holds"


@pytest.mark.parametrize(("n", "k"), [(2, 1), (6, 1), (40, 1)])
def test_expected_total_variation_is_attained(n: int, k: int) -> None:
    """One agent seen of two equal halves is 1/2 off, always."""
    assert expected_total_variation(k, n, 2).value == 0.5


def test_expected_total_variation_by_hand() -> None:
    assert expected_total_variation(4, 16, 5).value == pytest.approx(math.sqrt(4 * 12 / (4 * 15)) / 2)
    assert expected_total_variation_independent(4, 5).value == 0.5
    assert expected_total_variation(7, 10**12, 5).value == pytest.approx(math.sqrt(4 / 7) / 2)


def test_seeing_everyone_or_one_state_leaves_nothing() -> None:
    for n in (1, 2, 9):
        assert finite_population(n, n) == 0.0
        assert expected_total_variation(n, n, 3).value == 0.0
        assert total_variation_quantile(n, n, 3, 0.1).value == 0.0
    assert expected_total_variation(2, 9, 1).value == 0.0


def test_expected_total_variation_falls_with_k() -> None:
    values = [expected_total_variation(k, 20, 4).value for k in range(1, 21)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 20


@pytest.mark.parametrize("delta", [0.5, 0.2, 0.05])
@pytest.mark.parametrize(("n", "k", "n_states"), SMALL)
def test_quantile_is_exceeded_with_probability_delta_at_most(n: int, k: int, n_states: int, delta: float) -> None:
    bound = total_variation_quantile(k, n, n_states, delta)
    assert bound.probability == 1 - delta
    for apart in deviations(n, k, n_states):
        assert (np.abs(apart).sum(axis=1) / 2 > bound.value + 1e-12).mean() <= delta


def test_quantile_by_hand() -> None:
    expected = math.sqrt(4 * 12 / (4 * 15)) / 2 + math.sqrt(math.log(20) / 8)
    assert total_variation_quantile(4, 16, 5, 0.05).value == pytest.approx(expected)


@pytest.mark.parametrize(("n", "k", "n_states"), SMALL)
def test_dkw_holds_for_the_sup_norm(n: int, k: int, n_states: int) -> None:
    for radius in (0.05, 0.2, 0.4, 0.6, 0.9):
        bound = dkw_probability(radius, k, n, n_states)
        exact = max((np.abs(apart).max(axis=1) > radius).mean() for apart in deviations(n, k, n_states))
        assert exact <= bound


def test_dkw_by_hand() -> None:
    assert dkw_probability(0.5, 8, 10, 3) == pytest.approx(6 * math.exp(-2 * 8 * 10 * 0.25 / 3))
    assert dkw_probability(0.01, 1, 10, 3) == 1.0


@pytest.mark.parametrize("delta", [0.5, 0.01])
def test_dkw_radius_inverts_its_probability(delta: float) -> None:
    for k, n, n_states in ((1, 5, 3), (10, 1000, 100), (30, 30, 2)):
        bound = dkw_radius(k, n, n_states, delta)
        assert dkw_probability(bound.value, k, n, n_states) == pytest.approx(delta)
        assert (bound.verdict, bound.probability) == ("holds", 1 - delta)


def test_sup_norm_radius_is_no_radius_of_total_variation() -> None:
    """|S_l| = 100, k = 10, n = 1000: at most 10 of 100 states are seen, so total variation is 0.9 or more, always."""
    bound = total_variation_printed(10, 1000, 100, 0.1)
    assert bound.value == pytest.approx(0.614, abs=5e-4)
    assert bound.false_as_printed
    population = np.full((2000, 100), 10)
    sampled = sample_without_replacement(np.random.default_rng(1), population, 10)
    apart = np.abs(sampled / 10 - 0.01)
    assert (apart.sum(axis=1) / 2).min() >= 0.9 - 1e-12
    assert (apart.max(axis=1) > dkw_radius(10, 1000, 100, 0.1).value).mean() <= 0.1
    assert (apart.sum(axis=1) / 2).max() <= total_variation_quantile(10, 1000, 100, 0.1).value


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: dkw_probability(-0.1, 1, 2, 2), "radius must be positive and finite; got -0.1"),
        (lambda: dkw_radius(3, 2, 2, 0.1), "k must be between 1 and 2; got 3"),
        (lambda: dkw_radius(1, 2, 0, 0.1), "n_local_states must be at least 1; got 0"),
        (lambda: total_variation_printed(1, 2, 2, 1.0), "delta must lie strictly between 0 and 1; got 1.0"),
        (lambda: expected_total_variation(1, 2, 0), "n_local_states must be at least 1; got 0"),
        (lambda: expected_total_variation_independent(0, 2), "k must be at least 1; got 0"),
        (lambda: total_variation_quantile(1, 2, 2, 0.0), "delta must be positive and finite; got 0.0"),
    ],
)
def test_rejected(call: Callable[[], object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()
