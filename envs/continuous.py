r"""A k-of-n game with continuous states as four functions, bounds, and start functions.

States are numbers: s_g in `global_bounds`, s_1..s_n between the first and the last of `bin_edges`. Actions are finite.
As in every game of the suite all n+1 transitions are independent, local agents share one law and move with the OLD
global state (paper, Section 2):

    s_g' ~ sample_global(rng, s_g, a_g)        s_i' ~ sample_local(rng, s_i, s_g, a_i)
    r = pay_global(rng, s_g, a_g) + (1/n) sum_i pay_local(rng, s_i, s_g, a_i)

The bins summarise agents: the global agent sees a histogram over them, and an episode's true mode is the bin in which
most agents start. Environments play such a game (`PopulationEnv`, `SubsampleObservation`), and `ContinuousSimulator`
steps many populations at once. It has no arrays, so that learners of tables refuse it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from kofn.envs.arguments import check_fields, text
from kofn.envs.arrays import IntArray, first_index, float_array, integer
from kofn.envs.continuous_observations import (
    Bounds,
    ContinuousGlobalEncoding,
    ContinuousLocalEncoding,
    box,
    count_bins,
)
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.model import checked_discount, shifted_bound, size_bound
from kofn.envs.normals import Float32Array
from kofn.envs.observations import Observation, ObsMode, Space, Summary
from kofn.envs.render_line import LineRenderer, LineScene

REWARD_TOLERANCE = 1e-4
"""How far a reward may be outside its bounds, for rounding in single precision."""

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class ContinuousGame:
    """A game whose states are numbers in intervals; what its functions return is checked at every call.

    The functions take a generator and read-only arrays: s_g float32 [population] and a_g int64 [population]; or s_l
    float32 [population, agent], s_g float32 [population, 1] and a_l int64 [population, agent]. They return one
    independent draw per action, of the actions' shape; single precision is what simulators keep. All randomness comes
    from the generator. Environments are copied and pickled with their game, which functions of a module allow.

    Args:
        n_global_actions: |A_g|.
        n_local_actions: |A_l|.
        discount: gamma in (0, 1).
        global_bounds: (least, largest) s_g.
        bin_edges: of the bins over local states, ascending, float [bin + 1]; the outer ones bound s_l.
        sample_global: (rng, s_g, a_g) -> s_g'.
        sample_local: (rng, s_l, s_g, a_l) -> s_l'; s_g is the OLD global state.
        pay_global: (rng, s_g, a_g) -> r_g, within `global_reward_bounds`.
        pay_local: (rng, s_l, s_g, a_l) -> r_l, within `local_reward_bounds`.
        global_reward_bounds: (lowest, highest) r_g.
        local_reward_bounds: (lowest, highest) r_l.
        start_global: (rng, n_populations) -> s_g at time 0, [population].
        start_local: (rng, n_populations, n_agents) -> s_1..s_n at time 0, [population, agent].
        observe_global_state: whether the global agent sees s_g besides the agents.
        title: name of the game.
        landmarks: places on the line that pictures mark.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: a size below 1, bounds that are no interval, or edges that do not ascend. Calling one of the
            functions raises them for output of the wrong shape, type or range, naming function, index and input.
    """

    n_global_actions: int
    n_local_actions: int
    discount: float
    global_bounds: Bounds
    bin_edges: tuple[float, ...]
    sample_global: Callable[[np.random.Generator, Float32Array, IntArray], Numbers]
    sample_local: Callable[[np.random.Generator, Float32Array, Float32Array, IntArray], Numbers]
    pay_global: Callable[[np.random.Generator, Float32Array, IntArray], Numbers]
    pay_local: Callable[[np.random.Generator, Float32Array, Float32Array, IntArray], Numbers]
    global_reward_bounds: Bounds
    local_reward_bounds: Bounds
    start_global: Callable[[np.random.Generator, int], Numbers]
    start_local: Callable[[np.random.Generator, int, int], Numbers]
    observe_global_state: bool = True
    title: str = "continuous game"
    landmarks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Validate everything and put a check around each function."""
        for name in ("n_global_actions", "n_local_actions"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        check_fields(self, "observe_global_state")
        text("title", self.title)
        object.__setattr__(self, "discount", checked_discount(self.discount))
        if not isinstance(self.landmarks, tuple):
            raise TypeError(f"landmarks must be a tuple of numbers; got {self.landmarks!r}")
        if self.landmarks:
            float_array("landmarks", self.landmarks, (None,))
        for name in ("global_bounds", "global_reward_bounds", "local_reward_bounds"):
            low, high = _ascending(name, getattr(self, name), 2, strictly=name == "global_bounds")
            object.__setattr__(self, name, (low, high))
        object.__setattr__(self, "bin_edges", _ascending("bin_edges", self.bin_edges, None, strictly=True))
        slack = REWARD_TOLERANCE
        self._check_function("sample_global", self.global_bounds)
        self._check_function("sample_local", self.local_bounds)
        self._check_function("pay_global", self.global_reward_bounds, slack)
        self._check_function("pay_local", self.local_reward_bounds, slack)
        self._check_function("start_global", self.global_bounds)
        self._check_function("start_local", self.local_bounds)

    def _check_function(self, name: str, bounds: Bounds, slack: float = 0.0) -> None:
        function = getattr(self, name)
        if isinstance(function, _Checked):  # of a game that this one is a copy of
            function = function.function
        if not callable(function):
            raise TypeError(f"{name} must be a function of (rng, {', '.join(_INPUTS[name])}); got {function!r}")
        object.__setattr__(self, name, _Checked(name, function, *bounds, slack))

    @property
    def local_bounds(self) -> Bounds:
        """(least, largest) s_l."""
        return self.bin_edges[0], self.bin_edges[-1]

    @property
    def reward_bound(self) -> float:
        """r~ = r~_g + r~_l: the largest reward of one step, after shifting negative rewards up to zero."""
        return shifted_bound(*self.global_reward_bounds) + shifted_bound(*self.local_reward_bounds)

    @property
    def value_bound(self) -> float:
        """r~ / (1 - gamma): the range in which every discounted return of the shifted game lies."""
        return self.reward_bound / (1 - self.discount)

    @property
    def return_bound(self) -> float:
        """The largest size of a discounted return, and of a difference of two."""
        return (size_bound(*self.global_reward_bounds) + size_bound(*self.local_reward_bounds)) / (1 - self.discount)

    def count_bins(self, states: Float32Array) -> IntArray:
        """Numbers of local states [..., agent] per bin, int64 [..., bin]."""
        return count_bins(states, np.array(self.bin_edges))

    @property
    def obs_modes(self) -> tuple[ObsMode, ...]:
        """Only "box"."""
        return ("box",)

    def population(self, n_agents: int, obs_mode: ObsMode = "box") -> "ContinuousPopulation":  # noqa: ARG002  # the interface's
        """One population of n agents."""
        return ContinuousPopulation(ContinuousSimulator(self, n_agents))


@dataclass(frozen=True, eq=False)
class ContinuousPopulation:
    """One population whose states are numbers.

    Args:
        simulator: keeps, pays and moves the agents.
    """

    simulator: ContinuousSimulator
    structured = True

    @property
    def _game(self) -> ContinuousGame:
        return self.simulator.game

    @property
    def title(self) -> str:
        """Name of the game."""
        return self._game.title

    @property
    def local_observer(self) -> ContinuousLocalEncoding:
        """How a local agent observes."""
        return ContinuousLocalEncoding(self._game.global_bounds, self._game.local_bounds)

    def global_observer(self, size: int, summary: Summary) -> ContinuousGlobalEncoding:
        """How the global agent observes `size` agents."""
        game = self._game
        return ContinuousGlobalEncoding(game.global_bounds, game.bin_edges, size, summary, game.observe_global_state)

    def state_space(self) -> Space:
        """The global state and every individual's state."""
        return box([self._game.global_bounds] + [self._game.local_bounds] * self.simulator.n_agents)

    def state(self) -> Observation:
        """[s_g, s_1 .. s_n], float32."""
        return np.concatenate([self.simulator.global_states, self.simulator.local_states[0]])

    def scene(self, sampled: IntArray | None, timestep: int) -> LineScene:
        """Every agent's place on the line."""
        game, local_states = self._game, self.simulator.local_states[0]
        return LineScene(
            title=game.title,
            bin_edges=game.bin_edges,
            landmarks=game.landmarks,
            global_bounds=game.global_bounds,
            global_state=float(self.simulator.global_states[0]),
            local_states=local_states,
            sampled=None if sampled is None else local_states[sampled],
            timestep=timestep,
        )

    def renderer(self, fps: int) -> LineRenderer:
        """Draws a line."""
        return LineRenderer(fps)


@dataclass(frozen=True)
class _Checked:
    """One of a game's functions; its output is checked, copied and read-only.

    Args:
        name: the function's name.
        function: the user's function.
        low: least value allowed.
        high: largest value allowed.
        slack: how far outside a value may be.
    """

    name: str
    function: Callable[..., Any]
    low: float
    high: float
    slack: float

    def __call__(self, rng: np.random.Generator, *inputs: Any) -> Float32Array:
        """One draw per action, or per population and agent of a start."""
        starts = self.name.startswith("start")
        shape = inputs if starts else inputs[-1].shape
        found = np.asarray(self.function(rng, *(inputs if starts else map(_read_only, inputs))))
        if found.dtype.kind not in "biuf":
            raise TypeError(f"{self.name} must return numbers; got dtype {found.dtype}")
        if found.shape != shape:
            raise ValueError(f"{self.name} must return shape {list(shape)}; got {list(found.shape)}")
        # A copy: the function may keep and overwrite the array it returned.
        values = np.array(found, dtype=np.float32)
        low, high = np.float32(self.low - self.slack), np.float32(self.high + self.slack)
        if not (values.min() >= low and values.max() <= high):  # nan is neither
            self._refuse(found, first_index(~((values >= low) & (values <= high))), () if starts else inputs)
        return values

    def _refuse(self, found: Numbers, index: tuple[int, ...], inputs: tuple[Numbers, ...]) -> NoReturn:
        named = zip(_INPUTS[self.name], inputs, strict=False)
        at = ", ".join(f"{name}={np.broadcast_to(entry, found.shape)[index]}" for name, entry in named)
        raise ValueError(
            f"{self.name} must return values from {self.low} to {self.high}; entry {list(index)} is {found[index]}"
            + (f", for {at}" if at else "")
        )


_INPUTS = {
    "sample_global": ("s_g", "a_g"),
    "sample_local": ("s_l", "s_g", "a_l"),
    "pay_global": ("s_g", "a_g"),
    "pay_local": ("s_l", "s_g", "a_l"),
    "start_global": ("n_populations",),
    "start_local": ("n_populations", "n_agents"),
}
"""Names of the functions and of their arguments after the generator."""


def _read_only(array: Numbers) -> Numbers:
    view = array.view()
    view.setflags(write=False)
    return view


def _ascending(name: str, values: Any, size: int | None, *, strictly: bool) -> tuple[float, ...]:
    """The values as a tuple, after checking that they are `size` (None: at least two) ascending float32 numbers."""
    array = float_array(name, values, (size,))
    if len(array) < 2:
        raise ValueError(f"{name} must hold at least two numbers; got {array.tolist()}")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)  # what states and rewards are kept in
    if not np.isfinite(single).all():
        index = first_index(~np.isfinite(single))
        raise ValueError(f"{name} must be finite in single precision; entry {list(index)} is {array[index]}")
    down = (single[1:] <= single[:-1]) if strictly else (array[1:] < array[:-1])
    if down.any():
        rule = "ascend in single precision" if strictly else "ascend"
        raise ValueError(f"{name} must {rule}; entry {first_index(down)[0] + 1} of {array.tolist()} does not")
    return tuple(array.tolist())
