"""Which of several ends to keep (`kofn.agents.alternation.multi_start`).

All ends are valued in the n-agent game on the same random numbers, which no alternation has used, in a race: ends that
clearly lose are dropped after 250 rollouts, or 500, .. (`rollout_judge`), the others valued over all of them, and the
best is kept. Alternations that were paused are valued by a first look, and ends that were dropped keep the estimate
that they had then. Exact judgements decide at once.
"""

from collections.abc import Collection, Mapping

from kofn.agents.alternation.history import AlternatingResult
from kofn.agents.alternation.judges import Judge, Judgement
from kofn.agents.alternation.multi_start_result import Equilibrium
from kofn.agents.alternation.pairs import same_pair


def value_ends(
    outcomes: Mapping[str, AlternatingResult], judge: Judge, *, paused: Collection[str]
) -> tuple[tuple[Equilibrium, ...], str]:
    """(where every start ended, the start to keep).

    Args:
        outcomes: of the alternations, by start.
        judge: values the ends.
        paused: starts that are not to be kept.
    """
    twins = _twins(outcomes)
    names = [name for name in outcomes if not twins[name]]
    judged = {name: judge.judge(outcomes[name].global_policy, outcomes[name].local_policy) for name in names}
    finished = [name for name in names if name not in paused]
    best = finished[judge.best([judged[name] for name in finished])]
    found = tuple(_equilibrium(name, outcomes[name], judged[twins[name] or name], twins[name]) for name in outcomes)
    return found, best


def _twins(outcomes: Mapping[str, AlternatingResult]) -> dict[str, str]:
    """The earlier start that ended in the same pair, or "", by start."""
    pairs = {name: (outcome.global_policy, outcome.local_policy) for name, outcome in outcomes.items()}
    firsts = {name: next(other for other in pairs if same_pair(pairs[other], pairs[name])) for name in pairs}
    return {name: first if first != name else "" for name, first in firsts.items()}


def _equilibrium(name: str, outcome: AlternatingResult, judged: Judgement, twin: str) -> Equilibrium:
    potential, standard_error = judged.so_far
    return Equilibrium(
        start=name,
        global_policy=outcome.global_policy,
        local_policy=outcome.local_policy,
        potential=potential,
        standard_error=standard_error,
        converged=outcome.converged,
        n_proposals=outcome.n_iterations,
        same_as=twin,
    )
