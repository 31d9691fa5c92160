r"""SUBSAMPLE-MFQ: learning to steer k agents jointly, as a proxy for n of them (SUBSAMPLE-MFQ paper, Algorithms 1, 2).

The k agents are treated as the whole population and everybody, the global agent and the k local ones, acts on the full
view of it: the joint-control game of `central_planner`, whose Q function is found by value iteration with the
exact operator or with m samples per entry, drawn once. `mfq_execution` lets n agents execute the result (Algorithm 3).

`parameterisation` chooses the table; the optimal values are the same in all of them:

    "joint_counts"     Q(s_g, N, a_g), N the joint counts of k agents over Z_l = S_l x A_l; the smallest
    "algorithm1"       Q(s_g, s_1 .. s_k, a_g, a_1 .. a_k)
    "algorithm2"       Q(s_g, s_1, F_{z_2..z_k}, a_1, a_g)
    "paper"            the paper's rule: Algorithm 1 where |Z_l|^(k-1) <= k^|Z_l|, otherwise Algorithm 2

Of a game that can only be sampled next states come from its functions, m per entry; the law of s_g' and the rewards
are the frequencies and means of m draws per row.

Stops on the span certificate of `kofn.agents.solvers`. At k = n nothing is sampled and the result is mean-field value
iteration: the optimum of the fully centralised game of n agents.
"""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kofn.agents.global_response.g_learn import OPERATORS, Operator
from kofn.agents.joint_control.central_planner import JointControl
from kofn.agents.joint_control.joint_kernels import exact_bytes, exact_kernels, sampled_kernels
from kofn.agents.joint_control.joint_layout import Layout, layout_of
from kofn.agents.joint_control.mfq_execution import JointPolicy
from kofn.agents.operators import AUTO_DENSE_BYTES
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, integer, one_of
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.model import Sizes
from kofn.envs.streams import Seed, child, seed_sequence

Parameterisation = Literal["joint_counts", "algorithm1", "algorithm2", "paper"]
PARAMETERISATIONS = ("joint_counts", "algorithm1", "algorithm2", "paper")

ROW_STREAM = 0
"""Child of the seed for the rows that are estimated of a game that can only be sampled."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MfqResult:
    """Outcome of `subsample_mfq`.

    Attributes:
        policy: greedy joint policy of `q_values`, by (s_g, histogram of k agents).
        values: W = max Q, float [s_g, histogram of k agents].
        q_values: Q in the parameterisation's table, flattened, float [s_g, entry, a_g]. With z = x |A_l| + a an entry
            is the rank of N ("joint_counts"), (z_1, rank of the others' joint counts) ("algorithm2") or (z_1, .., z_k)
            ("algorithm1"), in row-major order.
        parameterisation: "joint_counts", "algorithm1" or "algorithm2", whichever was used.
        operator: "exact" or "monte_carlo", whichever was used.
        n_samples: m, sampled next states per entry (0: exact).
        n_iterations: operator applications.
        converged: whether the certificate met the tolerance.
        certificate: bound on the error of `values` and `q_values` against the fixed point of the operator.
        wall_time: seconds.
    """

    policy: JointPolicy
    values: FloatArray
    q_values: FloatArray
    parameterisation: str
    operator: str
    n_samples: int
    n_iterations: int
    converged: bool
    certificate: float
    wall_time: float


@checked_types
def subsample_mfq(
    game: TabularGame | GenerativeGame,
    *,
    k: int,
    operator: Operator = "auto",
    n_samples: int = 30,
    parameterisation: Parameterisation = "joint_counts",
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
    seed: Seed = None,
) -> MfqResult:
    """The optimal joint policy of the surrogate game of k agents (SUBSAMPLE-MFQ paper, Algorithms 1 and 2).

    Args:
        game: the game; one that can only be sampled takes operator "monte_carlo".
        k: number of agents steered jointly.
        operator: "exact", "monte_carlo" (m = `n_samples` fixed samples per entry), or "auto": exact while its dense
            kernels are small.
        n_samples: m.
        parameterisation: how the table writes down k agents (module docstring).
        tolerance: error allowed in the values (absolute).
        max_iterations: operator applications after which to give up; `converged` then says so.
        seed: source of the samples (monte_carlo only).

    Raises:
        TypeError, ValueError: an argument out of range, operator "exact" for a game that can only be sampled, or
            tables that do not fit into memory; the message says what to use instead.
    """
    began = time.perf_counter()
    used = _choose_parameterisation(game, k, parameterisation)
    layout = layout_of(game, k, {"joint_counts": 0, "algorithm2": 1, "algorithm1": k}[used])
    operator = _choose_operator(game, layout, operator)
    n_samples = integer("n_samples", n_samples, 1)
    n_samples = n_samples if operator == "monte_carlo" else 0
    control = _control(game, layout, n_samples, seed_sequence(seed))
    outcome = control.solve(tolerance, max_iterations)
    q_values = control.q_values(outcome.values)
    return MfqResult(
        policy=control.policy(q_values),
        values=control.histogram_values(outcome.values),
        q_values=q_values,
        parameterisation=used,
        operator=operator,
        n_samples=n_samples,
        n_iterations=outcome.n_iterations,
        converged=outcome.converged,
        certificate=outcome.certificate,
        wall_time=time.perf_counter() - began,
    )


@checked_types
def mean_field_value_iteration(
    game: TabularGame | GenerativeGame, n_agents: int, *, tolerance: float = 1e-6, max_iterations: int = 10_000
) -> MfqResult:
    """The optimum of the fully centralised game of n agents: `subsample_mfq` with k = n, exactly."""
    n_agents = integer("n_agents", n_agents, 1)
    return subsample_mfq(game, k=n_agents, operator="exact", tolerance=tolerance, max_iterations=max_iterations)


def _control(
    game: TabularGame | GenerativeGame, layout: Layout, n_samples: int, seed: np.random.SeedSequence
) -> JointControl:
    """The planner's decision process; `n_samples` = 0: exact."""
    rng = np.random.default_rng(seed)
    if isinstance(game, GenerativeGame):
        rows = sampled_game(game, n_samples, child(seed, ROW_STREAM))
        return JointControl(game=rows, layout=layout, kernels=sampled_kernels(game, layout, n_samples, rng))
    kernels = sampled_kernels(game, layout, n_samples, rng) if n_samples else exact_kernels(game, layout)
    return JointControl(game=game, layout=layout, kernels=kernels)


def _choose_parameterisation(game: Sizes, k: int, parameterisation: Parameterisation) -> str:
    """The table to use, after applying the paper's rule where it was asked for."""
    one_of("parameterisation", parameterisation, PARAMETERISATIONS)
    k = integer("k", k, 1)
    if parameterisation != "paper":
        return parameterisation
    n_pairs = game.n_local_states * game.n_local_actions
    return "algorithm1" if n_pairs ** (k - 1) <= k**n_pairs else "algorithm2"


def _choose_operator(game: TabularGame | GenerativeGame, layout: Layout, operator: Operator) -> Operator:
    """The operator to use, exact or monte_carlo."""
    one_of("operator", operator, OPERATORS)
    if isinstance(game, GenerativeGame):
        if operator == "exact":
            raise ValueError(
                "operator='exact' needs the game's probabilities, and a GenerativeGame only gives samples; use "
                "operator='monte_carlo', or sampled_game(game, m) for an estimate of its arrays"
            )
        return "monte_carlo"
    if operator != "auto":
        return operator
    return "exact" if exact_bytes(game, layout) <= AUTO_DENSE_BYTES else "monte_carlo"
