"""Steps of crowds of a game given as arrays: what the compiled loops of `crowd_kernel` read, and their checks."""

from functools import cache, cached_property, partial
from types import ModuleType
from typing import NoReturn

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.crowd_laws import LastLaws, Laws, laws_of
from kofn.envs.inversion import cumulative_thresholds

STEP_WORK = 4
"""What it takes to draw who takes an action and where they go, beside one of the numbers `side_by_side` counts."""

INT64 = np.dtype(np.int64)

Stepped = tuple[FloatArray, IntArray, FloatArray, IntArray, IntArray]
"""`crowd_kernel.Stepped`."""


class CrowdSteps:
    """Steps of crowds.

    Args:
        global_transition: P_g, float [s_g, a_g, s_g'].
        local_transition: P_l, float [s_l, s_g, a_l, s_l'].
        global_reward: r_g, float [s_g, a_g].
        local_reward: r_l, float [s_l, s_g, a_l].
    """

    def __init__(
        self,
        *,
        global_transition: FloatArray,
        local_transition: FloatArray,
        global_reward: FloatArray,
        local_reward: FloatArray,
    ) -> None:
        self._local_transition = local_transition
        # Copies: compiled code is compiled again for arrays that are read-only.
        self._global = cumulative_thresholds(global_transition).reshape(global_reward.size, -1), global_reward.copy()
        self._local_reward = local_reward.copy()
        self._choices = LastLaws()

    @cached_property
    def _moves(self) -> Laws:
        """Laws of s_l', rows (s_l, s_g, a_l)."""
        return laws_of(self._local_transition.reshape(self._local_reward.size, -1))

    def step(
        self,
        rngs: tuple[np.random.Generator, np.random.Generator],
        s_g: IntArray,
        a_g: IntArray,
        counts: IntArray,
        choices: FloatArray,
        ways: tuple[bool, bool],
    ) -> Stepped:
        """One step of whole populations.

        Args:
            rngs: for global and for local moves.
            s_g: [population].
            a_g: [population].
            counts: local agents by state [population, s_l].
            choices: laws of actions [s_l, s_g, a_l] or [population, s_l, a_l].
            ways: whether it is the first, one policy for all, and whether local agents move with the new global state.

        Raises:
            TypeError, ValueError: global states or actions that are no integers in range, or another shape.
        """
        loops, size, (n_states, n_global, n_actions) = _loops(), len(s_g), self._local_reward.shape
        wanted = (n_states if ways[0] else size, n_global if ways[0] else n_states, n_actions)
        if choices.shape != wanted or counts.shape != (size, n_states) or a_g.shape != s_g.shape:
            _refuse_shapes(s_g, a_g, counts, choices, wanted, follow=ways[0])
        laws = self._choices.of(choices) if ways[0] else laws_of(choices.reshape(-1, n_actions), with_blocks=False)
        given = rngs[0].random(size), _whole("actions", a_g), _whole("states", s_g), _whole("counts", counts)
        acting = np.empty((size * n_states, n_actions), INT64)
        out = np.empty(size), np.empty(size, INT64), np.empty(size), np.empty((size, n_states), INT64), acting
        rest = given, self._global, (laws, self._moves), self._local_reward, out
        key, work = loops.new_key(rngs[1]), acting.size * STEP_WORK
        if work < loops.WORTH_THREADS:
            bad = loops.step_crowds(key, (0, size, *ways), *rest)
        else:
            parts = [(part.start, part.stop, *ways) for part in loops.parts(size)]
            bad = max(loops.side_by_side([partial(loops.step_crowds, key, part, *rest) for part in parts], work))
        if bad >= 0:
            raise ValueError(
                f"global states must lie in [0, {n_global}) and global actions in [0, {self._global[1].shape[1]}); "
                f"population {bad} is in state {s_g[bad]} and its global agent acts {a_g[bad]}"
            )
        return out


@cache
def _loops() -> ModuleType:
    from kofn.envs import loops  # noqa: PLC0415  # loads numba

    return loops


def _whole(name: str, values: IntArray) -> IntArray:
    """Integers as int64 in one stretch that may be written to: other kinds would be compiled for again."""
    if values.dtype is INT64 and values.flags.carray:
        return values
    if values.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got {values.dtype}")
    return np.array(values, dtype=np.int64)


def _refuse_shapes(
    s_g: IntArray, a_g: IntArray, counts: IntArray, choices: FloatArray, wanted: tuple[int, ...], *, follow: bool
) -> NoReturn:
    if a_g.shape != s_g.shape:
        raise ValueError(f"global actions must have shape [n_populations] = {list(s_g.shape)}; got {list(a_g.shape)}")
    if choices.shape != wanted:
        axes = "[s_l, s_g, a_l]" if follow else "[n_populations, s_l, a_l]"
        raise ValueError(f"choices must have shape {axes} = {list(wanted)}; got {list(choices.shape)}")
    raise ValueError(f"counts must have shape [n_populations, s_l]; got {list(counts.shape)}")
