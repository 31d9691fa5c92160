r"""G-LEARN: the global agent's response to a fixed local policy (paper, Section 4 and Appendix B).

The k sampled agents are treated as the whole population: the surrogate MDP has states (s_g, F), F the histogram of k
agents, rewards r_D and the adapted Bellman operator T (exact) or T_{k,m} (m samples per entry, drawn once). Its fixed
point Q gives the policy

    pi_g(s_g, F) = the lowest action a with Q(s_g, F, a) >= max Q - 1e-9,

the tolerance because symmetric games have exact ties. Value iteration stops on the span certificate of
`kofn.agents.solvers`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from kofn.agents.operators import (
    AUTO_DENSE_BYTES,
    Kernel,
    bellman_operator,
    dense_kernels_fit,
    exact_kernel,
    induced_transition,
    sampled_kernel,
    surrogate_reward,
)
from kofn.agents.solvers import FixedPoint, value_iteration
from kofn.envs.arrays import FloatArray, integer, one_of
from kofn.envs.game import TabularGame
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import n_histograms
from kofn.envs.streams import Seed, seed_sequence

Operator = Literal["auto", "exact", "monte_carlo"]
OPERATORS = ("auto", "exact", "monte_carlo")
TIE_TOLERANCE = 1e-9
MAX_TABLE_ENTRIES = 2**26
"""Histograms times global states and actions that a Q table may hold."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GLearnResult:
    """Outcome of `g_learn`.

    Attributes:
        policy: greedy policy of `q_values`.
        q_values: float [s_g, histogram, a_g].
        operator: "exact" or "monte_carlo", whichever was used.
        n_samples: m, sampled next histograms per entry (0: exact).
        n_iterations: operator applications.
        converged: whether the certificate met the tolerance.
        certificate: bound on |q_values - fixed point of the operator|.
        wall_time: seconds.
    """

    policy: GlobalPolicy
    q_values: FloatArray
    operator: str
    n_samples: int
    n_iterations: int
    converged: bool
    certificate: float
    wall_time: float


def g_learn(
    game: TabularGame,
    local_policy: LocalPolicy,
    *,
    k: int,
    operator: Operator = "auto",
    n_samples: int = 30,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
    seed: Seed = None,
) -> GLearnResult:
    """Greedy policy of the surrogate game of k agents (paper, Algorithm G-LEARN, histogram form).

    Args:
        game: the game.
        local_policy: pi_l, held fixed.
        k: number of agents the global agent sees.
        operator: "exact", "monte_carlo" (T_{k,m} with m = `n_samples` fixed samples), or "auto": exact while its dense
            kernels are small.
        n_samples: m.
        tolerance: error allowed in Q (absolute, in units of value).
        max_iterations: operator applications after which to give up; `converged` then says so.
        seed: source of the samples (monte_carlo only).

    Raises:
        TypeError, ValueError: an argument out of range, a policy of another game, or tables that do not fit into
            memory; the message says what to use instead.
    """
    began = time.perf_counter()
    local_policy.check_fits(game)
    operator = choose_operator(game, k, operator)
    n_samples = integer("n_samples", n_samples, 1) if operator == "monte_carlo" else 0
    rng = np.random.default_rng(seed_sequence(seed))
    kernels = surrogate_kernels(game, local_policy, k, n_samples, rng)
    fixed_point = _solve(game, kernels, surrogate_reward(game, local_policy, k), tolerance, max_iterations)
    return GLearnResult(
        policy=greedy_policy(fixed_point.values, game, k),
        q_values=fixed_point.values,
        operator=operator,
        n_samples=n_samples,
        n_iterations=fixed_point.n_iterations,
        converged=fixed_point.converged,
        certificate=fixed_point.certificate,
        wall_time=time.perf_counter() - began,
    )


def _solve(
    game: TabularGame, kernels: Sequence[Kernel], rewards: FloatArray, tolerance: float, max_iterations: int
) -> FixedPoint:
    """Fixed point of the adapted operator, from Q = 0."""
    operator = partial(
        bellman_operator,
        rewards=rewards,
        kernels=kernels,
        global_transition=game.global_transition,
        discount=game.discount,
    )
    start = np.zeros_like(rewards)
    return value_iteration(operator, start, game.discount, tolerance=tolerance, max_iterations=max_iterations)


def choose_operator(game: TabularGame, k: int, operator: Operator) -> Operator:
    """The operator to use, exact or monte_carlo, after checking that its tables fit into memory."""
    one_of("operator", operator, OPERATORS)
    columns = check_table(game, k)
    fits = dense_kernels_fit(game.n_global_states, game.n_local_states, k)
    if operator == "exact" and not fits:
        gigabytes = game.n_global_states * columns**2 * 8 / 2**30
        raise ValueError(
            f"operator='exact' needs {gigabytes:.1f} GiB of kernels at k={k} ({columns} histograms); "
            "use operator='monte_carlo' or a smaller k"
        )
    if operator == "auto":
        small = dense_kernels_fit(game.n_global_states, game.n_local_states, k, AUTO_DENSE_BYTES)
        return "exact" if small else "monte_carlo"
    return operator


def check_table(game: TabularGame, k: int) -> int:
    """Number of histograms of k agents, after checking that a table over them fits into memory."""
    columns = n_histograms(integer("k", k, 1), game.n_local_states)
    entries = game.n_global_states * columns * game.n_global_actions
    if entries > MAX_TABLE_ENTRIES:
        raise ValueError(
            f"k={k} needs a table of {entries} entries ({columns} histograms), more than {MAX_TABLE_ENTRIES}; "
            "use a smaller k (SubsampleObservation(env, k) limits what the global agent sees)"
        )
    return columns


def surrogate_kernels(
    game: TabularGame, local_policy: LocalPolicy, k: int, n_samples: int, rng: np.random.Generator
) -> Sequence[Kernel]:
    """One kernel over histograms of k agents per global state: exact for `n_samples` = 0, otherwise sampled."""
    transitions = induced_transition(game, local_policy)
    if n_samples == 0:
        return [exact_kernel(transition, k) for transition in transitions]
    return [sampled_kernel(transition, k, n_samples, rng) for transition in transitions]


def greedy_policy(q_values: FloatArray, game: TabularGame, k: int) -> GlobalPolicy:
    """The lowest action within 1e-9 of the best in every (s_g, histogram)."""
    best = q_values >= q_values.max(axis=2, keepdims=True) - TIE_TOLERANCE
    return GlobalPolicy(
        table=best.argmax(axis=2), k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions
    )
