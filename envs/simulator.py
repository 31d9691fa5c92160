r"""The array core: B populations stepped at once, agent by agent or lumped to counts.

One step, with the OLD global state in everything a local agent does (paper, Section 2):

    pay     r_g(s_g, a_g) + (1/n) sum_i r_l(s_i, s_g, a_i)
    move    s_g' ~ P_g(. | s_g, a_g)        s_i' ~ P_l(. | s_i, s_g, a_i), independently

When all local agents follow one policy, the counts c_x = #{i : s_i = x} are a Markov chain of their own, and a lumped
simulator keeps nothing else. For a game given as arrays its cost does not depend on the number of agents; for a game
given as functions every agent is drawn. `kofn.envs.dynamics` pays and moves, and draws stochastic rewards.

`local_timing="code"` moves local agents with the NEW global state, as the authors' evaluation code does. It exists only
to reproduce their figures.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, integer, mean_over, one_of, whole
from kofn.envs.dynamics import Draws
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import Game
from kofn.envs.population import MAX_AGENTS, conditional_probabilities, count_states, sample_multinomial
from kofn.envs.recycling import Recycler
from kofn.envs.streams import Streams

LocalTiming = Literal["paper", "code"]


@dataclass(frozen=True, eq=False)
class Payment:
    """What one step paid, per population.

    Attributes:
        global_reward: r_g(s_g, a_g), or what was drawn from its law, float [n_populations].
        local_reward_mean: (1/n) sum_i r_l(s_i, s_g, a_i) of the rewards paid, float [n_populations].
    """

    global_reward: FloatArray
    local_reward_mean: FloatArray

    @property
    def team_reward(self) -> FloatArray:
        """r(s, a), float [n_populations]."""
        return self.global_reward + self.local_reward_mean


class _Simulator:
    """What both simulators share: the game, the global state and its moves."""

    global_states: IntArray

    @checked_types
    def __init__(
        self, game: Game, n_agents: int, *, n_populations: int = 1, local_timing: LocalTiming = "paper"
    ) -> None:
        self.game = game
        self.dynamics = game.dynamics()
        self.n_agents = integer("n_agents", n_agents, 0, MAX_AGENTS)
        self.n_populations = integer("n_populations", n_populations, 1)
        self.local_timing = one_of("local_timing", local_timing, ("paper", "code"))
        self._initial_thresholds = cumulative_thresholds(game.initial_global)

    def _start_global(self, streams: Streams) -> None:
        self._draws = Draws(streams.global_moves, streams.rewards), Draws(streams.local_moves, streams.rewards)
        self.global_states = sample_rows(streams.start.random(self.n_populations), self._initial_thresholds)

    def _check_started(self) -> None:
        if not hasattr(self, "_draws"):
            raise RuntimeError("call reset(streams) before step()")


class IndividualSimulator(_Simulator):
    """Populations whose agents are kept one by one.

    Args:
        game: the game.
        n_agents: n, local agents per population.
        n_populations: B, populations stepped at once.
        local_timing: "paper" (old global state) or "code" (new one; see the module docstring).

    Attributes:
        global_states: int64 [n_populations].
        local_states: int64 [n_populations, n_agents].
        local_rewards: what each agent was paid in the last step, float [n_populations, n_agents].
        start_laws: the distributions this episode's agents started from, float [n_populations, s_l].
    """

    local_states: IntArray
    local_rewards: FloatArray
    start_laws: FloatArray

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        self._start_global(streams)
        self.start_laws = self.game.initial_local.draw(streams.start, self.n_populations)
        uniforms = streams.start.random((self.n_populations, self.n_agents))
        self.local_states = sample_rows(uniforms, cumulative_thresholds(self.start_laws)[:, None, :])
        self.local_rewards, self._global_reward = _unpaid(self.local_states.shape), _unpaid((self.n_populations,))
        self._spare_rewards, self._spare_states = Recycler(), Recycler()

    def counts(self) -> IntArray:
        """Histograms of all agents, int64 [n_populations, s_l]."""
        return count_states(self.local_states, self.game.n_local_states)

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move once.

        Args:
            global_actions: int64 [n_populations].
            local_actions: int64 [n_populations, n_agents].

        Raises:
            RuntimeError: called before `reset`.
            TypeError, ValueError: actions that are no integers in range, or another shape; no state has changed then.
        """
        self._check_started()
        old, shape, sums = self.global_states, self.local_states.shape, np.empty(self.n_populations)
        local_actions = whole("local_actions", local_actions, shape)
        global_reward, moved = self.dynamics.step_global(self._draws[0], old, np.asarray(global_actions))
        paid_at = old[:, None]
        seen = paid_at if self.local_timing == "paper" else moved[:, None]
        self._spare_rewards.keep(self.local_rewards)
        self.local_rewards, self._global_reward = _unpaid(shape), _unpaid(old.shape)  # if the step is refused
        out = self._spare_rewards.take(shape, np.float64), self._spare_states.take(shape, np.int64)
        rewards, states = self.dynamics.step_local(
            self._draws[1], self.local_states, paid_at, local_actions, seen=seen, out=out, sums=sums
        )
        self._spare_states.keep(self.local_states)
        self.global_states, self.local_states, self.local_rewards = moved, states, rewards
        self._global_reward = global_reward.copy()
        return Payment(global_reward, sums / max(self.n_agents, 1))

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """r_D of the last step, float [n_populations]: r_g + the mean of r_l over the agents `sampled` [k]."""
        return np.asarray(self._global_reward + mean_over(self.local_rewards, sampled))

    def info(self) -> dict[str, Any]:
        """Nothing besides rewards."""
        return {}


