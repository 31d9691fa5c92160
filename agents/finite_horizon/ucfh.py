r"""UCFH: optimism over a finite horizon (Dann and Brunskill 2015; the solver inside L-LEARN, ALTERNATING-MARL paper).

    n = v = 0
    loop: sets <- ConfidenceSet(n);  pi <- FixedHorizonEVI(sets)
          stop when the certified gap is at most epsilon, or after `max_episodes`
          repeat: play one episode with pi, v += visits
          until some (s, a) has v(s, a) >= max{m w_min, n(s, a)} and n(s, a) < |S| m H
          for one such (s, a): n += v, v = 0

(sets: `confidence_sets`; plans: `extended_values`; counts: `transition_counts`; constants: `ucfh_settings`). With
probability 1 - delta all but a bounded number of the episodes are epsilon-optimal; that says nothing about any one of
them. The stopping rule is therefore a certificate,

    certified gap = optimistic value - least value of pi that the sets allow >= optimal value - value of pi,

which holds whenever the sets contain the true process, at any moment. The value is that of an episode: E sum_t w_t r_t,
t = 0..H-1. A reward in [low, high] counts as (r - low) / (high - low) in the constants, and epsilon is divided
accordingly.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from kofn.agents.finite_horizon.backward_induction import horizon_weights
from kofn.agents.finite_horizon.extended_values import optimistic_plan, pessimistic_values
from kofn.agents.finite_horizon.transition_counts import DoublingRule, TransitionCounts
from kofn.agents.finite_horizon.ucfh_knowledge import Knowledge
from kofn.agents.finite_horizon.ucfh_problems import EnvProblem, LearningProblem, TableProblem, check_range
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig, UcfhConstants, ucfh_constants
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.streams import Seed, child, seed_sequence
from kofn.wrappers.finite_mdp import FiniteMDP

EPISODES_AT_ONCE = 2**14
"""Episodes played between two updates of the progress bar."""


@dataclass(frozen=True, eq=False, kw_only=True)
class UcfhResult:
    """Outcome of `ucfh`.

    Attributes:
        policy: actions, int [t, state].
        optimistic_value: upper bound on the optimal value of an episode.
        pessimistic_value: lower bound on the value of `policy`.
        certified_gap: their difference.
        converged: whether it met epsilon.
        n_episodes: episodes played.
        n_plans: plans made.
        n_samples: steps played.
        m: in use: scaled.
        log_term: l in use: scaled.
        theory: the paper's constants, unscaled (m, U_max, delta_1, ..).
        wall_time: seconds.
    """

    policy: IntArray
    optimistic_value: float
    pessimistic_value: float
    certified_gap: float
    converged: bool
    n_episodes: int
    n_plans: int
    n_samples: int
    m: float
    log_term: float
    theory: UcfhConstants
    wall_time: float


@checked_types
def ucfh(
    problem: FiniteMDP | gymnasium.Env[Any, Any],
    *,
    horizon: int,
    config: UcfhConfig | None = None,
    seed: Seed = None,
    reward_weights: npt.ArrayLike | None = None,
    reward_range: Sequence[float] | None = None,
    progress_bar: bool = False,
) -> UcfhResult:
    """Learn a policy for episodes of `horizon` steps whose certified gap is at most `config.epsilon`.

    Args:
        problem: tables, of which the learner knows rewards and first state (and the support, on request) and from which
            it draws episodes; or an environment with Discrete observations and actions, which it only resets and steps.
            In an environment transitions, rewards and first state are learnt; a terminated episode pays nothing more.
            One that truncates before the horizon hides what would follow, and the certified gap stays as wide.
        horizon: H.
        config: settings; omitted: the defaults.
        seed: source of the episodes.
        reward_weights: w, float [t], at least one positive; omitted: ones.
        reward_range: (low, high) of a single reward; omitted: that of the tables, (0, 1) for an environment.
        progress_bar: show one (on a terminal).

    Raises:
        TypeError, ValueError: an argument out of range, an environment with other spaces, or rewards outside their
            range.
    """
    began = time.perf_counter()
    config = config if config is not None else UcfhConfig()
    weights = horizon_weights(horizon, reward_weights)
    if not weights.any():
        raise ValueError("reward_weights must have a positive entry; all are 0")
    learning_problem = _learning_problem(problem, len(weights), config, seed, reward_range)
    return _Learner(learning_problem, weights, config).learn(progress_bar, began)


def _learning_problem(
    problem: FiniteMDP | gymnasium.Env[Any, Any],
    horizon: int,
    config: UcfhConfig,
    seed: Seed,
    reward_range: Sequence[float] | None,
) -> LearningProblem:
    root = seed_sequence(seed)
    checked = check_range(reward_range) if reward_range is not None else None
    if isinstance(problem, FiniteMDP):
        rng = np.random.default_rng(root)
        return TableProblem(problem, reward_range=checked, support_known=config.support_known, rng=rng)
    if not isinstance(problem, gymnasium.Env):
        raise TypeError(f"problem must be a FiniteMDP or a gymnasium.Env; got {type(problem).__name__}")
    if config.support_known:
        raise ValueError("support_known=True needs tables; an environment does not list its next states")
    return EnvProblem(
        problem,
        horizon=horizon,
        reward_range=checked if checked is not None else (0.0, 1.0),
        deterministic=config.rewards == "deterministic",
        seed=int(child(root, 0).generate_state(1)[0]),
    )


@dataclass(frozen=True, eq=False)
class _Plan:
    """An optimistic policy and bounds on the values of an episode."""

    policy: IntArray
    optimistic_value: float
    pessimistic_value: float

    @property
    def gap(self) -> float:
        return self.optimistic_value - self.pessimistic_value


class _Learner:
    """UCFH on one problem."""

    def __init__(self, problem: LearningProblem, weights: FloatArray, config: UcfhConfig) -> None:
        self.problem, self.weights, self.config = problem, weights, config
        unit = (problem.rewards.high - problem.rewards.low) * float(weights.max())
        self.theory = ucfh_constants(
            n_states=problem.n_values,
            n_rows=problem.n_rows,
            n_successors=problem.n_successors,
            horizon=len(weights),
            epsilon=config.epsilon / unit if unit > 0 else float(len(weights)),
            delta=config.delta,
            learn_rewards=problem.rewards.learn,
        )
        w_min = self.theory.w_min
        self.m = config.scale_m * self.theory.m if config.scale_m is not None else 1 / w_min
        sets = problem.blank_sets()
        self.knowledge = Knowledge(
            sets=sets,
            counts=TransitionCounts.zeros(*sets.successors.shape),
            rule=DoublingRule(first=self.m * w_min, cap=problem.n_values * self.m * len(weights)),
            log_term=config.scale_log * self.theory.log_term,
            support_known=config.support_known,
            rewards=problem.rewards,
        )
        self.n_episodes = self.n_plans = self.n_samples = 0

    def learn(self, progress_bar: bool, began: float) -> UcfhResult:
        """Plan, play and absorb in turn."""
        budget = self.config.max_episodes
        plan = self._plan()
        with tqdm(total=budget, disable=None if progress_bar else True, desc="episodes") as bar:
            while plan.gap > self.config.epsilon and self.n_episodes < budget:
                bar.set_postfix_str(f"certified gap {plan.gap:.4g}", refresh=False)
                self._play(plan.policy, bar)
                if self.knowledge.is_ready:  # otherwise the budget was spent, and the plan is still the right one
                    self.knowledge.absorb_ready(everything=self.config.phase_growth > 0)
                    plan = self._plan()
        return self._result(plan, time.perf_counter() - began)

    def _plan(self) -> _Plan:
        """FixedHorizonEVI and its certificate."""
        self.n_plans += 1
        problem, sets = self.problem, self.knowledge.sets
        policy, largest = optimistic_plan(sets, self.weights, problem.n_states, problem.n_actions, problem.n_values)
        least = pessimistic_values(sets, self.weights, policy, problem.n_actions, problem.n_values)
        low, high = problem.start_values(sets, least[0], largest[0])
        return _Plan(policy, high, low)

    def _play(self, policy: IntArray, bar: "tqdm[Any]") -> None:
        """One phase: play until a row is ready and the phase is long enough, or the budget is spent."""
        shortest = max(1, ceil(self.config.phase_growth * self.n_episodes))
        played = 0
        while self.n_episodes < self.config.max_episodes and not (self.knowledge.is_ready and played >= shortest):
            at_most = min(EPISODES_AT_ONCE, self.config.max_episodes - self.n_episodes)
            episodes, steps = self.problem.play(policy, self.knowledge, shortest - played, at_most)
            played += episodes
            self.n_episodes += episodes
            self.n_samples += steps
            bar.update(episodes)

    def _result(self, plan: _Plan, wall_time: float) -> UcfhResult:
        return UcfhResult(
            policy=plan.policy,
            optimistic_value=plan.optimistic_value,
            pessimistic_value=plan.pessimistic_value,
            certified_gap=plan.gap,
            converged=plan.gap <= self.config.epsilon,
            n_episodes=self.n_episodes,
            n_plans=self.n_plans,
            n_samples=self.n_samples,
            m=self.m,
            log_term=self.knowledge.log_term,
            theory=self.theory,
            wall_time=wall_time,
        )
