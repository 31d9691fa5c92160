"""Which of several ends to keep (`kofn.agents.alternation.multi_start`).

All ends are valued in the n-agent game on the same random numbers, which no alternation has used: first over a thousand
rollouts. Alternations that were paused and ends that clearly lose keep that estimate; the others are valued again over
all rollouts, and the best of them is kept. Exact judgements decide at once.
"""

from collections.abc import Callable, Collection, Mapping

from kofn.agents.alternation.history import AlternatingResult
from kofn.agents.alternation.judges import Judge, Judgement, same_pair
from kofn.agents.alternation.multi_start_result import Equilibrium
from kofn.agents.evaluation import clearly_less

FIRST_LOOK = 1000
"""Rollouts by which ends that clearly lose are told."""


def value_ends(
    outcomes: Mapping[str, AlternatingResult],
    judge_of: Callable[[int], Judge],
    n_rollouts: int,
    paused: Collection[str],
) -> tuple[tuple[Equilibrium, ...], str]:
    """(where every start ended, the start to keep).

    Args:
        outcomes: of the alternations, by start.
        judge_of: a judge over a number of rollouts (exact ones need none).
        n_rollouts: rollouts by which the best is chosen.
        paused: starts that are not to be kept.
    """
    twins = _twins(outcomes)
    names = [name for name in outcomes if not twins[name]]
    first = judge_of(min(FIRST_LOOK, n_rollouts))
    judged = {name: first.judge(outcomes[name].global_policy, outcomes[name].local_policy) for name in names}
    finished = [name for name in names if name not in paused]
    leader = judged[max(finished, key=lambda name: judged[name].potential)]
    left = [name for name in finished if not _clearly_worse(judged[name], leader)]
    if n_rollouts > FIRST_LOOK and leader.standard_error > 0:
        whole = judge_of(n_rollouts)
        judged |= {name: whole.judge(outcomes[name].global_policy, outcomes[name].local_policy) for name in left}
    best = max(left, key=lambda name: judged[name].potential)
    found = tuple(_equilibrium(name, outcomes[name], judged[twins[name] or name], twins[name]) for name in outcomes)
    return found, best


def _clearly_worse(judged: Judgement, leader: Judgement) -> bool:
    """Whether a pair is worth less than another beyond doubt."""
    if leader.standard_error == 0 and judged.standard_error == 0:
        return judged.potential < leader.potential
    return clearly_less(judged.details - leader.details)


def _twins(outcomes: Mapping[str, AlternatingResult]) -> dict[str, str]:
    """The earlier start that ended in the same pair, or "", by start."""
    pairs = {name: (outcome.global_policy, outcome.local_policy) for name, outcome in outcomes.items()}
    firsts = {name: next(other for other in pairs if same_pair(pairs[other], pairs[name])) for name in pairs}
    return {name: first if first != name else "" for name, first in firsts.items()}


def _equilibrium(name: str, outcome: AlternatingResult, judged: Judgement, twin: str) -> Equilibrium:
    return Equilibrium(
        start=name,
        global_policy=outcome.global_policy,
        local_policy=outcome.local_policy,
        potential=judged.potential,
        standard_error=judged.standard_error,
        converged=outcome.converged,
        n_proposals=outcome.n_iterations,
        same_as=twin,
    )
