"""Populations as counts per state: how they are counted, moved and drawn from.

Samplers take a batch of populations and work for 1 to 10^12 agents, where numpy's own hypergeometric samplers stop at
10^9; their loops are compiled (`crowd_kernel`). How many numbers one population draws changes neither those of another
nor those of a later call (common random numbers); samples of more than 1024 agents are the exception below 10^9 agents.
"""

from functools import partial

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, first_index, integer, whole
from kofn.envs.deferred import loops

MAX_AGENTS = 10**12
"""Largest population the samplers accept."""

_SEQUENTIAL_DRAWS = 1024
"""Up to this many agents are drawn one after another, each population from a random stream of its own."""

_NUMPY_HYPERGEOMETRIC_LIMIT = 10**9
"""numpy's sampler refuses populations of this size."""

_WINDOW_DEVIATIONS = 12
"""Half-width, in standard deviations (and as many agents more), of the support that `_hypergeometric` tabulates."""


def conditional_probabilities(probabilities: FloatArray) -> FloatArray:
    """p_j / (p_j + p_{j+1} + ..) along the last axis: the chance of outcome j once outcomes before j are excluded.

    The last possible outcome gets exactly 1, so that samplers never reach an outcome of probability zero.
    """
    tails = np.cumsum(probabilities[..., ::-1], axis=-1)[..., ::-1]
    conditional: FloatArray = np.divide(probabilities, tails, out=np.zeros_like(probabilities), where=tails > 0)
    return np.minimum(conditional, 1.0)


def sample_multinomial(rng: np.random.Generator, totals: IntArray, conditional: FloatArray) -> IntArray:
    """Multinomial counts: `totals` [...] agents move independently by distributions [..., n_outcomes].

    Args:
        rng: source of randomness.
        totals: int64 [...], number of agents of each cell, at most `MAX_AGENTS`.
        conditional: the distributions as `conditional_probabilities`, [..., n_outcomes]; axes broadcast.

    Returns:
        Counts, int64 [..., n_outcomes], summing to `totals`.
    """
    n_outcomes = conditional.shape[-1]
    shape = np.broadcast_shapes(totals.shape, conditional.shape[:-1])
    # Copies: compiled code is compiled again for arrays that are read-only, as these broadcasts are.
    rows = np.array(np.broadcast_to(conditional, (*shape, n_outcomes)), dtype=np.float64, order="C")
    counts = np.zeros(rows.shape, dtype=np.int64)
    cells = np.array(np.broadcast_to(totals, shape), dtype=np.int64, order="C").reshape(-1)
    loops().spread_cells(loops().new_key(rng), cells, rows.reshape(-1, n_outcomes), counts.reshape(-1, n_outcomes))
    return counts


def sample_without_replacement(rng: np.random.Generator, counts: IntArray, k: int) -> IntArray:
    """Histograms of k distinct agents drawn uniformly from each population (multivariate hypergeometric).

    Args:
        rng: source of randomness.
        counts: int64 [n_populations, n_states]; every population holds at least k and at most `MAX_AGENTS` agents.
        k: number of agents drawn.

    Returns:
        Sampled counts, int64 [n_populations, n_states], rows summing to k.

    Raises:
        TypeError, ValueError: counts that are no integers, or k is larger than a population.
    """
    k, counts = integer("k", k, 0), whole("counts", counts, np.shape(counts))
    totals = counts.sum(axis=-1)
    if (totals < k).any():
        index = first_index(totals < k)
        raise ValueError(f"k must be at most the number of agents; population {index[0]} has {totals[index]}, k is {k}")
    if (totals == k).all():
        return counts.copy()
    if k <= _SEQUENTIAL_DRAWS:
        return _draw_one_by_one(rng, counts, k)
    return _draw_state_by_state(rng, counts, k)


def _draw_one_by_one(rng: np.random.Generator, counts: IntArray, k: int) -> IntArray:
    """Each agent in turn is uniform among those left: exact integer arithmetic."""
    sampled = np.zeros(counts.shape, dtype=np.int64)
    loops().sample_crowds(loops().new_key(rng), counts, k, sampled)
    return sampled


def _draw_state_by_state(rng: np.random.Generator, counts: IntArray, k: int) -> IntArray:
    """Counts of one state after another, each hypergeometric given those before: any k."""
    sampled = np.empty_like(counts)
    others = counts.sum(axis=-1)
    draw = rng.hypergeometric if others.max() < _NUMPY_HYPERGEOMETRIC_LIMIT else partial(_hypergeometric, rng)
    wanted = np.full(len(counts), k, dtype=np.int64)
    for j in range(counts.shape[-1] - 1):
        others = others - counts[:, j]
        sampled[:, j] = draw(counts[:, j], others, wanted)
        wanted = wanted - sampled[:, j]
    sampled[:, -1] = wanted
    return sampled


def _hypergeometric(rng: np.random.Generator, marked: IntArray, others: IntArray, draws: IntArray) -> IntArray:
    """Marked agents among `draws` drawn from `marked` + `others`, int64 [...], for populations of any size.

    Inversion on a table of the law around its mean, built from the ratios of neighbouring probabilities, so that no
    factorial of a large number is ever formed. What lies outside the table has probability below 10^-20; the table
    has O(sqrt(draws)) entries.
    """
    uniforms = rng.random(len(marked))
    problems = zip(marked.tolist(), others.tolist(), draws.tolist(), uniforms.tolist(), strict=True)
    return np.array([_invert_hypergeometric(*problem) for problem in problems], dtype=np.int64)


def _invert_hypergeometric(marked: int, others: int, draws: int, uniform: float) -> int:
    """The count whose cumulative probability first exceeds `uniform`."""
    total = marked + others
    if total == 0:
        return 0
    mean = draws * marked / total
    deviation = (mean * (others / total) * ((total - draws) / max(total - 1, 1))) ** 0.5
    reach = _WINDOW_DEVIATIONS * (deviation + 1)
    low = max(draws - others, 0, int(mean - reach))
    high = min(marked, draws, int(mean + reach) + 1)
    count = np.arange(low, high, dtype=np.float64)
    ratios = (marked - count) * (draws - count) / ((count + 1) * (others - draws + count + 1))
    log_weights = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    cumulative = np.cumsum(np.exp(log_weights - log_weights.max()))
    return low + int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))


def count_states(states: IntArray, n_states: int) -> IntArray:
    """Histograms of individual states [n_populations, n_agents], int64 [n_populations, n_states]."""
    if len(states) == 1:
        return np.bincount(states[0], minlength=n_states)[None]
    shifted = states + n_states * np.arange(len(states))[:, None]
    counts = np.bincount(shifted.ravel(), minlength=n_states * len(states))
    return counts.reshape(len(states), n_states)
