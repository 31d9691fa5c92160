"""Steps of crowds of a game given as arrays: what the compiled loops of `crowd_kernel` read, and their checks."""

from functools import cached_property, partial
from typing import NoReturn

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.crowd_laws import Laws, laws_of, policy_laws
from kofn.envs.global_steps import INT64, GlobalSteps, loops, refuse_shape, whole

STEP_WORK = 4
"""What it takes to draw who takes an action and where they go, beside one of the numbers `side_by_side` counts."""

Stepped = tuple[FloatArray, IntArray, FloatArray, IntArray, IntArray]
"""`crowd_kernel.Stepped`."""


class CrowdSteps:
    """Steps of crowds.

    Args:
        global_steps: of the global agents.
        local_transition: P_l, float [s_l, s_g, a_l, s_l'].
        local_reward: r_l, float [s_l, s_g, a_l].
    """

    def __init__(self, global_steps: GlobalSteps, local_transition: FloatArray, local_reward: FloatArray) -> None:
        self._global, self._local_transition = global_steps, local_transition
        self._local_reward = local_reward.copy()  # compiled code is compiled again for arrays that are read-only

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
        size, policy_shape = len(s_g), self._local_reward.shape
        n_states, _, n_actions = policy_shape
        wanted = policy_shape if ways[0] else (size, n_states, n_actions)
        if choices.shape != wanted or counts.shape != (size, n_states) or a_g.shape != s_g.shape:
            _refuse_shapes(s_g, a_g, counts, choices, wanted, follow=ways[0])
        laws = policy_laws(choices) if ways[0] else laws_of(choices.reshape(-1, n_actions), with_blocks=False)
        given = rngs[0].random(size), whole("actions", a_g), whole("states", s_g), whole("counts", counts)
        acting = np.empty((size * n_states, n_actions), INT64)
        out = np.empty(size), np.empty(size, INT64), np.empty(size), np.empty((size, n_states), INT64), acting
        rest = given, self._global.tables, (laws, self._moves), self._local_reward, out
        compiled, work = loops(), acting.size * STEP_WORK
        key = compiled.new_key(rngs[1])
        if work < compiled.WORTH_THREADS:
            bad = compiled.step_crowds(key, (0, size, *ways), *rest)
        else:
            parts = [(part.start, part.stop, *ways) for part in compiled.parts(size)]
            bad = max(compiled.side_by_side([partial(compiled.step_crowds, key, part, *rest) for part in parts], work))
        if bad >= 0:
            self._global.refuse(bad, s_g, a_g)
        return out


def _refuse_shapes(
    s_g: IntArray, a_g: IntArray, counts: IntArray, choices: FloatArray, wanted: tuple[int, ...], *, follow: bool
) -> NoReturn:
    if a_g.shape != s_g.shape:
        refuse_shape(s_g, a_g)
    if choices.shape != wanted:
        axes = "[s_l, s_g, a_l]" if follow else "[n_populations, s_l, a_l]"
        raise ValueError(f"choices must have shape {axes} = {list(wanted)}; got {list(choices.shape)}")
    raise ValueError(f"counts must have shape [n_populations, s_l]; got {list(counts.shape)}")
