r"""Where a linear Q function is fitted: all states of a small game, or states met while playing.

* `all_states`: every (s_g, histogram of k agents), expectations by G-LEARN's own operator, exact or sampled.
* `Explorer`: states of trajectories from the game's starts. A population of N agents follows the local policy; half
  of the trajectories hold a global action for a while and then draw another one uniformly, so that the places are
  visited where sticking to an action leads, and the others follow the policy learnt so far, with some uniform actions.
  From every state every action is tried m times with fresh draws. The k agents that the features see are drawn afresh
  from the N at either end of such a step; with N = k, the paper's surrogate game, they are all there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kofn.agents.global_response.features import Features
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.global_response.linear_fit import Regression
from kofn.agents.global_response.linear_rollouts import (
    MAX_INDIVIDUALS,
    AnySimulator,
    Crew,
    Dispatcher,
    LinearGame,
    look,
    play,
    simulator_of,
)
from kofn.agents.global_response.oracle_operator import OracleSurrogate
from kofn.agents.global_response.surrogate import Ahead, Surrogate, TabularSurrogate
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.policies import LocalPolicy
from kofn.envs.streams import Streams

MAX_ENTRIES = 2**27
"""Numbers that the features of everything that follows may take."""

HOLD = 0.8
"""Probability of holding a global action for another step while exploring."""

UNIFORM = 0.1
"""Probability of a uniform action while following a policy."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """States met, and what followed them.

    Attributes:
        design: features, float [i, feature].
        landing: features after every action, float [i, a, draw, feature].
        rewards: mean team rewards, float [i, a].
    """

    design: FloatArray
    landing: FloatArray
    rewards: FloatArray

    @classmethod
    def stack(cls, samples: Sequence["Sample"]) -> "Sample":
        """One after the other."""
        return cls(
            design=np.concatenate([sample.design for sample in samples]),
            landing=np.concatenate([sample.landing for sample in samples]),
            rewards=np.concatenate([sample.rewards for sample in samples]),
        )

    def regression(self, discount: float, value_range: tuple[float, float], ridge: float) -> Regression:
        """What is to be iterated."""
        shape = self.landing.shape
        return Regression(
            design=self.design,
            landing=self.landing.reshape(-1, shape[-1]),
            rewards=self.rewards,
            expect=lambda values: np.asarray(values.reshape(shape[:3]).mean(axis=2)),
            discount=discount,
            value_range=value_range,
            ridge=ridge,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Explorer:
    """Draws samples of states met.

    Attributes:
        game: the game.
        local_policy: pi_l.
        features: phi.
        k: agents seen.
        n_agents: N.
        horizon: steps of a trajectory.
        n_draws: m.
    """

    game: LinearGame
    local_policy: Crew
    features: Features
    k: int
    n_agents: int
    horizon: int
    n_draws: int

    def sample(self, n_states: int, policy: Dispatcher | None, streams: Streams) -> Sample:
        """`n_states` states, some more where trajectories do not divide them.

        Raises:
            ValueError: features of everything that follows do not fit into memory.
        """
        entries = n_states * self.game.n_global_actions * self.n_draws * self.features.size
        if entries > MAX_ENTRIES:
            raise ValueError(
                f"{n_states} states with {self.n_draws} draws per action and {self.features.size} features take "
                f"{entries} numbers, more than {MAX_ENTRIES}; use fewer of either"
            )
        walkers = simulator_of(self.game, self.n_agents, -(-n_states // self.horizon))
        walkers.reset(streams)
        held = streams.policy.integers(self.game.n_global_actions, size=walkers.n_populations)
        parts = []
        for _ in range(self.horizon):
            seen = look(walkers, self.k, self.features.summary, streams.sampling)
            design = self.features(walkers.global_states, seen)
            landing, rewards = self._try_all(walkers, streams)
            parts.append(Sample(design=design, landing=landing, rewards=rewards))
            held = self._behave(held, walkers, seen, policy, streams.policy)
            play(walkers, held, self.local_policy, streams.policy)
        return Sample.stack(parts)

    def _behave(
        self,
        held: IntArray,
        walkers: AnySimulator,
        seen: IntArray,
        policy: Dispatcher | None,
        rng: np.random.Generator,
    ) -> IntArray:
        """The trajectories' next global actions."""
        uniform = rng.integers(self.game.n_global_actions, size=len(held))
        actions = np.where(rng.random(len(held)) < HOLD, held, uniform)
        if policy is None:
            return actions
        followed = np.where(rng.random(len(held)) < UNIFORM, uniform, policy.act(walkers.global_states, seen, rng))
        return np.where(np.arange(len(held)) % 2 == 0, actions, followed)

    def _try_all(self, walkers: AnySimulator, streams: Streams) -> tuple[FloatArray, FloatArray]:
        """(features [population, a, draw, feature], mean rewards [population, a]) one step ahead."""
        n_actions, per_state = self.game.n_global_actions, self.game.n_global_actions * self.n_draws
        height = max(1, MAX_INDIVIDUALS // (per_state * self.n_agents))
        landing, rewards = [], []
        for first in range(0, walkers.n_populations, height):
            rows = np.repeat(np.arange(walkers.n_populations)[first : first + height], per_state)
            ahead = simulator_of(self.game, self.n_agents, len(rows))
            ahead.reset(streams)  # the streams; states are set next
            ahead.global_states, ahead.local_states = walkers.global_states[rows], walkers.local_states[rows]
            actions = np.tile(np.repeat(np.arange(n_actions), self.n_draws), len(rows) // per_state)
            paid = play(ahead, actions, self.local_policy, streams.policy)
            seen = look(ahead, self.k, self.features.summary, streams.sampling)
            found = self.features(ahead.global_states, seen)
            landing.append(found.reshape(-1, n_actions, self.n_draws, self.features.size))
            rewards.append(paid.reshape(-1, n_actions, self.n_draws).mean(axis=2))
        return np.concatenate(landing), np.concatenate(rewards)


def all_states(
    game: TabularGame | GenerativeGame,
    local_policy: LocalPolicy,
    features: Features,
    k: int,
    settings: GLearnConfig,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, Ahead]:
    """(features [state, feature], rewards [s_g, histogram, a], expectation) at all (s_g, histogram), s_g slowest."""
    plan = make_plan(game, k, settings)
    surrogate: Surrogate
    if isinstance(game, GenerativeGame):
        surrogate = OracleSurrogate(game, local_policy, k)
    else:
        surrogate = TabularSurrogate(game, local_policy, k)
    rewards = surrogate.rewards(None, plan.n_samples, rng).values
    histograms = enumerate_histograms(k, game.n_local_states)
    global_states = np.repeat(np.arange(game.n_global_states), len(histograms))
    points = features(global_states, np.tile(histograms, (game.n_global_states, 1)))
    return points, rewards, surrogate.ahead(plan, rng)


def regression_at_all_states(
    points: FloatArray,
    rewards: FloatArray,
    ahead: Ahead,
    discount: float,
    value_range: tuple[float, float],
    ridge: float,
) -> Regression:
    """What is to be iterated at all states."""
    n_global, n_histograms, n_actions = rewards.shape

    def expect(values: FloatArray) -> FloatArray:
        return np.asarray(ahead(values.reshape(n_global, n_histograms)).reshape(-1, n_actions))

    return Regression(
        design=points,
        landing=points,
        rewards=rewards.reshape(-1, n_actions),
        expect=expect,
        discount=discount,
        value_range=value_range,
        ridge=ridge,
    )
