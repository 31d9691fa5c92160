"""What the alternating driver asks of a learner, and the paper's two learners in that form.

Any callable that maps a `Problem` to an object with a `policy` can be plugged in as either player's learner.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from kofn.agents.alternation.setting import FiniteGame
from kofn.agents.global_response.g_learn import GLearnResult, g_learn
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.local_response.l_learn import LLearnResult, check_l_learn, l_learn
from kofn.agents.local_response.l_learn_config import LLearnConfig
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.wrappers.samplers import UNIFORM, Sampler


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
        sampler: which k agents the global agent sees. G-LEARN and L-LEARN plan for uniform samples, as the papers do;
            UPDATE judges what they propose under this one.
    """

    game: FiniteGame
    n_agents: int
    k: int
    global_policy: GlobalPolicy
    local_policy: LocalPolicy
    seed: np.random.SeedSequence
    sampler: Sampler = UNIFORM


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
class GLearner(GLearnConfig):
    """G-LEARN as the driver's global learner; settings as in `GLearnConfig`."""

    def check(self, game: Game, k: int) -> None:
        """Raise ValueError now rather than later when the tables for `k` do not fit into memory."""
        make_plan(game, k, self)

    def __call__(self, problem: Problem) -> GLearnResult:
        """Greedy policy of the surrogate game of k agents."""
        return g_learn(problem.game, problem.local_policy, k=problem.k, seed=problem.seed, **asdict(self))


@dataclass(frozen=True, kw_only=True)
class LLearner(LLearnConfig):
    """L-LEARN as the driver's local learner; settings as in `LLearnConfig`."""

    def check(self, game: Game, k: int) -> None:
        """Raise ValueError now rather than later when the tables for `k` do not fit into memory."""
        check_l_learn(game, self.n_agents if self.n_agents is not None else k, self)

    def __call__(self, problem: Problem) -> LLearnResult:
        """The fleet's response, improved from the current local policy."""
        start, seed = problem.local_policy, problem.seed
        return l_learn(problem.game, problem.global_policy, start=start, seed=seed, **asdict(self))


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
