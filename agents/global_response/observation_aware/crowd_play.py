r"""Compiled rollouts of a crowd under a deterministic global policy that sees k of its agents.

The crowd is the law mu of its agents' states. Of n agents, mu = c/n, every agent is moved by a draw of its own and k of
them are seen without replacement; in the limit n -> infinity (n_agents = 0) the crowd moves by mu' = mu P~_{s_g},
without noise, and what is seen is Multinomial(k, mu). Each rollout has a random stream of its own (splitmix64 from its
key), so that two policies played on the same keys meet the same numbers (common random numbers), and one rollout's
choices never shift another's draws. Rollouts can therefore be played in any parts, by several threads.

A histogram F is known by its tails r_x = F_x + F_{x+1} + .., which are counted as they are drawn; its rank is

    rank(F) = C(k+S-1, S-1) - 1 - sum_{x=1}^{S-1} C(r_x + S-1-x, S-x) = sum_x [ C(k+S-1-x, S-x) - C(r_x+S-1-x, S-x) ].

Every function here is compiled at the first training on a machine, so they are few, and call nothing of numpy's.
"""

import math
from typing import Any

import numpy as np

from kofn.agents.compiled import compiled_for_threads
from kofn.envs.arrays import FloatArray, IntArray

TWO_53 = 2.0**53


@compiled_for_threads
def number(stream: Any, position: int) -> np.int64:
    """Uniform on 0 .. 2^53 - 1 at `position` of a stream (splitmix64)."""
    z = stream + np.uint64(position) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64(z >> np.uint64(11))


@compiled_for_threads
def draw(stream: Any, position: int) -> float:
    """Uniform on [0, 1) at `position` of a stream."""
    return number(stream, position) / TWO_53


@compiled_for_threads
def see(scratch: FloatArray, numbers: IntArray, n_agents: int, stream: Any, position: int, terms: IntArray) -> int:
    """Rank of the histogram of k agents drawn from the crowd in scratch[0]; all else in scratch is overwritten.

    In the limit the k `numbers` are drawn first, and one state after another counts those that reach it, which the
    processor does four at a time.
    """
    if n_agents > 0:
        return _see_few(scratch, len(numbers), n_agents, stream, position, terms)
    k, level = len(numbers), 0.0
    rank: int = terms[0, k]
    for j in range(k):
        numbers[j] = number(stream, position + j)
    for y in range(terms.shape[0] - 1):
        level += scratch[0, y]
        threshold, tail = np.int64(math.ceil(level * TWO_53)), 0
        for j in range(k):
            tail += numbers[j] >= threshold
        rank += terms[y + 1, k] - terms[y + 1, tail]
    return rank


@compiled_for_threads
def _see_few(scratch: FloatArray, k: int, n_agents: int, stream: Any, position: int, terms: IntArray) -> int:
    """As `see`, without replacement."""
    last, level = terms.shape[0] - 1, 0.0
    for y in range(last):
        level += scratch[0, y]
        scratch[1, y], scratch[2, y] = level, 0.0
    for j in range(k):
        uniform = draw(stream, position + j) * (1.0 - j / n_agents)
        for y in range(last):
            if uniform >= scratch[1, y]:
                scratch[2, y] += 1.0
            else:
                scratch[1, y] -= 1.0 / n_agents
    rank = 0
    for x in range(last + 1):
        rank += terms[x, k] - (terms[x, int(scratch[2, x - 1])] if x > 0 else 0)
    return rank


@compiled_for_threads
def move(scratch: FloatArray, law: FloatArray, n_agents: int, stream: Any, position: int) -> None:
    """Replace the crowd in scratch[0] by the next one, each agent moving by `law` [s_l, s_l']."""
    n_states = law.shape[0]
    if n_agents > 0:
        _land_each(scratch, law, n_agents, stream, position)
    else:
        for y in range(n_states):
            arrived = 0.0
            for x in range(n_states):
                arrived += scratch[0, x] * law[x, y]
            scratch[1, y] = arrived
    for y in range(n_states):
        scratch[0, y] = scratch[1, y]


@compiled_for_threads
def _land_each(scratch: FloatArray, law: FloatArray, n_agents: int, stream: Any, position: int) -> None:
    """Where the agents of the crowd in scratch[0] land, into scratch[1]."""
    n_states, drawn = law.shape[0], 0
    for y in range(n_states):
        scratch[1, y] = 0.0
    for x in range(n_states):
        for _ in range(int(scratch[0, x] * n_agents + 0.5)):
            uniform, level, chosen = draw(stream, position + drawn), 0.0, 0
            for y in range(n_states - 1):
                level += law[x, y]
                chosen += uniform >= level
            scratch[1, chosen] += 1.0 / n_agents
            drawn += 1


@compiled_for_threads
def play(  # noqa: PLR0913, PLR0917  # a compiled function takes arrays, not a configuration
    local_law: FloatArray,
    local_reward: FloatArray,
    global_law: FloatArray,
    global_reward: FloatArray,
    table: IntArray,
    terms: IntArray,
    global_states: IntArray,
    crowds: FloatArray,
    keys: IntArray,
    lengths: IntArray,
    sizes: IntArray,
    discount: float,
) -> FloatArray:
    """Discounted returns [rollout]; `global_states` and `crowds` are left where every rollout stops.

    Args:
        local_law: P~, float [s_g, s_l, s_l'].
        local_reward: r~, float [s_g, s_l].
        global_law: P_g, float [s_g, a_g, s_g'].
        global_reward: r_g, float [s_g, a_g].
        table: pi_g, int64 [s_g, histogram].
        terms: `rank_terms` of k agents.
        global_states: int64 [rollout], changed in place.
        crowds: float [rollout, s_l], changed in place.
        keys: uint64 [rollout], streams.
        lengths: int64 [rollout], steps.
        sizes: (n_agents, k); n_agents = 0: the limit.
        discount: gamma.
    """
    n_agents, k, n_states, n_global = sizes[0], sizes[1], crowds.shape[1], global_law.shape[2]
    returns, scratch, numbers = np.zeros(keys.shape[0]), np.zeros((3, n_states)), np.zeros(k, np.int64)
    for rollout in range(keys.shape[0]):
        s_g, stream, weight, total = global_states[rollout], keys[rollout], 1.0, 0.0
        for x in range(n_states):
            scratch[0, x] = crowds[rollout, x]
        for t in range(lengths[rollout]):
            position = t * (k + n_agents + 1) + 1
            action = table[s_g, see(scratch, numbers, n_agents, stream, position, terms)]
            paid = global_reward[s_g, action]
            for x in range(n_states):
                paid += scratch[0, x] * local_reward[s_g, x]
            total += weight * paid
            weight *= discount
            old, uniform, level, s_g = s_g, draw(stream, position + k), 0.0, 0
            for y in range(n_global - 1):
                level += global_law[old, action, y]
                s_g += uniform >= level
            move(scratch, local_law[old], n_agents, stream, position + k + 1)
        global_states[rollout], returns[rollout] = s_g, total
        for x in range(n_states):
            crowds[rollout, x] = scratch[0, x]
    return returns
