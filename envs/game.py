r"""A k-of-n game as four arrays.

One global agent (state s_g, action a_g) steers n local agents (states s_1..s_n, actions a_1..a_n). Given states and
actions all n+1 transitions are independent, and every local agent follows the same law (paper, Section 2):

    s_g' ~ P_g(. | s_g, a_g)            s_i' ~ P_l(. | s_i, s_g, a_i)      (the OLD s_g; a_g acts through s_g')
    r(s, a) = r_g(s_g, a_g) + (1/n) sum_i r_l(s_i, s_g, a_i)               paid for (s_t, a_t), discounted by gamma

Index order is the papers': `global_transition[s_g, a_g, s_g']`, `local_transition[s_l, s_g, a_l, s_l']`,
`global_reward[s_g, a_g]`, `local_reward[s_l, s_g, a_l]`. Rewards may be stochastic (paper, Appendix F): the table then
holds the means of a `RewardLaw`, which is what values and best responses depend on, and simulators pay what they draw.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, first_index, float_array, probability_array, restore_frozen
from kofn.envs.files import naming_damage, read_npz, write_npz
from kofn.envs.model import OMITTED, Game, Labels, check_scale, complete, set_frozen, shifted_bound, size_bound
from kofn.envs.reward_law import RewardLaw
from kofn.envs.start_law import StartLaw, start_law_from_array, start_law_to_array
from kofn.envs.tabular_dynamics import TabularDynamics

__all__ = ["OMITTED", "Game", "Labels", "TabularGame"]

MEAN_TOLERANCE = 1e-8
"""How far an entry of a reward table may be from the mean of its law."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularGame:
    """A game with finitely many states and actions. Arrays are validated, copied and read-only.

    Args:
        global_transition: P_g, float [s_g, a_g, s_g'], rows sum to 1.
        local_transition: P_l, float [s_l, s_g, a_l, s_l'], rows sum to 1.
        global_reward: r_g, float [s_g, a_g]. Omitted: the means of `global_reward_law`.
        local_reward: r_l, float [s_l, s_g, a_l]. Omitted: the means of `local_reward_law`. Negative rewards are
            allowed; the papers' bounds assume a shift that makes them nonnegative, which `reward_bound` accounts for.
        global_reward_law: law of r_g, with values [s_g, a_g, j]. Omitted: `global_reward` for certain.
        local_reward_law: law of r_l, with values [s_l, s_g, a_l, j]. Omitted: `local_reward` for certain.
        discount: gamma in (0, 1).
        initial_global: law of s_g at time 0, float [s_g]. Omitted: uniform.
        initial_local: law of the local agents at time 0. Omitted: independent and uniform.
        labels: names for rendering. Omitted: numbered.

    Raises:
        TypeError: an argument of the wrong type, or neither a reward nor its law.
        ValueError: wrong shape or rank, inconsistent sizes, non-finite entry, negative probability, a row that does
            not sum to 1 within 1e-8, rewards further than 1e-8 from the means of their law, discount outside (0, 1).
            The message names array, rule, index and value.
    """

    global_transition: FloatArray
    local_transition: FloatArray
    global_reward: FloatArray = OMITTED
    local_reward: FloatArray = OMITTED
    discount: float
    global_reward_law: RewardLaw | None = None
    local_reward_law: RewardLaw | None = None
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
        set_frozen(self, "global_transition", global_transition)
        set_frozen(self, "local_transition", local_transition)
        self._set_reward("global_reward", self.global_reward, self.global_reward_law, (n_global, n_global_actions))
        self._set_reward("local_reward", self.local_reward, self.local_reward_law, (n_local, n_global, n_local_actions))
        complete(self, "tabular game")
        laws = (self.global_reward_law, self.local_reward_law)
        supports = [law.values for law in laws if law is not None]
        check_scale(self.discount, self.global_reward, self.local_reward, *supports)

    def _set_reward(
        self, name: str, table: npt.ArrayLike | None, law: RewardLaw | None, shape: tuple[int, ...]
    ) -> None:
        """Check a mean-reward table against its law, of which it is the mean where omitted."""
        if law is None:
            if table is None:
                raise TypeError(f"{name} must be given unless {name}_law is")
            set_frozen(self, name, float_array(name, table, shape))
            return
        if not isinstance(law, RewardLaw):
            raise TypeError(f"{name}_law must be a RewardLaw; got {type(law).__name__}")
        if law.mean.shape != shape:
            raise ValueError(
                f"{name}_law must hold one law per entry of {name}, {list(shape)}; "
                f"its values have shape {list(law.values.shape)}"
            )
        means = float_array(name, table if table is not None else law.mean, shape)
        off = np.abs(means - law.mean) > MEAN_TOLERANCE
        if off.any():
            index = first_index(off)
            raise ValueError(
                f"{name} must hold the means of {name}_law within {MEAN_TOLERANCE}; entry {list(index)} is "
                f"{means[index]}, the mean {law.mean[index]}"
            )
        set_frozen(self, name, means)

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
        """r~ = r~_g + r~_l: the largest reward of one step, after shifting negative rewards up to zero.

        Where there is a law, the largest and least rewards are those of its support.
        """
        return sum(shifted_bound(*ends) for ends in self._reward_ranges)

    @property
    def value_bound(self) -> float:
        """r~ / (1 - gamma): the range in which every discounted return of the shifted game lies."""
        return self.reward_bound / (1 - self.discount)

    @property
    def return_bound(self) -> float:
        """The largest size of a discounted return, and of a difference of two."""
        return sum(size_bound(*ends) for ends in self._reward_ranges) / (1 - self.discount)

    @property
    def _reward_ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Least and largest r_g and r_l that may be paid."""
        return _range(self.global_reward, self.global_reward_law), _range(self.local_reward, self.local_reward_law)

    def dynamics(self) -> TabularDynamics:
        """How the simulators pay and move; simulators of one game share its tables."""
        return self._dynamics

    @cached_property
    def _dynamics(self) -> TabularDynamics:
        return TabularDynamics(
            global_transition=self.global_transition,
            local_transition=self.local_transition,
            global_reward=self.global_reward,
            local_reward=self.local_reward,
            global_reward_law=self.global_reward_law,
            local_reward_law=self.local_reward_law,
        )

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
            **_law_to_arrays("global_reward_law", self.global_reward_law),
            **_law_to_arrays("local_reward_law", self.local_reward_law),
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
                global_reward_law=_law_from_arrays("global_reward_law", data),
                local_reward_law=_law_from_arrays("local_reward_law", data),
                discount=float(data["discount"]),
                initial_global=data["initial_global"],
                initial_local=start_law_from_array(str(data["initial_local_kind"]), data["initial_local"]),
                labels=Labels(title=str(data["title"]), **labels),
            )


_NAME_FIELDS = ("global_states", "local_states", "global_actions", "local_actions")


def _range(table: FloatArray, law: RewardLaw | None) -> tuple[float, float]:
    """The least and the largest reward that may be paid."""
    return (law.lowest, law.highest) if law is not None else (float(table.min()), float(table.max()))


def _law_to_arrays(name: str, law: RewardLaw | None) -> dict[str, FloatArray]:
    """A law as entries of a file; none without a law."""
    return {} if law is None else {f"{name}_values": law.values, f"{name}_probabilities": law.probabilities}


def _law_from_arrays(name: str, data: dict[str, npt.NDArray[Any]]) -> RewardLaw | None:
    """Inverse of `_law_to_arrays`; files written before there were laws have none."""
    parts = [f"{name}_values", f"{name}_probabilities"]
    return RewardLaw(*(data[part] for part in parts)) if any(part in data for part in parts) else None
