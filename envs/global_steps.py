"""Steps of global agents of a game given as arrays: r_g(s_g, a_g), s_g' ~ P_g(. | s_g, a_g)."""

from typing import NoReturn

import numpy as np

from kofn.envs.arrays import INT64, FloatArray, IntArray, whole
from kofn.envs.deferred import loops
from kofn.envs.inversion import cumulative_thresholds


class GlobalSteps:
    """Steps of global agents.

    Args:
        transition: P_g, float [s_g, a_g, s_g'].
        reward: r_g, float [s_g, a_g].

    Attributes:
        tables: thresholds of s_g' [(s_g, a_g), outcome - 1], and r_g.
    """

    def __init__(self, transition: FloatArray, reward: FloatArray) -> None:
        # A copy: compiled code is compiled again for arrays that are read-only.
        self.tables = cumulative_thresholds(transition).reshape(reward.size, -1), reward.copy()

    def step(self, rng: np.random.Generator, s_g: IntArray, a_g: IntArray) -> tuple[FloatArray, IntArray]:
        """(r_g, s_g'), both [population].

        Args:
            rng: of moves.
            s_g: [population].
            a_g: [population].

        Raises:
            TypeError, ValueError: states or actions that are no integers in range, or another shape.
        """
        actions, states = whole("global_actions", a_g, s_g.shape), whole("global_states", s_g, s_g.shape)
        paid, moved = np.empty(len(s_g)), np.empty(len(s_g), INT64)
        part = 0, len(s_g), False, False
        bad = loops().step_global(part, rng.random(len(s_g)), actions, states, *self.tables, paid, moved)
        if bad >= 0:
            self.refuse(bad, s_g, a_g)
        return paid, moved

    def refuse(self, population: int, s_g: IntArray, a_g: IntArray) -> NoReturn:
        """Raise ValueError for a population whose global state or action is out of range."""
        n_states, n_actions = self.tables[1].shape
        raise ValueError(
            f"global states must lie in [0, {n_states}) and global actions in [0, {n_actions}); "
            f"population {population} is in state {s_g[population]} and its global agent acts {a_g[population]}"
        )
