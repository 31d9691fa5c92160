"""Random kernels of every class that local policies bring about, and convex combinations to compare with."""

from collections.abc import Callable, Sequence

import numpy as np

from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms

MakeKernel = Callable[[int, np.random.Generator], FloatArray]


def dirichlet(n: int, rng: np.random.Generator) -> FloatArray:
    return rng.dirichlet(np.full(n, rng.choice([0.3, 1.0])), n)


def near_identity(n: int, rng: np.random.Generator) -> FloatArray:
    return 0.97 * np.eye(n) + 0.03 * dirichlet(n, rng)


def nearly_equal_rows(n: int, rng: np.random.Generator) -> FloatArray:
    return 0.95 * rng.dirichlet(np.ones(n)) + 0.05 * dirichlet(n, rng)


def permutation(n: int, rng: np.random.Generator) -> FloatArray:
    return np.eye(n)[rng.permutation(n)]


def permutation_like(n: int, rng: np.random.Generator) -> FloatArray:
    return 0.95 * permutation(n, rng) + 0.05 * dirichlet(n, rng)


def duplicate_rows(n: int, rng: np.random.Generator) -> FloatArray:
    return dirichlet(n, rng)[rng.integers(max(1, n - 1), size=n)]


def low_rank(n: int, rng: np.random.Generator) -> FloatArray:
    rank = max(1, n // 2)
    return rng.dirichlet(np.ones(rank), n) @ dirichlet(n, rng)[:rank]


def ring_walk(n: int, rng: np.random.Generator) -> FloatArray:
    """To the next and the previous state by fixed chances, now and then never staying."""
    up, down, stay = rng.dirichlet(np.ones(3)) if rng.random() < 0.8 else np.array([0.5, 0.5, 0.0])
    return up * np.roll(np.eye(n), 1, axis=1) + down * np.roll(np.eye(n), -1, axis=1) + stay * np.eye(n)


CLASSES: tuple[MakeKernel, ...] = (
    dirichlet,
    near_identity,
    nearly_equal_rows,
    permutation,
    permutation_like,
    duplicate_rows,
    low_rank,
    ring_walk,
)


def de_casteljau(
    transitions: Sequence[FloatArray], k: int, rows: Sequence[Sequence[int]], values: FloatArray
) -> FloatArray:
    """E[V(c') | c], [kernel, row], for the histograms c in `rows`: one agent of c after the other lands.

    Convex combinations only: V_{j-1}(d) = sum_y K(x, y) V_j(d + e_y), x the state of the j-th agent.
    """
    n_states = len(transitions[0])
    agents = np.array([np.repeat(np.arange(n_states), row) for row in rows])
    unit = np.eye(n_states, dtype=np.int64)
    columns = np.repeat(values[:, None], len(transitions) * len(rows), axis=1)
    for j in range(k, 0, -1):
        others = enumerate_histograms(j - 1, n_states)
        laws = np.concatenate([transition[agents[:, j - 1]] for transition in transitions])
        landed = np.zeros((n_histograms(j - 1, n_states), len(laws)))
        for y in range(n_states):
            landed += laws[:, y] * columns[rank_histograms(others + unit[y])]
        columns = landed
    return columns[0].reshape(len(transitions), len(rows))
