r"""How one step pays and moves, behind one interface for games given as arrays and games given as functions.

    r_g(s_g, a_g),  s_g' ~ P_g(. | s_g, a_g)          r_l(s_i, s_g, a_i),  s_i' ~ P_l(. | s_i, s_g, a_i)

A crowd is n agents that follow one policy pi_l, kept as the counts c_x = #{i : s_i = x}, a Markov chain of its own.
With arrays its step is drawn exactly at a cost that does not depend on n: N[x, a] ~ Multinomial(c_x, pi_l(. | x, s_g))
agents take action a in state x, Multinomial(N[x, a], P_l(. | x, s_g, a)) of them move, and stochastic rewards are
multinomial sums. With functions the n agents are drawn one by one, in blocks: O(n) time, bounded memory.

Rewards are drawn from a generator of their own, so that stochastic rewards leave every move as it is. The loops over
agents and counts are compiled (`agent_kernel`, `crowd_kernel`), with random streams named by 256 bits that each step
takes from the generator of moves.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray

Outcome = tuple[FloatArray, IntArray]
"""Rewards paid, and next states (or counts)."""

Outcomes = tuple[FloatArray, IntArray, FloatArray, IntArray]
"""r_g, s_g', mean of r_l [population], and next counts [population, s_l]."""


@dataclass(frozen=True)
class Draws:
    """Where one kind of step takes its randomness from: one generator for moves, one for rewards."""

    moves: np.random.Generator
    rewards: np.random.Generator


class Dynamics(Protocol):
    """One step of a game's parts."""

    def step_global(self, draws: Draws, s_g: IntArray, a_g: IntArray) -> Outcome:
        """(r_g, s_g'), both [n_populations]."""

    def step_local(
        self,
        draws: Draws,
        s_l: IntArray,
        s_g: IntArray,
        a_l: IntArray,
        *,
        seen: IntArray,
        out: Outcome | None = None,
        sums: FloatArray | None = None,
    ) -> Outcome:
        """(r_l, s_l') of agents [..., agent], paid at `s_g` and moving with `seen`, which broadcast to `s_l`.

        `out` are arrays that may be overwritten with the result, `sums` [...] is filled in with sums of r_l.
        ValueError for a state or action out of range.
        """

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
        """One step of whole populations; ValueError for what is out of range.

        Args:
            draws: of global and of local agents.
            s_g: [population].
            counts: local agents by state, int64 [population, s_l].
            a_g: [population].
            choices: laws of local actions, float [s_l, s_g, a_l], or [population, s_l, a_l] unless they `follow`.
            follow: whether all local agents follow one policy.
            late: whether local agents move with the new global state.
        """


def means(totals: npt.NDArray[Any], n_agents: IntArray) -> FloatArray:
    """[population], 0 without agents."""
    return np.asarray(totals / np.maximum(n_agents, 1), dtype=np.float64)
