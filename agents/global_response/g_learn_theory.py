r"""What the theorems ask of G-LEARN, beside what a run used.

With N table entries and probability at least 1-delta (Lemma 4.3, Lemmas B.34-B.36; see `kofn.agents.bounds.bellman`),

    T  sweeps from Q = 0          leave at most gamma^T r~/(1-gamma) <= 1/sqrt k,
    m* samples per entry          move the fixed point by at most 1/sqrt k,

so that Q is within 2/sqrt k of Q*_k: at k+1 draws per sample (k agents and s_g') N m* (k+1) draws in all, and T times
that when every sweep samples afresh. Samples shared between entries are counted as if they were not.

With fresh samples in every sweep the errors e_t of the sweeps add up to sum_t gamma^{T-1-t} e_t <= max_t e_t/(1-gamma).
Sweep t's samples are independent of the Q they are applied to, so that Lemma 4.3's bound holds for each e_t/(1-gamma)
at delta/T, and for the sum at delta.
"""

from dataclasses import dataclass
from math import isnan, nan, sqrt

from kofn.agents.bounds.bellman import Regime, bellman_noise
from kofn.agents.bounds.bound import confidence
from kofn.agents.bounds.sizes import GameSizes
from kofn.agents.global_response.averaged_operator import RewardTable
from kofn.agents.global_response.g_learn_plan import GLearnPlan, samples_asked_for, sweeps_asked_for
from kofn.envs.histograms import n_histograms
from kofn.envs.model import Game


@dataclass(frozen=True, kw_only=True)
class GLearnTheory:
    """The theorems' numbers for one run of G-LEARN.

    Attributes:
        k: agents seen.
        regime: "meanfield" (histograms) or "standard" (tuples).
        n_entries: N.
        delta: probability with which the sampling bounds may fail.
        n_iterations: T, sweeps that leave at most 1/sqrt k.
        n_samples: m*, samples per entry that err by at most 1/sqrt k.
        bellman_noise: bound on |fixed point of the run's operator - Q*_k| at the samples the run used, except for the
            noise of rewards; 0 for the exact operator, nan for the rounded one, which has no bound.
        reward_noise: bound on what drawing rewards adds to it; 0 where mean rewards are known.
    """

    k: int
    regime: Regime
    n_entries: int
    delta: float
    n_iterations: int
    n_samples: int
    bellman_noise: float
    reward_noise: float

    @property
    def accuracy(self) -> float:
        """2/sqrt k, the error in Q that T sweeps with m* samples keep to."""
        return 2 / sqrt(self.k)

    @property
    def fixed_draws(self) -> int:
        """N m* (k+1), draws when samples are kept for every sweep."""
        return self.n_entries * self.n_samples * (self.k + 1)

    @property
    def fresh_draws(self) -> int:
        """T N m* (k+1), draws when every sweep samples afresh."""
        return self.n_iterations * self.fixed_draws

    def __str__(self) -> str:
        """Two lines: what the theorems ask for, and what the samples drawn are worth."""
        return (
            f"theory: {self.n_iterations} sweeps with m* = {self.n_samples:.3g} samples per entry "
            f"({self.fixed_draws:.3g} draws, {self.fresh_draws:.3g} if every sweep draws afresh) keep Q within "
            f"2/sqrt(k) = {self.accuracy:.3g} with probability {1 - self.delta:.4g}\n"
            f"as run: {self._noise()}"
        )

    def _noise(self) -> str:
        if isnan(self.bellman_noise):
            return "a heuristic operator, without a bound"
        parts = {"sampled next states": self.bellman_noise, "drawn rewards": self.reward_noise}
        drawn = [f"{name} move Q by at most {bound:.3g}" for name, bound in parts.items() if bound > 0]
        return ", ".join(drawn) if drawn else "nothing is sampled"


def theory_of(game: Game, k: int, plan: GLearnPlan, delta: float | None, rewards: RewardTable) -> GLearnTheory:
    """The theorems' numbers for a game and a run."""
    delta = confidence(delta, k)
    columns = game.n_local_states**k if plan.as_tuples else n_histograms(k, game.n_local_states)
    return GLearnTheory(
        k=k,
        regime=plan.regime,
        n_entries=game.n_global_states * game.n_global_actions * columns,
        delta=delta,
        n_iterations=sweeps_asked_for(game, k),
        n_samples=samples_asked_for(game, k, plan.regime, delta),
        bellman_noise=_bellman_noise(game, k, plan, delta),
        reward_noise=rewards.noise(game.discount, delta),
    )


def _bellman_noise(game: Game, k: int, plan: GLearnPlan, delta: float) -> float:
    if plan.operator == "rounded":
        return nan
    if plan.operator == "exact" or game.reward_bound == 0:
        return 0.0
    sizes = GameSizes(
        n_global_states=game.n_global_states,
        n_global_actions=game.n_global_actions,
        n_local_states=game.n_local_states,
        n_local_actions=game.n_local_actions,
        global_reward_bound=game.reward_bound,
        local_reward_bound=0.0,
        discount=game.discount,
    )
    per_sweep = delta / plan.max_iterations if plan.afresh else delta
    return bellman_noise(plan.n_samples, k, sizes, delta=per_sweep, regime=plan.regime).value
