r"""Logged transitions: what off-policy learning and model estimation need to know of a game.

A row is one step as the surrogate game of k agents sees it (paper, Appendix E). The SAME agents D stand on both sides,

    (s_g, F_D, a_g, r_D, s_g', F'_D),        r_D = r_g(s_g, a_g) + (1/k) sum_{i in D} r_l(s_i, s_g, a_i),

F_D being the histogram of their states before the step and F'_D after it; D may be redrawn between rows. The histogram
of the agents drawn for the next observation is not F'_D: given (s_g, F_D) its law depends on agents outside D, and
learning from it has another fixed point. Nor is the team reward r_D.

For estimating the game the log also holds r_g of every step, the actions of the agents in D, and over ALL observed
agents how often one in state x under s_g took action a and landed in y. Where own rewards are observed it holds their
sums per (x, s_g, a); the environments of this package reveal only their mean over D, which is r_D - r_g.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from kofn.agents.logged_data.reward_sums import joined, sums_of, tally
from kofn.envs.arrays import FloatArray, IntArray, as_array, first_index, float_array, freeze, integer, restore_frozen
from kofn.envs.files import naming_damage, read_npz, write_npz
from kofn.envs.histograms import n_histograms, rank_histograms
from kofn.envs.population import count_states


class SpaceSizes(NamedTuple):
    """|S_g|, |S_l|, |A_g|, |A_l|."""

    n_global_states: int
    n_local_states: int
    n_global_actions: int
    n_local_actions: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Transitions:
    """T logged steps. Arrays are validated, copied and read-only; see the module docstring.

    Args:
        global_states: s_g, int [t].
        sampled_counts: agents of D by state and action, int [t, s_l, a_l]; every row counts k agents.
        global_actions: a_g, int [t].
        global_rewards: r_g, float [t].
        sampled_rewards: r_D, float [t].
        next_global_states: s_g', int [t].
        next_histograms: F'_D as counts, int [t, s_l].
        local_moves: moves of all observed agents, int [s_l, s_g, a_l, s_l'].
        n_global_actions: |A_g|.
        own_rewards: sums of r - o and of (r - o)^2, r the observed agents' own rewards, float [2, s_l, s_g, a_l]; None
            where agents do not reveal their own rewards.
        own_offsets: o, near the rewards where these are large (`reward_sums`), float [s_l, s_g, a_l]; omitted: 0.

    Raises:
        TypeError, ValueError: an array of the wrong type or shape, an index out of range, a negative count, or a row
            that does not count k agents. The message names array, rule, index and value.
    """

    global_states: IntArray
    sampled_counts: IntArray
    global_actions: IntArray
    global_rewards: FloatArray
    sampled_rewards: FloatArray
    next_global_states: IntArray
    next_histograms: IntArray
    local_moves: IntArray
    n_global_actions: int
    own_rewards: FloatArray | None = None
    own_offsets: FloatArray | None = None

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        moves = integers("local_moves", self.local_moves, (None, None, None, None))
        n_local, n_global, n_actions, n_next = moves.shape
        if n_next != n_local:
            raise ValueError(f"local_moves must have equal first and last axes; got shape {list(moves.shape)}")
        n_global_actions = integer("n_global_actions", self.n_global_actions, 1)
        checked: dict[str, npt.NDArray[np.generic]] = {"local_moves": moves}
        checked["global_states"] = integers("global_states", self.global_states, (None,), n_global)
        length = len(checked["global_states"])
        counts = integers("sampled_counts", self.sampled_counts, (length, n_local, n_actions))
        k = int(counts[0].sum())
        checked["sampled_counts"] = _counting("sampled_counts", counts, integer("k, the size of D,", k, 1))
        checked["next_histograms"] = _counting(
            "next_histograms", integers("next_histograms", self.next_histograms, (length, n_local)), k
        )
        checked["next_global_states"] = integers("next_global_states", self.next_global_states, (length,), n_global)
        checked["global_actions"] = integers("global_actions", self.global_actions, (length,), n_global_actions)
        for name in ("global_rewards", "sampled_rewards"):
            checked[name] = float_array(name, getattr(self, name), (length,))
        if self.own_rewards is not None:
            shape = n_local, n_global, n_actions
            checked["own_rewards"] = float_array("own_rewards", self.own_rewards, (2, *shape))
            offsets = np.zeros(shape) if self.own_offsets is None else self.own_offsets
            checked["own_offsets"] = float_array("own_offsets", offsets, shape)
        elif self.own_offsets is not None:
            raise ValueError("own_offsets must be omitted where own_rewards is")
        for name, array in checked.items():
            freeze(array)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "n_global_actions", n_global_actions)

    def __len__(self) -> int:
        """T."""
        return len(self.global_states)

    @property
    def sizes(self) -> SpaceSizes:
        """Sizes of the game."""
        n_local, n_global, n_actions, _ = self.local_moves.shape
        return SpaceSizes(n_global, n_local, self.n_global_actions, n_actions)

    @property
    def k(self) -> int:
        """Number of agents in D."""
        return int(self.next_histograms[0].sum())

    @property
    def histograms(self) -> IntArray:
        """F_D as counts, int [t, s_l]."""
        return np.asarray(self.sampled_counts.sum(axis=2))

    @property
    def surrogate_states(self) -> tuple[IntArray, IntArray]:
        """(s, s'), int [t] each: s_g times the number of histograms plus the rank of F_D."""
        width = n_histograms(self.k, self.sizes.n_local_states)
        before = self.global_states * width + rank_histograms(self.histograms)
        return before, self.next_global_states * width + rank_histograms(self.next_histograms)

    @classmethod
    def from_arrays(
        cls,
        states: tuple[npt.ArrayLike, npt.ArrayLike],
        actions: tuple[npt.ArrayLike, npt.ArrayLike],
        rewards: tuple[npt.ArrayLike, npt.ArrayLike],
        next_states: tuple[npt.ArrayLike, npt.ArrayLike],
        *,
        sizes: SpaceSizes,
        sampled: npt.ArrayLike | None = None,
    ) -> "Transitions":
        """Transitions of a log that holds every agent: steps t, agents i. Any environment may have made it.

        Args:
            states: (s_g, int [t]; s_i, int [t, n]).
            actions: (a_g, int [t]; a_i, int [t, n]).
            rewards: r_g, float [t], and either r_D, float [t], or every agent's own reward, float [t, n].
            next_states: (s_g', int [t]; s_i', int [t, n]).
            sizes: of the game; the log need not visit everything.
            sampled: D of every step as agents' numbers, int [t, k]. Omitted: all n agents.

        Raises:
            TypeError, ValueError: as the class, and an agent that is twice in D.
        """
        global_states = integers("states[0]", states[0], (None,), sizes.n_global_states)
        length = len(global_states)
        local_states = integers("states[1]", states[1], (length, None), sizes.n_local_states)
        shape = local_states.shape
        local_actions = integers("actions[1]", actions[1], shape, sizes.n_local_actions)
        landed = integers("next_states[1]", next_states[1], shape, sizes.n_local_states)
        members = _members(sampled, *shape)
        global_rewards = float_array("rewards[0]", rewards[0], (length,))
        own = float_array("rewards[1]", rewards[1], shape) if np.ndim(rewards[1]) == 2 else None
        cells = (local_states * sizes.n_global_states + global_states[:, None]) * sizes.n_local_actions + local_actions
        cell_shape = (sizes.n_local_states, sizes.n_global_states, sizes.n_local_actions)
        own_rewards, own_offsets = (None, None) if own is None else sums_of(cells, own, cell_shape)
        return cls(
            global_states=global_states,
            sampled_counts=_count_pairs(_of(members, local_states), _of(members, local_actions), sizes),
            global_actions=np.asarray(actions[0]),
            global_rewards=global_rewards,
            sampled_rewards=np.asarray(rewards[1]) if own is None else global_rewards + _of(members, own).mean(axis=1),
            next_global_states=np.asarray(next_states[0]),
            next_histograms=count_states(_of(members, landed), sizes.n_local_states),
            local_moves=tally(cells * sizes.n_local_states + landed, (*cell_shape, sizes.n_local_states)),
            n_global_actions=sizes.n_global_actions,
            own_rewards=own_rewards,
            own_offsets=own_offsets,
        )

    @classmethod
    def concatenate(cls, logs: Sequence["Transitions"]) -> "Transitions":
        """Several logs of one game with one k as one; raises ValueError if their sizes, k or contents differ."""
        if not logs:
            raise ValueError("logs must hold at least one Transitions; got none")
        kinds = [(log.sizes, log.k, log.own_rewards is not None) for log in logs]
        for number, kind in enumerate(kinds):
            if kind != kinds[0]:
                raise ValueError(
                    f"logs must agree in (sizes, k, whether own rewards are known); log 0 has {kinds[0]}, "
                    f"log {number} has {kind}"
                )
        steps: dict[str, Any] = {name: np.concatenate([getattr(log, name) for log in logs]) for name in _STEP_FIELDS}
        moves = [log.local_moves for log in logs]
        own = [(log.own_rewards, log.own_offsets) for log in logs if log.own_rewards is not None]
        if own:
            sums, offsets = zip(*own, strict=True)
            steps["own_rewards"], steps["own_offsets"] = joined(sums, offsets, [of.sum(axis=3) for of in moves])
        return cls(
            **steps,
            local_moves=np.sum(moves, axis=0),
            n_global_actions=logs[0].n_global_actions,
        )

    def save(self, path: str | Path) -> None:
        """Write to a .npz file (plain arrays, no pickle)."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        write_npz(
            path, "Transitions", **{name: np.asarray(value) for name, value in arrays.items() if value is not None}
        )

    @classmethod
    def load(cls, path: str | Path) -> "Transitions":
        """Read a log written by `save`; the arrays are bit-equal to the ones saved.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds something else.
        """
        data = read_npz(path, "Transitions")
        with naming_damage(path):
            required: dict[str, Any] = {name: data[name] for name in (*_STEP_FIELDS, "local_moves", "n_global_actions")}
            return cls(**required, own_rewards=data.get("own_rewards"), own_offsets=data.get("own_offsets"))


Number = TypeVar("Number", np.int64, np.float64)

_STEP_FIELDS = (
    *("global_states", "sampled_counts", "global_actions", "global_rewards", "sampled_rewards"),
    *("next_global_states", "next_histograms"),
)


def integers(name: str, values: npt.ArrayLike, shape: Sequence[int | None], limit: int | None = None) -> IntArray:
    """An int64 copy of an array of the given shape (None: any positive size) with entries in [0, limit).

    Raises:
        TypeError: the values are not integers.
        ValueError: another shape, or an entry out of range.
    """
    given = as_array(name, values)
    if not np.issubdtype(given.dtype, np.integer):
        raise TypeError(f"{name} must be an array of integers; got {given.dtype}")
    if given.ndim != len(shape) or any(
        size == 0 or wanted not in (None, size) for size, wanted in zip(given.shape, shape, strict=True)
    ):
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape [{expected}]; got {list(given.shape)}")
    outside = (given < 0) if limit is None else (given < 0) | (given >= limit)
    if outside.any():
        index = first_index(outside)
        rule = "be nonnegative" if limit is None else f"lie in [0, {limit})"
        raise ValueError(f"{name} must {rule}; entry {list(index)} is {given[index]}")
    return np.array(given, dtype=np.int64, order="C")


def _counting(name: str, counts: IntArray, k: int) -> IntArray:
    """The counts [t, ..], after checking that each step counts k agents."""
    totals = counts.reshape(len(counts), -1).sum(axis=1)
    off = totals != k
    if off.any():
        (row,) = first_index(off)
        raise ValueError(f"{name} must count the k={k} agents of D in every row; row {row} counts {totals[row]}")
    return counts


def _members(sampled: npt.ArrayLike | None, length: int, n_agents: int) -> IntArray | None:
    """The agents of D [t, k], after checking that they are different ones; None: everyone."""
    if sampled is None:
        return None
    members = integers("sampled", sampled, (length, None), n_agents)
    ordered = np.sort(members, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        (row,) = first_index(twice)
        raise ValueError(f"sampled must name different agents in every row; row {row} is {members[row].tolist()}")
    return members


def _of(members: IntArray | None, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The members' values [t, k] out of everyone's [t, n]."""
    return values if members is None else np.take_along_axis(values, members, axis=1)


def _count_pairs(states: IntArray, actions: IntArray, sizes: SpaceSizes) -> IntArray:
    """Agents by state and action, int [t, s_l, a_l]."""
    n_states, n_actions = sizes.n_local_states, sizes.n_local_actions
    return count_states(states * n_actions + actions, n_states * n_actions).reshape(-1, n_states, n_actions)
