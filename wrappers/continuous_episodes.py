"""Episodes of B populations of a continuous game, for the vector views: sizes, the simulator, the clock.

All episodes last `max_cycles` steps, so that all end at once. What happens then is `autoreset_mode` (Gymnasium's
`AutoresetMode`, or its value):

* "SameStep": new episodes begin in the same step; the last observations are in `infos["final_obs"]`.
* "NextStep": the last observations are returned with the truncation; the NEXT step ignores its actions, begins new
  episodes and pays nothing.
* "Disabled": the caller resets, all populations at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.limit import Limit
from kofn.envs.normals import Float32Array
from kofn.envs.observations import Space
from kofn.envs.population import sample_without_replacement
from kofn.envs.registration import default_sizes, registered_game
from kofn.envs.simulator import Payment
from kofn.envs.streams import Seed, Streams
from kofn.wrappers.vector_sides import checked_actions, checked_mask
from kofn.wrappers.view import DEFAULT_MAX_CYCLES, OVER

AUTORESET_MODES = ("NextStep", "SameStep", "Disabled")
Step = tuple[Float32Array, FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]


class ContinuousEpisodes(VectorEnv[Float32Array, IntArray, Any]):
    """What the views share; `observe` and `play` are a view's own.

    Args:
        game: a ContinuousGame or the name of a registered one.
        n_populations: B.
        k: agents the global agent sees; None: all n.
        n_agents: n; None: the registered game's default.
        max_cycles: horizon; None: the registered game's default, otherwise 100.
        autoreset_mode: "SameStep", "NextStep" or "Disabled".

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

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
        autoreset_mode: Any,
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
        mode = one_of("autoreset_mode", getattr(autoreset_mode, "value", autoreset_mode), AUTORESET_MODES)
        self._mode = AutoresetMode(mode)
        self.metadata = {"autoreset_mode": self._mode, "render_modes": []}
        self._streams: Streams | None = None
        self.timestep = 0

    def _declare(self, num_envs: int, observation_space: Space, action_space: Space) -> None:
        """The spaces of `num_envs` environments."""
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = observation_space, action_space
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
        """Start all episodes; a seed restarts the random streams.

        Raises:
            TypeError, ValueError: `options["reset_mask"]` is of another kind or shape, or leaves out a population,
                although all end at once.
        """
        mask = checked_mask(options, self.num_envs)
        if not mask.all():
            raise ValueError(f"reset_mask must choose every population, as all end at once; got {mask}")
        if seed is not None or self._streams is None:
            self._streams = Streams.from_seed(seed)
        self.begin()
        return self.observe(), {}

    @property
    def is_over(self) -> bool:
        """Whether the horizon is reached."""
        return self.timestep >= self.max_cycles

    def begin(self) -> None:
        """Draw new starts."""
        self.timestep, self._seen = 0, None
        self.simulator.reset(self.streams)

    def step(self, actions: IntArray) -> Step:
        """Play one action per environment.

        Raises:
            RuntimeError: before the first reset, or (mode "Disabled") after the end of the episodes.
            TypeError, ValueError: actions of the wrong type, shape or range.
        """
        streams = self.streams
        given = checked_actions(self.single_action_space, self.num_envs, actions)
        never = np.zeros(self.num_envs, dtype=np.bool_)
        if self.is_over:
            if self._mode is AutoresetMode.DISABLED:
                raise RuntimeError(OVER)
            self.begin()
            return self.observe(), np.zeros(self.num_envs), never, never.copy(), {}
        rewards = self.play(given, streams)
        self.timestep += 1
        last = self.timestep >= self.max_cycles
        observations, ended = self.observe(), np.full(self.num_envs, last)
        if last and self._mode is AutoresetMode.SAME_STEP:
            self.begin()
            return self.observe(), rewards, never, ended, {"final_obs": observations, "_final_obs": ended.copy()}
        return observations, rewards, never, ended, {}

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


def continuous_game(game: ContinuousGame | str) -> ContinuousGame:
    """The game itself or the registered one of that name; TypeError when it is not continuous."""
    found = registered_game(game) if isinstance(game, str) else game
    if not isinstance(found, ContinuousGame):
        raise TypeError(f"game must be a ContinuousGame or the name of one; got {game!r}")
    return found


def is_continuous(game: Any) -> bool:
    """Whether a game, or a registered game's name, has continuous states."""
    return isinstance(registered_game(game) if isinstance(game, str) else game, ContinuousGame)
