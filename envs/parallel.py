"""PopulationEnv: any game as a PettingZoo parallel environment.

A thin dict view of a `Population` (`kofn.envs.interface`): agents kept one by one, with states of any kind. The global
agent sees all n local agents (for finite states, their histogram); `kofn.wrappers.SubsampleObservation` limits it to k
of them.
"""

from collections.abc import Mapping
from functools import cached_property
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Discrete
from pettingzoo import ParallelEnv

from kofn.envs.arrays import IntArray, integer, one_of
from kofn.envs.finite import make_population
from kofn.envs.interface import GlobalObserver, LocalObserver, OpenGame, Simulator
from kofn.envs.limit import Limit
from kofn.envs.model import Game
from kofn.envs.observations import Observation, ObsMode, Space, Summary
from kofn.envs.render import RenderMode
from kofn.envs.simulator import LocalTiming, Payment
from kofn.envs.streams import Seed, Streams

GLOBAL_AGENT = "global_0"
GlobalView = Literal["all", "none"]
Info = dict[str, Any]


class PopulationEnv(ParallelEnv[str, Observation, int]):
    """One global agent and n local agents in the standard parallel API.

    Agents are `global_0` and `local_0` .. `local_{n-1}`. Every agent receives the team reward r(s_t, a_t). Step number
    `max_cycles` truncates; nothing terminates. `infos["global_0"]` holds `reward_global` and `reward_local_mean` after
    every step and, at the end, `team_return` (undiscounted) and `team_discounted_return`; some games add more.
    `metadata["structured"]` says whether the reward is r_g + the mean of r_l, as the papers' learners assume.

    Args:
        game: the game: a TabularGame, a GenerativeGame, a ContinuousGame, an AggregateGame, or any `OpenGame`.
        n_agents: n, number of local agents.
        max_cycles: horizon, steps per episode.
        obs_mode: "box" (flat float32; finite states one-hot), "discrete" or "multidiscrete"; see
            `kofn.envs.observations`. Games with continuous states have "box" only.
        render_mode: None, "human" (needs pygame), "rgb_array" or "ansi".
        local_timing: "paper" (local agents move with the old global state) or "code" (with the new one; only to
            reproduce the authors' evaluation).
        global_view: what the global agent sees besides its own state: "all" local agents, or "none" of them (a
            blind baseline, or what `SubsampleObservation` needs to build upon; its samples come from the agents).

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    k = Limit(given=False)
    # PettingZoo declares `metadata` on the instance; __init__ gives each environment a copy of its own.
    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["human", "rgb_array", "ansi"],
        "render_fps": 4,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        game: Game | OpenGame,
        n_agents: int,
        *,
        max_cycles: int = 100,
        obs_mode: ObsMode = "box",
        render_mode: RenderMode | None = None,
        local_timing: LocalTiming = "paper",
        global_view: GlobalView = "all",
    ) -> None:
        if render_mode is not None:
            one_of("render_mode", render_mode, self.metadata["render_modes"])
        self.game = game
        self.n_agents = integer("n_agents", n_agents, 1)
        self.max_cycles = integer("max_cycles", max_cycles, 1)
        self.render_mode = render_mode
        self.obs_mode: ObsMode = obs_mode
        self.global_view = one_of("global_view", global_view, ("all", "none"))
        self._population = make_population(game, self.n_agents, obs_mode, local_timing)
        self.simulator: Simulator = self._population.simulator
        self.local_encoding: LocalObserver = self._population.local_observer
        sight: tuple[int, Summary] = (self.n_agents, "histogram") if self.global_view == "all" else (0, "states")
        self.global_encoding = self.global_observer(*sight)
        title, structured = self._population.title, self._population.structured
        self.metadata = {**type(self).metadata, "name": title.replace(" ", "_"), "structured": structured}
        self._spaces: dict[str, tuple[Space, Space]] = {}
        self._local_names = [f"local_{i}" for i in range(self.n_agents)]
        self.possible_agents = [GLOBAL_AGENT, *self._local_names]
        # Copies of these are filled in at every step, which is much faster than building dicts from nothing.
        self._nothing = dict.fromkeys(self.possible_agents, False)
        self._in_order = itemgetter(*self.possible_agents)
        self.agents: list[str] = []
        self._seeded = False
        self._timestep = 0
        self._renderer = self._population.renderer(self.metadata["render_fps"])

    def global_observer(self, size: int, summary: Summary) -> GlobalObserver:
        """How the global agent observes `size` local agents."""
        return self._population.global_observer(size, summary)

    @property
    def discount(self) -> float:
        """Gamma of the game, to be passed on to learners."""
        return self.game.discount

    @property
    def streams(self) -> Streams:
        """The random streams since the last reset with a seed, or the first one."""
        self._check_started("streams")
        return self._streams

    @property
    def timestep(self) -> int:
        """Steps taken in this episode."""
        return self._timestep

    def observation_space(self, agent: str) -> Space:
        """The agent's own space object (always the same one)."""
        return self._agent_spaces(agent)[0]

    def action_space(self, agent: str) -> Space:
        """The agent's own space object (always the same one)."""
        return self._agent_spaces(agent)[1]

    def _agent_spaces(self, agent: str) -> tuple[Space, Space]:
        if agent not in self._spaces:
            if agent == GLOBAL_AGENT:
                spaces: tuple[Space, Space] = self.global_encoding.space(), Discrete(self.game.n_global_actions)
            else:
                self._local_index(agent)
                spaces = self.local_encoding.space(), Discrete(self.game.n_local_actions)
            self._spaces[agent] = spaces
        return self._spaces[agent]

    def _local_index(self, agent: str) -> int:
        prefix, _, number = str(agent).partition("_")
        if prefix == "local" and number.isdecimal() and int(number) < self.n_agents and str(int(number)) == number:
            return int(number)
        raise KeyError(f"agent must be 'global_0' or 'local_0' .. 'local_{self.n_agents - 1}'; got {agent!r}")

    @cached_property
    def state_space(self) -> Space:
        """Space of `state()`: the global state and every individual's state."""
        return self._population.state_space()

    def state(self) -> Observation:
        """[s_g, s_1 .. s_n]; finite states are one-hot float32 when `obs_mode="box"`, int64 otherwise."""
        self._check_started("state")
        return self._population.state()

    def reset(
        self,
        seed: Seed = None,
        options: Mapping[str, Any] | None = None,  # noqa: ARG002  # part of the API
    ) -> tuple[dict[str, Observation], dict[str, Info]]:
        """Start an episode. A seed restarts the random streams; without one they go on. `options` are ignored."""
        if seed is not None or not self._seeded:
            self._streams = Streams.from_seed(seed)
            self._seeded = True
        self.simulator.reset(self._streams)
        self._timestep = 0
        self._team_return = 0.0
        self._team_discounted_return = 0.0
        self.agents = list(self.possible_agents)
        return self._observations(), self._infos(self.simulator.info())

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Pay r(s_t, a_t) to every agent and move once.

        Args:
            actions: one integer per agent, keyed by agent name.

        Raises:
            RuntimeError: called before `reset` or after the end of the episode.
            KeyError: an agent's action is missing.
            TypeError, ValueError: no dict, unknown agents, an action that is no integer or out of range.
        """
        self._check_started("step")
        if not self.agents:
            raise RuntimeError("the episode is over: call reset() before the next step()")
        payment = self.simulator.step(*self._parse(actions))
        reward = self._account(payment)
        truncated = self._timestep >= self.max_cycles
        infos = self._infos(self._global_info(payment, truncated))
        observations = self._observations()
        rewards = dict.fromkeys(self._nothing, reward)
        terminations = self._nothing.copy()
        truncations = self._nothing.copy()
        if truncated:
            truncations = dict.fromkeys(self._nothing, truncated)
            self.agents = []
        return observations, rewards, terminations, truncations, infos

    def _parse(self, actions: Mapping[str, int]) -> tuple[IntArray, IntArray]:
        """Validated action arrays ([1], [1, n]) of an action dict."""
        values = self._values(actions)
        limits, array = self._limits, _integers(values)
        if ((array < 0) | (array >= limits)).any():
            # Slow: names the first offending action, or converts integers of other types (arrays without axes).
            named = zip(self.possible_agents, values, limits.tolist(), strict=True)
            array = np.array([integer(f"the action of {agent!r}", value, 0, n - 1) for agent, value, n in named])
        array = array.astype(np.int64)
        return array[:1], array[None, 1:]

    @cached_property
    def _limits(self) -> IntArray:
        """Numbers of actions, in the order of `possible_agents`."""
        return np.array([self.game.n_global_actions, *[self.game.n_local_actions] * self.n_agents])

    def _values(self, actions: Mapping[str, int]) -> tuple[int, ...]:
        """The actions in the order of `possible_agents`, after checking the keys."""
        if not isinstance(actions, Mapping):
            raise TypeError(f"actions must be a dict from agents to actions; got {type(actions).__name__}")
        try:
            values: tuple[int, ...] = self._in_order(actions)
        except KeyError as error:
            raise KeyError(f"actions must hold one action per agent; {error.args[0]!r} is missing") from None
        if len(actions) != len(values):
            unknown = next(agent for agent in actions if agent not in set(self.possible_agents))
            raise ValueError(f"actions must hold the environment's agents only; {unknown!r} is not one of them")
        return values

    def _account(self, payment: Payment) -> float:
        """Add a payment to the episode's returns and count the step."""
        reward = float(payment.team_reward[0])
        self._team_return += reward
        self._team_discounted_return += self.discount**self._timestep * reward
        self._timestep += 1
        return reward

    def _global_info(self, payment: Payment, truncated: bool) -> Info:
        info: Info = {
            "reward_global": float(payment.global_reward[0]),
            "reward_local_mean": float(payment.local_reward_mean[0]),
            **self.simulator.info(),
        }
        if truncated:
            info["team_return"] = self._team_return
            info["team_discounted_return"] = self._team_discounted_return
        return info

    def _observations(self) -> dict[str, Observation]:
        """Fresh observations of all agents."""
        simulator = self.simulator
        rows = self.local_encoding.encode(simulator.local_states[0], simulator.global_states)
        seen = self.global_encoding.observe(
            simulator.global_states, simulator.local_states[:, : self.global_encoding.size]
        )
        observations: dict[str, Any] = self._nothing.copy()
        observations[GLOBAL_AGENT] = seen[0]
        observations.update(zip(self._local_names, rows, strict=True))
        return observations

    def _infos(self, global_info: Info) -> dict[str, Info]:
        """A fresh info per agent."""
        infos: dict[str, Any] = self._nothing.copy()
        infos[GLOBAL_AGENT] = global_info
        infos.update(zip(self._local_names, [{} for _ in self._local_names], strict=True))
        return infos

    def render(self) -> Any:
        """A frame in the current `render_mode`: image array, text, or None ("human")."""
        return self.render_scene(self.scene())

    def scene(self, sampled: IntArray | None = None) -> Any:
        """What is to be drawn now; `sampled` [k] numbers the agents that the global agent sees, None: all."""
        self._check_started("render")
        return self._population.scene(sampled, self._timestep)

    def render_scene(self, scene: Any) -> Any:
        """Draw a scene in the current `render_mode`."""
        return self._renderer.render(scene, self.render_mode)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._renderer.close()

    def _check_started(self, method: str) -> None:
        if not self._seeded:
            raise RuntimeError(f"call reset() before {method}()")


def _integers(values: tuple[int, ...]) -> IntArray:
    """Actions as an array; of one element -1 if one of them is no integer, or too large."""
    kinds = set(map(type, values))
    if kinds == {int}:
        try:
            return np.frombuffer(bytes(values), dtype=np.uint8).astype(np.int64)
        except ValueError:  # beyond a byte
            pass
    plain = all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds)
    return np.asarray(values if plain else -1)
