r"""Compiled steps of crowds: who acts and moves how, what it pays, and who is seen.

One step of a population with global state s_g, global action a_g and counts c_x = #{i : s_i = x}:

    pay r_g(s_g, a_g),  move s_g' ~ P_g(. | s_g, a_g),
    N[x, a] ~ Multinomial(c_x, pi_l(. | x, s_g)),  pay (1/n) sum N[x, a] r_l(x, s_g, a),
    Multinomial(N[x, a], P_l(. | x, s_g, a)) agents move from x by action a.

Each (population, x) and each (population, x, a) has a random stream of its own (`kofn.envs.xoshiro`); `spreading` draws
the multinomials. Loading this module loads numba.
"""

import math

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.compiled import compiled, compiled_inner
from kofn.envs.spreading import DIGITS, FEW, TWO_53, Law, spread, spread_few, spread_many
from kofn.envs.xoshiro import Words, integer_below, start_stream

Part = tuple[int, int, bool, bool]
"""First population to step, first that is left alone, whether all local agents follow one policy, and whether they move
with the new global state."""

Given = tuple[FloatArray, IntArray, IntArray, IntArray]
"""Uniform numbers, global actions and global states [population], and counts [population, s_l]."""

Global = tuple[FloatArray, FloatArray]
"""Thresholds of s_g' [(s_g, a_g), outcome - 1], and r_g [s_g, a_g]."""

Stepped = tuple[FloatArray, IntArray, FloatArray, IntArray, IntArray]
"""r_g, s_g' and mean of r_l [population], next counts [population, s_l], agents by action [(population, s_l), a_l]."""


@compiled_inner
def _certain(conditional: FloatArray, row: int) -> int:
    """The outcome that has probability 1, or -1."""
    for j in range(conditional.shape[1]):
        if conditional[row, j] > 0:
            return j if conditional[row, j] >= 1 else -1
    return -1


@compiled_inner
def _exclude(laws: FloatArray, row: int, conditional: FloatArray) -> None:
    """As `population.conditional_probabilities`, one row of [row, outcome]."""
    tail = 0.0
    for j in range(laws.shape[1] - 1, -1, -1):
        tail += laws[row, j]
        conditional[row, j] = min(laws[row, j] / tail, 1.0) if tail > 0 else 0.0


@compiled_inner
def _cumulate(conditional: FloatArray, row: int, thresholds: Words, into: int) -> None:
    """Begin row `into` of [row, ..] with integer thresholds of a row of conditional probabilities."""
    left = 1.0
    for j in range(conditional.shape[1] - 1):
        left *= 1 - conditional[row, j]
        thresholds[into, j] = np.uint64(math.ceil((1 - left) * TWO_53))


@compiled
def spread_cells(key: Words, totals: IntArray, conditional: FloatArray, counts: IntArray) -> None:
    """Multinomial `counts` [cell, outcome], zero at first, of `totals` [cell] agents."""
    n_outcomes = conditional.shape[1]
    state, thresholds = _new_stream(n_outcomes), np.empty((1, n_outcomes - 1), dtype=np.uint64)
    for cell in range(len(totals)):
        start_stream(key, cell, state)
        if totals[cell] > FEW:
            spread_many(state, totals[cell], conditional, cell, counts, cell)
        else:
            _cumulate(conditional, cell, thresholds, 0)
            spread_few(state, totals[cell], thresholds, 0, counts, cell)


@compiled
def prepare_laws(laws: FloatArray, conditional: FloatArray, thresholds: Words) -> None:
    """Fill in conditional probabilities of laws [row, outcome], and integer thresholds at the front of [row, ..]."""
    for row in range(len(laws)):
        _exclude(laws, row, conditional)
        _cumulate(conditional, row, thresholds, row)


@compiled
def _new_stream(n_outcomes: int) -> Words:
    """Room for a stream's four words, and behind them for what `spread` takes over so many outcomes."""
    return np.empty(4 + 3 * max(n_outcomes, DIGITS), dtype=np.uint64)


@compiled
def step_global(
    part: Part,
    uniforms: FloatArray,
    actions: IntArray,
    states: IntArray,
    thresholds: FloatArray,
    rewards: FloatArray,
    paid: FloatArray,
    moved: IntArray,
) -> int:
    """Pay and move global agents; returns the first one whose state or action is out of range, or -1."""
    n_states, n_actions = rewards.shape
    for b in range(part[0], part[1]):
        s_g, a_g = states[b], actions[b]
        if not (0 <= s_g < n_states and 0 <= a_g < n_actions):
            return int(b)
        outcome = np.int64(0)
        for j in range(thresholds.shape[1]):
            outcome += np.int64(uniforms[b] >= thresholds[s_g * n_actions + a_g, j])
        paid[b], moved[b] = rewards[s_g, a_g], outcome
    return -1


