r"""Best responses by policy gradients: PPO, A2C (Stable-Baselines3) and TRPO (sb3-contrib) on the batched views.

Both learners start from the player's current network, collect B episodes at once on the simulator of n agents while the
other side keeps its policy, update, and propose the network after `n_updates` updates; whether it is kept is for UPDATE
to say. The return is that of the finite horizon, discounted: no value is added at the
time limit. Rewards are divided by r~.

* `DeepGlobal`, the reward-driven G-step: team reward, with the k agents really seen.
* `DeepLocal`, the L-step. `deviation="tagged", reward="own"` is the authors' (one robot learns from its own reward, the
  others keep their policy, and all adopt what it learned); `reward="team"` pays it the team's reward instead;
  `deviation="shared"` moves the whole fleet at once, the deviation of the paper's Definition 2.4 (see
  `kofn.wrappers.continuous_vector`).

TRPO is Table 4's: KL 0.01, 10 conjugate-gradient steps, damping 0.1, backtracking by halves up to 10 times, 5 critic
steps, returns-to-go minus value, standardised.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from kofn.agents.deep.networks import layers_of, set_linear
from kofn.agents.deep.response import DeepResponse
from kofn.agents.deep.runtime import (
    finite_updates,
    integer_seed,
    naming_divergence,
    private_randomness,
    save_zip,
)
from kofn.agents.line_evaluation import acting_policy
from kofn.envs.arguments import check_fields, text
from kofn.envs.arrays import integer, one_of, positive
from kofn.envs.continuous import ContinuousGame
from kofn.envs.line_policies import Layers
from kofn.wrappers.continuous_vector import ContinuousGlobalVector, ContinuousLocalVector, Deviation, RewardNotion
from kofn.wrappers.sb3_vec_env import sb3_vec_env

if TYPE_CHECKING:
    from kofn.agents.alternation.learners import Problem

Algorithm = Literal["trpo", "ppo", "a2c"]
ALGORITHMS = ("trpo", "ppo", "a2c")


@dataclass(frozen=True, kw_only=True)
class DeepConfig:
    """Settings that both learners share.

    Args:
        algorithm: "trpo", "ppo" or "a2c".
        n_updates: updates per proposal.
        n_populations: episodes collected for each update.
        n_steps: steps per episode; None: the setting's horizon.
        n_agents: agents of the populations trained in, at least k; None: all n.
        learning_rate: of Adam; TRPO's critic only.
        gae_lambda: weight of long returns in the advantage; 1: returns-to-go minus value.
        entropy: weight of the policy's entropy (PPO and A2C).
        zip_folder: where to keep the last proposal's model in Stable-Baselines3's own format, `PLAYER.zip`, too. It
            holds pickled objects, which a warning says; nothing here reads it.

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range.
    """

    algorithm: Algorithm = "trpo"
    n_updates: int = 5
    n_populations: int = 120
    n_steps: int | None = 40
    n_agents: int | None = None
    learning_rate: float = 3e-3
    gae_lambda: float = 1.0
    entropy: float = 0.0
    zip_folder: str | None = None

    def __post_init__(self) -> None:
        """Validate."""
        one_of("algorithm", self.algorithm, ALGORITHMS)
        for size in ("n_updates", "n_populations"):
            integer(size, getattr(self, size), 1)
        for size in ("n_steps", "n_agents"):
            if getattr(self, size) is not None:
                integer(size, getattr(self, size), 1)
        positive("learning_rate", self.learning_rate)
        check_fields(self, "gae_lambda", "entropy")
        if self.zip_folder is not None:
            text("zip_folder", self.zip_folder)
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"gae_lambda must lie in [0, 1]; got {self.gae_lambda}")
        if self.entropy < 0 or not math.isfinite(self.entropy):
            raise ValueError(f"entropy must not be negative, and finite; got {self.entropy}")

    def check(self, game: Any, k: int) -> None:
        """Raise TypeError or ValueError for a game or k that it cannot train in."""
        if not isinstance(game, ContinuousGame):
            raise TypeError(f"these learners need a ContinuousGame; got {type(game).__name__} (see Sb3Learner)")
        if self.n_agents is not None and self.n_agents < k:
            raise ValueError(f"n_agents must be at least k={k}; got {self.n_agents}")

    def sizes(self, problem: "Problem") -> dict[str, Any]:
        """Sizes of the view to train in."""
        return {
            "n_agents": self.n_agents if self.n_agents is not None else problem.n_agents,
            "max_cycles": self.n_steps if self.n_steps is not None else problem.max_cycles,
        }


@dataclass(frozen=True, kw_only=True)
class DeepGlobal(DeepConfig):
    """The reward-driven G-step; settings as in `DeepConfig`."""

    algorithm: Algorithm = "ppo"
    learning_rate: float = 1e-3
    gae_lambda: float = 0.95

    def __call__(self, problem: "Problem") -> DeepResponse:
        """The current global network, improved against the local policy's most likely actions."""
        self.check(problem.game, problem.k)
        view = ContinuousGlobalVector(
            problem.game,
            self.n_populations,
            k=problem.k,
            local_policy=acting_policy(problem.local_policy, problem.game),
            observe_global_state=problem.global_policy.sees_global_state,
            **self.sizes(problem),
        )
        return _improve(self, view, problem.global_policy, problem)


