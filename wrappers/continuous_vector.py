"""Views of one side of a continuous game as gymnasium vector environments: B episodes stepped at once.

* `ContinuousGlobalVector`: the global agent's problem while all local agents follow one policy. An environment is a
  population; it observes [s_g, shares of k agents per bin], or the shares alone, and acts a_g.
* `ContinuousLocalVector`: the local side's problem while the global agent follows one policy. With
  `deviation="tagged"` an environment is one agent of each population, drawn anew for every episode; the others keep
  `local_policy`. With `deviation="shared"` every agent of every population is an environment, so that whoever acts for
  all of them (a learner with one network) moves the whole fleet. It observes [s_i, s_g] and acts a_i.
* `ContinuousFleetVector`: the whole fleet's problem too, but an environment is a population; it observes [s_g] and acts
  one a_l per cell of places, `N_CELLS` equal ones between the bounds, which every agent in the cell takes: a memoryless
  deterministic policy of the learner IS a local policy, constant on cells.

Rewards are the team's r(s_t, a_t), or with `reward="own"` the agent's own r_l alone, as in the authors' code: then
neither r_g nor what the agent does to others counts. An agent's action moves the team reward by 1/n of its own; with
n in the hundreds a learner hardly sees that, and is better given a smaller population.

What happens at the end of the episodes: `kofn.wrappers.continuous_episodes`; new ones begin in the same step unless
`autoreset_mode` says otherwise.

>>> views = ContinuousGlobalVector("cluster_line", 3, k=10)
>>> observations, _ = views.reset(seed=0)
>>> observations.shape, views.single_action_space
((3, 6), Discrete(5))
>>> ContinuousLocalVector("cluster_line", 3, deviation="shared", n_agents=20).num_envs
60
>>> ContinuousFleetVector("cluster_line", 3, n_agents=20).single_action_space.shape
(40,)
"""

from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete

from kofn.envs.arrays import FloatArray, IntArray, one_of
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_observations import ContinuousGlobalEncoding, ContinuousLocalEncoding, box
from kofn.envs.line_policies import LineGlobalPolicy, LineLocalPolicy, UniformLineGlobalPolicy, UniformLinePolicy
from kofn.envs.normals import Float32Array
from kofn.envs.streams import Streams
from kofn.wrappers.continuous_episodes import ContinuousEpisodes, continuous_game

Deviation = Literal["tagged", "shared"]
RewardNotion = Literal["team", "own"]

N_CELLS = 40
"""Cells of places among which the fleet's action distinguishes."""


class ContinuousGlobalVector(ContinuousEpisodes):
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
        autoreset_mode: what happens at the end of the episodes.

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
        autoreset_mode: Any = "SameStep",
    ) -> None:
        super().__init__(game, n_populations, k, n_agents, max_cycles, autoreset_mode)
        self.local_policy = local_policy if local_policy is not None else UniformLinePolicy(self.game.n_local_actions)
        self.deterministic = deterministic and local_policy is not None  # uniform actions are drawn
        seen = self.game.observe_global_state if observe_global_state is None else observe_global_state
        edges = self.game.bin_edges
        self._encoding = ContinuousGlobalEncoding(self.game.global_bounds, edges, self.k, "histogram", seen)
        self._declare(self.n_populations, self._encoding.space(), Discrete(self.game.n_global_actions))

    def observe(self) -> Float32Array:
        """[s_g, shares of k agents drawn afresh per bin]."""
        return self._encoding.observe_counts(self.simulator.global_states, self.look())

    def play(self, actions: IntArray, streams: Streams) -> FloatArray:
        """The global actions, the local agents following their policy."""
        rng = None if self.deterministic else streams.policy
        simulator = self.simulator
        moves = self.local_policy.act(simulator.local_states, simulator.global_states[:, None], rng)
        return self._move(actions, moves).team_reward


