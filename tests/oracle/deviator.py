"""One agent that decides for itself among n, by brute force; nothing of the package is imported (see `brute_force`)."""

from itertools import product
from math import prod
from typing import Any

import numpy as np
from oracle import brute_force
from oracle.brute_force import Array


class Deviator:
    """n agents of whom the first decides for itself, written from the definitions.

    `transition` [a, s, s'] and `rewards` [a, s] over joint states, a the first agent's action.
    """

    def __init__(self, game: Any, global_table: Array, others: Array, n: int, k: int, own: bool = False) -> None:
        self.game, self.states = game, brute_force.joint_states(game, n)
        n_actions, n_global_actions = others.shape[2], game.global_reward.shape[1]
        size = len(self.states)
        self.transition, self.rewards = np.zeros((n_actions, size, size)), np.zeros((n_actions, size))
        for i, s in enumerate(self.states):
            law = brute_force.global_law(global_table, s, len(game.local_transition), k)
            for a_g, actions in product(range(n_global_actions), product(range(n_actions), repeat=n)):
                played = zip(s[2:], actions[1:], strict=True)
                weight = law[a_g] * prod(others[x, s[0], a] for x, a in played)
                paid = brute_force.reward(game, s, a_g, actions)
                if own:
                    paid = game.global_reward[s[0], a_g] + game.local_reward[s[1], s[0], actions[0]]
                self.transition[actions[0], i] += weight * brute_force.next_law(game, s, a_g, actions)
                self.rewards[actions[0], i] += weight * paid
        self.start = brute_force.start_law(game, n)

    def value(self, table: Array) -> float:
        """The value when the first agent follows a table [x, s_g, a]."""
        weights = np.array([table[s[1], s[0]] for s in self.states]).T
        transition = (weights[:, :, None] * self.transition).sum(axis=0)
        rewards = (weights * self.rewards).sum(axis=0)
        system = np.eye(len(rewards)) - self.game.discount * transition
        return float(self.start @ np.linalg.solve(system, rewards))

    def best_map(self) -> float:
        """The best of all maps (x, s_g) -> a."""
        return max(self.value(table) for table in brute_force.deterministic_local_policies(self.game))

    def best_with_full_information(self) -> float:
        """The optimum over maps that see every agent."""
        values = np.zeros(len(self.states))
        for _ in range(2000):
            values = (self.rewards + self.game.discount * self.transition @ values).max(axis=0)
        return float(self.start @ values)
