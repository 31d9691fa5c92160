"""What the alternating driver asks of a learner, and the paper's two learners in that form.

Any callable that maps a `Problem` to an object with a `policy` can be plugged in as either player's learner.
"""

import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from kofn.agents.alternation.update import Player
from kofn.agents.global_response.g_learn import GLearnResult, g_learn
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.local_response.l_learn import LLearnResult, check_l_learn, l_learn
from kofn.agents.local_response.l_learn_config import LLearnConfig
from kofn.envs.continuous import ContinuousGame
from kofn.envs.game import TabularGame
from kofn.envs.line_policies import MlpGlobalPolicy, MlpLocalPolicy
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.wrappers.samplers import UNIFORM, Sampler


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """The current pair, and the game in which one player may improve.

    Attributes:
        game: the game: finite, or continuous (then policies are networks).
        n_agents: n of the deployed game.
        k: agents the global agent sees.
        global_policy: current pi_g.
        local_policy: current pi_l.
        seed: source of the learner's randomness, different for every proposal.
        sampler: which k agents the global agent sees. G-LEARN and L-LEARN plan for uniform samples, as the papers do;
            UPDATE judges what they propose under this one.
        player: who is to improve, for learners that serve both.
        max_cycles: steps per episode.
    """

    game: Any
    n_agents: int
    k: int
    global_policy: Any
    local_policy: Any
    seed: np.random.SeedSequence
    sampler: Sampler = UNIFORM
    player: Player = "global"
    max_cycles: int = 100


AnyPolicy = GlobalPolicy | LocalPolicy | MlpGlobalPolicy | MlpLocalPolicy
PolicyType_co = TypeVar("PolicyType_co", bound=AnyPolicy, covariant=True)


class Response(Protocol[PolicyType_co]):
    """A learner's outcome; `n_iterations`, `converged` and `certificate` are recorded when present."""

    @property
    def policy(self) -> PolicyType_co:
        """The proposed policy."""


class GlobalLearner(Protocol):
    """Proposes a global policy."""

    def __call__(self, problem: Problem) -> Response[GlobalPolicy | MlpGlobalPolicy]:
        """Respond to `problem.local_policy`."""


class LocalLearner(Protocol):
    """Proposes a local policy."""

    def __call__(self, problem: Problem) -> Response[LocalPolicy | MlpLocalPolicy]:
        """Respond to `problem.global_policy`."""


@dataclass(frozen=True, kw_only=True)
class GLearner(GLearnConfig):
    """G-LEARN as the driver's global learner; settings as in `GLearnConfig`."""

    def check(self, game: Game, k: int) -> None:
        """Raise ValueError now rather than later when the tables for `k` do not fit into memory."""
        make_plan(game, k, self)

    def __call__(self, problem: Problem) -> GLearnResult:
        """Greedy policy of the surrogate game of k agents.

        Where nothing is drawn, the last response is kept: the fleet meets it again after every refusal of its own.
        """
        began = time.perf_counter()
        if isinstance(problem.game, TabularGame) and self.reward_samples is None:
            known = _exact_response(self, problem.game, problem.k, problem.local_policy.table.tobytes())
            if known is not None:
                return replace(known, wall_time=time.perf_counter() - began)
        return g_learn(problem.game, problem.local_policy, k=problem.k, seed=problem.seed, **asdict(self))


@lru_cache(maxsize=1)
def _exact_response(learner: GLearner, game: TabularGame, k: int, fleet: bytes) -> GLearnResult | None:
    """G-LEARN's response to the fleet's table, given as bytes; None where it takes samples."""
    if make_plan(game, k, learner).operator != "exact":
        return None
    shape = game.n_local_states, game.n_global_states, game.n_local_actions
    policy = LocalPolicy(np.frombuffer(fleet).reshape(shape))
    response = g_learn(game, policy, k=k, **asdict(learner))
    return response if response.operator == "exact" else None


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


OWN_LEARNERS = {
    "GLearner": "kofn.agents.alternation.learners",
    "LLearner": "kofn.agents.alternation.learners",
    "ObservationAware": "kofn.agents.alternation.observation_aware_learner",
    "ModeClassifier": "kofn.agents.deep.mode_classifier",
    "DeepGlobal": "kofn.agents.deep.best_response",
    "DeepLocal": "kofn.agents.deep.best_response",
}
"""Learners that a model's folder holds by their fields, and the modules that have them."""


def describe_learner(learner: Any) -> dict[str, Any]:
    """A learner of ours by its fields; one of the user's by its full name only."""
    name = type(learner).__name__
    if OWN_LEARNERS.get(name) == type(learner).__module__:
        return {"name": name, **asdict(learner)}
    if isinstance(learner, MissingLearner):
        return {"name": learner.description}
    named: Any = learner if hasattr(learner, "__qualname__") else type(learner)
    return {"name": f"{named.__module__}.{named.__qualname__}"}


def rebuild_learner(description: dict[str, Any]) -> Any:
    """Our learner from its fields, or a stand-in for the user's."""
    arguments = dict(description)
    name = arguments.pop("name")
    if name not in OWN_LEARNERS:
        return MissingLearner(name)
    return getattr(import_module(OWN_LEARNERS[name]), name)(**arguments)


def default_learners(game: Any) -> tuple[GlobalLearner, LocalLearner]:
    """The papers' learners for a game: G-LEARN and L-LEARN, or the supervised G-step and TRPO (Appendix G.2)."""
    if not isinstance(game, ContinuousGame):
        return GLearner(), LLearner()
    deep = import_module("kofn.agents.deep.best_response")
    classifier = import_module("kofn.agents.deep.mode_classifier").ModeClassifier()
    return classifier, deep.DeepLocal()


def check_learners(learners: tuple[Any, Any], game: Any, k: int) -> None:
    """Raise ValueError now rather than later for a learner that cannot serve the game."""
    for learner in learners:
        if hasattr(learner, "check"):
            learner.check(game, k)
