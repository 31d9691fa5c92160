r"""The batched lumped simulator in PyTorch, on any device; needs the extra `deep`.

B populations of a game given as arrays step at once as in `kofn.envs.simulator.LumpedSimulator`, and by the same laws:

    N[x, a] ~ Multinomial(c_x, pi_l(. | x, s_g)),   Multinomial(N[x, a], P_l(. | x, s_g, a)) of them move,

each multinomial as binomials, one outcome after another, which PyTorch draws for all populations and cells together.
Its binomial sampler rounds the logarithm of the ratio of two probabilities to about n 2^-52 (in double precision, which
is used here), so that populations are limited to 10^6 agents, where that is negligible. A device is for thousands of
populations; the compiled simulator needs none. It has been measured on no graphics processor yet.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from kofn.envs.arrays import FloatArray, integer, probability_array, whole_below
from kofn.envs.game import TabularGame
from kofn.envs.population import conditional_probabilities

if TYPE_CHECKING:
    import torch  # an optional library

MAX_TORCH_AGENTS = 10**6
"""Largest population whose binomial counts PyTorch draws with negligible error."""


class TorchLumpedSimulator:
    """Populations kept as counts on a device.

    Args:
        game: a game of arrays, without reward laws.
        n_agents: n, local agents per population, at most 10^6.
        n_populations: B.
        device: PyTorch's name of the device.

    Attributes:
        global_states: int64 tensor [n_populations].
        counts: float64 tensor of whole numbers [n_populations, s_l].

    Raises:
        TypeError, ValueError: no game of arrays, stochastic rewards, or a size out of range.
    """

    global_states: "torch.Tensor"
    counts: "torch.Tensor"

    def __init__(self, game: TabularGame, n_agents: int, *, n_populations: int = 1, device: str = "cpu") -> None:
        if not isinstance(game, TabularGame):
            raise TypeError(f"game must be a TabularGame; got {type(game).__name__}")
        if game.global_reward_law is not None or game.local_reward_law is not None:
            raise ValueError("game must have certain rewards on a device; it has a RewardLaw")
        import torch  # noqa: PLC0415  # an optional library

        self._torch, self.game, self.device = torch, game, torch.device(device)
        self.n_agents = integer("n_agents", n_agents, 1, MAX_TORCH_AGENTS)
        self.n_populations = integer("n_populations", n_populations, 1)
        self._global_laws = self._tensor(game.global_transition)
        self._moves = self._tensor(conditional_probabilities(game.local_transition))
        self._global_reward, self._local_reward = self._tensor(game.global_reward), self._tensor(game.local_reward)

    def _tensor(self, array: Any) -> "torch.Tensor":
        return self._torch.as_tensor(np.array(array), device=self.device)

    def reset(self, seed: int) -> None:
        """Draw new starts; all randomness comes from `seed`, on the device."""
        self._generator = self._torch.Generator(self.device).manual_seed(seed)
        # Starts come from numpy, which has every start law.
        laws = self.game.initial_local.draw(np.random.default_rng(seed), self.n_populations)
        totals = self._torch.full((self.n_populations,), float(self.n_agents), dtype=self._torch.float64)
        self.counts = self._spread(totals.to(self.device), self._tensor(conditional_probabilities(laws)))
        start = self._tensor(self.game.initial_global).expand(self.n_populations, -1)
        self.global_states = self._choose(start)

    def step(self, global_actions: "torch.Tensor", local_policy: FloatArray) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Pay and move once, every local agent acting by one policy.

        Args:
            global_actions: int64 tensor [n_populations].
            local_policy: pi_l, float [s_l, s_g, a_l], rows sum to 1.

        Returns:
            r_g and the mean of r_l, float64 tensors [n_populations].

        Raises:
            TypeError, ValueError: actions or a policy of another kind or shape, or out of range.
        """
        game, s_g = self.game, self.global_states
        requested = self._torch.as_tensor(global_actions).cpu().numpy()
        a_g = self._tensor(whole_below("global_actions", requested, (self.n_populations,), game.n_global_actions))
        sizes = game.n_local_states, game.n_global_states, game.n_local_actions
        policy = self._tensor(conditional_probabilities(probability_array("local_policy", local_policy, sizes)))
        actions = self._spread(self.counts, policy.transpose(0, 1)[s_g])
        local = (actions * self._local_reward.transpose(0, 1)[s_g]).sum(dim=(1, 2)) / self.n_agents
        moved = self._spread(actions, self._moves.transpose(0, 1)[s_g])
        global_states = self._choose(self._global_laws[s_g, a_g])
        self.global_states, self.counts = global_states, moved.sum(dim=(1, 2))
        return self._global_reward[s_g, a_g], local

    def _spread(self, totals: "torch.Tensor", conditional: "torch.Tensor") -> "torch.Tensor":
        """Multinomial counts [..., outcome] of `totals` [...] agents, from conditional probabilities."""
        left, counts = totals, []
        for j in range(conditional.shape[-1] - 1):
            drawn = self._torch.binomial(left, conditional[..., j].contiguous(), generator=self._generator)
            counts.append(drawn)
            left = left - drawn
        return self._torch.stack([*counts, left], dim=-1)

    def _choose(self, laws: "torch.Tensor") -> "torch.Tensor":
        """One outcome per row of `laws` [n_populations, outcome]."""
        return self._torch.multinomial(laws, 1, generator=self._generator)[:, 0]
