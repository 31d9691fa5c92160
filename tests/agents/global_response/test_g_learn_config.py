"""G-LEARN's settings: what is refused, and that the driver's learner passes every one of them on and stores it."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kofn.agents import AlternatingMARL, GLearner, Problem, g_learn
from kofn.agents.alternation.setting import Setting
from kofn.agents.global_response.g_learn_config import GLearnConfig, GLearnOptions
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]

OTHER_THAN_DEFAULT: dict[str, Any] = {
    "operator": "monte_carlo",
    "parameterisation": "paper",
    "n_samples": 7,
    "sample_global": True,
    "resample": "each_sweep",
    "reward_samples": 5,
    "delta": 0.25,
    "tolerance": 1e-3,
    "max_iterations": "theory",
}


def test_keywords_are_the_fields() -> None:
    assert list(GLearnOptions.__annotations__) == [field.name for field in fields(GLearnConfig)]
    assert GLearnOptions.__annotations__ == GLearnConfig.__annotations__


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"operator": "best"},
            ValueError,
            "operator must be one of 'auto', 'exact', 'monte_carlo', 'rounded'; got 'best'",
        ),
        ({"parameterisation": "mean"}, ValueError, "parameterisation must be one of 'histogram', 'tuple', 'paper'"),
        ({"resample": "always"}, ValueError, "resample must be one of 'never', 'each_sweep'; got 'always'"),
        ({"sample_global": 1}, TypeError, "sample_global must be True or False; got 1"),
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        ({"n_samples": 2.5}, TypeError, r"n_samples must be an integer; got 2\.5"),
        ({"n_samples": "many"}, ValueError, "n_samples must be an integer or 'theory'; got 'many'"),
        ({"max_iterations": 0}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"max_iterations": "few"}, ValueError, "max_iterations must be an integer or 'theory'; got 'few'"),
        ({"reward_samples": 0}, ValueError, "reward_samples must be at least 1; got 0"),
        ({"reward_samples": True}, TypeError, "reward_samples must be an integer; got True"),
        ({"delta": 0.0}, ValueError, r"delta must be positive and finite; got 0\.0"),
        ({"delta": 1.0}, ValueError, r"delta must lie strictly between 0 and 1; got 1\.0"),
        ({"tolerance": -1.0}, ValueError, r"tolerance must be positive and finite; got -1\.0"),
        ({"tolerance": "small"}, TypeError, "tolerance must be a number; got 'small'"),
        ({"sample_global": True}, ValueError, "sample_global needs operator='monte_carlo'; got operator='auto'"),
        (
            {"resample": "each_sweep", "operator": "exact"},
            ValueError,
            "resample='each_sweep' needs operator='monte_carlo'; got operator='exact'",
        ),
        (
            {"operator": "rounded", "parameterisation": "tuple"},
            ValueError,
            "operator='rounded' rounds histograms and needs parameterisation='histogram'; got 'tuple'",
        ),
        ({"speed": 2}, TypeError, "unexpected keyword argument 'speed'"),
    ],
)
def test_settings_out_of_range_are_refused(
    random_game: Games, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    game = random_game(0)
    with pytest.raises(error, match=message):
        g_learn(game, LocalPolicy.named("uniform", game), k=1, **options)
    with pytest.raises(error, match=message):
        GLearner(**options)


def test_zero_is_a_value_and_numpy_numbers_become_pythons() -> None:
    config = GLearnConfig(n_samples=np.int64(3), reward_samples=np.int32(2), delta=np.float32(0.5))  # type: ignore[arg-type] # what is tested
    assert [type(value) for value in (config.n_samples, config.reward_samples, config.delta)] == [int, int, float]
    assert json.loads(json.dumps(asdict(config))) == asdict(config)


def problem_of(game: TabularGame, k: int) -> Problem:
    return Problem(
        game=game,
        n_agents=6,
        k=k,
        global_policy=GlobalPolicy.named("keep", game, k),
        local_policy=LocalPolicy.named("uniform", game),
        seed=np.random.SeedSequence(3),
    )


@pytest.mark.parametrize(
    "options",
    [
        OTHER_THAN_DEFAULT,
        {},
        {"operator": "rounded", "max_iterations": 100},
        {"parameterisation": "tuple", "n_samples": "theory"},
        {"operator": "monte_carlo", "n_samples": 4, "tolerance": 0.1},
    ],
)
def test_the_learner_passes_every_setting_on(random_game: Games, options: dict[str, Any]) -> None:
    game = random_game(0, n_local=3, discount=0.7)
    learner = GLearner(**options)
    learner.check(game, 3)
    found = learner(problem_of(game, 3))
    wanted = g_learn(game, LocalPolicy.named("uniform", game), k=3, seed=np.random.SeedSequence(3), **options)
    assert (found.q_values == wanted.q_values).all()
    assert found.config == wanted.config == GLearnConfig(**options)
    assert (found.n_iterations, found.operator, found.parameterisation) == (
        wanted.n_iterations,
        wanted.operator,
        wanted.parameterisation,
    )


def test_the_learner_checks_memory_beforehand(random_game: Games) -> None:
    game = random_game(0, n_local=3, discount=0.99)
    for options, message in (
        ({"operator": "monte_carlo", "n_samples": "theory"}, "n_samples='theory' is m"),
        ({"parameterisation": "tuple"}, "a table over tuples of k=20 agents"),
    ):
        with pytest.raises(ValueError, match=message):
            GLearner(**options).check(game, 20)  # type: ignore[arg-type] # dictionaries of them


def test_every_setting_survives_saving(random_game: Games, tmp_path: Path) -> None:
    assert set(OTHER_THAN_DEFAULT) == {field.name for field in fields(GLearner)}
    assert all(getattr(GLearner(), name) != value for name, value in OTHER_THAN_DEFAULT.items())
    learner = GLearner(**OTHER_THAN_DEFAULT)
    model = AlternatingMARL(Setting(game=random_game(0), n_agents=6, k=2), global_learner=learner, seed=1)
    model.save(tmp_path)
    assert AlternatingMARL.load(tmp_path).global_learner == learner
