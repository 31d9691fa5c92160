r"""Compiled binomial counts, exact at 10^12 agents.

Binomial(n, p), p <= 1/2 (else its mirror image). Below n p = 10 by inversion, term after term. From there on by
transformed rejection with squeeze (Hoermann 1993, BTRS): with U uniform on (-1/2, 1/2), V on (0, 1] and

    b = 1.15 + 2.53 s,  a = -0.0873 + 0.0248 b + 0.01 p,  alpha = (2.83 + 5.1/b) s,  s = sqrt(n p q),  e = 1/2 - |U|,

k = floor((2 a / e + b) U + n p + 1/2) is accepted if V alpha / (a/e^2 + b) <= f(k) / f(m), m the mode; at once if
e >= 0.07 and V <= 0.92 - 4.2/b. The densities' ratio is found from log-factorials of small n. For large n the bounds
around the normal density by Kachitvichyanukul and Schmeiser (1988, BTPE) are tried first; if they do not decide, the
densities are found as saddle points (Loader 2000):

    log f(k) = d(n) - d(k) - d(n-k) - D(k, n p) - D(n-k, n q) - log(2 pi k (n-k) / n) / 2

where D(x, y) = x log(x/y) + y - x without cancellation, and d is the error of Stirling's formula. A logarithm of a
factorial of 10^12 is never formed: its rounding error, 0.004, would be the acceptance probability's. Here that is below
10^-9.

Other files compile these functions into their own and keep the result on disk: after a change here, delete theirs.
"""

import math

import numpy as np

from kofn.envs.compiled import compiled
from kofn.envs.xoshiro import Words, uniform

INVERSION_MEAN = 10.0
"""Below this mean a count is drawn term after term."""

LOG_FACTORIALS = np.cumsum(np.log(np.maximum(np.arange(2048.0), 1)))
"""log k! of small k, by sums: errors below 10^-11."""

STIRLING_ERRORS = np.array(
    [math.lgamma(k + 1) - ((k + 0.5) * math.log(k) - k + 0.5 * math.log(2 * math.pi)) if k else 0.0 for k in range(16)]
)
"""log k! - log(sqrt(2 pi k) (k/e)^k) for small k."""


@compiled
def _stirling_error(k: float) -> float:
    """delta(k) = log k! - log(sqrt(2 pi k) (k/e)^k)."""
    if k < 16:
        return float(STIRLING_ERRORS[int(k)])
    square = 1.0 / (k * k)
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - square / 1188) * square) * square) * square) / k


@compiled
def _deviance(x: float, mean: float) -> float:
    """D(x, y) = x log(x/y) + y - x."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * math.log(x / mean) + mean - x if x > 0 else mean
    v = (x - mean) / (x + mean)
    total, term, square = (x - mean) * v, 2 * x * v, v * v
    for j in range(3, 1000, 2):
        term *= square
        larger = total + term / j
        if larger == total:
            break
        total = larger
    return total


@compiled
def binomial_log_density(k: int, n: int, p: float) -> float:
    """Log f(k) of Binomial(n, p), 0 < p < 1."""
    if k == 0:
        return n * math.log1p(-p)
    if k == n:
        return n * math.log(p)
    x, y = float(k), float(n - k)
    errors = _stirling_error(float(n)) - _stirling_error(x) - _stirling_error(y)
    return errors - _deviance(x, n * p) - _deviance(y, n * (1 - p)) - 0.5 * math.log(2 * math.pi * x * (y / n))


@compiled
def _accepts(height: float, k: int, n: int, p: float) -> bool:
    """Whether height <= log f(k)/f(mode) of Binomial(n, p)."""
    mode = math.floor((n + 1) * p)
    if n < len(LOG_FACTORIALS):
        ways = LOG_FACTORIALS[mode] + LOG_FACTORIALS[n - mode] - LOG_FACTORIALS[k] - LOG_FACTORIALS[n - k]
        return bool(height <= ways + (k - mode) * math.log(p / (1 - p)))
    distance, variance = abs(float(k - mode)), n * p * (1 - p)
    if 20 < distance < variance / 2 - 1:
        normal = -distance * distance / (2 * variance)
        off = distance / variance * ((distance * (distance / 3 + 0.625) + 1 / 6) / variance + 0.5)
        if abs(height - normal) > off:
            return height < normal
    return height <= binomial_log_density(k, n, p) - binomial_log_density(mode, n, p)


@compiled
def _binomial_by_inversion(state: Words, n: int, p: float) -> int:
    """Term after term, for small n p; a number beyond ten deviations is rounding, and drawn anew."""
    first, odds = math.exp(n * math.log1p(-p)), p / (1 - p)
    bound = min(float(n), n * p + 10 * math.sqrt(n * p * (1 - p) + 1))
    while True:
        left, term, k = uniform(state), first, 0
        while left >= term and k <= bound:
            left -= term
            k += 1
            term *= (n - k + 1) / k * odds
        if k <= bound:
            return k


@compiled
def _binomial_by_rejection(state: Words, n: int, p: float) -> int:
    """Transformed rejection with squeeze, for n p >= 10 and p <= 1/2."""
    mean = n * p
    spread = math.sqrt(mean * (1 - p))
    b = 1.15 + 2.53 * spread
    a, inverse, c = -0.0873 + 0.0248 * b + 0.01 * p, 1 / b, mean + 0.5
    while True:
        u, v = uniform(state) - 0.5, 1 - uniform(state)
        edge = 0.5 - abs(u)
        k = np.floor((2 * a / edge + b) * u + c)
        if edge >= 0.07 and v <= 0.92 - 4.2 * inverse:
            return int(k)
        if 0 <= k <= n:
            height = v * ((2.83 + 5.1 * inverse) * spread) / (a / (edge * edge) + b)
            if _accepts(math.log(height), int(k), n, p):
                return int(k)


@compiled
def binomial(state: Words, n: int, p: float) -> int:
    """Binomial(n, p)."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    q = min(p, 1 - p)
    rare = _binomial_by_inversion(state, n, q) if n * q < INVERSION_MEAN else _binomial_by_rejection(state, n, q)
    return rare if p <= 0.5 else n - rare
