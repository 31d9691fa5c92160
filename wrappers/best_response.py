"""Single-agent views: the game as one side sees it while the other side's policy is fixed.

Those of games with continuous states are in `kofn.wrappers.continuous_best_response`; Gymnasium's ids make either.
Both views are Gymnasium environments on the lumped simulator, so that their cost does not depend on the number of
agents (a `sampler` that asks for individuals keeps them one by one, see `kofn.wrappers.samplers`). Rewards are the team
reward r(s_t, a_t); `discount` is the game's and must be handed to the learner.

>>> env = GlobalBestResponse("warehouse_dispatch", n_agents=1000, k=10, local_policy="uniform")
>>> observation, info = env.reset(seed=0)
>>> observation.shape, env.discount
((10,), 0.95)
>>> robot = LocalBestResponse("warehouse_dispatch", n_agents=1000, global_policy="keep", deviation="tagged")
>>> robot.reset(seed=0)[1]
{'others': 'keep local_policy'}
"""

from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete

from kofn.envs.arrays import integer
from kofn.envs.limit import Limit
from kofn.envs.model import Game
from kofn.envs.observations import GlobalEncoding, Observation, ObsMode, Space
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_global_policy, as_local_policy
from kofn.envs.render import RenderMode
from kofn.wrappers.deviations import Deviation, Fleet, TaggedAgent, check_notions
from kofn.wrappers.sampled_population import SampledPopulation
from kofn.wrappers.samplers import Sampler
from kofn.wrappers.view import METADATA, View, policy_k, reward_parts

Result = tuple[Observation, float, bool, bool, dict[str, Any]]


class GlobalBestResponse(gymnasium.Env[Observation, Any]):
    """The global agent's problem while all local agents follow one policy.

    Observation: [s_g, histogram of k agents drawn afresh] in `obs_mode`; action: a_g; reward: r(s_t, a_t).

    Args:
        game: a TabularGame, a GenerativeGame or the name of a registered game.
        n_agents: n; omitted: the registered game's default.
        k: agents seen each step; omitted: all n.
        local_policy: LocalPolicy, table [s_l, s_g, a_l], or "uniform" or "stay".
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.
        obs_mode: "box", "discrete" or "multidiscrete".
        render_mode: None, "human", "rgb_array" or "ansi".
        sampler: who is seen, as in SubsampleObservation.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    metadata = METADATA
    k = Limit()

    def __init__(
        self,
        game: Game | str,
        *,
        n_agents: int | None = None,
        k: int | None = None,
        local_policy: LocalPolicy | str | npt.ArrayLike = "uniform",
        max_cycles: int | None = None,
        obs_mode: ObsMode = "box",
        render_mode: RenderMode | None = None,
        sampler: Sampler | str = "uniform",
    ) -> None:
        self._view = View(game, n_agents, k, max_cycles, render_mode, sampler)
        self.k = self._view.k
        self.render_mode = render_mode
        self.game = self._view.game
        self.local_policy = as_local_policy(local_policy, self.game)
        self._population = SampledPopulation(self.game, self._view.n_agents, self._view.sampler)
        sizes = (self.game.n_global_states, self.game.n_local_states, self._view.k)
        self._encoding = GlobalEncoding(*sizes, "histogram", obs_mode)
        self.observation_space: Space = self._encoding.space()
        self.action_space: Space = Discrete(self.game.n_global_actions)

    @property
    def discount(self) -> float:
        """Gamma."""
        return self.game.discount

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; a seed restarts the random streams. `options` are ignored."""
        super().reset(seed=seed, options=options)
        self._population.reset(self._view.restart(seed))
        return self._observe(), {}

    def step(self, action: Any) -> Result:
        """Play a_g once.

        Raises:
            RuntimeError: before the first reset, or after the end of the episode.
            TypeError, ValueError: the action is no integer or out of range.
        """
        a_g = integer("action", action, 0, self.game.n_global_actions - 1)
        self._view.check_going_on()
        payment = self._population.step(np.array([a_g]), self.local_policy.table)
        truncated = self._view.tick()
        return self._observe(), float(payment.team_reward[0]), False, truncated, reward_parts(payment)

    def _observe(self) -> Observation:
        population = self._population
        self._sampled = self._view.sample(population.counts(), population.individuals(), population.global_states)
        observation: Observation = self._encoding.encode(population.global_states, self._sampled)[0]
        return observation

    def render(self) -> Any:
        """A frame in the current `render_mode`, the sampled agents marked."""
        self._view.check_started()
        population = self._population
        return self._view.render(self.render_mode, population.global_states, population.counts(), self._sampled)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._view.close()


