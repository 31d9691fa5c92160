"""Timing of two things in one run, because machines are noisy and only ratios travel."""

import statistics
import time
from collections.abc import Callable


def seconds_per_call(call: Callable[[], object], calls: int) -> float:
    """Mean seconds of `calls` calls in a row."""
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began) / calls


def paired_seconds(
    first: Callable[[], object], second: Callable[[], object], *, calls: int, rounds: int
) -> tuple[float, float, float]:
    """Median seconds of each and median of their ratio second/first, measured in alternation after a warm-up."""
    seconds_per_call(first, calls), seconds_per_call(second, calls)
    pairs = [(seconds_per_call(first, calls), seconds_per_call(second, calls)) for _ in range(rounds)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )
