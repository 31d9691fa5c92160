"""Normal draws: shape, law, independence within pairs, and the largest draw that 24 bits allow."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kofn.envs.normals import standard_normals

LEVEL = 1e-4
N = 400_000


@pytest.fixture(scope="module")
def draws() -> Any:
    return standard_normals(np.random.default_rng(0), (N,)).astype(float)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 3, 4), (0,), (3, 0)])
def test_shape_and_type(shape: tuple[int, ...]) -> None:
    drawn = standard_normals(np.random.default_rng(0), shape)
    assert (drawn.shape, drawn.dtype) == (shape, np.float32)


def test_law(draws: Any) -> None:
    assert stats.kstest(draws, "norm").pvalue > LEVEL
    tails = np.abs(draws) > 3
    assert stats.binomtest(int(tails.sum()), N, 2 * stats.norm.sf(3)).pvalue > LEVEL


def test_moments_within_five_standard_errors(draws: Any) -> None:
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((draws**power).mean() - moment) < 5 * math.sqrt(variance / N)


@pytest.mark.parametrize("lag", [1, 2, N // 2])
def test_draws_are_uncorrelated(draws: Any, lag: int) -> None:
    """Neighbours, and the two draws of a pair, which lie N/2 apart; their squares too."""
    first, second = draws[:-lag], draws[lag:]
    for one, other in ((first, second), (first**2, second**2)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / math.sqrt(len(first))


class Words(np.random.Generator):
    """Gives the same 64 bits for ever."""

    def __init__(self, word: int) -> None:
        super().__init__(np.random.PCG64())
        self.word = word

    def integers(self, *_: Any, **__: Any) -> Any:
        return np.array([self.word], dtype=np.uint64)


def test_extreme_words_give_finite_draws() -> None:
    smallest = standard_normals(Words(0), (2,))
    np.testing.assert_allclose(smallest, [math.sqrt(50 * math.log(2)), 0], rtol=1e-6)
    largest = standard_normals(Words(2**64 - 1), (2,))
    np.testing.assert_allclose(largest, [0, 0], atol=1e-3)


def test_same_generator_same_draws() -> None:
    first, second = (standard_normals(np.random.default_rng(5), (9,)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(set(first.tolist())) == 9
