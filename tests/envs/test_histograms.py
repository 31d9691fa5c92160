"""Histograms against itertools, ranks against closed forms."""

import itertools
import re
from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms, unrank_histograms

INT64_MAX = 2**63 - 1


def brute_force_histograms(k: int, n_states: int) -> list[tuple[int, ...]]:
    """All count vectors with total k, in lexicographic order."""
    return sorted(c for c in itertools.product(range(k + 1), repeat=n_states) if sum(c) == k)


@pytest.mark.parametrize(("k", "n_states"), [(k, s) for k in range(6) for s in range(1, 5)] + [(30, 2), (2, 7)])
def test_enumeration_is_lexicographic_and_complete(k: int, n_states: int) -> None:
    histograms = enumerate_histograms(k, n_states)
    assert histograms.dtype == np.int64
    assert [tuple(row) for row in histograms.tolist()] == brute_force_histograms(k, n_states)
    assert n_histograms(k, n_states) == len(histograms)
    np.testing.assert_array_equal(rank_histograms(histograms), np.arange(len(histograms)))


@pytest.mark.parametrize(("k", "n_states"), [(1, 1), (3, 2), (40, 4), (10, 6)])
def test_the_first_histogram_has_everyone_in_the_last_state(k: int, n_states: int) -> None:
    histograms = enumerate_histograms(k, n_states)
    np.testing.assert_array_equal(histograms[0], [0] * (n_states - 1) + [k])
    np.testing.assert_array_equal(histograms[-1], [k] + [0] * (n_states - 1))


def largest_rankable(n_states: int) -> int:
    """The largest k whose ranks fit: C(k + S - 1, S - 1) S <= 2^63 - 1 (the stated bound on partial products)."""
    low, high = 0, 2**62
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if comb(middle + n_states - 1, n_states - 1) * n_states <= INT64_MAX else (low, middle - 1)
        )
    return low


SIZES = [(0, 1), (0, 4), (7, 1), (10**12, 1), (10**12, 2), (10**6, 3), (30, 5), (2, 40), (1, 60)] + [
    (largest_rankable(n_states), n_states) for n_states in (3, 4, 5, 20)
]


@given(data=st.data())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_ranks_and_histograms_are_inverse(data: st.DataObject) -> None:
    small = st.tuples(st.integers(0, 200), st.integers(1, 6))
    k, n_states = data.draw(st.one_of(st.sampled_from(SIZES), small))
    ranks = np.array(data.draw(st.lists(st.integers(0, n_histograms(k, n_states) - 1), min_size=1, max_size=5)))
    histograms = unrank_histograms(ranks, k, n_states)
    assert histograms.shape == (len(ranks), n_states)
    assert histograms.min() >= 0
    np.testing.assert_array_equal(histograms.sum(axis=1), k)
    np.testing.assert_array_equal(rank_histograms(histograms), ranks)
    by_rank = [histogram for _, histogram in sorted(zip(ranks.tolist(), histograms.tolist(), strict=True))]
    assert by_rank == sorted(histograms.tolist())  # Python orders lists lexicographically


@pytest.mark.parametrize(("k", "n_states"), SIZES)
def test_the_first_and_last_rank_at_every_size(k: int, n_states: int) -> None:
    last = n_histograms(k, n_states) - 1
    first, final = [0] * (n_states - 1) + [k], [k] + [0] * (n_states - 1)
    np.testing.assert_array_equal(unrank_histograms([0, last], k, n_states), [first, final])
    np.testing.assert_array_equal(rank_histograms([first, final]), [0, last])


def test_ranks_have_closed_forms_for_two_and_three_states() -> None:
    rng = np.random.default_rng(0)
    for k in (5, 10**6, 10**9):
        for a, b in rng.integers(0, k // 2, size=(50, 2)).tolist():
            assert rank_histograms([a, k - a]) == a
            # k - i + 1 histograms start with i, for every i < a; then the second count orders.
            assert rank_histograms([a, b, k - a - b]) == a * (k + 1) - a * (a - 1) // 2 + b


def test_every_vector_is_ranked_among_those_of_its_own_total() -> None:
    vectors = [[0, 0, 3], [1, 0, 0], [0, 0, 0], [2, 2, 1]]
    expected = [brute_force_histograms(sum(v), 3).index(tuple(v)) for v in vectors]
    np.testing.assert_array_equal(rank_histograms(vectors), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32, np.int64, np.uint64])
def test_counts_of_every_integer_type_are_ranked(dtype: Any) -> None:
    histograms = enumerate_histograms(100, 2)
    ranks = rank_histograms(histograms.astype(dtype))
    assert ranks.dtype == np.int64
    np.testing.assert_array_equal(ranks, np.arange(101))


