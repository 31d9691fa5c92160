r"""Histograms of k agents over a finite state space, and how to draw them.

The histogram of k agents is the count vector c in N^S with sum c = k; there are C(k+S-1, S-1) of them. They are
ordered lexicographically, ascending: `enumerate_histograms(k, S)[0] == (0, .., 0, k)`. Ranks follow from

    #{c' < c} = sum_i [ C(r_i + m_i, m_i) - C(r_i - c_i + m_i, m_i) ],   m_i = S-1-i,  r_i = k - c_0 - .. - c_{i-1},

so that ranking needs no table at all. Samplers take a batch of populations and work for 1 to 10^12 agents, where
numpy's own hypergeometric samplers stop at 10^9; their loops are compiled (`crowd_kernel`). How many numbers one
population draws changes neither those of another nor those of a later call (common random numbers).
"""

from functools import partial
from math import comb

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray, first_index, integer, magnitude

MAX_AGENTS = 10**12
"""Largest population the samplers accept."""

_COUNTABLE = 10_000
"""Factors of a binomial coefficient that are still multiplied within milliseconds."""

_SEQUENTIAL_DRAWS = 64
"""Up to this many agents are drawn one after another, each population from a random stream of its own."""

_NUMPY_HYPERGEOMETRIC_LIMIT = 10**9
"""numpy's sampler refuses populations of this size."""

_WINDOW_DEVIATIONS = 12
"""Half-width, in standard deviations (and as many agents more), of the support that `_hypergeometric` tabulates."""


MAX_POLICY_ENTRIES = 2**28
"""Numbers that a policy's table may hold (2 GiB)."""


def columns_that_fit(k: int, n_states: int, n_others: int) -> int:
    """Histograms of k agents; ValueError where `n_others` tables of them would not fit into memory."""
    entries = n_others * n_histograms(k, n_states)
    if entries > MAX_POLICY_ENTRIES:
        raise ValueError(
            f"a policy that sees k={k} agents over {n_states} states needs a table of {magnitude(entries)} entries, "
            f"more than {MAX_POLICY_ENTRIES}; use a smaller k, or a policy without a table (LinearGlobalPolicy)"
        )
    return n_histograms(k, n_states)


def n_histograms(k: int, n_states: int) -> int:
    """|mu_k| = C(k + n_states - 1, n_states - 1), the number of histograms of k agents.

    Raises:
        ValueError: the number has tens of thousands of digits: k agents over as many states are beyond any table.
    """
    k = integer("k", k, 0)
    n_states = integer("n_states", n_states, 1)
    if min(k, n_states - 1) > _COUNTABLE:
        raise ValueError(
            f"histograms of {k} agents over {n_states} states are too many to count; lower k or the number of states"
        )
    return comb(k + n_states - 1, n_states - 1)


def table_size(k: int, n_states: int) -> int:
    """`n_histograms` where a table has an entry for each.

    Raises:
        ValueError: more than 2^31 histograms (use samples instead of a table).
    """
    total = n_histograms(k, n_states)
    if total > 2**31:
        size = f"histograms of {k} agents over {n_states} states are over 2^31"
        raise ValueError(f"{size}, too many for a table; lower k")
    return total


def enumerate_histograms(k: int, n_states: int) -> IntArray:
    """All histograms of k agents in rank order, int64 [n_histograms, n_states]; refuses what `table_size` refuses."""
    total = table_size(k, n_states)
    counts, left = np.zeros((total, n_states), dtype=np.int64), np.array([k])
    for i in range(n_states - 1):  # every beginning goes on with 0 .. `left` agents in state i
        n_more = left + 1
        ends = n_more.cumsum()
        here = np.arange(ends[-1]) - np.repeat(ends - n_more, n_more)
        left = np.repeat(left, n_more) - here
        # A beginning that leaves l agents has C(l + S-2-i, S-2-i) completions.
        counts[:, i] = np.repeat(here, _choose(left, n_states - 2 - i))
    counts[:, -1] = left
    return counts


