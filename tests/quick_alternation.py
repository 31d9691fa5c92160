"""Short alternations in small random games, for the files test_alternating*.py."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from kofn.agents import AlternatingConfig, AlternatingMARL, AlternatingResult, Problem, Proposal
from kofn.agents.alternation.setting import Setting
from kofn.envs import TabularGame

Games = Callable[..., TabularGame]

QUICK = AlternatingConfig(n_rollouts=200, eta=0.02, horizon=40)


@dataclass(frozen=True)
class Proposes:
    """What a learner returns: a policy, or a table of one."""

    policy: Any


def lines(history: tuple[Proposal, ...]) -> list[tuple[str, ...]]:
    """Comparable lines of a history (nan is not equal to itself)."""
    return [tuple(map(repr, asdict(proposal).values())) for proposal in history]


def assert_same(first: AlternatingResult, second: AlternatingResult) -> None:
    assert lines(first.history) == lines(second.history)
    assert (first.global_policy.table == second.global_policy.table).all()
    assert (first.local_policy.table == second.local_policy.table).all()
    assert (first.potential, first.standard_error) == (second.potential, second.standard_error)
    assert first.converged == second.converged


def model_of(game: TabularGame, n_agents: int = 6, k: int = 2, **options: Any) -> AlternatingMARL:
    options = {"config": QUICK, "seed": 3} | options
    return AlternatingMARL(Setting(game=game, n_agents=n_agents, k=k), options.pop("config"), **options)


def meeting_game(random_game: Games, seed: int) -> TabularGame:
    """Both players matter: agents are paid for being where the global agent is."""
    game = random_game(seed, n_local=3, discount=0.8)
    rewards = game.local_reward.copy()
    rewards[0, 0] += 1
    rewards[2, 1] += 1
    return replace(game, local_reward=rewards)


def keep_local(problem: Problem) -> Proposes:
    """A local learner that proposes the current policy."""
    return Proposes(problem.local_policy)