def test_ranks_of_any_shape() -> None:
    ranks = np.arange(15).reshape(3, 5)
    histograms = unrank_histograms(ranks, 4, 3)
    assert histograms.shape == (3, 5, 3)
    np.testing.assert_array_equal(rank_histograms(histograms), ranks)
    assert unrank_histograms(7, 4, 3).shape == (3,)
    assert rank_histograms(unrank_histograms(7, 4, 3)) == 7
    assert rank_histograms(np.zeros((0, 3), dtype=int)).shape == (0,)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: n_histograms(-1, 2), ValueError, "k must be at least 0; got -1"),
        (lambda: n_histograms(2.0, 2), TypeError, "k must be an integer; got 2.0 (float)"),  # type: ignore[arg-type]
        (lambda: n_histograms(2, 0), ValueError, "n_states must be at least 1; got 0"),
        (lambda: enumerate_histograms(2**31, 2), ValueError, "histograms of 2147483648 agents over 2 states are over"),
        (lambda: enumerate_histograms(10**6, 10**4), ValueError, "too many for a table; lower k"),
        (lambda: rank_histograms([1.0, 2.0]), TypeError, "must be integer counts [..., n_states]; got float64 [2]"),
        (lambda: rank_histograms(3), TypeError, "must be integer counts [..., n_states]; got int64 []"),
        (lambda: rank_histograms([[1, 2], [3, -1]]), ValueError, "histograms must be nonnegative; entry [1, 1] is -1"),
        (lambda: rank_histograms(np.zeros((2, 0), dtype=int)), ValueError, "n_states must be at least 1; got 0"),
        (lambda: unrank_histograms([0, 15], 4, 3), ValueError, "ranks must lie in [0, 15); entry [1] is 15"),
        (lambda: unrank_histograms([[0, 1], [-1, 0]], 4, 3), ValueError, "must lie in [0, 15); entry [1, 0] is -1"),
        (lambda: unrank_histograms(15, 4, 3), ValueError, "ranks must lie in [0, 15); entry [0] is 15"),
        (lambda: unrank_histograms([1.7, True], 3, 2), TypeError, "ranks must be integers; got float64: [1.7, 1.0]"),
        (lambda: unrank_histograms([True], 3, 2), TypeError, "ranks must be integers; got bool: [True]"),
        (lambda: unrank_histograms(["1"], 3, 2), TypeError, "ranks must be integers; got <U1: ['1']"),
        (lambda: unrank_histograms([None, 10**30], 3, 2), TypeError, "ranks must be integers; got object: [None, 10"),
        (lambda: unrank_histograms([0, 10**30], 3, 2), ValueError, f"[0, 4); entry [1] is {10**30}"),
        (lambda: unrank_histograms([2**63], 3, 2), ValueError, f"ranks must lie in [0, 4); entry [0] is {2**63}"),
        (lambda: rank_histograms([[1, 1], [2**62, 2**62]]), ValueError, f"to be ranked; row [1] has {2**63}"),
        (lambda: rank_histograms([[2**62] * 4] * 2), ValueError, f"below 2^63 to be ranked; row [0] has {2**64}"),
        (lambda: rank_histograms([2**62, 2**62]), ValueError, f"below 2^63 to be ranked; row [0] has {2**63}"),
        (lambda: rank_histograms(np.array([2**63, 0], dtype=np.uint64)), ValueError, f"row [0] has {2**63}"),
        (lambda: rank_histograms([2**62, 0]), ValueError, f"histograms of {2**62} agents over 2 states are too many"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("n_states", [3, 4, 5, 20])
def test_one_agent_more_than_can_be_ranked_is_refused(n_states: int) -> None:
    k = largest_rankable(n_states) + 1
    message = f"^histograms of {k} agents over {n_states} states are too many to rank with 64-bit integers$"
    with pytest.raises(ValueError, match=message):
        unrank_histograms(0, k, n_states)
    with pytest.raises(ValueError, match=message):
        rank_histograms([k] + [0] * (n_states - 1))


@pytest.mark.parametrize("k", [1024, 1025])
def test_ranks_are_those_of_vectors_ranked_alone(k: int) -> None:
    """Whether coefficients are looked up or multiplied; a single vector is ranked by Python's integers."""
    ranks = np.random.default_rng(k).integers(0, n_histograms(k, 4), size=20)
    histograms = unrank_histograms(ranks, k, 4)
    np.testing.assert_array_equal(rank_histograms(histograms), ranks)
    assert [int(rank_histograms(histogram)) for histogram in histograms] == ranks.tolist()


def test_the_largest_total_is_ranked_where_there_is_one_state() -> None:
    assert rank_histograms(np.array([[INT64_MAX], [3]])).tolist() == [0, 0]
    assert unrank_histograms([], 3, 2).shape == (0, 2)
