"""What learners with networks return."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False, kw_only=True)
class DeepResponse:
    """A proposed policy.

    Attributes:
        policy: MlpGlobalPolicy or MlpLocalPolicy; a table's policy in a finite game.
        n_iterations: updates, or gradient steps of a supervised step.
        n_samples: transitions (or labelled observations) used.
        statistics: what the learner reports at its end, by name.
        wall_time: seconds.
        converged: always False: gradient steps end by count.
        certificate: none.
    """

    policy: Any
    n_iterations: int
    n_samples: int
    statistics: dict[str, float] = field(default_factory=dict)
    wall_time: float
    converged: bool = False
    certificate: float = float("nan")
