"""Statistical checks with one stated level, and the game that test_parallel*.py play.

Seeds are fixed, so a test passes or fails for good. The level says how surprising a draw may be under the law that is
claimed: p > 1e-4 for whole laws. Cells with fewer than five expected draws are pooled, as the chi-square limit needs.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from parallel_play import N_GLOBAL, N_LOCAL
from scipy import stats

from kofn.envs import TabularGame

LEVEL = 1e-4
FEWEST_EXPECTED = 5.0
MakeGame = Callable[..., TabularGame]


def check_law(observed: npt.ArrayLike, law: npt.ArrayLike) -> None:
    """Numbers of draws per cell against the probabilities of the cells (chi-square, p > 1e-4)."""
    draws, expected = np.asarray(observed, dtype=float).ravel(), np.asarray(law, dtype=float).ravel()
    np.testing.assert_allclose(expected.sum(), 1, rtol=1e-9, err_msg="the oracle is no distribution")
    expected = expected * draws.sum()
    assert not draws[expected == 0].any(), f"impossible cells were drawn: {np.flatnonzero(draws * (expected == 0))}"
    rare = expected < FEWEST_EXPECTED
    draws = np.append(draws[~rare], draws[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    draws, expected = draws[expected > 0], expected[expected > 0]
    if len(expected) == 1:
        return
    p = stats.chi2.sf(((draws - expected) ** 2 / expected).sum(), len(expected) - 1)
    assert p > LEVEL, f"p={p:.2g}: drawn {draws}, expected {expected.round(1)}"


def check_same_law(first: npt.ArrayLike, second: npt.ArrayLike) -> None:
    """Numbers of draws per cell of two samples (two-sample chi-square, p > 1e-4)."""
    table = np.stack([np.ravel(first), np.ravel(second)]).astype(float)
    rare = table.sum(axis=0) < 2 * FEWEST_EXPECTED
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    p = stats.chi2_contingency(table, correction=False).pvalue
    assert p > LEVEL, f"p={p:.2g}: {table}"


@pytest.fixture(scope="session")
def assert_law() -> Callable[[npt.ArrayLike, npt.ArrayLike], None]:
    """`assert_law(observed, law)`: draws per cell follow the law."""
    return check_law


@pytest.fixture(scope="session")
def assert_same_law() -> Callable[[npt.ArrayLike, npt.ArrayLike], None]:
    """`assert_same_law(first, second)`: draws per cell of two samples follow one law."""
    return check_same_law


@pytest.fixture
def game(random_game: MakeGame) -> TabularGame:
    """All four sizes differ, so that no two axes can be mixed up."""
    return random_game(1, n_global=N_GLOBAL, n_local=N_LOCAL, n_global_actions=5, n_local_actions=2)
