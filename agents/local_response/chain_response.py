r"""The paper's L-LEARN: plan on a chain with one local action per step, then project onto what an agent sees.

The chain (paper, Algorithms 21 and 28; see `kofn.wrappers.chain_model`) cuts a step of N agents into L stages. A plan
pi_t(x) for L H stages, rewards weighted by gamma^floor(t/L), comes from UCFH, which learns it from episodes (paper,
Theorem 4.6), or from backward induction, which is what UCFH tends to. Either may look at every replica, at the pending
s_g' and at t, while the fleet's policy may look at o = (s_h, s_g) only. Two projections, with mu_t the law of the
chain's state under the plan (computed, not sampled) and w the share of the agents that act in x:

    visits        argmax_a sum_t gamma^floor(t/L) sum_{x in o} w(x) mu_t(x) 1[pi_t(x) = a]      the majority's action
    occupancy_q   argmax_a sum_t sum_{x in o} mu_t(x) Q_t(x, a)                       Q of the plan, the best on average

Rows o that are never visited keep the current policy. The optimum of the chain bounds every policy of the fleet from
above (on the histogram chain, where a bin moves as one: every deterministic one); neither projection attains anything
in general, and the driver's UPDATE judges them.

H is as Lemma C.1 asks for, so that gamma^H r~/(1-gamma) <= epsilon. UCFH stops when its certified gap is at most
epsilon, so that its plan is within 2 epsilon of the chain's optimum, or at its budget of episodes.
"""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal, get_args

import numpy as np

from kofn.agents.bounds.truncation import truncation_horizon
from kofn.agents.finite_horizon.backward_induction import backward_induction, evaluate_nonstationary
from kofn.agents.finite_horizon.ucfh import ucfh
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig
from kofn.agents.local_response.fleet_problem import LEARNER_STREAM, FleetProblem, FleetResponse
from kofn.envs.arrays import FloatArray, IntArray, integer, one_of, positive
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy
from kofn.envs.streams import child
from kofn.wrappers.chain_model import ChainModel
from kofn.wrappers.crowds import Counts, Crowd, Replicas
from kofn.wrappers.finite_mdp import FiniteMDP

Chain = Literal["replica", "histogram", "tagged_histogram"]
Projection = Literal["visits", "occupancy_q"]

_SHARED_SETTINGS = ("max_episodes", "delta", "scale_m", "scale_log", "support_known", "phase_growth")

MAX_PLANNED_ROWS = 10**5
"""States times actions of a chain that is planned on once."""

MAX_LEARNED_ROWS = 10**4
"""States times actions of a chain that UCFH learns, planning anew after almost every episode."""


@dataclass(frozen=True, kw_only=True)
class ChainPlan:
    """An optimal plan on the chain, by backward induction, projected onto (s_h, s_g).

    Args:
        chain: agents one by one, or counted, or counted with one of them tagged (the paper's).
        projection: the plan's most frequent action, or the best on average.
        horizon: H, steps of the game (omitted: as Lemma C.1 asks for).
        epsilon: what the horizon may leave out, in units of value (omitted: 1/sqrt k).
    """

    chain: Chain = "replica"
    projection: Projection = "visits"
    horizon: int | None = None
    epsilon: float | None = None

    uses_kernels: ClassVar[bool] = False
    uses_population: ClassVar[bool] = True
    name: ClassVar[str] = "chain_plan"
    max_rows: ClassVar[int] = MAX_PLANNED_ROWS

    def __post_init__(self) -> None:
        """Validate."""
        one_of("chain", self.chain, get_args(Chain))
        one_of("projection", self.projection, get_args(Projection))
        if self.horizon is not None:
            object.__setattr__(self, "horizon", integer("horizon", self.horizon, 1))
        if self.epsilon is not None:
            object.__setattr__(self, "epsilon", positive("epsilon", self.epsilon))

    def check(self, game: Game, n_agents: int) -> None:
        """Raise ValueError for a chain too large to plan on."""
        crowd = self._crowd(game, n_agents)
        later = sum(crowd.size(stage) for stage in range(1, crowd.n_stages))
        n_rows = game.n_local_actions * game.n_global_states * (crowd.size(0) + game.n_global_states * later)
        if n_rows > self.max_rows:
            raise ValueError(
                f"method={self.name!r} takes chains of at most {self.max_rows} states times actions; chain="
                f"{self.chain!r} of n_agents={n_agents} has {n_rows}; use another chain, fewer agents, or "
                "method='shared_cpi'"
            )

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """The projected plan."""
        episode = self._episode(problem)
        plan = self._plan(episode, problem)
        policy = project_plan(episode, plan.policy, problem.start, self.projection)
        return FleetResponse(
            policy=policy,
            value=problem.chain(policy).potential,
            deviation="shared",
            n_samples=plan.n_samples,
            n_iterations=plan.n_plans,
            converged=plan.converged,
            certificate=plan.gap,
            upper_bound=plan.optimistic_value + episode.left_out,
        )

    def _crowd(self, game: Game, n_agents: int) -> Crowd:
        if self.chain == "replica":
            return Replicas(n_agents, game.n_local_states)
        return Counts(n_agents, game.n_local_states, self.chain == "tagged_histogram")

    def _episode(self, problem: FleetProblem) -> "Episode":
        """The chain for as long as is planned."""
        game = problem.game
        model = ChainModel(game, problem.global_policy, self._crowd(game, problem.n_agents))
        reward_bound = max(game.reward_bound, float(np.finfo(np.float64).tiny))
        horizon = self.horizon
        if horizon is None:
            horizon = max(1, truncation_horizon(self._epsilon(problem), reward_bound, game.discount))
        return Episode.of(model, horizon)

    def _epsilon(self, problem: FleetProblem) -> float:
        """Epsilon, by default that of Theorem 4.6."""
        return self.epsilon if self.epsilon is not None else 1 / sqrt(problem.global_policy.k)

    def _plan(self, episode: "Episode", problem: FleetProblem) -> "Plan":  # noqa: ARG002  # UCFH needs its seed
        plan = backward_induction(episode.mdp, len(episode.weights), episode.weights)
        return Plan(policy=plan.policy, optimistic_value=float(episode.mdp.start @ plan.values[0]))


