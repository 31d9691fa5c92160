r"""UPDATE: whether a proposal replaces the current pair of policies (paper, Appendix D, Lemmas D.14 and D.15).

Around the potentials of the current and the proposed pair lie intervals of half-width h:

    accept    new - h >= old + h        reject    old - h > new + h        overlap    otherwise

On values by state, "accept" asks it of every state and "reject" of one. With h = eta/2 an accepted proposal gains at
least eta and a pair that is no 2 eta-equilibrium admits a proposal that is accepted; the paper's h = eta gives only a
3 eta-equilibrium. The potential lies in [0, r~/(1-gamma)], so that at most r~/((1-gamma) eta) proposals are accepted
and, one refusal per player between acceptances, 2 (r~/((1-gamma) eta) + 1) are made.
"""

import math
from typing import Literal

import numpy as np

from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, float_array, nonnegative, positive
from kofn.envs.model import checked_discount

Verdict = Literal["accept", "reject", "overlap"]
Player = Literal["global", "local"]


@checked_types
def update_verdict(old: float | FloatArray, new: float | FloatArray, half_width: float) -> Verdict:
    """Verdict on a proposal against the current pair.

    Args:
        old: potential of the current pair, or its values by state, any shape.
        new: the same of the proposal. By state, all must gain to accept, and one that loses rejects.
        half_width: h, at least 0.
    """
    old, new = (float_array(name, value, None) for name, value in (("old", old), ("new", new)))
    half_width = nonnegative("half_width", half_width)
    lowest_new, highest_old = np.subtract(new, half_width), np.add(old, half_width)
    if np.all(lowest_new >= highest_old):
        return "accept"
    if np.any(np.subtract(old, half_width) > np.add(new, half_width)):
        return "reject"
    return "overlap"


@checked_types
def proposal_bound(value_bound: float, eta: float) -> int:
    """Largest number of proposals before the alternation stops by itself: 2 (ceil(value_bound/eta) + 1)."""
    eta = positive("eta", eta)
    value_bound = nonnegative("value_bound", value_bound)
    # Rounded first: 230/1.15 is 200.00000000000003 in floating point.
    return 2 * (math.ceil(round(value_bound / eta, 9)) + 1)


@checked_types
def sufficient_horizon(value_bound: float, discount: float, error: float) -> int:
    """Shortest H with gamma^H r~/(1-gamma) <= error: what rollouts of length H leave out."""
    value_bound = nonnegative("value_bound", value_bound)
    error = positive("error", error) if value_bound > 0 else nonnegative("error", error)
    discount = checked_discount(discount)
    if value_bound <= error:
        return 1
    horizon = max(1, math.ceil(math.log(value_bound / error) / -math.log(discount)))
    # The logarithms' rounding may put the result one step off where the bound is met exactly.
    while horizon > 1 and discount ** (horizon - 1) * value_bound <= error:
        horizon -= 1
    while discount**horizon * value_bound > error:
        horizon += 1
    return horizon
