"""Views of one side of a continuous game as gymnasium vector environments: B episodes stepped at once.

* `ContinuousGlobalVector`: the global agent's problem while all local agents follow one policy. An environment is a
  population; it observes [s_g, shares of k agents per bin], or the shares alone, and acts a_g.
* `ContinuousLocalVector`: the local side's problem while the global agent follows one policy. With
  `deviation="tagged"` an environment is one agent of each population, drawn anew for every episode; the others keep
  `local_policy`. With `deviation="shared"` every agent of every population is an environment, so that whoever acts for
  all of them (a learner with one network) moves the whole fleet. It observes [s_i, s_g] and acts a_i.

Rewards are the team's r(s_t, a_t), or with `reward="own"` the agent's own r_l alone, as in the authors' code: then
neither r_g nor what the agent does to others counts. An agent's action moves the team reward by 1/n of its own; with
n in the hundreds a learner hardly sees that, and is better given a smaller population.

Episodes last `max_cycles` steps and all end at once; new ones begin in the same step (`AutoresetMode.SAME_STEP`).

>>> views = ContinuousGlobalVector("cluster_line", 3, k=10)
>>> observations, _ = views.reset(seed=0)
>>> observations.shape, views.single_action_space
((3, 6), Discrete(5))
>>> ContinuousLocalVector("cluster_line", 3, global_policy=lambda *_: 0, k=10, deviation="shared", n_agents=20).num_envs
60
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_observations import ContinuousGlobalEncoding, ContinuousLocalEncoding
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.limit import Limit
from kofn.envs.line_policies import (
    LineGlobalPolicy,
    LineLocalPolicy,
    UniformLineGlobalPolicy,
    UniformLinePolicy,
)
from kofn.envs.normals import Float32Array
from kofn.envs.observations import Space
from kofn.envs.population import sample_without_replacement
from kofn.envs.registration import default_sizes, registered_game
from kofn.envs.simulator import Payment
from kofn.envs.streams import Seed, Streams
from kofn.wrappers.vector_sides import checked_actions
from kofn.wrappers.view import DEFAULT_MAX_CYCLES

Deviation = Literal["tagged", "shared"]
RewardNotion = Literal["team", "own"]
Step = tuple[Float32Array, FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]


class _ContinuousVector(VectorEnv[Float32Array, IntArray, Any]):
    """What both views share: sizes, the simulator, the clock; `observe` and `play` are a view's own."""

    metadata: dict[str, Any] = {  # noqa: RUF012  # as gymnasium declares it
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": [],
    }
    render_mode = None
    k = Limit()
    payment: Payment
    _seen: IntArray | None = None

    def __init__(
        self,
        game: ContinuousGame | str,
        n_populations: int,
        k: int | None,
        n_agents: int | None,
        max_cycles: int | None,
    ) -> None:
        self.game = continuous_game(game)
        defaults = default_sizes(game) if isinstance(game, str) else None
        if n_agents is None and defaults is None:
            raise TypeError("n_agents must be given for a game that is not registered by name; got None")
        self.n_agents = integer("n_agents", defaults.n_agents if defaults and n_agents is None else n_agents, 1)
        self.k = integer("k", k, 1, self.n_agents) if k is not None else self.n_agents
        if max_cycles is None:
            max_cycles = defaults.max_cycles if defaults is not None else DEFAULT_MAX_CYCLES
        self.max_cycles = integer("max_cycles", max_cycles, 1)
        self.n_populations = integer("n_populations", n_populations, 1)
        self.simulator = ContinuousSimulator(self.game, self.n_agents, n_populations=self.n_populations)
        self._streams: Streams | None = None

    def _declare(self, num_envs: int, observation_space: Space, n_actions: int) -> None:
        """The spaces of `num_envs` environments."""
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = observation_space, Discrete(n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def discount(self) -> float:
        """Gamma, which the learner must be told."""
        return self.game.discount

    @property
    def streams(self) -> Streams:
        """The random streams; RuntimeError before the first reset."""
        if self._streams is None:
            raise RuntimeError("call reset() before step()")
        return self._streams

    def reset(self, *, seed: Seed = None, options: dict[str, Any] | None = None) -> tuple[Float32Array, dict[str, Any]]:
        """Start all episodes; a seed restarts the random streams. `options` are ignored."""
        del options
        if seed is not None or self._streams is None:
            self._streams = Streams.from_seed(seed)
        self.begin()
        return self.observe(), {}

    def begin(self) -> None:
        """Draw new starts."""
        self.timestep, self._seen = 0, None
        self.simulator.reset(self.streams)

    def step(self, actions: IntArray) -> Step:
        """Play one action per environment.

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: actions of the wrong type, shape or range.
        """
        streams = self.streams
        rewards = self.play(checked_actions(self.single_action_space, self.num_envs, actions), streams)
        self.timestep += 1
        ended = np.full(self.num_envs, self.timestep >= self.max_cycles)
        observations, infos = self.observe(), {}
        if self.timestep >= self.max_cycles:
            infos = {"final_obs": observations, "_final_obs": ended}
            self.begin()
            observations = self.observe()
        return observations, rewards, np.zeros(self.num_envs, dtype=np.bool_), ended, infos

    def look(self) -> IntArray:
        """Bins of the k agents of each population seen at this step, int64 [population, bin]; drawn once."""
        if self._seen is None:
            self._seen = sample_without_replacement(self.streams.sampling, self.simulator.counts(), self.k)
        return self._seen

    def _move(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move everybody; what was seen is past."""
        self.payment, self._seen = self.simulator.step(global_actions, local_actions), None
        return self.payment

    def observe(self) -> Float32Array:
        """What every environment sees, float32 [environment, entry]."""
        raise NotImplementedError

    def play(self, actions: IntArray, streams: Streams) -> FloatArray:
        """Move once by checked actions; what every environment is paid, float [environment]. Sets `payment`."""
        raise NotImplementedError


class ContinuousGlobalVector(_ContinuousVector):
    """The global agent's problem (see the module).

    Args:
        game: a ContinuousGame or the name of a registered one.
        n_populations: B, episodes stepped at once; one environment each.
        k: agents seen each step; omitted: all n.
        local_policy: what every local agent follows; omitted: uniform actions.
        n_agents: n; omitted: the registered game's default.
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.
        observe_global_state: whether s_g is observed; omitted: as the game has it.
        deterministic: whether local agents take their policy's most likely action; otherwise they draw.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    def __init__(
        self,
        game: ContinuousGame | str,
        n_populations: int,
        *,
        k: int | None = None,
        local_policy: LineLocalPolicy | None = None,
        n_agents: int | None = None,
        max_cycles: int | None = None,
        observe_global_state: bool | None = None,
        deterministic: bool = True,
    ) -> None:
        super().__init__(game, n_populations, k, n_agents, max_cycles)
        self.local_policy = local_policy if local_policy is not None else UniformLinePolicy(self.game.n_local_actions)
        self.deterministic = deterministic and local_policy is not None  # uniform actions are drawn
        seen = self.game.observe_global_state if observe_global_state is None else observe_global_state
        edges = self.game.bin_edges
        self._encoding = ContinuousGlobalEncoding(self.game.global_bounds, edges, self.k, "histogram", seen)
        self._declare(self.n_populations, self._encoding.space(), self.game.n_global_actions)

    def observe(self) -> Float32Array:
        """[s_g, shares of k agents drawn afresh per bin]."""
        return self._encoding.observe_counts(self.simulator.global_states, self.look())

    def play(self, actions: IntArray, streams: Streams) -> FloatArray:
        """The global actions, the local agents following their policy."""
        rng = None if self.deterministic else streams.policy
        simulator = self.simulator
        moves = self.local_policy.act(simulator.local_states, simulator.global_states[:, None], rng)
        return self._move(actions, moves).team_reward


class ContinuousLocalVector(_ContinuousVector):
    """The local side's problem (see the module).

    Args:
        game: a ContinuousGame or the name of a registered one.
        n_populations: B, populations stepped at once.
        global_policy: what the global agent follows, its most likely actions; it sees `global_policy.k` agents.
            Omitted: uniform actions, drawn.
        local_policy: what the others follow when one agent deviates; omitted: uniform actions.
        deviation: "tagged" (B environments) or "shared" (B times n).
        reward: "team" or "own".
        n_agents: n; omitted: the registered game's default.
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    def __init__(
        self,
        game: ContinuousGame | str,
        n_populations: int,
        *,
        global_policy: LineGlobalPolicy | None = None,
        local_policy: LineLocalPolicy | None = None,
        deviation: Deviation = "tagged",
        reward: RewardNotion = "team",
        n_agents: int | None = None,
        max_cycles: int | None = None,
    ) -> None:
        if global_policy is None:
            global_policy = UniformLineGlobalPolicy(continuous_game(game).n_global_actions)
        super().__init__(game, n_populations, global_policy.k, n_agents, max_cycles)
        self.global_policy = global_policy
        self.local_policy = local_policy if local_policy is not None else UniformLinePolicy(self.game.n_local_actions)
        self.deviation = one_of("deviation", deviation, ("tagged", "shared"))
        self.reward = one_of("reward", reward, ("team", "own"))
        self._encoding = ContinuousLocalEncoding(self.game.global_bounds, self.game.local_bounds)
        self._rows = np.arange(self.n_populations)
        num_envs = self.n_populations * (self.n_agents if deviation == "shared" else 1)
        self._declare(num_envs, self._encoding.space(), self.game.n_local_actions)

    def begin(self) -> None:
        """Draw new starts, and who is tagged."""
        super().begin()
        self.tagged = self.streams.policy.integers(self.n_agents, size=self.n_populations)

    def observe(self) -> Float32Array:
        """[s_i, s_g] of the agents that learn."""
        states, shared = self.simulator.local_states, self.simulator.global_states
        if self.deviation == "tagged":
            return self._encoding.encode(states[self._rows, self.tagged], shared)
        return self._encoding.encode(states, shared[:, None]).reshape(self.num_envs, 2)

    def play(self, actions: IntArray, streams: Streams) -> FloatArray:
        """The local actions, the global agent acting on its fresh sample."""
        simulator = self.simulator
        rng = streams.policy if isinstance(self.global_policy, UniformLineGlobalPolicy) else None
        a_g = self.global_policy.act(simulator.global_states, self.look(), rng)
        team = self._move(a_g, self._moves(actions, streams)).team_reward
        paid = np.repeat(team[:, None], self.n_agents, axis=1)
        if self.reward == "own":
            paid = simulator.local_rewards.astype(np.float64)
        return paid[self._rows, self.tagged] if self.deviation == "tagged" else paid.reshape(self.num_envs)

    def _moves(self, actions: IntArray, streams: Streams) -> IntArray:
        """Everybody's actions, int64 [population, agent]."""
        if self.deviation == "shared":
            return actions.reshape(self.n_populations, self.n_agents)
        simulator = self.simulator
        moves = self.local_policy.act(simulator.local_states, simulator.global_states[:, None], streams.policy)
        moves[self._rows, self.tagged] = actions
        return moves


def continuous_game(game: ContinuousGame | str) -> ContinuousGame:
    """The game itself or the registered one of that name; TypeError when it is not continuous."""
    found = registered_game(game) if isinstance(game, str) else game
    if not isinstance(found, ContinuousGame):
        raise TypeError(f"game must be a ContinuousGame or the name of one; got {game!r}")
    return found
