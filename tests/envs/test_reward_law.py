"""RewardLaw against its own probabilities: moments, draws, sums of draws, refusals.

Moments are within 5 standard errors (chance of a false alarm: 6e-7), laws pass chi-square tests at p > 1e-4.
"""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from lotteries import check_sums, frequencies, law_of_total

from kofn.envs import RewardLaw
from kofn.envs.arrays import FloatArray

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]

LAW = RewardLaw(
    [[[0.0, 1.0, 5.0], [2.0, 3.0, 7.0]], [[-1.0, 0.0, 9.0], [-8.0, 4.5, 6.0]]],
    [[[0.5, 0.3, 0.2], [0.1, 0.9, 0.0]], [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]],
)
"""Two by two entries; 7, 9, -8 and 4.5 are never paid."""


def test_moments_and_support_by_hand() -> None:
    np.testing.assert_allclose(LAW.mean, [[1.3, 2.9], [-0.25, 6.0]], rtol=1e-15)
    assert (LAW.lowest, LAW.highest, LAW.spread) == (-1.0, 6.0, 7.0)


def test_the_spread_is_over_all_entries_together() -> None:
    """Each entry alone is certain."""
    assert RewardLaw.certain([[1.0, 4.0], [2.0, -3.0]]).spread == 7.0


def test_certain_rewards_are_always_paid() -> None:
    table = np.random.default_rng(0).normal(size=(2, 3, 4))
    law = RewardLaw.certain(table)
    np.testing.assert_array_equal(law.mean, table)
    index = np.unravel_index(np.arange(24), table.shape)
    np.testing.assert_array_equal(law.sample(np.random.default_rng(1), *index), table.ravel())
    np.testing.assert_array_equal(law.sample_sums(np.random.default_rng(1), np.arange(24), *index), index_sums(table))


def index_sums(table: FloatArray) -> FloatArray:
    return np.asarray(np.arange(table.size) * table.ravel())


