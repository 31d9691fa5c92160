r"""A k-of-n game as four functions: the paper's generative oracle.

No tables. The dynamics and rewards can only be drawn from (paper, Section 2 and Appendix F):

    sample_global(rng, s_g, a_g)      ~ P_g(. | s_g, a_g)        pay_global(rng, s_g, a_g)     ~ G_{s_g, a_g}
    sample_local(rng, s_l, s_g, a_l)  ~ P_l(. | s_l, s_g, a_l)   pay_local(rng, s_l, s_g, a_l) ~ L_{s_l, s_g, a_l}

Each takes a generator and equal-shaped read-only int arrays and returns an array of that shape, one independent draw
per entry; all randomness comes from the generator. `kofn.envs.dynamics` says how the simulators use them.

Solvers that need rows of probabilities take `sampled_game`, the empirical game with m draws per row: with probability
1 - d, all N entries of its transitions are within sqrt(ln(2N/d) / (2m)) of the true ones (Hoeffding).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray, first_index, float_array, integer, restore_frozen
from kofn.envs.game import TabularGame
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import OMITTED, Labels, check_scale, complete, shifted_bound, size_bound
from kofn.envs.reward_law import RewardLaw
from kofn.envs.sampled_dynamics import SampledDynamics
from kofn.envs.start_law import StartLaw
from kofn.envs.streams import Seed, Streams

REWARD_TOLERANCE = 1e-8
"""How far a reward may be outside its bounds, for rounding."""

BLOCK = 1 << 20
"""Draws that `sampled_game` asks for at once, bounding memory."""

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class GenerativeGame:
    """A game with finitely many states and actions that can be drawn from; what it draws is checked at every call.

    Args:
        n_global_states: |S_g|.
        n_local_states: |S_l|.
        n_global_actions: |A_g|.
        n_local_actions: |A_l|.
        discount: gamma in (0, 1).
        sample_global: (rng, s_g, a_g) -> s_g', integers in [0, n_global_states).
        sample_local: (rng, s_l, s_g, a_l) -> s_l', integers in [0, n_local_states); s_g is the OLD global state.
        pay_global: (rng, s_g, a_g) -> r_g, within `global_reward_bounds`.
        pay_local: (rng, s_l, s_g, a_l) -> r_l, within `local_reward_bounds`.
        global_reward_bounds: (lowest, highest) r_g.
        local_reward_bounds: (lowest, highest) r_l.
        initial_global: law of s_g at time 0, float [s_g]. Omitted: uniform.
        initial_local: law of the local agents at time 0. Omitted: independent and uniform.
        labels: names for rendering. Omitted: numbered.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: a size below 1, bounds that are no interval, or what `TabularGame` refuses too. Calling one of the
            functions raises them for output of the wrong shape, type or range, naming function, index and input.
    """

    n_global_states: int
    n_local_states: int
    n_global_actions: int
    n_local_actions: int
    discount: float
    sample_global: Callable[[np.random.Generator, IntArray, IntArray], Numbers]
    sample_local: Callable[[np.random.Generator, IntArray, IntArray, IntArray], Numbers]
    pay_global: Callable[[np.random.Generator, IntArray, IntArray], Numbers]
    pay_local: Callable[[np.random.Generator, IntArray, IntArray, IntArray], Numbers]
    global_reward_bounds: tuple[float, float]
    local_reward_bounds: tuple[float, float]
    initial_global: FloatArray = OMITTED
    initial_local: StartLaw = OMITTED
    labels: Labels = OMITTED

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate everything, fill in the defaults, and put a check around each function."""
        for name in ("n_global_states", "n_local_states", "n_global_actions", "n_local_actions"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        for name in ("global_reward_bounds", "local_reward_bounds"):
            object.__setattr__(self, name, _interval(name, getattr(self, name)))
        self._check_function("sample_global", (0, self.n_global_states - 1))
        self._check_function("sample_local", (0, self.n_local_states - 1))
        self._check_function("pay_global", self.global_reward_bounds)
        self._check_function("pay_local", self.local_reward_bounds)
        complete(self, "generative game")
        check_scale(self.discount, self.global_reward_bounds, self.local_reward_bounds)

    def _check_function(self, name: str, bounds: tuple[float, float]) -> None:
        function = getattr(self, name)
        if isinstance(function, _Checked):  # of a game that this one is a copy of
            function = function.function
        if not callable(function):
            raise TypeError(f"{name} must be a function of (rng, {', '.join(_INPUTS[name])}); got {function!r}")
        object.__setattr__(self, name, _Checked(name, function, *bounds))

    @classmethod
    def from_tables(cls, game: TabularGame) -> "GenerativeGame":
        """The oracle that draws from a tabular game's rows and reward laws; TypeError for another game."""
        if not isinstance(game, TabularGame):
            raise TypeError(f"game must be a TabularGame; got {type(game).__name__}")
        global_law, local_law = game.global_reward_law, game.local_reward_law
        global_law = global_law if global_law is not None else RewardLaw.certain(game.global_reward)
        local_law = local_law if local_law is not None else RewardLaw.certain(game.local_reward)
        return cls(
            n_global_states=game.n_global_states,
            n_local_states=game.n_local_states,
            n_global_actions=game.n_global_actions,
            n_local_actions=game.n_local_actions,
            discount=game.discount,
            sample_global=_Rows(cumulative_thresholds(game.global_transition)),
            sample_local=_Rows(cumulative_thresholds(game.local_transition)),
            pay_global=global_law.sample,
            pay_local=local_law.sample,
            global_reward_bounds=(global_law.lowest, global_law.highest),
            local_reward_bounds=(local_law.lowest, local_law.highest),
            initial_global=game.initial_global,
            initial_local=game.initial_local,
            labels=game.labels,
        )

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

    def dynamics(self) -> SampledDynamics:
        """How the simulators pay and move."""
        return SampledDynamics(
            sample_global=self.sample_global,
            sample_local=self.sample_local,
            pay_global=self.pay_global,
            pay_local=self.pay_local,
            n_actions=(self.n_global_actions, self.n_local_actions),
        )

    def save(self, path: str | Path) -> NoReturn:
        """Raise TypeError: functions are code, not arrays."""
        raise TypeError(
            f"a GenerativeGame cannot be saved to {path}: its four functions are code; keep the code that builds it, "
            "or save an estimate of it, sampled_game(game, n_samples, seed).save(path)"
        )


def sampled_game(oracle: GenerativeGame, n_samples: int, seed: Seed = None) -> TabularGame:
    """The empirical game: frequencies of m independent next states, and means of m independent rewards, per row.

    It asks for m draws of each of `sample_global`, `pay_global` (|S_g||A_g| rows) and `sample_local`, `pay_local`
    (|S_l||S_g||A_l| rows): 2m(|S_g||A_g| + |S_l||S_g||A_l|) in all.

    Args:
        oracle: the game to draw from.
        n_samples: m, draws per row.
        seed: source of all randomness.

    Raises:
        TypeError, ValueError: `oracle` is no GenerativeGame, or m is below 1.
    """
    if not isinstance(oracle, GenerativeGame):
        raise TypeError(f"oracle must be a GenerativeGame; got {type(oracle).__name__}")
    n_samples = integer("n_samples", n_samples, 1)
    streams = Streams.from_seed(seed)
    n_global, n_local = oracle.n_global_states, oracle.n_local_states
    global_rows = (n_global, oracle.n_global_actions)
    local_rows = (n_local, n_global, oracle.n_local_actions)
    return TabularGame(
        global_transition=_frequencies(streams.global_moves, oracle.sample_global, global_rows, n_samples),
        local_transition=_frequencies(streams.local_moves, oracle.sample_local, local_rows, n_samples),
        global_reward=_means(streams.rewards, oracle.pay_global, global_rows, n_samples),
        local_reward=_means(streams.rewards, oracle.pay_local, local_rows, n_samples),
        discount=oracle.discount,
        initial_global=oracle.initial_global,
        initial_local=oracle.initial_local,
        labels=oracle.labels,
    )


def _requests(rows: tuple[int, ...], n_samples: int) -> Iterator[tuple[IntArray, tuple[IntArray, ...]]]:
    """(flat row numbers, their indices), every row `n_samples` times in all, in blocks."""
    numbers = np.arange(math.prod(rows))
    per_block = max(1, BLOCK // len(numbers))
    for first in range(0, n_samples, per_block):
        repeated = np.repeat(numbers, min(per_block, n_samples - first))
        yield repeated, np.unravel_index(repeated, rows)


def _frequencies(
    rng: np.random.Generator, sample: Callable[..., Numbers], rows: tuple[int, ...], n_samples: int
) -> FloatArray:
    """Frequencies of the next states of every row, float [*rows, next]; the first state axis is that of the next."""
    n_states = rows[0]
    counts = np.zeros(math.prod(rows) * n_states, dtype=np.int64)
    for number, index in _requests(rows, n_samples):
        counts += np.bincount(number * n_states + sample(rng, *index), minlength=len(counts))
    return counts.reshape(*rows, n_states) / n_samples


def _means(rng: np.random.Generator, pay: Callable[..., Numbers], rows: tuple[int, ...], n_samples: int) -> FloatArray:
    """Mean rewards of every row, float [*rows]."""
    totals = np.zeros(math.prod(rows))
    for number, index in _requests(rows, n_samples):
        totals += np.bincount(number, pay(rng, *index), len(totals))
    return totals.reshape(rows) / n_samples


@dataclass(frozen=True)
class _Rows:
    """Draws from the rows of a table by inversion.

    Args:
        thresholds: `cumulative_thresholds` of the table, [..., n_outcomes - 1].
    """

    thresholds: FloatArray

    def __call__(self, rng: np.random.Generator, *index: IntArray) -> IntArray:
        """One draw per entry of the index arrays."""
        return sample_rows(rng.random(index[0].shape), self.thresholds[index])


@dataclass(frozen=True)
class _Checked:
    """One of the four functions; its output is checked and copied.

    Args:
        name: the function's name, which begins with "sample" or "pay".
        function: the user's function.
        low: least value allowed.
        high: largest value allowed.
    """

    name: str
    function: Callable[..., Any]
    low: float
    high: float

    def __call__(self, rng: np.random.Generator, *index: npt.ArrayLike) -> Numbers:
        """One draw per entry of the index arrays, which broadcast."""
        shape = np.broadcast_shapes(*(np.shape(entry) for entry in index))
        given = tuple(np.broadcast_to(np.asarray(entry), shape) for entry in index)
        found = np.asarray(self.function(rng, *given))
        states = self.name.startswith("sample")
        if found.dtype.kind not in ("iu" if states else "biuf"):
            raise TypeError(f"{self.name} must return {'integers' if states else 'numbers'}; got dtype {found.dtype}")
        if found.shape != shape:
            raise ValueError(
                f"{self.name} must return one value per input, shape {list(shape)}; got {list(found.shape)}"
            )
        slack = 0.0 if states else REWARD_TOLERANCE
        inside = (found >= self.low - slack) & (found <= self.high + slack)  # False for nan
        if not inside.all():
            self._refuse(found, given, first_index(~inside))
        # A copy: the function may keep and overwrite the array it returned.
        return np.array(found, dtype=np.int64 if states else np.float64)

    def _refuse(self, found: Numbers, given: tuple[IntArray, ...], index: tuple[int, ...]) -> NoReturn:
        inputs = zip(_INPUTS[self.name], given, strict=True)
        at = ", ".join(f"{name}={int(entry[index])}" for name, entry in inputs)
        raise ValueError(
            f"{self.name} must return values from {self.low} to {self.high}; "
            f"entry {list(index)} is {found[index]}, for {at}"
        )


_INPUTS = {
    "sample_global": ("s_g", "a_g"),
    "sample_local": ("s_l", "s_g", "a_l"),
    "pay_global": ("s_g", "a_g"),
    "pay_local": ("s_l", "s_g", "a_l"),
}
"""Names of the functions and of their arguments after the generator."""


def _interval(name: str, bounds: Any) -> tuple[float, float]:
    """(low, high) after checking that it is one."""
    low, high = float_array(name, bounds, (2,)).tolist()
    if low > high:
        raise ValueError(f"{name} must be (lowest, highest); got ({low}, {high})")
    return low, high
