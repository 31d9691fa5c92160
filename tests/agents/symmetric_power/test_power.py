"""Shears against dense kernels and convex combinations, for every class of kernels; their adjoints; the probe."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from oracle.stochastic_kernels import CLASSES, MakeKernel, de_casteljau, dirichlet, permutation_like

from kofn.agents.exact_operator import exact_operator
from kofn.agents.operators import exact_kernel
from kofn.agents.symmetric_power.factorisation import factorise
from kofn.agents.symmetric_power.power import TOLERANCE, SymmetricPower, UnstablePowerError, probe, symmetric_power
from kofn.envs.histograms import n_histograms, rank_histograms

ALLOWED = 1e-10
"""What the library promises, relative to the largest |V|; the operators themselves are trusted up to a tenth of it."""

SIZES = ((3, 12), (2, 12), (4, 5), (5, 4), (3, 7), (4, 7), (6, 3), (5, 1), (8, 2))
WORST = np.array([[0.0, 0.45, 0.55], [0.52, 0.0, 0.48], [0.41, 0.59, 0.0]])
NEVER_STAYING = 0.5 * np.roll(np.eye(5), 1, axis=1) + 0.5 * np.roll(np.eye(5), -1, axis=1)
"""The one ring walk whose shears lose a bit per agent: g = 2."""


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
def test_two_hundred_kernels_of_every_class_agree_with_dense_ones(make: MakeKernel) -> None:
    """Expectations, and the adjoint by <T V, d> = <V, T' d>."""
    rng = np.random.default_rng(0)
    for (n_states, k), _ in zip(cycle(SIZES), range(200), strict=False):
        transition = make(n_states, rng)
        power, dense = symmetric_power(transition, k), exact_kernel(transition, k)
        values, weights = rng.uniform(-1, 1, (2, len(dense), 3))
        expected = dense @ values
        assert np.abs(power @ values - expected).max() <= ALLOWED
        assert power.error <= TOLERANCE
        moved = power.T @ weights
        assert np.abs(moved - dense.T @ weights).max() <= ALLOWED * np.abs(weights).sum(axis=0).max()
        assert np.vdot(expected, weights) == pytest.approx(np.vdot(values, moved), abs=ALLOWED * len(dense))


def test_orders_are_sought_where_the_states_own_does_not_do() -> None:
    """Nothing cancels in a lazy walk as it stands; the first pivots of the others are 0 or small."""
    lazy, rotated = 0.9 * np.eye(4) + 0.025, np.roll(np.eye(4), 1, axis=1)
    assert factorise(lazy, enough=1.01).in_order
    for transition in (rotated, NEVER_STAYING, rotated @ lazy):
        shears = factorise(transition, enough=1.01)
        assert not shears.in_order
        values = np.random.default_rng(0).uniform(-1, 1, (n_histograms(5, len(transition)), 3))
        expected = exact_kernel(transition, 5) @ values
        assert symmetric_power(transition, 5) @ values == pytest.approx(expected, abs=ALLOWED)


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
def test_twelve_agents_in_five_states_agree_with_the_dense_kernel(make: MakeKernel) -> None:
    rng = np.random.default_rng(1)
    transition = make(5, rng)
    values = rng.uniform(-1, 1, n_histograms(12, 5))
    assert np.abs(symmetric_power(transition, 12) @ values - exact_kernel(transition, 12) @ values).max() <= ALLOWED


