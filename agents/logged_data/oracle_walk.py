"""One trajectory of the surrogate game of a game that can only be sampled, learning from every step.

The same walk as `q_updates.walk`. Calling the game's functions in every step would take all the time, so that they are
asked ahead: every (s_g, a_g) and (s_l, s_g, a_l) keeps a queue of independent draws (next state, payment), the walk
takes the next one of a row, and rows that have fewer than k left are drawn anew. What is thrown away then has not been
looked at, so that the trajectory has the law of one drawn step by step.
"""

from typing import NamedTuple

import numpy as np

from kofn.agents.compiled import compiled
from kofn.agents.logged_data.q_updates import Rule, draw, ranking_table, surrogate_state, update
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.dynamics import Draws
from kofn.envs.generative import GenerativeGame
from kofn.envs.inversion import cumulative_thresholds
from kofn.envs.policies import LocalPolicy

QUEUE = 256
"""Draws asked for at once for a row; more where k agents could use up many."""


class Queues(NamedTuple):
    """What the walk reads; rows are numbered s_g |A_g| + a_g, and (s_l |S_g| + s_g) |A_l| + a_l.

    Attributes:
        global_moves: int64 [row, draw].
        global_rewards: float [row, draw].
        local_moves: int64 [row, draw].
        local_rewards: float [row, draw].
        global_used: draws taken of every row, int64 [row].
        local_used: draws taken of every row, int64 [row].
        local_actions: thresholds of pi_l, [s_l, s_g, |A_l| - 1].
        choose: `ranking_table`.
    """

    global_moves: IntArray
    global_rewards: FloatArray
    local_moves: IntArray
    local_rewards: FloatArray
    global_used: IntArray
    local_used: IntArray
    local_actions: FloatArray
    choose: IntArray


class OracleWalk:
    """A trajectory.

    Args:
        game: the game.
        local_policy: pi_l.
        epsilon: probability of a uniform global action.
        rng: source of all randomness.
        agents: s_g and the k agents' states, int64 [1 + k]; moves along.
    """

    def __init__(
        self,
        game: GenerativeGame,
        local_policy: LocalPolicy,
        epsilon: float,
        rng: np.random.Generator,
        agents: IntArray,
    ) -> None:
        self.game, self.epsilon, self.rng, self.agents = game, epsilon, rng, agents
        self.k = len(agents) - 1
        length = max(QUEUE, 4 * self.k)
        n_global = game.n_global_states * game.n_global_actions
        n_local = local_policy.table.size
        self.queues = Queues(
            global_moves=np.zeros((n_global, length), dtype=np.int64),
            global_rewards=np.zeros((n_global, length)),
            local_moves=np.zeros((n_local, length), dtype=np.int64),
            local_rewards=np.zeros((n_local, length)),
            global_used=np.full(n_global, length),
            local_used=np.full(n_local, length),
            local_actions=cumulative_thresholds(local_policy.table),
            choose=ranking_table(self.k, game.n_local_states),
        )

    def walk(self, q_values: FloatArray, visits: IntArray, n_steps: int, rule: Rule) -> None:
        """Take steps, and learn from each: Q and visits [state, a_g] are changed in place."""
        left = n_steps
        while left > 0:
            self._fill()
            left -= walk_queues(q_values, visits, self.rng, self.queues, self.agents, left, self.epsilon, rule)

    def _fill(self) -> None:
        """New draws for the rows that might not last another step."""
        game, queues, draws = self.game, self.queues, Draws(self.rng, self.rng)
        length = queues.local_moves.shape[1]
        rows = np.flatnonzero(queues.global_used >= length)
        s_g, a_g = _repeated(rows, (game.n_global_states, game.n_global_actions), length)
        queues.global_rewards[rows], queues.global_moves[rows] = game.dynamics().step_global(draws, s_g, a_g)
        queues.global_used[rows] = 0
        rows = np.flatnonzero(queues.local_used > length - self.k)
        s_l, s_g, a_l = _repeated(rows, (game.n_local_states, game.n_global_states, game.n_local_actions), length)
        paid, moved = game.dynamics().step_local(draws, s_l, s_g, a_l, seen=s_g)
        queues.local_rewards[rows], queues.local_moves[rows] = paid, moved
        queues.local_used[rows] = 0


def _repeated(rows: IntArray, shape: tuple[int, ...], length: int) -> tuple[IntArray, ...]:
    """Indices of rows, each `length` times over, int64 [row, length] each."""
    index = np.unravel_index(np.repeat(rows[:, None], length, axis=1), shape)
    return tuple(np.asarray(entry) for entry in index)


@compiled
def take_global(queues: Queues, s_g: int, action: int, n_actions: int) -> tuple[int, float, bool]:
    """(s_g', r_g, whether the row is used up): the next draw of a row."""
    row = s_g * n_actions + action
    used = queues.global_used[row]
    queues.global_used[row] = used + 1
    return queues.global_moves[row, used], queues.global_rewards[row, used], used + 1 >= queues.global_moves.shape[1]


@compiled
def take_local(queues: Queues, x: int, s_g: int, uniform: float, k: int) -> tuple[int, float, bool]:
    """(s_l', r_l, whether fewer than k draws are left): the next draw of the row of an agent in x."""
    _, n_global_states, n_thresholds = queues.local_actions.shape
    row = (x * n_global_states + s_g) * (n_thresholds + 1) + draw(uniform, queues.local_actions[x, s_g])
    used = queues.local_used[row]
    queues.local_used[row] = used + 1
    low = used + 1 > queues.local_moves.shape[1] - k
    return queues.local_moves[row, used], queues.local_rewards[row, used], low


@compiled
def walk_queues(
    q_values: FloatArray,
    visits: IntArray,
    rng: np.random.Generator,
    queues: Queues,
    agents: IntArray,
    n_steps: int,
    epsilon: float,
    rule: Rule,
) -> int:
    """Learn along a trajectory until `n_steps` are taken or a row runs low, in place; returns the steps taken."""
    n_actions, k = q_values.shape[1], len(agents) - 1
    counts = np.zeros(len(queues.local_actions), dtype=np.int64)
    for agent in agents[1:]:
        counts[agent] += 1
    state = surrogate_state(agents[0], counts, queues.choose)
    for taken in range(n_steps):
        s_g = agents[0]
        action = int(rng.random() * n_actions) if rng.random() < epsilon else int(q_values[state].argmax())
        agents[0], reward, low = take_global(queues, s_g, action, n_actions)
        counts[:] = 0
        for i in range(1, k + 1):
            agents[i], paid, running_low = take_local(queues, agents[i], s_g, rng.random(), k)
            counts[agents[i]] += 1
            reward += paid / k
            low = low or running_low
        next_state = surrogate_state(agents[0], counts, queues.choose)
        update(q_values, visits, state, action, reward, next_state, rule)
        state = next_state
        if low:
            return taken + 1
    return n_steps
