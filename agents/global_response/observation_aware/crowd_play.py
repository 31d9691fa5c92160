r"""Compiled rollouts of a crowd under a deterministic global policy that sees k of its agents.

The crowd is the law mu of its agents' states. Of n agents, mu = c/n, every agent is moved by a draw of its own and k of
them are seen without replacement; in the limit n -> infinity (n_agents = 0) the crowd moves by mu' = mu P~_{s_g},
without noise, and what is seen is Multinomial(k, mu). Each rollout has a random stream of its own (splitmix64 from its
key), so that two policies played on the same keys meet the same numbers (common random numbers), and one rollout's
choices never shift another's draws.
"""

from typing import Any

import numpy as np

from kofn.agents.compiled import compiled
from kofn.envs.arrays import FloatArray, IntArray

NEGLIGIBLE = 1e-9
"""Chance of a histogram that is not worth adding up."""


@compiled
def draw(stream: Any, position: int) -> float:
    """Uniform number on [0, 1) at `position` of a stream (splitmix64)."""
    z = stream + np.uint64(position) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def outcome(uniform: float, weights: FloatArray) -> int:
    """Draw by inversion: how many of the cumulative weights, but for the last, are at most `uniform`."""
    chosen, level = 0, 0.0
    for index in range(len(weights) - 1):
        level += weights[index]
        chosen += uniform >= level
    return chosen


@compiled
def see(seen: IntArray, crowd: FloatArray, n_agents: int, k: int, stream: Any, position: int) -> None:
    """Fill `seen` [s_l] with the histogram of k agents of the crowd."""
    seen[:] = 0
    levels = np.cumsum(crowd)
    for j in range(k):
        uniform = draw(stream, position + j)
        if n_agents > 0:
            uniform *= 1.0 - j / n_agents
        x = 0
        for y in range(len(crowd) - 1):
            x += uniform >= levels[y]
        seen[x] += 1
        if n_agents > 0:
            for y in range(x, len(crowd)):
                levels[y] -= 1.0 / n_agents


@compiled
def rank(seen: IntArray, k: int, choose: IntArray) -> int:
    """Rank of a histogram (`kofn.envs.population`), from choose[r, m] = C(r + m, m)."""
    remaining, found = k, 0
    for i in range(len(seen) - 1):
        m = len(seen) - 1 - i
        found += choose[remaining, m] - choose[remaining - seen[i], m]
        remaining -= seen[i]
    return found


@compiled
def move(crowd: FloatArray, law: FloatArray, n_agents: int, stream: Any, position: int) -> None:
    """Replace `crowd` [s_l] by the next one, each agent moving by `law` [s_l, s_l']."""
    n_states = len(crowd)
    moved = np.zeros(n_states)
    drawn = 0
    for x in range(n_states):
        if n_agents == 0:
            for y in range(n_states):
                moved[y] += crowd[x] * law[x, y]
        else:
            for _ in range(round(crowd[x] * n_agents)):
                moved[outcome(draw(stream, position + drawn), law[x])] += 1.0 / n_agents
                drawn += 1
    crowd[:] = moved


@compiled
def play(  # noqa: PLR0913, PLR0917  # a compiled function takes arrays, not a configuration
    local_law: FloatArray,
    local_reward: FloatArray,
    global_law: FloatArray,
    global_reward: FloatArray,
    table: IntArray,
    choose: IntArray,
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
        choose: C(r + m, m), int64 [r, m].
        global_states: int64 [rollout], changed in place.
        crowds: float [rollout, s_l], changed in place.
        keys: uint64 [rollout], streams.
        lengths: int64 [rollout], steps.
        sizes: (n_agents, k); n_agents = 0: the limit.
        discount: gamma.
    """
    n_agents, k = sizes[0], sizes[1]
    returns = np.zeros(len(keys))
    seen = np.zeros(crowds.shape[1], dtype=np.int64)
    draws = k + n_agents + 1
    for rollout in range(len(keys)):
        s_g, stream, weight = global_states[rollout], keys[rollout], 1.0
        crowd = crowds[rollout]
        for t in range(lengths[rollout]):
            position = t * draws + 1
            see(seen, crowd, n_agents, k, stream, position)
            action = table[s_g, rank(seen, k, choose)]
            returns[rollout] += weight * (global_reward[s_g, action] + (crowd * local_reward[s_g]).sum())
            weight *= discount
            old, s_g = s_g, outcome(draw(stream, position + k), global_law[s_g, action])
            move(crowd, local_law[old], n_agents, stream, position + k + 1)
        global_states[rollout] = s_g
    return returns


@compiled
def gather(weights: FloatArray, values: FloatArray, histograms: IntArray) -> FloatArray:
    """sum_i values[i] prod_x weights[i, x, F_x], float [F, column]: particles seen through a channel of product form.

    Products of neighbouring F in rank order share their first factors, which are kept. Chances below `NEGLIGIBLE` are
    left out.

    Args:
        weights: float [particle, s_l, count].
        values: float [particle, column].
        histograms: int64 [F, s_l], in rank order.
    """
    n_seen, n_states = histograms.shape
    found = np.zeros((n_seen, values.shape[1]))
    firsts = np.ones(n_states + 1)
    for i in range(len(weights)):
        for f in range(n_seen):
            x = 0
            while f > 0 and x < n_states and histograms[f, x] == histograms[f - 1, x]:
                x += 1
            while x < n_states:
                firsts[x + 1] = firsts[x] * weights[i, x, histograms[f, x]]
                x += 1
            if firsts[n_states] > NEGLIGIBLE:
                for column in range(values.shape[1]):
                    found[f, column] += firsts[n_states] * values[i, column]
    return found
