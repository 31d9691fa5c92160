r"""G-LEARN with linear function approximation: least-squares value iteration on features.

Where a table over (s_g, histogram of k agents) is too large, or states are continuous, Q(s_g, seen, a) is fitted by
phi(s_g, seen) . theta_a with features of the global state and of the histogram, or states, of the agents seen
(`features`). Each iteration backs values up by one Bellman step at design points and regresses the result on phi
(`linear_fit`), from samples that are drawn once (`linear_data`), as in G-LEARN's T_{k,m}. The sibling paper names the
setting: where transitions and rewards are linear in features of bounded norm, learning them from M samples adds
O~( |phi|^5 log(2 k^2)/sqrt M + 2 gamma r~ |phi|/((1-gamma) sqrt k) ) to the loss of 1/sqrt k (arXiv 2412.00661, Theorem
0.15; 4.12 in print). Nothing makes a game at hand linear in given features: `residual` says how far the fit is off.

Repeating "back up, then regress" is a contraction when gamma kappa < 1 (`linear_fit`); otherwise it may cycle. Values
are clipped to the range that the game allows, so that nothing diverges, and the result says whether the iteration came
to rest, and whether it had to. With indicator features at all states it is G-LEARN.

With a population of N = k agents, the paper's surrogate game, the agents seen are all there are, and the policy chases
the noise of small samples in the deployed game. With N > k a step's reward is that of N agents and features see k of
them, drawn afresh at both ends: values of what is seen, under the way in which states were met.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import numpy as np

from kofn.agents.global_response.features import Features
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.global_response.linear_data import Explorer, Sample, all_states, regression_at_all_states
from kofn.agents.global_response.linear_fit import FitOutcome, fitted_iteration
from kofn.agents.global_response.linear_policy import LinearGlobalPolicy
from kofn.agents.global_response.linear_rollouts import Crew, LinearGame, simulator_of
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer, nonnegative, one_of, positive
from kofn.envs.continuous import ContinuousGame
from kofn.envs.game import TabularGame
from kofn.envs.streams import Seed, Streams, child, seed_sequence

States = Literal["all", "met"]
STATES = ("all", "met")


class LinearGLearnOptions(TypedDict, total=False):
    """The fields of `LinearGLearnConfig` as keywords."""

    states: States
    n_agents: int | None
    n_states: int
    n_samples: int
    n_rounds: int
    horizon: int
    ridge: float
    tolerance: float
    max_iterations: int


@dataclass(frozen=True, kw_only=True)
class LinearGLearnConfig:
    """Settings of linear G-LEARN.

    Args:
        states: fit at states met while playing, or at all (s_g, histogram) of a small finite game, where expectations
            are exact if the game's arrays are known.
        n_agents: N, agents of the population (omitted: k); "met" only.
        n_states: states met per round.
        n_samples: m, draws per state and action ("met"), or per entry of an oracle ("all").
        n_rounds: rounds of meeting states; from the second on half of them under the policy learnt so far.
        horizon: steps of the trajectories that meet states.
        ridge: penalty on the weights.
        tolerance: of the certificate, or of the last change where there is none, as a fraction of the values' range.
        max_iterations: regressions per round after which to give up.

    Raises:
        TypeError, ValueError: a field out of range, or one that does not go with `states`.
    """

    states: States = "met"
    n_agents: int | None = None
    n_states: int = 2000
    n_samples: int = 4
    n_rounds: int = 2
    horizon: int = 50
    ridge: float = 1e-6
    tolerance: float = 1e-5
    max_iterations: int = 2000

    def __post_init__(self) -> None:
        """Validate."""
        one_of("states", self.states, STATES)
        for name in ("n_states", "n_samples", "n_rounds", "horizon", "max_iterations"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        if self.n_agents is not None:
            object.__setattr__(self, "n_agents", integer("n_agents", self.n_agents, 1))
            if self.states == "all":
                raise ValueError(f"n_agents needs states='met'; got n_agents={self.n_agents} with states='all'")
        object.__setattr__(self, "ridge", nonnegative("ridge", self.ridge))
        object.__setattr__(self, "tolerance", positive("tolerance", self.tolerance))


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearGLearnResult:
    """Outcome of `linear_g_learn`.

    Attributes:
        policy: greedy on the fitted Q, with features and weights.
        n_states: design points.
        n_samples: m, draws per design point and action (0: exact expectations).
        n_iterations: regressions of the last round.
        converged: whether the last round met the tolerance.
        contracts: whether the iteration is a contraction: gamma `expansion` < 1.
        expansion: kappa (see `linear_fit`).
        certificate: bound on the distance of the values from the iteration's fixed point; inf unless it contracts.
        last_change: of the values in the last iteration.
        observed_rate: last change as a part of the one before.
        residual: root mean square by which the fitted Q misses its targets: what features cannot express, and noise.
        clipped: share of next states whose value is clipped to the range of the game's values.
        config: the settings asked for.
        wall_time: seconds.
    """

    policy: LinearGlobalPolicy
    n_states: int
    n_samples: int
    n_iterations: int
    converged: bool
    contracts: bool
    expansion: float
    certificate: float
    last_change: float
    observed_rate: float
    residual: float
    clipped: float
    config: LinearGLearnConfig
    wall_time: float

    def summary(self) -> str:
        """What was done and how far it can be trusted, on two lines."""
        rest = f"within {self.certificate:.3g} of its fixed point" if self.contracts else "no contraction"
        return (
            f"linear G-LEARN, k = {self.policy.k}: {self.policy.features.size} features at {self.n_states} states\n"
            f"{'came to rest' if self.converged else 'stopped'} after {self.n_iterations} regressions "
            f"(kappa = {self.expansion:.3g}, {rest}), last change {self.last_change:.3g}, residual {self.residual:.3g}"
        )


@checked_types
def linear_g_learn(
    game: LinearGame,
    local_policy: Crew,
    *,
    features: Features,
    k: int,
    seed: Seed = None,
    **options: Unpack[LinearGLearnOptions],
) -> LinearGLearnResult:
    """The global agent's response to a fixed local policy, by least-squares value iteration.

    Args:
        game: a TabularGame, a GenerativeGame or a ContinuousGame.
        local_policy: pi_l, held fixed: a LocalPolicy, or for continuous games anything with
            `act(local_states [population, agent], global_states [population, 1], rng)`.
        features: phi.
        k: agents that the global agent sees.
        seed: source of all randomness.
        **options: fields of `LinearGLearnConfig`.

    Raises:
        TypeError, ValueError: an argument out of range or of the wrong kind, or what does not fit into memory.
    """
    began = time.perf_counter()
    settings, k = LinearGLearnConfig(**options), integer("k", k, 1)
    task = _Task(game, local_policy, features, k, settings, seed_sequence(seed))
    outcome, n_states, n_samples = _at_all_states(task) if settings.states == "all" else _at_states_met(task)
    return LinearGLearnResult(
        policy=LinearGlobalPolicy(features=features, weights=outcome.weights, k=k),
        n_states=n_states,
        n_samples=n_samples,
        n_iterations=outcome.n_iterations,
        converged=outcome.converged,
        contracts=game.discount * outcome.expansion < 1,
        expansion=outcome.expansion,
        certificate=outcome.certificate,
        last_change=outcome.last_change,
        observed_rate=outcome.observed_rate,
        residual=outcome.residual,
        clipped=outcome.clipped,
        config=settings,
        wall_time=time.perf_counter() - began,
    )


@dataclass(frozen=True, eq=False)
class _Task:
    """What `linear_g_learn` was given."""

    game: LinearGame
    local_policy: Any
    features: Features
    k: int
    settings: LinearGLearnConfig
    seed: np.random.SeedSequence

    @property
    def tolerance(self) -> float:
        """Of the values."""
        low, high = value_range(self.game)
        return self.settings.tolerance * (high - low)


def _at_all_states(task: _Task) -> tuple[FitOutcome, int, int]:
    """(outcome, design points, draws per point and action) at every (s_g, histogram)."""
    game, settings = task.game, task.settings
    if isinstance(game, ContinuousGame):
        raise TypeError("states='all' needs a game with finitely many states; got a ContinuousGame: use states='met'")
    if task.features.summary != "histogram":
        raise ValueError(f"states='all' needs features of histograms; these see agents as {task.features.summary!r}")
    sampled = not isinstance(game, TabularGame)
    plan = GLearnConfig(operator="monte_carlo", n_samples=settings.n_samples) if sampled else GLearnConfig()
    used = make_plan(game, task.k, plan).n_samples
    task.local_policy.check_fits(game)
    rng = np.random.default_rng(task.seed)
    points, rewards, ahead = all_states(game, task.local_policy, task.features, task.k, plan, rng)
    problem = regression_at_all_states(points, rewards, ahead, game.discount, value_range(game), settings.ridge)
    return fitted_iteration(problem, task.tolerance, settings.max_iterations), len(points), used


def _at_states_met(task: _Task) -> tuple[FitOutcome, int, int]:
    """(outcome, design points, draws per point and action) at states met while playing."""
    settings = task.settings
    n_agents = settings.n_agents if settings.n_agents is not None else task.k
    if n_agents < task.k:
        raise ValueError(f"n_agents must be at least k={task.k}, the agents seen; got {n_agents}")
    simulator_of(task.game, n_agents, 1)  # refuses other kinds of games
    explorer = Explorer(
        game=task.game,
        local_policy=task.local_policy,
        features=task.features,
        k=task.k,
        n_agents=n_agents,
        horizon=settings.horizon,
        n_draws=settings.n_samples,
    )
    samples: list[Sample] = []
    policy: LinearGlobalPolicy | None = None
    for number in range(settings.n_rounds):
        samples.append(explorer.sample(settings.n_states, policy, Streams.from_seed(child(task.seed, number))))
        problem = Sample.stack(samples).regression(task.game.discount, value_range(task.game), settings.ridge)
        last = number == settings.n_rounds - 1
        outcome = fitted_iteration(problem, task.tolerance, settings.max_iterations, certify=last)
        policy = LinearGlobalPolicy(features=task.features, weights=outcome.weights, k=task.k)
    return outcome, len(problem.design), settings.n_samples


def value_range(game: LinearGame) -> tuple[float, float]:
    """Least and largest discounted return that the game allows."""
    if isinstance(game, TabularGame):
        bounds = [(rewards.min(), rewards.max()) for rewards in (game.global_reward, game.local_reward)]
    else:
        bounds = [game.global_reward_bounds, game.local_reward_bounds]
    low, high = np.sum(bounds, axis=0) / (1 - game.discount)
    return float(low), float(high)
