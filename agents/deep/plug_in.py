"""Anybody's single-agent learner as a player's learner in `AlternatingMARL`.

`env_learner(train)`: `train` gets the player's view, a `gymnasium.Env` (`GlobalBestResponse`, `LocalBestResponse`, or
those of continuous games; its `discount` should be handed on), and returns a policy: an object with
`predict(observation, deterministic=True)` as Stable-Baselines3's, a function observation -> action, or one of ours.
`Sb3Learner(DQN, total_timesteps=...)` does that for an algorithm of Stable-Baselines3 or sb3-contrib.

In a finite game the policy is asked for its action at every observation there is, (s_g, histogram of k) or (s_l, s_g),
and so becomes a table; in a continuous one it becomes a network (`kofn.agents.deep.plug_in_networks`). UPDATE judges
that in the deployed game. The fleet's learner is one tagged robot among others that keep their policy
(`deviation="tagged"`), paid the team's reward or its own, or the fleet as a whole, which sees s_g and names an action
per local state ("shared"; per cell of places in a continuous game).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from kofn.agents.deep.plug_in_networks import actions_of, as_network, continuous_view
from kofn.agents.deep.response import DeepResponse
from kofn.agents.deep.runtime import integer_seed, naming_divergence, private_randomness, save_zip
from kofn.envs.arguments import text
from kofn.envs.arrays import integer
from kofn.envs.continuous import ContinuousGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.model import Game
from kofn.envs.observations import GlobalEncoding, LocalEncoding, one_hot
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_global_policy, as_local_policy
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.continuous_vector import Deviation, RewardNotion
from kofn.wrappers.deviations import check_notions

if TYPE_CHECKING:
    from kofn.agents.alternation.learners import Problem

Train = Callable[[gymnasium.Env[Any, Any]], Any]


@dataclass(frozen=True, kw_only=True)
class EnvLearner:
    """A learner of either player; see `env_learner`."""

    train: Train
    deviation: Deviation = "tagged"
    reward: RewardNotion = "team"
    n_samples: int = 0

    def __post_init__(self) -> None:
        """Validate."""
        if not callable(self.train):
            raise TypeError(f"train must be a function of a gymnasium.Env; got {self.train!r}")
        check_notions(self.deviation, self.reward)

    def __call__(self, problem: "Problem") -> DeepResponse:
        """Train in the player's view and turn the outcome into a policy of ours."""
        began = time.perf_counter()
        view = player_view(problem, self.deviation, self.reward)
        view.reset(seed=integer_seed(problem.seed))
        found = self.train(view)
        convert: Callable[..., Any] = as_network if isinstance(problem.game, ContinuousGame) else as_table
        policy = convert(found, problem, self.deviation)
        view.close()
        seconds = time.perf_counter() - began
        return DeepResponse(policy=policy, n_iterations=1, n_samples=self.n_samples, wall_time=seconds)


def env_learner(train: Train, *, deviation: Deviation = "tagged", reward: RewardNotion = "team") -> EnvLearner:
    """A learner from a function gymnasium.Env -> policy.

    Args:
        train: the function.
        deviation: what the fleet's view is of; ignored where the global agent learns.
        reward: what a tagged agent is paid, "team" or "own"; likewise.

    Raises:
        TypeError, ValueError: `train` is no function, or an unknown deviation or reward.
    """
    return EnvLearner(train=train, deviation=deviation, reward=reward)


