r"""A k-of-n game as four arrays.

One global agent (state s_g, action a_g) steers n local agents (states s_1..s_n, actions a_1..a_n). Given states and
actions all n+1 transitions are independent, and every local agent follows the same law (paper, Section 2):

    s_g' ~ P_g(. | s_g, a_g)            s_i' ~ P_l(. | s_i, s_g, a_i)      (the OLD s_g; a_g acts through s_g')
    r(s, a) = r_g(s_g, a_g) + (1/n) sum_i r_l(s_i, s_g, a_i)               paid for (s_t, a_t), discounted by gamma

Index order is the papers': `global_transition[s_g, a_g, s_g']`, `local_transition[s_l, s_g, a_l, s_l']`,
`global_reward[s_g, a_g]`, `local_reward[s_l, s_g, a_l]`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kofn.envs.arrays import FloatArray, float_array, freeze, probability_array, restore_frozen
from kofn.envs.files import naming_damage, read_npz, write_npz
from kofn.envs.start_law import DirichletStart, FixedStart, StartLaw, start_law_from_array, start_law_to_array

OMITTED: Any = None
"""Default of an argument that `TabularGame` fills in."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Names for rendering and tables: a title and one name per state and action.

    When local states and global states carry the same names, figures draw the global state on the local-state map.
    """

    title: str
    global_states: tuple[str, ...]
    local_states: tuple[str, ...]
    global_actions: tuple[str, ...]
    local_actions: tuple[str, ...]

    @classmethod
    def numbered(cls, game: "TabularGame", title: str = "tabular game") -> "Labels":
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


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularGame:
    """A game with finitely many states and actions. Arrays are validated, copied and read-only.

    Args:
        global_transition: P_g, float [s_g, a_g, s_g'], rows sum to 1.
        local_transition: P_l, float [s_l, s_g, a_l, s_l'], rows sum to 1.
        global_reward: r_g, float [s_g, a_g].
        local_reward: r_l, float [s_l, s_g, a_l]. Negative rewards are allowed; the papers' bounds assume a shift
            that makes them nonnegative, which `reward_bound` accounts for.
        discount: gamma in (0, 1).
        initial_global: law of s_g at time 0, float [s_g]. Omitted: uniform.
        initial_local: law of the local agents at time 0. Omitted: independent and uniform.
        labels: names for rendering. Omitted: numbered.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: wrong shape or rank, inconsistent sizes, non-finite entry, negative probability, a row that does
            not sum to 1 within 1e-8, discount outside (0, 1). The message names array, rule, index and value.
    """

    global_transition: FloatArray
    local_transition: FloatArray
    global_reward: FloatArray
    local_reward: FloatArray
    discount: float
    initial_global: FloatArray = OMITTED
    initial_local: StartLaw = OMITTED
    labels: Labels = OMITTED

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate everything, fill in the defaults, and freeze the arrays."""
        global_transition = probability_array("global_transition", self.global_transition, (None, None, None))
        n_global, n_global_actions, n_next = global_transition.shape
        if n_next != n_global:
            raise ValueError(
                "global_transition must have equal first and last axes [s_g, a_g, s_g']; "
                f"got shape {list(global_transition.shape)}"
            )
        local_transition = probability_array("local_transition", self.local_transition, (None, n_global, None, None))
        n_local, _, n_local_actions, n_next = local_transition.shape
        if n_next != n_local:
            raise ValueError(
                "local_transition must have equal first and last axes [s_l, s_g, a_l, s_l']; "
                f"got shape {list(local_transition.shape)}"
            )
        initial_global = self.initial_global if self.initial_global is not None else np.full(n_global, 1 / n_global)
        self._set_frozen("global_transition", global_transition)
        self._set_frozen("local_transition", local_transition)
        self._set_frozen(
            "global_reward", float_array("global_reward", self.global_reward, (n_global, n_global_actions))
        )
        self._set_frozen(
            "local_reward", float_array("local_reward", self.local_reward, (n_local, n_global, n_local_actions))
        )
        self._set_frozen("initial_global", probability_array("initial_global", initial_global, (n_global,)))
        self._check_discount()
        self._check_initial_local()
        self._check_labels()

    def _set_frozen(self, name: str, array: FloatArray) -> None:
        freeze(array)
        object.__setattr__(self, name, array)

    def _check_discount(self) -> None:
        if isinstance(self.discount, bool) or not isinstance(self.discount, int | float | np.floating):
            raise TypeError(f"discount must be a number; got {self.discount!r} ({type(self.discount).__name__})")
        if not 0 < self.discount < 1:
            raise ValueError(f"discount must lie strictly between 0 and 1; got {self.discount}")
        object.__setattr__(self, "discount", float(self.discount))

    def _check_initial_local(self) -> None:
        law: Any = self.initial_local
        if law is None:
            law = FixedStart(np.full(self.n_local_states, 1 / self.n_local_states))
        if not isinstance(law, FixedStart | DirichletStart):
            raise TypeError(
                f"initial_local must be FixedStart(probabilities) or DirichletStart(concentration); got {law!r}"
            )
        if law.n_states != self.n_local_states:
            raise ValueError(
                f"initial_local must have one entry per local state ({self.n_local_states}); got {law.n_states}"
            )
        object.__setattr__(self, "initial_local", law)

    def _check_labels(self) -> None:
        labels: Any = self.labels if self.labels is not None else Labels.numbered(self)
        if not isinstance(labels, Labels):
            raise TypeError(f"labels must be a Labels object; got {labels!r}")
        sizes = {
            "global_states": self.n_global_states,
            "local_states": self.n_local_states,
            "global_actions": self.n_global_actions,
            "local_actions": self.n_local_actions,
        }
        for field, size in sizes.items():
            names = getattr(labels, field)
            if not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
                raise TypeError(f"labels.{field} must be a tuple of strings; got {names!r}")
            if len(names) != size:
                raise ValueError(f"labels.{field} must hold {size} names; got {len(names)}: {names}")
        object.__setattr__(self, "labels", labels)

    @property
    def n_global_states(self) -> int:
        """|S_g|."""
        return len(self.global_transition)

    @property
    def n_global_actions(self) -> int:
        """|A_g|."""
        return int(self.global_transition.shape[1])

    @property
    def n_local_states(self) -> int:
        """|S_l|."""
        return len(self.local_transition)

    @property
    def n_local_actions(self) -> int:
        """|A_l|."""
        return int(self.local_transition.shape[2])

    @cached_property
    def reward_bound(self) -> float:
        """r~ = r~_g + r~_l: the largest reward of one step, after shifting negative rewards up to zero."""

        def bound(rewards: FloatArray) -> float:
            return float(rewards.max() - min(0.0, rewards.min()))

        return bound(self.global_reward) + bound(self.local_reward)

    @property
    def value_bound(self) -> float:
        """r~ / (1 - gamma): the range in which every discounted return of the shifted game lies."""
        return self.reward_bound / (1 - self.discount)

    def save(self, path: str | Path) -> None:
        """Write the game to a .npz file (plain arrays, no pickle)."""
        kind, parameters = start_law_to_array(self.initial_local)
        write_npz(
            path,
            "TabularGame",
            global_transition=self.global_transition,
            local_transition=self.local_transition,
            global_reward=self.global_reward,
            local_reward=self.local_reward,
            discount=np.float64(self.discount),
            initial_global=self.initial_global,
            initial_local_kind=np.str_(kind),
            initial_local=parameters,
            title=np.str_(self.labels.title),
            **{f"label_{field}": np.array(getattr(self.labels, field), dtype=np.str_) for field in _NAME_FIELDS},
        )

    @classmethod
    def load(cls, path: str | Path) -> "TabularGame":
        """Read a game written by `save`; the arrays are bit-equal to the ones saved.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds something else.
        """
        data = read_npz(path, "TabularGame")
        with naming_damage(path):
            labels = {field: tuple(str(name) for name in data[f"label_{field}"]) for field in _NAME_FIELDS}
            return cls(
                global_transition=data["global_transition"],
                local_transition=data["local_transition"],
                global_reward=data["global_reward"],
                local_reward=data["local_reward"],
                discount=float(data["discount"]),
                initial_global=data["initial_global"],
                initial_local=start_law_from_array(str(data["initial_local_kind"]), data["initial_local"]),
                labels=Labels(title=str(data["title"]), **labels),
            )


_NAME_FIELDS = ("global_states", "local_states", "global_actions", "local_actions")
