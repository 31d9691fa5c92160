"""Categorical draws by inversion: outcome j is drawn when a uniform number lies between two cumulative sums.

For a distribution p and U uniform on [0, 1), the number of thresholds p_0, p_0 + p_1, .. that are at most U has law p.
"""

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray


def sample_rows(uniforms: FloatArray, thresholds: FloatArray) -> IntArray:
    """Categorical draws by inversion.

    Args:
        uniforms: float [...], in [0, 1).
        thresholds: `cumulative_thresholds` of the distributions, [..., n_outcomes - 1].

    Returns:
        Outcomes, int64 [...].
    """
    outcomes = np.zeros(uniforms.shape, dtype=np.int64)
    for j in range(thresholds.shape[-1]):
        outcomes += uniforms >= thresholds[..., j]
    return outcomes


def cumulative_thresholds(probabilities: FloatArray) -> FloatArray:
    """Cumulative sums without the last column; 1 from the last possible outcome on, so none is ever overshot."""
    cumulative = np.cumsum(probabilities, axis=-1)
    later_mass = np.cumsum(probabilities[..., ::-1], axis=-1)[..., ::-1]
    return np.where(later_mass[..., 1:] > 0, cumulative[..., :-1], 1.0)


def integer_thresholds(thresholds: FloatArray) -> IntArray:
    """Thresholds [..., j] times 2^53, rounded up: u >= threshold and 2^53 u >= this agree for multiples u of 2^-53."""
    return np.ceil(np.minimum(thresholds, 1.0) * 2.0**53).astype(np.int64)
