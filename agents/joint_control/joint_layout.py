r"""How k agents under joint control are written down: one by one, as counts, or some of each.

With Z_l = S_l x A_l and z = x |A_l| + a, a `Layout` writes the first j agents one by one and counts the others:

    entry   (z_1, .., z_j, joint counts over Z_l of the others)      what everybody does, and where
    state   (x_1, .., x_j, histogram over S_l of the others)         where everybody is

j = 0 gives joint counts, the smallest table; j = 1 the table of the SUBSAMPLE-MFQ paper's Algorithm 2, which tells
agent 1 apart; j = k that of its Algorithm 1. Both are numbered in row-major order.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from kofn.agents.global_response.g_learn import MAX_TABLE_ENTRIES
from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.model import Sizes


@dataclass(frozen=True, kw_only=True)
class Layout:
    """k agents, the first `n_ordered` written one by one and the others as counts.

    Attributes:
        k: number of agents.
        n_ordered: j.
        n_local_states: |S_l|.
        n_local_actions: |A_l|.
    """

    k: int
    n_ordered: int
    n_local_states: int
    n_local_actions: int

    @property
    def n_pairs(self) -> int:
        """|Z_l|."""
        return self.n_local_states * self.n_local_actions

    @property
    def n_entries(self) -> int:
        """Number of joint (states, actions) of the k agents."""
        return prod(self._shape(self.n_pairs))

    @property
    def n_states(self) -> int:
        """Number of joint states of the k agents."""
        return prod(self._shape(self.n_local_states))

    @cached_property
    def counts(self) -> IntArray:
        """Joint counts of all k agents in every entry, int64 [entry, z]."""
        *ordered, counted = np.indices(self._shape(self.n_pairs)).reshape(self.n_ordered + 1, -1)
        counts = enumerate_histograms(self.k - self.n_ordered, self.n_pairs)[counted]
        for z in ordered:
            counts[np.arange(len(counts)), z] += 1
        return counts

    @cached_property
    def state_of_entry(self) -> IntArray:
        """The state in which an entry's actions are taken, int64 [entry]."""
        *ordered, counted = np.indices(self._shape(self.n_pairs)).reshape(self.n_ordered + 1, -1)
        marginals = self._marginals(enumerate_histograms(self.k - self.n_ordered, self.n_pairs))
        parts = (*(z // self.n_local_actions for z in ordered), rank_histograms(marginals)[counted])
        return np.ravel_multi_index(parts, self._shape(self.n_local_states))

    @cached_property
    def histogram_of_entry(self) -> IntArray:
        """Rank of the histogram of all k agents' states, int64 [entry]."""
        return rank_histograms(self._marginals(self.counts))

    @cached_property
    def representatives(self) -> IntArray:
        """One entry for each joint count in rank order, that with the agents sorted, int64 [joint count]."""
        return np.unique(rank_histograms(self.counts), return_index=True)[1]

    @cached_property
    def state_of_histogram(self) -> IntArray:
        """One state for each histogram in rank order, that with the agents sorted, int64 [histogram]."""
        _, first = np.unique(self.histogram_of_entry, return_index=True)
        return self.state_of_entry[first]

    def best(self, scores: FloatArray) -> FloatArray:
        """Maximum of `scores` [s_g, entry] over the actions in each state, [s_g, state]."""
        order, starts = self._actions_by_state
        best: FloatArray = np.maximum.reduceat(scores[:, order], starts, axis=1)
        return best

    @cached_property
    def _actions_by_state(self) -> tuple[IntArray, IntArray]:
        """Entries sorted by their state, and where each state's begin."""
        order = np.argsort(self.state_of_entry, kind="stable")
        return order, np.searchsorted(self.state_of_entry[order], np.arange(self.n_states))

    def _shape(self, n_kinds: int) -> tuple[int, ...]:
        return *(n_kinds,) * self.n_ordered, n_histograms(self.k - self.n_ordered, n_kinds)

    def _marginals(self, counts: IntArray) -> IntArray:
        """Histograms [.., s_l] of joint counts [.., z]."""
        return np.asarray(counts.reshape(-1, self.n_local_states, self.n_local_actions).sum(axis=2))


def layout_of(game: Sizes, k: int, n_ordered: int = 0) -> Layout:
    """The layout of k agents of a game.

    Raises:
        TypeError, ValueError: k is no integer, below 1, or needs a table that does not fit into memory.
    """
    layout = Layout(
        k=integer("k", k, 1),
        n_ordered=n_ordered,
        n_local_states=game.n_local_states,
        n_local_actions=game.n_local_actions,
    )
    entries = game.n_global_states * layout.n_entries * game.n_global_actions
    if entries > MAX_TABLE_ENTRIES:
        smaller = " or parameterisation='joint_counts'" if n_ordered else ""
        raise ValueError(
            f"joint control of {k} agents needs a table of {entries} entries, more than {MAX_TABLE_ENTRIES}; "
            f"use fewer agents{smaller}"
        )
    return layout
