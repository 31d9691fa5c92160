r"""Tabular policies of the two players.

* Global, k-observation class: pi_g(a_g | s_g, F), F the histogram of the k sampled agents. The table is indexed
  [s_g, rank of F] and holds actions (deterministic) or probabilities [s_g, rank, a_g].
* Local: ONE map pi_l(a_l | s_l, s_g) shared by all agents, probabilities [s_l, s_g, a_l].

Named policies: "uniform" for both players; "keep", the global action most likely to keep s_g; "stay", the local action
most likely to keep s_l.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import (
    FloatArray,
    IntArray,
    as_array,
    entries,
    first_index,
    freeze,
    integer,
    one_of,
    probability_array,
    restore_frozen,
)
from kofn.envs.files import naming_damage, read_table, write_table
from kofn.envs.histograms import columns_that_fit, n_histograms, rank_histograms
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import Game

GLOBAL_POLICY_NAMES = ("uniform", "keep")
LOCAL_POLICY_NAMES = ("uniform", "stay")

_SIZES = ("k", "n_local_states", "n_actions")


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalPolicy:
    """pi_g over (s_g, histogram of k agents).

    Args:
        table: actions, int64 [s_g, histogram], or probabilities, float [s_g, histogram, a_g]. Histograms are in rank
            order (`population.rank_histograms`).
        k: number of agents seen.
        n_local_states: |S_l|.
        n_actions: |A_g|.

    Raises:
        TypeError, ValueError: a table of the wrong shape, an action out of range, or a row that is no distribution.
    """

    table: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    k: int
    n_local_states: int
    n_actions: int

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        for size in _SIZES:
            object.__setattr__(self, size, integer(size, getattr(self, size), 1))
        n_columns = n_histograms(self.k, self.n_local_states)
        values = as_array("global policy table", self.table)
        if values.ndim == 3:
            table: npt.NDArray[np.int64] | FloatArray = probability_array(
                "global policy table", values, (None, n_columns, self.n_actions)
            )
        else:
            table = _action_table(values, n_columns, self.n_actions)
        freeze(table)
        object.__setattr__(self, "table", table)

    @property
    def deterministic(self) -> bool:
        """Whether the table holds actions."""
        return self.table.ndim == 2

    @property
    def n_global_states(self) -> int:
        """|S_g|."""
        return len(self.table)

    def probabilities(self) -> FloatArray:
        """pi_g as float [s_g, histogram, a_g]."""
        if self.deterministic:
            return np.eye(self.n_actions)[self.table.astype(np.int64)]
        return cast("FloatArray", self.table)

    def act(self, global_states: IntArray, histograms: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """Actions for a batch of observations.

        Args:
            global_states: int64 [batch].
            histograms: int64 [batch, s_l], rows summing to k (ValueError otherwise).
            rng: draws the actions of a stochastic policy; None takes the most likely action (lowest index on ties).

        Returns:
            Actions, int64 [batch].
        """
        self._check_seen(np.asarray(histograms))
        rows = entries(self.table, global_states=global_states, ranks=rank_histograms(histograms))
        if self.deterministic:
            return rows.astype(np.int64)
        if rng is None:
            return np.asarray(rows.argmax(axis=-1))
        return sample_rows(rng.random(len(rows)), cumulative_thresholds(rows.astype(np.float64)))

    def _check_seen(self, histograms: IntArray) -> None:
        """The table would answer to any histogram, but it is indexed by the ranks of those of k agents."""
        if histograms.shape[-1] != self.n_local_states:
            raise ValueError(f"histograms must have {self.n_local_states} counts; got shape {list(histograms.shape)}")
        off = histograms.sum(axis=-1) != self.k
        if off.any():
            index = first_index(off)
            raise ValueError(
                f"histograms must count the k={self.k} agents seen; row {list(index)} is {histograms[index].tolist()}"
            )

    def check_fits(self, game: Game, n_agents: int | None = None) -> None:
        """Raise ValueError unless the policy's sizes are those of the game, and k <= n_agents."""
        found = (self.n_global_states, self.n_local_states, self.n_actions)
        wanted = (game.n_global_states, game.n_local_states, game.n_global_actions)
        if found != wanted:
            raise ValueError(
                f"the global policy must match the game's (|S_g|, |S_l|, |A_g|) = {wanted}; it has {found}"
            )
        if n_agents is not None and self.k > n_agents:
            raise ValueError(f"the global policy observes k={self.k} agents, more than n_agents={n_agents}")

    @classmethod
    def constant(cls, game: Game, k: int, action: int) -> "GlobalPolicy":
        """The same action whatever is seen."""
        action = integer("action", action, 0, game.n_global_actions - 1)
        return _global_actions(game, k, np.full(game.n_global_states, action))

    @classmethod
    def named(cls, name: str, game: Game, k: int) -> "GlobalPolicy":
        """Policy "uniform" or "keep" (the action most likely to keep s_g); raises ValueError for another name."""
        one_of("global_policy", name, GLOBAL_POLICY_NAMES)
        if name == "keep":
            return _global_actions(game, k, _staying(game, "global_transition", name))
        n_columns = columns_that_fit(k, game.n_local_states, game.n_global_states * game.n_global_actions)
        shape = (game.n_global_states, n_columns, game.n_global_actions)
        return cls(
            table=np.full(shape, 1 / game.n_global_actions),
            k=k,
            n_local_states=game.n_local_states,
            n_actions=game.n_global_actions,
        )

    def save(self, path: str | Path) -> None:
        """Write to .npz or .json (by the suffix), without pickle.

        Raises:
            ValueError: another suffix.
        """
        write_table(path, "GlobalPolicy", self.table, {size: getattr(self, size) for size in _SIZES})

    @classmethod
    def load(cls, path: str | Path) -> "GlobalPolicy":
        """Read a policy written by `save`; the table is bit-equal to the one saved.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds something else.
        """
        data = read_table(path, "GlobalPolicy")
        with naming_damage(path):
            return cls(table=np.asarray(data["table"]), **{size: data[size] for size in _SIZES})


