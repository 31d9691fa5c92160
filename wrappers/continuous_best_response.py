r"""Single-agent views of games with continuous states: the vector views with one population.

Gymnasium's ids make them where the game is continuous, and `kofn.wrappers.best_response` those of finite games. The
fixed side takes its most likely actions, as UPDATE judges; uniform actions are drawn. Three deviations of the local
side:

| `deviation`, `reward` | who learns | paid | observation | action |
|---|---|---|---|---|
| "tagged", "own" | one agent, the others keep `local_policy` (the authors') | r_l(s_i, s_g, a_i) | [s_i, s_g] | a_i |
| "tagged", "team" | the same | r(s, a) | [s_i, s_g] | a_i |
| "shared", "team" | the whole fleet (the paper's Definition 2.4) | r(s, a) | [s_g] | one a_l per cell of places |

Local states being numbers, the fleet's action is one per cell, `N_CELLS` equal ones between the bounds
(`kofn.wrappers.continuous_vector`). `gymnasium.make_vec`: `kofn.wrappers.continuous_vector_views`.

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
from kofn.envs.limit import Limit
from kofn.envs.line_policies import LineGlobalPolicy, LineLocalPolicy
from kofn.envs.normals import Float32Array
from kofn.envs.observations import Observation, ObsMode, Space
from kofn.envs.render import RenderMode
from kofn.envs.render_line import LineRenderer
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse, Result
from kofn.wrappers.continuous_episodes import is_continuous
from kofn.wrappers.continuous_vector import (
    ContinuousFleetVector,
    ContinuousGlobalVector,
    ContinuousLocalVector,
    Deviation,
    RewardNotion,
)
from kofn.wrappers.continuous_vector_views import continuous_global_vec, continuous_local_vec
from kofn.wrappers.deviations import checked_choices
from kofn.wrappers.view import METADATA, OVER, reward_parts

Vector = ContinuousGlobalVector | ContinuousLocalVector | ContinuousFleetVector


class _ContinuousView(gymnasium.Env[Observation, Any]):
    """One population of a vector view; which agents do what is the subclasses'."""

    metadata = METADATA
    k = Limit()

    def __init__(self, vector: Vector, render_mode: RenderMode | None) -> None:
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
        return np.asarray(observations[0]), self._infos()

    def step(self, action: Any) -> Result:
        """Play the learner's action once.

        Raises:
            RuntimeError: before the first reset, or after the end of the episode.
            TypeError, ValueError: the action is not in the action space.
        """
        vector = self._vector
        streams = vector.streams
        if vector.is_over:
            raise RuntimeError(OVER)
        rewards = vector.play(self._checked(action), streams)
        vector.timestep += 1
        infos = {**self._infos(), **reward_parts(vector.payment)}
        return np.asarray(vector.observe()[0]), float(rewards[0]), False, vector.is_over, infos

    def _infos(self) -> dict[str, Any]:
        return {}

    def _checked(self, action: Any) -> IntArray:
        """The actions of the vector view's environment."""
        if isinstance(self.action_space, MultiDiscrete):
            return checked_choices(self.action_space, action, "cells")[None]
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
        sizes: dict[str, Any] = {"n_agents": n_agents, "max_cycles": max_cycles}
        vector = continuous_global_vec(1, game, k=k, local_policy=local_policy, obs_mode=obs_mode, **sizes)
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
        fixed: dict[str, Any] = {"global_policy": global_policy, "local_policy": local_policy, "k": k}
        notion: dict[str, Any] = {"deviation": deviation, "reward": reward}
        sizes: dict[str, Any] = {"n_agents": n_agents, "max_cycles": max_cycles}
        vector = continuous_local_vec(1, game, obs_mode=obs_mode, **notion, **fixed, **sizes)
        super().__init__(vector, render_mode)
        self.global_policy, self.deviation, self.reward = vector.global_policy, vector.deviation, vector.reward

    def _infos(self) -> dict[str, Any]:
        others = "keep local_policy" if self.deviation == "tagged" else "follow the learner"
        return {"others": others, "reward": self.reward}


def agents_in_bins(game: ContinuousGame, local_states: Float32Array, counts: IntArray) -> IntArray:
    """The first agents of every bin, so many as `counts` [bin] says, int64 [k]."""
    bins = (local_states[:, None] >= np.array(game.bin_edges[1:-1], dtype=np.float32)).sum(axis=1)
    return np.concatenate([np.flatnonzero(bins == number)[:count] for number, count in enumerate(counts.tolist())])


def global_best_response(game: Any, **options: Any) -> GlobalBestResponse | ContinuousGlobalBestResponse:
    """The global agent's view of any game; options as of the class that fits it."""
    return ContinuousGlobalBestResponse(game, **options) if is_continuous(game) else GlobalBestResponse(game, **options)


def local_best_response(game: Any, **options: Any) -> LocalBestResponse | ContinuousLocalBestResponse:
    """The local side's view of any game; options as of the class that fits it."""
    return ContinuousLocalBestResponse(game, **options) if is_continuous(game) else LocalBestResponse(game, **options)
