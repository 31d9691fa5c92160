r"""Confidence sets of UCFH: where the transition probabilities and mean rewards of one (state, action) may lie.

After n visits, of which a share p led to one next state, UCFH's ConfidenceSet holds the p' with (l = ln(6/delta_1))

    |sqrt(p'(1-p')) - sqrt(p(1-p))| <= sqrt(2l/(n-1))
    |p' - p| <= min{ sqrt(l/(2n)), sqrt(2p(1-p)l/n) + 7l/(3(n-1)) }

and all of [0, 1] while n <= 1. An interval [lower, upper] stands for it, which contains it: with s = sqrt(p(1-p)) and
c = sqrt(2l/(n-1)), half of the first line, sqrt(p'(1-p')) >= s - c, is the interval 1/2 -+ sqrt(1/4 - (s-c)^2) when
s >= c; its other half, sqrt(p'(1-p')) <= s + c, is not convex and is dropped. Both lines hold at p' = p, so that the
observed law is always in the set.

A mean reward in [low, high] observed n times lies within (high - low) sqrt(l/(2n)) of the average (Hoeffding).
"""

from math import sqrt

import numpy as np
import numpy.typing as npt

from kofn.agents.compiled import compiled
from kofn.envs.arrays import FloatArray, IntArray, first_index, positive


@compiled
def probability_interval(p: float, n: int, log_term: float) -> tuple[float, float]:
    """[lower, upper] around the share p of n visits; `log_term` is l."""
    if n <= 1:
        return 0.0, 1.0
    deviation = sqrt(p * (1 - p))
    radius = min(sqrt(log_term / (2 * n)), deviation * sqrt(2 * log_term / n) + 7 * log_term / (3 * (n - 1)))
    lower, upper = max(0.0, p - radius), min(1.0, p + radius)
    least_deviation = deviation - sqrt(2 * log_term / (n - 1))
    if least_deviation > 0:
        half = sqrt(max(0.0, 0.25 - least_deviation**2))
        lower, upper = max(lower, 0.5 - half), min(upper, 0.5 + half)
    return lower, upper


@compiled
def fill_intervals(counts: IntArray, n: int, log_term: float, lower: FloatArray, upper: FloatArray) -> float:
    """Write the intervals of the listed next states [j] and return the upper end for a next state never seen."""
    for j in range(len(counts)):
        lower[j], upper[j] = probability_interval(counts[j] / max(n, 1), n, log_term)
    return probability_interval(0.0, n, log_term)[1]


def transition_set(counts: npt.ArrayLike, log_term: float) -> tuple[FloatArray, FloatArray]:
    """Intervals of one (state, action).

    Args:
        counts: how often each next state followed, int [next state].
        log_term: l.

    Returns:
        Lower and upper ends, float [next state].

    Raises:
        TypeError, ValueError: counts that are no nonnegative integers, or an l that is not positive.
    """
    seen = np.array(counts)
    if not np.issubdtype(seen.dtype, np.integer):
        raise TypeError(f"counts must be integers; got dtype {seen.dtype}")
    if seen.ndim != 1 or not len(seen):
        raise ValueError(f"counts must have one axis [next state] and an entry; got shape {list(seen.shape)}")
    if (seen < 0).any():
        index = first_index(seen < 0)
        raise ValueError(f"counts must be nonnegative; entry {list(index)} is {seen[index]}")
    lower, upper = np.empty(len(seen)), np.empty(len(seen))
    fill_intervals(seen.astype(np.int64), int(seen.sum()), positive("log_term", log_term), lower, upper)
    return lower, upper


def reward_interval(mean: float, n: int, log_term: float, low: float, high: float) -> tuple[float, float]:
    """Interval of a mean reward in [low, high] of which n observations average `mean`."""
    if n == 0:
        return low, high
    radius = (high - low) * sqrt(log_term / (2 * n))
    return max(low, mean - radius), min(high, mean + radius)
