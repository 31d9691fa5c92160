r"""How one step pays and moves, behind one interface for games given as arrays and games given as functions.

    r_g(s_g, a_g),  s_g' ~ P_g(. | s_g, a_g)          r_l(s_i, s_g, a_i),  s_i' ~ P_l(. | s_i, s_g, a_i)

A crowd is n agents that follow one policy pi_l, kept as the counts c_x = #{i : s_i = x}, a Markov chain of its own.
With arrays its step is drawn exactly at a cost that does not depend on n: N[x, a] ~ Multinomial(c_x, pi_l(. | x, s_g))
agents take action a in state x, Multinomial(N[x, a], P_l(. | x, s_g, a)) of them move, and stochastic rewards are
multinomial sums. With functions the n agents are drawn one by one, in blocks: O(n) time, bounded memory.

Rewards are drawn from a generator of their own, so that stochastic rewards leave every move as it is. The loops over
agents and counts are compiled (`agent_kernel`, `crowd_kernel`), with random streams named by 256 bits that each step
takes from the generator of moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.crowd_laws import guided_thresholds
from kofn.envs.crowd_steps import CrowdSteps
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.reward_law import RewardLaw

BLOCK = 1 << 18
"""Agents of a crowd drawn at once where every agent is drawn, bounding memory."""

Outcome = tuple[FloatArray, IntArray]
"""Rewards paid, and next states (or counts)."""

Outcomes = tuple[FloatArray, IntArray, FloatArray, IntArray]
"""r_g, s_g', sum of r_l [population], and next counts [population, s_l]."""


@dataclass(frozen=True)
class Draws:
    """Where one kind of step takes its randomness from: one generator for moves, one for rewards."""

    moves: np.random.Generator
    rewards: np.random.Generator


@dataclass(frozen=True)
class Crowds:
    """Populations before a step.

    Attributes:
        draws: of global agents.
        s_g: global states, int64 [population].
        counts: local agents by state, int64 [population, s_l].
        follow: whether all local agents follow one policy, or those of each population laws of their own.
        late: whether local agents move with the new global state.
    """

    draws: Draws
    s_g: IntArray
    counts: IntArray
    follow: bool
    late: bool


