r"""The authors' code's L-LEARN: a mean-field heuristic, kept as a baseline; nothing is guaranteed about its response.

    mu_0 uniform, mu_{i+1} = mu_i P^,   P^(y | x) = (1/|S_g|) sum_{s_g} P~(y | x, s_g),   mu = mu_50   (P~ under pi_l)
    P_eff(s_g' | s_g) = mean over 200 draws c ~ Multinomial(k, mu) of P_g(s_g' | s_g, pi_g(s_g, c))
    Q(s_g, x, a) = r_l(x, s_g, a) + gamma sum_{s_g'} P_eff(s_g' | s_g) sum_y P_l(y | x, s_g, a) max_a' Q(s_g', y, a')
    pi'(a | x, s_g) = softmax_a(Q(s_g, x, .) / temperature),   temperature = max(0.3, (max Q - min Q) / 3)

One agent maximises its own r_l against a stationary crowd: r_g, and that agents move s_g through what pi_g sees, are
left out, and the softmax is no maximiser. Left open by the authors' text and chosen here: mu starts uniform and moves
under the fleet's current policy; every s_g has its own 200 draws; a stochastic pi_g is averaged over its actions; value
iteration stops when Q is known within 1e-6.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import softmax

from kofn.agents.local_response.fleet_problem import LEARNER_STREAM, FleetProblem, FleetResponse
from kofn.agents.operators import induced_transition
from kofn.agents.solvers import FixedPoint, value_iteration
from kofn.envs.arrays import FloatArray, integer
from kofn.envs.game import TabularGame
from kofn.envs.histograms import rank_histograms
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import conditional_probabilities, sample_multinomial

CROWD_ITERATIONS = 50
LOWEST_TEMPERATURE = 0.3
TEMPERATURES_IN_RANGE = 3.0
"""The temperature is the range of Q over this."""


@dataclass(frozen=True, kw_only=True)
class MeanField:
    """The authors' mean-field heuristic.

    Args:
        n_draws: histograms drawn per global state for P_eff.
    """

    n_draws: int = 200

    uses_kernels: ClassVar[bool] = False
    uses_population: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "n_draws", integer("n_draws", self.n_draws, 1))

    def check(self, game: Game, n_agents: int) -> None:
        """Any size will do."""

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """The softmax policy. No Phi is computed: `value` is nan."""
        game = problem.game
        crowd = stationary_crowd(game, problem.start)
        law = effective_law(game, problem.global_policy, crowd, self.n_draws, problem.rng(LEARNER_STREAM))
        fixed = own_action_values(game, law)
        temperature = max(LOWEST_TEMPERATURE, float(np.ptp(fixed.values)) / TEMPERATURES_IN_RANGE)
        return FleetResponse(
            policy=LocalPolicy(softmax(fixed.values / temperature, axis=-1)),
            value=float("nan"),
            deviation="tagged",
            n_samples=self.n_draws,
            n_iterations=fixed.n_iterations,
            converged=fixed.converged,
        )


def stationary_crowd(game: TabularGame, local_policy: LocalPolicy) -> FloatArray:
    """mu, float [s_l]."""
    average = induced_transition(game, local_policy).mean(axis=0)
    crowd = np.full(game.n_local_states, 1 / game.n_local_states)
    return np.asarray(crowd @ np.linalg.matrix_power(average, CROWD_ITERATIONS))


def effective_law(
    game: TabularGame, global_policy: GlobalPolicy, crowd: FloatArray, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """P_eff, float [s_g, s_g']."""
    shape = (game.n_global_states, n_draws)
    drawn = sample_multinomial(rng, np.full(shape, global_policy.k), conditional_probabilities(crowd))
    states = np.arange(game.n_global_states)[:, None]
    actions = global_policy.probabilities()[states, rank_histograms(drawn)].mean(axis=1)
    return np.asarray(np.einsum("ga,gap->gp", actions, game.global_transition))


def own_action_values(game: TabularGame, law: FloatArray) -> FixedPoint:
    """Q, float [s_l, s_g, a_l], of an agent paid r_l alone when s_g moves by `law`."""

    def operator(q_values: FloatArray) -> FloatArray:
        ahead = law @ q_values.max(axis=-1).T
        backed_up: FloatArray = game.local_reward + game.discount * np.einsum(
            "xgay,gy->xga", game.local_transition, ahead
        )
        return backed_up

    return value_iteration(operator, np.zeros_like(game.local_reward), game.discount)