@pytest.mark.parametrize("k", [30, 50])
def test_many_agents_agree_with_convex_combinations(k: int) -> None:
    """Rows at the corners, where errors grow most, in the middle and between, on values without any structure."""
    rng = np.random.default_rng(k)
    rows = [*(k * np.eye(5, dtype=int)), np.full(5, k // 5), *rng.multinomial(k, np.full(5, 0.2), 2)]
    values = rng.uniform(-1, 1, n_histograms(k, 5))
    kernels = [make(5, rng) for make in (CLASSES if k == 30 else (dirichlet, permutation_like))]
    found = [(symmetric_power(kernel, k) @ values)[rank_histograms(np.array(rows))] for kernel in kernels]
    assert np.abs(found - de_casteljau(kernels, k, rows, values)).max() <= ALLOWED


def test_columns_come_in_any_number_and_shape() -> None:
    """More columns than are carried at once, one, and one without an axis of its own."""
    transition = dirichlet(3, np.random.default_rng(2))
    power, dense = symmetric_power(transition, 5), exact_kernel(transition, 5)
    values = np.random.default_rng(3).standard_normal((21, 19))
    for columns in (values, values[:, :1], values[:, 0], values[:, ::2], values.reshape(21, 19, 1)):
        assert power @ columns == pytest.approx(np.tensordot(dense, columns, 1), abs=1e-13)
        assert power.T @ columns == pytest.approx(np.tensordot(dense.T, columns, 1), abs=1e-13)
    assert power.toarray() == pytest.approx(dense, abs=1e-14)
    assert power.T.toarray() == pytest.approx(dense.T, abs=1e-14)
    assert power.T.T @ values == pytest.approx(power @ values, abs=0)
    with pytest.raises(ValueError, match=r"one row per histogram, 21 of them; got shape \[20, 2\]"):
        power @ values[:20, :2]


def test_one_state_and_permutations_lose_nothing() -> None:
    assert (symmetric_power(np.ones((1, 1)), 7) @ np.array([[3.0, -1.0]])).tolist() == [[3.0, -1.0]]
    values = np.random.default_rng(4).standard_normal((n_histograms(6, 4), 2))
    transition = np.roll(np.eye(4), 1, axis=1)
    assert (symmetric_power(transition, 6) @ values == exact_kernel(transition, 6) @ values).all()


def test_the_probe_sees_what_the_dense_kernel_sees() -> None:
    """Shears of another kernel are off by as much as the kernels differ; those of an unstable one lose digits."""
    rng = np.random.default_rng(5)
    one, other = symmetric_power(dirichlet(4, rng), 6), symmetric_power(dirichlet(4, rng), 6)
    assert probe(one) <= 1e-13
    assert probe(SymmetricPower(transition=one.transition, n_agents=6, shears=other.shears)) > 0.01
    values = rng.uniform(-1, 1, n_histograms(12, 5))
    power = symmetric_power(NEVER_STAYING, 12)
    error = np.abs(power @ values - exact_kernel(NEVER_STAYING, 12) @ values).max()
    assert 1e-15 < error <= 10 * probe(power)


def test_kernels_without_accurate_shears_are_refused_or_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnstablePowerError, match=r"error is \S+ for 30 agents and growth 2\.000"):
        symmetric_power(NEVER_STAYING, 30)
    with pytest.raises(UnstablePowerError):
        exact_operator(NEVER_STAYING, 30)  # its dense kernel would have 46376^2 entries
    assert isinstance(exact_operator(NEVER_STAYING, 9), SymmetricPower)
    monkeypatch.setattr("kofn.agents.symmetric_power.power.TOLERANCE", 1e-17)
    with pytest.warns(UserWarning, match=r"of 9 agents is a dense kernel, which is slower: shears must reproduce"):
        dense = exact_operator(NEVER_STAYING, 9)
    assert isinstance(dense, np.ndarray)
    assert (dense == exact_kernel(NEVER_STAYING, 9)).all()


def test_an_application_that_loses_digits_warns_and_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shears that no probe has let through, of 60 agents; where no dense kernel fits there is only the warning."""
    power = SymmetricPower(transition=WORST, n_agents=60, shears=factorise(WORST, 1.0))
    values = np.random.default_rng(0).random((n_histograms(60, 3), 2))
    dense = exact_kernel(WORST, 60)
    with pytest.warns(RuntimeWarning, match=r"60 agents lost digits: .* off by \S+\. Expectations are computed again"):
        found = power @ values
    np.testing.assert_allclose(found, dense @ values, rtol=0, atol=1e-12)
    with pytest.warns(RuntimeWarning, match="60 agents lost digits"):
        moved = power.T @ values
    np.testing.assert_allclose(moved, dense.T @ values, rtol=1e-10, atol=1e-12)
    monkeypatch.setattr("kofn.agents.operators.dense_kernels_fit", lambda *_: False)
    poor = SymmetricPower(transition=WORST, n_agents=60, shears=factorise(WORST, 1.0))
    with pytest.warns(RuntimeWarning, match="Expectations are kept as they are; use operator='monte_carlo'"):
        poor @ values


@pytest.mark.parametrize("n_columns", [1, 7, 8, 9, 16])
def test_lost_digits_are_seen_however_many_columns_there_are(n_columns: int) -> None:
    """No lane is to spare for the function 1 where columns are a multiple of those that are carried at once."""
    transition = dirichlet(3, np.random.default_rng(0))
    power, dense = symmetric_power(transition, 6), exact_kernel(transition, 6)
    broken = replace(power, shears=replace(power.shears, stay=power.shears.stay * 1.01))
    values = np.random.default_rng(1).random((len(dense), n_columns))
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="6 agents lost digits"):
            assert broken @ values == pytest.approx(dense @ values, abs=1e-13)
    assert probe(broken) > 1e-3, "of the shears alone, not of the kernel that steps in for them"


def test_few_histograms_get_dense_kernels() -> None:
    rng = np.random.default_rng(6)
    kinds = {(n, k): isinstance(exact_operator(dirichlet(n, rng), k), np.ndarray) for n, k in [(5, 6), (5, 8), (2, 99)]}
    assert kinds == {(5, 6): True, (5, 8): False, (2, 99): False}
    assert exact_operator(np.eye(3), 0) == pytest.approx(np.ones((1, 1)))