@pytest.mark.parametrize("entry", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_draws_follow_the_law_of_their_entry(entry: tuple[int, int], assert_law: AssertLaw) -> None:
    """Frequencies, mean and variance; all entries are drawn in one call."""
    n = 20_000
    rows, columns = np.tile(np.arange(2)[:, None, None], (1, 2, n)), np.arange(2)[None, :, None]
    draws = LAW.sample(np.random.default_rng(2), rows, columns)[entry]
    values, probabilities = LAW.values[entry], LAW.probabilities[entry]
    assert_law(frequencies(draws, values), probabilities)
    variance = probabilities @ (values - LAW.mean[entry]) ** 2
    fourth = probabilities @ (values - LAW.mean[entry]) ** 4
    assert abs(draws.mean() - LAW.mean[entry]) <= 5 * np.sqrt(variance / n) + 1e-12
    assert abs(draws.var() - variance) <= 5 * np.sqrt((fourth - variance**2) / n) + 25 * variance / n + 1e-12


def test_draws_are_independent(assert_law: AssertLaw) -> None:
    """Two entries of one call, and one entry in two calls: joint laws are products."""
    rng = np.random.default_rng(3)
    first, second = np.transpose([LAW.sample(rng, [0, 1], [0, 0]) for _ in range(20_000)])
    for one, other, entry in ((first, second, (1, 0)), (first[:-1], first[1:], (0, 0))):
        values = LAW.values[0, 0], LAW.values[entry]
        found = [[((one == u) & (other == v)).sum() for v in values[1]] for u in values[0]]
        assert np.sum(found) == len(one)
        assert_law(found, np.outer(LAW.probabilities[0, 0], LAW.probabilities[entry]))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("entry", [(0, 0), (1, 0), (1, 1)])
def test_sums_have_the_law_of_draws_added_up(count: int, entry: tuple[int, int], assert_law: AssertLaw) -> None:
    counts = np.full(20_000, count)
    index = (np.full(20_000, entry[0]), np.full(20_000, entry[1]))
    law = law_of_total(LAW, [entry] * count)
    check_sums(LAW.sample_sums(np.random.default_rng(count), counts, *index), law, assert_law)
    rng = np.random.default_rng(count + 10)
    check_sums(sum((LAW.sample(rng, *index) for _ in range(count)), np.zeros(20_000)), law, assert_law)


def test_sums_of_any_number_of_draws() -> None:
    """10^12 draws cost what one costs; mean and standard deviation over 400 sums."""
    n, count = 400, 10**12
    sums = LAW.sample_sums(np.random.default_rng(4), count, np.zeros(n, dtype=int), 0)
    variance = LAW.probabilities[0, 0] @ (LAW.values[0, 0] - 1.3) ** 2
    scaled = (sums - 1.3 * count) / np.sqrt(variance * count)
    assert abs(scaled.mean()) <= 5 / np.sqrt(n)
    assert abs(scaled.var() - 1) <= 5 * np.sqrt(2 / n)


def test_counts_and_indices_broadcast() -> None:
    rng = np.random.default_rng(5)
    assert LAW.sample(rng, [[0], [1], [1]], [0, 1]).shape == (3, 2)
    assert LAW.sample_sums(rng, [[3], [2], [0]], 1, [0, 1]).shape == (3, 2)
    assert LAW.sample_sums(rng, np.array([2, 3]), 1, 1).tolist() == [12.0, 18.0]
    assert LAW.sample(rng, 1, 1) == 6.0
    alone = RewardLaw([1.0, 2.0], [0.0, 1.0])  # a single entry takes no index
    assert alone.mean == alone.sample(rng) == 2.0
    assert alone.sample_sums(rng, [4, 5]).tolist() == [8.0, 10.0]


def test_the_generator_decides_the_draws() -> None:
    index = np.zeros(50, dtype=int), np.zeros(50, dtype=int)
    draws = [LAW.sample(np.random.default_rng(seed), *index).tolist() for seed in (1, 1, 2)]
    sums = [LAW.sample_sums(np.random.default_rng(seed), 30, *index).tolist() for seed in (1, 1, 2)]
    for first, again, other in (draws, sums):
        assert first == again
        assert first != other


@pytest.mark.parametrize(
    "again", [copy.deepcopy, copy.copy, lambda law: pickle.loads(pickle.dumps(law)), lambda law: law]
)
def test_arrays_are_read_only_copies(again: Callable[[RewardLaw], RewardLaw]) -> None:
    values = np.array([[1.0, 2.0]])
    law = RewardLaw(values, [[0.5, 0.5]])
    assert law.mean == law.sample_sums(np.random.default_rng(0), 0, 0) + 1.5  # fills what is cached
    copied = again(law)
    values[...] = 7
    for array in (copied.values, copied.probabilities, copied.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3.0
    assert copied.values.tolist() == [[1.0, 2.0]]
    with pytest.raises(FrozenInstanceError):
        copied.values = values  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize(
    ("values", "probabilities", "error", "message"),
    [
        (3.0, 1.0, ValueError, "RewardLaw.values must have a last axis of outcomes [..., j]; got 3.0"),
        ([[1.0, np.inf]], [[0.5, 0.5]], ValueError, "RewardLaw.values must be finite; entry [0, 1] is inf"),
        ("abc", [1.0], ValueError, "RewardLaw.values must have a last axis of outcomes [..., j]; got 'abc'"),
        (["a"], [1.0], TypeError, "RewardLaw.values must be an array of real numbers; got list (dtype <U1)"),
        ([1.0, 2.0], ["a", "b"], TypeError, "RewardLaw.probabilities must be an array of real numbers; got list"),
        ([], [], ValueError, "RewardLaw.values must have shape [any]; got [0]: axis 0 has size 0"),
        ([1.0, 2.0], [1.0], ValueError, "RewardLaw.probabilities must have shape [2]; got [1]: axis 0 has size 1"),
        ([[1.0, 2.0]], [0.5, 0.5], ValueError, "RewardLaw.probabilities must have 2 axes [1, 2]; got shape [2]"),
        ([1.0, 2.0], [1.5, -0.5], ValueError, "RewardLaw.probabilities must be nonnegative (probabilities); entry [1]"),
        ([[1.0], [2.0]], [[1.0], [0.9]], ValueError, "must have rows that sum to 1 within 1e-08; row [1] sums to 0.9"),
    ],
)
def test_bad_laws_are_refused(values: Any, probabilities: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        RewardLaw(values, probabilities)


def test_bad_draws_are_refused() -> None:
    rng = np.random.default_rng(0)
    for index in ((), (0,), (0, 0, 0)):
        message = f"a reward law of shape [2, 2, 3] takes 2 indices; got {len(index)}"
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            LAW.sample(rng, *index)
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            LAW.sample_sums(rng, 1, *index)
    with pytest.raises(TypeError, match=r"^an index must be integers; got dtype float64$"):
        LAW.sample(rng, 0, 1.0)
    with pytest.raises(TypeError, match=r"^counts must be integers; got dtype float64$"):
        LAW.sample_sums(rng, [1.5], 0, 0)
