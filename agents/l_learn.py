r"""L-LEARN: the fleet's response to a fixed global policy (paper, Section 4 and Algorithm 2).

The paper's solver works on a chain of N = k replicas that the global agent observes in full; the fleet's policy sees
(s_l, s_g) only and is shared by all agents. `method="shared_cpi"` solves exactly that restricted problem to first order
(see `shared_policy`); the deviation is shared: all agents adopt the new policy at once (Definition 2.4).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from kofn.agents.g_learn import Operator, choose_operator, surrogate_kernels
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.operators import Kernel
from kofn.agents.shared_policy import shared_cpi
from kofn.envs.arrays import integer, one_of, positive
from kofn.envs.game import TabularGame
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, seed_sequence

Method = Literal["shared_cpi"]
METHODS = ("shared_cpi",)


@dataclass(frozen=True, eq=False, kw_only=True)
class LLearnResult:
    """Outcome of `l_learn`.

    Attributes:
        policy: the fleet's new policy.
        value: Phi on the k-agent chain under it: a surrogate value, never an estimate of the deployed one.
        method: how it was found.
        deviation: "shared" (all agents adopt it) or "tagged" (one does).
        operator: "exact" or "monte_carlo", whichever was used.
        n_samples: m, sampled next histograms per entry (0: exact).
        n_iterations: accepted improvement steps.
        converged: whether the certificate met the tolerance.
        certificate: first-order gap <tau - pi_l, dPhi/dpi_l> at the end, in units of value. With monte_carlo it is an
            estimate: the chains of k and k-1 agents are sampled separately.
        wall_time: seconds.
    """

    policy: LocalPolicy
    value: float
    method: str
    deviation: str
    operator: str
    n_samples: int
    n_iterations: int
    converged: bool
    certificate: float
    wall_time: float


def l_learn(
    game: TabularGame,
    global_policy: GlobalPolicy,
    *,
    start: LocalPolicy | None = None,
    method: Method = "shared_cpi",
    operator: Operator = "auto",
    n_samples: int = 30,
    tolerance: float = 1e-5,
    max_iterations: int = 200,
    seed: Seed = None,
) -> LLearnResult:
    """The fleet's response on the chain of k = `global_policy.k` agents.

    Args:
        game: the game.
        global_policy: pi_g, held fixed.
        start: pi_l to improve; omitted: uniform.
        method: "shared_cpi".
        operator: "exact", "monte_carlo" (kernels averaged over `n_samples` fixed samples) or "auto": exact while its
            dense kernels are small.
        n_samples: m.
        tolerance: first-order gap at which to stop, as a fraction of r~/(1-gamma).
        max_iterations: improvement steps after which to give up; `converged` then says so.
        seed: source of the samples (monte_carlo only).

    Raises:
        TypeError, ValueError: an argument out of range, a policy of another game, or tables that do not fit into
            memory.
    """
    began = time.perf_counter()
    global_policy.check_fits(game)
    one_of("method", method, METHODS)
    start = start if start is not None else LocalPolicy.named("uniform", game)
    start.check_fits(game)
    operator = choose_operator(game, global_policy.k, operator)
    n_samples = integer("n_samples", n_samples, 1) if operator == "monte_carlo" else 0
    model = _Model(game, global_policy, n_samples, seed_sequence(seed))
    outcome = shared_cpi(
        model.chain,
        partial(model.kernels, global_policy.k - 1),
        start,
        tolerance=positive("tolerance", tolerance) * game.value_bound,
        max_iterations=integer("max_iterations", max_iterations, 1),
    )
    return LLearnResult(
        policy=outcome.chain.local_policy,
        value=outcome.chain.potential,
        method=method,
        deviation="shared",
        operator=operator,
        n_samples=n_samples,
        n_iterations=outcome.n_iterations,
        converged=outcome.converged,
        certificate=outcome.gap,
        wall_time=time.perf_counter() - began,
    )


@dataclass(frozen=True, eq=False)
class _Model:
    """Kernels and chains of local policies; sampled kernels restart from one seed, so that they are comparable."""

    game: TabularGame
    global_policy: GlobalPolicy
    n_samples: int
    seed: np.random.SeedSequence

    def kernels(self, n_agents: int, local_policy: LocalPolicy) -> Sequence[Kernel]:
        """Kernels of `n_agents` agents under a local policy."""
        rng = np.random.default_rng(self.seed)
        return surrogate_kernels(self.game, local_policy, n_agents, self.n_samples, rng)

    def chain(self, local_policy: LocalPolicy) -> LumpedChain:
        """The chain of k agents under a local policy."""
        kernels = self.kernels(self.global_policy.k, local_policy)
        return LumpedChain(self.game, self.global_policy, local_policy, kernels, self.global_policy.k)
