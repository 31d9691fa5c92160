r"""How the alternation values a pair of policies in the deployed game of n agents, and compares two pairs.

* `RolloutJudge` (`rollout_judge`): the potential Phi by rollouts with common random numbers, no more of them than the
  verdict needs. Any number of agents, seen through the setting's sampler.
* `ExactJudge`: the value of every state of the lumped chain, without error; for few agents, sampled
  uniformly. It can apply UPDATE to the
  potential ("scalar") or, as the paper prints it, to every state at once ("statewise"): accept when ALL states gain,
  reject when SOME state loses. Restricted policies improve some states at the cost of others, so that statewise
  acceptance can refuse proposals that raise Phi, and end far from an equilibrium.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from kofn.agents.alternation.setting import Setting
from kofn.agents.alternation.update import Verdict, update_verdict
from kofn.agents.lumped_chain import LumpedChain, check_products
from kofn.envs.arrays import FloatArray
from kofn.envs.game import TabularGame
from kofn.wrappers.sampler_files import describe_sampler
from kofn.wrappers.samplers import Uniform

Comparison = Literal["scalar", "statewise"]
COMPARISONS = ("scalar", "statewise")
EvaluationMode = Literal["rollouts", "exact"]
EVALUATION_MODES = ("rollouts", "exact")


class Judgement(Protocol):
    """What a judge knows of one pair."""

    @property
    def potential(self) -> float:
        """Phi, estimated or exact."""

    @property
    def standard_error(self) -> float:
        """Of `potential` (0: exact)."""

    @property
    def so_far(self) -> tuple[float, float]:
        """Phi and its standard error as far as they are known without more work than a first look."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """UPDATE on two pairs.

    Attributes:
        verdict: its verdict.
        potential: Phi of the current pair, over what was compared.
        proposed_potential: Phi of the proposed one.
        standard_error: of their difference (0: exact).
    """

    verdict: Verdict
    potential: float
    proposed_potential: float
    standard_error: float


class Judge(Protocol):
    """Values pairs of policies, and gives the verdict of UPDATE on two of them."""

    def judge(self, global_policy: Any, local_policy: Any) -> Any:
        """A pair's `Judgement`, of a kind that this judge can compare."""

    def compare(self, old: Any, new: Any, half_width: float) -> Compared:
        """UPDATE on two judgements."""

    def best(self, judgements: Sequence[Any]) -> int:
        """Position of the pair that is worth most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactJudgement:
    """The value of every state.

    Attributes:
        potential: Phi.
        values: of every state, float [s_g, histogram].
    """

    potential: float
    values: FloatArray
    standard_error: ClassVar[float] = 0.0

    @property
    def so_far(self) -> tuple[float, float]:
        """Phi, without error."""
        return self.potential, 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactJudge:
    """Exact values on the lumped chain of n agents.

    Args:
        setting: game, n and k; the kernels of n agents must fit into memory.
        comparison: "scalar" or "statewise".

    Raises:
        ValueError: the setting's sampler is not uniform, its game has no arrays, or the chain is too large.
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
        game = self.setting.game
        if not isinstance(game, TabularGame):
            raise ValueError(
                "exact evaluation needs the game's arrays, and a GenerativeGame only gives samples; use "
                "evaluation='rollouts', or play sampled_game(game, m)"
            )
        check_products(game, self.setting.n_agents)

    def judge(self, global_policy: Any, local_policy: Any) -> ExactJudgement:
        """The value of every state."""
        chain = LumpedChain.exact(self.setting.game, global_policy, local_policy, self.setting.n_agents)
        return ExactJudgement(potential=chain.potential, values=chain.values)

    def compare(self, old: ExactJudgement, new: ExactJudgement, half_width: float) -> Compared:
        """UPDATE on the potentials or on all states."""
        if self.comparison == "statewise":
            verdict = update_verdict(old.values, new.values, half_width)
        else:
            verdict = update_verdict(old.potential, new.potential, half_width)
        return Compared(
            verdict=verdict,
            potential=old.potential,
            proposed_potential=new.potential,
            standard_error=0.0,
        )

    def best(self, judgements: Sequence[ExactJudgement]) -> int:
        """Position of the largest potential."""
        return int(np.argmax([judgement.potential for judgement in judgements]))
