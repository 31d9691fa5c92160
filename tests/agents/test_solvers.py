"""Value iteration: its certificate bounds the error against policy iteration's exact linear algebra."""

from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from kofn.agents import lumped_chain
from kofn.agents.solvers import FixedPoint, iterate_afresh, value_iteration
from kofn.envs.arrays import FloatArray

Operator = Callable[[FloatArray], FloatArray]


def random_mdp(seed: int, discount: float) -> tuple[Operator, FloatArray]:
    """(T, exact Q*) of an MDP with 6 states and 3 actions, rewards in [-5, 5]."""
    rng = np.random.default_rng(seed)
    transition, rewards = rng.dirichlet(np.full(6, 0.5), (6, 3)), rng.uniform(-5, 5, (6, 3))

    def apply(q: FloatArray) -> FloatArray:
        result: FloatArray = rewards + discount * transition @ q.max(axis=1)
        return result

    actions = np.zeros(6, dtype=int)
    while True:  # policy iteration, which ends with the exact solution
        rows = np.arange(6)
        value = np.linalg.solve(np.eye(6) - discount * transition[rows, actions], rewards[rows, actions])
        q = rewards + discount * transition @ value
        if (q[rows, actions] >= q.max(axis=1) - 1e-12).all():
            return apply, q
        actions = q.argmax(axis=1)


def solve(seed: int, discount: float, **options: float) -> tuple[FixedPoint, float]:
    """(result, sup-norm error)."""
    apply, exact = random_mdp(seed, discount)
    result = value_iteration(apply, np.zeros((6, 3)), discount, **options)  # type: ignore[arg-type] # tolerance or max_iterations
    return result, float(np.abs(result.values - exact).max())


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("tolerance", [1.0, 1e-2, 1e-6, 1e-9])
def test_certificate_bounds_the_error(tolerance: float, discount: float) -> None:
    for seed in range(10):
        result, error = solve(seed, discount, tolerance=tolerance)
        assert result.converged
        assert result.certificate <= tolerance
        assert error <= result.certificate + 1e-11  # rounding of values up to 5/(1-0.99)


def test_certificate_is_not_idle() -> None:
    """The certificate is within a factor 100 of the error: a constant would not be."""
    errors = [solve(seed, 0.9, tolerance=1e-4) for seed in range(10)]
    assert max(error / result.certificate for result, error in errors) > 0.01
    # A certificate half as large would have been wrong somewhere after one application already.
    early = [solve(seed, 0.9, max_iterations=2) for seed in range(50)]
    assert max(error / result.certificate for result, error in early) > 0.5


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("tolerance", [1.0, 1e-2, 1e-6, 1e-9])
def test_certificate_holds_with_acceleration(tolerance: float, discount: float) -> None:
    for seed in range(10):
        result, error = solve(seed, discount, tolerance=tolerance, window=6)
        assert result.converged
        assert error <= min(result.certificate, tolerance) + 1e-11


def test_acceleration_saves_sweeps_and_never_needs_twice_as_many() -> None:
    """A failed combination costs one sweep, after which plain iteration goes on from the best iterate."""
    plain = np.array([solve(seed, 0.99, tolerance=1e-8)[0].n_iterations for seed in range(60)])
    for window in (1, 6, 30):
        needed = np.array([solve(seed, 0.99, tolerance=1e-8, window=window)[0].n_iterations for seed in range(60)])
        assert (needed <= 2 * plain + 1).all()
        assert needed.sum() < (1.0 if window == 1 else 0.7) * plain.sum()