@dataclass(frozen=True)
class Sb3Learner:
    """An algorithm of Stable-Baselines3 or sb3-contrib as a learner of either player.

    Args:
        algorithm: its class, e.g. `stable_baselines3.DQN`.
        total_timesteps: steps in the view, per proposal.
        policy: its policy.
        deviation: as for `env_learner`.
        options: further arguments of the algorithm, `gamma` and `seed` excepted: they are the game's and the driver's.
        reward: as for `env_learner`.
        zip_folder: where to keep the last proposal's model in Stable-Baselines3's own format, `PLAYER.zip`, too. It
            holds pickled objects, which a warning says; nothing here reads it.

    Raises:
        TypeError, ValueError: no such class, or a number of steps below 1.
    """

    algorithm: type[Any]
    total_timesteps: int
    policy: str = "MlpPolicy"
    deviation: Deviation = "tagged"
    options: dict[str, Any] = field(default_factory=dict)
    reward: RewardNotion = "team"
    zip_folder: str | Path | None = None

    def __post_init__(self) -> None:
        """Validate."""
        if not (isinstance(self.algorithm, type) and hasattr(self.algorithm, "learn")):
            raise TypeError(f"algorithm must be a class such as stable_baselines3.PPO; got {self.algorithm!r}")
        if not isinstance(self.options, dict):
            raise TypeError(f"options must be a dict; got {self.options!r}")
        text("policy", self.policy)
        if self.zip_folder is not None and not isinstance(self.zip_folder, str | Path):
            raise TypeError(f"zip_folder must be a path; got {self.zip_folder!r}")
        integer("total_timesteps", self.total_timesteps, 1)
        check_notions(self.deviation, self.reward)
        for name in ("gamma", "seed"):
            if name in self.options:
                raise ValueError(f"options must not set {name}: it is the {'game' if name == 'gamma' else 'driver'}'s")

    def __call__(self, problem: "Problem") -> DeepResponse:
        """Train a new model in the player's view and turn it into a policy of ours."""
        seed = integer_seed(problem.seed)

        def train(env: gymnasium.Env[Any, Any]) -> Any:
            chosen = {"device": "cpu", **self.options, "gamma": problem.game.discount, "seed": seed}
            model = self.algorithm(self.policy, env, **chosen)
            with naming_divergence(model):
                model.learn(self.total_timesteps)
            if self.zip_folder is not None:
                save_zip(model, self.zip_folder, problem.player)
            return model

        with private_randomness():
            notion: dict[str, Any] = {"deviation": self.deviation, "reward": self.reward}
            return EnvLearner(train=train, n_samples=self.total_timesteps, **notion)(problem)


def player_view(problem: "Problem", deviation: Deviation, reward: RewardNotion) -> gymnasium.Env[Any, Any]:
    """The player's problem as a gymnasium.Env; TypeError for a game that has no views."""
    if isinstance(problem.game, ContinuousGame):
        return continuous_view(problem, deviation, reward)
    if not isinstance(problem.game, Game):
        raise TypeError(f"game must be finite or a ContinuousGame; got {type(problem.game).__name__}")
    sizes: dict[str, Any] = {"n_agents": problem.n_agents, "max_cycles": problem.max_cycles}
    if problem.player == "global":
        fleet = problem.local_policy
        return GlobalBestResponse(problem.game, k=problem.k, local_policy=fleet, sampler=problem.sampler, **sizes)
    sizes |= {"global_policy": problem.global_policy, "local_policy": problem.local_policy, "sampler": problem.sampler}
    return LocalBestResponse(problem.game, k=problem.k, deviation=deviation, reward=reward, **sizes)


def as_table(found: Any, problem: "Problem", deviation: Deviation) -> GlobalPolicy | LocalPolicy:
    """What a learner returned, as the player's table."""
    game, k = problem.game, problem.k
    if not (callable(found) or hasattr(found, "predict")):
        return as_global_policy(found, game, k) if problem.player == "global" else as_local_policy(found, game)
    if problem.player == "global":
        histograms = enumerate_histograms(k, game.n_local_states)
        encoding = GlobalEncoding(game.n_global_states, game.n_local_states, k, "histogram", "box")
        rows = [encoding.encode(np.full(len(histograms), s_g), histograms) for s_g in range(game.n_global_states)]
        return as_global_policy(np.stack([actions_of(found, row) for row in rows]), game, k)
    if deviation == "shared":
        seen = one_hot(np.arange(game.n_global_states), game.n_global_states)
        return LocalPolicy.from_actions(actions_of(found, seen).T, game.n_local_actions)
    own, shared = np.indices((game.n_local_states, game.n_global_states)).reshape(2, -1)
    seen = LocalEncoding(game.n_global_states, game.n_local_states, "box").encode(own, shared)
    actions = actions_of(found, seen).reshape(game.n_local_states, game.n_global_states)
    return LocalPolicy.from_actions(actions, game.n_local_actions)
