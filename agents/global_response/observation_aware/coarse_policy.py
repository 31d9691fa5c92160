r"""A dispatcher whose table has fewer histograms than k agents have: what is seen is rounded to a histogram of j <= k.

With tails r_x = F_x + F_{x+1} + .. of the histogram F of the k agents seen, the coarse histogram has the tails

    t_x = floor(r_x j / k + 1/2),

which do not rise with x and begin with t_0 = j: differences of neighbours are counts of j agents. Every share F_x / k
is off by at most 1/j, and nothing is rounded if j = k.
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arguments import check_fields
from kofn.envs.arrays import IntArray, integer
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy


def coarse_tails(tails: IntArray, k: int, resolution: int) -> IntArray:
    """T of tails r of k agents, elementwise."""
    return np.asarray((2 * tails * resolution + k) // (2 * k))


def coarse_histograms(histograms: IntArray, k: int, resolution: int) -> IntArray:
    """Histograms [..., s_l] of k agents rounded to those of `resolution` agents."""
    tails = coarse_tails(np.cumsum(histograms[..., ::-1], axis=-1)[..., ::-1], k, resolution)
    return np.asarray(tails - np.concatenate([tails[..., 1:], np.zeros_like(tails[..., :1])], axis=-1))


@dataclass(frozen=True, eq=False, kw_only=True)
class CoarseGlobalPolicy:
    """Pi_g(s_g, the k agents seen, rounded to a histogram of `coarse.k` agents).

    It plays wherever a policy is asked to act on what it sees, as in `evaluate`.

    Args:
        coarse: the table, a policy of so many agents as its histograms count.
        k: agents seen, at least as many.
    """

    coarse: GlobalPolicy
    k: int

    def __post_init__(self) -> None:
        """Validate."""
        check_fields(self, "coarse")
        object.__setattr__(self, "k", integer("k", self.k, self.coarse.k))

    def act(self, global_states: IntArray, histograms: IntArray, rng: np.random.Generator | None = None) -> IntArray:
        """Actions, int64 [batch], for global states [batch] and histograms of k agents [batch, s_l]."""
        states, seen = self.coarse.n_local_states, np.asarray(histograms)
        if seen.shape[-1] != states or (seen.sum(axis=-1) != self.k).any():
            raise ValueError(f"histograms must count the k={self.k} agents seen over {states} local states")
        return self.coarse.act(global_states, coarse_histograms(seen, self.k, self.coarse.k), rng)

    def check_fits(self, game: Game, n_agents: int | None = None) -> None:
        """Raise ValueError unless the policy's sizes are those of the game, and k <= n_agents."""
        self.coarse.check_fits(game)
        if n_agents is not None and self.k > n_agents:
            raise ValueError(f"the global policy observes k={self.k} agents, more than n_agents={n_agents}")

    def as_table(self) -> GlobalPolicy:
        """The same policy as a table over the histograms of all k agents."""
        seen = enumerate_histograms(self.k, self.coarse.n_local_states)
        rows = rank_histograms(coarse_histograms(seen, self.k, self.coarse.k))
        return GlobalPolicy(
            table=self.coarse.table[:, rows],
            k=self.k,
            n_local_states=self.coarse.n_local_states,
            n_actions=self.coarse.n_actions,
        )
