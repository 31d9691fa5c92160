r"""Statistics of a few runs per task: aggregates with intervals that cover what they say, and comparisons.

Scores are indexed [run, task]; runs are independent, tasks are fixed (games, k, ..). With few runs, report intervals:

    mean, median    of all scores
    IQM             interquartile mean: the mean of the middle half of all scores
    P(X > Y)        probability of improvement: mean over tasks of P(x > y) + P(x = y)/2 over pairs of runs
    X - Y           paired difference, for runs that share their random numbers (same seed, same row)

Intervals are stratified bootstraps: runs are drawn with replacement within each task. The plain percentile interval of
m runs is too narrow, by the factor sqrt((m-1)/m) of its spread and by the normal in place of Student's quantile;
percentiles are therefore taken at the level (Hesterberg 2015, "expanded")

    alpha' = Phi( -sqrt(m/(m-1)) t_{nu, 1-alpha/2} ),  nu = (m-1) * tasks,

at which the interval of a mean of normal scores covers with probability 1-alpha up to O(1/m^2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from kofn.envs.arrays import FloatArray, float_array, integer, known_name
from kofn.envs.streams import Seed, seed_sequence

N_RESAMPLES = 2000
MAX_ENTRIES = 2**22
"""Scores resampled at once, bounding memory."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its confidence interval; `low` and `high` are nan where a single run allows none."""

    estimate: float
    low: float
    high: float


def mean(scores: FloatArray) -> FloatArray:
    """Mean of [.., run, task]."""
    return np.asarray(scores.mean(axis=(-2, -1)))


def median(scores: FloatArray) -> FloatArray:
    """Median of all scores of [.., run, task]."""
    return np.asarray(np.median(scores.reshape(*scores.shape[:-2], -1), axis=-1))


def interquartile_mean(scores: FloatArray) -> FloatArray:
    """Mean of the middle half of [.., run, task]; scores at its edges count by the part that lies inside."""
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    size = flat.shape[-1]
    positions = np.arange(size)
    weights = np.clip(np.minimum(positions + 1, 0.75 * size) - np.maximum(positions, 0.25 * size), 0, None)
    return np.asarray(flat @ weights / weights.sum())


STATISTICS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": mean,
    "median": median,
    "iqm": interquartile_mean,
}


def aggregate(
    scores: npt.ArrayLike,
    statistic: str = "iqm",
    *,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: Seed = None,
) -> Interval:
    """A statistic of scores [run, task] (or [run]) with its stratified bootstrap interval.

    Raises:
        TypeError, ValueError: not such an array, an unknown statistic, or an argument out of range.
    """
    function = STATISTICS[known_name("statistic", statistic, STATISTICS)]
    table = _scores("scores", scores)
    return _bootstrap([table], lambda tables: function(tables[0]), level, n_resamples, seed)


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    statistic: str = "mean",
    *,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: Seed = None,
) -> Interval:
    """A statistic of first - second, for runs that used the same random numbers in the same row.

    Raises:
        TypeError, ValueError: as `aggregate`, or different shapes.
    """
    one, other = _scores("first", first), _scores("second", second)
    if one.shape != other.shape:
        raise ValueError(
            f"paired scores must have the same shape, run by run; got {list(one.shape)} and {list(other.shape)}"
        )
    return aggregate(one - other, statistic, level=level, n_resamples=n_resamples, seed=seed)


def probability_of_improvement(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: Seed = None,
) -> Interval:
    """Mean over tasks of P(a run of `first` scores above one of `second`), ties counting half.

    Raises:
        TypeError, ValueError: as `aggregate`, or different numbers of tasks.
    """
    one, other = _scores("first", first), _scores("second", second)
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"both must have the same tasks; got {one.shape[1]} and {other.shape[1]} columns")
    return _bootstrap([one, other], lambda tables: _improvement(*tables), level, n_resamples, seed)


def _improvement(first: FloatArray, second: FloatArray) -> FloatArray:
    difference = np.sign(first[..., :, None, :] - second[..., None, :, :])
    return np.asarray((difference.mean(axis=(-3, -2, -1)) + 1) / 2)


def _scores(name: str, scores: npt.ArrayLike) -> FloatArray:
    """Scores as [run, task]."""
    given = np.asarray(scores)
    return float_array(name, given[:, None] if given.ndim == 1 else given, (None, None))


def _bootstrap(
    tables: list[FloatArray],
    statistic: Callable[[list[FloatArray]], FloatArray],
    level: float,
    n_resamples: int,
    seed: Seed,
) -> Interval:
    """Estimate and expanded percentile interval of a statistic of tables [run, task]."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1; got {level}")
    integer("n_resamples", n_resamples, 1)
    estimate = float(statistic(tables))
    n_runs = min(len(table) for table in tables)
    if n_runs < 2:
        return Interval(estimate=estimate, low=float("nan"), high=float("nan"))
    rng = np.random.default_rng(seed_sequence(seed))
    largest = max(table.size for table in tables) * (len(tables[-1]) if len(tables) > 1 else 1)
    chunk = max(1, MAX_ENTRIES // largest)
    values = np.concatenate(
        [
            statistic([_resampled(table, min(chunk, n_resamples - start), rng) for table in tables])
            for start in range(0, n_resamples, chunk)
        ]
    )
    tail = expanded_tail(level, n_runs, tables[0].shape[1])
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(estimate=estimate, low=float(low), high=float(high))


def _resampled(table: FloatArray, n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Runs drawn with replacement within each task, float [resample, run, task]."""
    chosen = rng.integers(len(table), size=(n_resamples, *table.shape))
    return np.asarray(np.take_along_axis(table[None], chosen, axis=1))


def expanded_tail(level: float, n_runs: int, n_tasks: int) -> float:
    """Percentile (each side) at which the bootstrap interval of few runs covers as it says."""
    quantile = stdtrit((n_runs - 1) * n_tasks, (1 + level) / 2)
    return float(ndtr(-np.sqrt(n_runs / (n_runs - 1)) * quantile))
