"""What the single-agent views share: sizes, random streams, the clock, and drawing."""

from typing import Any, cast

import numpy.typing as npt

from kofn.envs.arrays import IntArray, as_array, integer, one_of
from kofn.envs.histograms import n_histograms
from kofn.envs.limit import Limit
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy
from kofn.envs.registration import as_game, default_sizes
from kofn.envs.render import Renderer, RenderMode, Scene
from kofn.envs.simulator import Payment
from kofn.envs.streams import Streams
from kofn.wrappers.sampled_population import check_sampler, draw_histograms
from kofn.wrappers.samplers import Sampler, as_sampler

METADATA: dict[str, Any] = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 4}
DEFAULT_MAX_CYCLES = 100
OVER = "the episode is over: call reset() before the next step()"


class View:
    """One episode after another of a game with n agents, seen by one side.

    Args:
        game: a TabularGame, a GenerativeGame or the name of a registered game.
        n_agents: n; None: the registered game's default.
        k: agents the global agent sees; None: all.
        max_cycles: horizon; None: the registered game's default, otherwise 100.
        render_mode: None, "human", "rgb_array" or "ansi".
        sampler: who is seen.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    k = Limit()

    def __init__(
        self,
        game: Game | str,
        n_agents: int | None,
        k: int | None,
        max_cycles: int | None,
        render_mode: RenderMode | None,
        sampler: Sampler | str = "uniform",
    ) -> None:
        self.game: Game = game if isinstance(game, Game) else as_game(game)
        self.sampler = as_sampler(sampler)
        check_sampler(self.sampler, self.game)
        defaults = default_sizes(game) if isinstance(game, str) else None
        if n_agents is None and defaults is None:
            raise TypeError("n_agents must be given for a game that is not registered by name; got None")
        if n_agents is None and defaults is not None:
            n_agents = defaults.n_agents
        self.n_agents = integer("n_agents", n_agents, 1)
        self.k = integer("k", k, 1, self.n_agents) if k is not None else self.n_agents
        if max_cycles is None:
            max_cycles = defaults.max_cycles if defaults is not None else DEFAULT_MAX_CYCLES
        self.max_cycles = integer("max_cycles", max_cycles, 1)
        if render_mode is not None:
            one_of("render_mode", render_mode, METADATA["render_modes"])
        self.timestep = 0
        self._renderer = Renderer(METADATA["render_fps"])
        self._streams: Streams | None = None

    def restart(self, seed: int | None) -> Streams:
        """Begin an episode; a seed restarts the random streams, without one they go on."""
        if seed is not None or self._streams is None:
            self._streams = Streams.from_seed(seed)
        self.timestep = 0
        return self._streams

    def check_started(self) -> None:
        """Raise RuntimeError before the first reset."""
        if self._streams is None:
            raise RuntimeError("call reset() before step() or render()")

    def check_going_on(self) -> None:
        """Raise RuntimeError before the first reset and after the end of an episode."""
        self.check_started()
        if self.timestep >= self.max_cycles:
            raise RuntimeError(OVER)

    @property
    def streams(self) -> Streams:
        """The random streams; RuntimeError before the first reset."""
        self.check_started()
        assert self._streams is not None
        return self._streams

    def sample(self, counts: IntArray, individuals: IntArray | None, global_states: IntArray) -> IntArray:
        """Histogram of k agents drawn afresh, [1, s_l], of a population as in `draw_histograms`."""
        return draw_histograms(self.sampler, self.streams.sampling, self.k, counts, individuals, global_states)

    def tick(self) -> bool:
        """Count a step; whether the horizon is reached."""
        self.timestep += 1
        return self.timestep >= self.max_cycles

    def render(self, mode: str | None, global_states: IntArray, counts: IntArray, sampled: IntArray) -> Any:
        """Draw the population ([1], [1, s_l], [1, s_l]) in a render mode, the environment's current one."""
        scene = Scene(
            labels=self.game.labels,
            global_state=int(global_states[0]),
            counts=counts[0],
            sampled=sampled[0],
            timestep=self.timestep,
        )
        return self._renderer.render(scene, cast("RenderMode | None", mode))

    def close(self) -> None:
        """Close the window, if there is one."""
        self._renderer.close()


def policy_k(policy: GlobalPolicy | str | npt.ArrayLike, game: Game | str) -> int:
    """Agents that a global policy sees: its own k; 1 for a named one, which heeds none; for a table, by its columns."""
    if isinstance(policy, GlobalPolicy):
        return policy.k
    if isinstance(policy, str):
        return 1
    shape = as_array("global policy table", policy).shape
    n_columns = shape[1] if len(shape) > 1 else 1
    n_states = (game if isinstance(game, Game) else as_game(game)).n_local_states
    k = 1
    while k < n_columns and n_histograms(k, n_states) < n_columns:
        k += 1
    return k


def reward_parts(payment: Payment) -> dict[str, Any]:
    """The parts of the team reward, for infos."""
    return {
        "reward_global": float(payment.global_reward[0]),
        "reward_local_mean": float(payment.local_reward_mean[0]),
    }