@lru_cache(maxsize=8)
def _unpaid(shape: tuple[int, ...]) -> FloatArray:
    return np.broadcast_to(0.0, shape)


class LumpedSimulator(_Simulator):
    """Populations kept as counts; exact in law when all local agents share one policy, at any number of agents.

    A step costs O(1) in n for a game given as arrays and O(n) for one given as functions.

    Args:
        game: the game.
        n_agents: n, local agents per population; 0 leaves the global agent alone.
        n_populations: B, populations stepped at once.
        local_timing: "paper" (old global state) or "code" (new one; see the module docstring).

    Attributes:
        global_states: int64 [n_populations].
        counts: agents in each local state, int64 [n_populations, s_l].
        start_laws: the distributions this episode's agents started from, float [n_populations, s_l].
    """

    counts: IntArray
    start_laws: FloatArray

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        self._start_global(streams)
        self.start_laws = self.game.initial_local.draw(streams.start, self.n_populations)
        totals = np.full(self.n_populations, self.n_agents, dtype=np.int64)
        self.counts = sample_multinomial(streams.start, totals, conditional_probabilities(self.start_laws))

    def step(self, global_actions: IntArray, local_policy: FloatArray) -> Payment:
        """Pay and move once, every local agent acting by one policy.

        Args:
            global_actions: int64 [n_populations].
            local_policy: pi_l, float [s_l, s_g, a_l], rows sum to 1.

        Raises:
            RuntimeError: called before `reset`.
            TypeError, ValueError: actions that are no integers in range, or another shape; or rows that are no laws.
        """
        return self._step(global_actions, local_policy, follow=True)

    def step_choices(self, global_actions: IntArray, choices: FloatArray) -> Payment:
        """Pay and move once, every local agent acting by the law of its population and state.

        Args:
            global_actions: int64 [n_populations].
            choices: float [n_populations, s_l, a_l]; rows of empty states are not read.

        Raises:
            RuntimeError: called before `reset`.
            TypeError, ValueError: actions that are no integers in range, or another shape; or rows that are no laws.
        """
        return self._step(global_actions, choices, follow=False)

    def _step(self, global_actions: IntArray, choices: FloatArray, *, follow: bool) -> Payment:
        self._check_started()
        global_reward, self.global_states, local_reward, self.counts = self.dynamics.step_crowds(
            self._draws,
            self.global_states,
            self.counts,
            np.asarray(global_actions),
            np.asarray(choices),
            follow=follow,
            late=self.local_timing == "code",
        )
        return Payment(global_reward, local_reward)
