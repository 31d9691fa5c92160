r"""The few numbers of a game on which the bounds depend.

r~_g and r~_l bound the two rewards after negative ones are shifted up to zero, r~ = r~_g + r~_l, and values lie in
[0, r~/(1-gamma)]. For a fixed local policy the corrected bounds need two more:

    osc    largest over s_g of max_x r~(x, s_g) - min_x r~(x, s_g), r~ the reward averaged over the policy
    alpha  largest total variation between two rows of the policy's transition under the same s_g (Dobrushin)

and L = osc/(1 - gamma alpha) is a Lipschitz constant of Q* in total variation (`lipschitz`). Where the policy is not
fixed, osc is the range of r_l over states and actions and alpha is 1, which cover every policy.
"""

from dataclasses import dataclass

import numpy as np

from kofn.agents.bounds.bound import fraction
from kofn.agents.operators import induced_reward, induced_transition
from kofn.envs.arrays import FloatArray, integer, nonnegative, positive, probability_array
from kofn.envs.game import TabularGame
from kofn.envs.model import shifted_bound
from kofn.envs.policies import LocalPolicy


@dataclass(frozen=True, kw_only=True)
class GameSizes:
    """Sizes and reward bounds of a game.

    Args:
        n_global_states: |S_g|.
        n_global_actions: |A_g|.
        n_local_states: |S_l|.
        n_local_actions: |A_l|.
        global_reward_bound: r~_g.
        local_reward_bound: r~_l.
        discount: gamma.
        reward_range: osc; omitted: r~_l.
        contraction: alpha in [0, 1].

    Raises:
        TypeError, ValueError: a size below 1, a negative bound, no rewards at all, a discount outside (0, 1).
    """

    n_global_states: int
    n_global_actions: int
    n_local_states: int
    n_local_actions: int
    global_reward_bound: float
    local_reward_bound: float
    discount: float
    reward_range: float | None = None
    contraction: float = 1.0

    def __post_init__(self) -> None:
        """Validate."""
        for name in ("n_global_states", "n_global_actions", "n_local_states", "n_local_actions"):
            integer(name, getattr(self, name), 1)
        for name in ("global_reward_bound", "local_reward_bound", "contraction"):
            nonnegative(name, getattr(self, name))
        positive("reward_bound", self.reward_bound)
        if self.reward_range is not None:
            nonnegative("reward_range", self.reward_range)
        if self.contraction > 1:
            raise ValueError(f"contraction must be at most 1; got {self.contraction}")
        fraction("discount", self.discount)

    @classmethod
    def of(cls, game: TabularGame, local_policy: LocalPolicy | None = None) -> "GameSizes":
        """The sizes of a game; with a local policy, osc and alpha are those of that policy."""
        if local_policy is not None:
            local_policy.check_fits(game)
            reward_range = float(np.ptp(induced_reward(game, local_policy), axis=1).max())
            contraction = dobrushin(induced_transition(game, local_policy))
        else:
            reward_range = float(np.ptp(game.local_reward, axis=(0, 2)).max())
            contraction = 1.0
        return cls(
            n_global_states=game.n_global_states,
            n_global_actions=game.n_global_actions,
            n_local_states=game.n_local_states,
            n_local_actions=game.n_local_actions,
            global_reward_bound=_bound(game.global_reward),
            local_reward_bound=_bound(game.local_reward),
            discount=game.discount,
            reward_range=reward_range,
            contraction=contraction,
        )

    @property
    def reward_bound(self) -> float:
        """r~ = r~_g + r~_l."""
        return self.global_reward_bound + self.local_reward_bound

    @property
    def value_bound(self) -> float:
        """r~/(1 - gamma)."""
        return self.reward_bound / (1 - self.discount)

    @property
    def oscillation(self) -> float:
        """The range osc of the local rewards."""
        return self.reward_range if self.reward_range is not None else self.local_reward_bound

    @property
    def lipschitz_constant(self) -> float:
        """L = osc/(1 - gamma alpha)."""
        return self.oscillation / (1 - self.discount * self.contraction)


def dobrushin(transition: FloatArray) -> float:
    """The largest total variation between two rows of one s_g, from float [s_g, s_l, s_l'].

    Raises:
        TypeError, ValueError: no array of probability rows.
    """
    transition = probability_array("transition", transition, (None, None, None))
    apart = np.abs(transition[:, :, None, :] - transition[:, None, :, :]).sum(axis=-1) / 2
    return float(min(apart.max(), 1.0))


def _bound(rewards: FloatArray) -> float:
    """The largest reward once negative ones are shifted up to zero."""
    return shifted_bound(float(rewards.min()), float(rewards.max()))