class Dynamics(Protocol):
    """One step of a game's parts."""

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """(r_g, s_g'), both [n_populations]."""

    def step_local(
        self,
        draws: Draws,
        s_l: IntArray,
        s_g: IntArray,
        a_l: IntArray,
        *,
        seen: IntArray,
        out: Outcome | None = None,
        sums: FloatArray | None = None,
    ) -> Outcome:
        """(r_l, s_l') of agents [..., agent], paid at `s_g` and moving with `seen`, which broadcast to `s_l`.

        `out` are arrays that may be overwritten with the result, `sums` [...] is filled in with sums of r_l.
        ValueError for a state or action out of range.
        """

    def step_crowds(self, draws: Draws, crowds: Crowds, a_g: IntArray, choices: FloatArray) -> Outcomes:
        """One step of whole populations whose local agents follow `choices`; ValueError for what is out of range.

        Args:
            draws: of local agents.
            crowds: see there.
            a_g: [population].
            choices: laws of actions, float [s_l, s_g, a_l] (`crowds.follow`) or [population, s_l, a_l].
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
        """[row of (s_g, a_g), outcome - 1]."""
        thresholds = cumulative_thresholds(self.global_transition)
        return thresholds.reshape(self.global_reward.size, -1)

    @cached_property
    def _crowds(self) -> CrowdSteps:
        return CrowdSteps(
            global_transition=self.global_transition,
            local_transition=self.local_transition,
            global_reward=self.global_reward,
            local_reward=self.local_reward,
        )

    @cached_property
    def _agent_moves(self) -> tuple[IntArray, npt.NDArray[np.uint8]]:
        """Thresholds and guides of the laws of s_l', flat."""
        return guided_thresholds(self.local_transition.reshape(self.local_reward.size, -1))

    @cached_property
    def _local_payments(self) -> FloatArray:
        return self.local_reward.flatten()  # a copy: compiled code is compiled again for read-only arrays

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """See `Dynamics`."""
        from kofn.envs import loops  # noqa: PLC0415  # loads numba

        law = self.global_reward_law
        rewards = self.global_reward[s_g, a_g] if law is None else law.sample(draws.rewards, s_g, a_g)
        rows = s_g * self.global_reward.shape[1] + a_g
        return rewards, loops.pick_rows(draws.moves.random(s_g.shape), self._global_thresholds, rows)

    def step_local(
        self,
        draws: Draws,
        s_l: IntArray,
        s_g: IntArray,
        a_l: IntArray,
        *,
        seen: IntArray,
        out: Outcome | None = None,
        sums: FloatArray | None = None,
    ) -> Outcome:
        """See `Dynamics`."""
        from kofn.envs import loops  # noqa: PLC0415  # loads numba

        rewards, moved = out if out is not None else (np.empty(s_l.shape), np.empty(s_l.shape, dtype=np.int64))
        shape = s_l.shape if s_l.ndim == 2 and s_g.shape == seen.shape == (len(s_l), 1) else (s_l.size, 1)
        per_row = (shape[0], 1) if shape == s_l.shape else s_l.shape
        globals_ = np.empty((2, *per_row), dtype=np.int64)
        globals_[0], globals_[1] = s_g, seen
        states, actions = (np.ascontiguousarray(array, dtype=np.int64).reshape(shape) for array in (s_l, a_l))
        totals = np.empty(shape[0])
        bad = loops.step_agents(
            loops.new_key(draws.moves),
            states,
            globals_.reshape(2, -1),
            actions,
            self._agent_moves,
            self._local_payments,
            self._sizes,
            (moved.reshape(shape), rewards.reshape(shape), totals),
        )
        if bad >= 0:
            self._refuse(np.unravel_index(bad, s_l.shape), s_l, a_l)
        if self.local_reward_law is not None:
            rewards = self.local_reward_law.sample(draws.rewards, s_l, s_g, a_l)
        if sums is not None:
            paid_in_loop = self.local_reward_law is None and shape == s_l.shape
            sums[...] = totals if paid_in_loop else rewards.sum(axis=-1)
        return rewards, moved

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """|S_l|, |S_g|, |A_l|."""
        n_local, n_global, n_actions = self.local_reward.shape
        return n_local, n_global, n_actions

    def _refuse(self, index: tuple[Any, ...], s_l: IntArray, a_l: IntArray) -> NoReturn:
        n_states, _, n_actions = self._sizes
        raise ValueError(
            f"local states must lie in [0, {n_states}) and local actions in [0, {n_actions}); entry "
            f"{[int(i) for i in index]} is in state {s_l[index]} and acts {a_l[index]}"
        )

    def step_crowds(self, draws: Draws, crowds: Crowds, a_g: IntArray, choices: FloatArray) -> Outcomes:
        """See `Dynamics`."""
        rngs, ways = (crowds.draws.moves, draws.moves), (crowds.follow, crowds.late)
        paid, moved, totals, counts, acting = self._crowds.step(rngs, crowds.s_g, a_g, crowds.counts, choices, ways)
        if self.global_reward_law is not None:
            paid = self.global_reward_law.sample(crowds.draws.rewards, crowds.s_g, a_g)
        if self.local_reward_law is not None:
            totals = self._draw_payments(draws, acting.reshape(len(counts), counts.shape[1], -1), crowds.s_g)
        return paid, moved, totals, counts

    def _draw_payments(self, draws: Draws, actions: IntArray, s_g: IntArray) -> FloatArray:
        """Sums of stochastic r_l over the agents counted in `actions` [n_populations, s_l, a_l]."""
        assert self.local_reward_law is not None
        population, state, action = np.nonzero(actions)
        paid = self.local_reward_law.sample_sums(
            draws.rewards, actions[population, state, action], state, s_g[population], action
        )
        return np.asarray(np.bincount(population, paid, len(actions)), dtype=np.float64)


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

    def step_local(
        self,
        draws: Draws,
        s_l: IntArray,
        s_g: IntArray,
        a_l: IntArray,
        *,
        seen: IntArray,
        out: Outcome | None = None,  # noqa: ARG002  # the functions bring their own arrays
        sums: FloatArray | None = None,
    ) -> Outcome:
        """See `Dynamics`."""
        paid = self.pay_local(draws.rewards, s_l, s_g, a_l)
        if sums is not None:
            sums[...] = paid.sum(axis=-1)
        return paid, self.sample_local(draws.moves, s_l, seen, a_l)

    def step_crowds(self, draws: Draws, crowds: Crowds, a_g: IntArray, choices: FloatArray) -> Outcomes:
        """See `Dynamics`; every agent is drawn, `BLOCK` at a time."""
        s_g, counts = crowds.s_g, crowds.counts
        paid_global, moved_global = self.step_global(crowds.draws, s_g, a_g)
        seen = moved_global if crowds.late else s_g
        n_cells, n_states = counts.size, counts.shape[1]
        ends = counts.ravel().cumsum()
        thresholds = cumulative_thresholds(choices.swapaxes(0, 1) if crowds.follow else choices)
        totals, moved = np.zeros(len(counts)), np.zeros(n_cells, dtype=np.int64)
        for first in range(0, int(ends[-1]), BLOCK):
            agents = np.arange(first, min(first + BLOCK, int(ends[-1])))
            population, s_l = np.divmod(np.searchsorted(ends, agents, side="right"), n_states)
            follows = s_g[population] if crowds.follow else population
            a_l = sample_rows(draws.moves.random(len(agents)), thresholds[follows, s_l])
            paid, next_states = self.step_local(draws, s_l, s_g[population], a_l, seen=seen[population])
            totals += np.bincount(population, paid, len(counts))
            moved += np.bincount(population * n_states + next_states, minlength=n_cells)
        return paid_global, moved_global, totals, moved.reshape(counts.shape)
