"""G-LEARN as the driver's learner: an exact response is computed once, a sampled one whenever it is asked for."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kofn.agents import GLearner, Problem, g_learn
from kofn.agents.alternation import learners
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keywords of every call of G-LEARN."""
    made: list[dict[str, Any]] = []

    def recorded(*args: Any, **options: Any) -> Any:
        made.append(options)
        return g_learn(*args, **options)

    monkeypatch.setattr(learners, "g_learn", recorded)
    learners._exact_response.cache_clear()
    return made


def problem(game: TabularGame, fleet: LocalPolicy, k: int = 2, seed: int = 0, keep: bool = True) -> Problem:
    return Problem(
        game=game,
        n_agents=9,
        k=k,
        global_policy=GlobalPolicy.named("keep", game, k) if keep else GlobalPolicy.constant(game, k, 1),
        local_policy=fleet,
        seed=np.random.SeedSequence(seed),
    )


def test_a_fleet_met_again_gets_the_same_response(random_game: Games, calls: list[dict[str, Any]]) -> None:
    """Whatever the seed and the current dispatcher, which G-LEARN does not look at; fleets are told by their tables."""
    game = random_game(0)
    fleets = [LocalPolicy(np.full((2, 2, 2), 0.5)) for _ in range(2)]
    first = GLearner()(problem(game, fleets[0]))
    again = GLearner()(problem(game, fleets[1], seed=1, keep=False))
    assert again.q_values is first.q_values
    assert again.wall_time < first.wall_time  # of the answer, not of the work that it spares
    assert len(calls) == 1
    wanted = g_learn(game, fleets[0], k=2)
    assert np.array_equal(first.q_values, wanted.q_values)
    assert np.array_equal(first.policy.table, wanted.policy.table)


@pytest.mark.parametrize("parameterisation", ["histogram", "tuple"])
def test_what_is_shared_cannot_be_changed(random_game: Games, parameterisation: Any) -> None:
    """Nor a copy or what was pickled: `restore_frozen`."""
    learner, fleet = GLearner(parameterisation=parameterisation), LocalPolicy(np.full((2, 2, 2), 0.5))
    found = learner(problem(random_game(0), fleet))
    tables = [found.q_values, copy.deepcopy(found).q_values, found.tuple_q_values]
    for table in tables[: 3 if parameterisation == "tuple" else 2]:
        with pytest.raises(ValueError, match="read-only"):
            table[...] = -1.0


@pytest.mark.parametrize("what", ["fleet", "k", "game", "settings"])
def test_another_question_gets_another_response(random_game: Games, calls: list[dict[str, Any]], what: str) -> None:
    game, fleet = random_game(0), LocalPolicy(np.full((2, 2, 2), 0.5))
    GLearner()(problem(game, fleet))
    other_fleet = LocalPolicy(np.full((2, 2, 2), [0.25, 0.75])) if what == "fleet" else fleet
    other_game, k = random_game(1) if what == "game" else game, 3 if what == "k" else 2
    learner = GLearner(tolerance=1e-3) if what == "settings" else GLearner()
    found = learner(problem(other_game, other_fleet, k))
    assert len(calls) == 2
    wanted = g_learn(other_game, other_fleet, k=k, tolerance=learner.tolerance)
    assert np.array_equal(found.q_values, wanted.q_values)


@pytest.mark.parametrize("learner", [GLearner(operator="monte_carlo", n_samples=3), GLearner(reward_samples=2)])
def test_what_is_drawn_is_drawn_anew(random_game: Games, calls: list[dict[str, Any]], learner: GLearner) -> None:
    game = random_game(0)
    fleet = LocalPolicy(np.full((2, 2, 2), 0.5))
    found = [learner(problem(game, fleet, seed=seed)) for seed in (0, 1, 0)]
    assert len(calls) >= 3
    assert [options["seed"].entropy for options in calls[-3:]] == [0, 1, 0]
    assert np.array_equal(found[0].q_values, found[2].q_values)
