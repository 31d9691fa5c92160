"""The authors' heuristic against largest remainders in exact fractions."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import g_learn
from kofn.agents.global_response.rounded import round_to_agents, rounded_kernel
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


def largest_remainder(expected: list[Fraction], k: int) -> tuple[int, ...]:
    """One agent after another to the largest remainder left, the lowest state first among equals."""
    counts = [floor(e) for e in expected]
    remainders = [e - c for e, c in zip(expected, counts, strict=True)]
    while sum(counts) < k:
        x = remainders.index(max(remainders))
        counts[x] += 1
        remainders[x] = Fraction(-1)
    return tuple(counts)


@pytest.mark.parametrize(("n_states", "k", "unit"), [(2, 5, 10), (3, 4, 10), (3, 7, 6), (4, 5, 8), (5, 3, 20)])
def test_successors_in_exact_fractions(n_states: int, k: int, unit: int) -> None:
    """Rows are multiples of 1/10, 1/6, ..: floating point must not decide ties and whole numbers."""
    rng = np.random.default_rng(k)
    shares = rng.multinomial(unit, np.ones(n_states) / n_states, n_states)
    kernel = rounded_kernel(shares / unit, k).toarray()
    counts = brute_force.count_vectors(k, n_states)
    for row, c in enumerate(counts):
        expected = [sum(Fraction(c[x] * int(shares[x, y]), unit) for x in range(n_states)) for y in range(n_states)]
        wanted = np.zeros(len(counts))
        wanted[counts.index(largest_remainder(expected, k))] = 1
        assert kernel[row].tolist() == wanted.tolist()


def test_ties_go_to_the_lowest_states() -> None:
    expected = np.array([[0.75, 0.75, 0.75, 0.75], [1.5, 0.5, 1.0, 0.0], [0.2, 0.4, 0.4, 1.0]])
    assert round_to_agents(expected).tolist() == [[1, 1, 1, 0], [2, 0, 1, 0], [0, 1, 0, 1]]


def test_whole_numbers_stay() -> None:
    """10 x 0.1, 10 x 0.2, 10 x 0.7, some of which floating point puts just below the whole number."""
    kernel = rounded_kernel(np.array([[0.1, 0.2, 0.7]] * 3), 10).toarray()
    assert (kernel[:, brute_force.count_vectors(10, 3).index((1, 2, 7))] == 1).all()
    expected = np.array([[1 - 1e-16, 2 - 4e-16, 7 + 9e-16], [3 * 0.1 * 10, 7 - 4e-15, 0.0]])
    assert round_to_agents(expected).tolist() == [[1, 2, 7], [3, 7, 0]]


def values_by_hand(game: TabularGame, policy: LocalPolicy, k: int) -> FloatArray:
    """Plain value iteration over (s_g, counts) with one successor each, for 1000 sweeps."""
    n_global, n_actions = game.global_reward.shape
    n_local = game.n_local_states
    counts = brute_force.count_vectors(k, n_local)
    q = np.zeros((n_global, len(counts), n_actions))
    successor = np.zeros((n_global, len(counts)), dtype=int)
    rewards = np.zeros_like(q)
    for s_g, (i, c) in product(range(n_global), enumerate(counts)):
        expected = [0.0] * n_local
        for x in range(n_local):
            for a in range(game.n_local_actions):
                weight = c[x] * policy.table[x, s_g, a]
                rewards[s_g, i] += weight * game.local_reward[x, s_g, a] / k
                expected = [e + weight * p for e, p in zip(expected, game.local_transition[x, s_g, a], strict=True)]
        successor[s_g, i] = counts.index(largest_remainder([Fraction(e).limit_denominator(10**8) for e in expected], k))
    rewards += game.global_reward[:, None, :]
    for _ in range(1000):
        best = q.max(axis=2)
        ahead = best[:, successor]  # [s_g', s_g, counts]
        q = rewards + game.discount * np.einsum("pgf,gap->gfa", ahead, game.global_transition)
    return q


@pytest.mark.parametrize(("seed", "k"), [(0, 2), (1, 3), (2, 5)])
def test_values_are_those_of_the_deterministic_successor(
    random_game: Games, random_local: LocalPolicies, seed: int, k: int
) -> None:
    game = random_game(seed, n_local=3)
    policy = random_local(game, seed)
    result = g_learn(game, policy, k=k, operator="rounded", tolerance=1e-9)
    assert result.q_values == pytest.approx(values_by_hand(game, policy, k), abs=2e-9)
    assert (result.operator, result.n_samples, result.converged) == ("rounded", 0, True)
    assert np.isnan(result.theory.bellman_noise)


def test_the_heuristic_is_another_operator(random_game: Games, random_local: LocalPolicies) -> None:
    """Not G-LEARN: its values are off by more than any tolerance, and no sample size would mend it."""
    game = random_game(1, n_local=3)
    policy = random_local(game, 1)
    exact, rounded = (g_learn(game, policy, k=2, operator=name) for name in ("exact", "rounded"))  # type: ignore[arg-type] # literals
    assert np.abs(exact.q_values - rounded.q_values).max() > 0.01


def test_agents_that_do_not_err_need_no_rounding() -> None:
    """Where every agent's move is certain the rounded operator is the exact one."""
    game = warehouse(n_zones=3)
    certain = TabularGame(
        global_transition=game.global_transition,
        local_transition=np.broadcast_to(np.roll(np.eye(3), 1, axis=1)[:, None, None], game.local_transition.shape),
        global_reward=game.global_reward,
        local_reward=game.local_reward,
        discount=0.9,
    )
    stay = LocalPolicy.named("stay", certain)
    exact, rounded = (g_learn(certain, stay, k=3, operator=name) for name in ("exact", "rounded"))  # type: ignore[arg-type] # literals
    assert rounded.q_values == pytest.approx(exact.q_values, abs=1e-10)
