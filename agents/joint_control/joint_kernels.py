r"""Where k agents under joint control land: the law of the next state for every entry of a `Layout`.

Given joint counts N over Z_l = S_l x A_l and s_g, the agents move independently. The law of the histogram in which they
land is built agent by agent,

    L_j[N, d + e_y] += P_l(y | z, s_g) L_{j-1}[N - e_z, d],   z the first occupied pair of N,

and agents written one by one multiply it by their own rows of P_l. The empirical operator of the SUBSAMPLE-MFQ paper
replaces the law by m samples per (s_g, N), drawn once; every ordering of the same agents shares them, without which a
sampled Q would depend on the ordering.
"""

import numpy as np
from scipy import sparse

from kofn.agents.joint_control.joint_layout import Layout
from kofn.agents.operators import MAX_DENSE_BYTES, Kernel
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.population import (
    conditional_probabilities,
    enumerate_histograms,
    n_histograms,
    rank_histograms,
    sample_multinomial,
)


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


def sampled_kernels(game: TabularGame, layout: Layout, n_samples: int, rng: np.random.Generator) -> list[Kernel]:
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
        moves = game.local_transition[:, s_g].reshape(layout.n_pairs, -1)
        landed = layout.state_of_histogram[_sample_landing(joint_counts, moves, n_samples, rng)]
        columns = landed[rank_of_entry].ravel()
        kernels.append(sparse.csr_array((weights, columns, starts), shape=(layout.n_entries, layout.n_states)))
    return kernels


def _sample_landing(joint_counts: IntArray, moves: FloatArray, n_samples: int, rng: np.random.Generator) -> IntArray:
    """Ranks of the histograms in which the agents of `joint_counts` [row, z] land, int64 [row, sample]."""
    landed = np.zeros((len(joint_counts), n_samples, moves.shape[1]), dtype=np.int64)
    for z, law in enumerate(conditional_probabilities(moves)):
        rows = np.flatnonzero(joint_counts[:, z])
        leaving = np.repeat(joint_counts[rows, z, None], n_samples, axis=1)
        landed[rows] += sample_multinomial(rng, leaving, law)
    return rank_histograms(landed)
