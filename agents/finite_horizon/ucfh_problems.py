"""Problems that UCFH learns: decision processes given by tables, and Gymnasium environments that can only be played.

Tables: transitions are unknown to the learner (their support may be known), rewards and the law of the first state are
known. Environments: everything is learnt. A terminated episode has reached one more state, absorbing, which pays
nothing; a truncated one merely stops being observed. The first state is learnt like what follows a row that every
episode visits once, before its first step.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

from kofn.agents.finite_horizon.extended_values import TransitionSets, extreme_means
from kofn.agents.finite_horizon.transition_counts import TableProcess, play_episodes
from kofn.agents.finite_horizon.ucfh_knowledge import Knowledge, RewardKnowledge, blank_sets
from kofn.envs.arrays import FloatArray, IntArray, first_index, float_array
from kofn.wrappers.finite_mdp import FiniteMDP

FIRST_WIDTH = 4
"""Listed next states of an environment's rows to begin with."""

SAME_REWARD = 1e-9
"""Deterministic rewards may differ by this fraction of their range (rounding)."""


class LearningProblem(Protocol):
    """What the learner needs of a problem.

    Attributes:
        n_states: states in which an action is chosen; |S| is `n_values`, those and an absorbing one.
        n_actions: actions.
        n_values: |S|.
        n_rows: |S x A|, with a row for the first state where that is learnt.
        n_successors: C, the most states that may follow a row as far as the learner knows.
        rewards: range of a reward, and whether mean rewards are estimated.
    """

    n_states: int
    n_actions: int
    n_values: int
    n_rows: int
    n_successors: int
    rewards: RewardKnowledge

    def blank_sets(self) -> TransitionSets:
        """Confidence sets before the first visit."""

    def play(self, policy: IntArray, knowledge: Knowledge, at_least: int, at_most: int) -> tuple[int, int]:
        """Play until a row is ready, at least and at most so many episodes; returns (episodes, steps)."""

    def start_values(self, sets: TransitionSets, least: FloatArray, largest: FloatArray) -> tuple[float, float]:
        """(least, largest) value of an episode from those of its first state, float [state]."""


class TableProblem:
    """A decision process given by tables.

    Args:
        mdp: the process.
        reward_range: range of its rewards; None: from the least to the largest.
        support_known: whether the learner knows which next states are possible.
        rng: source of the episodes.
    """

    def __init__(
        self,
        mdp: FiniteMDP,
        *,
        reward_range: tuple[float, float] | None,
        support_known: bool,
        rng: np.random.Generator,
    ) -> None:
        successors, probabilities, self._n_listed = listed_rows(mdp)
        self._process = TableProcess(successors, thresholds(probabilities), thresholds(mdp.start))
        self._mdp, self._rng, self._support_known = mdp, rng, support_known
        low, high = reward_range if reward_range is not None else (float(mdp.rewards.min()), float(mdp.rewards.max()))
        self.rewards = RewardKnowledge(low=low, high=high, learn=False)
        _check_rewards(mdp.rewards, self.rewards)
        self.n_states = self.n_values = mdp.n_states
        self.n_actions = mdp.n_actions
        self.n_rows = mdp.n_states * mdp.n_actions
        self.n_successors = int(self._n_listed.max()) if support_known else mdp.n_states

    def blank_sets(self) -> TransitionSets:
        """Every law on the successors, or on all states; rewards as they are."""
        rewards = self._mdp.rewards.flatten()  # a copy: code is compiled anew for arrays that are read-only
        known = self._support_known
        return blank_sets(self._process.successors, self._n_listed, support_known=known, rewards=(rewards, rewards))

    def play(self, policy: IntArray, knowledge: Knowledge, at_least: int, at_most: int) -> tuple[int, int]:
        """Compiled episodes."""
        counts, rule = knowledge.counts, knowledge.rule
        played = play_episodes(self._process, counts, policy, rule, self._rng, at_least, at_most)
        return played, played * len(policy)

    def start_values(self, sets: TransitionSets, least: FloatArray, largest: FloatArray) -> tuple[float, float]:  # noqa: ARG002  # the protocol's signature
        """Means over the law of the first state, which is known."""
        return float(self._mdp.start @ least), float(self._mdp.start @ largest)


def listed_rows(mdp: FiniteMDP) -> tuple[IntArray, FloatArray, IntArray]:
    """Every possible next state once, in ascending order: successors and probabilities [row, j], their number [row]."""
    n_rows = mdp.n_states * mdp.n_actions
    probabilities = mdp.probabilities.reshape(n_rows, -1)
    states = np.where(probabilities > 0, mdp.successors.reshape(n_rows, -1), mdp.n_states)
    order = np.argsort(states, axis=1, kind="stable")
    states = np.take_along_axis(states, order, axis=1)
    probabilities = np.take_along_axis(probabilities, order, axis=1)
    is_first = np.diff(states, axis=1, prepend=-1) > 0
    places = is_first.cumsum(axis=1) - 1
    possible = probabilities > 0
    n_listed = (is_first & possible).sum(axis=1)
    at = np.nonzero(possible)[0], places[possible]
    successors = np.zeros((n_rows, int(n_listed.max())), dtype=np.int64)
    merged = np.zeros(successors.shape)
    successors[at] = states[possible]
    np.add.at(merged, at, probabilities[possible])
    return successors, merged, n_listed


