"""The exact law of the next histogram of k agents, in the form that is cheapest: a dense kernel, or shears.

A dense kernel has |Hist_k|^2 entries; shears (`symmetric_power`) take about S^2 |Hist_k| (k/S + 1) products per column
and no memory to speak of, but more work where there are many states and few agents. Either way every expectation is
exact up to rounding: where shears would not be, which is rare, the kernel is dense as long as it fits into memory, and
a warning says so.
"""

import warnings
from collections.abc import Sequence

from kofn.agents.operators import Kernel, dense_kernels_fit, exact_kernel
from kofn.agents.symmetric_power.power import UnstablePowerError, symmetric_power
from kofn.agents.symmetric_power.shears import LANES
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms
from kofn.envs.model import Sizes

DENSE_ROWS_PER_SHEAR = 16
"""Dense kernels are preferred up to this many histograms per pair of states, .."""

MAX_DENSE_ROWS = 1024
""".. and up to this many in all."""

MAX_PRODUCTS = 2**34
"""Products that one application of an exact operator may take (k = 73 on the 5-zone warehouse; some ten seconds)."""


def exact_operator(transition: FloatArray, k: int) -> Kernel:
    """Law of the next histogram when k agents move independently by `transition` [s_l, s_l'].

    Raises:
        UnstablePowerError: shears are inaccurate, and a dense kernel does not fit into memory.
    """
    if _prefers_dense(len(transition), k):
        return exact_kernel(transition, k)
    try:
        return symmetric_power(transition, k)
    except UnstablePowerError as error:
        if not dense_kernels_fit(1, len(transition), k):
            raise
        warnings.warn(f"the exact operator of {k} agents is a dense kernel, which is slower: {error}", stacklevel=2)
        return exact_kernel(transition, k)


def exact_operators(transitions: FloatArray, k: int) -> Sequence[Kernel]:
    """`exact_operator` for every s_g, of transitions [s_g, s_l, s_l']."""
    return [exact_operator(transition, k) for transition in transitions]


def _prefers_dense(n_states: int, k: int) -> bool:
    size = n_histograms(k, n_states)
    return k == 0 or n_states == 1 or size <= min(MAX_DENSE_ROWS, DENSE_ROWS_PER_SHEAR * n_states**2)


def exact_products(game: Sizes, k: int) -> int:
    """Products that expectations over s_g' and the next histogram of k agents take, for all s_g."""
    n_states, n_columns = game.n_local_states, game.n_global_states
    size = n_histograms(k, n_states)
    if _prefers_dense(n_states, k):
        return game.n_global_states * size**2 * n_columns
    lanes = LANES * -(-n_columns // LANES)
    return game.n_global_states * (n_states - 1) * size * (k + n_states) * lanes