@dataclass(frozen=True, kw_only=True)
class Ucfh(ChainPlan):
    """The paper's: a plan learned by UCFH on the chain, projected onto (s_h, s_g).

    Args:
        epsilon: certified gap at which to stop, and what the horizon may leave out, in units of value (omitted:
            1/sqrt k).
        max_episodes: episodes after which to give up.
        delta, scale_m, scale_log, support_known, phase_growth: as in `UcfhConfig`.
    """

    max_episodes: int = 1000
    delta: float = UcfhConfig.delta
    scale_m: float | None = UcfhConfig.scale_m
    scale_log: float = UcfhConfig.scale_log
    support_known: bool = UcfhConfig.support_known
    phase_growth: float = UcfhConfig.phase_growth

    name: ClassVar[str] = "ucfh"
    max_rows: ClassVar[int] = MAX_LEARNED_ROWS

    def __post_init__(self) -> None:
        """Validate; `UcfhConfig` does it for its own fields."""
        super().__post_init__()
        checked = self._config(epsilon=1.0)
        for name in _SHARED_SETTINGS:
            object.__setattr__(self, name, getattr(checked, name))

    def _config(self, epsilon: float) -> UcfhConfig:
        return UcfhConfig(epsilon=epsilon, **{name: getattr(self, name) for name in _SHARED_SETTINGS})

    def _plan(self, episode: "Episode", problem: FleetProblem) -> "Plan":
        learned = ucfh(
            episode.mdp,
            horizon=len(episode.weights),
            config=self._config(self._epsilon(problem)),
            seed=child(problem.seed, LEARNER_STREAM),
            reward_weights=episode.weights,
        )
        return Plan(
            policy=learned.policy,
            optimistic_value=learned.optimistic_value,
            gap=learned.certified_gap,
            converged=learned.converged,
            n_plans=learned.n_plans,
            n_samples=learned.n_episodes,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A plan and what is known of it.

    Attributes:
        policy: actions, int [t, state].
        optimistic_value: upper bound on the value of an episode.
        gap: bound on what the plan misses of it.
        converged: whether the gap is small enough.
        n_plans: plans made.
        n_samples: episodes played.
    """

    policy: IntArray
    optimistic_value: float
    gap: float = 0.0
    converged: bool = True
    n_plans: int = 1
    n_samples: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Episode:
    """A chain over a finite horizon.

    Attributes:
        mdp: its tables.
        weights: gamma^floor(t/L), float [t].
        local_state, global_state: o = (s_h, s_g), int [state].
        share: w, float [state].
        left_out: bound on the value of what comes after.
    """

    mdp: FiniteMDP
    weights: FloatArray
    local_state: IntArray
    global_state: IntArray
    share: FloatArray
    left_out: float

    @classmethod
    def of(cls, model: ChainModel, horizon: int) -> "Episode":
        """`horizon` steps of the game on a chain."""
        game, crowd = model.game, model.crowd
        _, local_state, global_state = model.labels()
        shares = [crowd.share(stage, crowd.rows(stage)) for stage in range(crowd.n_stages)]
        repeats = [size // len(share) for size, share in zip(model.sizes, shares, strict=True)]
        return cls(
            mdp=model.tables(),
            weights=np.repeat(game.discount ** np.arange(horizon), crowd.n_stages),
            local_state=local_state,
            global_state=global_state,
            share=np.concatenate([np.tile(share, n) for share, n in zip(shares, repeats, strict=True)]),
            left_out=game.discount**horizon * game.value_bound,
        )


def project_plan(episode: Episode, plan: IntArray, start: LocalPolicy, projection: Projection) -> LocalPolicy:
    """The map (s_h, s_g) -> a_l that stands for a plan [t, state]; unvisited rows are those of `start`."""
    laws = state_laws(episode.mdp, plan)
    visits = np.zeros_like(start.table)
    scores = np.zeros_like(start.table)
    values = evaluate_nonstationary(episode.mdp, plan, episode.weights)
    rows = episode.local_state, episode.global_state
    for t, weight in enumerate(episode.weights):
        np.add.at(visits, (*rows, plan[t]), weight * episode.share * laws[t])
        if projection == "occupancy_q":
            q_values = weight * episode.mdp.rewards + episode.mdp.expect(values[t + 1])
            np.add.at(scores, rows, laws[t][:, None] * q_values)
    chosen = (visits if projection == "visits" else scores).argmax(axis=2)
    visited = visits.sum(axis=2, keepdims=True) > 0
    return LocalPolicy(np.where(visited, np.eye(start.table.shape[2])[chosen], start.table))


def state_laws(mdp: FiniteMDP, plan: IntArray) -> FloatArray:
    """mu_t, the law of the state before step t under a plan [t, state], float [t, state]."""
    state = np.arange(mdp.n_states)
    laws = np.empty(plan.shape)
    law: FloatArray = mdp.start
    for t, actions in enumerate(plan):
        laws[t] = law
        successors, chances = mdp.successors[state, actions], mdp.probabilities[state, actions]
        law = np.bincount(successors.ravel(), (law[:, None] * chances).ravel(), mdp.n_states).astype(np.float64)
    return laws
