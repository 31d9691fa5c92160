r"""G-LEARN along one trajectory: asynchronous Q-learning (Appendix E).

A behaviour policy pi_b with pi_b(a|s) > 0 drives the surrogate game; its chain P_b is irreducible and aperiodic with
stationary law mu_b (Assumption E.1). Appendix E rests on Chen, Maguluri, Shakkottai and Shanmugam (arXiv 2102.01567):
their Assumption 3.1, Proposition 3.1, Theorem 3.1 and Corollary 3.2 are its E.1, E.2, E.4 and E.5. The mean update in
equilibrium, Proposition E.2 (`asynchronous_operator`), is a sup-norm contraction with the fixed point Q*:

    N_min  = min_{s,a} mu_b(s) pi_b(a|s)            beta_1 = 1 - (1-gamma) N_min

and the chain Y_t = (s_t, a_t, s_{t+1}) of what an update reads mixes geometrically. Y_{t+1} depends on s_{t+1} alone,
so that it mixes one step after the states (alpha < 1/2):

    t_alpha = min{ t : max_y TV(P_Y^t(y, .), mu_Y) <= alpha } = 1 + min{ t : max_s TV(P_b^t(s, .), mu_b) <= alpha }

Theorem E.4: for rewards in [0, 1], Q_0 = 0, t >= t_alpha and a constant step size alpha with
alpha t_alpha <= c_0 (1-beta_1)^2/ln(|S||A|), c_0 numerical,

    E|Q_t - Q*|^2 <= c_1 (1 - (1-beta_1) alpha/2)^{t - t_alpha} + c_2 ln(|S||A|)/(1-beta_1)^2 alpha t_alpha
    c_1 = 3 (|Q*| + 1)^2        c_2 = 912 e (3|Q*| + 1)^2        |Q*| <= 1/(1-gamma).

Other rewards are divided by r~ first. Corollary E.5: an expected error eps takes t of the order of
eps^-2 (1-gamma)^-5 N_min^-3. Corollaries E.6 and E.7 are Theorems 4.2 and 4.4 with that error, in expectation, as
noise.
"""

from dataclasses import dataclass, replace
from math import e, exp, isinf, log, log1p, sqrt

import numpy as np
import numpy.typing as npt

from kofn.agents.bounds.bound import Bound, Count, fraction
from kofn.agents.bounds.global_response import theorem_4_2
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.logged_data.behaviour import mixing_time
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import PROBABILITY_TOLERANCE, FloatArray, float_array, integer, positive, probability_array


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """How a behaviour policy explores (Assumption E.1).

    Attributes:
        n_pairs: |S||A|.
        least_visited: N_min, in (0, 1/n_pairs].
        mixing_time: t_alpha of (s, a, s') for the step size in use.
    """

    n_pairs: int
    least_visited: float
    mixing_time: int

    def __post_init__(self) -> None:
        """Validate."""
        integer("n_pairs", self.n_pairs, 2)
        least = fraction("least_visited", self.least_visited)
        if least * self.n_pairs > 1 + PROBABILITY_TOLERANCE:
            raise ValueError(f"least_visited must be at most 1/n_pairs = {1 / self.n_pairs:.6g}; got {least}")
        integer("mixing_time", self.mixing_time, 1)

    def contraction(self, discount: float) -> float:
        """beta_1 of Proposition E.2: what one update leaves of an error, on average in equilibrium."""
        return 1 - (1 - fraction("discount", discount)) * self.least_visited

    @classmethod
    def of(cls, transition: npt.ArrayLike, policy: npt.ArrayLike, step_size: float) -> "Exploration":
        """Exploration of a finite process.

        Args:
            transition: float [s, a, s'].
            policy: pi_b, float [s, a], all entries positive.
            step_size: alpha.

        Raises:
            ValueError: an action that is never tried, or a chain that has no single limit.
        """
        moves = probability_array("transition", transition, (None, None, None))
        behaviour = probability_array("policy", policy, moves.shape[:2])
        if behaviour.min() == 0:
            raise ValueError("policy must try every action in every state (Assumption E.1)")
        chain = np.einsum("sa,sap->sp", behaviour, moves)
        law = stationary_law(chain)
        visits = law[:, None] * behaviour
        time = mixing_time(chain, fraction("step_size", step_size))
        if isinf(time):
            raise ValueError("the behaviour policy's chain must not be periodic (Assumption E.1)")
        return cls(n_pairs=visits.size, least_visited=float(visits.min()), mixing_time=1 + int(time))


def stationary_law(chain: FloatArray) -> FloatArray:
    """mu_b of a row-stochastic matrix [s, s'] with one recurrent class, float [s].

    Raises:
        TypeError, ValueError: no square array of probability rows, or one with several recurrent classes.
    """
    chain = probability_array("chain", chain, (None, None))
    if len(chain) != len(chain.T):
        raise ValueError(f"chain must be square; got shape {list(chain.shape)}")
    size = len(chain)
    equations = np.vstack([chain.T - np.eye(size), np.ones(size)])
    law, _, rank, _ = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)
    if rank < size:
        raise ValueError("the behaviour policy's chain has several recurrent classes (Assumption E.1)")
    return np.asarray(np.clip(law, 0.0, None))


