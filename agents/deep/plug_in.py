"""Anybody's single-agent learner as a player's learner in `AlternatingMARL`, on games of tables.

`env_learner(train)`: `train` gets the player's view, a `gymnasium.Env` (`GlobalBestResponse`, `LocalBestResponse`; its
`discount` should be handed on), and returns a policy: an object with `predict(observation, deterministic=True)` as
Stable-Baselines3's, a function observation -> action, or a table as `GlobalPolicy` and `LocalPolicy` take it.
`Sb3Learner(DQN, total_timesteps=...)` does that for an algorithm of Stable-Baselines3 or sb3-contrib.

The policy is asked for its action at every observation there is, (s_g, histogram of k) or (s_l, s_g), and so becomes a
table, which UPDATE judges in the deployed game. The fleet's learner is one tagged robot among others that keep their
policy (`deviation="tagged"`), or the fleet as a whole, which sees s_g and names an action per local state ("shared").
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np

from kofn.agents.deep.response import DeepResponse
from kofn.agents.deep.runtime import integer_seed, private_randomness
from kofn.envs.arrays import IntArray, integer, one_of
from kofn.envs.model import Game
from kofn.envs.observations import GlobalEncoding, LocalEncoding, one_hot
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_global_policy, as_local_policy
from kofn.envs.population import enumerate_histograms
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse

if TYPE_CHECKING:
    from kofn.agents.alternation.learners import Problem

Train = Callable[[gymnasium.Env[Any, Any]], Any]


@dataclass(frozen=True, kw_only=True)
class EnvLearner:
    """A learner of either player; see `env_learner`."""

    train: Train
    deviation: Literal["tagged", "shared"] = "tagged"
    n_samples: int = 0

    def __post_init__(self) -> None:
        """Validate."""
        if not callable(self.train):
            raise TypeError(f"train must be a function of a gymnasium.Env; got {self.train!r}")
        one_of("deviation", self.deviation, ("tagged", "shared"))

    def __call__(self, problem: "Problem") -> DeepResponse:
        """Train in the player's view and turn the outcome into a table."""
        began = time.perf_counter()
        view = player_view(problem, self.deviation)
        view.reset(seed=integer_seed(problem.seed))
        found = self.train(view)
        policy = as_table(found, problem, self.deviation)
        view.close()
        seconds = time.perf_counter() - began
        return DeepResponse(policy=policy, n_iterations=1, n_samples=self.n_samples, wall_time=seconds)


def env_learner(train: Train, *, deviation: Literal["tagged", "shared"] = "tagged") -> EnvLearner:
    """A learner from a function gymnasium.Env -> policy.

    Args:
        train: the function.
        deviation: what the fleet's view is of; ignored where the global agent learns.

    Raises:
        TypeError, ValueError: `train` is no function, or an unknown deviation.
    """
    return EnvLearner(train=train, deviation=deviation)


@dataclass(frozen=True)
class Sb3Learner:
    """An algorithm of Stable-Baselines3 or sb3-contrib as a learner of either player.

    Args:
        algorithm: its class, e.g. `stable_baselines3.DQN`.
        total_timesteps: steps in the view, per proposal.
        policy: its policy.
        deviation: as for `env_learner`.
        options: further arguments of the algorithm, `gamma` and `seed` excepted: they are the game's and the driver's.

    Raises:
        TypeError, ValueError: no such class, or a number of steps below 1.
    """

    algorithm: type[Any]
    total_timesteps: int
    policy: str = "MlpPolicy"
    deviation: Literal["tagged", "shared"] = "tagged"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate."""
        if not (isinstance(self.algorithm, type) and hasattr(self.algorithm, "learn")):
            raise TypeError(f"algorithm must be a class such as stable_baselines3.PPO; got {self.algorithm!r}")
        integer("total_timesteps", self.total_timesteps, 1)
        one_of("deviation", self.deviation, ("tagged", "shared"))
        for name in ("gamma", "seed"):
            if name in self.options:
                raise ValueError(f"options must not set {name}: it is the {'game' if name == 'gamma' else 'driver'}'s")

    def __call__(self, problem: "Problem") -> DeepResponse:
        """Train a new model in the player's view and turn it into a table."""
        seed = integer_seed(problem.seed)

        def train(env: gymnasium.Env[Any, Any]) -> Any:
            chosen = {"device": "cpu", **self.options, "gamma": problem.game.discount, "seed": seed}
            return self.algorithm(self.policy, env, **chosen).learn(self.total_timesteps)

        with private_randomness():
            learner = EnvLearner(train=train, deviation=self.deviation, n_samples=self.total_timesteps)
            return learner(problem)


def player_view(problem: "Problem", deviation: Literal["tagged", "shared"]) -> gymnasium.Env[Any, Any]:
    """The player's problem as a gymnasium.Env; TypeError for a game without tables."""
    if not isinstance(problem.game, Game):
        raise TypeError(
            f"learners of a gymnasium.Env are turned into tables; got a {type(problem.game).__name__} "
            "(DeepGlobal and DeepLocal learn networks)"
        )
    sizes: dict[str, Any] = {"n_agents": problem.n_agents, "max_cycles": problem.max_cycles}
    if problem.player == "global":
        return GlobalBestResponse(problem.game, k=problem.k, local_policy=problem.local_policy, **sizes)
    pair = {"global_policy": problem.global_policy, "local_policy": problem.local_policy}
    return LocalBestResponse(problem.game, k=problem.k, deviation=deviation, **pair, **sizes)


def as_table(found: Any, problem: "Problem", deviation: Literal["tagged", "shared"]) -> GlobalPolicy | LocalPolicy:
    """What a learner returned, as the player's table."""
    game, k = problem.game, problem.k
    if not (callable(found) or hasattr(found, "predict")):
        return as_global_policy(found, game, k) if problem.player == "global" else as_local_policy(found, game)
    if problem.player == "global":
        histograms = enumerate_histograms(k, game.n_local_states)
        encoding = GlobalEncoding(game.n_global_states, game.n_local_states, k, "histogram", "box")
        rows = [encoding.encode(np.full(len(histograms), s_g), histograms) for s_g in range(game.n_global_states)]
        return as_global_policy(np.stack([_actions(found, row) for row in rows]), game, k)
    if deviation == "shared":
        seen = one_hot(np.arange(game.n_global_states), game.n_global_states)
        return LocalPolicy.from_actions(_actions(found, seen).T, game.n_local_actions)
    own, shared = np.indices((game.n_local_states, game.n_global_states)).reshape(2, -1)
    seen = LocalEncoding(game.n_global_states, game.n_local_states, "box").encode(own, shared)
    actions = _actions(found, seen).reshape(game.n_local_states, game.n_global_states)
    return LocalPolicy.from_actions(actions, game.n_local_actions)


def _actions(found: Any, observations: Any) -> IntArray:
    """Actions at observations [row, ...], asked for all at once where the policy is of Stable-Baselines3's kind."""
    if hasattr(found, "predict"):
        return np.asarray(found.predict(observations, deterministic=True)[0], dtype=np.int64)
    return np.array([found(observation) for observation in observations], dtype=np.int64)
