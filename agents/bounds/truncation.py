r"""Sums cut short: gamma^T r~/(1-gamma) is all that T steps or sweeps can leave out (Lemma C.1, Lemma B.36).

For rewards in [0, r~] the steps from T on add at most sum_{t >= T} gamma^t r~ = gamma^T r~/(1-gamma) to a return, and a
gamma-contraction started at Q = 0 is at most that far from its fixed point after T sweeps. Since -ln gamma >= 1-gamma,

    T >= ln( r~ / (error (1-gamma)) ) / (1-gamma)      makes it at most `error`.
"""

from math import ceil, log

from kofn.agents.bounds.bound import Bound, fraction
from kofn.envs.arrays import integer, positive


def truncation_error(n_steps: int, reward_bound: float, discount: float) -> Bound:
    """What `n_steps` leave out, gamma^T r~/(1-gamma) (Lemma C.1). Assumes rewards in [0, reward_bound]."""
    left = fraction("discount", discount) ** integer("n_steps", n_steps, 0)
    return Bound(value=left * positive("reward_bound", reward_bound) / (1 - discount), source="Lemma C.1")


def truncation_horizon(error: float, reward_bound: float, discount: float) -> int:
    """Steps T of the module's rule; at most ln(1/gamma)/(1-gamma) times the fewest (2.6% more at gamma = 0.95).

    Assumes rewards in [0, reward_bound].

    Args:
        error: what may be left out, in units of the value.
        reward_bound: r~.
        discount: gamma.
    """
    ratio = positive("reward_bound", reward_bound) / positive("error", error) / (1 - fraction("discount", discount))
    return max(0, ceil(log(ratio) / (1 - discount)))
