r"""Compiled binomial counts, exact at 10^12 agents.

Binomial(n, p), p <= 1/2 (else its mirror image), with mean m, deviation s and d = 1 - 2p. Below m = 5 by inversion,
term after term. From there on by rejection from a normal variable Z (`kofn.envs.ziggurat`), bent to the right skewness
as Cornish and Fisher do:

    k = floor(m + s Z + d (Z^2 - 1)/6 + 1/2)      where that increases in Z, s + d Z/3 > 0.

With q(k) = Phi(z_{k+1/2}) - Phi(z_{k-1/2}), z_y the point that is sent to y, and f(k) the law wanted,

    1 - (0.05 + Z^4/24) / s^2  <=  f(k) / q(k)  <=  1 + 0.08 / s^2,

so k is accepted if V (1 + 0.08/s^2) <= f(k)/q(k), V uniform on [0, 1), and the bound on the left spares nearly all of
these ratios. The bent normal's exponent is the smaller one: at x = k - m it has second derivative
1/(s^2 (1 + 2 d x/(3 s^2))^{3/2}), the binomial's is 1/(s^2 (1 + d x/s^2 - x^2/(n s^2))), and (1 + 2 y/3)^{3/2} is at
least 1 + y by Bernoulli's inequality. The constants are measured, and tested: s^2 (f/q - 1) tends to 1/16 at most.

The ratio is found where it is needed from error functions and saddle points (Loader 2000):

    log f(k) = e(n) - e(k) - e(n-k) - D(k, n p) - D(n-k, n q) - log(2 pi k (n-k) / n) / 2

where D(x, y) = x log(x/y) + y - x without cancellation, and e is the error of Stirling's formula. A logarithm of a
factorial of 10^12 is never formed: its rounding error, 0.004, would be the acceptance probability's. Here that is below
10^-9.
"""

import math

import numpy as np

from kofn.envs.compiled import compiled, compiled_inner
from kofn.envs.xoshiro import Words, next_word, uniform
from kofn.envs.ziggurat import careful_normal, quick_normal

_11 = np.uint64(11)

LEAST_MEAN = 5.0
"""Below this mean a count is drawn term after term."""

MOST, LEAST, BEND = 0.08, 0.05, 1 / 24
"""The constants of the bounds."""

STIRLING_ERRORS = np.array(
    [math.lgamma(k + 1) - ((k + 0.5) * math.log(k) - k + 0.5 * math.log(2 * math.pi)) if k else 0.0 for k in range(16)]
)
"""log k! - log(sqrt(2 pi k) (k/e)^k) for small k."""


@compiled
def _stirling_error(k: float) -> float:
    """e(k) = log k! - log(sqrt(2 pi k) (k/e)^k)."""
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
def _sent_to(y: float, spread: float, skew: float) -> float:
    """The z with spread z + skew (z^2 - 1)/6 = y, on the increasing branch; its end if there is none."""
    bent = y + skew / 6
    square = spread * spread + bent * (2 / 3) * skew
    return 2 * bent / (spread + math.sqrt(square)) if square > 0 else -3 * spread / skew


@compiled
def proposal_density(k: int, n: int, p: float) -> float:
    """q(k) of Binomial(n, p), p <= 1/2."""
    spread, skew, from_mean = math.sqrt(n * p * (1 - p)), 1 - 2 * p, k - n * p
    low, high = _sent_to(from_mean - 0.5, spread, skew), _sent_to(from_mean + 0.5, spread, skew)
    if low + high > 0:  # the smaller tail loses no digits
        low, high = -high, -low
    return 0.5 * (math.erfc(-high / math.sqrt(2.0)) - math.erfc(-low / math.sqrt(2.0)))


@compiled_inner
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
def _bent_normal(z: float, mean: float, spread: float, skew: float) -> float:
    """The count that z is sent to, a whole number."""
    return float(np.floor(mean + 0.5 + (spread * z + skew / 6 * (z * z - 1))))


@compiled_inner
def quick_binomial(normal_word: np.uint64, height_word: np.uint64, n: int, p: float) -> int:
    """Binomial(n, p) from two random words, or -1 where it takes `careful_binomial` to say what they stand for."""
    q = min(p, 1 - p)
    mean, skew = n * q, 1 - 2 * q
    variance = mean * (1 - q)
    z, decided = quick_normal(normal_word)
    k = np.int64(_bent_normal(z, mean, math.sqrt(variance), skew))
    height, square = (height_word >> _11) * 2.0**-53 * (variance + MOST), z * z
    if decided and mean >= LEAST_MEAN and height <= variance - LEAST - BEND * square * square and 0 <= k <= n:
        return int(k + np.int64(p > 0.5) * (n - 2 * k))  # no jump: the processor could not foresee it
    return -1


@compiled_inner
def careful_binomial(state: Words, normal_word: np.uint64, height_word: np.uint64, n: int, p: float) -> int:
    """Binomial(n, p), beginning with two words that `quick_binomial` left open."""
    if n <= 0 or p <= 0 or p >= 1:
        return n if p >= 1 else 0
    q = min(p, 1 - p)
    if n * q < LEAST_MEAN:
        rare = _binomial_by_inversion(state, n, q)
    else:
        rare = _binomial_by_rejection(state, normal_word, height_word, n, q)
    return rare if p <= 0.5 else n - rare


@compiled
def binomial(state: Words, n: int, p: float) -> int:
    """Binomial(n, p)."""
    normal_word, height_word = next_word(state), next_word(state)
    drawn = quick_binomial(normal_word, height_word, n, p)
    return drawn if drawn >= 0 else careful_binomial(state, normal_word, height_word, n, p)


@compiled_inner
def _binomial_by_rejection(state: Words, normal_word: np.uint64, height_word: np.uint64, n: int, p: float) -> int:
    """Rejection from a bent normal variable, for n p >= 5 and p <= 1/2; the first proposal's words are given."""
    mean, skew = n * p, 1 - 2 * p
    variance = mean * (1 - p)
    spread = math.sqrt(variance)
    while True:
        z = careful_normal(state, normal_word)
        k, height = _bent_normal(z, mean, spread, skew), (height_word >> _11) * 2.0**-53 * (1 + MOST / variance)
        possible = 0 <= k <= n and spread + skew / 3 * z > 0
        if possible and height * proposal_density(int(k), n, p) <= math.exp(binomial_log_density(int(k), n, p)):
            return int(k)
        normal_word, height_word = next_word(state), next_word(state)
