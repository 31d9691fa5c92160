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
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.crowd_laws import guided_thresholds
from kofn.envs.crowd_steps import CrowdSteps
from kofn.envs.global_steps import GlobalSteps, loops
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.reward_law import RewardLaw

BLOCK = 1 << 18
"""Agents of a crowd drawn at once where every agent is drawn, bounding memory."""

Outcome = tuple[FloatArray, IntArray]
"""Rewards paid, and next states (or counts)."""

Outcomes = tuple[FloatArray, IntArray, FloatArray, IntArray]
"""r_g, s_g', mean of r_l [population], and next counts [population, s_l]."""


@dataclass(frozen=True)
class Draws:
    """Where one kind of step takes its randomness from: one generator for moves, one for rewards."""

    moves: np.random.Generator
    rewards: np.random.Generator


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

    def step_crowds(
        self,
        draws: tuple[Draws, Draws],
        s_g: IntArray,
        counts: IntArray,
        a_g: IntArray,
        choices: FloatArray,
        *,
        follow: bool,
        late: bool,
    ) -> Outcomes:
        """One step of whole populations; ValueError for what is out of range.

        Args:
            draws: of global and of local agents.
            s_g: [population].
            counts: local agents by state, int64 [population, s_l].
            a_g: [population].
            choices: laws of local actions, float [s_l, s_g, a_l], or [population, s_l, a_l] unless they `follow`.
            follow: whether all local agents follow one policy.
            late: whether local agents move with the new global state.
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

    def __deepcopy__(self, memo: object) -> "TabularDynamics":
        """Itself: nothing in it changes, and its tables take a while to make."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What it is made of, without the tables, which are larger than the game."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _global_steps(self) -> GlobalSteps:
        return GlobalSteps(self.global_transition, self.global_reward)

    @cached_property
    def _crowds(self) -> CrowdSteps:
        return CrowdSteps(self._global_steps, self.local_transition, self.local_reward)

    @cached_property
    def _agent_moves(self) -> tuple[IntArray, npt.NDArray[np.uint8]]:
        """Thresholds and guides of the laws of s_l', flat."""
        return guided_thresholds(self.local_transition.reshape(self.local_reward.size, -1))

    @cached_property
    def _local_payments(self) -> FloatArray:
        return self.local_reward.flatten()  # a copy: compiled code is compiled again for read-only arrays

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """See `Dynamics`."""
        paid, moved = self._global_steps.step(draws.moves, s_g, a_g)
        law = self.global_reward_law
        return (paid if law is None else law.sample(draws.rewards, s_g, a_g)), moved

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
        rewards, moved = out if out is not None else (np.empty(s_l.shape), np.empty(s_l.shape, dtype=np.int64))
        shape = s_l.shape if s_l.ndim == 2 and s_g.shape == seen.shape == (len(s_l), 1) else (s_l.size, 1)
        per_row = (shape[0], 1) if shape == s_l.shape else s_l.shape
        globals_ = np.empty((2, *per_row), dtype=np.int64)
        globals_[0], globals_[1] = s_g, seen
        states, actions = (np.ascontiguousarray(array, dtype=np.int64).reshape(-1) for array in (s_l, a_l))
        totals = np.empty(shape[0])
        compiled = loops()
        bad = compiled.step_agents(
            compiled.new_key(draws.moves),
            states,
            globals_.reshape(2, -1),
            actions,
            self._agent_moves,
            self._local_payments,
            self._sizes,
            (moved.reshape(-1), rewards.reshape(-1), totals),
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

    def step_crowds(
        self,
        draws: tuple[Draws, Draws],
        s_g: IntArray,
        counts: IntArray,
        a_g: IntArray,
        choices: FloatArray,
        *,
        follow: bool,
        late: bool,
    ) -> Outcomes:
        """See `Dynamics`."""
        rngs = draws[0].moves, draws[1].moves
        paid, moved, means, after, acting = self._crowds.step(rngs, s_g, a_g, counts, choices, (follow, late))
        if self.global_reward_law is not None:
            paid = self.global_reward_law.sample(draws[0].rewards, s_g, a_g)
        if self.local_reward_law is not None:
            means = self._draw_payments(draws[1].rewards, acting.reshape(*counts.shape, -1), s_g)
        return paid, moved, means, after

    def _draw_payments(self, rng: np.random.Generator, actions: IntArray, s_g: IntArray) -> FloatArray:
        """Means of stochastic r_l over the agents counted in `actions` [n_populations, s_l, a_l]."""
        assert self.local_reward_law is not None
        population, state, action = np.nonzero(actions)
        paid = self.local_reward_law.sample_sums(
            rng, actions[population, state, action], state, s_g[population], action
        )
        return _means(np.bincount(population, paid, len(actions)), actions.sum(axis=(1, 2)))


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

    def step_crowds(
        self,
        draws: tuple[Draws, Draws],
        s_g: IntArray,
        counts: IntArray,
        a_g: IntArray,
        choices: FloatArray,
        *,
        follow: bool,
        late: bool,
    ) -> Outcomes:
        """See `Dynamics`; every agent is drawn, `BLOCK` at a time."""
        paid_global, moved_global = self.step_global(draws[0], s_g, a_g)
        seen = moved_global if late else s_g
        n_cells, n_states = counts.size, counts.shape[1]
        ends = counts.ravel().cumsum()
        thresholds = cumulative_thresholds(choices.swapaxes(0, 1) if follow else choices)
        totals, moved = np.zeros(len(counts)), np.zeros(n_cells, dtype=np.int64)
        for first in range(0, int(ends[-1]), BLOCK):
            agents = np.arange(first, min(first + BLOCK, int(ends[-1])))
            population, s_l = np.divmod(np.searchsorted(ends, agents, side="right"), n_states)
            follows = s_g[population] if follow else population
            a_l = sample_rows(draws[1].moves.random(len(agents)), thresholds[follows, s_l])
            paid, next_states = self.step_local(draws[1], s_l, s_g[population], a_l, seen=seen[population])
            totals += np.bincount(population, paid, len(counts))
            moved += np.bincount(population * n_states + next_states, minlength=n_cells)
        return paid_global, moved_global, _means(totals, counts.sum(axis=1)), moved.reshape(counts.shape)


def _means(totals: npt.NDArray[Any], n_agents: IntArray) -> FloatArray:
    """[population], 0 without agents."""
    return np.asarray(totals / np.maximum(n_agents, 1), dtype=np.float64)
