"""What the chained MDPs of L-LEARN share: the environment, its tables, and the values of local policies.

`ChainedEnv` plays a `ChainModel` by drawing one micro-step at a time, so that it needs no tables, and hands the same
model out as arrays. The two forms agree in numbering, rewards and laws. What a solver needs of a chain:

* `mdp()`, the tables, with mean undiscounted rewards r(x, a); `n_stages` and `horizon` in micro-steps;
* `reward_weights()` [tau]: the return is sum_tau reward_weights[tau] r(x_tau, a_tau), whatever the placement;
* `stage`, `local_state`, `global_state` [state]: h, and the o(x) = (s_h, s_g) that a policy of the game may see;
* `state_policy(local_policy)` [state, action], `value(local_policy)` [state] and `potential(local_policy)`.

A chain of a game that can only be sampled is played all the same; `mdp()` and the values, which need rows, refuse it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete

from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.observations import Space
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_global_policy, as_local_policy
from kofn.envs.registration import as_game, default_sizes
from kofn.wrappers.chain_model import MAX_TABLE_ENTRIES, ChainModel, ChainState
from kofn.wrappers.chain_values import Discounting, Placement
from kofn.wrappers.crowds import Crowd
from kofn.wrappers.finite_mdp import FiniteMDP, with_deciding_states
from kofn.wrappers.view import DEFAULT_MAX_CYCLES, OVER, policy_k

MAX_STATES = 2**56
"""States that an observation can number with 64-bit integers; ranking histograms needs the room that is left."""


@dataclass(frozen=True, eq=False)
class ChainSizes:
    """A game, pi_g, and how many agents play it for how many macro steps per episode."""

    game: TabularGame | GenerativeGame
    global_policy: GlobalPolicy
    n_agents: int
    max_cycles: int


def chain_sizes(
    game: TabularGame | GenerativeGame | str,
    global_policy: GlobalPolicy | str | npt.ArrayLike,
    name: str,
    n_agents: int | None,
    max_cycles: int | None,
) -> ChainSizes:
    """The arguments that all chains have, checked; `name` is what the chain calls its number of agents."""
    model = game if isinstance(game, GenerativeGame) else as_game(game)
    defaults = default_sizes(game) if isinstance(game, str) else None
    policy = as_global_policy(global_policy, model, policy_k(global_policy, model))
    n_agents = integer(name, n_agents, 1) if n_agents is not None else policy.k
    if n_agents < policy.k:
        raise ValueError(f"{name} must be at least k={policy.k}, the agents the global policy sees; got {n_agents}")
    if max_cycles is None:
        max_cycles = defaults.max_cycles if defaults is not None else DEFAULT_MAX_CYCLES
    return ChainSizes(model, policy, n_agents, integer("max_cycles", max_cycles, 1))


class ChainedEnv(gymnasium.Env[int, Any]):
    """A chain as Gymnasium environment and as arrays; `ReplicaChain` and `HistogramChain` say which chain.

    Args:
        sizes: the game, pi_g, N and the macro steps per episode.
        crowd: the N agents.
        placement: where the discount goes, "commit", "stage" or "horizon" (see `kofn.wrappers.chain_values`).
        deciding_states: whether choosing and moving are steps of their own.

    Attributes:
        game: the game.
        global_policy: pi_g.
        n_agents: N.
        max_cycles: macro steps per episode.
        n_states: number of states.
        n_stages: micro-steps per macro step, counting both halves of each with `deciding_states`.
        horizon: micro-steps per episode.
        discounting: the placement of the discount, with its factors.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # Gymnasium's own name and type

    def __init__(self, sizes: ChainSizes, crowd: Crowd, placement: Placement, *, deciding_states: bool) -> None:
        if not isinstance(deciding_states, bool):
            raise TypeError(f"deciding_states must be True or False; got {deciding_states!r}")
        self.game, self.global_policy = sizes.game, sizes.global_policy
        self.n_agents, self.max_cycles = sizes.n_agents, sizes.max_cycles
        self.deciding_states = deciding_states
        self._model = ChainModel(self.game, self.global_policy, crowd)
        self._nodes = 1 + self.game.n_local_actions if deciding_states else 1
        self.n_states = self._model.n_states * self._nodes
        if self.n_states > MAX_STATES:
            raise ValueError(
                f"a chain of {self.n_agents} agents over {self.game.n_local_states} local states has "
                f"{self.n_states} states, more than the {MAX_STATES} that can be numbered; use fewer agents"
            )
        self.n_stages = crowd.n_stages * (2 if deciding_states else 1)
        self.horizon = self.n_stages * self.max_cycles
        self.discounting = Discounting(placement, self.game.discount, self.n_stages)
        stages = np.arange(self.n_stages)
        self._discounts: list[float] = self.discounting.step_discount(stages).tolist()
        self._scales: list[float] = self.discounting.reward_scale(stages).tolist()
        self.observation_space: Space = Discrete(self.n_states)
        self.action_space: Space = Discrete(self.game.n_local_actions)
        self._state: ChainState | None = None

    @property
    def discount(self) -> float | None:
        """The discount of every step; None under "commit", where it varies: `info["discount"]` has it."""
        return None if self.discounting.placement == "commit" else self._discounts[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Start an episode; a seed restarts the random stream. `options` are ignored."""
        super().reset(seed=seed, options=options)
        self._state = self._model.draw_start(self.np_random)
        self._chosen: int | None = None
        self._step = 0
        return self._index(self._state), self._describe(self._state)

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Play one micro-step.

        Raises:
            RuntimeError: before the first reset, or after the end of the episode.
            TypeError, ValueError: the action is no integer or out of range.
        """
        a_l = integer("action", action, 0, self.game.n_local_actions - 1)
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        if self._step >= self.horizon:
            raise RuntimeError(OVER)
        stage = self._step % self.n_stages
        paid = self._play(self._state, a_l)
        reward = self._scales[stage] * self.discounting.clock_scale(self._step) * paid
        self._step += 1
        info = {"discount": self._discounts[stage], **self._describe(self._state)}
        return self._index(self._state), reward, False, self._step >= self.horizon, info

    def _play(self, state: ChainState, action: int) -> float:
        """Choose, or move and be paid."""
        if self.deciding_states and self._chosen is None:
            self._chosen = action
            return 0.0
        chosen = action if self._chosen is None else self._chosen
        self._state, paid = self._model.draw_step(self.np_random, state, chosen)
        self._chosen = None
        return paid

    def _index(self, state: ChainState) -> int:
        number = self._model.index(state)
        if self._chosen is None:
            return number
        return self._model.n_states + number * self.game.n_local_actions + self._chosen

    def _describe(self, state: ChainState) -> dict[str, Any]:
        """What a policy of the game may see of a state, and the stage."""
        acting = int(self._model.crowd.acting(state.stage, state.row))
        return {"observation": (acting, state.global_state), "stage": self._step % self.n_stages}

    def mdp(self) -> FiniteMDP:
        """Transitions, mean undiscounted rewards and start law, states numbered as the observations are.

        Raises:
            TypeError: a game that can only be sampled.
            ValueError: tables of more than 2^24 entries.
        """
        return self._tables

    @cached_property
    def _tables(self) -> FiniteMDP:
        self._check_size()
        mdp = self._model.tables()
        return with_deciding_states(mdp) if self.deciding_states else mdp

    def _check_size(self) -> None:
        n_actions, width = self.game.n_local_actions, self._model.n_successors
        entries = self.n_states * n_actions * width
        if entries > MAX_TABLE_ENTRIES:
            raise ValueError(
                f"the tables of this chain need {entries} entries ({self.n_states} states, {n_actions} actions, up to "
                f"{width} next states), more than {MAX_TABLE_ENTRIES}; use fewer agents, or play it with step()"
            )

    @cached_property
    def _labels(self) -> tuple[IntArray, IntArray, IntArray]:
        """(stage, s_h, s_g); a node (x, a) belongs to the second half of the stage of x."""
        self._check_size()
        stages, acting, global_states = self._model.labels()
        if not self.deciding_states:
            return stages, acting, global_states
        doubled = [np.append(label, np.repeat(label, self._nodes - 1)) for label in (2 * stages, acting, global_states)]
        doubled[0][len(stages) :] += 1
        return doubled[0], doubled[1], doubled[2]

    @property
    def stage(self) -> IntArray:
        """h, int64 [state]: a state of stage h occurs only at steps tau with tau mod n_stages = h."""
        return self._labels[0]

    @property
    def local_state(self) -> IntArray:
        """s_h, the local state of those who act, int64 [state]."""
        return self._labels[1]

    @property
    def global_state(self) -> IntArray:
        """s_g, int64 [state]."""
        return self._labels[2]

    @property
    def step_discount(self) -> FloatArray:
        """Discount of a step from each state, float [state]."""
        return self.discounting.step_discount(self.stage)

    def reward_weights(self, horizon: int | None = None) -> FloatArray:
        """gamma^floor(tau/n_stages), float [tau], for tau below `horizon` (omitted: an episode).

        In any placement the mean return is that of sum_tau reward_weights[tau] r(x_tau, a_tau), r from `mdp()`.
        """
        return self.discounting.reward_weights(self.horizon if horizon is None else horizon)

    def checked_policy(self, policy: LocalPolicy | str | npt.ArrayLike | None = None) -> LocalPolicy:
        """A policy of the chain, checked; omitted: the only action of a chain that has one.

        Raises:
            TypeError, ValueError: a policy of another game, or none although there is a choice.
        """
        if policy is None and self.game.n_local_actions > 1:
            raise TypeError(f"local_policy must be given for a chain of {self.game.n_local_actions} actions; got None")
        return as_local_policy("uniform" if policy is None else policy, self.game)

    def state_policy(self, local_policy: LocalPolicy | str | npt.ArrayLike | None = None) -> FloatArray:
        """pi_l(a | o(x)), float [state, action]; arguments and errors as `checked_policy`."""
        return np.asarray(self.checked_policy(local_policy).table[self.local_state, self.global_state])

    def value(self, local_policy: LocalPolicy | str | npt.ArrayLike | None = None) -> FloatArray:
        """Value of every state when actions follow pi_l(. | o(x)), float [state].

        Discounted and infinite under "commit" and "stage"; under "horizon", of an episode that begins in the state.

        Raises:
            TypeError, ValueError: as `checked_policy` and `mdp`.
        """
        transition, rewards = self.mdp().under(self.state_policy(local_policy))
        return self.discounting.values(transition, rewards, self.stage, self.horizon)

    def potential(self, local_policy: LocalPolicy | str | npt.ArrayLike | None = None) -> float:
        """Mean value over the start law: Phi of the game of N agents (of the first `max_cycles` steps: "horizon")."""
        return float(self.mdp().start @ self.value(local_policy))
