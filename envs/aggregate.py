r"""A game of arrays whose reward is a function of the aggregate; the learners of the papers do not apply to it.

Moves are those of a `TabularGame`. Its local reward table is not paid but summed up: it holds a statistic f, and

    r(s, a) = r_g(s_g, a_g) + R( (1/n) sum_i f(s_i, s_g, a_i) )

with a function R. Unless R is affine this is not the mean of local rewards: the game is unstructured. Were the agents
of a sample D the whole population, the reward would be r_D = r_g + R(mean of f over D), a biased estimate of r.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, first_index, mean_over
from kofn.envs.finite import FinitePopulation
from kofn.envs.game import TabularGame
from kofn.envs.observations import OBS_MODES, ObsMode
from kofn.envs.simulator import IndividualSimulator, Payment
from kofn.envs.streams import Streams


@dataclass(frozen=True, kw_only=True, eq=False)
class AggregateGame:
    """Tables of moves and of the statistic, and the reward of its mean.

    Args:
        tables: P_g, P_l, r_g, starts and discount; its `local_reward` is the statistic f [s_l, s_g, a_l].
        reward_of_mean: R, from means of f, float [...], to rewards of the same shape.

    Raises:
        TypeError: `tables` is no TabularGame, or R is no function.
        ValueError: R does not return one finite number per mean.
    """

    tables: TabularGame
    reward_of_mean: Callable[[FloatArray], Any]

    def __post_init__(self) -> None:
        """Validate; R is tried at the extreme values of the statistic."""
        if not isinstance(self.tables, TabularGame):
            raise TypeError(f"tables must be a TabularGame; got {type(self.tables).__name__}")
        if not callable(self.reward_of_mean):
            raise TypeError(f"reward_of_mean must be a function of means [...]; got {self.reward_of_mean!r}")
        statistic = self.tables.local_reward
        self.reward(np.array([statistic.min(), statistic.max()]))

    @property
    def discount(self) -> float:
        """Gamma."""
        return self.tables.discount

    @property
    def n_global_states(self) -> int:
        """|S_g|."""
        return self.tables.n_global_states

    @property
    def n_local_states(self) -> int:
        """|S_l|."""
        return self.tables.n_local_states

    @property
    def n_global_actions(self) -> int:
        """|A_g|."""
        return self.tables.n_global_actions

    @property
    def n_local_actions(self) -> int:
        """|A_l|."""
        return self.tables.n_local_actions

    @property
    def obs_modes(self) -> tuple[ObsMode, ...]:
        """All of them."""
        return OBS_MODES

    def reward(self, means: FloatArray) -> FloatArray:
        """R of means of the statistic, float [...], checked."""
        rewards = np.array(self.reward_of_mean(means.copy()), dtype=np.float64)
        if rewards.shape != means.shape:
            raise ValueError(
                f"reward_of_mean must return one reward per mean, shape {list(means.shape)}; got {list(rewards.shape)}"
            )
        if not np.isfinite(rewards).all():
            index = first_index(~np.isfinite(rewards))
            raise ValueError(f"reward_of_mean must be finite; at the mean {means[index]} it is {rewards[index]}")
        return rewards

    def population(self, n_agents: int, obs_mode: ObsMode = "box") -> FinitePopulation:
        """One population of n agents."""
        simulator = AggregateSimulator(self, n_agents)
        return FinitePopulation(
            sizes=self, labels=self.tables.labels, simulator=simulator, obs_mode=obs_mode, structured=False
        )


class AggregateSimulator:
    """Populations of an aggregate game, their agents kept one by one.

    Args:
        game: the game.
        n_agents: n, local agents per population, at least 1.
        n_populations: B, populations stepped at once.
    """

    local_timing = "paper"

    def __init__(self, game: AggregateGame, n_agents: int, *, n_populations: int = 1) -> None:
        self.game = game
        self._agents = IndividualSimulator(game.tables, n_agents, n_populations=n_populations)
        self._mean: FloatArray | None = None

    @property
    def n_agents(self) -> int:
        """Local agents per population."""
        return self._agents.n_agents

    @property
    def global_states(self) -> IntArray:
        """s_g, int64 [n_populations]."""
        return self._agents.global_states

    @property
    def local_states(self) -> IntArray:
        """s_1..s_n, int64 [n_populations, n_agents]."""
        return self._agents.local_states

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        self._agents.reset(streams)
        self._mean = None

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move once: r_g, and R of the mean as every agent's local reward.

        Args:
            global_actions: int64 [n_populations].
            local_actions: int64 [n_populations, n_agents].

        Raises:
            TypeError, ValueError: actions that are no integers in range, or of another shape; or what R raises. All
                stays as it was before the step, but for what was drawn.
        """
        agents = self._agents
        before = agents.global_states, agents.local_states, agents.local_rewards
        try:
            payment = agents.step(global_actions, local_actions)
            rewards = self.game.reward(payment.local_reward_mean)
        except BaseException:
            agents.global_states, agents.local_states, agents.local_rewards = before
            raise
        self._global_reward, self._mean = payment.global_reward.copy(), payment.local_reward_mean
        return Payment(payment.global_reward, rewards)

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """r_D of the last step, float [n_populations], for the agents `sampled` [k]."""
        if self._mean is None:  # nothing was paid yet
            return np.zeros(self._agents.n_populations)
        return self._global_reward + self.game.reward(mean_over(self._agents.local_rewards, sampled))

    def info(self) -> dict[str, Any]:
        """After a step, the aggregate: the sum of f over the agents of the first population."""
        return {} if self._mean is None else {"aggregate": float(self._mean[0]) * self.n_agents}
