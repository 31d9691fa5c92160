r"""The response of ONE agent while the other N-1 keep the fleet's policy pi_l (a tagged deviation).

From the tagged agent's side the game is a Markov decision process with states (x, s_g, c), x its own state and c the
histogram of the others, who move by the kernels K of N-1 agents under pi_l whatever it does:

    Q(x, s_g, c, a) = R(x, s_g, c, a)
        + gamma sum_y P_l(y | x, s_g, a) sum_{s_g'} P_g^pi(s_g' | s_g, c + e_x) sum_o K_{s_g}(o | c) V(y, s_g', o)
    R = r_g^pi(s_g, c + e_x) + [r_l(x, s_g, a) + <c, r~(., s_g)>] / N     ("team": the common reward)
    R = r_g^pi(s_g, c + e_x) + r_l(x, s_g, a)                             ("own": the authors' reward in training)

A policy of the game may use (x, s_g) only. Among those maps the best is found by trying all of them where that is
cheap, otherwise by coordinate ascent (see `local_search`); the optimum over maps that see (x, s_g, c), by value
iteration and with its certificate, is an upper bound. That ALL agents adopt a tagged response can lower Phi, though
small steps towards it raise Phi: sum_i dV/dpi_i = dPhi/dpi_l.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, get_args

import numpy as np

from kofn.agents.local_response.fleet_problem import FleetProblem, FleetResponse
from kofn.agents.local_response.local_search import (
    MAX_EXHAUSTIVE,
    Climb,
    RowBlocks,
    best_climb,
    best_combination,
    count_maps,
    starting_policies,
)
from kofn.agents.lumped_chain import MAX_DIRECT_STATES, RELATIVE_TOLERANCE, discounted_sum
from kofn.agents.observation_channel import lift
from kofn.agents.operators import Kernel, induced_reward
from kofn.agents.solvers import WINDOW, value_iteration
from kofn.envs.arrays import FloatArray, integer, one_of
from kofn.envs.game import TabularGame
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.model import Game
from kofn.envs.policies import LocalPolicy

Reward = Literal["team", "own"]

VALUE_ERROR = 1e-10
"""Error allowed in values, as a fraction of r~/(1-gamma)."""

MAX_ENUMERATION_WORK = 10**9
"""Arithmetic operations, about, up to which all maps are tried; a few seconds."""


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """One agent's best map while the others keep the fleet's policy.

    Args:
        reward: "team", or "own", the authors' r_g + r_l of the agent itself.
        n_starts: random maps to climb from, besides pi_l and "stay".
        max_iterations: accepted changes of a row after which a climb gives up.
    """

    reward: Reward = "team"
    n_starts: int = 2
    max_iterations: int = 10_000

    uses_kernels: ClassVar[bool] = True
    uses_population: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Validate."""
        one_of("reward", self.reward, get_args(Reward))
        object.__setattr__(self, "n_starts", integer("n_starts", self.n_starts, 0))
        object.__setattr__(self, "max_iterations", integer("max_iterations", self.max_iterations, 1))

    def check(self, game: Game, n_agents: int) -> None:
        """Any size will do."""

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """The best map found, never worse for the agent than the fleet's policy."""
        model = TaggedModel.of(problem, self.reward)
        climb = self._search(problem, model)
        bound = model.full_information_bound()
        return FleetResponse(
            policy=climb.policy,
            value=climb.value,
            deviation="tagged",
            n_samples=problem.n_samples,
            n_iterations=climb.n_iterations,
            converged=climb.converged,
            certificate=bound - climb.value,
            upper_bound=bound,
        )

    def _search(self, problem: FleetProblem, model: "TaggedModel") -> Climb:
        resolution = 2 * VALUE_ERROR * problem.game.value_bound
        n_maps = count_maps(problem.game)
        if n_maps <= MAX_EXHAUSTIVE and n_maps * model.start.size**3 <= MAX_ENUMERATION_WORK:
            return _try_all(model, problem.start, resolution, n_maps)
        return best_climb(
            model.value_of,
            starting_policies(problem, self.n_starts),
            resolution=resolution,
            max_iterations=self.max_iterations,
        )


