r"""Joint control by brute force: everybody's states, actions and samples one by one, no joint counts.

Like `brute_force`, on which it builds, it imports nothing of the package. Joint states are those of
`brute_force.joint_states`, joint actions the tuples (a_1, .., a_n) of `joint_actions`; a joint policy of k agents is a
global policy [s_g, F, a_g] and action counts [s_g, F, x, a].
"""

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
from oracle import brute_force
from oracle.brute_force import Array, JointState


def coupled(game: Any) -> Any:
    """The game with the global agent going where it wants and paying agents to be there, so that choices interact.

    Needs as many global states as global actions, and no more local states than global states.
    """
    n_local, n_global, n_actions = game.local_reward.shape
    here = np.eye(n_global)
    bonus = np.tile(4 * here[:n_local, :, None], (1, 1, n_actions))
    return replace(
        game,
        global_transition=0.2 * game.global_transition + 0.8 * here,
        local_transition=0.4 * game.local_transition + 0.6 * here[:n_local, None, None, :n_local],
        local_reward=game.local_reward + bonus,
    )


def joint_actions(game: Any, n: int) -> list[tuple[int, ...]]:
    """(a_1, .., a_n), lexicographically."""
    return list(product(range(game.local_reward.shape[2]), repeat=n))


def planner_q(game: Any, n: int, dispatcher: Array | None = None) -> Array:
    """Q* [joint state, joint action, a_g] of a planner who commands n agents that it sees one by one.

    It chooses a_g too, unless `dispatcher` [s_g, histogram of n agents, a_g] gives its law.
    """
    states, actions = brute_force.joint_states(game, n), joint_actions(game, n)
    n_global_actions = game.global_reward.shape[1]
    cells = [(s, a, a_g) for s in states for a in actions for a_g in range(n_global_actions)]
    rewards = np.array([brute_force.reward(game, s, a_g, a) for s, a, a_g in cells])
    moves = np.array([brute_force.next_law(game, s, a_g, a) for s, a, a_g in cells])
    shape = (len(states), len(actions), n_global_actions)
    q, change = np.zeros(shape), np.inf
    while change > 1e-13 * max(1.0, np.abs(q).max()):
        updated = (rewards + game.discount * moves @ state_values(game, n, q, dispatcher)).reshape(shape)
        q, change = updated, np.abs(updated - q).max()
    return q


def state_values(game: Any, n: int, q: Array, dispatcher: Array | None = None) -> Array:
    """V [joint state] of `planner_q`."""
    if dispatcher is None:
        return np.asarray(q.max(axis=(1, 2)))
    states = brute_force.joint_states(game, n)
    laws = np.array([dispatcher[s[0], brute_force.rank(s[1:], len(game.local_transition))] for s in states])
    return np.asarray((q * laws[:, None, :]).sum(axis=2).max(axis=1))


def action_law(game: Any, action_counts: Array, s: JointState, i: int, k: int, lexicographic: bool = False) -> Array:
    """Law of a_i in Algorithm 3: agent i tries every k-1 of the others, and takes its part of what k agents do."""
    own, others = s[1 + i], [x for j, x in enumerate(s[1:]) if j != i]
    laws = []
    for seen in combinations(others, k - 1):
        sample = (own, *seen)
        row = action_counts[s[0], brute_force.rank(sample, len(game.local_transition)), own]
        if lexicographic:
            row = np.eye(len(row))[next(a for a, number in enumerate(row) if number > 0)]
        laws.append(row / row.sum())
    return np.asarray(np.mean(laws, axis=0))


def execution_potential(
    game: Any, global_policy: Array, action_counts: Array, n: int, k: int, lexicographic: bool = False
) -> float:
    """Phi of a joint policy of k agents executed by n agents as in Algorithm 3, by one linear solve."""
    states = brute_force.joint_states(game, n)
    transition, rewards = np.zeros((len(states), len(states))), np.zeros(len(states))
    for row, s in enumerate(states):
        laws = [action_law(game, action_counts, s, i, k, lexicographic) for i in range(n)]
        for a_g, chance_global in enumerate(brute_force.global_law(global_policy, s, len(game.local_transition), k)):
            for actions in joint_actions(game, n):
                chance = chance_global * np.prod([law[a] for law, a in zip(laws, actions, strict=True)])
                rewards[row] += chance * brute_force.reward(game, s, a_g, actions)
                transition[row] += chance * brute_force.next_law(game, s, a_g, actions)
    values = np.linalg.solve(np.eye(len(states)) - game.discount * transition, rewards)
    return float(brute_force.start_law(game, n) @ values)
