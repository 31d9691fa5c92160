r"""Planning against every transition law of a confidence set (UCFH, FixedHorizonEVI), and the least value of a policy.

With V_H = 0 and t = H-1, .., 0 (a fixed number of steps: there is nothing to converge), rewards w_t r(s, a) and r known
to lie in [r-, r+],

    optimistic    Q_t(s, a) = w_t r+(s, a) + max_{p'} sum_s' p' V_{t+1}(s')        V_t(s) = max_a Q_t(s, a)
    pessimistic   V_t(s) = w_t r-(s, pi_t(s)) + min_{p'} sum_s' p' V_{t+1}(s')     for a policy pi

where p' ranges over {lower <= p' <= upper, sum p' = 1}, anew at every step. When the true law is in every set, the
optimistic value is at least the optimal one and the pessimistic value at most that of pi.

The largest mean is a linear program, solved greedily: start at `lower` and hand the mass that is left to the best next
states, each up to its `upper`. States that a row does not list share one upper end and the lower end 0, so that a
stretch of them is served at once from cumulative sums of the sorted values: the cost is that of the listed ones. As p'
sums to 1, no Q exceeds the largest reward that can still be collected, and need not be clipped there.
"""

from typing import NamedTuple

import numpy as np

from kofn.agents.compiled import compiled
from kofn.agents.global_response.g_learn import TIE_TOLERANCE
from kofn.envs.arrays import FloatArray, IntArray


class TransitionSets(NamedTuple):
    """What is known of every row, row = state * n_actions + action. A tuple, so that compiled code can read it.

    Attributes:
        successors: listed next states, int [row, j]; none twice in a row.
        n_listed: how many are listed, int [row]; the rest of the row is padding.
        lower: least probability of each, float [row, j].
        upper: largest probability of each, float [row, j].
        unlisted: largest probability of each state that is not listed, float [row]; 0 where the support is known.
        reward_low: least mean reward r-, float [row].
        reward_high: largest mean reward r+, float [row].
        order: the listed j from best to worst next state, int [row, j]: scratch, kept because it changes little.
    """

    successors: IntArray
    n_listed: IntArray
    lower: FloatArray
    upper: FloatArray
    unlisted: FloatArray
    reward_low: FloatArray
    reward_high: FloatArray
    order: IntArray


class Ranking(NamedTuple):
    """Values [state]; each state's place when sorted in descending order; the sorted values; sums of the i largest."""

    values: FloatArray
    place: IntArray
    descending: FloatArray
    sums: FloatArray


@compiled
def rank_values(values: FloatArray) -> Ranking:
    """Sort once per step what every row then reads."""
    best_first = np.argsort(-values, kind="mergesort")
    place = np.empty(len(values), dtype=np.int64)
    sums = np.zeros(len(values) + 1)
    for i, state in enumerate(best_first):
        place[state] = i
        sums[i + 1] = sums[i] + values[state]
    return Ranking(values, place, values[best_first], sums)


@compiled
def sort_listed(order: IntArray, successors: IntArray, place: IntArray) -> None:
    """Bring a row's listed states into ranking order, by insertion: they were nearly so at the step before."""
    for i in range(1, len(order)):
        moving, j = order[i], i
        while j > 0 and place[successors[order[j - 1]]] > place[successors[moving]]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = moving


@compiled
def serve_stretch(ranking: Ranking, first: int, last: int, each: float, mass: float) -> tuple[float, float]:
    """(value, mass left) once the states in places first..last-1 have taken up to `each` of the mass, in order."""
    if each * (last - first) <= mass:
        return each * (ranking.sums[last] - ranking.sums[first]), mass - each * (last - first)
    full = first + min(int(mass / each), last - first - 1)
    value = each * (ranking.sums[full] - ranking.sums[first])
    return value + (mass - each * (full - first)) * ranking.descending[full], 0.0


@compiled
def largest_mean(sets: TransitionSets, row: int, ranking: Ranking) -> float:
    """The largest sum_s' p' V(s') over the row's set."""
    successors, lower, upper = sets.successors[row], sets.lower[row], sets.upper[row]
    each = sets.unlisted[row]
    order = sets.order[row, : sets.n_listed[row]]
    sort_listed(order, successors, ranking.place)
    total, mass = 0.0, 1.0
    for j in order:
        total += lower[j] * ranking.values[successors[j]]
        mass -= lower[j]
    served = 0
    for j in order:
        place = ranking.place[successors[j]]
        if each > 0 and place > served:
            value, mass = serve_stretch(ranking, served, place, each, mass)
            total += value
        given = min(upper[j] - lower[j], mass)
        total += given * ranking.descending[place]
        mass -= given
        if mass <= 0:
            return float(total)
        served = place + 1
    if each > 0 and served < len(ranking.values):
        total += serve_stretch(ranking, served, len(ranking.values), each, mass)[0]
    return float(total)


@compiled
def optimistic_plan(
    sets: TransitionSets, weights: FloatArray, n_states: int, n_actions: int, n_values: int
) -> tuple[IntArray, FloatArray]:
    """FixedHorizonEVI: the optimistic policy, int [t, state], and V, float [t, state].

    Args:
        sets: one set per (state, action); rows beyond those are not read.
        weights: w, float [t].
        n_states: states with actions.
        n_actions: actions.
        n_values: states in all; those after the first `n_states` are absorbing and pay nothing.
    """
    horizon = len(weights)
    policy = np.zeros((horizon, n_states), dtype=np.int64)
    values = np.zeros((horizon + 1, n_values))
    q = np.empty(n_actions)
    for t in range(horizon - 1, -1, -1):
        ranking = rank_values(values[t + 1])
        for state in range(n_states):
            for action in range(n_actions):
                row = state * n_actions + action
                q[action] = weights[t] * sets.reward_high[row] + largest_mean(sets, row, ranking)
            values[t, state] = q.max()
            policy[t, state] = np.argmax(q >= values[t, state] - TIE_TOLERANCE)
    return policy, values


@compiled
def pessimistic_values(
    sets: TransitionSets, weights: FloatArray, policy: IntArray, n_actions: int, n_values: int
) -> FloatArray:
    """The least values of a policy [t, state] that the sets allow, float [t, state]; arguments as `optimistic_plan`."""
    horizon, n_states = policy.shape
    costs = np.zeros((horizon + 1, n_values))
    for t in range(horizon - 1, -1, -1):
        ranking = rank_values(costs[t + 1])
        for state in range(n_states):
            row = state * n_actions + policy[t, state]
            costs[t, state] = largest_mean(sets, row, ranking) - weights[t] * sets.reward_low[row]
    return 0.0 - costs


@compiled
def extreme_means(sets: TransitionSets, row: int, least: FloatArray, largest: FloatArray) -> tuple[float, float]:
    """(Least mean of `least`, largest mean of `largest`) over one row's set, values [state]."""
    return -largest_mean(sets, row, rank_values(-least)), largest_mean(sets, row, rank_values(largest))
