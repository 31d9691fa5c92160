r"""The games by brute force: every agent and every subset on its own, no histograms.

Written from the papers' definitions alone; nothing of the package is imported. A game is anything with a hash (what no
policy changes is kept for it) and the attributes `global_transition` [s_g, a_g, s_g'], `local_transition` [s_l, s_g,
a_l, s_l'], `global_reward` [s_g, a_g], `local_reward` [s_l, s_g, a_l], `discount`, `initial_global` [s_g] and
`initial_local` (with `probabilities` or `concentration`). Joint states are (s_g, s_1, .., s_n) in the order of
`joint_states`; a local policy is an array [s_l, s_g, a_l]; a global policy of k agents is an array [s_g, F, a_g], F the
rank of the k agents' count vector in ascending lexicographic order.

Nothing is checked: values are rational functions of the policies' entries, so that they may be differentiated
numerically at the faces of the simplex too, where a step along the simplex makes a probability slightly negative.
"""

from collections.abc import Callable
from functools import lru_cache, reduce
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
JointState = tuple[int, ...]


def count_vectors(k: int, n_states: int) -> list[tuple[int, ...]]:
    """Count vectors of k agents in ascending lexicographic order."""
    return sorted(counts for counts in product(range(k + 1), repeat=n_states) if sum(counts) == k)


def counts_of(states: tuple[int, ...], n_states: int) -> tuple[int, ...]:
    """How many agents are in each state."""
    return tuple(states.count(x) for x in range(n_states))


def rank(states: tuple[int, ...], n_states: int) -> int:
    """Rank of the count vector of some agents' states."""
    return count_vectors(len(states), n_states).index(counts_of(states, n_states))


def joint_states(game: Any, n: int) -> list[JointState]:
    """(s_g, s_1, .., s_n), lexicographically."""
    n_global, n_local = len(game.global_transition), len(game.local_transition)
    return list(product(range(n_global), *[range(n_local)] * n))


def start_law(game: Any, n: int) -> Array:
    """rho over joint states: s_g and the agents are independent, agents exchangeable (an urn for Dirichlet starts)."""
    return np.array(
        [game.initial_global[s[0]] * _start_of_agents(game.initial_local, s[1:]) for s in joint_states(game, n)]
    )


def _start_of_agents(law: Any, states: tuple[int, ...]) -> float:
    if hasattr(law, "probabilities"):
        return prod(law.probabilities[x] for x in states)
    total = law.concentration.sum()
    # Polya's urn: each agent joins a state in proportion to its concentration and to the agents already there.
    return prod((law.concentration[x] + states[:i].count(x)) / (total + i) for i, x in enumerate(states))


def reward(game: Any, s: JointState, a_g: int, actions: tuple[int, ...]) -> float:
    """r(s, a) = r_g(s_g, a_g) + mean of r_l(s_i, s_g, a_i)."""
    paid = [game.local_reward[x, s[0], a] for x, a in zip(s[1:], actions, strict=True)]
    return float(game.global_reward[s[0], a_g] + sum(paid) / len(paid))


def next_law(game: Any, s: JointState, a_g: int, actions: tuple[int, ...], timing: str = "paper") -> Array:
    """Law of the next joint state: all n+1 transitions are independent given (s, a).

    Local agents see the old s_g ("paper") or, as in the authors' evaluation code, the new one ("code").
    """
    n_global = len(game.global_transition)
    blocks = []
    for next_global in range(n_global):
        seen = s[0] if timing == "paper" else next_global
        rows = [game.local_transition[x, seen, a] for x, a in zip(s[1:], actions, strict=True)]
        blocks.append(game.global_transition[s[0], a_g, next_global] * reduce(np.kron, rows))
    return np.concatenate(blocks)


def global_law(policy: Array, s: JointState, n_states: int, k: int) -> Array:
    """Law of a_g: the policy averaged over all subsets of k of the n agents."""
    subsets = list(combinations(s[1:], k))
    return np.sum([policy[s[0], rank(seen, n_states)] for seen in subsets], axis=0) / len(subsets)


def global_law_with_replacement(policy: Array, s: JointState, n_states: int, k: int) -> Array:
    """Law of a_g when k agents are drawn with replacement: the policy averaged over all n^k sequences."""
    sequences = list(product(s[1:], repeat=k))
    return np.sum([policy[s[0], rank(seen, n_states)] for seen in sequences], axis=0) / len(sequences)


