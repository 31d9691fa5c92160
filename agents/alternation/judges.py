r"""How the alternation values a pair of policies in the deployed game of n agents, and compares two pairs.

* `RolloutJudge`: the potential Phi by rollouts with common random numbers: the same starts, global noise and samples
  for every pair. Any number of agents, seen through the setting's sampler.
* `ExactJudge`: the value of every state of the lumped chain, without error; for few agents, sampled
  uniformly. It can apply UPDATE to the
  potential ("scalar") or, as the paper prints it, to every state at once ("statewise"): accept when ALL states gain,
  reject when SOME state loses. Restricted policies improve some states at the cost of others, so that statewise
  acceptance can refuse proposals that raise Phi, and end far from an equilibrium.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kofn.agents.alternation.pairs import same_pair
from kofn.agents.alternation.setting import Setting
from kofn.agents.alternation.update import Verdict, update_verdict
from kofn.agents.evaluation import Evaluation, standard_error
from kofn.agents.line_evaluation import evaluate_line
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.sampled_evaluation import evaluate_sampled
from kofn.envs.arrays import FloatArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.game import TabularGame
from kofn.envs.streams import Seed
from kofn.wrappers.sampler_files import describe_sampler
from kofn.wrappers.samplers import Uniform

__all__ = ["COMPARISONS", "EVALUATION_MODES", "ExactJudge", "Judge", "Judgement", "RolloutJudge", "same_pair"]

Comparison = Literal["scalar", "statewise"]
COMPARISONS = ("scalar", "statewise")
EvaluationMode = Literal["rollouts", "exact"]
EVALUATION_MODES = ("rollouts", "exact")


@dataclass(frozen=True, eq=False, kw_only=True)
class Judgement:
    """What a judge found of one pair.

    Attributes:
        potential: Phi, estimated or exact.
        standard_error: of `potential` (0: exact).
        details: discounted return of every rollout, or value of every state [s_g, histogram].
    """

    potential: float
    standard_error: float
    details: FloatArray


class Judge(Protocol):
    """Values pairs of policies, and gives the verdict of UPDATE on two of them."""

    def judge(self, global_policy: Any, local_policy: Any) -> Judgement:
        """Value a pair."""

    def compare(self, old: Judgement, new: Judgement, half_width: float) -> tuple[Verdict, float]:
        """UPDATE's verdict on `new` against `old`, and the standard error of the difference in potential."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RolloutJudge:
    """Phi by rollouts, always on the same random numbers.

    Args:
        setting: game, n and k.
        horizon: steps per rollout.
        n_rollouts: rollouts.
        seed: source of the random numbers.
    """

    setting: Setting
    horizon: int
    n_rollouts: int
    seed: Seed

    def __post_init__(self) -> None:
        """Validate."""
        continuous = isinstance(self.setting.game, ContinuousGame)
        if continuous and not isinstance(self.setting.sampler, Uniform):
            name = describe_sampler(self.setting.sampler)["name"]
            raise ValueError(f"pairs of a continuous game are judged on agents sampled uniformly, not by {name}")

    def judge(self, global_policy: Any, local_policy: Any) -> Judgement:
        """Mean discounted return; networks take their most likely actions."""
        if isinstance(self.setting.game, ContinuousGame):
            sizes: dict[str, Any] = {"horizon": self.horizon, "n_rollouts": self.n_rollouts}
            return _judgement(
                evaluate_line(
                    self.setting.game, global_policy, local_policy, self.setting.n_agents, seed=self.seed, **sizes
                )
            )
        evaluation = evaluate_sampled(
            self.setting.game,
            global_policy,
            local_policy,
            self.setting.n_agents,
            self.setting.sampler,
            horizon=self.horizon,
            n_rollouts=self.n_rollouts,
            seed=self.seed,
        )
        return _judgement(evaluation)

    def compare(self, old: Judgement, new: Judgement, half_width: float) -> tuple[Verdict, float]:
        """UPDATE on the potentials; the standard error is that of paired rollouts."""
        verdict = update_verdict(old.potential, new.potential, half_width)
        return verdict, standard_error(new.details - old.details)


def _judgement(evaluation: Evaluation) -> Judgement:
    return Judgement(potential=evaluation.mean, standard_error=evaluation.standard_error, details=evaluation.returns)


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactJudge:
    """Exact values on the lumped chain of n agents.

    Args:
        setting: game, n and k; the kernels of n agents must fit into memory.
        comparison: "scalar" or "statewise".

    Raises:
        ValueError: the setting's sampler is not uniform.
    """

    setting: Setting
    comparison: Comparison = "scalar"

    def __post_init__(self) -> None:
        """Validate."""
        if not isinstance(self.setting.sampler, Uniform):
            name = describe_sampler(self.setting.sampler)["name"]
            raise ValueError(
                f"exact evaluation knows agents sampled uniformly, and this environment's sampler is {name}; use "
                "evaluation='rollouts'"
            )

    def judge(self, global_policy: Any, local_policy: Any) -> Judgement:
        """The value of every state."""
        game = self.setting.game
        if not isinstance(game, TabularGame):
            raise ValueError(
                "exact evaluation needs the game's arrays, and a GenerativeGame only gives samples; use "
                "evaluation='rollouts', or play sampled_game(game, m)"
            )
        chain = LumpedChain.exact(game, global_policy, local_policy, self.setting.n_agents)
        return Judgement(potential=chain.potential, standard_error=0.0, details=chain.values)

    def compare(self, old: Judgement, new: Judgement, half_width: float) -> tuple[Verdict, float]:
        """UPDATE on the potentials or on all states."""
        if self.comparison == "statewise":
            return update_verdict(old.details, new.details, half_width), 0.0
        return update_verdict(old.potential, new.potential, half_width), 0.0
