"""Learners plugged into the alternating driver: what they are given, and what is recorded and refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from quick_alternation import QUICK, Proposes, keep_local, model_of

from kofn.agents import GLearner, LLearner, Problem
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.policies import as_local_policy

Games = Callable[..., TabularGame]


def test_learners_are_given_the_problem(random_game: Games) -> None:
    game = random_game(2, discount=0.8)
    seen: list[Problem] = []

    def record(problem: Problem) -> Proposes:
        seen.append(problem)
        return Proposes(problem.global_policy)

    model = model_of(game, n_agents=7, k=3, global_learner=record, local_learner=keep_local)
    start = model.global_policy, model.local_policy
    model.learn()
    assert len(seen) == 1
    assert (seen[0].game, seen[0].n_agents, seen[0].k) == (game, 7, 3)
    assert (seen[0].global_policy, seen[0].local_policy) == start


def test_every_proposal_has_a_seed_of_its_own(random_game: Games) -> None:
    states = set()

    def record(problem: Problem) -> Proposes:
        states.add(tuple(problem.seed.generate_state(4).tolist()))
        table = problem.global_policy.table
        return Proposes(replace(problem.global_policy, table=1 - table))

    game = replace(random_game(2), global_reward=np.array([[0.0, 3.0], [0.0, 3.0]]))
    config = replace(QUICK, max_alternations=4, eta=1e-9)
    local = np.random.default_rng(0)

    def wander(problem: Problem) -> Proposes:
        states.add(tuple(problem.seed.generate_state(4).tolist()))
        return Proposes(local.dirichlet(np.ones(2), (2, 2)))

    result = model_of(game, config=config, global_learner=record, local_learner=wander).learn()
    assert len(states) == len(result.history) > 2


def test_plugged_in_learners_are_recorded(random_game: Games) -> None:
    """A bare policy object has no iterations, no certificate, and counts as converged; what is there is recorded."""
    game = random_game(3, discount=0.8)

    @dataclass(frozen=True)
    class Outcome:
        policy: LocalPolicy
        n_iterations: int = 17
        converged: bool = False
        certificate: float = 0.25

    model = model_of(
        game,
        global_learner=lambda _: Proposes(np.ones((2, 3), dtype=int)),
        local_learner=lambda problem: Outcome(as_local_policy("stay", problem.game)),
    )
    first, second = model.learn().history[:2]
    assert (first.player, first.learner_iterations, first.learner_converged) == ("global", -1, True)
    assert np.isnan(first.learner_certificate)
    assert (second.player, second.learner_iterations, second.learner_converged) == ("local", 17, False)
    assert second.learner_certificate == 0.25


def test_our_learners_are_recorded(random_game: Games) -> None:
    history = model_of(random_game(3, discount=0.8)).learn().history
    assert all(p.learner_iterations >= 0 and p.learner_converged for p in history)
    assert history[0].learner_iterations > 1
    assert 0 < history[0].learner_certificate <= 1e-6


def test_proposals_of_another_game_are_refused(random_game: Games) -> None:
    def too_small(problem: Problem) -> Proposes:
        return Proposes(GlobalPolicy.named("keep", problem.game, 1))

    def too_wide(problem: Problem) -> Proposes:
        return Proposes(np.full((3, 2, 2), 0.5))

    with pytest.raises(ValueError, match="the global policy observes k=1 agents; k=2 was asked for"):
        model_of(random_game(0), global_learner=too_small).learn()
    with pytest.raises(ValueError, match="the local policy must match the game's"):
        model_of(random_game(0), local_learner=too_wide).learn()


@pytest.mark.parametrize("learner", [GLearner, LLearner])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"operator": "best"}, ValueError, "operator must be one of 'auto', 'exact', 'monte_carlo'"),
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        ({"tolerance": 0.0}, ValueError, r"tolerance must be positive and finite; got 0\.0"),
        ({"tolerance": True}, TypeError, "tolerance must be a number; got True"),
        ({"max_iterations": 1.5}, TypeError, r"max_iterations must be an integer; got 1\.5"),
    ],
)
def test_learners_refuse_settings_out_of_range(
    learner: type[GLearner] | type[LLearner], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        learner(**options)
