r"""Single-agent views of games with continuous states: one population of `kofn.wrappers.continuous_vector`.

Gymnasium's ids make them where the game is continuous, and `kofn.wrappers.best_response` those of finite games. The
fixed side takes its most likely actions, as UPDATE judges; uniform actions are drawn. Three deviations of the local
side:

| `deviation`, `reward` | who learns | paid | observation | action |
|---|---|---|---|---|
| "tagged", "own" | one agent, the others keep `local_policy` (the authors') | r_l(s_i, s_g, a_i) | [s_i, s_g] | a_i |
| "tagged", "team" | the same | r(s, a) | [s_i, s_g] | a_i |
| "shared", "team" | the whole fleet (the paper's Definition 2.4) | r(s, a) | [s_g] | one a_l per cell of places |

Local states being numbers, the fleet's action is one per cell, `N_CELLS` equal ones between the bounds, which every
agent in the cell takes: a memoryless deterministic policy of the learner IS a local policy, constant on cells.

>>> import gymnasium
>>> beacon = gymnasium.make("kofn.envs:kofn/GlobalBestResponse-v0", game="cluster_line", k=10)
>>> beacon.reset(seed=0)[0].shape, beacon.unwrapped.discount
((6,), 0.95)
>>> robot = ContinuousLocalBestResponse("cluster_line", n_agents=20, deviation="tagged", reward="own")
>>> robot.reset(seed=0)[1]
{'others': 'keep local_policy', 'reward': 'own'}
"""

from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import MultiDiscrete

from kofn.envs.arrays import IntArray, integer, one_of
from kofn.envs.continuous import ContinuousGame, ContinuousPopulation
from kofn.envs.continuous_observations import box
from kofn.envs.limit import Limit
from kofn.envs.line_policies import LineGlobalPolicy, LineLocalPolicy, UniformLineGlobalPolicy
from kofn.envs.normals import Float32Array
from kofn.envs.observations import Observation, ObsMode, Space
from kofn.envs.registration import registered_game
from kofn.envs.render import RenderMode
from kofn.envs.render_line import LineRenderer
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse, Result
from kofn.wrappers.continuous_vector import (
    ContinuousGlobalVector,
    ContinuousLocalVector,
    Deviation,
    RewardNotion,
    continuous_game,
)
from kofn.wrappers.deviations import check_notions
from kofn.wrappers.view import METADATA, OVER, reward_parts

N_CELLS = 40
"""Cells of places among which the fleet's action distinguishes."""


class _ContinuousView(gymnasium.Env[Observation, Any]):
    """One population of a vector view; which agents do what is the subclasses'."""

    metadata = METADATA
    k = Limit()

    def __init__(self, vector: ContinuousGlobalVector | ContinuousLocalVector, render_mode: RenderMode | None) -> None:
        if render_mode is not None:
            one_of("render_mode", render_mode, METADATA["render_modes"])
        self.render_mode = render_mode
        self.game = vector.game
        self.k = vector.k
        self.observation_space: Space = vector.single_observation_space
        self.action_space: Space = vector.single_action_space
        self._vector = vector
        self._renderer = LineRenderer(METADATA["render_fps"])

    @property
    def discount(self) -> float:
        """Gamma."""
        return self.game.discount

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; a seed restarts the random streams. `options` are ignored."""
        super().reset(seed=seed, options=options)
        observations, _ = self._vector.reset(seed=seed)
        return self._seen(observations), self._infos()

    def step(self, action: Any) -> Result:
        """Play the learner's action once.

        Raises:
            RuntimeError: before the first reset, or after the end of the episode.
            TypeError, ValueError: the action is not in the action space.
        """
        vector = self._vector
        streams = vector.streams
        if vector.timestep >= vector.max_cycles:
            raise RuntimeError(OVER)
        rewards = vector.play(self._checked(action), streams)
        vector.timestep += 1
        infos = {**self._infos(), **reward_parts(vector.payment)}
        observation = self._seen(vector.observe())
        return observation, float(rewards[0]), False, vector.timestep >= vector.max_cycles, infos

    def _seen(self, observations: Float32Array) -> Observation:
        """What the learner sees, of what the vector view's environments see."""
        return np.asarray(observations[0])

    def _infos(self) -> dict[str, Any]:
        return {}

    def _checked(self, action: Any) -> IntArray:
        """The actions of the vector view's environments."""
        n_actions = self.action_space.n  # type: ignore[attr-defined]  # a Discrete space
        return np.array([integer("action", action, 0, n_actions - 1)])

    def render(self) -> Any:
        """A frame in the current `render_mode`, k agents of the bins sampled last marked."""
        vector = self._vector
        _ = vector.streams  # RuntimeError before the first reset
        sampled = agents_in_bins(self.game, vector.simulator.local_states[0], vector.look()[0])
        scene = ContinuousPopulation(vector.simulator).scene(sampled, vector.timestep)
        return self._renderer.render(scene, cast("RenderMode | None", self.render_mode))

    def close(self) -> None:
        """Close the window, if there is one."""
        self._renderer.close()


