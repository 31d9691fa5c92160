r"""How one step pays and moves, behind one interface for games given as arrays and games given as functions.

    r_g(s_g, a_g),  s_g' ~ P_g(. | s_g, a_g)          r_l(s_i, s_g, a_i),  s_i' ~ P_l(. | s_i, s_g, a_i)

A crowd is n agents that follow one policy pi_l, kept as the counts c_x = #{i : s_i = x}, a Markov chain of its own.
With arrays its step is drawn exactly at a cost that does not depend on n: N[x, a] ~ Multinomial(c_x, pi_l(. | x, s_g))
agents take action a in state x, Multinomial(N[x, a], P_l(. | x, s_g, a)) of them move, and stochastic rewards are
multinomial sums. With functions the n agents are drawn one by one, in blocks: O(n) time, bounded memory.

Rewards are drawn from a generator of their own, so that stochastic rewards leave every move as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.population import conditional_probabilities, sample_multinomial
from kofn.envs.reward_law import RewardLaw

BLOCK = 1 << 18
"""Agents of a crowd drawn at once where every agent is drawn, bounding memory."""

Outcome = tuple[FloatArray, IntArray]
"""Rewards paid, and next states (or counts)."""


@dataclass(frozen=True)
class Draws:
    """Where one kind of step takes its randomness from: one generator for moves, one for rewards."""

    moves: np.random.Generator
    rewards: np.random.Generator


class Dynamics(Protocol):
    """One step of a game's parts."""

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """(r_g, s_g'), both [n_populations]."""

    def step_local(self, draws: Draws, s_l: IntArray, s_g: IntArray, a_l: IntArray, *, seen: IntArray) -> Outcome:
        """(r_l, s_l') of agents [..., agent], paid at `s_g` and moving with `seen`, which broadcast to `s_l`."""

    def step_crowd(
        self, draws: Draws, counts: IntArray, s_g: IntArray, choices: FloatArray, *, seen: IntArray
    ) -> Outcome:
        """(sum of r_l [n_populations], next counts [n_populations, s_l]) of crowds that follow `choices`.

        These are one law of actions for each population and local state, float [n_populations, s_l, a_l].
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularDynamics:
    """Steps of a game given as arrays; a reward law takes the place of its table.

    Args:
        global_transition: P_g, float [s_g, a_g, s_g'].
        local_transition: P_l, float [s_l, s_g, a_l, s_l'].
        global_reward: r_g, float [s_g, a_g].
        local_reward: r_l, float [s_l, s_g, a_l].
        global_reward_law: law of r_g, or None.
        local_reward_law: law of r_l, or None.
    """

    global_transition: FloatArray
    local_transition: FloatArray
    global_reward: FloatArray
    local_reward: FloatArray
    global_reward_law: RewardLaw | None
    local_reward_law: RewardLaw | None

    @cached_property
    def _global_thresholds(self) -> FloatArray:
        return cumulative_thresholds(self.global_transition)

    @cached_property
    def _local_columns(self) -> FloatArray:
        """One contiguous column per threshold, indexed by the flat (s_l, s_g, a_l)."""
        thresholds = cumulative_thresholds(self.local_transition)
        columns = np.moveaxis(thresholds, -1, 0).reshape(thresholds.shape[-1], self.local_reward.size)
        return np.ascontiguousarray(columns)

    @cached_property
    def _conditional_moves(self) -> FloatArray:
        return conditional_probabilities(self.local_transition)

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """See `Dynamics`."""
        law = self.global_reward_law
        rewards = self.global_reward[s_g, a_g] if law is None else law.sample(draws.rewards, s_g, a_g)
        return rewards, sample_rows(draws.moves.random(s_g.shape), self._global_thresholds[s_g, a_g])

    def step_local(self, draws: Draws, s_l: IntArray, s_g: IntArray, a_l: IntArray, *, seen: IntArray) -> Outcome:
        """See `Dynamics`."""
        law, paid_at = self.local_reward_law, self._row(s_l, s_g, a_l)
        rewards = self.local_reward.ravel()[paid_at] if law is None else law.sample(draws.rewards, s_l, s_g, a_l)
        moved_at = paid_at if seen is s_g else self._row(s_l, seen, a_l)
        uniforms = draws.moves.random(s_l.shape)
        moved = np.zeros_like(s_l)
        for column in self._local_columns:
            moved += uniforms >= column[moved_at]
        return rewards, moved

    def _row(self, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> IntArray:
        """Row of (s_l, s_g, a_l) in the flattened local tables."""
        _, n_global, n_actions = self.local_reward.shape
        return np.asarray((s_l * n_global + s_g) * n_actions + a_l)

    def step_crowd(
        self, draws: Draws, counts: IntArray, s_g: IntArray, choices: FloatArray, *, seen: IntArray
    ) -> Outcome:
        """See `Dynamics`."""
        actions = sample_multinomial(draws.moves, counts, conditional_probabilities(choices))
        return self._pay_crowd(draws, actions, s_g), self._move_crowd(draws, actions, seen)

    def _pay_crowd(self, draws: Draws, actions: IntArray, s_g: IntArray) -> FloatArray:
        """Sums of r_l over the agents counted in `actions` [n_populations, s_l, a_l]."""
        if self.local_reward_law is None:
            return np.asarray(np.einsum("bxa,bxa->b", actions, self.local_reward.swapaxes(0, 1)[s_g]))
        population, state, action = np.nonzero(actions)
        paid = self.local_reward_law.sample_sums(
            draws.rewards, actions[population, state, action], state, s_g[population], action
        )
        return np.asarray(np.bincount(population, paid, len(actions)), dtype=np.float64)

    def _move_crowd(self, draws: Draws, actions: IntArray, seen: IntArray) -> IntArray:
        """Move the agents counted in `actions` [n_populations, s_l, a_l]; empty cells cost nothing."""
        population, state, action = np.nonzero(actions)
        moves = sample_multinomial(
            draws.moves, actions[population, state, action], self._conditional_moves[state, seen[population], action]
        )
        by_state = [np.bincount(population, moves[:, y], len(actions)) for y in range(actions.shape[1])]
        return np.stack(by_state, axis=1).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledDynamics:
    """Steps of a game given as four functions of a generator and equal-shaped int arrays.

    Args:
        sample_global: (rng, s_g, a_g) -> s_g'.
        sample_local: (rng, s_l, s_g, a_l) -> s_l'.
        pay_global: (rng, s_g, a_g) -> r_g.
        pay_local: (rng, s_l, s_g, a_l) -> r_l.
    """

    sample_global: Callable[..., npt.NDArray[Any]]
    sample_local: Callable[..., npt.NDArray[Any]]
    pay_global: Callable[..., npt.NDArray[Any]]
    pay_local: Callable[..., npt.NDArray[Any]]

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """See `Dynamics`."""
        return self.pay_global(draws.rewards, s_g, a_g), self.sample_global(draws.moves, s_g, a_g)

    def step_local(self, draws: Draws, s_l: IntArray, s_g: IntArray, a_l: IntArray, *, seen: IntArray) -> Outcome:
        """See `Dynamics`."""
        return self.pay_local(draws.rewards, s_l, s_g, a_l), self.sample_local(draws.moves, s_l, seen, a_l)

    def step_crowd(
        self, draws: Draws, counts: IntArray, s_g: IntArray, choices: FloatArray, *, seen: IntArray
    ) -> Outcome:
        """See `Dynamics`; every agent is drawn, `BLOCK` at a time."""
        n_cells, n_states = counts.size, counts.shape[1]
        ends = counts.ravel().cumsum()
        thresholds = cumulative_thresholds(choices)
        totals, moved = np.zeros(len(counts)), np.zeros(n_cells, dtype=np.int64)
        for first in range(0, int(ends[-1]), BLOCK):
            agents = np.arange(first, min(first + BLOCK, int(ends[-1])))
            population, s_l = np.divmod(np.searchsorted(ends, agents, side="right"), n_states)
            a_l = sample_rows(draws.moves.random(len(agents)), thresholds[population, s_l])
            paid, next_states = self.step_local(draws, s_l, s_g[population], a_l, seen=seen[population])
            totals += np.bincount(population, paid, len(counts))
            moved += np.bincount(population * n_states + next_states, minlength=n_cells)
        return totals, moved.reshape(counts.shape)
