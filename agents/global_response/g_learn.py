r"""G-LEARN: the global agent's response to a fixed local policy (paper, Section 4 and Appendix B).

The k sampled agents are treated as the whole population: the surrogate MDP has states (s_g, F), F the histogram of k
agents, rewards r_D and the adapted Bellman operator T (exact) or T_{k,m} (m samples per entry). Its fixed point Q gives
the policy

    pi_g(s_g, F) = the lowest action a with Q(s_g, F, a) >= max Q - 1e-9 r~/(1-gamma),

the tolerance because symmetric games have exact ties. Samples are drawn once, so that T_{k,m} is one contraction with
one fixed point, and value iteration stops on the span certificate of `kofn.agents.solvers`. Variants:

* table over tuples of agents instead of histograms (`tuples`), the papers' "standard" parameterisation: the same Q;
* fresh samples in every sweep: no fixed point. The sweeps stop once gamma^t r~/(1-gamma), what more of them could take
  off the error, is within the tolerance; what the samples of the last sweeps leave remains (`g_learn_theory`);
* s_g' sampled and paired with the agents' samples, as printed, rather than averaged over exactly (`operators`);
* a game that can only be sampled (`oracle_operator`), and stochastic rewards (`averaged_operator`);
* next histograms rounded instead of sampled, the authors' heuristic (`rounded`).
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Unpack

import numpy as np

from kofn.agents.exact_operator import exact_operators
from kofn.agents.global_response.g_learn_config import GLearnConfig, GLearnOptions
from kofn.agents.global_response.g_learn_plan import (
    MAX_TABLE_ENTRIES,
    OPERATORS,
    GLearnPlan,
    Operator,
    check_table,
    choose_operator,
    make_plan,
)
from kofn.agents.global_response.g_learn_theory import GLearnTheory, theory_of
from kofn.agents.global_response.oracle_operator import OracleSurrogate
from kofn.agents.global_response.surrogate import Surrogate, TabularSurrogate
from kofn.agents.global_response.tuples import expand, sorted_positions
from kofn.agents.operators import Kernel, action_values, backed_up, best_values, induced_transition, sampled_kernel
from kofn.agents.solvers import FixedPoint, iterate_afresh, value_iteration
from kofn.agents.symmetric_power.power import UnstablePowerError
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, freeze, restore_frozen
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.model import Game, Sizes
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

__all__ = [
    "MAX_TABLE_ENTRIES",
    "OPERATORS",
    "TIE_TOLERANCE",
    "GLearnResult",
    "Operator",
    "check_table",
    "choose_operator",
    "g_learn",
    "greedy_policy",
    "surrogate_kernels",
]

TIE_TOLERANCE = 1e-9
REWARD_STREAM = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class GLearnResult:
    """Outcome of `g_learn`; its arrays are read-only.

    Attributes:
        policy: greedy policy of `q_values`.
        q_values: float [s_g, histogram, a_g].
        tuple_q_values: float [s_g, x_1, .., x_k, a_g] if the table was over tuples, else None.
        operator: "exact", "monte_carlo" or "rounded", whichever was used.
        parameterisation: "histogram" or "tuple", whichever was used.
        n_samples: m, sampled next states per entry (0: none).
        n_iterations: operator applications.
        converged: whether the certificate met the tolerance; never with fresh samples in every sweep.
        certificate: bound on |q_values - fixed point of the operator|; nan where samples are drawn in every sweep, as
            there is no fixed point then.
        theory: what the theorems ask for, and the error that they grant the samples used.
        config: the settings asked for.
        wall_time: seconds.
    """

    policy: GlobalPolicy
    q_values: FloatArray
    tuple_q_values: FloatArray | None
    operator: str
    parameterisation: str
    n_samples: int
    n_iterations: int
    converged: bool
    certificate: float
    theory: GLearnTheory
    config: GLearnConfig
    wall_time: float

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Freeze: the driver hands out one response more than once."""
        for table in (self.q_values, self.tuple_q_values):
            if table is not None:
                freeze(table)

    def summary(self) -> str:
        """What was done and how far it can be trusted, beside the theorems' numbers, on a few lines."""
        samples = f", m = {self.n_samples} samples per entry" if self.n_samples else ""
        afresh = self.config.resample == "each_sweep"
        error = "with fresh samples each" if afresh else f"within {self.certificate:.3g} of the operator's fixed point"
        return (
            f"G-LEARN, k = {self.theory.k}: {self.operator} operator on {self.parameterisation}s{samples}\n"
            f"{'converged' if self.converged else 'stopped'} after {self.n_iterations} sweeps, {error}\n"
            f"{self.theory}"
        )


