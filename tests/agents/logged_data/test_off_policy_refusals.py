"""What off-policy G-LEARN refuses: arguments, step sizes, walks, play, policies of another game."""

from collections.abc import Callable
from typing import Any

import pytest
from surrogate_process import K

from kofn.agents.logged_data.off_policy import StepRule, off_policy_g_learn, off_policy_in_env, off_policy_in_surrogate
from kofn.agents.logged_data.transitions import Transitions
from kofn.envs import LocalPolicy, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"discount": 1.0}, ValueError, r"discount must lie strictly between 0 and 1; got 1\.0"),
        ({"discount": 0.0}, ValueError, r"discount must be positive and finite; got 0\.0"),
        ({"discount": "a"}, TypeError, "discount must be a number; got 'a'"),
        ({"n_passes": 0}, ValueError, "n_passes must be at least 1; got 0"),
        ({"tolerance": 0.0}, ValueError, r"tolerance must be positive and finite; got 0\.0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    log: Transitions, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        off_policy_g_learn(log, **{"discount": 0.5, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step_size": 0.0}, ValueError, r"step_size must be positive and finite; got 0\.0"),
        ({"step_size": 1.5}, ValueError, r"step_size must lie in \[0, 1\]; got 1\.5"),
        ({"step_size": True}, TypeError, r"step_size must be a number; got True \(bool\)"),
        ({"decay": -0.1}, ValueError, r"decay must lie in \[0, 1\]; got -0\.1"),
        ({"decay": None}, TypeError, "decay must be a number; got None"),
    ],
)
def test_step_sizes_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        StepRule(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1; got 0"),
        ({"k": 10**8}, ValueError, "k=100000000 needs a table of"),
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1; got 0"),
        ({"epsilon": 1.1}, ValueError, r"epsilon must lie in \[0, 1\]; got 1\.1"),
        ({"epsilon": float("nan")}, ValueError, r"epsilon must lie in \[0, 1\]; got nan"),
        ({"tolerance": -1.0}, ValueError, r"tolerance must be positive and finite; got -1\.0"),
        ({"seed": -1}, ValueError, "seed must be a nonnegative integer"),
    ],
)
def test_walks_out_of_range_are_refused(
    game: TabularGame, policy: LocalPolicy, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        off_policy_in_surrogate(game, policy, **{"k": K, "n_steps": 10, **options})


def test_local_policy_of_another_game_is_refused(random_game: Games, policy: LocalPolicy) -> None:
    with pytest.raises(ValueError, match="the local policy must match the game's"):
        off_policy_in_surrogate(random_game(0, n_local=3), policy, k=1, n_steps=10)


def test_play_out_of_range_is_refused(game: TabularGame) -> None:
    env = SubsampleObservation(PopulationEnv(game, 5), K)
    with pytest.raises(ValueError, match="n_steps must be at least 1; got 0"):
        off_policy_in_env(env, n_steps=0)
    with pytest.raises(ValueError, match=r"epsilon must lie in \[0, 1\]; got 2"):
        off_policy_in_env(env, n_steps=5, epsilon=2)
    with pytest.raises(TypeError, match="env must be a parallel PopulationEnv, possibly wrapped; got str"):
        off_policy_in_env("env", n_steps=5)
