r"""What a global agent that sees everybody could reach beside a fixed fleet, in the limit of many agents.

For n -> infinity the crowd mu moves by mu' = mu P~_{s_g} without noise, and the optimal value V*(s_g, mu) of a global
agent that knows mu is a maximum of functions linear in mu, one per plan of actions along the path of s_g: it is convex.
Value iteration on the lattice of histograms of K agents, with linear interpolation on its triangulation (Freudenthal),
finds a function above V*, the closer the larger K: a ceiling for every k, beside this fleet.
"""

import numpy as np
from scipy import sparse

from kofn.agents.operators import induced_reward, induced_transition
from kofn.agents.solvers import value_iteration
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms

RESOLUTION = 16
"""K of the lattice."""

STARTS = 20_000
"""Start distributions that the ceiling is averaged over."""


def interpolation(points: FloatArray, resolution: int) -> sparse.csr_array:
    """Weights on the lattice of histograms of `resolution` agents, [point, histogram], of points [point, s_l]."""
    n_points, n_states = points.shape
    heights = np.cumsum(points[:, ::-1], axis=1)[:, ::-1] * resolution  # descending along the states, first = K
    heights[:, 0] = resolution
    floors = np.floor(heights + 1e-9)
    fractions = np.maximum(heights - floors, 0.0)[:, 1:]
    order = np.argsort(-fractions, axis=1, kind="stable")
    sorted_fractions = np.take_along_axis(fractions, order, axis=1)
    bounds = np.column_stack([np.ones(n_points), sorted_fractions, np.zeros(n_points)])
    weights = bounds[:, :-1] - bounds[:, 1:]
    vertex, ranks = floors.astype(np.int64), []
    for step in range(n_states):
        counts = vertex - np.column_stack([vertex[:, 1:], np.zeros(n_points, dtype=np.int64)])
        valid = (counts >= 0).all(axis=1)
        ranks.append(np.where(valid, rank_histograms(np.where(valid[:, None], counts, 0)), 0))
        weights[~valid, step] = 0.0  # vertices of weight zero, up to rounding
        if step < n_states - 1:
            vertex[np.arange(n_points), order[:, step] + 1] += 1
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(n_points), n_states)
    size = len(enumerate_histograms(resolution, n_states))
    return sparse.csr_array((weights.ravel(), (rows, np.stack(ranks, axis=1).ravel())), shape=(n_points, size))


def ceiling(game: TabularGame, fleet: LocalPolicy, horizon: int, resolution: int = RESOLUTION, seed: int = 0) -> float:
    """Discounted return over `horizon` steps of the best global agent that sees all of infinitely many agents.

    What is left after the horizon is subtracted at its least, gamma^H times the smallest value, so it stays a ceiling.
    """
    lattice = enumerate_histograms(resolution, game.n_local_states) / resolution
    laws = induced_transition(game, fleet)
    ahead = [interpolation(lattice @ law, resolution) for law in laws]
    local_part = induced_reward(game, fleet) @ lattice.T
    rewards = game.global_reward[:, None, :] + local_part[..., None]

    def operator(values: FloatArray) -> FloatArray:
        best = values.max(axis=2).T
        expected = np.stack([weights @ best for weights in ahead])
        return np.asarray(rewards + game.discount * expected @ game.global_transition.swapaxes(1, 2))

    found = value_iteration(operator, np.zeros_like(rewards), game.discount, tolerance=1e-4).values.max(axis=2)
    starts = game.initial_local.draw(np.random.default_rng(seed), STARTS)
    whole = float((interpolation(starts, resolution) @ found.T).mean(axis=0) @ game.initial_global)
    return whole - game.discount**horizon * float(found.min())
