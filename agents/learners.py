"""What the alternating driver asks of a learner, and the paper's two learners in that form.

Any callable that maps a `Problem` to an object with a `policy` can be plugged in as either player's learner.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from kofn.agents.g_learn import OPERATORS, GLearnResult, Operator, choose_operator, g_learn
from kofn.agents.l_learn import METHODS, LLearnResult, Method, l_learn
from kofn.envs.arrays import integer, one_of, positive
from kofn.envs.game import TabularGame
from kofn.envs.policies import GlobalPolicy, LocalPolicy


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """The current pair, and the game in which one player may improve.

    Attributes:
        game: the game.
        n_agents: n of the deployed game.
        k: agents the global agent sees.
        global_policy: current pi_g.
        local_policy: current pi_l.
        seed: source of the learner's randomness, different for every proposal.
    """

    game: TabularGame
    n_agents: int
    k: int
    global_policy: GlobalPolicy
    local_policy: LocalPolicy
    seed: np.random.SeedSequence


PolicyType_co = TypeVar("PolicyType_co", GlobalPolicy, LocalPolicy, covariant=True)


class Response(Protocol[PolicyType_co]):
    """A learner's outcome; `n_iterations`, `converged` and `certificate` are recorded when present."""

    @property
    def policy(self) -> PolicyType_co:
        """The proposed policy."""


class GlobalLearner(Protocol):
    """Proposes a global policy."""

    def __call__(self, problem: Problem) -> Response[GlobalPolicy]:
        """Respond to `problem.local_policy`."""


class LocalLearner(Protocol):
    """Proposes a local policy."""

    def __call__(self, problem: Problem) -> Response[LocalPolicy]:
        """Respond to `problem.global_policy`."""


@dataclass(frozen=True, kw_only=True)
class GLearner:
    """G-LEARN as the driver's global learner.

    Args:
        operator: Bellman operator: exact, monte_carlo, or auto (exact while its kernels are small).
        n_samples: m, fixed samples per table entry (monte_carlo).
        tolerance: error allowed in Q.
        max_iterations: operator applications after which to give up.
    """

    operator: Operator = "auto"
    n_samples: int = 30
    tolerance: float = 1e-6
    max_iterations: int = 10_000

    def __post_init__(self) -> None:
        """Validate."""
        _validate(self)

    def check(self, game: TabularGame, k: int) -> None:
        """Raise ValueError now rather than later when the tables for `k` do not fit into memory."""
        choose_operator(game, k, self.operator)

    def __call__(self, problem: Problem) -> GLearnResult:
        """Greedy policy of the surrogate game of k agents."""
        return g_learn(
            problem.game,
            problem.local_policy,
            k=problem.k,
            operator=self.operator,
            n_samples=self.n_samples,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            seed=problem.seed,
        )


@dataclass(frozen=True, kw_only=True)
class LLearner:
    """L-LEARN as the driver's local learner.

    Args:
        method: how the fleet's response is found.
        operator: kernels: exact, monte_carlo, or auto (exact while they are small).
        n_samples: m, fixed samples per table entry (monte_carlo).
        tolerance: first-order gap at which to stop, as a fraction of r~/(1-gamma).
        max_iterations: improvement steps after which to give up.
    """

    method: Method = "shared_cpi"
    operator: Operator = "auto"
    n_samples: int = 30
    tolerance: float = 1e-5
    max_iterations: int = 200

    def __post_init__(self) -> None:
        """Validate."""
        one_of("method", self.method, METHODS)
        _validate(self)

    def check(self, game: TabularGame, k: int) -> None:
        """Raise ValueError now rather than later when the tables for `k` do not fit into memory."""
        choose_operator(game, k, self.operator)

    def __call__(self, problem: Problem) -> LLearnResult:
        """The fleet's response, improved from the current local policy."""
        return l_learn(
            problem.game,
            problem.global_policy,
            start=problem.local_policy,
            method=self.method,
            operator=self.operator,
            n_samples=self.n_samples,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            seed=problem.seed,
        )


def _validate(learner: GLearner | LLearner) -> None:
    """Check the fields both learners have, and turn numpy's numbers into Python's."""
    one_of("operator", learner.operator, OPERATORS)
    object.__setattr__(learner, "n_samples", integer("n_samples", learner.n_samples, 1))
    object.__setattr__(learner, "max_iterations", integer("max_iterations", learner.max_iterations, 1))
    object.__setattr__(learner, "tolerance", positive("tolerance", learner.tolerance))


@dataclass(frozen=True)
class MissingLearner:
    """Stands in for a learner of the user's own in a loaded model: learning needs it passed again."""

    description: str

    def __call__(self, problem: Problem) -> Response[Any]:  # noqa: ARG002  # a learner's signature
        """Raise RuntimeError."""
        raise RuntimeError(
            f"this model was trained with a learner of your own ({self.description}), which is not stored; "
            "pass it to AlternatingMARL.load(..., global_learner=..., local_learner=...)"
        )
