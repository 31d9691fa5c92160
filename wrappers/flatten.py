"""Homogenize: one observation and one action space for all agents, for libraries that share one network.

With G and L the global and the local agents' observations, w the larger of their widths and A the larger of |A_g| and
|A_l|, every agent observes

    [1, 0 | G, 0 .. 0]  (the global agent)   or   [0, 1 | L, 0 .. 0]  (a local agent),      float32 [2 + w],

and has the actions 0 .. A-1. An action that an agent does not have of itself is played as its no-op:

* in a game of tables, the action most likely to keep the agent's own state (policies "keep" and "stay" of
  `kofn.envs.policies`): s_g for the global agent, s_l under s_g for a local one;
* in any other game, action 0, which is "stay" or "skip" for the local agents of every registered game ("commit nothing"
  in `gaussian_squeeze_native`); their global agents have all A actions;
* or the actions given as `no_op`.

Everything takes O(n).

>>> from kofn.envs.warehouse_dispatch import parallel_env
>>> env = homogenize(parallel_env(n_agents=50))
>>> observations, _ = env.reset(seed=0)
>>> observations["local_7"]  # a local agent, in zone 2, the dispatcher in zone 4
array([0., 1., 0., 0., 1., 0., 0., 0., 0., 0., 0., 1.], dtype=float32)
>>> env.action_space("local_7")  # 0 stay, 1 up, 2 down; 3 and 4 are played as 0
Discrete(5)
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper

from kofn.envs.arrays import IntArray, integer
from kofn.envs.game import TabularGame
from kofn.envs.limit import Limit
from kofn.envs.observations import Observation, Space
from kofn.envs.parallel import GLOBAL_AGENT, Info, PopulationEnv
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed

N_TYPES = 2
"""Leading entries of an observation: [is the global agent, is a local agent]."""

Rows = npt.NDArray[np.float32]


class Homogenize(BaseParallelWrapper[str, Observation, int]):
    """One observation and one action space for all agents; see the module.

    Args:
        env: a PopulationEnv with `obs_mode="box"`, possibly wrapped (as by `SubsampleObservation`).
        no_op: actions (a_g, a_l) that excess actions are played as; None: as the module says.

    Raises:
        TypeError: `env` holds no PopulationEnv, or a no-op that is no integer.
        ValueError: another `obs_mode`, a no-op that is no action, or an environment homogenized already.
    """

    k = Limit(given=False)

    def __init__(self, env: ParallelEnv[str, Observation, int], no_op: tuple[int, int] | None = None) -> None:
        population = env.unwrapped if isinstance(env, ParallelEnv) else env
        if not isinstance(population, PopulationEnv):
            raise TypeError(f"env must be a PopulationEnv, possibly wrapped; got {type(population).__name__}")
        if population.obs_mode != "box":
            raise ValueError(f"homogenize needs an environment with obs_mode='box'; got {population.obs_mode!r}")
        if getattr(env, "no_op", None) is not None:
            raise ValueError("env is homogenized already")
        super().__init__(env)
        self.population = population
        self.n_actions = max(population.game.n_global_actions, population.game.n_local_actions)
        self.no_op = _NoOp(population, no_op)
        self._numbers = {agent: i for i, agent in enumerate(population.possible_agents)}
        self._bounds = _joint_bounds([env.observation_space(agent) for agent in population.possible_agents[:2]])
        self._spaces: dict[str, tuple[Space, Space]] = {}

    def observation_space(self, agent: str) -> Space:
        """The agent's own space object (always the same one); all agents' are equal."""
        return self._agent_spaces(agent)[0]

    def action_space(self, agent: str) -> Space:
        """The agent's own space object (always the same one); all agents' are equal."""
        return self._agent_spaces(agent)[1]

    def _agent_spaces(self, agent: str) -> tuple[Space, Space]:
        if agent not in self._spaces:
            self.env.observation_space(agent)  # KeyError for an unknown agent
            self._spaces[agent] = Box(*self._bounds, dtype=np.float32), Discrete(self.n_actions)
        return self._spaces[agent]

    def reset(
        self, seed: Seed = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, Info]]:
        """As the environment's."""
        observations, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # PettingZoo's types admit int seeds and dict options only
        return self._pad(observations), infos

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """As the environment's, excess actions played as the no-op.

        Args:
            actions: one integer below `n_actions` per agent, keyed by agent name.

        Raises:
            RuntimeError, KeyError, TypeError, ValueError: as `PopulationEnv.step`.
        """
        observations, rewards, terminations, truncations, infos = self.env.step(self._own(actions))
        return self._pad(observations), rewards, terminations, truncations, infos

    def _own(self, actions: Mapping[str, int]) -> dict[str, int]:
        """The actions with excess ones replaced; what else may be wrong with them the environment finds."""
        if not self.env.agents or not isinstance(actions, Mapping):
            return cast("dict[str, int]", actions)
        game = self.population.game
        limits = {GLOBAL_AGENT: game.n_global_actions}
        n_local = game.n_local_actions
        try:
            beyond = [a for a, action in actions.items() if not 0 <= action < limits.get(a, n_local)]
        except (TypeError, ValueError):  # something that is no number, which the environment names
            return dict(actions)
        return {**actions, **self._no_ops_of(beyond, actions)} if beyond else dict(actions)

    def _no_ops_of(self, agents: list[str], actions: Mapping[str, int]) -> dict[str, int]:
        """The no-ops of agents whose action, though not one of theirs, is one of the common space."""
        no_ops, replaced = self.no_op(), {}
        for agent in agents:
            action = actions[agent]
            if type(action) is not int or not 0 <= action < self.n_actions:
                integer(f"the action of {agent!r}", action, 0, self.n_actions - 1)
            if agent in self._numbers:  # who else it may be the environment asks
                replaced[agent] = no_ops[self._numbers[agent]]
        return replaced

    def _pad(self, observations: dict[str, Observation]) -> dict[str, Observation]:
        """Fresh rows [type | observation | zeros], each agent's own."""
        rows: Rows = np.zeros((len(observations), len(self._bounds[0])), dtype=np.float32)
        agents = self.population.possible_agents
        seen = observations[GLOBAL_AGENT]
        local = np.concatenate([observations[agent] for agent in agents[1:]]).reshape(len(agents) - 1, -1)
        rows[0, 0] = 1.0
        rows[1:, 1] = 1.0
        rows[0, N_TYPES : N_TYPES + len(seen)] = seen
        rows[1:, N_TYPES : N_TYPES + local.shape[1]] = local
        return dict(zip(agents, rows, strict=True))