class ContinuousLocalVector(ContinuousEpisodes):
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
        autoreset_mode: what happens at the end of the episodes.

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
        autoreset_mode: Any = "SameStep",
    ) -> None:
        self.global_policy = _or_uniform(global_policy, game)
        super().__init__(game, n_populations, self.global_policy.k, n_agents, max_cycles, autoreset_mode)
        self.local_policy = local_policy if local_policy is not None else UniformLinePolicy(self.game.n_local_actions)
        self.deviation = one_of("deviation", deviation, ("tagged", "shared"))
        self.reward = one_of("reward", reward, ("team", "own"))
        self._encoding = ContinuousLocalEncoding(self.game.global_bounds, self.game.local_bounds)
        self._rows = np.arange(self.n_populations)
        num_envs = self.n_populations * (self.n_agents if deviation == "shared" else 1)
        self._declare(num_envs, self._encoding.space(), Discrete(self.game.n_local_actions))

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
        a_g = _dispatched(self, self.global_policy)
        team = self._move(a_g, self._moves(actions, streams)).team_reward
        paid = np.repeat(team[:, None], self.n_agents, axis=1)
        if self.reward == "own":
            paid = self.simulator.local_rewards.astype(np.float64)
        return paid[self._rows, self.tagged] if self.deviation == "tagged" else paid.reshape(self.num_envs)

    def _moves(self, actions: IntArray, streams: Streams) -> IntArray:
        """Everybody's actions, int64 [population, agent]."""
        if self.deviation == "shared":
            return actions.reshape(self.n_populations, self.n_agents)
        simulator = self.simulator
        moves = self.local_policy.act(simulator.local_states, simulator.global_states[:, None], streams.policy)
        moves[self._rows, self.tagged] = actions
        return moves


class ContinuousFleetVector(ContinuousEpisodes):
    """The whole fleet's problem, one action per cell of places (see the module).

    Args:
        game: a ContinuousGame or the name of a registered one.
        n_populations: B, populations stepped at once; one environment each.
        global_policy: as in `ContinuousLocalVector`.
        n_agents: n; omitted: the registered game's default.
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.
        autoreset_mode: what happens at the end of the episodes.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    deviation, reward = "shared", "team"

    def __init__(
        self,
        game: ContinuousGame | str,
        n_populations: int,
        *,
        global_policy: LineGlobalPolicy | None = None,
        n_agents: int | None = None,
        max_cycles: int | None = None,
        autoreset_mode: Any = "SameStep",
    ) -> None:
        self.global_policy = _or_uniform(global_policy, game)
        super().__init__(game, n_populations, self.global_policy.k, n_agents, max_cycles, autoreset_mode)
        actions = MultiDiscrete(np.full(N_CELLS, self.game.n_local_actions))
        self._declare(self.n_populations, box([self.game.global_bounds]), actions)

    def observe(self) -> Float32Array:
        """[s_g]."""
        return np.array(self.simulator.global_states, dtype=np.float32)[:, None]

    def play(self, actions: IntArray, streams: Streams) -> FloatArray:  # noqa: ARG002  # nothing more is drawn
        """Every agent takes its cell's action, the global agent acts on its fresh sample."""
        moves = np.take_along_axis(actions, cell_of(self.game, self.simulator.local_states), axis=1)
        return self._move(_dispatched(self, self.global_policy), moves).team_reward


def cell_of(game: ContinuousGame, local_states: Float32Array) -> IntArray:
    """Cells of local states, int64 of the same shape."""
    low, high = game.local_bounds
    return np.asarray(((local_states - low) * (N_CELLS / (high - low))).astype(np.int64).clip(0, N_CELLS - 1))


def _or_uniform(global_policy: LineGlobalPolicy | None, game: ContinuousGame | str) -> LineGlobalPolicy:
    """The policy; uniform actions that heed one agent where there is none."""
    if global_policy is not None:
        return global_policy
    return UniformLineGlobalPolicy(continuous_game(game).n_global_actions)


def _dispatched(view: ContinuousEpisodes, global_policy: LineGlobalPolicy) -> IntArray:
    """Most likely global actions on a fresh sample, int64 [population]; uniform ones are drawn."""
    rng = view.streams.policy if isinstance(global_policy, UniformLineGlobalPolicy) else None
    return global_policy.act(view.simulator.global_states, view.look(), rng)
