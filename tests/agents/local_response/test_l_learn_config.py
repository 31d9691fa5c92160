"""L-LEARN's options and settings, alone and in the driver's learner, and what is refused in which words."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest
from tiny_fleet import tiny

from kofn.agents import LLearner, LLearnResult, Problem, l_learn
from kofn.agents.local_response.l_learn_config import METHODS, LLearnConfig, LLearnOptions
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.streams import seed_sequence
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]

GlobalPolicies = Callable[..., GlobalPolicy]


def respond(**options: Any) -> LLearnResult:
    game = options.pop("game", warehouse())
    return l_learn(game, GlobalPolicy.named("keep", warehouse(), options.pop("k", 2)), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "ucfh_obs"}, ValueError, "method must be one of 'shared_cpi', .*, 'ucfh'; got 'ucfh_obs'"),
        ({"operator": "rounded"}, ValueError, "operator must be one of 'auto', 'exact', 'monte_carlo'"),
        (
            {"k": 80, "operator": "exact"},
            ValueError,
            r"takes 2\.6e\+10 products per sweep at k=80 .* use operator='monte_carlo'",
        ),
        (
            {"n_agents": 80, "operator": "exact"},
            ValueError,
            r"with a population of n_agents=80 as k: .* takes 2\.6e\+10 products per sweep at k=80",
        ),
        ({"n_agents": 1}, ValueError, "observes k=2 agents, more than n_agents=1"),
        ({"n_agents": 0}, ValueError, "n_agents must be at least 1; got 0"),
        ({"n_agents": 2.0}, TypeError, r"n_agents must be an integer; got 2\.0"),
        ({"n_agents": 3, "method": "mean_field"}, ValueError, "has no population: n_agents must be omitted; got 3"),
        (
            {"operator": "exact", "method": "mean_field"},
            ValueError,
            "method='mean_field' uses no kernels: operator must be 'auto'; got 'exact'",
        ),
        (
            {"operator": "monte_carlo", "method": "ucfh"},
            ValueError,
            "method='ucfh' uses no kernels: operator must be 'auto'; got 'monte_carlo'",
        ),
        (
            {"n_starts": 3},
            ValueError,
            r"n_starts is no option of method='shared_cpi' \(its own are: tolerance, max_iterations\); got 3",
        ),
        ({"tolerance": 1e-3, "method": "exhaustive"}, ValueError, r"tolerance is no option .* \(its own are: none\)"),
        ({"max_episodes": 3, "method": "chain_plan"}, ValueError, "max_episodes is no option of method='chain_plan'"),
        ({"reward": "mean", "method": "tagged"}, ValueError, "reward must be one of 'team', 'own'; got 'mean'"),
        ({"n_starts": -1, "method": "tagged"}, ValueError, "n_starts must be at least 0; got -1"),
        ({"n_starts": -1, "method": "shared_coord"}, ValueError, "n_starts must be at least 0; got -1"),
        ({"max_iterations": 0, "method": "tagged"}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"max_iterations": 0, "method": "shared_coord"}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"n_draws": 0, "method": "mean_field"}, ValueError, "n_draws must be at least 1; got 0"),
        ({"game": "warehouse"}, TypeError, r"game must be a TabularGame or a GenerativeGame; got 'warehouse' \(str\)"),
        (
            {"game": GenerativeGame.from_tables(warehouse()), "operator": "exact"},
            ValueError,
            "operator='exact' needs the game's probabilities, .* use operator='auto'",
        ),
        ({"operator": "monte_carlo", "n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        ({"max_iterations": 0}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"max_iterations": 2.5}, TypeError, r"max_iterations must be an integer; got 2\.5"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be positive and finite; got 0"),
        ({"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        ({"start": LocalPolicy(np.full((3, 3, 3), 1 / 3))}, ValueError, r"the local policy must match .* \[5, 5, 3\]"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        respond(**options)


def test_global_policy_of_another_game_is_refused(random_game: Games, warehouse3: TabularGame) -> None:
    with pytest.raises(
        ValueError, match=r"the global policy must match the game's .* = \(2, 2, 2\); it has \(3, 3, 3\)"
    ):
        l_learn(random_game(0), GlobalPolicy.named("keep", warehouse3, 2))


def test_options_and_settings_have_the_same_fields() -> None:
    assert list(get_type_hints(LLearnOptions)) == list(LLearnConfig.__dataclass_fields__)
    for name in METHODS:
        assert {field.name for field in fields(METHODS[name])} <= set(LLearnConfig.__dataclass_fields__)  # type: ignore[arg-type] # every method is a dataclass


def test_settings_hold_plain_numbers() -> None:
    config = LLearnConfig(method="tagged", n_agents=np.int64(4), n_starts=np.int64(1))  # type: ignore[arg-type] # numpy's
    assert (type(config.n_agents), type(config.n_starts)) == (int, int)
    rough = LLearnConfig(tolerance=np.float32(0.5))  # type: ignore[arg-type] # numpy's
    assert (type(rough.tolerance), rough.max_iterations) == (float, None)
    scaled = LLearnConfig(method="ucfh", scale_log=1, epsilon=np.float64(0.25))
    assert (type(scaled.scale_log), type(scaled.epsilon)) == (float, float)


def problem_of(game: TabularGame, global_policy: GlobalPolicy) -> Problem:
    return Problem(
        game=game,
        n_agents=50,
        k=global_policy.k,
        global_policy=global_policy,
        local_policy=LocalPolicy.named("stay", game),
        seed=seed_sequence(7),
    )


def test_learner_passes_its_settings_on(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, 1)
    options: LLearnOptions = {"method": "tagged", "n_agents": 4, "operator": "monte_carlo", "n_samples": 9}
    for changed in (options, {**options, "reward": "own"}, {"method": "ucfh", "max_episodes": 20}):
        result = LLearner(**changed)(problem_of(game, global_policy))
        start = LocalPolicy.named("stay", game)
        wanted = l_learn(game, global_policy, start=start, seed=7, **changed)
        assert (result.policy.table == wanted.policy.table).all()
        assert (result.value, result.n_agents, result.n_samples) == (wanted.value, wanted.n_agents, wanted.n_samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operator": "exact", "n_agents": 80}, "with a population of n_agents=80 as k: .* products per sweep at k=80"),
        ({"method": "exhaustive"}, "at most 20000 maps"),
        ({"method": "ucfh", "n_agents": 30}, "takes chains of at most 10000"),
    ],
)
def test_learner_says_at_once_what_it_cannot_do(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LLearner(**options).check(warehouse(), 30)


def test_learner_that_can_do_it_says_nothing() -> None:
    LLearner(method="mean_field").check(warehouse(), 30)
    LLearner(method="ucfh", n_agents=2).check(warehouse(), 30)
    LLearner(method="exhaustive").check(warehouse(n_zones=3), 4)
    LLearner().check(warehouse(), 30)
