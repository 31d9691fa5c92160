r"""How fast the behaviour behind a log mixes (paper, Appendix E).

The behaviour policy makes the surrogate states s = (s_g, F_D) a Markov chain with kernel P_b and stationary law mu_b.
Its mixing time at level alpha,

    t_alpha = min { t : max_s TV( P_b^t(s, .), mu_b ) <= alpha },

is what Theorem E.4 sets the step size against. P_b is estimated by the relative frequencies of the log's (s, s'),
which is right also where D is redrawn between transitions. Powers are found by repeated squaring: the distance never
rises with t, so that the least t follows by bisection over the squares.
"""

import numpy as np

from kofn.agents.logged_data.transitions import Transitions
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, probability_array

MAX_STATES = 2000
"""States of a chain whose powers are formed."""

SQUARINGS = 40
"""A chain that has not mixed after 2^40 steps counts as one that never does."""

MIXED = 1e-9
"""Rows of a power that are this close in total variation are the stationary law."""


@checked_types
def behaviour_mixing_time(transitions: Transitions, level: float = 0.25) -> float:
    """t_alpha of the behaviour that made a log, on the surrogate states that it left at least once.

    Args:
        transitions: the log.
        level: alpha in (0, 1).

    Returns:
        t_alpha; inf where the log's chain never mixes, nan where it ends in a state that it was never seen to leave.

    Raises:
        TypeError, ValueError: a level out of range, or more than `MAX_STATES` states.
    """
    states, next_states = transitions.surrogate_states
    left, numbers = np.unique(states, return_inverse=True)
    if not np.isin(next_states, left).all():
        return float("nan")
    return mixing_time(_kernel(numbers, np.searchsorted(left, next_states), len(left)), level)


def mixing_time(kernel: FloatArray, level: float = 0.25) -> float:
    """t_alpha of a Markov chain with rows [s, s']; inf if it never mixes. Errors as `behaviour_mixing_time`."""
    kernel = probability_array("kernel", kernel, (None, None))
    if kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"kernel must be square [s, s']; got shape {list(kernel.shape)}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1; got {level}")
    _check_size(len(kernel))
    powers = _squares(kernel)
    stationary = powers[-1][0]
    if _distance(powers[-1], stationary) > MIXED:
        return float("inf")
    reached, steps = np.eye(len(kernel)), 0
    if _distance(reached, stationary) <= level:
        return 0.0
    for exponent in range(len(powers) - 1, -1, -1):
        further = reached @ powers[exponent]
        if _distance(further, stationary) > level:
            reached, steps = further, steps + 2**exponent
    return float(steps + 1)


def _kernel(states: IntArray, next_states: IntArray, size: int) -> FloatArray:
    """Relative frequencies [s, s']."""
    _check_size(size)
    moves = np.zeros((size, size))
    np.add.at(moves, (states, next_states), 1.0)
    return np.asarray(moves / moves.sum(axis=1, keepdims=True))


def _check_size(size: int) -> None:
    if size > MAX_STATES:
        raise ValueError(f"mixing times are found for at most {MAX_STATES} states; the chain has {size}")


def _squares(kernel: FloatArray) -> list[FloatArray]:
    """P, P^2, P^4, .. up to the first whose rows agree, or to P^(2^40)."""
    powers = [kernel]
    while _distance(powers[-1], powers[-1][0]) > MIXED and len(powers) <= SQUARINGS:
        square = powers[-1] @ powers[-1]
        powers.append(square / square.sum(axis=1, keepdims=True))
    return powers


def _distance(power: FloatArray, law: FloatArray) -> float:
    """max_s TV(power[s], law)."""
    return float(np.abs(power - law).sum(axis=1).max() / 2)
