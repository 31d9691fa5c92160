r"""Standard normal numbers in double precision for compiled loops: the ziggurat of Marsaglia and Tsang (2000).

Layers of one area V cover the curve f(x) = exp(-x^2/2), x > 0: rectangles [0, x_i] x [f(x_i), f(x_{i+1})],
i = 1..255, and below f(R), R = x_1, a strip with the tail, which stands for a rectangle of width x_0 = V/f(R). From a
random word 8 bits choose a layer and 54 a uniform U on [-1, 1): x = U x_i lies under the curve if |x| < x_{i+1}, in 99
of 100 draws. Else a point at a uniform height decides, or Marsaglia's exact method draws from the tail.

Loading this module loads numba.
"""

import math

import numpy as np

from kofn.envs.arrays import FloatArray
from kofn.envs.compiled import compiled_inner
from kofn.envs.xoshiro import Words, next_word, uniform

_1, _255 = np.uint64(1), np.uint64(255)

TAIL = 3.6541528853610088
"""R, where 256 layers close at x_256 = 0."""


def _layers() -> tuple[FloatArray, FloatArray]:
    """x_0 .. x_256 and f(x_0) .. f(x_256)."""
    area = TAIL * math.exp(-TAIL * TAIL / 2) + math.sqrt(math.pi / 2) * math.erfc(TAIL / math.sqrt(2))
    edges = [area * math.exp(TAIL * TAIL / 2), TAIL]
    while len(edges) < 256:
        last = edges[-1]
        edges.append(math.sqrt(-2 * math.log(area / last + math.exp(-last * last / 2))))
    widths = np.array([*edges, 0.0])
    return widths, np.exp(-widths * widths / 2)


WIDTHS, HEIGHTS = _layers()
SIDES = np.column_stack([WIDTHS[:-1] * 2.0**-53, WIDTHS[1:]])
"""x_i 2^-53 and x_{i+1}, side by side."""


@compiled_inner
def _tail(state: Words) -> float:
    """A normal number given that it exceeds `TAIL`."""
    while True:
        beyond = -math.log(1 - uniform(state)) / TAIL
        if -2 * math.log(1 - uniform(state)) >= beyond * beyond:
            return TAIL + beyond


@compiled_inner
def quick_normal(word: np.uint64) -> tuple[float, bool]:
    """A point, and whether it is a standard normal number or `careful_normal` is to say."""
    layer = word & _255
    x = (np.int64(word) >> 10) * SIDES[layer, 0]
    return x, abs(x) < SIDES[layer, 1]


@compiled_inner
def careful_normal(state: Words, word: np.uint64) -> float:
    """A standard normal number, from a random word and where that does not decide from more."""
    while True:
        x, decided = quick_normal(word)
        if decided:
            return x
        layer = word & _255
        if layer == 0:
            return math.copysign(_tail(state), x)
        height = HEIGHTS[layer] + uniform(state) * (HEIGHTS[layer + _1] - HEIGHTS[layer])
        if height < math.exp(-x * x / 2):
            return x
        word = next_word(state)
