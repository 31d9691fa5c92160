r"""Compiled draws of many agents' outcomes, a byte each, and the step of individual agents.

An agent's outcome is the number of thresholds t_j = ceil(2^53 (p_0 + .. + p_j)) that its uniform 53-bit number reaches:
`kofn.envs.inversion`, in integers. The number's leading byte nearly always decides: for every law a guide says which
outcome a byte stands for, or that it takes a closer look, because a threshold lies among the numbers it begins. One
random word holds the bytes of eight agents; agent i's remaining 45 bits, where they are looked at, are the i-th word of
splitmix64 from a start of the stream's own. So agent i has a number of its own whatever the others draw.

Agents are counted by unsigned numbers: every access by a signed one asks first whether it counts from the end, which
took half of a step.

Loading this module loads numba.
"""

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.compiled import compiled
from kofn.envs.xoshiro import Words, advance, mixed_word, start_stream

Guides = npt.NDArray[np.uint8]

UNSURE = 255
"""What a guide says of a byte that does not decide."""

_0, _8, _19, _45, _255 = (np.uint64(number) for number in (0, 8, 19, 45, 255))
_ALL = np.uint64(2**64 - 1)


@compiled
def guides_of(thresholds: IntArray) -> Guides:
    """Outcomes by leading byte, or UNSURE, uint8 [row, 256], of integer thresholds [row, outcome - 1]."""
    guides = np.empty((len(thresholds), 256), dtype=np.uint8)
    for row in range(len(thresholds)):
        for byte in range(256):
            least, most = np.int64(0), np.int64(0)
            for j in range(thresholds.shape[1]):
                least += np.int64(byte << 45 >= thresholds[row, j])
                most += np.int64((byte + 1 << 45) - 1 >= thresholds[row, j])
            guides[row, byte] = least if least == most and most < UNSURE else UNSURE
    return guides


@compiled
def closer_look(
    byte: np.uint64, start: np.uint64, agent: np.uint64, thresholds: IntArray, first: np.uint64, width: np.uint64
) -> np.int64:
    """The outcome of an agent whose leading byte does not decide, from thresholds[first : first + width]."""
    number = np.int64((byte << _45) | (mixed_word(start, int(agent)) >> _19))
    outcome = np.int64(0)
    for j in range(first, first + width):
        outcome += np.int64(number >= thresholds[j])
    return outcome


@compiled
def step_agents(
    key: Words,
    states: IntArray,
    offsets: IntArray,
    actions: IntArray,
    moves: tuple[IntArray, Guides],
    rewards: FloatArray,
    sizes: tuple[int, int, int],
    out: tuple[IntArray, FloatArray, FloatArray],
) -> int:
    """Fill in `out`; returns the first agent out of range (flat), or -1.

    Args:
        key: of this step.
        states: flat [population, agent].
        offsets: [2, population], the global states agents are paid at and move with.
        actions: flat [population, agent].
        moves: `integer_thresholds` of the moves, flat [s_l, s_g, a_l, outcome], and their guides, flat [s_l, s_g, a_l,
            byte], or a single UNSURE.
        rewards: flat [s_l, s_g, a_l].
        sizes: |S_l|, |S_g|, |A_l|.
        out: next states and rewards, flat [population, agent], and sums of rewards [population].
    """
    thresholds, guides = moves
    moved, paid, totals = out
    n_states, n_global, n_actions = np.uint64(sizes[0]), np.uint64(sizes[1]), np.uint64(sizes[2])
    n_agents, stride = np.uint64(len(states) // max(len(totals), 1)), n_global * n_actions
    width = np.uint64(len(thresholds) // len(rewards))
    state, guided = np.empty(4, dtype=np.uint64), _ALL if len(guides) > 1 else _0
    for b in range(len(totals)):
        start_stream(key, b, state)
        s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
        start, at, law = s1, np.uint64(offsets[0, b]) * n_actions, np.uint64(offsets[1, b]) * n_actions
        total, begin = 0.0, n_agents * np.uint64(b)
        for first in range(begin, begin + n_agents, _8):
            word, s0, s1, s2, s3 = advance(s0, s1, s2, s3)
            for i in range(first, min(first + _8, begin + n_agents)):
                x, a = np.uint64(states[i]), np.uint64(actions[i])
                if x >= n_states or a >= n_actions:
                    return int(np.int64(i))
                row, byte = x * stride + a, word & _255
                outcome = np.int64(guides[(row + law << _8 | byte) & guided])
                if outcome == UNSURE:
                    outcome = closer_look(byte, start, i - begin, thresholds, (row + law) * width, width)
                reward = rewards[row + at]
                moved[i], paid[i] = outcome, reward
                total += reward
                word >>= _8
        totals[b] = total
    return -1
