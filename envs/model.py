r"""What every game has, however its dynamics are given: sizes, discount, starts, names, bounds of its rewards.

    |S_g|, |S_l|, |A_g|, |A_l|      gamma in (0, 1)      laws of s_g and of s_1..s_n at time 0      r~ = r~_g + r~_l

`TabularGame` gives the dynamics as four arrays, `GenerativeGame` as four functions. Whatever needs no rows of
probabilities (simulators, environments, evaluation, drawing) takes any `Game`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from kofn.envs.arrays import FloatArray, freeze, probability_array
from kofn.envs.dynamics import Dynamics
from kofn.envs.start_law import DirichletStart, FixedStart, StartLaw

OMITTED: Any = None
"""Default of an argument that the game fills in."""


MAX_VALUE = 1e100
"""The largest value a game may have: sums and squares of values stay finite."""


@runtime_checkable
class Sizes(Protocol):
    """Numbers of states and actions."""

    @property
    def n_global_states(self) -> int:
        """|S_g|."""

    @property
    def n_local_states(self) -> int:
        """|S_l|."""

    @property
    def n_global_actions(self) -> int:
        """|A_g|."""

    @property
    def n_local_actions(self) -> int:
        """|A_l|."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Names for rendering and tables: a title and one name per state and action.

    When local states and global states carry the same names, figures draw the global state on the local-state map.
    Names also tell where local states are drawn: see `kofn.envs.picture_layout`.
    """

    title: str
    global_states: tuple[str, ...]
    local_states: tuple[str, ...]
    global_actions: tuple[str, ...]
    local_actions: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise TypeError for anything but texts."""
        if not isinstance(self.title, str):
            raise TypeError(f"labels.title must be a text; got {self.title!r}")
        for kind in ("global_states", "local_states", "global_actions", "local_actions"):
            names = getattr(self, kind)
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise TypeError(f"labels.{kind} must be a tuple of strings; got {names!r}")

    @classmethod
    def numbered(cls, game: Sizes, title: str) -> "Labels":
        """Default names: g0, g1, .. and x0, x1, .. for states, a0, a1, .. for actions."""

        def names(prefix: str, count: int) -> tuple[str, ...]:
            return tuple(f"{prefix}{i}" for i in range(count))

        return cls(
            title=title,
            global_states=names("g", game.n_global_states),
            local_states=names("x", game.n_local_states),
            global_actions=names("a", game.n_global_actions),
            local_actions=names("a", game.n_local_actions),
        )


@runtime_checkable
class Game(Sizes, Protocol):
    """What simulators, environments and evaluation ask of a game."""

    @property
    def discount(self) -> float:
        """Gamma in (0, 1)."""

    @property
    def initial_global(self) -> FloatArray:
        """Law of s_g at time 0, float [s_g]."""

    @property
    def initial_local(self) -> StartLaw:
        """Law of the local agents at time 0."""

    @property
    def labels(self) -> Labels:
        """Names for rendering."""

    @property
    def reward_bound(self) -> float:
        """r~, the largest reward of one step after shifting negative rewards up to zero."""

    @property
    def value_bound(self) -> float:
        """r~ / (1 - gamma)."""

    def dynamics(self) -> Dynamics:
        """How the simulators pay and move."""

    def save(self, path: str | Path) -> None:
        """Write the game to a file; TypeError for a game of functions."""


def shifted_bound(lowest: float, highest: float) -> float:
    """The largest reward after shifting negative ones up to zero."""
    return highest - min(0.0, lowest)


def size_bound(lowest: float, highest: float) -> float:
    """The largest size of a reward, and of a difference of two: `shifted_bound` unless all are negative."""
    return max(0.0, highest) - min(0.0, lowest)


def set_frozen(game: object, name: str, array: FloatArray) -> None:
    """Make an array read-only and a field of a frozen dataclass."""
    freeze(array)
    object.__setattr__(game, name, array)


def complete(game: Any, title: str) -> None:
    """Validate the fields every game has (its sizes are known by now) and fill in the omitted ones."""
    n_global = game.n_global_states
    initial_global = game.initial_global if game.initial_global is not None else np.full(n_global, 1 / n_global)
    set_frozen(game, "initial_global", probability_array("initial_global", initial_global, (n_global,)))
    object.__setattr__(game, "discount", checked_discount(game.discount))
    object.__setattr__(game, "initial_local", _checked_start(game.initial_local, game.n_local_states))
    object.__setattr__(game, "labels", _checked_labels(game.labels, game, title))


def checked_discount(discount: Any) -> float:
    """The discount as a Python float, after checking that it is a number in (0, 1)."""
    if isinstance(discount, bool) or not isinstance(discount, int | float | np.floating):
        raise TypeError(f"discount must be a number; got {discount!r} ({type(discount).__name__})")
    if not 0 < discount < 1:
        raise ValueError(f"discount must lie strictly between 0 and 1; got {discount}")
    return float(discount)


def check_scale(discount: float, *rewards: Any) -> None:
    """Refuse rewards (arrays or bounds) whose sums or squares could overflow: learning meets finite numbers only.

    Raises:
        ValueError: values |r|/(1-gamma) above `MAX_VALUE`.
    """
    largest = sum(float(np.abs(np.asarray(part)).max()) for part in rewards) / (1 - discount)
    if not largest <= MAX_VALUE:
        raise ValueError(f"rewards must keep values |r|/(1-gamma) at most {MAX_VALUE:.0e}; they reach {largest:.3g}")


def _checked_start(law: Any, n_states: int) -> StartLaw:
    if law is None:
        law = FixedStart(np.full(n_states, 1 / n_states))
    if not isinstance(law, FixedStart | DirichletStart):
        raise TypeError(
            f"initial_local must be FixedStart(probabilities) or DirichletStart(concentration); got {law!r}"
        )
    if law.n_states != n_states:
        raise ValueError(f"initial_local must have one entry per local state ({n_states}); got {law.n_states}")
    return law


def _checked_labels(labels: Any, game: Sizes, title: str) -> Labels:
    labels = labels if labels is not None else Labels.numbered(game, title)
    if not isinstance(labels, Labels):
        raise TypeError(f"labels must be a Labels object; got {labels!r}")
    sizes = {
        "global_states": game.n_global_states,
        "local_states": game.n_local_states,
        "global_actions": game.n_global_actions,
        "local_actions": game.n_local_actions,
    }
    for field, size in sizes.items():
        names = getattr(labels, field)
        if len(names) != size:
            raise ValueError(f"labels.{field} must hold {size} names; got {len(names)}: {names}")
    return labels