def _try_all(model: "TaggedModel", start: LocalPolicy, resolution: float, n_maps: int) -> Climb:
    """The best map, or `start` where it (being stochastic) is better still."""
    game = model.game
    choice, value = best_combination(model.blocks, resolution)
    actions = choice.reshape(game.n_local_states, game.n_global_states)
    start_value = model.value_of(start)
    if start_value >= value - resolution:
        return Climb(start, start_value, n_maps, converged=True)
    return Climb(LocalPolicy.from_actions(actions, game.n_local_actions), value, n_maps, converged=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class TaggedModel:
    """The decision process of the tagged agent.

    Attributes:
        game: the game.
        kernels: laws of the next histogram of the N-1 others, one per s_g.
        global_moves: P_g^pi(s_g' | s_g, c + e_x), float [x, s_g, c, s_g'].
        rewards: R, float [x, s_g, c, a].
        start: law of the first state, float [x, s_g, c].
    """

    game: TabularGame
    kernels: Sequence[Kernel]
    global_moves: FloatArray
    rewards: FloatArray
    start: FloatArray

    @classmethod
    def of(cls, problem: FleetProblem, reward: Reward) -> "TaggedModel":
        """The process of one of the N agents of a problem, the others following its start."""
        game, n_agents = problem.game, problem.n_agents
        others = enumerate_histograms(n_agents - 1, game.n_local_states)
        joined = rank_histograms(np.eye(game.n_local_states, dtype=np.int64)[:, None] + others)
        law = problem.global_policy.probabilities().swapaxes(0, 1)
        actions = lift(law, problem.global_policy.k, n_agents, game.n_local_states)[joined]
        paid_global = np.einsum("xcga,ga->xgc", actions, game.global_reward)[..., None]
        own = game.local_reward[:, :, None, :]
        rest = (induced_reward(game, problem.start) @ others.T)[None, :, :, None]
        paid_local = own if reward == "own" else (own + rest) / n_agents
        # Exchangeable agents: given the histogram of all N, the tagged one is any of them.
        share = game.initial_local.histogram_law(n_agents)[joined] * (others.T + 1) / n_agents
        return cls(
            game=game,
            kernels=problem.kernels(n_agents - 1, problem.start),
            global_moves=np.einsum("xcga,gap->xgcp", actions, game.global_transition),
            rewards=paid_global + paid_local,
            start=game.initial_global[:, None] * share[:, None, :],
        )

    def expected(self, values: FloatArray) -> FloatArray:
        """E[V(next state) | x, s_g, c, a], float [x, s_g, c, a], of `values` [x, s_g, c]."""
        found = np.empty_like(self.rewards)
        n_local, n_global, n_columns = values.shape
        columns = values.transpose(2, 0, 1).reshape(n_columns, -1)
        for s_g, kernel in enumerate(self.kernels):
            ahead = np.asarray(kernel @ columns).reshape(n_columns, n_local, n_global)
            landing = np.einsum("cyp,xcp->xcy", ahead, self.global_moves[:, s_g])
            found[:, s_g] = landing @ self.game.local_transition[:, s_g].swapaxes(1, 2)
        return found

    def value_of(self, policy: LocalPolicy) -> float:
        """The agent's value of pi' for itself, the others keeping theirs."""
        table = policy.table[:, :, None, :]
        rewards = (table * self.rewards).sum(axis=-1)
        if rewards.size <= MAX_DIRECT_STATES:
            rows = np.einsum("ba,basz->bsz", policy.table.reshape(-1, table.shape[-1]), self.blocks.transition)
            system = np.eye(rewards.size) - self.game.discount * rows.reshape(rewards.size, -1)
            return float(self.start.ravel() @ np.linalg.solve(system, rewards.ravel()))

        def expected(values: FloatArray) -> FloatArray:
            return np.asarray((table * self.expected(values)).sum(axis=-1))

        return float(np.vdot(self.start, discounted_sum(expected, rewards, self.game.discount, RELATIVE_TOLERANCE)))

    def full_information_bound(self) -> float:
        """The value of the best policy that sees (x, s_g, c), from above."""
        fixed = value_iteration(
            lambda values: (self.rewards + self.game.discount * self.expected(values)).max(axis=-1),
            np.zeros(self.start.shape),
            self.game.discount,
            window=WINDOW,
            tolerance=VALUE_ERROR * (self.game.value_bound or 1.0),
        )
        return float(np.vdot(self.start, fixed.values)) + fixed.certificate

    @cached_property
    def blocks(self) -> RowBlocks:
        """The process with one block of rows per (x, s_g); its options are the actions."""
        n_local, n_global, n_columns = self.start.shape
        dense = np.stack([k if isinstance(k, np.ndarray) else k.toarray() for k in self.kernels])
        transition = np.einsum("xgay,xgcp,gco->xgacypo", self.game.local_transition, self.global_moves, dense)
        n_actions = self.game.n_local_actions
        shape = (n_local * n_global, n_actions, n_columns)
        return RowBlocks(
            transition=transition.reshape(*shape, self.start.size),
            rewards=self.rewards.swapaxes(2, 3).reshape(shape),
            start=self.start.ravel(),
            discount=self.game.discount,
        )