def decision(game: Any, n: int, local_policy: Array, a_g: int, timing: str = "paper") -> tuple[Array, Array]:
    """(P [s, s'], R [s]) when the global agent plays a_g in every state and each agent draws its own action."""
    states = joint_states(game, n)
    transition, rewards = np.zeros((len(states), len(states))), np.zeros(len(states))
    for actions, moves, paid in _joint_actions(game, n, a_g, timing):
        weights = [prod(local_policy[x, s[0], a] for x, a in zip(s[1:], actions, strict=True)) for s in states]
        transition += np.array(weights)[:, None] * moves
        rewards += np.array(weights) * paid
    return transition, rewards


@lru_cache(maxsize=4)
def _joint_actions(game: Any, n: int, a_g: int, timing: str) -> list[tuple[tuple[int, ...], Array, Array]]:
    """(actions of the local agents, P [s, s'], R [s]) for all their joint actions; no policy changes them."""
    states = joint_states(game, n)
    found = []
    for actions in product(range(game.local_reward.shape[2]), repeat=n):
        moves = np.array([next_law(game, s, a_g, actions, timing) for s in states])
        found.append((actions, moves, np.array([reward(game, s, a_g, actions) for s in states])))
    return found


def values(  # the game, the pair and how it is played
    game: Any,
    global_policy: Array,
    local_policy: Array,
    n: int,
    k: int,
    timing: str = "paper",
    seen: Callable[[Array, JointState, int, int], Array] = global_law,
) -> tuple[Array, float]:
    """(V of every joint state, Phi = <rho, V>) of a pair in the game of n agents, by one linear solve.

    `seen` is the law of a_g given the joint state.
    """
    states = joint_states(game, n)
    chosen = np.array([seen(global_policy, s, len(game.local_transition), k) for s in states])
    transition, rewards = np.zeros((len(states), len(states))), np.zeros(len(states))
    for a_g in range(game.global_reward.shape[1]):
        moves, paid = decision(game, n, local_policy, a_g, timing)
        transition += chosen[:, [a_g]] * moves
        rewards += chosen[:, a_g] * paid
    value = np.linalg.solve(np.eye(len(states)) - game.discount * transition, rewards)
    return value, float(start_law(game, n) @ value)


def potential(game: Any, global_policy: Array, local_policy: Array, n: int, k: int, timing: str = "paper") -> float:
    """Phi of a pair in the game of n agents."""
    return values(game, global_policy, local_policy, n, k, timing)[1]


def optimal_q(game: Any, local_policy: Array, n: int) -> Array:
    """Q* [joint state, a_g] of a global agent that sees all n agents one by one: value iteration on tuples.

    With n = k this is the surrogate game of k agents; with the real n, the full-information optimum.
    """
    decisions = [decision(game, n, local_policy, a_g) for a_g in range(game.global_reward.shape[1])]
    q = np.zeros((len(joint_states(game, n)), len(decisions)))
    change = np.inf
    while change > 1e-13 * max(1.0, np.abs(q).max()):
        best = q.max(axis=1)
        updated = np.stack([rewards + game.discount * moves @ best for moves, rewards in decisions], axis=1)
        q, change = updated, np.abs(updated - q).max()
    return q


def optimal_potential(game: Any, local_policy: Array, n: int) -> float:
    """Phi of the best response of a global agent that sees all n agents."""
    return float(start_law(game, n) @ optimal_q(game, local_policy, n).max(axis=1))


def deterministic_local_policies(game: Any) -> list[Array]:
    """All maps (s_l, s_g) -> a_l, as arrays [s_l, s_g, a_l]."""
    n_local, n_global, n_actions = game.local_reward.shape
    maps = product(range(n_actions), repeat=n_local * n_global)
    return [np.eye(n_actions)[list(actions)].reshape(n_local, n_global, n_actions) for actions in maps]


def deterministic_global_policies(game: Any, k: int) -> list[Array]:
    """All maps (s_g, F) -> a_g, as arrays [s_g, F, a_g]."""
    n_global, n_actions = game.global_reward.shape
    n_columns = len(count_vectors(k, len(game.local_transition)))
    maps = product(range(n_actions), repeat=n_global * n_columns)
    return [np.eye(n_actions)[list(actions)].reshape(n_global, n_columns, n_actions) for actions in maps]


def best_local_response(game: Any, global_policy: Array, n: int, k: int) -> tuple[Array, float]:
    """The best deterministic map when all n agents adopt it, by trying them all, and its Phi."""
    candidates = deterministic_local_policies(game)
    potentials = [potential(game, global_policy, policy, n, k) for policy in candidates]
    best = int(np.argmax(potentials))
    return candidates[best], potentials[best]
