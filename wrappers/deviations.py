"""The two ways in which the local side may deviate while the global agent's policy is fixed.

* `TaggedAgent`: ONE agent deviates, the other n-1 keep their policy. Its best response is a Nash deviation of a single
  agent. It is paid the team's reward, or its own r_l alone (the authors' L-step), which heeds neither r_g nor what it
  does to the others.
* `Fleet`: all agents deviate at once to a shared policy (the paper's Definition 2.4). The learner sees s_g and picks
  one action per local state, which every agent in that state takes: a memoryless deterministic policy of the learner
  IS a local policy pi_l(s_l, s_g).
"""

from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.dynamics import Draws
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import Game
from kofn.envs.observations import OBS_MODES, LocalEncoding, Observation, ObsMode, Space, one_hot
from kofn.envs.policies import LocalPolicy
from kofn.envs.simulator import Payment
from kofn.envs.streams import Streams
from kofn.wrappers.sampled_population import SampledPopulation
from kofn.wrappers.samplers import UNIFORM, Sampler


class Deviation(Protocol):
    """A local side under the control of the learner."""

    others: str
    own_reward: float
    observation_space: Space
    action_space: Space
    population: SampledPopulation

    def reset(self, streams: Streams) -> None:
        """Draw a start."""

    def counts(self) -> IntArray:
        """All n agents by local state, int64 [1, s_l]."""

    def individuals(self) -> IntArray | None:
        """Local states of all n agents, int64 [1, n]; None where only counts are kept."""

    def observe(self) -> Observation:
        """What the learner sees."""

    def step(self, global_actions: IntArray, action: Any) -> Payment:
        """Play the learner's action; TypeError or ValueError when it is not in the action space."""


class TaggedAgent:
    """One agent among n-1 others that keep `local_policy`; sees [s_l, s_g], acts a_l. To a sampler it is agent 0."""

    others = "keep local_policy"
    own_reward = 0.0

    def __init__(
        self, game: Game, n_agents: int, local_policy: LocalPolicy, obs_mode: ObsMode, sampler: Sampler = UNIFORM
    ) -> None:
        self._game = game
        self._n_agents = n_agents
        self._local_policy = local_policy
        self._encoding = LocalEncoding(game.n_global_states, game.n_local_states, obs_mode)
        self.population = SampledPopulation(game, n_agents - 1, sampler)
        self.observation_space = self._encoding.space()
        self.action_space: Space = Discrete(game.n_local_actions)

    def reset(self, streams: Streams) -> None:
        """Start the others, then the agent itself from the same episode's law."""
        self.population.reset(streams)
        self._draws = Draws(streams.policy, streams.rewards)
        uniforms = streams.policy.random(1)
        self._state = sample_rows(uniforms, cumulative_thresholds(self.population.simulator.start_laws))

    def counts(self) -> IntArray:
        """The others and the agent itself."""
        counts = self.population.counts().copy()
        counts[0, self._state[0]] += 1
        return counts

    def individuals(self) -> IntArray | None:
        """The agent itself, then the others."""
        others = self.population.individuals()
        return None if others is None else np.concatenate([self._state[None], others], axis=1)

    def observe(self) -> Observation:
        """[own state, global state]."""
        observation: Observation = self._encoding.encode(self._state, self.population.global_states)[0]
        return observation

    def step(self, global_actions: IntArray, action: Any) -> Payment:
        """The others act by their policy, the agent by `action`; the local reward is the mean over all n."""
        a_l = integer("action", action, 0, self._game.n_local_actions - 1)
        old = self.population.global_states
        payment = self.population.step(global_actions, self._local_policy.table)
        dynamics = self.population.simulator.dynamics
        own, self._state = dynamics.step_local(self._draws, self._state, old, np.array([a_l]), seen=old)
        self.own_reward = float(own[0])
        total = payment.local_reward_mean * (self._n_agents - 1) + own
        return Payment(payment.global_reward, total / self._n_agents)


class Fleet:
    """All n agents at once; the learner sees s_g and picks an action for every local state."""

    others = "follow the learner"
    own_reward = 0.0

    def __init__(self, game: Game, n_agents: int, obs_mode: ObsMode, sampler: Sampler = UNIFORM) -> None:
        self._game = game
        self._one_hot = one_of("obs_mode", obs_mode, OBS_MODES) == "box"
        self.population = SampledPopulation(game, n_agents, sampler)
        n_global = game.n_global_states
        self.observation_space: Space = Box(0.0, 1.0, (n_global,), np.float32) if self._one_hot else Discrete(n_global)
        self._choices = MultiDiscrete(np.full(game.n_local_states, game.n_local_actions))
        self.action_space: Space = self._choices

    def reset(self, streams: Streams) -> None:
        """Draw a start."""
        self.population.reset(streams)

    def counts(self) -> IntArray:
        """All agents."""
        return self.population.counts()

    def individuals(self) -> IntArray | None:
        """All agents."""
        return self.population.individuals()

    def observe(self) -> Observation:
        """The global state."""
        states = self.population.global_states
        observation: Observation = one_hot(states, self._game.n_global_states)[0] if self._one_hot else states[0]
        return observation

    def step(self, global_actions: IntArray, action: Any) -> Payment:
        """Every agent in state x takes `action[x]`."""
        actions = checked_choices(self._choices, action, "local states")
        chosen: FloatArray = np.eye(self._game.n_local_actions)[actions]
        same_for_all = np.repeat(chosen[:, None, :], self._game.n_global_states, axis=1)
        return self.population.step(global_actions, same_for_all)


def checked_choices(space: MultiDiscrete, action: Any, names: str) -> IntArray:
    """A fleet's action, one per entry of the space, int64; ValueError says of which `names` there are how many."""
    actions = np.asarray(action)
    if not (np.issubdtype(actions.dtype, np.integer) and space.contains(actions)):
        raise ValueError(
            f"action must hold one of {space.nvec[0]} actions for each of {len(space.nvec)} {names}; got {action!r}"
        )
    return actions.astype(np.int64)


def check_notions(deviation: str, reward: str) -> None:
    """ValueError for an unknown deviation or reward, or for a whole fleet of which each is paid its own."""
    one_of("deviation", deviation, ("tagged", "shared"))
    one_of("reward", reward, ("team", "own"))
    if (deviation, reward) == ("shared", "own"):
        raise ValueError("reward='own' is one agent's: it needs deviation='tagged'; got deviation='shared'")
