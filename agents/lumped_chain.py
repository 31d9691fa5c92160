r"""The lumped chain of N agents under a pair of policies: values, occupancies, and the gradient in the local policy.

States are (s_g, c), c the histogram of all N agents. The global agent sees k of them, drawn afresh: it plays a with
probability alpha(a | s_g, c) = sum_F O(F | c) pi_g(a | s_g, F), O the channel of `observation_channel`. N = k is the
surrogate game, N = n the deployed one. With kernels K_{s_g} of the local side, and s_g', c' independent given (s_g, c):

    R(s_g, c)  = sum_a alpha r_g(s_g, a) + <c/N, r~(., s_g)>
    (P V)(s_g, c) = sum_{s_g'} P_g^pi(s_g' | s_g, c) (K_{s_g} V(s_g', .))(c)
    V = (I - gamma P)^{-1} R,   d = (I - gamma P^T)^{-1} rho,   Phi = <rho, V>

The derivative of Phi in the policy that ALL agents share is (checked against finite differences in the tests)

    G(x, s_g, a) = sum_c d(s_g, c) c_x [ r_l(x, s_g, a)/N + gamma sum_y P_l(y | x, s_g, a) U(s_g, c, x, y) ],
    U(s_g, c, x, y) = sum_{s_g'} P_g^pi(s_g' | s_g, c) sum_o K_{s_g}^{N-1}(o | c - e_x) V(s_g', o + e_y),

and in pi_g it is sum_c d(s_g, c) O(F | c) Q(s_g, c, a_g). The kernel of N-1 agents is not needed where P~, the law
of one agent at s_g, can be inverted, as one of N agents moves like the others:

    K_{s_g}^N V(s_g', o + e_z) = sum_y P~(y | z) sum_{o'} K_{s_g}^{N-1}(o' | o) V(s_g', o' + e_y).

Both linear systems are solved by LU factors in a small chain and by GMRES in a large one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from operator import matmul

import numpy as np
import numpy.typing as npt
from scipy.linalg import lu_factor, lu_solve
from scipy.sparse.linalg import LinearOperator, gmres

from kofn.agents.exact_operator import MAX_PRODUCTS, exact_operators, exact_products
from kofn.agents.observation_channel import Channel, lift, project
from kofn.agents.one_thread import one_blas_thread
from kofn.agents.operators import Kernel, expected_next, induced_reward, induced_transition
from kofn.envs.arguments import check_fields, checked_types
from kofn.envs.arrays import FloatArray, IntArray, float_array, integer, positive
from kofn.envs.game import TabularGame
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.side_by_side import side_by_side

RELATIVE_TOLERANCE = 1e-12
"""Default residual of the linear systems."""

MAX_DIRECT_STATES = 300
"""States up to which the linear systems are solved directly."""

MAX_CONDITION = 1e3
"""Condition up to which laws of one agent are inverted: three of sixteen digits are lost."""


@dataclass(frozen=True, eq=False)
class LumpedChain:
    """N agents under (global_policy, local_policy), the global agent seeing k = global_policy.k <= N of them per step.

    Args:
        game: the game.
        global_policy: pi_g.
        local_policy: pi_l.
        kernels: laws of the next histogram of N agents, one per global state.
        n_agents: N.
        channel: how the k agents are drawn; with "multinomial" k may exceed N.
        known_actions: `global_actions` of another chain of this global policy, N and channel, to save their time.
        tolerance: residual of the linear systems relative to their right-hand side (GMRES).
    """

    game: TabularGame
    global_policy: GlobalPolicy
    local_policy: LocalPolicy
    kernels: Sequence[Kernel]
    n_agents: int
    channel: Channel = "without_replacement"
    known_actions: FloatArray | None = None
    tolerance: float = RELATIVE_TOLERANCE

    def __post_init__(self) -> None:
        """Refuse what is no game and pair, and a policy that sees more agents than there are."""
        check_fields(self, "game", "global_policy", "local_policy", "channel")
        object.__setattr__(self, "n_agents", integer("n_agents", self.n_agents, 1))
        object.__setattr__(self, "tolerance", positive("tolerance", self.tolerance))
        if not isinstance(self.kernels, Sequence) or len(self.kernels) != self.game.n_global_states:
            raise TypeError(f"kernels must be a list of one law per global state; got {type(self.kernels).__name__}")
        if self.known_actions is not None:
            sizes = self.game.n_global_states, None, self.game.n_global_actions
            object.__setattr__(self, "known_actions", float_array("known_actions", self.known_actions, sizes))
        self.global_policy.check_fits(self.game, self.n_agents if self.channel == "without_replacement" else None)

    @classmethod
    @checked_types
    def exact(
        cls, game: TabularGame, global_policy: GlobalPolicy, local_policy: LocalPolicy, n_agents: int
    ) -> "LumpedChain":
        """The chain with exact kernels.

        Raises:
            ValueError: they take too long.
        """
        if not isinstance(game, TabularGame):
            raise TypeError(
                f"game must be a TabularGame, whose kernels are exact; got {type(game).__name__}. Use evaluate(...), "
                "or sampled_game(game, m) for an estimate of the arrays of a game that can only be sampled"
            )
        kernels = deployed_kernels(game, local_policy, n_agents)
        return cls(game, global_policy, local_policy, kernels, n_agents)

    @cached_property
    def histograms(self) -> FloatArray:
        """Histograms of N agents, [histogram, s_l]."""
        return enumerate_histograms(self.n_agents, self.game.n_local_states).astype(np.float64)

    @cached_property
    def start(self) -> FloatArray:
        """rho, float [s_g, histogram]."""
        return np.outer(self.game.initial_global, self.game.initial_local.histogram_law(self.n_agents))

    @cached_property
    def global_actions(self) -> FloatArray:
        """alpha, float [s_g, histogram, a_g]: the law of a_g given the histogram of all N agents."""
        if self.known_actions is not None:
            return self.known_actions
        seen = self.global_policy.probabilities().swapaxes(0, 1)
        sizes = self.global_policy.k, self.n_agents, self.game.n_local_states
        return lift(seen, *sizes, self.channel).swapaxes(0, 1)

    @cached_property
    def global_moves(self) -> FloatArray:
        """P_g^pi, float [s_g, histogram, s_g']."""
        return np.asarray(np.einsum("gfa,gap->gfp", self.global_actions, self.game.global_transition))

    @cached_property
    def rewards(self) -> FloatArray:
        """R, float [s_g, histogram]."""
        global_part = np.einsum("gfa,ga->gf", self.global_actions, self.game.global_reward)
        local_part = induced_reward(self.game, self.local_policy) @ self.histograms.T / self.n_agents
        return np.asarray(global_part + local_part)

    def expectation(self, values: FloatArray) -> FloatArray:
        """P V, float [s_g, histogram]."""
        return np.asarray(np.einsum("gfp,gfp->gf", self.global_moves, expected_next(self.kernels, values)))

    def flow(self, occupancy: FloatArray) -> FloatArray:
        """P^T d, float [s_g', histogram']."""
        weighted = self.global_moves * occupancy[:, :, None]
        pairs = zip(self.kernels, weighted, strict=True)
        moved = side_by_side([partial(matmul, kernel.T, weight) for kernel, weight in pairs], weighted[0].size)
        total: FloatArray = np.sum(moved, axis=0).T
        return total

    @cached_property
    def values(self) -> FloatArray:
        """V, float [s_g, histogram]."""
        if self._factors is not None:
            return np.asarray(lu_solve(self._factors, self.rewards.ravel())).reshape(self.rewards.shape)
        return discounted_sum(self.expectation, self.rewards, self.game.discount, self.tolerance)

    @cached_property
    def occupancy(self) -> FloatArray:
        """d, unnormalised discounted visits from rho, float [s_g, histogram]; sums to 1/(1-gamma)."""
        if self._factors is not None:
            return np.asarray(lu_solve(self._factors, self.start.ravel(), trans=1)).reshape(self.start.shape)
        return discounted_sum(self.flow, self.start, self.game.discount, self.tolerance)

    @cached_property
    def _factors(self) -> tuple[FloatArray, npt.NDArray[np.int32]] | None:
        """LU factors of I - gamma P where the chain is small enough to prefer them to GMRES."""
        if self.start.size > MAX_DIRECT_STATES:
            return None
        lower_upper, pivots = lu_factor(self.dense_system)
        return lower_upper, pivots.astype(np.int32, copy=False)

    @property
    def dense_kernels(self) -> FloatArray:
        """The kernels as matrices, float [s_g, histogram, histogram']."""
        return np.stack([kernel if isinstance(kernel, np.ndarray) else kernel.toarray() for kernel in self.kernels])

    @property
    def dense_system(self) -> FloatArray:
        """I - gamma P as a matrix, float [state, state']: for small chains."""
        size = self.start.size
        transition = np.einsum("gfp,gfh->gfph", self.global_moves, self.dense_kernels).reshape(size, size)
        return np.asarray(np.eye(size) - self.game.discount * transition)

    @property
    def potential(self) -> float:
        """Phi = <rho, V> of this chain: a surrogate value, not the deployed game's."""
        return float(np.vdot(self.start, self.values))

    @property
    def action_values(self) -> FloatArray:
        """Q(s_g, c, a_g): play a_g once, then the pair of policies, float [s_g, histogram, a_g]."""
        ahead = expected_next(self.kernels, self.values) @ self.game.global_transition.swapaxes(1, 2)
        local_part = induced_reward(self.game, self.local_policy) @ self.histograms.T / self.n_agents
        values: FloatArray = self.game.global_reward[:, None] + local_part[..., None] + self.game.discount * ahead
        return values

    def global_gradient(self) -> FloatArray:
        """dPhi/dpi_g, float [s_g, F, a_g], F the histograms of the k agents seen."""
        weights = (self.occupancy[..., None] * self.action_values).swapaxes(0, 1)
        sizes = self.global_policy.k, self.n_agents, self.game.n_local_states
        seen = project(weights, *sizes, self.channel)
        return seen.swapaxes(0, 1)

    def local_gradient(
        self, kernel_of_others: Callable[[int, FloatArray], Kernel], *, exact: bool = True
    ) -> FloatArray:
        """G = dPhi/dpi_l, float [s_l, s_g, a_l].

        Args:
            kernel_of_others: the kernel of N-1 agents from (s_g, P~); not called where that of N will do.
            exact: whether kernels are exact.
        """
        game = self.game
        visits = self.occupancy @ (self.histograms / self.n_agents)
        gradient: FloatArray = np.einsum("gx,xga->xga", visits, game.local_reward)
        for s_g, law in enumerate(induced_transition(game, self.local_policy)):
            leaving = self._leaving(s_g)
            if exact and np.linalg.cond(law) <= MAX_CONDITION:
                together = (self.kernels[s_g] @ self.values.T)[self._joined]
                ahead = np.linalg.solve(law, np.einsum("ozp,oxp->zx", together, leaving, optimize=True)).T
            else:
                landed = self.values.T[self._joined]
                expected = kernel_of_others(s_g, law) @ landed.reshape(len(landed), -1)
                ahead = np.einsum("oyp,oxp->xy", expected.reshape(landed.shape), leaving, optimize=True)
            gradient[:, s_g] += game.discount * np.einsum("xay,xy->xa", game.local_transition[:, s_g], ahead)
        return gradient

    @cached_property
    def _others(self) -> IntArray:
        """Histograms o of N-1 agents, int64 [o, s_l]."""
        return enumerate_histograms(self.n_agents - 1, self.game.n_local_states)

    @cached_property
    def _joined(self) -> IntArray:
        """Ranks of o + e_x, int64 [o, x]."""
        unit = np.eye(self.game.n_local_states, dtype=np.int64)
        return rank_histograms(self._others[:, None, :] + unit)

    def _leaving(self, s_g: int) -> FloatArray:
        """d(s_g, c) c_x P_g^pi(s_g' | s_g, c) at c = o + e_x: agents that leave x and go on to s_g', [o, x, s_g']."""
        visits = self.occupancy[s_g, self._joined] * (self._others + 1)
        return np.asarray(visits[..., None] * self.global_moves[s_g, self._joined])


@one_blas_thread()
def discounted_sum(
    apply: Callable[[FloatArray], FloatArray], right: FloatArray, discount: float, tolerance: float
) -> FloatArray:
    """Solution X of X - discount * apply(X) = right."""
    size = right.size

    def residual_map(flat: FloatArray) -> FloatArray:
        return flat - discount * apply(flat.reshape(right.shape)).ravel()

    operator = LinearOperator((size, size), matvec=residual_map, dtype=np.float64)
    solution, failed = gmres(operator, right.ravel(), rtol=tolerance, atol=0.0, restart=min(size, 60), maxiter=100)
    if failed or not np.isfinite(solution).all():
        raise FloatingPointError("policy evaluation did not converge; are the game's arrays finite and stochastic?")
    return np.asarray(solution).reshape(right.shape)


def deployed_kernels(game: TabularGame, local_policy: LocalPolicy, n_agents: int) -> Sequence[Kernel]:
    """Exact laws of the next histogram of all n agents, one per global state.

    Raises:
        ValueError: an expectation takes too long.
    """
    check_products(game, n_agents)
    return exact_operators(induced_transition(game, local_policy), n_agents)


def check_products(game: TabularGame, n_agents: int) -> None:
    """Raise ValueError where `deployed_kernels` does."""
    products = exact_products(game, n_agents)
    if products > MAX_PRODUCTS:
        raise ValueError(
            f"exact values take {products:.1e} products per step of the chain at n_agents={n_agents}, more than "
            f"{MAX_PRODUCTS:.1e}; evaluate(...) estimates values at any n_agents"
        )
