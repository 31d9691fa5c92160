"""The game of k agents under a fixed local policy, as G-LEARN solves it: rewards, and expectations over next states.

The expectation is one of those of `operators`, `tuples` and `rounded`. A generative oracle gives the same two things
from samples (`oracle_operator`). Observations are named by the rank of their histogram, or are tuples for the exact
operator over tuples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from kofn.agents.averaging_kernel import averaging_kernel
from kofn.agents.exact_operator import exact_operators
from kofn.agents.global_response.averaged_operator import RewardTable, TabularPayments, averaged_reward
from kofn.agents.global_response.g_learn_plan import GLearnPlan
from kofn.agents.global_response.rounded import rounded_kernel
from kofn.agents.global_response.tuples import TupleKernel, sampled_tuple_successors
from kofn.agents.operators import (
    Expectation,
    induced_transition,
    look_ahead,
    paired_look_ahead,
    sampled_successors,
    surrogate_reward,
)
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.policies import LocalPolicy

Ahead = Callable[[FloatArray], FloatArray]
"""values [s_g', observation'] -> their expectation after (s_g, observation, a_g)."""


class Surrogate(Protocol):
    """The surrogate game."""

    def rewards(self, n_draws: int | None, n_samples: int, rng: np.random.Generator) -> RewardTable:
        """r_D, averaged over `n_draws` random tables, or for None its means, of `n_samples` draws if unknown."""

    def ahead(self, plan: GLearnPlan, rng: np.random.Generator) -> Ahead:
        """The expectation over next states; where it is sampled, by samples drawn now."""


@dataclass(frozen=True, eq=False)
class TabularSurrogate:
    """The surrogate of a tabular game.

    Args:
        game: the game.
        local_policy: pi_l.
        k: number of agents.
    """

    game: TabularGame
    local_policy: LocalPolicy
    k: int

    def rewards(self, n_draws: int | None, n_samples: int, rng: np.random.Generator) -> RewardTable:  # noqa: ARG002  # means are known
        """See `Surrogate`."""
        if n_draws is None:
            return RewardTable(values=surrogate_reward(self.game, self.local_policy, self.k))
        payments = TabularPayments(self.game)
        values = averaged_reward(payments, self.game.n_global_actions, self.local_policy, self.k, n_draws, rng)
        return RewardTable(values=values, n_draws=n_draws, n_averages=values.size, spread=payments.spread)

    def ahead(self, plan: GLearnPlan, rng: np.random.Generator) -> Ahead:
        """See `Surrogate`."""
        laws = induced_transition(self.game, self.local_policy)
        if plan.operator == "monte_carlo":
            sample = sampled_tuple_successors if plan.as_tuples else sampled_successors
            successors = [sample(law, self.k, plan.n_samples, rng) for law in laws]
            if plan.paired:
                return partial(
                    paired_look_ahead,
                    successors=successors,
                    global_samples=self._global_samples(plan.n_samples, rng),
                )
            kernels: Sequence[Expectation] = [averaging_kernel(ranks) for ranks in successors]
        elif plan.operator == "rounded":
            kernels = [rounded_kernel(law, self.k) for law in laws]
        elif plan.as_tuples:
            kernels = [TupleKernel(law, self.k) for law in laws]
        else:
            kernels = exact_operators(laws, self.k)
        return partial(look_ahead, kernels=kernels, global_transition=self.game.global_transition)

    def _global_samples(self, n_samples: int, rng: np.random.Generator) -> IntArray:
        """Draws of s_g', int64 [s_g, a_g, sample]."""
        thresholds = cumulative_thresholds(self.game.global_transition)[:, :, None, :]
        return sample_rows(rng.random((*thresholds.shape[:2], n_samples)), thresholds)
