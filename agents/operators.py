r"""Bellman operators on the surrogate game of k agents, as small pure functions.

A fixed local policy pi_l induces one law per global state (paper, Appendix B):

    P~(y | x, s_g) = sum_a pi_l(a | x, s_g) P_l(y | x, s_g, a)        r~(x, s_g) = sum_a pi_l(a | x, s_g) r_l(x, s_g, a)

so that a histogram F of k agents moves by a kernel K_{s_g} that does not depend on a_g, and the adapted operator is

    (T Q)(s_g, F, a_g) = r_g(s_g, a_g) + <F/k, r~(., s_g)>
                         + gamma sum_{s_g'} P_g(s_g' | s_g, a_g) (K_{s_g} W(s_g', .))(F)

with W = max_a Q. K is either exact (dense) or an average over m sampled histograms (ranks, T_{k,m}); samples are drawn
once, so that T_{k,m} is one contraction with one fixed point. The expectation over s_g' is exact in both: given s_g and
a_g it is independent of F', and averaging it out only removes variance from the paper's estimator. The estimator as the
paper prints it pairs samples of s_g' and F' (`paired_look_ahead`):

    (T_{k,m} Q)(s_g, F, a_g) = r_g(s_g, a_g) + <F/k, r~(., s_g)> + (gamma/m) sum_{j <= m} W(s_g^j, F^j),

F^j depending on (s_g, F) and s_g^j on (s_g, a_g) only; whether other entries share them does not matter to the bounds,
which take a union over entries.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import matmul
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from kofn.agents.averaging_kernel import AveragingKernel, averaging_kernel
from kofn.agents.gathered_ranks import gathered_ranks, slots_of
from kofn.agents.symmetric_power.power import SymmetricPower
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.policies import LocalPolicy
from kofn.envs.population import conditional_probabilities, sample_multinomial
from kofn.envs.side_by_side import side_by_side

Kernel = FloatArray | sparse.csr_array | AveragingKernel | SymmetricPower
"""Row-stochastic matrix over histograms in rank order, [histogram, histogram'], or what applies one and its `.T`."""


class Expectation(Protocol):
    """Anything that takes the expectation of columns [observation', column] by `@`: a kernel, or a function of one."""

    def __matmul__(self, columns: FloatArray, /) -> Any:
        """Expectations [observation, column]."""


MAX_DENSE_BYTES = 2 * 2**30
"""Dense kernels of all global states together must stay below this."""

AUTO_DENSE_BYTES = 2**29
"""Above this, sampled kernels are faster than dense ones and the default where no other exact operator is to be had."""

POOL_STRETCHES = 64
"""Size of the pool behind a sampled kernel, in stretches of `n_samples` draws."""

KEY_MULTIPLIER = 0x9E3779B97F4A7C15
"""An odd 64-bit number without structure (2^64 over the golden ratio)."""


def induced_transition(game: TabularGame, local_policy: LocalPolicy) -> FloatArray:
    """P~, float [s_g, s_l, s_l']."""
    return np.asarray(np.einsum("xga,xgay->gxy", local_policy.table, game.local_transition))


def induced_reward(game: TabularGame, local_policy: LocalPolicy) -> FloatArray:
    """r~, float [s_g, s_l]."""
    return np.asarray(np.einsum("xga,xga->gx", local_policy.table, game.local_reward))


def dense_kernels_fit(n_global_states: int, n_local_states: int, k: int, limit: int = MAX_DENSE_BYTES) -> bool:
    """Whether exact kernels of k agents fit into `limit` bytes."""
    return n_global_states * n_histograms(k, n_local_states) ** 2 * 8 <= limit


def exact_kernel(transition: FloatArray, k: int) -> FloatArray:
    """Law of the next histogram when k agents move independently by `transition` [s_l, s_l'], dense.

    Built agent by agent: K_j[c, d + e_y] += transition[x, y] K_{j-1}[c - e_x, d], x the first occupied state of c.
    """
    kernel = np.ones((1, 1))
    for j in range(1, k + 1):
        kernel = add_agent(kernel, transition, j)
    return kernel


def add_agent(kernel: FloatArray, transition: FloatArray, k: int) -> FloatArray:
    """K_k from K_{k-1}."""
    n_states = len(transition)
    first, parent, successor = _neighbours(k, n_states)
    n_before, n_after = len(kernel), len(first)
    grown = np.empty((n_after, n_after))
    for x in range(n_states):
        rows = np.flatnonzero(first == x)
        # One agent in state x joins a histogram of the other k-1 as they land: column d goes to the columns d + e_y.
        joins = sparse.csr_array(
            (np.tile(transition[x], n_before), successor.ravel(), np.arange(0, n_before * n_states + 1, n_states)),
            shape=(n_before, n_after),
        )
        grown[rows] = (joins.T @ kernel[parent[rows]].T).T
    return grown


@lru_cache(maxsize=64)
def _neighbours(k: int, n_states: int) -> tuple[IntArray, IntArray, IntArray]:
    """(first occupied state x of c, rank of c - e_x) of k agents, and the ranks of d + e_y of k-1 agents."""
    histograms = enumerate_histograms(k, n_states)
    first = (histograms > 0).argmax(axis=1)
    unit = np.eye(n_states, dtype=np.int64)
    parent = rank_histograms(histograms - unit[first])
    successor = rank_histograms(enumerate_histograms(k - 1, n_states)[:, None, :] + unit)
    return first, parent, successor


def sampled_kernel(transition: FloatArray, k: int, n_samples: int, rng: np.random.Generator) -> AveragingKernel:
    """Empirical kernel of k agents: every histogram's row averages `n_samples` draws of its next histogram."""
    return averaging_kernel(sampled_successors(transition, k, n_samples, rng))


def sampled_successors(transition: FloatArray, k: int, n_samples: int, rng: np.random.Generator) -> IntArray:
    """Draws of the next histogram of every histogram of k agents, as ranks, int64 [histogram, sample]."""
    laws = conditional_probabilities(transition)

    def leave(x: int, n_draws: int) -> npt.NDArray[np.uint64]:
        leaving = np.repeat(np.arange(k + 1)[:, None], n_draws, axis=1)
        return histogram_keys(sample_multinomial(rng, leaving, laws[x]))

    return pooled_successors(leave, len(transition), k, n_samples, rng)


def pooled_successors(
    leave: Callable[[int, int], npt.NDArray[np.uint64]],
    n_states: int,
    k: int,
    n_samples: int,
    rng: np.random.Generator,
) -> IntArray:
    """Draws of the next histogram of every histogram of k agents, as ranks, int64 [histogram, sample].

    The samples of a row are independent. For speed, rows share a pool of draws: where c agents leave state x they land
    as the pool's (x, c) entries say, and each row reads a stretch of the pool from a random place of its own. Bounds
    for the empirical operator take a union over rows and hold whatever the dependence between them.

    Args:
        leave: (x, n_draws) -> `histogram_keys` of where c agents that leave x together land, uint64 [c, draw] for
            c = 0..k. Draws are independent; the entries of one draw need not be, as a row reads only one of them.
        n_states: |S_l|.
        k: number of agents.
        n_samples: draws per row.
        rng: places of the stretches.
    """
    histograms, keys, slots = _keyed_histograms(k, n_states)
    size = len(histograms)
    pool_size = n_samples * min(POOL_STRETCHES, size)
    pools = np.empty((n_states, k + 1, pool_size), dtype=np.uint64)
    places = np.empty((n_states, size), dtype=np.int64)
    for x in range(n_states):
        pools[x] = leave(x, pool_size)
        places[x] = rng.integers(pool_size, size=size)
    ranks = np.empty((size, n_samples), dtype=np.int64)
    gathered_ranks(pools, histograms, places, keys, slots, ranks)
    return ranks


@lru_cache(maxsize=64)
def _keyed_histograms(k: int, n_states: int) -> tuple[IntArray, npt.NDArray[np.uint64], IntArray]:
    """Histograms of k agents in rank order, their keys, and the ranks by slot (see `gathered_ranks`)."""
    histograms = enumerate_histograms(k, n_states)
    keys = histogram_keys(histograms)
    assert len(np.unique(keys)) == len(keys), "two histograms share a key"
    return histograms, keys, slots_of(keys, len(keys).bit_length() + 1)


def histogram_keys(histograms: IntArray) -> npt.NDArray[np.uint64]:
    """Keys of count vectors [..., s_l] with key(c + d) = key(c) + key(d) modulo 2^64, uint64 [...].

    The odd multiplier makes equal keys of different histograms unlikely; whoever relies on that checks it.
    """
    weights = np.cumprod(np.full(histograms.shape[-1], KEY_MULTIPLIER, dtype=np.uint64))
    keys: npt.NDArray[np.uint64] = (histograms.astype(np.uint64) @ weights).astype(np.uint64, copy=False)
    return keys


def surrogate_reward(game: TabularGame, local_policy: LocalPolicy, k: int) -> FloatArray:
    """r_D: r_g(s_g, a_g) + <F/k, r~(., s_g)>, float [s_g, histogram, a_g]."""
    return mean_field_reward(game.global_reward, induced_reward(game, local_policy), k)


def mean_field_reward(global_reward: FloatArray, local_reward: FloatArray, k: int) -> FloatArray:
    """r_D, float [s_g, histogram, a_g], from r_g [s_g, a_g] and r~ [s_g, s_l]."""
    frequencies = enumerate_histograms(k, local_reward.shape[1]) / k
    local_part = local_reward @ frequencies.T
    return global_reward[:, None, :] + local_part[:, :, None]


def expected_next(kernels: Sequence[Expectation], values: FloatArray) -> FloatArray:
    """E[values(s_g', F') | s_g, F] for every s_g', float [s_g, histogram, s_g'], from values [s_g', histogram]."""
    columns = np.ascontiguousarray(values.T)
    return np.stack(side_by_side([partial(matmul, kernel, columns) for kernel in kernels], columns.size))


def look_ahead(values: FloatArray, kernels: Sequence[Expectation], global_transition: FloatArray) -> FloatArray:
    """E[values(s_g', F') | s_g, F, a_g], float [s_g, histogram, a_g], from values [s_g', histogram]."""
    ahead: FloatArray = expected_next(kernels, values) @ global_transition.swapaxes(1, 2)
    return ahead


def paired_look_ahead(values: FloatArray, successors: Sequence[IntArray], global_samples: IntArray) -> FloatArray:
    """(1/m) sum_j values(s_g^j, F^j), float [s_g, histogram, a_g].

    Args:
        values: float [s_g', histogram].
        successors: F^j as ranks, one int64 [histogram, sample] per s_g.
        global_samples: s_g^j, int64 [s_g, a_g, sample].
    """
    means = [
        np.stack([values[states, ranks].mean(axis=1) for states in of_actions], axis=1)
        for ranks, of_actions in zip(successors, global_samples, strict=True)
    ]
    return np.stack(means)


def bellman_operator(
    q_values: FloatArray,
    rewards: FloatArray,
    kernels: Sequence[Expectation],
    global_transition: FloatArray,
    discount: float,
) -> FloatArray:
    """T Q, float [s_g, histogram, a_g] (the adapted operator of the module docstring)."""
    ahead = partial(look_ahead, kernels=kernels, global_transition=global_transition)
    return backed_up(q_values, rewards, ahead, discount)


def backed_up(
    q_values: FloatArray, rewards: FloatArray, ahead: Callable[[FloatArray], FloatArray], discount: float
) -> FloatArray:
    """Any Bellman operator of this module: `action_values` of max_a Q, [s_g, observation, a_g]."""
    return action_values(best_values(q_values), rewards, ahead, discount)


def best_values(q_values: FloatArray) -> FloatArray:
    """max_a Q, float [s_g, observation], one action after another: numpy is slow along short axes."""
    best: FloatArray = q_values[..., 0].copy()
    for action in range(1, q_values.shape[-1]):
        np.maximum(best, q_values[..., action], out=best)
    return best


def action_values(
    values: FloatArray, rewards: FloatArray, ahead: Callable[[FloatArray], FloatArray], discount: float
) -> FloatArray:
    """Rewards + discount * ahead(values), float [s_g, observation, a_g].

    Args:
        values: float [s_g', observation'].
        rewards: float [s_g, observation, a_g].
        ahead: values [s_g', observation'] -> their expectation, float [s_g, observation, a_g].
        discount: gamma.
    """
    result = ahead(values)
    result *= discount
    result += rewards
    return result
