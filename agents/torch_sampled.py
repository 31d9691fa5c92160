r"""The sampled operator of G-LEARN in PyTorch, on any device; needs the extra `deep`.

    (T Q)(s_g, F, a_g) = r_D + gamma sum_{s_g'} P_g(s_g' | s_g, a_g) (1/m) sum_{j <= m} max_a Q(s_g', F^j, a)

as in `kofn.agents.operators`, with the same samples: they are drawn once by the compiled sampler, so that the fixed
point is that of `g_learn(operator="monte_carlo")` with the same seed. On the device are their ranks, 4 bytes each, the
rewards and the values. A sweep gathers the values of all samples at once; value iteration stops on the span bounds of
`kofn.agents.solvers`. It has been measured on no graphics processor yet.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from kofn.agents.operators import induced_transition, sampled_successors, surrogate_reward
from kofn.agents.solvers import FixedPoint
from kofn.envs.arrays import FloatArray, integer, positive
from kofn.envs.game import TabularGame
from kofn.envs.policies import LocalPolicy
from kofn.envs.streams import Seed, seed_sequence

if TYPE_CHECKING:
    import torch  # an optional library


class TorchSampledOperator:
    """T_{k,m} on a device, samples fixed.

    Args:
        game: the game.
        local_policy: pi_l.
        k: number of agents seen.
        n_samples: m, next histograms per (s_g, F).
        seed: source of the samples.
        device: PyTorch's name of the device.

    Raises:
        TypeError, ValueError: no game of arrays, a policy of another game, or a size out of range.
    """

    def __init__(
        self,
        game: TabularGame,
        local_policy: LocalPolicy,
        k: int,
        *,
        n_samples: int = 30,
        seed: Seed = None,
        device: str = "cpu",
    ) -> None:
        if not isinstance(game, TabularGame):
            raise TypeError(f"game must be a TabularGame; got {type(game).__name__}")
        local_policy.check_fits(game)
        k, m = integer("k", k, 1), integer("n_samples", n_samples, 1)
        import torch  # noqa: PLC0415  # an optional library

        self._torch, self.device, self.discount = torch, torch.device(device), game.discount
        rng = np.random.default_rng(seed_sequence(seed))
        laws = induced_transition(game, local_policy)
        drawn = np.stack([sampled_successors(law, k, m, rng) for law in laws])
        self._successors = torch.as_tensor(drawn.astype(np.int32), device=self.device)
        self._rewards = self._tensor(surrogate_reward(game, local_policy, k))
        self._global_laws = self._tensor(game.global_transition)

    def _tensor(self, array: FloatArray) -> "torch.Tensor":
        return self._torch.as_tensor(np.array(array), device=self.device)

    def __call__(self, values: "torch.Tensor") -> "torch.Tensor":
        """T_{k,m} of max_a Q = `values` [s_g', histogram'], float64 tensor [s_g, histogram, a_g]."""
        columns = values.T.contiguous()
        swept = []
        for ranks, laws, rewards in zip(self._successors, self._global_laws, self._rewards, strict=True):
            ahead = columns[ranks].mean(dim=1)  # [histogram, s_g']
            swept.append(rewards + self.discount * (ahead @ laws.T))
        return self._torch.stack(swept)

    def solve(self, *, tolerance: float = 1e-6, max_iterations: int = 10_000) -> FixedPoint:
        """Q within `tolerance`, by value iteration from 0 with the span certificate."""
        tolerance, limit = positive("tolerance", tolerance), integer("max_iterations", max_iterations, 1)
        factor = self.discount / (1 - self.discount)
        values: Any = self._torch.zeros(self._rewards.shape[:2], dtype=self._torch.float64, device=self.device)
        for iteration in range(1, limit + 1):
            table = self(values)
            updated = table.amax(dim=2)
            lowest, highest = (float(bound) for bound in self._torch.aminmax(updated - values))
            certificate = factor * (highest - lowest) / 2
            if certificate <= tolerance or iteration == limit:
                break
            values = updated
        found = (table + factor * (highest + lowest) / 2).cpu().numpy()
        return FixedPoint(np.asarray(found), iteration, certificate <= tolerance, certificate)
