"""Steps of crowds of a game given as arrays: what the compiled loops of `crowd_kernel` read, and their checks."""

from functools import cached_property, partial
from typing import NoReturn

import numpy as np

from kofn.envs.arrays import INT64, FloatArray, IntArray, whole
from kofn.envs.crowd_laws import Laws, laws_of, policy_laws, refuse_no_laws
from kofn.envs.deferred import loops
from kofn.envs.global_steps import GlobalSteps

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
        if choices.shape != wanted:
            _refuse_shape(choices, wanted, follow=ways[0])
        given = (
            rngs[0].random(size),
            whole("global_actions", a_g, s_g.shape),
            whole("global_states", s_g, s_g.shape),
            whole("counts", counts, (size, n_states)),
        )
        laws = policy_laws(choices) if ways[0] else self._own_laws(choices, counts)
        acting = np.empty((size * n_states, n_actions), INT64)
        out = np.empty(size), np.empty(size, INT64), np.empty(size), np.empty((size, n_states), INT64), acting
        rest = given, self._global.tables, (laws, self._moves), self._local_reward, out
        compiled, work = loops(), acting.size * STEP_WORK
        key = compiled.new_key(rngs[1])
        if work < compiled.WORTH_THREADS:
            bad = compiled.step_crowds(key, (0, size, *ways), *rest)
        else:
            parts = [(part.start, part.stop, *ways) for part in compiled.parts(size)]
            tasks = [partial(compiled.step_crowds, key, part, *rest) for part in parts]
            bad = next((found for found in compiled.side_by_side(tasks, work) if found >= 0), -1)
        if bad >= 0:
            self._global.refuse(bad, s_g, a_g)
        return out

    def _own_laws(self, choices: FloatArray, counts: IntArray) -> Laws:
        """Laws of every population's agents [population, s_l, a_l]; rows of empty states are not read."""
        refuse_no_laws(choices, counts > 0)
        return laws_of(choices.reshape(-1, choices.shape[-1]), with_blocks=False)


def _refuse_shape(choices: FloatArray, wanted: tuple[int, ...], *, follow: bool) -> NoReturn:
    axes = "[s_l, s_g, a_l]" if follow else "[n_populations, s_l, a_l]"
    raise ValueError(f"choices must have shape {axes} = {list(wanted)}; got {list(choices.shape)}")
