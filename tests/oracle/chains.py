"""The chained MDPs by brute force: laws as dictionaries over states written out in full, one micro-step at a time.

Written from the papers' definitions alone; nothing of the package is imported. Games and policies are as in
`brute_force`. A replica state is (h, s_g, p, (s_1, .., s_N)); an aggregate one (b, s_g, p, (c_b, .., c_{S-1}, c+)); a
tagged one (stage, s_g, p, x, the same of the others). p is None exactly at the first stage, where c+ is left out.
Lists of states are in the order in which the package numbers them: stage, s_g, p, tagged agent, rest lexicographically.
"""

from collections import defaultdict
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from oracle.brute_force import count_vectors, global_law

Array = npt.NDArray[np.float64]
State = tuple[Any, ...]
Law = dict[State, float]


def replica_states(game: Any, n: int) -> list[State]:
    """All legal states: p is None iff h = 0."""
    n_global, n_local = len(game.global_transition), len(game.local_transition)
    tuples = list(product(range(n_local), repeat=n))
    return [
        (h, s_g, p, rest)
        for h in range(n)
        for s_g in range(n_global)
        for p in (range(n_global) if h else [None])
        for rest in tuples
    ]


def histogram_states(game: Any, n: int, tagged: bool) -> list[State]:
    """All legal states of the aggregate or the tagged chain."""
    n_global, n_local = len(game.global_transition), len(game.local_transition)
    states: list[State] = []
    for stage in range(n_local + tagged):
        moved = max(stage - tagged, 0)
        cells = 2 * n_local - moved if moved else n_local
        tags = [(x,) for x in range(n_local)] if tagged else [()]
        states += [
            (stage, s_g, p, *tag, rest)
            for s_g in range(n_global)
            for p in (range(n_global) if stage else [None])
            for tag in tags
            for rest in count_vectors(n - tagged, cells)
        ]
    return states


def replica_step(game: Any, policy: Array, k: int, state: State, action: int) -> tuple[Law, float]:
    """(law of the next state, mean reward) when replica h plays an action."""
    h, s_g, p, agents = state
    law: Law = defaultdict(float)
    for pending, chance in pending_law(game, policy, k, s_g, p, agents).items():
        for y, weight in enumerate(game.local_transition[agents[h], s_g, action]):
            moved = (*agents[:h], y, *agents[h + 1 :])
            last = h == len(agents) - 1
            after = (0, pending, None, moved) if last else (h + 1, s_g, pending, moved)
            law[after] += chance * weight
    paid = game.local_reward[agents[h], s_g, action] / len(agents)
    return law, paid + (query_reward(game, policy, k, s_g, agents) if h == 0 else 0)


def histogram_step(game: Any, policy: Array, k: int, n: int, state: State, action: int) -> tuple[Law, float]:
    """(law of the next state, mean reward) when a bin, or the tagged agent, plays an action."""
    stage, s_g, p, *tag, counts = state
    n_local = len(game.local_transition)
    agents = (*tag, *(x for x in range(n_local) for _ in range(counts[x]))) if stage == 0 else ()
    bin_ = stage - len(tag)
    paid = query_reward(game, policy, k, s_g, agents) if stage == 0 else 0.0
    if tag:
        paid += game.local_reward[tag[0], s_g, action] if stage == 0 else 0.0
    else:
        paid += counts[0] / n * game.local_reward[bin_, s_g, action]
    law: Law = defaultdict(float)
    for pending, chance in pending_law(game, policy, k, s_g, p, agents).items():
        for rest, weight in local_moves(game, s_g, action, bin_, tag, counts).items():
            last = bin_ == n_local - 1
            after = (0, pending, None, *rest) if last else (stage + 1, s_g, pending, *rest)
            law[after] += chance * weight
    return law, paid


def local_moves(game: Any, s_g: int, action: int, bin_: int, tag: list[int], counts: tuple[int, ...]) -> Law:
    """Law of (tagged agent, counts) after a bin's agents have moved one by one, or after the tagged agent has."""
    n_local = len(game.local_transition)
    law: Law = defaultdict(float)
    if bin_ < 0:
        for y, weight in enumerate(game.local_transition[tag[0], s_g, action]):
            law[(y, counts)] += weight
        return law
    arrived = counts[n_local - bin_ :] if bin_ else (0,) * n_local
    for landing in product(range(n_local), repeat=counts[0]):
        after = tuple(c + landing.count(y) for y, c in enumerate(arrived))
        weight = prod(game.local_transition[bin_, s_g, action, y] for y in landing)
        law[(*tag, (*counts[1 : n_local - bin_], *after))] += weight
    return law


def pending_law(game: Any, policy: Array, k: int, s_g: int, p: int | None, agents: tuple[int, ...]) -> dict[int, float]:
    """Law of the pending global state: drawn at the first stage, kept later."""
    if p is not None:
        return {p: 1.0}
    chosen = global_law(policy, (s_g, *agents), len(game.local_transition), k)
    return dict(enumerate(chosen @ game.global_transition[s_g]))


def query_reward(game: Any, policy: Array, k: int, s_g: int, agents: tuple[int, ...]) -> float:
    """Mean of r_g over a_g."""
    return float(global_law(policy, (s_g, *agents), len(game.local_transition), k) @ game.global_reward[s_g])


def tables(game: Any, states: list[State], step: Any) -> tuple[Array, Array]:
    """(P [state, action, next state], r [state, action]) of a chain; `step(state, action)` as above."""
    number = {state: i for i, state in enumerate(states)}
    n_actions = game.local_reward.shape[2]
    transition, rewards = np.zeros((len(states), n_actions, len(states))), np.zeros((len(states), n_actions))
    for i, state in enumerate(states):
        for action in range(n_actions):
            law, rewards[i, action] = step(state, action)
            for after, weight in law.items():
                transition[i, action, number[after]] += weight
    return transition, rewards


def replica_observation(state: State) -> tuple[int, int]:
    """o(x) = (s_h, s_g)."""
    h, s_g, _, agents = state
    return agents[h], s_g


def histogram_observation(state: State) -> tuple[int, int]:
    """o(x) = (bin, s_g), or (tagged agent's state, s_g) when it moves."""
    stage, s_g, _, *tag, _ = state
    return (tag[0] if tag and stage == 0 else stage - len(tag)), s_g
