"""A global policy that is greedy on a linear Q function, for finite and continuous games."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kofn.agents.global_response.features import Features
from kofn.envs.arguments import check_fields
from kofn.envs.arrays import FloatArray, IntArray, float_array, freeze, integer

TIE_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearGlobalPolicy:
    """The lowest action with phi(s_g, seen) . theta_a within 1e-9 of the best.

    It plays wherever a policy is asked to act on what it sees: `evaluate` takes it for games of any size, and
    `evaluate_line` for continuous ones.

    Args:
        features: phi.
        weights: theta, float [feature, a_g].
        k: agents seen.

    Raises:
        TypeError, ValueError: weights of the wrong shape, or no agents.
    """

    features: Features
    weights: FloatArray
    k: int

    def __post_init__(self) -> None:
        """Validate and freeze."""
        check_fields(self, "features")
        integer("k", self.k, 1)
        weights = float_array("weights", self.weights, (self.features.size, None))
        freeze(weights)
        object.__setattr__(self, "weights", weights)

    @property
    def n_actions(self) -> int:
        """|A_g|."""
        return int(self.weights.shape[1])

    def q_values(self, global_states: Any, seen: Any) -> FloatArray:
        """Q, float [population, a_g]; arguments as `act`."""
        return np.asarray(self.features(global_states, seen) @ self.weights)

    def act(self, global_states: Any, seen: Any, rng: np.random.Generator | None = None) -> IntArray:  # noqa: ARG002  # deterministic
        """Actions, int64 [population].

        Args:
            global_states: s_g [population].
            seen: counts [population, s_l or bin] or states [population, agent], as `features.summary` says.
            rng: not used: the policy is deterministic.
        """
        q_values = self.q_values(global_states, seen)
        return np.asarray((q_values >= q_values.max(axis=1, keepdims=True) - TIE_TOLERANCE).argmax(axis=1))

    def check_fits(self, game: Any, n_agents: int | None = None) -> None:
        """Raise ValueError unless the policy has the game's global actions, and k <= n_agents."""
        if self.n_actions != game.n_global_actions:
            raise ValueError(
                f"the linear policy must have the game's |A_g| = {game.n_global_actions}; it has {self.n_actions}"
            )
        if n_agents is not None and n_agents < self.k:
            raise ValueError(f"n_agents must be at least k={self.k}, the agents the policy sees; got {n_agents}")
