"""Steps of a game given as functions, agent by agent (see `dynamics`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray, whole_below
from kofn.envs.crowd_laws import refuse_no_laws
from kofn.envs.dynamics import Draws, Outcome, Outcomes, means
from kofn.envs.inversion import cumulative_thresholds, sample_rows

BLOCK = 1 << 18
"""Agents of a crowd drawn at once where every agent is drawn, bounding memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledDynamics:
    """Steps of a game given as four functions of a generator and equal-shaped int arrays.

    Args:
        sample_global: (rng, s_g, a_g) -> s_g'.
        sample_local: (rng, s_l, s_g, a_l) -> s_l'.
        pay_global: (rng, s_g, a_g) -> r_g.
        pay_local: (rng, s_l, s_g, a_l) -> r_l.
        n_actions: |A_g| and |A_l|.
    """

    sample_global: Callable[..., npt.NDArray[Any]]
    sample_local: Callable[..., npt.NDArray[Any]]
    pay_global: Callable[..., npt.NDArray[Any]]
    pay_local: Callable[..., npt.NDArray[Any]]
    n_actions: tuple[int, int]

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """See `Dynamics`."""
        a_g = whole_below("global_actions", a_g, s_g.shape, self.n_actions[0])
        return self.pay_global(draws.rewards, s_g, a_g), self.sample_global(draws.moves, s_g, a_g)

    def step_local(
        self,
        draws: Draws,
        s_l: IntArray,
        s_g: IntArray,
        a_l: IntArray,
        *,
        seen: IntArray,
        out: Outcome | None = None,  # noqa: ARG002  # the functions bring their own arrays
        sums: FloatArray | None = None,
    ) -> Outcome:
        """See `Dynamics`."""
        a_l = whole_below("local_actions", a_l, s_l.shape, self.n_actions[1])
        paid = self.pay_local(draws.rewards, s_l, s_g, a_l)
        if sums is not None:
            sums[...] = paid.sum(axis=-1)
        return paid, self.sample_local(draws.moves, s_l, seen, a_l)

    def step_crowds(
        self,
        draws: tuple[Draws, Draws],
        s_g: IntArray,
        counts: IntArray,
        a_g: IntArray,
        choices: FloatArray,
        *,
        follow: bool,
        late: bool,
    ) -> Outcomes:
        """See `Dynamics`; every agent is drawn, `BLOCK` at a time."""
        refuse_no_laws(choices, None if follow else counts > 0)
        paid_global, moved_global = self.step_global(draws[0], s_g, a_g)
        seen = moved_global if late else s_g
        n_cells, n_states = counts.size, counts.shape[1]
        ends = counts.ravel().cumsum()
        thresholds = cumulative_thresholds(choices.swapaxes(0, 1) if follow else choices)
        totals, moved = np.zeros(len(counts)), np.zeros(n_cells, dtype=np.int64)
        for first in range(0, int(ends[-1]), BLOCK):
            agents = np.arange(first, min(first + BLOCK, int(ends[-1])))
            population, s_l = np.divmod(np.searchsorted(ends, agents, side="right"), n_states)
            follows = s_g[population] if follow else population
            a_l = sample_rows(draws[1].moves.random(len(agents)), thresholds[follows, s_l])
            paid, next_states = self.step_local(draws[1], s_l, s_g[population], a_l, seen=seen[population])
            totals += np.bincount(population, paid, len(counts))
            moved += np.bincount(population * n_states + next_states, minlength=n_cells)
        return paid_global, moved_global, means(totals, counts.sum(axis=1)), moved.reshape(counts.shape)
