"""The surrogate game as a finite decision process, and the asymptotic law of Q-learning's error in it.

Near Q* an update of entry i moves the error e by -alpha (e - gamma P* e)_i plus alpha times noise of variance sigma_i^2
= Var(r + gamma max Q*(s', .) | i), and i comes up with frequency f_i. With alpha_i = c/(f_i t)^w the covariance of e
after t steps is therefore, to first order, c t^-w S with

    A S + S A^T - (w/c) t^(w-1) S = diag(f^(1-2w) sigma^2),     A = diag(f^(1-w)) (I - gamma P*).

All of it is computed by enumerating what k agents may do; nothing is fitted.
"""

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from scipy.linalg import solve_continuous_lyapunov

from kofn.agents.logged_data.off_policy import StepRule
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray

K = 2


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The surrogate game as a finite decision process; states (s_g, rank of F), flat entries (state, a_g)."""

    transition: FloatArray  # [state, a_g, state']
    noise: FloatArray  # [entry]: Var(r + gamma max Q*(s', .))
    optimal_q: FloatArray  # [state, a_g]
    discount: float

    def frequencies(self, epsilon: float) -> FloatArray:
        """f [entry] of the behaviour that explores with probability epsilon around the greedy action of Q*."""
        n_actions = self.optimal_q.shape[1]
        behaviour = epsilon / n_actions + (1 - epsilon) * np.eye(n_actions)[self.optimal_q.argmax(axis=1)]
        chain = np.einsum("sa,sat->st", behaviour, self.transition)
        stationary = np.linalg.matrix_power(chain, 2**20)[0]
        return (stationary[:, None] * behaviour).ravel()

    def covariance(self, frequencies: FloatArray, step: StepRule, n_steps: int) -> FloatArray:
        """Covariance of the error [entry, entry] after `n_steps`."""
        n_states, n_actions = self.optimal_q.shape
        greedy = np.eye(n_actions)[self.optimal_q.argmax(axis=1)]
        ahead = np.einsum("sat,tb->satb", self.transition, greedy).reshape(n_states * n_actions, -1)
        c, w = step.step_size, step.decay
        drift = np.diag(frequencies ** (1 - w)) @ (np.eye(len(ahead)) - self.discount * ahead)
        drift -= w / (2 * c) * n_steps ** (w - 1.0) * np.eye(len(ahead))
        return c * n_steps**-w * solve_continuous_lyapunov(drift, np.diag(frequencies ** (1 - 2 * w) * self.noise))


def surrogate(game: TabularGame, policy: LocalPolicy, k: int) -> Surrogate:
    """By enumeration of the actions and moves of k agents."""
    n_local, n_actions = game.n_local_states, game.n_global_actions
    ranks = {states: brute_force.rank(states, n_local) for states in product(range(n_local), repeat=k)}
    width = max(ranks.values()) + 1
    q = np.zeros((game.n_global_states * width, n_actions))
    for s, row in zip(brute_force.joint_states(game, k), brute_force.optimal_q(game, policy.table, k), strict=True):
        q[s[0] * width + ranks[s[1:]]] = row
    transition, moments = np.zeros((*q.shape, len(q))), np.zeros((*q.shape, 2))
    for (s_g, a_g), (states, rank) in product(np.ndindex(game.global_reward.shape), ranks.items()):
        entry = s_g * width + rank, a_g
        transition[entry], moments[entry] = 0, 0  # all orderings of a histogram give the same
        for chance, reward, s in outcomes(game, policy, s_g, a_g, states):
            state = s[0] * width + ranks[s[1:]]
            transition[(*entry, state)] += chance
            moments[entry] += chance * (reward + game.discount * q[state].max()) ** np.array([1, 2])
    assert moments[..., 0] == pytest.approx(q, abs=1e-9)
    return Surrogate(transition, (moments[..., 1] - moments[..., 0] ** 2).ravel(), q, game.discount)


def outcomes(game: TabularGame, policy: LocalPolicy, s_g: int, a_g: int, states: tuple[int, ...]) -> Any:
    """(probability, r_D, next joint state) of everything that may happen."""
    k, n_local = len(states), game.n_local_states
    for actions in product(range(game.n_local_actions), repeat=k):
        taken = prod(policy.table[x, s_g, a] for x, a in zip(states, actions, strict=True))
        reward = brute_force.reward(game, (s_g, *states), a_g, actions)
        law = brute_force.next_law(game, (s_g, *states), a_g, actions)
        for chance, s in zip(law, product(range(game.n_global_states), *[range(n_local)] * k), strict=True):
            yield taken * chance, reward, s