@compiled_inner
def _act(
    key: Words,
    state: Words,
    part: Part,
    counts: IntArray,
    states: IntArray,
    conditional: FloatArray,
    table: Words,
    ways: Words,
    acting: IntArray,
) -> None:
    """Fill in `acting` [(population, s_l), a_l] by laws of rows (s_l, s_g) or else (population, s_l)."""
    n_states, n_actions = counts.shape[1], acting.shape[1]
    n_global = len(conditional) // n_states
    for b in range(part[0], part[1]):
        for x in range(n_states):
            cell = b * n_states + x
            row = x * n_global + states[b] if part[2] else cell
            for a in range(n_actions):
                acting[cell, a] = 0
            if counts[b, x] > 0:
                sure = _certain(conditional, row)
                if sure >= 0:
                    acting[cell, sure] = counts[b, x]
                else:
                    start_stream(key, cell * (n_actions + 1), state)
                    spread(state, counts[b, x], conditional, table, ways, row, acting, cell)


@compiled_inner
def _pay(part: Part, states: IntArray, acting: IntArray, rewards: FloatArray, means: FloatArray) -> None:
    """Fill in means of r_l [population], 0 without agents."""
    n_states, _, n_actions = rewards.shape
    for b in range(part[0], part[1]):
        total, n_agents = 0.0, 0
        for x in range(n_states):
            for a in range(n_actions):
                total += acting[b * n_states + x, a] * rewards[x, states[b], a]
                n_agents += acting[b * n_states + x, a]
        means[b] = total / max(n_agents, 1)


@compiled_inner
def _move(
    key: Words,
    state: Words,
    part: Part,
    seen: IntArray,
    acting: IntArray,
    conditional: FloatArray,
    table: Words,
    ways: Words,
    moved: IntArray,
) -> None:
    """Fill in next counts [population, s_l] by laws of rows (s_l, s_g, a_l)."""
    n_states, n_actions = moved.shape[1], acting.shape[1]
    n_global = len(conditional) // (n_states * n_actions)
    for b in range(part[0], part[1]):
        for y in range(n_states):
            moved[b, y] = 0
        for x in range(n_states):
            cell, first = b * n_states + x, (x * n_global + seen[b]) * n_actions
            for a in range(n_actions):
                if acting[cell, a] > 0:
                    start_stream(key, cell * (n_actions + 1) + 1 + a, state)
                    spread(state, acting[cell, a], conditional, table, ways, first + a, moved, b)


@compiled
def step_crowds(
    key: Words,
    part: Part,
    given: Given,
    tables: Global,
    laws: tuple[Law, Law],
    rewards: FloatArray,
    out: Stepped,
) -> int:
    """Pay and move once; fills in `out` and returns the first population out of range, or -1.

    Args:
        key: of this step.
        part: see `Part`.
        given: see `Given`.
        tables: see `Global`.
        laws: of actions, rows (s_l, s_g) of one policy or (population, s_l); of s_l', rows (s_l, s_g, a_l).
        rewards: r_l [s_l, s_g, a_l].
        out: see `Stepped`.
    """
    uniforms, actions, states, counts = given
    paid, new_states, means, moved, acting = out
    bad = step_global(part, uniforms, actions, states, tables[0], tables[1], paid, new_states)
    if bad < 0:
        state = _new_stream(max(counts.shape[1], acting.shape[1]))
        conditional, table, ways = laws[0]
        _act(key, state, part, counts, states, conditional, table, ways, acting)
        _pay(part, states, acting, rewards, means)
        conditional, table, ways = laws[1]
        _move(key, state, part, new_states if part[3] else states, acting, conditional, table, ways, moved)
    return bad


@compiled
def sample_crowds(key: Words, counts: IntArray, k: int, sampled: IntArray) -> None:
    """Fill in `sampled` [population, s_l], zero at first: k distinct agents, one after another."""
    state = np.empty(4, dtype=np.uint64)
    for b in range(len(counts)):
        start_stream(key, b, state)
        left = counts[b].sum()
        for drawn in range(k):
            position = integer_below(state, left - drawn)
            x = 0
            while position >= counts[b, x] - sampled[b, x]:
                position -= counts[b, x] - sampled[b, x]
                x += 1
            sampled[b, x] += 1