def asynchronous_operator(
    q_values: npt.ArrayLike,
    *,
    transition: npt.ArrayLike,
    rewards: npt.ArrayLike,
    policy: npt.ArrayLike,
    discount: float,
) -> FloatArray:
    """Proposition E.2, reconstructed: Q after an update with step 1 of the entry visited, on average in equilibrium.

        F(Q) = N H(Q) + (I - N) Q,    N = diag(mu_b(s) pi_b(a|s)),    H(Q) = r + gamma P max_{a'} Q(., a')

    F is a sup-norm contraction by beta_1 = 1 - (1-gamma) N_min, attained where two Q differ by a constant, and its
    fixed point is Q*: equation (38) follows F(Q) - Q with noise. The statement was not available; this is Proposition
    3.1 of arXiv 2102.01567, which stands between its Assumption 3.1 (E.1) and Theorem 3.1 (E.4).

    Assumes Assumption E.1.

    Args:
        q_values: Q, float [s, a].
        transition: float [s, a, s'].
        rewards: mean rewards, float [s, a].
        policy: pi_b, float [s, a].
        discount: gamma in (0, 1).
    """
    moves = probability_array("transition", transition, (None, None, None))
    behaviour = probability_array("policy", policy, moves.shape[:2])
    q_array = float_array("q_values", q_values, behaviour.shape)
    backed_up = float_array("rewards", rewards, behaviour.shape) + fraction("discount", discount) * moves @ q_array.max(
        axis=1
    )
    law = stationary_law(np.einsum("sa,sap->sp", behaviour, moves))
    return np.asarray(q_array + law[:, None] * behaviour * (backed_up - q_array))


@checked_types
def off_policy_error(n_steps: int, step_size: float, exploration: Exploration, sizes: GameSizes) -> Bound:
    """Theorem E.4: expected sup-norm error of Q after `n_steps` updates (square root of the bound on its square).

    Assumes Assumption E.1, Q_0 = 0, and a step size small enough that alpha t_alpha <= c_0 (1-beta_1)^2/ln(|S||A|).

    Args:
        n_steps: t, at least t_alpha.
        step_size: alpha, constant.
        exploration: of the behaviour policy, with t_alpha for this alpha.
        sizes: of the game.
    """
    n_steps = integer("n_steps", n_steps, exploration.mixing_time)
    rate = 1 - exploration.contraction(sizes.discount)
    alpha, largest = fraction("step_size", step_size), 1 / (1 - sizes.discount)
    decay = exp((n_steps - exploration.mixing_time) * log1p(-rate * alpha / 2))
    initial = 3 * (largest + 1) ** 2 * decay
    scale = 912 * e * (3 * largest + 1) ** 2
    noise = scale * log(exploration.n_pairs) / rate**2 * alpha * exploration.mixing_time
    return Bound(
        value=sizes.reward_bound * sqrt(initial + noise),
        source="Theorem E.4",
        assumptions=("Assumption E.1", "Q_0 = 0", "alpha t_alpha <= c_0 (1-beta_1)^2/ln(|S||A|)"),
        reconstructed=True,
        note="in expectation",
    )


@checked_types
def off_policy_steps(error: float, exploration: Exploration, sizes: GameSizes) -> Count:
    """Corollary E.5: updates for an expected error of `error` (1/sqrt k in the paper), up to constants and logarithms.

    Assumes what `off_policy_error` does, with the step size of the corollary.
    """
    relative = log(sizes.reward_bound) - log(positive("error", error))
    logarithm = 2 * relative - 5 * log(1 - sizes.discount) - 3 * log(exploration.least_visited)
    return Count(
        log=logarithm, source="Corollary E.5", reconstructed=True, note="up to constants and logarithmic factors"
    )


@checked_types
def corollary_e_6(
    k: int, n_agents: int, sizes: GameSizes, *, n_steps: int, step_size: float, exploration: Exploration
) -> Bound:
    """Corollary E.6: expected loss of the policy learnt off-policy, Theorem 4.2 with the error of Theorem E.4 as noise.

    Assumes what `off_policy_error` and `theorem_4_2` do.

    Args:
        k: agents in the surrogate game.
        n_agents: n.
        sizes: of the game.
        n_steps: t, updates made.
        step_size: alpha.
        exploration: of the behaviour policy in the surrogate game of k agents.
    """
    noise = off_policy_error(n_steps, step_size, exploration, sizes)
    return replace(theorem_4_2(k, n_agents, sizes, noise=noise), source="Corollary E.6")


@checked_types
def corollary_e_7(k: int, n_agents: int, sizes: GameSizes) -> Bound:
    """Corollary E.7: the same after as many updates as an error of 1/sqrt k takes, Theorem 4.4's rate in expectation.

    The number of updates is `off_policy_steps(1/sqrt k, exploration, sizes)`, up to constants and logarithms.

    Assumes what `off_policy_steps` and `theorem_4_2` do.

    Args:
        k: agents in the surrogate game.
        n_agents: n.
        sizes: of the game.
    """
    noise = Bound(
        value=1 / sqrt(integer("k", k, 1)),
        source="Corollary E.5",
        assumptions=("Assumption E.1", "Q_0 = 0", "updates of Corollary E.5 with its step size"),
        reconstructed=True,
        note="in expectation",
    )
    return replace(theorem_4_2(k, n_agents, sizes, noise=noise), source="Corollary E.7")
