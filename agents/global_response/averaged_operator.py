r"""The averaged operator for stochastic rewards (paper, Appendix F).

A surrogate reward is then random: r_D = r_g + (1/k) sum_i r_l(x_i, s_g, a_i), with r_g and the k local rewards drawn
independently and a_i ~ pi_l(. | x_i, s_g). With Xi independent draws the paper iterates

    Q <- (1/Xi) sum_{xi <= Xi} T^{rand,xi}_{k,m} Q.

The summands differ in their rewards only (their next-state samples are shared), and the reward enters each of them as
an added constant. Their average therefore IS the operator T_{k,m} with the average of the Xi reward tables, which is
how it is computed here: a gamma-contraction with one fixed point Q^rand. With probability at least 1-delta

    |Q^rand - Q^est|  <=  (D_g + D_l)/(1-gamma) sqrt( ln(2N/delta) / (2 Xi) ),

where D_g + D_l is the width of an interval that holds r_D in each of the N entries (Hoeffding; a contraction turns an
error of the reward into 1/(1-gamma) times as much between fixed points).

Entries share draws: c_x agents in state x are paid the first c_x of k independent draws for (s_g, x), whatever the
others do. Within an entry all draws are independent, and the bound takes a union over entries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kofn.agents.bounds.stochastic_rewards import hoeffding_reward_noise
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.policies import LocalPolicy

DRAWS_AT_ONCE = 2**20
"""Local rewards drawn in one go: bounds the working memory."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RewardTable:
    """A table of r_D, and how it was found.

    Attributes:
        values: float [s_g, histogram, a_g].
        n_draws: Xi, draws behind each average (0: the means are known).
        n_averages: number of averages; N where every entry has one of its own.
        spread: D_g + D_l.
    """

    values: FloatArray
    n_draws: int = 0
    n_averages: int = 0
    spread: float = 0.0

    def noise(self, discount: float, delta: float) -> float:
        """The bound of the module docstring on what drawing rewards does to Q; 0 where the means are known."""
        if self.n_draws == 0:
            return 0.0
        return hoeffding_reward_noise(self.n_draws, self.spread, discount, log(2 * self.n_averages / delta))


class Payments(Protocol):
    """Draws of rewards; index arrays have equal shapes."""

    @property
    def pay_global(self) -> Callable[[np.random.Generator, IntArray, IntArray], npt.NDArray[Any]]:
        """(rng, s_g, a_g) -> draws of r_g."""

    @property
    def pay_local(self) -> Callable[[np.random.Generator, IntArray, IntArray, IntArray], npt.NDArray[Any]]:
        """(rng, s_l, s_g, a_l) -> draws of r_l."""


@dataclass(frozen=True, eq=False)
class TabularPayments:
    """Rewards of a tabular game: drawn where it has a law for them, else those of its table."""

    game: TabularGame

    def pay_global(self, rng: np.random.Generator, s_g: IntArray, a_g: IntArray) -> FloatArray:
        """Draws of r_g."""
        law = self.game.global_reward_law
        return self.game.global_reward[s_g, a_g] if law is None else law.sample(rng, s_g, a_g)

    def pay_local(self, rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> FloatArray:
        """Draws of r_l."""
        law = self.game.local_reward_law
        return self.game.local_reward[s_l, s_g, a_l] if law is None else law.sample(rng, s_l, s_g, a_l)

    @property
    def spread(self) -> float:
        """D_g + D_l. Without a law of r_l only the action is random; without a law of r_g nothing is."""
        global_law, local_law = self.game.global_reward_law, self.game.local_reward_law
        global_spread = 0.0 if global_law is None else global_law.spread
        over_actions = float(np.ptp(self.game.local_reward, axis=2).max())
        return global_spread + (over_actions if local_law is None else local_law.spread)


def averaged_reward(
    payments: Payments, n_global_actions: int, local_policy: LocalPolicy, k: int, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """Average of `n_draws` tables of random surrogate rewards of k agents, float [s_g, histogram, a_g].

    Args:
        payments: draws of rewards.
        n_global_actions: |A_g|.
        local_policy: pi_l, draws the agents' actions.
        k: number of agents.
        n_draws: Xi.
        rng: source of the draws.
    """
    n_local, n_global, _ = local_policy.table.shape
    s_g, a_g, _ = np.indices((n_global, n_global_actions, n_draws))
    global_part = payments.pay_global(rng, s_g, a_g).mean(axis=2)
    sums = _averaged_sums(payments, local_policy, k, n_draws, rng)
    histograms = enumerate_histograms(k, n_local)
    local_part = sums[:, np.arange(n_local), histograms].sum(axis=2) / k
    total: FloatArray = global_part[:, None, :] + local_part[:, :, None]
    return total


def _averaged_sums(
    payments: Payments, local_policy: LocalPolicy, k: int, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """What the first c of k agents in state x are paid in all, averaged over draws, float [s_g, s_l, c], c = 0..k."""
    n_local, n_global, _ = local_policy.table.shape
    totals = np.zeros((n_global, n_local, k))
    block = max(1, DRAWS_AT_ONCE // totals.size)
    for first in range(0, n_draws, block):
        s_g, s_l, *_ = np.indices((*totals.shape, min(block, n_draws - first)))
        totals += payments.pay_local(rng, s_l, s_g, local_policy.act(s_l, s_g, rng)).sum(axis=3)
    return np.pad(np.cumsum(totals, axis=2) / n_draws, ((0, 0), (0, 0), (1, 0)))
