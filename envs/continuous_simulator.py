"""The array core of games with continuous states: B populations stepped at once, agent by agent.

One step, as in `kofn.envs.simulator`: agents are paid at, and move with, the OLD global state. States are single
precision (what observations hold), sums of rewards double. Agents are handled in blocks that stay in the processor's
cache, `BLOCK` at a time; a step costs some ten nanoseconds per agent, half of it for normal draws.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, integer, mean_over, whole_below
from kofn.envs.normals import Float32Array
from kofn.envs.population import MAX_AGENTS
from kofn.envs.simulator import Payment
from kofn.envs.streams import Streams

if TYPE_CHECKING:
    from kofn.envs.continuous import ContinuousGame

BLOCK = 1 << 14
"""Agents handled at once."""


class ContinuousSimulator:
    """Populations of a continuous game, their agents kept one by one.

    Args:
        game: the game.
        n_agents: n, local agents per population.
        n_populations: B, populations stepped at once.

    Attributes:
        global_states: float32 [n_populations].
        local_states: float32 [n_populations, n_agents].
        local_rewards: what each agent was paid in the last step, float32 [n_populations, n_agents].
        start_modes: the bin in which most agents started (the first of several), int64 [n_populations].
    """

    global_states: Float32Array
    local_states: Float32Array
    local_rewards: Float32Array
    start_modes: IntArray
    local_timing = "paper"

    def __init__(self, game: "ContinuousGame", n_agents: int, *, n_populations: int = 1) -> None:
        self.game = game
        self.n_agents = integer("n_agents", n_agents, 1, MAX_AGENTS)
        self.n_populations = integer("n_populations", n_populations, 1)

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        self._streams = streams
        self.global_states = self.game.start_global(streams.start, self.n_populations)
        self.local_states = self.game.start_local(streams.start, self.n_populations, self.n_agents)
        self.start_modes = self.counts().argmax(axis=1)
        self._global_reward, self.local_rewards = np.zeros(self.n_populations), np.zeros_like(self.local_states)

    def counts(self) -> IntArray:
        """Agents per bin, int64 [n_populations, bin]."""
        return self.game.count_bins(self.local_states)

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move once.

        Args:
            global_actions: int64 [n_populations].
            local_actions: int64 [n_populations, n_agents].

        Raises:
            TypeError, ValueError: actions that are no integers in range, or of another shape; or what a function of
                the game raises. All stays as it was before the step, but for what was drawn.
        """
        game, streams, s_g = self.game, self._streams, self.global_states
        shape = self.n_populations, self.n_agents
        global_actions = whole_below("global_actions", global_actions, shape[:1], game.n_global_actions)
        local_actions = whole_below("local_actions", local_actions, shape, game.n_local_actions)
        global_reward = game.pay_global(streams.rewards, s_g, global_actions).astype(np.float64)
        global_states = game.sample_global(streams.global_moves, s_g, global_actions)
        moved, paid = np.empty_like(self.local_states), np.empty_like(self.local_states)
        totals = np.zeros(self.n_populations)
        for rows, columns in self._blocks():
            s_l, a_l, shared = self.local_states[rows, columns], local_actions[rows, columns], s_g[rows, None]
            paid[rows, columns] = rewards = game.pay_local(streams.rewards, s_l, shared, a_l)
            moved[rows, columns] = game.sample_local(streams.local_moves, s_l, shared, a_l)
            totals[rows] += rewards.sum(axis=1, dtype=np.float64)
        self.global_states, self.local_states = global_states, moved
        self._global_reward, self.local_rewards = global_reward, paid
        return Payment(global_reward.copy(), totals / self.n_agents)

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Slices of populations and agents with at most `BLOCK` agents each."""
        width = min(self.n_agents, BLOCK)
        height = max(1, BLOCK // width)
        for row in range(0, self.n_populations, height):
            for column in range(0, self.n_agents, width):
                yield slice(row, row + height), slice(column, column + width)

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """r_D of the last step, float [n_populations]: r_g + the mean of r_l over the agents `sampled` [k]."""
        return self._global_reward + mean_over(self.local_rewards, sampled)

    def info(self) -> dict[str, Any]:
        """The true mode of the first population: the bin in which most agents started."""
        return {"true_mode": int(self.start_modes[0])}
