r"""The empirical operator from a generative oracle: a game that can be sampled but whose probabilities are not known.

`GenerativeGame` answers s_g' ~ P_g(. | s_g, a_g), s_l' ~ P_l(. | s_l, s_g, a_l) and the two rewards for any state and
action. G-LEARN needs no more (paper, Algorithm G-LEARN):

* next histograms: k agents each draw a_i ~ pi_l(. | x_i, s_g), then s_i' from the oracle. They are shared between
  histograms as in `operators.pooled_successors`: c agents who leave state x land where the first c of k draws do. A
  table of N histograms takes |S_g||S_l| k pools of draws rather than N m k calls.
* s_g^j: m draws per (s_g, a_g), paired with the j-th next histogram.
* rewards: the mean of some draws for every (s_g, a_g) and (s_l, s_g, a_l), exact where payments are certain.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from kofn.agents.global_response.averaged_operator import RewardTable, averaged_reward
from kofn.agents.global_response.g_learn_plan import GLearnPlan
from kofn.agents.global_response.surrogate import Ahead
from kofn.agents.operators import histogram_keys, mean_field_reward, paired_look_ahead, pooled_successors
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.generative import GenerativeGame
from kofn.envs.policies import LocalPolicy


@dataclass(frozen=True, eq=False)
class OracleSurrogate:
    """The game of k agents under a local policy, seen through an oracle only (a `Surrogate`).

    Args:
        oracle: the game.
        local_policy: pi_l.
        k: number of agents.
    """

    oracle: GenerativeGame
    local_policy: LocalPolicy
    k: int

    def ahead(self, plan: GLearnPlan, rng: np.random.Generator) -> Ahead:
        """See `Surrogate`."""
        return partial(
            paired_look_ahead,
            successors=self._successors(plan.n_samples, rng),
            global_samples=self._global_samples(plan.n_samples, rng),
        )

    def _successors(self, n_samples: int, rng: np.random.Generator) -> list[IntArray]:
        """Draws of the next histogram, one int64 [histogram, sample] of ranks per s_g."""
        n_states = self.oracle.n_local_states
        unit_keys = histogram_keys(np.eye(n_states, dtype=np.int64))

        def of(s_g: int) -> IntArray:
            def leave(x: int, n_draws: int) -> npt.NDArray[np.uint64]:
                landed = self._moved(np.full((self.k, n_draws), x), np.full((self.k, n_draws), s_g), rng)
                joined = np.cumsum(unit_keys[landed], axis=0, dtype=np.uint64)
                return np.pad(joined, ((1, 0), (0, 0)))

            return pooled_successors(leave, n_states, self.k, n_samples, rng)

        return [of(s_g) for s_g in range(self.oracle.n_global_states)]

    def _moved(self, s_l: IntArray, s_g: IntArray, rng: np.random.Generator) -> IntArray:
        """One step of agents that follow the local policy."""
        return np.asarray(self.oracle.sample_local(rng, s_l, s_g, self.local_policy.act(s_l, s_g, rng)))

    def _global_samples(self, n_samples: int, rng: np.random.Generator) -> IntArray:
        """s_g^j, int64 [s_g, a_g, sample]."""
        s_g, a_g, _ = np.indices((self.oracle.n_global_states, self.oracle.n_global_actions, n_samples))
        return np.asarray(self.oracle.sample_global(rng, s_g, a_g))

    def rewards(self, n_draws: int | None, n_samples: int, rng: np.random.Generator) -> RewardTable:
        """r_D by `n_draws` random tables, or for None by means of `n_samples` payments each."""
        oracle = self.oracle
        spread = float(np.ptp(oracle.global_reward_bounds) + np.ptp(oracle.local_reward_bounds))
        if n_draws is None:
            n_means = oracle.n_global_states * oracle.n_global_actions + self.local_policy.table.size
            means = self._mean_rewards(n_samples, rng)
            return RewardTable(values=means, n_draws=n_samples, n_averages=n_means, spread=spread)
        values = averaged_reward(oracle, oracle.n_global_actions, self.local_policy, self.k, n_draws, rng)
        return RewardTable(values=values, n_draws=n_draws, n_averages=values.size, spread=spread)

    def _mean_rewards(self, n_draws: int, rng: np.random.Generator) -> FloatArray:
        """r_D from the mean payment of every (s_g, a_g) and (s_l, s_g, a_l), float [s_g, histogram, a_g]."""
        s_g, a_g, _ = np.indices((self.oracle.n_global_states, self.oracle.n_global_actions, n_draws))
        global_reward = self.oracle.pay_global(rng, s_g, a_g).mean(axis=2)
        s_l, s_g, a_l, _ = np.indices((*self.local_policy.table.shape, n_draws))
        local_reward = self.oracle.pay_local(rng, s_l, s_g, a_l).mean(axis=3)
        induced = np.einsum("xga,xga->gx", self.local_policy.table, local_reward)
        return mean_field_reward(global_reward, np.asarray(induced), self.k)
