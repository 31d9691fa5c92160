r"""Standard normal draws in single precision, several times faster than numpy's.

Box and Muller's transform of two independent uniform numbers U, V of 24 bits each, computed by vector instructions:

    sqrt(-2 ln U) cos(2 pi V),   sqrt(-2 ln U) sin(2 pi V),      U = (i + 1/2) / 2^24,   V = j / 2^24

are independent and normal up to that resolution; no draw exceeds sqrt(50 ln 2) = 5.9 in size, which a normal variable
does with probability 4e-9. It is fastest for some ten thousand draws at a time, which stay in the processor's cache.
"""

import math

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

BITS = 24
"""Bits of a single-precision number's mantissa."""

_STEP = np.float32(2.0**-BITS)
_TURN = np.float32(2 * math.pi * 2.0**-BITS)


def standard_normals(rng: np.random.Generator, shape: tuple[int, ...]) -> Float32Array:
    """Independent standard normal draws, float32 of the given shape."""
    n_draws = math.prod(shape)
    n_pairs = (n_draws + 1) // 2
    words = rng.integers(0, 2**64, n_pairs, dtype=np.uint64).view(np.uint32)
    uniforms = (words >> np.uint32(32 - BITS)).astype(np.float32)
    radius = np.sqrt(-2 * np.log((uniforms[:n_pairs] + np.float32(0.5)) * _STEP))
    angle = uniforms[n_pairs:] * _TURN
    draws = np.empty(2 * n_pairs, dtype=np.float32)
    np.multiply(radius, np.cos(angle), out=draws[:n_pairs])
    np.multiply(radius, np.sin(angle), out=draws[n_pairs:])
    return draws[:n_draws].reshape(shape)
