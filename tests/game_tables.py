"""Arguments of a TabularGame with four different sizes, for the files test_game*.py."""

from typing import Any

import numpy as np

from kofn.envs import Labels, RewardLaw

ARRAYS = ("global_transition", "local_transition", "global_reward", "local_reward", "initial_global")
SIZES = {"s_g": 3, "a_g": 2, "s_l": 4, "a_l": 5}


def arguments(**changes: Any) -> dict[str, Any]:
    """Arguments of a game with four different sizes, some replaced."""
    n_g, n_ag, n_l, n_al = SIZES.values()
    valid: dict[str, Any] = {
        "global_transition": np.full((n_g, n_ag, n_g), 1 / n_g),
        "local_transition": np.full((n_l, n_g, n_al, n_l), 1 / n_l),
        "global_reward": np.arange(n_g * n_ag).reshape(n_g, n_ag),
        "local_reward": np.arange(n_l * n_g * n_al).reshape(n_l, n_g, n_al) / 7,
        "discount": 0.9,
    }
    return valid | changes


def put(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    """The argument `name` with one entry replaced."""
    array = np.array(arguments(initial_global=[0.5, 0.25, 0.25])[name], dtype=float)
    array[index] = value
    return {name: array}


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(count))


def labels(**changes: Any) -> Labels:
    valid: dict[str, Any] = {
        "title": "t",
        "global_states": names("g", 3),
        "local_states": names("x", 4),
        "global_actions": names("a", 2),
        "local_actions": names("b", 5),
    }
    return Labels(**valid | changes)


def laws(seed: int = 0) -> dict[str, Any]:
    """Reward laws of three outcomes for the game of `arguments`, and no tables."""
    rng = np.random.default_rng(seed)
    n_g, n_ag, n_l, n_al = SIZES.values()
    shapes = {"global_reward": (n_g, n_ag), "local_reward": (n_l, n_g, n_al)}
    stochastic: dict[str, Any] = dict.fromkeys(shapes)
    for name, shape in shapes.items():
        stochastic[f"{name}_law"] = RewardLaw(rng.normal(size=(*shape, 3)), rng.dirichlet(np.ones(3), shape))
    return stochastic
