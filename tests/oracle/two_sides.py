"""A tiny continuous game that can be solved by hand: robots on one of two sides, a beacon that jumps.

The beacon jumps to the left (0) or the right (1) end; a robot stays or changes sides, s -> 1 - s, for a cost of 0.1; it
earns 1 - |s - s_g|. All robots start at 0.2 or all at 0.8. Best replies: to robots that stay, jump to their side; to a
beacon that stands on the right, change sides on the left only.
"""

import numpy as np

from kofn.envs.continuous import ContinuousGame


def two_sides(discount: float = 0.8) -> ContinuousGame:
    return ContinuousGame(
        n_global_actions=2,
        n_local_actions=2,
        discount=discount,
        global_bounds=(0.0, 1.0),
        bin_edges=(0.0, 0.5, 1.0),
        sample_global=lambda _rng, _s_g, a_g: a_g.astype(np.float32),
        sample_local=lambda _rng, s_l, _s_g, a_l: np.where(a_l == 1, 1 - s_l, s_l),
        pay_global=lambda _rng, s_g, _a_g: np.zeros(s_g.shape),
        pay_local=lambda _rng, s_l, s_g, a_l: 1 - np.abs(s_l - s_g) - 0.1 * a_l,
        global_reward_bounds=(0.0, 0.0),
        local_reward_bounds=(-0.1, 1.0),
        start_global=lambda _rng, b: np.full(b, 0.5),
        start_local=lambda rng, b, n: np.repeat(rng.choice([0.2, 0.8], size=(b, 1)), n, axis=1),
    )


def sides_value(share_right: float, horizon: int, discount: float = 0.8) -> float:
    """Return of a beacon that stands on the right from step 1 on, robots staying: the rest start on the left."""
    later = sum(discount**t for t in range(1, horizon))
    return 0.7 + later * (share_right * 0.8 + (1 - share_right) * 0.2)