@dataclass(frozen=True, eq=False)
class LocalPolicy:
    """pi_l, shared by all local agents.

    Args:
        table: probabilities, float [s_l, s_g, a_l].

    Raises:
        TypeError, ValueError: wrong rank, or a row that is no distribution.
    """

    table: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        table = probability_array("local policy table", self.table, (None, None, None))
        freeze(table)
        object.__setattr__(self, "table", table)

    def act(self, local_states: IntArray, global_states: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """Actions of agents with states [...] under global states that broadcast to [...], int64 [...].

        Without `rng` the most likely action is taken (lowest index on ties); ValueError for states out of range.
        """
        rows = entries(self.table, local_states=local_states, global_states=global_states)
        if rng is None:
            return np.asarray(rows.argmax(axis=-1))
        return sample_rows(rng.random(rows.shape[:-1]), cumulative_thresholds(rows))

    def check_fits(self, game: Game) -> None:
        """Raise ValueError unless the policy's sizes are those of the game."""
        wanted = (game.n_local_states, game.n_global_states, game.n_local_actions)
        if self.table.shape != wanted:
            raise ValueError(
                f"the local policy must match the game's [|S_l|, |S_g|, |A_l|] = {list(wanted)}; "
                f"it has {list(self.table.shape)}"
            )

    @classmethod
    def from_actions(cls, actions: npt.ArrayLike, n_actions: int) -> "LocalPolicy":
        """The deterministic policy with actions [s_l, s_g]."""
        table = as_array("local actions", actions)
        if table.ndim != 2:
            raise ValueError(f"local actions must have 2 axes [s_l, s_g]; got shape {list(table.shape)}")
        return cls(np.eye(n_actions)[_action_table(table, table.shape[1], n_actions)])

    @classmethod
    def named(cls, name: str, game: Game) -> "LocalPolicy":
        """Policy "uniform" or "stay" (the action most likely to keep s_l); raises ValueError for another name."""
        one_of("local_policy", name, LOCAL_POLICY_NAMES)
        if name == "uniform":
            shape = (game.n_local_states, game.n_global_states, game.n_local_actions)
            return cls(np.full(shape, 1 / game.n_local_actions))
        return cls.from_actions(_staying(game, "local_transition", name), game.n_local_actions)

    def save(self, path: str | Path) -> None:
        """Write to .npz or .json (by the suffix), without pickle; raises ValueError for another suffix."""
        write_table(path, "LocalPolicy", self.table, {})

    @classmethod
    def load(cls, path: str | Path) -> "LocalPolicy":
        """Read a policy written by `save`, bit-equal; errors as in `GlobalPolicy.load`."""
        data = read_table(path, "LocalPolicy")
        with naming_damage(path):
            return cls(data["table"])


def as_global_policy(policy: GlobalPolicy | str | npt.ArrayLike, game: Game, k: int) -> GlobalPolicy:
    """A policy given as object, name or table, checked against the game and k."""
    if isinstance(policy, str):
        return GlobalPolicy.named(policy, game, k)
    if not isinstance(policy, GlobalPolicy):
        table = as_array("global policy table", policy)
        policy = GlobalPolicy(table=table, k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions)
    policy.check_fits(game)
    if policy.k != k:
        raise ValueError(f"the global policy observes k={policy.k} agents; k={k} was asked for")
    return policy


def as_local_policy(policy: LocalPolicy | str | npt.ArrayLike, game: Game) -> LocalPolicy:
    """A policy given as object, name or table, checked against the game."""
    if isinstance(policy, str):
        return LocalPolicy.named(policy, game)
    if not isinstance(policy, LocalPolicy):
        policy = LocalPolicy(as_array("local policy table", policy))
    policy.check_fits(game)
    return policy


def _staying(game: Game, table: str, policy: str) -> IntArray:
    """The action most likely to keep each state, int64 [s_g] or [s_l, s_g]; read off the transition table."""
    transition: FloatArray | None = getattr(game, table, None)
    if transition is None:
        raise ValueError(f"{policy!r} needs the game's {table}, which a {type(game).__name__} lacks; see sampled_game")
    states = np.arange(len(transition))
    return np.asarray(transition[states, ..., states].argmax(axis=-1))


def _global_actions(game: Game, k: int, actions: IntArray) -> GlobalPolicy:
    """The policy that plays actions [s_g] whatever it sees of the local agents."""
    n_columns = columns_that_fit(k, game.n_local_states, game.n_global_states)
    return GlobalPolicy(
        table=np.repeat(actions[:, None], n_columns, axis=1),
        k=k,
        n_local_states=game.n_local_states,
        n_actions=game.n_global_actions,
    )


def _action_table(values: npt.NDArray[np.generic], n_columns: int, n_actions: int) -> IntArray:
    """Check a table of actions [rows, n_columns]."""
    if values.ndim != 2 or values.shape[1] != n_columns or values.shape[0] == 0:
        raise ValueError(f"an action table must have shape [any, {n_columns}]; got {list(values.shape)}")
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"an action table must hold integers; got {values.dtype}")
    table = values.astype(np.int64)
    bad = (table < 0) | (table >= n_actions)
    if bad.any():
        index = first_index(bad)
        raise ValueError(f"actions must lie in [0, {n_actions}); entry {list(index)} is {table[index]}")
    return table
