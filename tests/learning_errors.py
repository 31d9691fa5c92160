"""Distances of learnt values from exact ones, for test_g_learn.py and test_oracle_operator.py."""

import numpy as np

from kofn.agents import GLearnResult
from kofn.envs.arrays import FloatArray


def error_of(result: GLearnResult, exact: FloatArray) -> float:
    return float(np.abs(result.q_values - exact).max())
