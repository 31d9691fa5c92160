r"""Monte Carlo value of a pair of policies in the deployed game of n agents.

At each step the global agent sees k distinct agents drawn afresh and acts a_g = pi_g(s_g, F), every local agent acts
pi_l(s_i, s_g) (paper, Algorithm 5). A rollout's return is sum_{t < H} gamma^t r(s_t, a_t); rollouts run as one batch on
the lumped simulator, at a cost that does not depend on n (a game given as functions draws every agent).

Two pairs evaluated with the same seed meet the same starts, the same global noise and the same draws of agents (common
random numbers), so their difference is known far better than either value.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.special import ndtri

from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, first_index, integer
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy
from kofn.envs.population import MAX_AGENTS, sample_without_replacement
from kofn.envs.simulator import LocalTiming, LumpedSimulator
from kofn.envs.streams import Seed, Streams

BATCH = 4096
"""Rollouts simulated at once, bounding memory."""

CLEARLY = 3.0
"""Standard errors of a paired difference beyond which a first look decides."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Outcome of `evaluate`.

    Attributes:
        returns: discounted return of every rollout, float [n_rollouts].
        n_agents: n.
        k: agents seen per step.
        horizon: H, steps per rollout.
        seed: as given.
    """

    returns: FloatArray
    n_agents: int
    k: int
    horizon: int
    seed: Seed

    def __post_init__(self) -> None:
        """Raise FloatingPointError for a return that is not finite."""
        bad = ~np.isfinite(self.returns)
        if bad.any():
            (rollout,) = first_index(bad)
            raise FloatingPointError(
                f"returns must be finite; that of rollout {rollout} over {self.horizon} steps of n={self.n_agents} "
                f"agents is {self.returns[rollout]}: are the game's rewards too large?"
            )

    @property
    def n_rollouts(self) -> int:
        """Number of rollouts."""
        return len(self.returns)

    @property
    def mean(self) -> float:
        """Mean discounted return."""
        return float(self.returns.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean (nan for one rollout)."""
        return standard_error(self.returns)

    def confidence_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval of the mean; raises ValueError unless 0 < level < 1."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie strictly between 0 and 1; got {level}")
        half_width = float(ndtri((1 + level) / 2)) * self.standard_error
        return self.mean - half_width, self.mean + half_width


@runtime_checkable
class Dispatcher(Protocol):
    """A global policy of any form: a `GlobalPolicy` (a table), a `LinearGlobalPolicy`, or one of yours."""

    @property
    def k(self) -> int:
        """Agents observed."""

    def check_fits(self, game: Game, n_agents: int | None = None) -> None:
        """Raise ValueError unless the policy plays this game, with that many agents."""

    def act(self, global_states: IntArray, histograms: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """Actions, int64 [batch], for global states [batch] and histograms of k agents [batch, s_l]."""


@checked_types
def evaluate(
    game: Game,
    global_policy: Dispatcher,
    local_policy: LocalPolicy,
    n_agents: int,
    *,
    k: int | None = None,
    horizon: int = 100,
    n_rollouts: int = 1000,
    seed: Seed = None,
    local_timing: LocalTiming = "paper",
) -> Evaluation:
    """Discounted returns of (global_policy, local_policy) in the game of n agents.

    Args:
        game: the game.
        global_policy: pi_g, which observes `global_policy.k` agents.
        local_policy: pi_l, shared by all local agents.
        n_agents: n, from k to 10^12.
        k: optional check: must equal `global_policy.k`.
        horizon: H.
        n_rollouts: rollouts.
        seed: source of all randomness; equal seeds give common random numbers.
        local_timing: "paper", or "code" to reproduce the authors' evaluation.

    Raises:
        TypeError, ValueError: an argument out of range or policies that do not fit the game or each other.
    """
    n_agents = integer("n_agents", n_agents, 1, MAX_AGENTS)
    global_policy.check_fits(game, n_agents)
    local_policy.check_fits(game)
    if k is not None and k != global_policy.k:
        raise ValueError(f"k must be the number of agents the global policy observes, {global_policy.k}; got {k}")
    horizon = integer("horizon", horizon, 1)
    left = integer("n_rollouts", n_rollouts, 1)
    streams = Streams.from_seed(seed)
    returns = []
    while left > 0:
        simulator = LumpedSimulator(game, n_agents, n_populations=min(left, BATCH), local_timing=local_timing)
        returns.append(_rollouts(simulator, global_policy, local_policy, horizon, streams))
        left -= simulator.n_populations
    return Evaluation(returns=np.concatenate(returns), n_agents=n_agents, k=global_policy.k, horizon=horizon, seed=seed)


def standard_error(samples: FloatArray) -> float:
    """Standard error of the mean of independent samples (nan for one)."""
    return float(samples.std(ddof=1) / np.sqrt(len(samples))) if len(samples) > 1 else float("nan")


def clearly_less(differences: FloatArray) -> bool:
    """Whether the mean of paired differences lies more than `CLEARLY` standard errors below zero."""
    return bool(differences.mean() < -CLEARLY * standard_error(differences))


def _rollouts(
    simulator: LumpedSimulator, global_policy: Dispatcher, local_policy: LocalPolicy, horizon: int, streams: Streams
) -> FloatArray:
    """Discounted returns of one batch of rollouts."""
    simulator.reset(streams)
    returns = np.zeros(simulator.n_populations)
    for t in range(horizon):
        seen = sample_without_replacement(streams.sampling, simulator.counts, global_policy.k)
        actions = global_policy.act(simulator.global_states, seen, streams.policy)
        payment = simulator.step(actions, local_policy.table)
        returns += simulator.game.discount**t * payment.team_reward
    return returns
