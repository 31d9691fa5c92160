"""Outcome of an alternation from several starts (`kofn.agents.alternation.multi_start`)."""

from dataclasses import dataclass

from kofn.agents.alternation.history import AlternatingResult
from kofn.envs.policies import GlobalPolicy, LocalPolicy


@dataclass(frozen=True, eq=False, kw_only=True)
class Equilibrium:
    """Where one alternation ended.

    Attributes:
        start: its name.
        global_policy, local_policy: the pair.
        potential: discounted return in the n-agent game, on random numbers that all starts share and none used.
        standard_error: of `potential`.
        converged: whether each player had a proposal refused against the pair.
        n_proposals: proposals made.
        same_as: the earlier start that ended in the same pair, or "".
    """

    start: str
    global_policy: GlobalPolicy
    local_policy: LocalPolicy
    potential: float
    standard_error: float
    converged: bool
    n_proposals: int
    same_as: str


@dataclass(frozen=True, eq=False, kw_only=True)
class MultiStartResult:
    """Outcome of `MultiStart.learn`.

    Attributes:
        equilibria: where every start ended, in the order of the starts.
        best: the start kept.
        outcome: what the alternation from `best` returned.
        wall_time: seconds of this call.
    """

    equilibria: tuple[Equilibrium, ...]
    best: str
    outcome: AlternatingResult
    wall_time: float

    @property
    def distinct(self) -> tuple[Equilibrium, ...]:
        """The equilibria without repetitions."""
        return tuple(equilibrium for equilibrium in self.equilibria if not equilibrium.same_as)
