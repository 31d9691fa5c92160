"""Kernels against individual agents, and the properties of the Bellman operators that the solver relies on."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.averaging_kernel import averaging_kernel
from kofn.agents.operators import (
    MAX_DENSE_BYTES,
    bellman_operator,
    dense_kernels_fit,
    exact_kernel,
    induced_reward,
    induced_transition,
    look_ahead,
    paired_look_ahead,
    sampled_kernel,
    sampled_successors,
    surrogate_reward,
)
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


def transition_matrix(n_states: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).dirichlet(np.ones(n_states), n_states)


def kernel_by_tuples(transition: FloatArray, k: int) -> FloatArray:
    """Law of the next histogram, summed over the joint moves of k individual agents."""
    n_states = len(transition)
    size = len(brute_force.count_vectors(k, n_states))
    kernel = np.zeros((size, size))
    for states in product(range(n_states), repeat=k):
        row = np.zeros(size)
        for landed in product(range(n_states), repeat=k):
            chance = np.prod([transition[x, y] for x, y in zip(states, landed, strict=True)])
            row[brute_force.rank(landed, n_states)] += chance
        # Every ordering of the same histogram must give the same row.
        kernel[brute_force.rank(states, n_states)] = row
    return kernel


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("n_states", [2, 3])
def test_exact_kernel_equals_enumeration_of_agents(n_states: int, k: int) -> None:
    transition = transition_matrix(n_states, seed=k)
    assert exact_kernel(transition, k) == pytest.approx(kernel_by_tuples(transition, k), abs=1e-14)


def test_exact_kernel_of_structured_transitions() -> None:
    for transition in (np.eye(3), np.roll(np.eye(3), 1, axis=1), np.array([[0.0, 1.0, 0.0]] * 3)):
        assert exact_kernel(transition, 3) == pytest.approx(kernel_by_tuples(transition, 3), abs=1e-15)


def test_exact_kernel_of_no_agents_and_of_one_state() -> None:
    assert exact_kernel(transition_matrix(3, 0), 0).tolist() == [[1.0]]
    assert exact_kernel(np.ones((1, 1)), 4).tolist() == [[1.0]]


@pytest.mark.parametrize(("n_states", "k"), [(2, 40), (3, 12), (5, 5)])
def test_exact_kernel_rows_are_distributions(n_states: int, k: int) -> None:
    kernel = exact_kernel(transition_matrix(n_states, seed=1), k)
    assert kernel.min() >= 0
    # k convex combinations, each of relative error at most n_states rounding units.
    assert np.abs(kernel.sum(axis=1) - 1).max() <= k * n_states * np.finfo(float).eps


def test_exact_kernel_of_one_state_pair_is_binomial() -> None:
    """From all k in state 0 of two, the number left there is Binomial(k, p)."""
    k, p = 30, 0.3
    kernel = exact_kernel(np.array([[p, 1 - p], [0.5, 0.5]]), k)
    chances = np.array([1.0])
    for _ in range(k):
        chances = np.append(chances * (1 - p), 0) + np.append(0, chances * p)
    assert kernel[-1] == pytest.approx(chances, abs=1e-14)


@pytest.mark.parametrize(("n_states", "k"), [(2, 3), (3, 2), (3, 3)])
def test_sampled_kernel_is_unbiased(n_states: int, k: int) -> None:
    """Bernstein over all entries at level 1e-6: |error| <= sqrt(2 p (1-p) L/m) + L/(3 m), L = ln(2 N/1e-6)."""
    transition = transition_matrix(n_states, seed=7)
    exact = exact_kernel(transition, k)
    m = 20_000
    sampled = sampled_kernel(transition, k, m, np.random.default_rng(3)).toarray()
    log_term = np.log(2 * exact.size / 1e-6)
    allowed = np.sqrt(2 * exact * (1 - exact) * log_term / m) + log_term / (3 * m)
    assert (np.abs(sampled - exact) <= allowed).all()
    # The bound is tight enough to notice a kernel whose rows are shifted by one.
    assert not (np.abs(sampled - np.roll(exact, 1, axis=0)) <= allowed).all()


def test_samples_of_a_row_are_independent() -> None:
    """Over 800 kernels of m = 5: every entry has mean p and, in each row, the summed variance is sum p (1-p)/m.

    The mean within Bernstein's bound at level 1e-6 for 4000 samples. A row's summed squared error has a relative
    standard deviation of at most sqrt(2) (one outcome and the rest), so that its mean over 800 kernels lies within
    4.5 sqrt(2/800) = 22.5% of its expectation; equal or paired samples would double it and more.
    """
    transition = transition_matrix(3, seed=2)
    exact = exact_kernel(transition, 3)
    rng = np.random.default_rng(11)
    errors = np.array([sampled_kernel(transition, 3, 5, rng).toarray() - exact for _ in range(800)])
    log_term = np.log(2 * exact.size / 1e-6)
    assert (np.abs(errors.mean(axis=0)) <= np.sqrt(exact * (1 - exact) * log_term / 2000) + log_term / 12_000).all()
    spread = (errors**2).mean(axis=0).sum(axis=1) / ((exact * (1 - exact)).sum(axis=1) / 5)
    assert spread == pytest.approx(np.ones(len(exact)), abs=0.225)


def test_sampled_kernel_rows_average_the_samples() -> None:
    kernel = sampled_kernel(transition_matrix(3, 0), 4, 7, np.random.default_rng(0))
    scaled = kernel.toarray() * 7
    assert kernel.shape == (15, 15)
    assert scaled == pytest.approx(np.rint(scaled), abs=1e-12)
    assert scaled.sum(axis=1) == pytest.approx(np.full(15, 7))


def test_sampled_kernel_never_reaches_the_impossible() -> None:
    transition = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    sampled = sampled_kernel(transition, 3, 200, np.random.default_rng(1)).toarray()
    assert not (sampled[exact_kernel(transition, 3) == 0]).any()


def test_sampled_kernel_is_a_function_of_its_generator() -> None:
    first, second, other = (sampled_kernel(transition_matrix(3, 0), 3, 5, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (first.toarray() == second.toarray()).all()
    assert (first.toarray() != other.toarray()).any()


def test_induced_law_and_reward_average_over_actions(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1, n_global=3, n_local=2, n_local_actions=3)
    policy = random_local(game, 1)
    transitions, rewards = induced_transition(game, policy), induced_reward(game, policy)
    for s_g, x in product(range(3), range(2)):
        weights = policy.table[x, s_g]
        assert transitions[s_g, x] == pytest.approx(
            sum(weights[a] * game.local_transition[x, s_g, a] for a in range(3))
        )
        assert rewards[s_g, x] == pytest.approx(sum(weights[a] * game.local_reward[x, s_g, a] for a in range(3)))


def test_surrogate_reward_equals_the_mean_over_agents(random_game: Games, random_local: LocalPolicies) -> None:
    game, k = random_game(2, n_local=3), 3
    policy = random_local(game, 2)
    rewards = surrogate_reward(game, policy, k)
    for a_g in range(game.n_global_actions):
        _, paid = brute_force.decision(game, k, policy.table, a_g)
        for i, s in enumerate(brute_force.joint_states(game, k)):
            assert rewards[s[0], brute_force.rank(s[1:], 3), a_g] == pytest.approx(paid[i], abs=1e-13)


@pytest.fixture(params=["exact", "sampled"])
def operator(
    request: pytest.FixtureRequest, random_game: Games, random_local: LocalPolicies
) -> Callable[[FloatArray], FloatArray]:
    """T (exact) or T_{k,m} (one fixed draw) of a game with 2 global states, 10 histograms and 3 actions."""
    game, k = random_game(5, n_local=3, n_global_actions=3, discount=0.8), 3
    policy = random_local(game, 5)
    rng = np.random.default_rng(0)
    transitions = induced_transition(game, policy)
    exact = request.param == "exact"
    kernels = [exact_kernel(t, k) if exact else sampled_kernel(t, k, 4, rng) for t in transitions]
    rewards = surrogate_reward(game, policy, k)
    return lambda q: bellman_operator(q, rewards, kernels, game.global_transition, game.discount)


def tables(seed: int, n: int) -> FloatArray:
    return 10 * np.random.default_rng(seed).standard_normal((n, 2, 10, 3))


Operator = Callable[[FloatArray], FloatArray]


def test_operator_is_monotone(operator: Operator) -> None:
    for q, raised in zip(tables(0, 20), tables(1, 20), strict=True):
        assert (operator(q + np.abs(raised)) >= operator(q) - 1e-12).all()


def test_operator_is_a_contraction_by_the_discount(operator: Operator) -> None:
    for q, other in zip(tables(2, 20), tables(3, 20), strict=True):
        assert np.abs(operator(q) - operator(other)).max() <= 0.8 * np.abs(q - other).max() + 1e-12


def test_operator_moves_constants_by_the_discount(operator: Operator) -> None:
    for q in tables(4, 5):
        assert operator(q + 3.0) == pytest.approx(operator(q) + 0.8 * 3.0, abs=1e-12)


def test_fixed_samples_have_one_fixed_point(operator: Operator) -> None:
    """After t applications two starts differ by at most 0.8^t of their first distance."""
    low, high = tables(5, 2)
    first = np.abs(low - high).max()
    for _ in range(150):
        low, high = operator(low), operator(high)
    assert np.abs(low - high).max() <= 0.8**150 * first + 1e-12


def test_operator_equals_enumeration_of_agents(random_game: Games, random_local: LocalPolicies) -> None:
    """One application to an arbitrary table, entry by entry over individual agents."""
    game, k = random_game(6, n_global=3, n_local=2), 2
    policy = random_local(game, 6)
    kernels = [exact_kernel(t, k) for t in induced_transition(game, policy)]
    q = np.random.default_rng(0).standard_normal((3, 3, 2))
    result = bellman_operator(q, surrogate_reward(game, policy, k), kernels, game.global_transition, game.discount)
    states = brute_force.joint_states(game, k)
    best = np.array([q[s[0], brute_force.rank(s[1:], 2)].max() for s in states])
    for a_g in range(2):
        moves, paid = brute_force.decision(game, k, policy.table, a_g)
        wanted = paid + game.discount * moves @ best
        found = [result[s[0], brute_force.rank(s[1:], 2), a_g] for s in states]
        assert found == pytest.approx(wanted, abs=1e-13)


def test_averaging_kernel_counts_repeated_successors() -> None:
    kernel = averaging_kernel(np.array([[0, 0, 1, 2], [1, 1, 1, 1], [2, 0, 2, 0]]))
    assert kernel.toarray().tolist() == [[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0, 0.5]]


@pytest.mark.parametrize("n_columns", [1, 3, 4, 5, 8, 11])
def test_averaging_kernels_do_what_their_matrices_do(n_columns: int) -> None:
    """Expectations and their adjoint; sums of at most 20 * 7 numbers below 1 are right to 1e-13."""
    rng = np.random.default_rng(n_columns)
    ranks = rng.integers(0, 20, (20, 7))
    kernel, columns = averaging_kernel(ranks), rng.uniform(-1, 1, (20, n_columns))
    dense = np.zeros((20, 20))
    for row, successors in enumerate(ranks.tolist()):
        for rank in successors:
            dense[row, rank] += 1 / 7
    np.testing.assert_allclose(kernel @ columns, dense @ columns, rtol=0, atol=1e-13)
    np.testing.assert_allclose(kernel.T @ columns, dense.T @ columns, rtol=0, atol=1e-13)
    np.testing.assert_allclose(kernel.T.toarray(), dense.T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(kernel @ columns[:, 0], dense @ columns[:, 0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(kernel @ np.asfortranarray(columns), dense @ columns, rtol=0, atol=1e-13)
    assert kernel.T.T.shape == (20, 20)
    with pytest.raises(ValueError, match=r"columns must have one row per histogram, 20 of them; got shape \[19, "):
        kernel @ columns[1:]


def test_sampled_kernel_averages_its_successors() -> None:
    """The same generator gives the same samples, as ranks or as a kernel."""
    transition = transition_matrix(3, 1)
    successors = sampled_successors(transition, 4, 9, np.random.default_rng(2))
    kernel = sampled_kernel(transition, 4, 9, np.random.default_rng(2))
    assert successors.shape == (15, 9)
    assert (kernel.toarray() == averaging_kernel(successors).toarray()).all()


def test_paired_samples_are_averaged_pair_by_pair() -> None:
    rng = np.random.default_rng(4)
    values = rng.standard_normal((2, 5))
    successors = rng.integers(5, size=(2, 5, 3))
    global_samples = rng.integers(2, size=(2, 4, 3))
    found = paired_look_ahead(values, list(successors), global_samples)
    assert found.shape == (2, 5, 4)
    for s_g, f, a_g in product(range(2), range(5), range(4)):
        pairs = [values[global_samples[s_g, a_g, j], successors[s_g, f, j]] for j in range(3)]
        assert found[s_g, f, a_g] == pytest.approx(sum(pairs) / 3, abs=1e-15)


def test_look_ahead_sums_over_next_states(random_game: Games, random_local: LocalPolicies) -> None:
    game, k = random_game(3, n_global=3, n_local=2, n_global_actions=4), 3
    kernels = [exact_kernel(law, k) for law in induced_transition(game, random_local(game, 3))]
    values = np.random.default_rng(0).standard_normal((3, 4))
    found = look_ahead(values, kernels, game.global_transition)
    for s_g, f, a_g in product(range(3), range(4), range(4)):
        joint = np.outer(game.global_transition[s_g, a_g], kernels[s_g][f])
        assert found[s_g, f, a_g] == pytest.approx((joint * values).sum(), abs=1e-14)


def test_dense_guard_counts_bytes() -> None:
    """In 5 states k agents have C(k+4, 4) histograms: 7315 at k = 18, 8855 at k = 19."""
    assert 5 * 7315**2 * 8 <= MAX_DENSE_BYTES < 5 * 8855**2 * 8
    assert dense_kernels_fit(5, 5, 18)
    assert not dense_kernels_fit(5, 5, 19)
    assert not dense_kernels_fit(6, 5, 18)
