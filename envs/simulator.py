r"""The array core: B populations stepped at once, agent by agent or lumped to counts.

One step, with the OLD global state in everything a local agent does (paper, Section 2):

    pay     r_g(s_g, a_g) + (1/n) sum_i r_l(s_i, s_g, a_i)
    move    s_g' ~ P_g(. | s_g, a_g)        s_i' ~ P_l(. | s_i, s_g, a_i), independently

When all local agents follow one policy, the counts c_x = #{i : s_i = x} are a Markov chain of their own. A lumped step
draws it exactly: N[x, a] ~ Multinomial(c_x, pi_l(. | x, s_g)) agents take action a in state x, and
Multinomial(N[x, a], P_l(. | x, s_g, a)) of them move; its cost does not depend on the number of agents.

`local_timing="code"` moves local agents with the NEW global state, as the authors' evaluation code does. It exists only
to reproduce their figures.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.game import TabularGame
from kofn.envs.population import MAX_AGENTS, conditional_probabilities, count_states, sample_multinomial
from kofn.envs.streams import Streams

LocalTiming = Literal["paper", "code"]


@dataclass(frozen=True, eq=False)
class Payment:
    """What one step paid, per population.

    Attributes:
        global_reward: r_g(s_g, a_g), float [n_populations].
        local_reward_mean: (1/n) sum_i r_l(s_i, s_g, a_i), float [n_populations].
    """

    global_reward: FloatArray
    local_reward_mean: FloatArray

    @property
    def team_reward(self) -> FloatArray:
        """r(s, a), float [n_populations]."""
        return self.global_reward + self.local_reward_mean


def sample_rows(uniforms: FloatArray, thresholds: FloatArray) -> IntArray:
    """Categorical draws by inversion.

    Args:
        uniforms: float [...], in [0, 1).
        thresholds: `cumulative_thresholds` of the distributions, [..., n_outcomes - 1].

    Returns:
        Outcomes, int64 [...].
    """
    outcomes = np.zeros(uniforms.shape, dtype=np.int64)
    for j in range(thresholds.shape[-1]):
        outcomes += uniforms >= thresholds[..., j]
    return outcomes


def cumulative_thresholds(probabilities: FloatArray) -> FloatArray:
    """Cumulative sums without the last column; 1 from the last possible outcome on, so none is ever overshot."""
    cumulative = np.cumsum(probabilities, axis=-1)
    later_mass = np.cumsum(probabilities[..., ::-1], axis=-1)[..., ::-1]
    return np.where(later_mass[..., 1:] > 0, cumulative[..., :-1], 1.0)


class _Simulator:
    """What both simulators share: the game, the global state and its moves."""

    global_states: IntArray

    def __init__(
        self, game: TabularGame, n_agents: int, *, n_populations: int = 1, local_timing: LocalTiming = "paper"
    ) -> None:
        self.game = game
        self.n_agents = integer("n_agents", n_agents, 0, MAX_AGENTS)
        self.n_populations = integer("n_populations", n_populations, 1)
        self.local_timing = one_of("local_timing", local_timing, ("paper", "code"))
        self._global_thresholds = cumulative_thresholds(game.global_transition)
        self._initial_thresholds = cumulative_thresholds(game.initial_global)

    def _start_global(self, streams: Streams) -> None:
        self._streams = streams
        self.global_states = sample_rows(streams.start.random(self.n_populations), self._initial_thresholds)

    def _move_global(self, actions: IntArray) -> IntArray:
        """Move every global state; returns the states that local agents see while moving."""
        old = self.global_states
        uniforms = self._streams.global_moves.random(self.n_populations)
        self.global_states = sample_rows(uniforms, self._global_thresholds[old, actions])
        return old if self.local_timing == "paper" else self.global_states


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
        local_rewards: r_l of each agent in the last step, float [n_populations, n_agents].
    """

    local_states: IntArray
    local_rewards: FloatArray

    def __init__(
        self, game: TabularGame, n_agents: int, *, n_populations: int = 1, local_timing: LocalTiming = "paper"
    ) -> None:
        super().__init__(game, n_agents, n_populations=n_populations, local_timing=local_timing)
        thresholds = cumulative_thresholds(game.local_transition)
        # One contiguous column per threshold, indexed by the flat (s_l, s_g, a_l).
        columns = np.moveaxis(thresholds, -1, 0).reshape(thresholds.shape[-1], game.local_reward.size)
        self._threshold_columns = np.ascontiguousarray(columns)
        self._flat_local_reward = game.local_reward.ravel()

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        self._start_global(streams)
        laws = self.game.initial_local.draw(streams.start, self.n_populations)
        uniforms = streams.start.random((self.n_populations, self.n_agents))
        self.local_states = sample_rows(uniforms, cumulative_thresholds(laws)[:, None, :])

    def counts(self) -> IntArray:
        """Histograms of all agents, int64 [n_populations, s_l]."""
        return count_states(self.local_states, self.game.n_local_states)

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move once.

        Args:
            global_actions: int64 [n_populations].
            local_actions: int64 [n_populations, n_agents].
        """
        paid_at = self._flat_index(self.global_states, local_actions)
        self.local_rewards = self._flat_local_reward[paid_at]
        payment = Payment(
            self.game.global_reward[self.global_states, global_actions],
            self.local_rewards.sum(axis=1) / max(self.n_agents, 1),
        )
        seen = self._move_global(global_actions)
        moved_at = paid_at if self.local_timing == "paper" else self._flat_index(seen, local_actions)
        uniforms = self._streams.local_moves.random(self.local_states.shape)
        moved = np.zeros_like(self.local_states)
        for column in self._threshold_columns:
            moved += uniforms >= column[moved_at]
        self.local_states = moved
        return payment

    def _flat_index(self, global_states: IntArray, local_actions: IntArray) -> IntArray:
        """Row of (s_l, s_g, a_l) in the flattened local tables, [n_populations, n_agents]."""
        n_global, n_actions = self.game.n_global_states, self.game.n_local_actions
        return (self.local_states * n_global + global_states[:, None]) * n_actions + local_actions


class LumpedSimulator(_Simulator):
    """Populations kept as counts; exact in law when all local agents share one policy, at any number of agents.

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

    def __init__(
        self, game: TabularGame, n_agents: int, *, n_populations: int = 1, local_timing: LocalTiming = "paper"
    ) -> None:
        super().__init__(game, n_agents, n_populations=n_populations, local_timing=local_timing)
        self._conditional_moves = conditional_probabilities(game.local_transition)

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
        """
        choices = conditional_probabilities(local_policy).swapaxes(0, 1)[self.global_states]
        actions = sample_multinomial(self._streams.local_moves, self.counts, choices)
        rewards = self.game.local_reward.swapaxes(0, 1)[self.global_states]
        payment = Payment(
            self.game.global_reward[self.global_states, global_actions],
            np.einsum("bxa,bxa->b", actions, rewards) / max(self.n_agents, 1),
        )
        self._move_local(actions, self._move_global(global_actions))
        return payment

    def _move_local(self, actions: IntArray, seen: IntArray) -> None:
        """Move the agents counted in `actions` [n_populations, s_l, a_l]; empty cells cost nothing."""
        population, state, action = np.nonzero(actions)
        moves = sample_multinomial(
            self._streams.local_moves,
            actions[population, state, action],
            self._conditional_moves[state, seen[population], action],
        )
        self.counts = np.stack(
            [np.bincount(population, moves[:, y], self.n_populations) for y in range(self.game.n_local_states)], axis=1
        ).astype(np.int64)