def homogenize(
    env: ParallelEnv[str, Observation, int], no_op: tuple[int, int] | None = None
) -> ParallelEnv[str, Observation, int]:
    """The environment with one observation and one action space for all agents; see `Homogenize`."""
    return Homogenize(env, no_op)


class _NoOp:
    """The actions that agents play in place of those they do not have.

    Args:
        population: the environment.
        fixed: actions (a_g, a_l), or None: the action most likely to keep the agent's state where there are tables,
            otherwise 0.
    """

    def __init__(self, population: PopulationEnv, fixed: tuple[int, int] | None) -> None:
        self._population = population
        game = population.game
        self._keep: IntArray | None = None
        if fixed is None and isinstance(game, TabularGame):
            self._keep = GlobalPolicy.named("keep", game, 1).table[:, 0].astype(np.int64)
            self._stay = LocalPolicy.named("stay", game).table.argmax(axis=-1)
        if fixed is not None and (not isinstance(fixed, Sequence) or isinstance(fixed, str | bytes) or len(fixed) != 2):
            raise TypeError(f"no_op must be two actions (a_g, a_l); got {fixed!r}")
        a_g, a_l = fixed if fixed is not None else (0, 0)
        self._global = integer("no_op[0]", a_g, 0, game.n_global_actions - 1)
        self._local = integer("no_op[1]", a_l, 0, game.n_local_actions - 1)

    def __call__(self) -> list[int]:
        """The no-ops of all agents now, in the order of `possible_agents`."""
        simulator = self._population.simulator
        if self._keep is None:
            return [self._global] + [self._local] * simulator.n_agents
        s_g = simulator.global_states[0]
        return [int(self._keep[s_g]), *self._stay[simulator.local_states[0], s_g].tolist()]


def _joint_bounds(spaces: list[Space]) -> tuple[Rows, Rows]:
    """(low, high) that hold [type | observation | zeros] of every space given."""
    boxes = cast("list[Box]", spaces)
    width = max(box.shape[0] for box in boxes)
    low = np.zeros((len(boxes), N_TYPES + width), dtype=np.float32)
    high = low.copy()
    high[:, :N_TYPES] = 1.0
    for i, box in enumerate(boxes):
        low[i, N_TYPES : N_TYPES + box.shape[0]] = box.low
        high[i, N_TYPES : N_TYPES + box.shape[0]] = box.high
    return low.min(axis=0), high.max(axis=0)