def rank_histograms(histograms: npt.ArrayLike) -> IntArray:
    """Ranks of count vectors [..., n_states], int64 [...]; every vector may have a total of its own.

    Raises:
        ValueError: a negative count, or a rank beyond int64.
    """
    counts = np.asarray(histograms)
    if counts.ndim == 0 or not np.issubdtype(counts.dtype, np.integer):
        raise TypeError(f"histograms must be integer counts [..., n_states]; got {counts.dtype} {list(counts.shape)}")
    if counts.size and counts.min() < 0:
        index = first_index(counts < 0)
        raise ValueError(f"histograms must be nonnegative; entry {list(index)} is {counts[index]}")
    counts = counts.astype(np.int64, copy=False)
    n_states = counts.shape[-1]
    remaining = counts.sum(axis=-1)
    _check_rankable(int(remaining.max(initial=0)), n_states)
    if counts.ndim == 1:  # one vector, as chains step: Python's own integers are many times faster
        return np.asarray(_rank_of_one(counts.tolist()))
    ranks = np.zeros(counts.shape[:-1], dtype=np.int64)
    for i in range(n_states - 1):
        m = n_states - 1 - i
        after = remaining - counts[..., i]
        ranks += _choose(remaining, m) - _choose(after, m)
        remaining = after
    return ranks


def _rank_of_one(counts: list[int]) -> int:
    """Rank of one count vector."""
    rank, remaining = 0, sum(counts)
    for m, count in zip(range(len(counts) - 1, 0, -1), counts[:-1], strict=True):
        rank += comb(remaining + m, m) - comb(remaining - count + m, m)
        remaining -= count
    return rank


def unrank_histograms(ranks: npt.ArrayLike, k: int, n_states: int) -> IntArray:
    """Histograms of k agents with the given ranks [...], int64 [..., n_states]; inverse of `rank_histograms`.

    Raises:
        ValueError: a rank outside [0, n_histograms(k, n_states)).
    """
    remaining_rank = np.array(ranks, dtype=np.int64)
    total = n_histograms(k, n_states)
    outside = np.atleast_1d((remaining_rank < 0) | (remaining_rank >= total))
    if outside.any():
        index = first_index(outside)
        value = np.atleast_1d(remaining_rank)[index]
        raise ValueError(f"ranks must lie in [0, {total}); entry {list(index)} is {value}")
    _check_rankable(k, n_states)
    counts = np.empty((*remaining_rank.shape, n_states), dtype=np.int64)
    remaining = np.full(remaining_rank.shape, k, dtype=np.int64)
    for i in range(n_states - 1):
        m = n_states - 1 - i
        block_end = _choose(remaining, m)
        after = _smallest_remainder(block_end - remaining_rank, m, remaining)
        counts[..., i] = remaining - after
        remaining_rank -= block_end - _choose(after, m)
        remaining = after
    counts[..., n_states - 1] = remaining
    return counts


def _check_rankable(k: int, n_states: int) -> None:
    """Ranks and the products inside `_choose` must fit into 64-bit integers."""
    if n_histograms(k, n_states) * n_states > np.iinfo(np.int64).max:
        raise ValueError(f"histograms of {k} agents over {n_states} states are too many to rank with 64-bit integers")


def _choose(r: IntArray, m: int) -> IntArray:
    """C(r + m, m), elementwise; every partial product is itself a binomial coefficient, so divisions are exact."""
    result = np.ones_like(r)
    for i in range(1, m + 1):
        result = result * (r + i) // i
    return result


def _smallest_remainder(target: IntArray, m: int, high: IntArray) -> IntArray:
    """Smallest r in [0, high] with C(r + m, m) >= target, by bisection."""
    low = np.zeros_like(high)
    high = high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        reached = _choose(middle, m) >= target
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle + 1)
    return low


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
    from kofn.envs import loops  # noqa: PLC0415  # loads numba

    n_outcomes = conditional.shape[-1]
    shape = np.broadcast_shapes(totals.shape, conditional.shape[:-1])
    rows = np.ascontiguousarray(np.broadcast_to(conditional, (*shape, n_outcomes)), dtype=np.float64)
    counts = np.zeros(rows.shape, dtype=np.int64)
    cells = np.ascontiguousarray(np.broadcast_to(totals, shape), dtype=np.int64).reshape(-1)
    loops.spread_cells(loops.new_key(rng), cells, rows.reshape(-1, n_outcomes), counts.reshape(-1, n_outcomes))
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
        ValueError: k is larger than a population.
    """
    k = integer("k", k, 0)
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
    from kofn.envs import loops  # noqa: PLC0415  # loads numba

    sampled = np.zeros(counts.shape, dtype=np.int64)
    loops.sample_crowds(loops.new_key(rng), np.ascontiguousarray(counts, dtype=np.int64), k, sampled)
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
