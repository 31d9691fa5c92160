"""Steps of a game given as arrays, by compiled loops (see `dynamics`)."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray, whole
from kofn.envs.crowd_laws import guided_thresholds
from kofn.envs.crowd_steps import CrowdSteps
from kofn.envs.deferred import loops
from kofn.envs.dynamics import Draws, Outcome, Outcomes, means
from kofn.envs.global_steps import GlobalSteps
from kofn.envs.reward_law import RewardLaw


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
        states, actions = whole("local_states", s_l, s_l.shape), whole("local_actions", a_l, s_l.shape)
        totals = np.empty(shape[0])
        compiled = loops()
        bad = compiled.step_agents(
            compiled.new_key(draws.moves),
            states.reshape(-1),
            globals_.reshape(2, -1),
            actions.reshape(-1),
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
        paid, moved, average, after, acting = self._crowds.step(rngs, s_g, a_g, counts, choices, (follow, late))
        if self.global_reward_law is not None:
            paid = self.global_reward_law.sample(draws[0].rewards, s_g, a_g)
        if self.local_reward_law is not None:
            average = self._draw_payments(draws[1].rewards, acting.reshape(*counts.shape, -1), s_g)
        return paid, moved, average, after

    def _draw_payments(self, rng: np.random.Generator, actions: IntArray, s_g: IntArray) -> FloatArray:
        """Means of stochastic r_l over the agents counted in `actions` [n_populations, s_l, a_l]."""
        assert self.local_reward_law is not None
        population, state, action = np.nonzero(actions)
        paid = self.local_reward_law.sample_sums(
            rng, actions[population, state, action], state, s_g[population], action
        )
        return means(np.bincount(population, paid, len(actions)), actions.sum(axis=(1, 2)))