@dataclass(frozen=True, kw_only=True)
class DeepLocal(DeepConfig):
    """The L-step.

    Args:
        algorithm: and the following, as in `DeepConfig`.
        deviation: "tagged" or "shared".
        reward: "own" or "team".
    """

    deviation: Deviation = "tagged"
    reward: RewardNotion = "own"

    def __post_init__(self) -> None:
        """Validate."""
        super().__post_init__()
        one_of("deviation", self.deviation, ("tagged", "shared"))
        one_of("reward", self.reward, ("own", "team"))

    def __call__(self, problem: "Problem") -> DeepResponse:
        """The current local network, improved against the global policy's most likely actions."""
        self.check(problem.game, problem.k)
        view = ContinuousLocalVector(
            problem.game,
            self.n_populations,
            global_policy=problem.global_policy,
            local_policy=acting_policy(problem.local_policy, problem.game),
            deviation=self.deviation,
            reward=self.reward,
            **self.sizes(problem),
        )
        return _improve(self, view, problem.local_policy, problem)


def _improve(config: DeepConfig, view: Any, policy: Any, problem: "Problem") -> DeepResponse:
    """The policy after `n_updates` updates in a view."""
    began = time.perf_counter()
    n_samples = config.n_updates * view.num_envs * view.max_cycles
    with private_randomness():
        model = _model(
            config,
            sb3_vec_env(view, bootstrap=False, reward_scale=1 / view.game.reward_bound),
            view,
            policy.layers,
            integer_seed(problem.seed),
        )
        with naming_divergence(model):
            model.learn(n_samples, callback=finite_updates())
        if config.zip_folder is not None:
            save_zip(model, config.zip_folder, "global" if isinstance(config, DeepGlobal) else "local")
        layers = layers_of(model.policy.mlp_extractor.policy_net, model.policy.action_net)
        logged = {key: float(value) for key, value in model.logger.name_to_value.items() if key.startswith("train/")}
    return DeepResponse(
        policy=replace(policy, layers=layers),
        n_iterations=config.n_updates,
        n_samples=n_samples,
        statistics=logged,
        wall_time=time.perf_counter() - began,
    )


def _model(config: DeepConfig, env: Any, view: Any, layers: Layers, seed: int) -> Any:
    """The algorithm with the player's network as its actor and a new critic of the same size."""
    import torch  # noqa: PLC0415  # an optional library

    widths = [weight.shape[1] for weight, _ in layers[:-1]]
    common: dict[str, Any] = {
        "n_steps": view.max_cycles,
        "gamma": view.discount,
        "gae_lambda": config.gae_lambda,
        "learning_rate": config.learning_rate,
        "policy_kwargs": {"net_arch": widths, "activation_fn": torch.nn.Tanh},
        "device": "cpu",
        "seed": seed,
    }
    make: dict[str, Callable[..., Any]] = {"trpo": _trpo, "ppo": _ppo, "a2c": _a2c}
    model = make[config.algorithm](config, env, view.num_envs * view.max_cycles, common)
    linears = [part for part in model.policy.mlp_extractor.policy_net if hasattr(part, "weight")]
    for linear, (weight, bias) in zip([*linears, model.policy.action_net], layers, strict=True):
        set_linear(linear, weight, bias)
    return model


def _trpo(config: DeepConfig, env: Any, n_rows: int, common: dict[str, Any]) -> Any:  # noqa: ARG001  # as the others
    from sb3_contrib import TRPO  # noqa: PLC0415  # an optional library

    table_4: dict[str, Any] = {"target_kl": 0.01, "cg_max_steps": 10, "cg_damping": 0.1}
    search: dict[str, Any] = {"line_search_shrinking_factor": 0.5, "line_search_max_iter": 10, "n_critic_updates": 5}
    return TRPO("MlpPolicy", env, batch_size=n_rows, **table_4, **search, **common)


def _ppo(config: DeepConfig, env: Any, n_rows: int, common: dict[str, Any]) -> Any:
    from stable_baselines3 import PPO  # noqa: PLC0415  # an optional library

    parts = next(parts for parts in range(8, 0, -1) if n_rows % parts == 0 and n_rows // parts >= min(64, n_rows))
    batch = n_rows // parts
    return PPO("MlpPolicy", env, batch_size=batch, n_epochs=5, ent_coef=config.entropy, target_kl=0.03, **common)


def _a2c(config: DeepConfig, env: Any, n_rows: int, common: dict[str, Any]) -> Any:  # noqa: ARG001  # as the others
    from stable_baselines3 import A2C  # noqa: PLC0415  # an optional library

    return A2C("MlpPolicy", env, ent_coef=config.entropy, normalize_advantage=True, use_rms_prop=False, **common)
