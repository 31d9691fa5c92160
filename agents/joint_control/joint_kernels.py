r"""Where k agents under joint control land: the law of the next state for every entry of a `Layout`.

Given joint counts N over Z_l = S_l x A_l and s_g, the agents move independently. The law of the histogram in which they
land is built agent by agent,

    L_j[N, d + e_y] += P_l(y | z, s_g) L_{j-1}[N - e_z, d],   z the first occupied pair of N,

and agents written one by one multiply it by their own rows of P_l. The empirical operator of the SUBSAMPLE-MFQ paper
replaces the law by m samples per (s_g, N), drawn once; every ordering of the same agents shares them, without which a
sampled Q would depend on the ordering.

A game that can only be sampled gives the samples itself: for every pair z a pool of m times k agents is drawn, and the
j-th sample of any N lets its N_z agents land where the first N_z of the j-th k draws do. Entries share draws, which
leaves each of them m independent samples.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from kofn.agents.joint_control.joint_layout import Layout
from kofn.agents.operators import MAX_DENSE_BYTES, Kernel
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.population import conditional_probabilities, sample_multinomial


def exact_bytes(game: TabularGame, layout: Layout) -> int:
    """Memory of the exact kernels."""
    return game.n_global_states * layout.n_entries * layout.n_states * 8


def exact_kernels(game: TabularGame, layout: Layout) -> list[Kernel]:
    """Law of the next state for every entry, one dense matrix [entry, state'] per s_g.

    Raises:
        ValueError: they do not fit into memory.
    """
    size = exact_bytes(game, layout)
    if size > MAX_DENSE_BYTES:
        raise ValueError(
            f"exact joint control of {layout.k} agents needs {size / 2**30:.1f} GiB of kernels "
            f"({layout.n_entries} joint counts by {layout.n_states} states), more than {MAX_DENSE_BYTES / 2**30:.0f}; "
            "use fewer agents, or operator='monte_carlo' in subsample_mfq"
        )
    kernels: list[Kernel] = []
    for s_g in range(game.n_global_states):
        moves = game.local_transition[:, s_g].reshape(layout.n_pairs, -1)
        kernel = landing_kernel(moves, layout.k - layout.n_ordered)
        for _ in range(layout.n_ordered):
            kernel = np.asarray(np.kron(moves, kernel), dtype=np.float64)
        kernels.append(kernel)
    return kernels


def landing_kernel(moves: FloatArray, k: int) -> FloatArray:
    """Law of the histogram in which k agents land, by the joint counts they leave from, float [joint count, histogram].

    Args:
        moves: P_l(y | z), float [z, s_l'].
        k: number of agents.
    """
    n_pairs, n_states = moves.shape
    kernel = np.ones((1, 1))
    for j in range(1, k + 1):
        leaving = enumerate_histograms(j, n_pairs)
        first = (leaving > 0).argmax(axis=1)
        others = kernel[rank_histograms(leaving - np.eye(n_pairs, dtype=np.int64)[first])]
        joined = rank_histograms(enumerate_histograms(j - 1, n_states)[:, None] + np.eye(n_states, dtype=np.int64))
        kernel = np.zeros((len(leaving), n_histograms(j, n_states)))
        for y in range(n_states):
            kernel[:, joined[:, y]] += moves[first, y, None] * others
    return kernel


Arrivals = Callable[[int, IntArray], IntArray]
"""(z, agents [row, sample]) -> where these agents of the pair z land, int64 [row, sample, s_l']."""


def sampled_kernels(
    game: TabularGame | GenerativeGame, layout: Layout, n_samples: int, rng: np.random.Generator
) -> list[Kernel]:
    """As `exact_kernels`, with `n_samples` draws of the next state for every s_g and joint counts, sparse.

    Raises:
        ValueError: they do not fit into memory.
    """
    size = game.n_global_states * layout.n_entries * n_samples * 16
    if size > MAX_DENSE_BYTES:
        raise ValueError(
            f"n_samples={n_samples} for joint control of {layout.k} agents needs {size / 2**30:.1f} GiB of samples "
            f"({layout.n_entries} joint counts), more than {MAX_DENSE_BYTES / 2**30:.0f}; use fewer samples or agents"
        )
    joint_counts = enumerate_histograms(layout.k, layout.n_pairs)
    rank_of_entry = rank_histograms(layout.counts)
    starts = np.arange(0, layout.n_entries * n_samples + 1, n_samples)
    weights = np.full(layout.n_entries * n_samples, 1 / n_samples)
    kernels: list[Kernel] = []
    for s_g in range(game.n_global_states):
        if isinstance(game, GenerativeGame):
            arrivals = _arrivals_from_oracle(game, s_g, layout, n_samples, rng)
        else:
            arrivals = _arrivals_by_rows(game.local_transition[:, s_g].reshape(layout.n_pairs, -1), rng)
        landed = layout.state_of_histogram[_sample_landing(joint_counts, arrivals, n_samples, layout.n_local_states)]
        columns = landed[rank_of_entry].ravel()
        kernels.append(sparse.csr_array((weights, columns, starts), shape=(layout.n_entries, layout.n_states)))
    return kernels


def _sample_landing(joint_counts: IntArray, arrivals: Arrivals, n_samples: int, n_states: int) -> IntArray:
    """Ranks of the histograms in which the agents of `joint_counts` [row, z] land, int64 [row, sample]."""
    landed = np.zeros((len(joint_counts), n_samples, n_states), dtype=np.int64)
    for z in range(joint_counts.shape[1]):
        rows = np.flatnonzero(joint_counts[:, z])
        landed[rows] += arrivals(z, np.repeat(joint_counts[rows, z, None], n_samples, axis=1))
    return rank_histograms(landed)


def _arrivals_by_rows(moves: FloatArray, rng: np.random.Generator) -> Arrivals:
    """Agents of z land by the row `moves` [z, s_l']."""
    laws = conditional_probabilities(moves)
    return lambda z, leaving: sample_multinomial(rng, leaving, laws[z])


def _arrivals_from_oracle(
    oracle: GenerativeGame, s_g: int, layout: Layout, n_samples: int, rng: np.random.Generator
) -> Arrivals:
    """Agents of z land where the first of k draws did, sample by sample."""
    units = np.eye(oracle.n_local_states, dtype=np.int64)

    def arrivals(z: int, leaving: IntArray) -> IntArray:
        x, a = divmod(z, layout.n_local_actions)
        drawn = (layout.k, n_samples)
        landed = oracle.sample_local(rng, np.full(drawn, x), np.full(drawn, s_g), np.full(drawn, a))
        pool = np.pad(np.cumsum(units[landed], axis=0), ((1, 0), (0, 0), (0, 0)))
        found: IntArray = pool[leaving, np.arange(n_samples)]
        return found

    return arrivals
