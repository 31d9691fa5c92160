"""Arguments of every registered game that make it degenerate are refused, and good ones reach the environment."""

import re
from typing import Any

import pytest

from kofn.envs import GAMES
from kofn.envs.registration import game_module

every_game = pytest.mark.parametrize("name", GAMES)

BAD: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("warehouse_dispatch", {"n_zones": 1}, ValueError, "n_zones must be at least 2; got 1"),
    ("warehouse_dispatch", {"n_zones": -3}, ValueError, "n_zones must be at least 2; got -3"),
    ("warehouse_dispatch", {"n_zones": 5.0}, TypeError, "n_zones must be an integer; got 5.0 (float)"),
    ("warehouse_dispatch", {"n_zones": True}, TypeError, "n_zones must be an integer; got True (a bool)"),
    ("gaussian_squeeze", {"n_levels": 1}, ValueError, "n_levels must be at least 2; got 1"),
    ("gaussian_squeeze", {"n_levels": 3.0}, TypeError, "n_levels must be an integer; got 3.0 (float)"),
    ("gaussian_squeeze", {"target": 0}, ValueError, "target must be between 1 and 9; got 0"),
    ("gaussian_squeeze", {"n_levels": 4, "target": 4}, ValueError, "target must be between 1 and 3; got 4"),
    ("gaussian_squeeze", {"target": "4"}, TypeError, "target must be an integer; got '4' (str)"),
    ("constrained_exploration", {"size": 1}, ValueError, "size must be at least 2; got 1"),
    ("constrained_exploration", {"size": 5.0}, TypeError, "size must be an integer; got 5.0 (float)"),
    ("constrained_exploration", {"box": 0}, ValueError, "box must be between 1 and 4; got 0"),
    ("constrained_exploration", {"box": 5}, ValueError, "box must be between 1 and 4; got 5"),
    ("constrained_exploration", {"size": 3, "box": 4}, ValueError, "box must be between 1 and 2; got 4"),
    ("constrained_exploration", {"box": True}, TypeError, "box must be an integer; got True (a bool)"),
    ("constrained_exploration", {"pull": -0.1}, ValueError, "pull must lie between 0 and 1; got -0.1"),
    ("constrained_exploration", {"pull": 1.5}, ValueError, "pull must lie between 0 and 1; got 1.5"),
    ("constrained_exploration", {"pull": float("nan")}, ValueError, "pull must lie between 0 and 1; got nan"),
    ("constrained_exploration", {"pull": "1"}, TypeError, "pull must be a number; got '1' (str)"),
    ("constrained_exploration", {"pull": True}, TypeError, "pull must be a number; got True (bool)"),
    ("federated_optimization", {"n_domains": 1}, ValueError, "n_domains must be at least 2; got 1"),
    ("federated_optimization", {"n_domains": 4.0}, TypeError, "n_domains must be an integer; got 4.0 (float)"),
    ("federated_anchored", {"data": "mnist"}, ValueError, "data must be one of 'digits', 'breast_cancer'; got 'mnist'"),
    ("federated_averaging", {"data": "iris"}, ValueError, "data must be one of 'digits', 'breast_cancer'; got 'iris'"),
    ("federated_averaging", {"alpha": 0.0}, ValueError, "alpha must be positive and finite; got 0.0"),
    ("federated_averaging", {"n_participants": 0}, ValueError, "n_participants must be at least 1; got 0"),
    ("federated_averaging", {"n_participants": 2.5}, TypeError, "n_participants must be an integer; got 2.5 (float)"),
    ("federated_averaging", {"drift": 1.1}, ValueError, "drift must lie between 0 and 1; got 1.1"),
    ("federated_averaging", {"drift": "often"}, TypeError, "drift must be a number; got 'often' (str)"),
    ("federated_averaging", {"drift": True}, TypeError, "drift must be a number; got True (bool)"),
]
"""Games, their own arguments, and what is said of them."""

BAD_SIZES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"n_agents": 0}, ValueError, "n_agents must be at least 1; got 0"),
    ({"n_agents": 2.5}, TypeError, "n_agents must be an integer; got 2.5 (float)"),
    ({"max_cycles": 0}, ValueError, "max_cycles must be at least 1; got 0"),
]
"""Of every environment."""


@pytest.mark.parametrize(("name", "arguments", "error", "message"), BAD)
def test_bad_arguments_are_refused(name: str, arguments: Any, error: type[Exception], message: str) -> None:
    module = game_module(name)
    for make in (module.game, module.parallel_env, module.env):
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            make(**arguments)


@every_game
@pytest.mark.parametrize(("options", "error", "message"), BAD_SIZES)
def test_bad_sizes_are_refused(name: str, options: Any, error: type[Exception], message: str) -> None:
    for make in (game_module(name).parallel_env, game_module(name).env):
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            make(**options)


@every_game
def test_discounts_are_checked(name: str) -> None:
    for discount in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"^discount must lie strictly between 0 and 1; got {discount}$"):
            game_module(name).game(discount=discount)
    with pytest.raises(TypeError, match=re.escape("discount must be a number; got 'high' (str)")):
        game_module(name).game(discount="high")


@every_game
def test_sizes_reach_the_environment(name: str) -> None:
    module = game_module(name)
    small = module.parallel_env(discount=0.5, n_agents=4, max_cycles=2)
    assert (small.game.discount, small.n_agents, small.max_cycles) == (0.5, 4, 2)
    default = module.parallel_env()
    assert (default.n_agents, default.max_cycles) == (module.DEFAULTS.n_agents, module.DEFAULTS.max_cycles)
    assert module.env(n_agents=2).possible_agents == ["global_0", "local_0", "local_1"]
