"""Statistics against closed forms, and intervals against the coverage they claim."""

import numpy as np
import pytest
from scipy.stats import norm, t, trim_mean

from kofn.experiments.statistics import (
    aggregate,
    expanded_tail,
    interquartile_mean,
    mean,
    median,
    paired_difference,
    probability_of_improvement,
)

SIMULATIONS = 800
BINOMIAL = 4 * np.sqrt(0.95 * 0.05 / SIMULATIONS)
"""Four standard errors of a coverage of 95% estimated from so many simulations."""


def coverage(draw, truth: float, interval, seed: int) -> float:
    rng = np.random.default_rng(seed)
    found = [interval(draw(rng), int(rng.integers(2**31))) for _ in range(SIMULATIONS)]
    return float(np.mean([one.low <= truth <= one.high for one in found]))


def normal_scores(rng: np.random.Generator) -> np.ndarray:
    """15 runs of two tasks, of mean 1 and 3 and the same spread: mean, median and IQM are 2, by symmetry."""
    return rng.normal([1.0, 3.0], 1.0, (15, 2))


@pytest.mark.parametrize("statistic", ["mean", "median", "iqm"])
def test_intervals_cover_as_often_as_they_say(statistic):
    found = coverage(
        normal_scores, 2.0, lambda scores, seed: aggregate(scores, statistic, n_resamples=500, seed=seed), seed=1
    )
    assert abs(found - 0.95) < BINOMIAL


def test_the_interval_of_few_runs_covers_where_plain_percentiles_do_not():
    """Five runs of one task; the plain percentile interval covers as Student's t says of 1.96 sqrt(4/5)."""
    plain = 2 * t.cdf(1.96 * np.sqrt(4 / 5), 4) - 1
    assert plain < 0.95 - 2 * BINOMIAL
    found = coverage(
        lambda rng: rng.normal(0, 1, 5), 0.0, lambda scores, seed: aggregate(scores, "mean", seed=seed), seed=2
    )
    assert abs(found - 0.95) < BINOMIAL


def test_the_interval_of_the_probability_of_improvement_covers():
    truth = float(norm.cdf(0.5 / np.sqrt(2)))
    found = coverage(
        lambda rng: (rng.normal(0.5, 1, (15, 1)), rng.normal(0, 1, (15, 1))),
        truth,
        lambda pair, seed: probability_of_improvement(*pair, n_resamples=500, seed=seed),
        seed=3,
    )
    assert abs(found - 0.95) < BINOMIAL


def test_pairing_removes_what_both_runs_share():
    """Shared noise of standard deviation 10 hides a difference of 1 unless the runs are paired."""
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 10, 15)
    first, second = shared + 1 + rng.normal(0, 0.3, 15), shared + rng.normal(0, 0.3, 15)
    paired = paired_difference(first, second, seed=0)
    assert 0 < paired.low < 1 < paired.high
    alone = aggregate(first, "mean", seed=0)
    assert alone.low < np.mean(second) < alone.high


def test_point_estimates_against_closed_forms():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(8, 5))
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores.ravel(), 0.25), abs=1e-12)
    assert mean(scores) == pytest.approx(scores.sum() / 40, abs=1e-12)
    assert median(scores) == np.median(scores)
    assert interquartile_mean(np.array([[1.0], [2.0], [6.0]])) == pytest.approx((0.25 * 1 + 2 + 0.25 * 6) / 1.5)
    assert probability_of_improvement([1, 2, 3], [0, 2, 9], seed=0).estimate == pytest.approx((3 + 1 + 0.5) / 9)
    one = probability_of_improvement([[5, 0], [6, 0]], [[1, 1], [2, 1]], seed=0)
    assert one.estimate == 0.5


def test_the_interval_is_stratified_by_task():
    """Tasks far apart and without noise: resampling within tasks leaves nothing to vary."""
    scores = np.tile([0.0, 100.0], (6, 1))
    found = aggregate(scores, "mean", seed=0)
    assert (found.low, found.estimate, found.high) == (50.0, 50.0, 50.0)


def test_intervals_repeat_from_their_seed_and_widen_with_the_level():
    scores = np.random.default_rng(6).normal(size=(10, 2))
    assert aggregate(scores, seed=7) == aggregate(scores, seed=7)
    assert aggregate(scores, seed=7) != aggregate(scores, seed=8)
    wide, narrow = (aggregate(scores, level=level, seed=7) for level in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_expanded_level_tends_to_the_nominal_one():
    assert expanded_tail(0.95, 5, 1) < expanded_tail(0.95, 15, 1) < expanded_tail(0.95, 10**6, 1)
    assert expanded_tail(0.95, 10**6, 1) == pytest.approx(0.025, rel=1e-4)


def test_one_run_has_an_estimate_and_no_interval():
    found = aggregate([3.0], "mean", seed=0)
    assert found.estimate == 3.0
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aggregate([1, 2], "mode"), "statistic must be one of 'mean', 'median', 'iqm'; got 'mode'"),
        (lambda: aggregate([1, 2], level=1.0), "level must lie strictly between 0 and 1; got 1.0"),
        (lambda: aggregate([1, 2], n_resamples=0), "n_resamples must be at least 1; got 0"),
        (lambda: aggregate([1, np.nan]), r"scores must be finite; entry \[1, 0\] is nan"),
        (lambda: aggregate([[[1]]]), "scores must have 2 axes"),
        (lambda: paired_difference([1, 2], [1, 2, 3]), r"same shape, run by run; got \[2, 1\] and \[3, 1\]"),
        (lambda: probability_of_improvement([[1, 2]], [[1]]), "same tasks; got 2 and 1 columns"),
    ],
)
def test_bad_scores_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