class ContinuousGlobalBestResponse(_ContinuousView):
    """The global agent's problem in a continuous game while all local agents follow one policy.

    Observation: [s_g, shares of k agents drawn afresh per bin], s_g left out where the game leaves it out; action: a_g;
    reward: r(s_t, a_t).

    Args:
        game: a ContinuousGame or the name of a registered one.
        n_agents: n; omitted: the registered game's default.
        k: agents seen each step; omitted: all n.
        local_policy: what the local agents follow, an object as `LineLocalPolicy`, or "uniform".
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.
        obs_mode: "box", the only one of these games.
        render_mode: None, "human", "rgb_array" or "ansi".

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    def __init__(
        self,
        game: ContinuousGame | str,
        *,
        n_agents: int | None = None,
        k: int | None = None,
        local_policy: LineLocalPolicy | str = "uniform",
        max_cycles: int | None = None,
        obs_mode: ObsMode = "box",
        render_mode: RenderMode | None = None,
    ) -> None:
        one_of("obs_mode", obs_mode, ("box",))
        others: LineLocalPolicy | None = acting("local_policy", local_policy)
        sizes: dict[str, Any] = {"n_agents": n_agents, "max_cycles": max_cycles}
        vector = ContinuousGlobalVector(game, 1, k=k, local_policy=others, **sizes)
        super().__init__(vector, render_mode)
        self.local_policy = vector.local_policy


class ContinuousLocalBestResponse(_ContinuousView):
    """The local side's problem in a continuous game while the global agent follows one policy (see the module).

    `info` says what the other agents do and what is paid.

    Args:
        game: a ContinuousGame or the name of a registered one.
        n_agents: n; omitted: the registered game's default.
        k: agents the global policy sees; omitted: the policy's own k, 1 for uniform actions.
        global_policy: what the global agent follows, an object as `LineGlobalPolicy`, or "uniform".
        local_policy: what the others do when one agent deviates, an object as `LineLocalPolicy`, or "uniform".
        deviation: "tagged" or "shared".
        reward: "team" or, of a tagged agent, "own".
        max_cycles: horizon; omitted: the registered game's default, otherwise 100.
        obs_mode: "box", the only one of these games.
        render_mode: None, "human", "rgb_array" or "ansi".

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or "own" of the whole fleet.
    """

    def __init__(  # noqa: PLR0913  # a view names everything it holds fixed
        self,
        game: ContinuousGame | str,
        *,
        n_agents: int | None = None,
        k: int | None = None,
        global_policy: LineGlobalPolicy | str = "uniform",
        local_policy: LineLocalPolicy | str = "uniform",
        deviation: Deviation = "tagged",
        reward: RewardNotion = "team",
        max_cycles: int | None = None,
        obs_mode: ObsMode = "box",
        render_mode: RenderMode | None = None,
    ) -> None:
        one_of("obs_mode", obs_mode, ("box",))
        check_notions(deviation, reward)
        dispatcher: LineGlobalPolicy | None = acting("global_policy", global_policy)
        if dispatcher is None:
            dispatcher = UniformLineGlobalPolicy(continuous_game(game).n_global_actions, k if k is not None else 1)
        if k is not None and dispatcher.k != k:
            raise ValueError(f"k must be that of global_policy, {dispatcher.k}; got {k}")
        others: LineLocalPolicy | None = acting("local_policy", local_policy)
        fixed: dict[str, Any] = {"global_policy": dispatcher, "local_policy": others, "deviation": deviation}
        sizes: dict[str, Any] = {"n_agents": n_agents, "max_cycles": max_cycles}
        vector = ContinuousLocalVector(game, 1, reward=reward, **fixed, **sizes)
        super().__init__(vector, render_mode)
        self.global_policy, self.deviation, self.reward = dispatcher, vector.deviation, vector.reward
        if deviation == "shared":
            self.observation_space = box([self.game.global_bounds])
            self.action_space = MultiDiscrete(np.full(N_CELLS, self.game.n_local_actions))

    def _seen(self, observations: Float32Array) -> Observation:
        return observations[0, 1:] if self.deviation == "shared" else observations[0]

    def _infos(self) -> dict[str, Any]:
        others = "keep local_policy" if self.deviation == "tagged" else "follow the learner"
        return {"others": others, "reward": self.reward}

    def _checked(self, action: Any) -> IntArray:
        if self.deviation == "tagged":
            return super()._checked(action)
        chosen = np.asarray(action)
        if not (np.issubdtype(chosen.dtype, np.integer) and self.action_space.contains(chosen)):
            raise ValueError(
                f"action must hold one of {self.game.n_local_actions} actions for each of {N_CELLS} cells; "
                f"got {action!r}"
            )
        return np.asarray(chosen[cell_of(self.game, self._vector.simulator.local_states[0])], dtype=np.int64)


def cell_of(game: ContinuousGame, local_states: Float32Array) -> IntArray:
    """Cells of local states, int64 of the same shape."""
    low, high = game.local_bounds
    return np.asarray(((local_states - low) * (N_CELLS / (high - low))).astype(np.int64).clip(0, N_CELLS - 1))


def agents_in_bins(game: ContinuousGame, local_states: Float32Array, counts: IntArray) -> IntArray:
    """The first agents of every bin, so many as `counts` [bin] says, int64 [k]."""
    bins = (local_states[:, None] >= np.array(game.bin_edges[1:-1], dtype=np.float32)).sum(axis=1)
    return np.concatenate([np.flatnonzero(bins == number)[:count] for number, count in enumerate(counts.tolist())])


def acting(name: str, policy: Any) -> Any:
    """A policy that acts, None for "uniform"; TypeError or ValueError name what else was given."""
    if isinstance(policy, str):
        one_of(name, policy, ("uniform",))
        return None
    if not hasattr(policy, "act"):
        raise TypeError(
            f"{name} must be 'uniform' or have act(...), as the policies of continuous games; got {policy!r}"
        )
    return policy


def global_best_response(game: Any, **options: Any) -> GlobalBestResponse | ContinuousGlobalBestResponse:
    """The global agent's view of any game; options as of the class that fits it."""
    return ContinuousGlobalBestResponse(game, **options) if is_continuous(game) else GlobalBestResponse(game, **options)


def local_best_response(game: Any, **options: Any) -> LocalBestResponse | ContinuousLocalBestResponse:
    """The local side's view of any game; options as of the class that fits it."""
    return ContinuousLocalBestResponse(game, **options) if is_continuous(game) else LocalBestResponse(game, **options)


def is_continuous(game: Any) -> bool:
    """Whether a game, or a registered game's name, has continuous states."""
    return isinstance(registered_game(game) if isinstance(game, str) else game, ContinuousGame)
