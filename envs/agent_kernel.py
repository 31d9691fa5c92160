r"""Compiled step of individual agents.

Agent i of a population draws one uniform 53-bit integer, the i-th of the population's stream, and takes outcome j if it
lies between two thresholds ceil(2^53 (p_0 + .. + p_j)): `kofn.envs.inversion`, in integers. Loading this module loads
numba.
"""

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.compiled import compiled
from kofn.envs.xoshiro import Words, advance, start_stream

_11 = np.uint64(11)


@compiled
def step_agents(
    key: Words,
    states: IntArray,
    offsets: IntArray,
    actions: IntArray,
    thresholds: IntArray,
    rewards: FloatArray,
    sizes: tuple[int, int, int],
    moved: IntArray,
    paid: FloatArray,
) -> int:
    """Fill in `moved` and `paid` [population, agent]; returns the first agent out of range (flat), or -1.

    Args:
        key: of this step.
        states: [population, agent].
        offsets: [2, population], the global states agents are paid at and move with.
        actions: [population, agent].
        thresholds: `integer_thresholds` of the moves, flat [s_l, s_g, a_l, outcome].
        rewards: flat [s_l, s_g, a_l].
        sizes: |S_l|, |S_g|, |A_l|.
        moved: out.
        paid: out.
    """
    n_states, n_global, n_actions = sizes
    width, state = np.uint64(n_states - 1), np.empty(4, dtype=np.uint64)
    for b in range(states.shape[0]):
        start_stream(key, b, state)
        s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
        at, ahead = offsets[0, b], (offsets[1, b] - offsets[0, b]) * n_actions
        for i in range(states.shape[1]):
            x, a = states[b, i], actions[b, i]
            if x < 0 or x >= n_states or a < 0 or a >= n_actions:
                return int(b * states.shape[1] + i)
            bits, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
            u, row = np.int64(bits >> _11), (x * n_global + at) * n_actions + a
            first, outcome = np.uint64(row + ahead) * width, np.int64(0)
            for j in range(width):
                outcome += np.int64(u >= thresholds[first + np.uint64(j)])
            moved[b, i] = outcome
            paid[b, i] = rewards[np.uint64(row)]
    return -1


@compiled
def pick_rows(uniforms: FloatArray, thresholds: FloatArray, rows: IntArray) -> IntArray:
    """As `inversion.sample_rows` with thresholds[rows]: outcomes [population] for thresholds [row, outcome - 1]."""
    outcomes = np.zeros(len(rows), dtype=np.int64)
    for b in range(len(rows)):
        for j in range(thresholds.shape[1]):
            outcomes[b] += np.int64(uniforms[b] >= thresholds[rows[b], j])
    return outcomes
