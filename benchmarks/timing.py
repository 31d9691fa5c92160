"""Timing of two things in one run, because machines are noisy and only ratios travel."""

import os
import statistics
import time
from collections.abc import Callable


def cpu_clock() -> float:
    """Processor seconds of this process and the children it has waited for; others on the machine do not count."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def seconds_per_call(call: Callable[[], object], calls: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Mean seconds of `calls` calls in a row."""
    began = clock()
    for _ in range(calls):
        call()
    return (clock() - began) / calls


def paired_seconds(
    first: Callable[[], object],
    second: Callable[[], object],
    *,
    calls: int,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, float]:
    """Median seconds of each and median of their ratio second/first, measured in alternation after a warm-up."""
    seconds_per_call(first, calls), seconds_per_call(second, calls)
    pairs = [(seconds_per_call(first, calls, clock), seconds_per_call(second, calls, clock)) for _ in range(rounds)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )
