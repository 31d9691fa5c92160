r"""The joint-control game of k agents: one planner chooses everybody's actions (SUBSAMPLE-MFQ paper, Algorithms 1, 2).

With c the histogram of k agents over S_l, the planner's actions are (a_g, N): a global action and action counts
N[x, a], the number of agents in state x that take action a, sum_a N[x, a] = c_x. Agents in one state are
interchangeable, so nothing is lost by counting. The joint counts N are a histogram of k agents over
Z_l = S_l x A_l, z = x |A_l| + a, and hold c as their marginal, so that the planner's Q function is

    Q(s_g, N, a_g) = r_g(s_g, a_g) + <N, r_l(., s_g, .)>/k
                     + gamma sum_{s_g'} P_g(s_g' | s_g, a_g) E[W(s_g', c') | s_g, N]
    W(s_g, c)      = max over a_g and over the N whose marginal is c of Q(s_g, N, a_g).

The maximum is over joint counts, so every action stays tied to the state it is taken in. (Algorithm 2 prints a maximum
over action histograms alone, which leaves open who takes which action; only the coupled maximum solves the game.) The
papers' tables differ in how they write down k agents. A `Layout` writes the first j one by one and counts the others:

    j = 0    Q(s_g, N, a_g)                                joint counts, the smallest table
    j = 1    Q(s_g, s_1, F_{z_2..z_k}, a_1, a_g)           Algorithm 2
    j = k    Q(s_g, s_1 .. s_k, a_g, a_1 .. a_k)           Algorithm 1

and all have the same optimal values. The law of s_g' is always exact, that of c' exact or sampled (`joint_kernels`).

With the global agent's law alpha(a_g | s_g, c) held fixed, sum_{a_g} alpha Q replaces the maximum over a_g. At k = n
this planner steers the deployed game: no policy of the local agents, shared or not, is worth more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kofn.agents.global_response.g_learn import TIE_TOLERANCE
from kofn.agents.joint_control.joint_kernels import exact_kernels
from kofn.agents.joint_control.joint_layout import Layout, layout_of
from kofn.agents.joint_control.mfq_execution import JointPolicy
from kofn.agents.operators import Kernel, expected_next
from kofn.agents.solvers import FixedPoint, value_iteration
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, integer, probability_array
from kofn.envs.game import TabularGame
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.policies import GlobalPolicy


@dataclass(frozen=True, eq=False, kw_only=True)
class JointControl:
    """The planner's decision process.

    Attributes:
        game: the game.
        layout: how the k agents are written down.
        kernels: law of the next state for every entry, [entry, state'], one per s_g.
        dispatcher: alpha, float [s_g, histogram, a_g], or None where the planner chooses a_g too.
    """

    game: TabularGame
    layout: Layout
    kernels: Sequence[Kernel]
    dispatcher: FloatArray | None = None

    def solve(self, tolerance: float, max_iterations: int) -> FixedPoint:
        """W, float [s_g, state], by value iteration from 0."""
        start = np.zeros((self.game.n_global_states, self.layout.n_states))
        return value_iteration(
            self.backup, start, self.game.discount, tolerance=tolerance, max_iterations=max_iterations
        )

    def backup(self, values: FloatArray) -> FloatArray:
        """One step of value iteration on W, float [s_g, state]."""
        return self.layout.best(self._scores(self.q_values(values)))

    def q_values(self, values: FloatArray) -> FloatArray:
        """Q, float [s_g, entry, a_g], from W."""
        game = self.game
        # A contiguous right factor: numpy multiplies stacks of thin matrices by a strided one seven times slower.
        ahead = expected_next(self.kernels, values) @ np.ascontiguousarray(game.global_transition.swapaxes(1, 2))
        q_values: FloatArray = self._local_rewards[:, :, None] + game.global_reward[:, None, :] + game.discount * ahead
        return q_values

    def policy(self, q_values: FloatArray) -> JointPolicy:
        """What is best within 1e-9 in every (s_g, histogram): as many agents as possible on low actions, lowest a_g."""
        chosen = self._chosen_joint_counts(q_values)
        counts = enumerate_histograms(self.layout.k, self.layout.n_pairs)[chosen]
        cells = (self.layout.n_local_states, self.layout.n_local_actions)
        return JointPolicy(
            global_policy=self._global_policy(q_values, chosen), action_counts=counts.reshape(*chosen.shape, *cells)
        )

    def histogram_values(self, values: FloatArray) -> FloatArray:
        """W by histogram in rank order, float [s_g, histogram], from W by state."""
        return values[:, self.layout.state_of_histogram]

    @cached_property
    def _local_rewards(self) -> FloatArray:
        """<N, r_l>/k, float [s_g, entry]."""
        by_pair = self.game.local_reward.swapaxes(0, 1).reshape(self.game.n_global_states, -1)
        rewards: FloatArray = by_pair @ (self.layout.counts / self.layout.k).T
        return rewards

    def _scores(self, q_values: FloatArray) -> FloatArray:
        """Value of every entry, a_g chosen or drawn from alpha, float [s_g, entry]."""
        if self.dispatcher is None:
            return np.asarray(q_values.max(axis=2))
        return np.asarray(np.einsum("gea,gea->ge", self.dispatcher[:, self.layout.histogram_of_entry], q_values))

    def _chosen_joint_counts(self, q_values: FloatArray) -> IntArray:
        """Ranks of the best joint counts, the highest rank among ties, int64 [s_g, histogram]."""
        scores = self._scores(q_values)
        tied = scores >= self.layout.best(scores)[:, self.layout.state_of_entry] - TIE_TOLERANCE
        # Joint counts in lexicographic order: the last of them has most agents on the lowest pairs.
        ranks = np.where(tied, rank_histograms(self.layout.counts).astype(np.float64), -1.0)
        return self.histogram_values(self.layout.best(ranks)).astype(np.int64)

    def _global_policy(self, q_values: FloatArray, chosen: IntArray) -> GlobalPolicy:
        """alpha, or the lowest best a_g of the chosen joint counts [s_g, histogram]."""
        table: npt.NDArray[np.int64] | FloatArray
        if self.dispatcher is not None:
            table = self.dispatcher
        else:
            rows = np.take_along_axis(q_values, self.layout.representatives[chosen][:, :, None], axis=1)
            table = (rows >= rows.max(axis=2, keepdims=True) - TIE_TOLERANCE).argmax(axis=2)
        return GlobalPolicy(
            table=table,
            k=self.layout.k,
            n_local_states=self.game.n_local_states,
            n_actions=self.game.n_global_actions,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class CentralisedBound:
    """Outcome of `centralised_local_bound`.

    Attributes:
        values: W, float [s_g, histogram of n agents].
        potential: <rho, W>.
        upper_bound: potential + certificate, which no policy of the local agents exceeds.
        policy: what the planner does; its global part is the law that was held fixed.
        n_iterations: operator applications.
        converged: whether the certificate met the tolerance.
        certificate: bound on the error of `values` and `potential`.
    """

    values: FloatArray
    potential: float
    upper_bound: float
    policy: JointPolicy
    n_iterations: int
    converged: bool
    certificate: float


@checked_types
def centralised_local_bound(
    game: TabularGame,
    moves_law: npt.ArrayLike,
    n_agents: int,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> CentralisedBound:
    """What n local agents could earn under a central planner, the global agent's behaviour held fixed.

    An upper bound on Phi of every policy of the local agents, for the Nash gap of a pair in the deployed game: the
    planner sees (s_g, c) and gives orders, where a local policy sees (s_l, s_g) and is one map for all agents.

    Args:
        game: the game.
        moves_law: alpha(a_g | s_g, c), float [s_g, histogram of n agents, a_g]. For a global policy of k agents this is
            its average over the k-samples of c.
        n_agents: n.
        tolerance: error allowed in the values (absolute).
        max_iterations: operator applications after which to give up; `converged` then says so, and the bound still
            holds.

    Raises:
        TypeError, ValueError: an argument out of range, a law of another shape, or tables that do not fit into memory.
    """
    if not isinstance(game, TabularGame):
        raise TypeError(
            f"game must be a TabularGame, whose kernels are exact; got {type(game).__name__}. Use "
            "sampled_game(game, m) for an estimate of the arrays of a game that can only be sampled"
        )
    layout = layout_of(game, integer("n_agents", n_agents, 1))
    shape = (game.n_global_states, layout.n_states, game.n_global_actions)
    dispatcher = probability_array("moves_law", moves_law, shape)
    control = JointControl(game=game, layout=layout, kernels=exact_kernels(game, layout), dispatcher=dispatcher)
    outcome = control.solve(tolerance, max_iterations)
    start = np.outer(game.initial_global, game.initial_local.histogram_law(layout.k))
    potential = float(np.vdot(start, outcome.values))
    return CentralisedBound(
        values=outcome.values,
        potential=potential,
        upper_bound=potential + outcome.certificate,
        policy=control.policy(control.q_values(outcome.values)),
        n_iterations=outcome.n_iterations,
        converged=outcome.converged,
        certificate=outcome.certificate,
    )
