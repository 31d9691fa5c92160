r"""The rounded operator: the authors' heuristic for the next histogram. It is not G-LEARN and has no guarantee.

The k agents are taken to land where they are expected to, rounded to whole agents by the largest remainders:

    e = sum_x c_x P~(. | x, s_g),   c' = floor(e) + one agent for each of the k - sum floor(e) largest e - floor(e),

ties to the lowest state. The next histogram is a function of (s_g, c): there is no noise in it and nothing to sample,
and because the maximum over actions is convex, leaving the noise out misjudges what a small sample will show. The
authors' program iterates this operator for 100 sweeps or until values change by less than 1e-6.
"""

import numpy as np

from kofn.agents.averaging_kernel import AveragingKernel, averaging_kernel
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms

DECIMALS = 9
"""Remainders that agree to this many decimals are tied: they differ by rounding of the expectation only."""


def round_to_agents(expected: FloatArray) -> IntArray:
    """Whole numbers of agents next to `expected` [histogram, s_l], rows summing to the same, by largest remainder."""
    totals = np.rint(expected.sum(axis=1)).astype(np.int64)
    settled = np.floor(expected)
    remainders = np.round(expected - settled, DECIMALS)
    missing = totals - settled.sum(axis=1).astype(np.int64)
    by_remainder = np.argsort(-remainders, axis=1, kind="stable")
    places = np.argsort(by_remainder, axis=1, kind="stable")
    rounded: IntArray = settled.astype(np.int64) + (places < missing[:, None])
    return rounded


def rounded_kernel(transition: FloatArray, k: int) -> AveragingKernel:
    """One successor per histogram of k agents that move by `transition` [s_l, s_l'], as a kernel."""
    successors = round_to_agents(enumerate_histograms(k, len(transition)) @ transition)
    return averaging_kernel(rank_histograms(successors)[:, None])