def test_iterating_on_the_maximum_solves_for_the_table() -> None:
    """W -> Q(W), T W = max_a Q(W): the same Q*, certificate and all, as iterating on Q."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        transition, rewards = rng.dirichlet(np.full(6, 0.5), (6, 3)), rng.uniform(-5, 5, (6, 3))
        _, exact = random_mdp(seed, 0.9)
        result = value_iteration(
            lambda w, p=transition, r=rewards: r + 0.9 * p @ w,  # type: ignore[misc]  # defaults bind the loop's arrays
            np.zeros(6),
            0.9,
            reduce=lambda q: q.max(axis=1),
            window=6,
            tolerance=1e-7,
        )
        assert np.abs(result.values - exact).max() <= result.certificate + 1e-11
        assert result.certificate <= 1e-7


@pytest.mark.parametrize("max_iterations", [1, 2, 5, 20])
def test_stopping_early_is_said_and_still_certified(max_iterations: int) -> None:
    for seed in range(10):
        result, error = solve(seed, 0.95, tolerance=1e-9, max_iterations=max_iterations)
        assert not result.converged
        assert result.n_iterations == max_iterations
        assert 1e-9 < result.certificate < np.inf
        assert error <= result.certificate


def test_converging_in_the_last_iteration_counts() -> None:
    needed = solve(3, 0.9)[0].n_iterations
    assert solve(3, 0.9, max_iterations=needed)[0].converged
    assert not solve(3, 0.9, max_iterations=needed - 1)[0].converged


def test_constant_rewards_are_solved_at_once() -> None:
    """T Q - Q is constant, so the bounds meet after one application: Q* = 2/(1 - 0.9)."""
    result = value_iteration(lambda q: 2.0 + 0.9 * q, np.zeros(4), 0.9)
    assert result.values == pytest.approx(np.full(4, 20.0))
    assert (result.n_iterations, result.converged) == (1, True)
    assert result.certificate == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused(bad: float) -> None:
    def breaks_down(q: FloatArray) -> FloatArray:
        moved = 0.9 * q + [1.0, 2.0]
        moved[0] = bad if q[0] > 2 else moved[0]
        return moved

    with pytest.raises(FloatingPointError, match="non-finite value in iteration 4"):
        value_iteration(breaks_down, np.zeros(2), 0.9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tolerance": 0.0}, ValueError, "tolerance must be positive and finite; got 0.0"),
        ({"tolerance": -1e-6}, ValueError, "tolerance must be positive"),
        ({"tolerance": float("nan")}, ValueError, "tolerance must be positive"),
        ({"tolerance": "small"}, TypeError, "tolerance must be a number; got 'small'"),
        ({"max_iterations": 0}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"window": -1}, ValueError, "window must be at least 0; got -1"),
        ({"max_iterations": 2.5}, TypeError, "max_iterations must be an integer; got 2.5"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, float], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        solve(0, 0.9, **options)


def test_operators_drawn_afresh_are_applied_in_turn() -> None:
    """x -> 3, then x -> 5 + x/2, then x -> 2x: in this order, each once."""
    operators = iter([lambda q: 0 * q + 3, lambda q: 5 + q / 2, lambda q: 2 * q])
    result = iterate_afresh(lambda: next(operators), np.array([7.0, -1.0]), 3)
    assert result.values.tolist() == [13.0, 13.0]
    assert (result.n_iterations, result.converged) == (3, False)
    assert np.isnan(result.certificate)
    assert not list(operators)


def test_non_finite_values_of_fresh_operators_are_refused() -> None:
    operators = iter([lambda q: q + 1, lambda q: q - [0.0, np.inf]])
    with pytest.raises(FloatingPointError, match="non-finite value in iteration 2"):
        iterate_afresh(lambda: next(operators), np.zeros(2), 5)


def test_no_fresh_operators_are_refused() -> None:
    with pytest.raises(ValueError, match="n_iterations must be at least 1; got 0"):
        iterate_afresh(lambda: lambda q: q, np.zeros(2), 0)


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_solvers_take_one_thread_of_the_linear_algebra() -> None:
    """More would spin between small products; afterwards all is as it was, also after an error."""
    seen = []

    def watched(values: FloatArray) -> FloatArray:
        seen.append(blas_threads())
        return values / 2

    def diverging(values: FloatArray) -> FloatArray:
        return watched(values) * np.nan

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        value_iteration(watched, np.ones(3), 0.5, max_iterations=2)
        lumped_chain.discounted_sum(watched, np.ones((2, 2)), 0.5, 1e-6)
        with pytest.raises(FloatingPointError):
            value_iteration(diverging, np.ones(3), 0.5)
        assert blas_threads() == before
    assert set(before) == {2}
    assert {threads for found in seen for threads in found} == {1}