class LocalBestResponse(gymnasium.Env[Observation, Any]):
    """The local side's problem while the global agent follows one policy.

    `deviation="tagged"`: the learner is one agent, sees [s_l, s_g] in `obs_mode` and acts a_l; the others keep
    `local_policy`. `deviation="shared"`: the learner is the whole fleet, sees s_g and picks an action per local state.
    `info["others"]` says what the other agents do. Reward: the whole team's r(s_t, a_t), or a tagged agent's own r_l.

    Args:
        game: a TabularGame, a GenerativeGame or the name of a registered game.
        n_agents: n; omitted: the registered game's default.
        k: agents the global policy sees; omitted: the policy's own k, 1 for a named policy (which heeds none), that of
            its columns for a table.
        global_policy: GlobalPolicy, table [s_g, histogram(, a_g)], or "uniform" or "keep".
        local_policy: what the others do when one agent deviates; LocalPolicy, table, or "uniform" or "stay".
        deviation: "tagged" or "shared" (see `kofn.wrappers.deviations`).
        reward: "team" or, of a tagged agent, "own".
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.
        obs_mode: "box", "discrete" or "multidiscrete".
        render_mode: None, "human", "rgb_array" or "ansi".
        sampler: who is seen, as in SubsampleObservation.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    metadata = METADATA
    k = Limit()

    def __init__(  # noqa: PLR0913  # a view names everything it holds fixed
        self,
        game: Game | str,
        *,
        n_agents: int | None = None,
        k: int | None = None,
        global_policy: GlobalPolicy | str | npt.ArrayLike = "keep",
        local_policy: LocalPolicy | str | npt.ArrayLike = "uniform",
        deviation: Literal["tagged", "shared"] = "tagged",
        reward: Literal["team", "own"] = "team",
        max_cycles: int | None = None,
        obs_mode: ObsMode = "box",
        render_mode: RenderMode | None = None,
        sampler: Sampler | str = "uniform",
    ) -> None:
        if k is None:
            k = policy_k(global_policy, game)
        self._view = View(game, n_agents, k, max_cycles, render_mode, sampler)
        self.k = self._view.k
        self.render_mode = render_mode
        self.game = self._view.game
        self.global_policy = as_global_policy(global_policy, self.game, self._view.k)
        check_notions(deviation, reward)
        self.deviation, self.reward = deviation, reward
        others = as_local_policy(local_policy, self.game)
        self._side: Deviation
        if self.deviation == "tagged":
            self._side = TaggedAgent(self.game, self._view.n_agents, others, obs_mode, self._view.sampler)
        else:
            self._side = Fleet(self.game, self._view.n_agents, obs_mode, self._view.sampler)
        self.observation_space: Space = self._side.observation_space
        self.action_space: Space = self._side.action_space

    @property
    def discount(self) -> float:
        """Gamma."""
        return self.game.discount

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; a seed restarts the random streams. `options` are ignored."""
        super().reset(seed=seed, options=options)
        self._side.reset(self._view.restart(seed))
        self._sample()
        return self._side.observe(), {"others": self._side.others}

    def step(self, action: Any) -> Result:
        """Play the learner's action once, the global agent acting on its fresh sample.

        Raises:
            RuntimeError: before the first reset, or after the end of the episode.
            TypeError, ValueError: the action is not in the action space.
        """
        self._view.check_going_on()
        policy_stream = self._view.streams.policy
        a_g = self.global_policy.act(self._side.population.global_states, self._sampled, policy_stream)
        payment = self._side.step(a_g, action)
        self._sample()
        truncated = self._view.tick()
        infos = {"others": self._side.others, **reward_parts(payment)}
        paid = float(payment.team_reward[0]) if self.reward == "team" else self._side.own_reward
        return self._side.observe(), paid, False, truncated, infos

    def _sample(self) -> None:
        """Draw the agents that the global agent sees next."""
        side = self._side
        self._sampled = self._view.sample(side.counts(), side.individuals(), side.population.global_states)

    def render(self) -> Any:
        """A frame in the current `render_mode`, the sampled agents marked."""
        self._view.check_started()
        states = self._side.population.global_states
        return self._view.render(self.render_mode, states, self._side.counts(), self._sampled)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._view.close()
