"""Settings, history and outcome of the alternation (`kofn.agents.alternation.alternating`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kofn.agents.alternation.judges import COMPARISONS, EVALUATION_MODES, Comparison, EvaluationMode
from kofn.agents.alternation.pairs import pair_digest
from kofn.agents.alternation.update import Player, Verdict
from kofn.envs.arrays import integer, one_of, positive

__all__ = ["AlternatingConfig", "AlternatingResult", "Proposal", "pair_digest"]


@dataclass(frozen=True, kw_only=True)
class AlternatingConfig:
    """Settings of the alternation.

    Args:
        max_alternations: rounds of one global and one local proposal (Table 3: 10).
        eta: smallest gain worth accepting, in units of value; None: 0.5% of r~/(1-gamma).
        n_rollouts: most rollouts per estimate of the potential; a proposal whose verdict is clear takes fewer.
        horizon: steps per rollout; None: the shortest H with gamma^H r~/(1-gamma) <= eta/4.
        evaluation: "rollouts", or "exact" on the lumped chain of n agents (few agents only).
        comparison: UPDATE on the potential ("scalar") or on every state ("statewise", needs exact evaluation).

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range.
    """

    max_alternations: int = 10
    eta: float | None = None
    n_rollouts: int = 2000
    horizon: int | None = None
    evaluation: EvaluationMode = "rollouts"
    comparison: Comparison = "scalar"

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "max_alternations", integer("max_alternations", self.max_alternations, 1))
        object.__setattr__(self, "n_rollouts", integer("n_rollouts", self.n_rollouts, 2))
        if self.horizon is not None:
            object.__setattr__(self, "horizon", integer("horizon", self.horizon, 1))
        if self.eta is not None:
            object.__setattr__(self, "eta", positive("eta", self.eta))
        one_of("evaluation", self.evaluation, EVALUATION_MODES)
        one_of("comparison", self.comparison, COMPARISONS)
        if self.comparison == "statewise" and self.evaluation != "exact":
            raise ValueError("comparison='statewise' compares the values of all states; it needs evaluation='exact'")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One line of the history.

    Attributes:
        step: 1, 2, ..
        player: who proposed, "global" or "local".
        potential: estimated Phi of the pair before the proposal, over the rollouts that the verdict took.
        proposed_potential: estimated Phi with the proposal.
        standard_error: of the difference, from paired rollouts.
        verdict: "accept", "reject" or "overlap".
        learner_iterations: iterations the learner reported (-1: none reported).
        learner_converged: whether the learner said it converged.
        learner_certificate: the error bound it reported (nan: none).
        kept_pair: `pair_digest` of the pair kept after it.
    """

    step: int
    player: Player
    potential: float
    proposed_potential: float
    standard_error: float
    verdict: Verdict
    learner_iterations: int
    learner_converged: bool
    learner_certificate: float
    kept_pair: str


def evaluation_error(history: Sequence[Proposal], eta: float) -> float:
    """Nu: how far at most a compared difference can lie, at 95% confidence, beyond the threshold that decided on it.

    Differences are compared with -eta and eta; those that are further than 1.96 standard errors from both add nothing.
    """
    distances = [abs(abs(one.proposed_potential - one.potential) - eta) for one in history]
    return max([0.0, *(1.96 * one.standard_error - far for one, far in zip(history, distances, strict=True))])


@dataclass(frozen=True, eq=False, kw_only=True)
class AlternatingResult:
    """Outcome of `AlternatingMARL.learn`.

    Attributes:
        global_policy: final pi_g: GlobalPolicy, or MlpGlobalPolicy in a continuous game.
        local_policy: final pi_l: LocalPolicy, or MlpLocalPolicy.
        potential: estimated Phi of the final pair on the driver's own rollouts (report `evaluate` on a fresh seed).
        standard_error: of `potential`.
        history: every proposal.
        converged: whether each player had a proposal refused against the final pair.
        eta: gain below which a proposal is refused.
        proposal_bound: the theorem's bound on the number of proposals.
        wall_time: seconds of this call.
    """

    global_policy: Any
    local_policy: Any
    potential: float
    standard_error: float
    history: tuple[Proposal, ...]
    converged: bool
    eta: float
    proposal_bound: int
    wall_time: float

    @property
    def evaluation_error(self) -> float:
        """Nu, see the function of this name."""
        return evaluation_error(self.history, self.eta)

    @property
    def n_iterations(self) -> int:
        """Proposals made."""
        return len(self.history)

    @property
    def certificate(self) -> float:
        """Each player's possible gain at the end beyond its learner's own error, eta + 2 nu; inf when not converged."""
        return self.eta + 2 * self.evaluation_error if self.converged else float("inf")