def thresholds(probabilities: FloatArray) -> FloatArray:
    """Cumulative probabilities over the last axis, 1 from the last positive one on: no draw can go beyond it."""
    possible = probabilities > 0
    later: IntArray = np.cumsum(possible[..., ::-1], axis=-1)[..., ::-1] - possible
    return np.where(later > 0, np.minimum(1.0, np.cumsum(probabilities, axis=-1)), 1.0)


class EnvProblem:
    """A Gymnasium environment with Discrete observations and actions, of which nothing else is known.

    Args:
        env: the environment; left open.
        horizon: H; an episode ends after H steps.
        reward_range: range of a single reward.
        deterministic: whether a state and an action always pay the same.
        seed: passed to the first reset.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        horizon: int,
        reward_range: tuple[float, float],
        deterministic: bool,
        seed: int | None,
    ) -> None:
        observations = _discrete("observation_space", env.observation_space)
        actions = _discrete("action_space", env.action_space)
        self._env, self._horizon, self._deterministic, self._seed = env, horizon, deterministic, seed
        self._first_state, self._first_action = int(observations.start), int(actions.start)
        self.rewards = RewardKnowledge(low=reward_range[0], high=reward_range[1], learn=not deterministic)
        self.n_states, self.n_actions = int(observations.n), int(actions.n)
        self.n_values = self.n_successors = self.n_states + 1
        self.n_rows = self.n_states * self.n_actions + 1

    def blank_sets(self) -> TransitionSets:
        """Every law on all states, rewards anywhere in their range."""
        successors = np.zeros((self.n_rows, FIRST_WIDTH), dtype=np.int64)
        rewards = np.full(self.n_rows, self.rewards.low), np.full(self.n_rows, self.rewards.high)
        return blank_sets(successors, np.zeros(self.n_rows, dtype=np.int64), support_known=False, rewards=rewards)

    def play(self, policy: IntArray, knowledge: Knowledge, at_least: int, at_most: int) -> tuple[int, int]:
        """Episodes through `reset` and `step`."""
        steps = 0
        for episode in range(at_most):
            steps += self._play_once(policy, knowledge)
            if knowledge.is_ready and episode + 1 >= at_least:
                return episode + 1, steps
        return at_most, steps

    def _play_once(self, policy: IntArray, knowledge: Knowledge) -> int:
        """One episode; returns its steps."""
        observation, _ = self._env.reset(seed=self._seed)
        self._seed = None
        state = self._state(observation)
        knowledge.record(self.n_rows - 1, state, 0.0)
        for t in range(self._horizon):
            action = int(policy[t, state])
            observation, reward, terminated, truncated, _ = self._env.step(action + self._first_action)
            following = self.n_states if terminated else self._state(observation)
            row = state * self.n_actions + action
            self._see_reward(row, float(reward), knowledge)
            knowledge.record(row, following, float(reward))
            if terminated or truncated:
                return t + 1
            state = following
        return self._horizon

    def _state(self, observation: Any) -> int:
        """The observation, counted from 0."""
        state = int(observation) - self._first_state
        if not 0 <= state < self.n_states:
            last = self._first_state + self.n_states - 1
            raise ValueError(
                f"observations must lie in {self._first_state}..{last}; the environment gave {observation}"
            )
        return state

    def _see_reward(self, row: int, reward: float, knowledge: Knowledge) -> None:
        """Check a reward and, where one observation is enough, know it."""
        low, high = self.rewards.low, self.rewards.high
        state, action = divmod(row, self.n_actions)
        where = f"state {state + self._first_state}, action {action + self._first_action}"
        if not low <= reward <= high:
            raise ValueError(f"rewards must lie in reward_range ({low}, {high}); {where} paid {reward}")
        if not self._deterministic:
            return
        sets, counts = knowledge.sets, knowledge.counts
        seen = counts.visits[row] + counts.new_visits[row] > 0
        if seen and abs(reward - sets.reward_low[row]) > SAME_REWARD * (high - low):
            raise ValueError(
                f"rewards='deterministic', but {where} paid {sets.reward_low[row]} and {reward}; use 'stochastic'"
            )
        sets.reward_low[row] = sets.reward_high[row] = reward

    def start_values(self, sets: TransitionSets, least: FloatArray, largest: FloatArray) -> tuple[float, float]:
        """Extreme means over the confidence set of the first state."""
        low, high = extreme_means(sets, self.n_rows - 1, least, largest)
        return low, high


def _discrete(name: str, space: object) -> "Discrete[Any]":  # gymnasium 1.0: no generic class
    if not isinstance(space, Discrete):
        raise TypeError(f"{name} must be Discrete; got {space}")
    return space


def _check_rewards(rewards: FloatArray, known: RewardKnowledge) -> None:
    outside = (rewards < known.low) | (rewards > known.high)
    if outside.any():
        index = first_index(outside)
        raise ValueError(
            f"rewards must lie in reward_range ({known.low}, {known.high}); entry {list(index)} is {rewards[index]}"
        )


def check_range(reward_range: Sequence[float]) -> tuple[float, float]:
    """(low, high), low < high.

    Raises:
        TypeError, ValueError: not two finite numbers in ascending order.
    """
    low, high = float_array("reward_range", reward_range, (2,))
    if low >= high:
        raise ValueError(f"reward_range must be (low, high) with low < high; got ({low}, {high})")
    return float(low), float(high)