@checked_types
def g_learn(
    game: TabularGame | GenerativeGame,
    local_policy: LocalPolicy,
    *,
    k: int,
    seed: Seed = None,
    **options: Unpack[GLearnOptions],
) -> GLearnResult:
    """Greedy policy of the surrogate game of k agents (paper, Algorithm G-LEARN).

    Args:
        game: a `TabularGame`, or a `GenerativeGame`, which is sampled only.
        local_policy: pi_l, held fixed.
        k: number of agents the global agent sees.
        seed: source of all samples. Rewards are drawn from a stream of their own: the same seed gives the same next
            states whatever the rewards.
        **options: fields of `GLearnConfig`.

    Raises:
        TypeError, ValueError: an argument out of range, a policy of another game, or tables or samples that do not fit
            into memory; the message says what to use instead.
    """
    began = time.perf_counter()
    settings = GLearnConfig(**options)
    plan = make_plan(game, k, settings)
    local_policy.check_fits(game)
    root = seed_sequence(seed)
    surrogate = _surrogate(game, local_policy, k)
    reward_rng = np.random.default_rng(child(root, REWARD_STREAM))
    rewards = surrogate.rewards(settings.reward_samples, plan.n_samples, reward_rng)
    table = expand(rewards.values, k, game.n_local_states) if plan.solves_tuples else rewards.values
    solve = partial(_solve, surrogate, table, game.discount, settings.tolerance, root)
    try:
        fixed_point = solve(plan)
    except UnstablePowerError as error:
        plan = _sampled_instead(error, game, k, settings)
        fixed_point = solve(plan)
    q_values, tuple_q_values = _tables(fixed_point.values, game, k, plan)
    return GLearnResult(
        policy=greedy_policy(q_values, game, k, TIE_TOLERANCE * (game.value_bound or 1.0)),
        q_values=q_values,
        tuple_q_values=tuple_q_values,
        operator=plan.operator,
        parameterisation="tuple" if plan.as_tuples else "histogram",
        n_samples=plan.n_samples,
        n_iterations=fixed_point.n_iterations,
        converged=fixed_point.converged,
        certificate=fixed_point.certificate,
        theory=theory_of(game, k, plan, settings.delta, rewards),
        config=settings,
        wall_time=time.perf_counter() - began,
    )


def _sampled_instead(error: UnstablePowerError, game: Game, k: int, settings: GLearnConfig) -> GLearnPlan:
    """The plan to sample, with a warning, unless the exact operator was asked for."""
    if settings.operator == "exact":
        raise error
    warnings.warn(f"operator='monte_carlo' is used, as no exact one is accurate: {error}", stacklevel=3)
    return make_plan(game, k, replace(settings, operator="monte_carlo"))


def _surrogate(game: Game, local_policy: LocalPolicy, k: int) -> Surrogate:
    if isinstance(game, GenerativeGame):
        return OracleSurrogate(game, local_policy, k)
    assert isinstance(game, TabularGame)  # the plan was made for one of the two
    return TabularSurrogate(game, local_policy, k)


def _solve(
    surrogate: Surrogate,
    rewards: FloatArray,
    discount: float,
    tolerance: float,
    root: np.random.SeedSequence,
    plan: GLearnPlan,
) -> FixedPoint:
    """Fixed point of the adapted operator, or its last iterate where it is drawn in every sweep."""
    rng = np.random.default_rng(root)
    # Q = 0 once negative rewards are shifted up to zero, which the theorems assume.
    least = min(0.0, rewards.min()) / (1 - discount)

    def operator() -> Callable[[FloatArray], FloatArray]:
        return partial(backed_up, rewards=rewards, ahead=surrogate.ahead(plan, rng), discount=discount)

    if plan.afresh:
        return iterate_afresh(operator, np.full_like(rewards, least), plan.max_iterations)
    return value_iteration(
        partial(action_values, rewards=rewards, ahead=surrogate.ahead(plan, rng), discount=discount),
        np.full(rewards.shape[:2], least),
        discount,
        reduce=best_values,
        window=plan.window,
        tolerance=tolerance,
        max_iterations=plan.max_iterations,
    )


def _tables(values: FloatArray, game: Sizes, k: int, plan: GLearnPlan) -> tuple[FloatArray, FloatArray | None]:
    """(Q over histograms, Q over tuples or None) from the table that was solved for."""
    if not plan.as_tuples:
        return values, None
    n_states = game.n_local_states
    over_tuples = values if plan.solves_tuples else expand(values, k, n_states)
    shape = (game.n_global_states, *(n_states,) * k, game.n_global_actions)
    return over_tuples[:, sorted_positions(k, n_states)], over_tuples.reshape(shape)


def surrogate_kernels(
    game: TabularGame, local_policy: LocalPolicy, k: int, n_samples: int, rng: np.random.Generator
) -> Sequence[Kernel]:
    """One kernel over histograms of k agents per global state: exact for `n_samples` = 0, otherwise sampled."""
    transitions = induced_transition(game, local_policy)
    if n_samples == 0:
        return exact_operators(transitions, k)
    return [sampled_kernel(transition, k, n_samples, rng) for transition in transitions]


def greedy_policy(q_values: FloatArray, game: Sizes, k: int, tie: float = TIE_TOLERANCE) -> GlobalPolicy:
    """The lowest action within `tie` of the best in every (s_g, histogram)."""
    best = q_values >= q_values.max(axis=2, keepdims=True) - tie
    return GlobalPolicy(
        table=best.argmax(axis=2), k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions
    )
