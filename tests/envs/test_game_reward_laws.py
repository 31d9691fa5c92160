"""A TabularGame's stochastic rewards: tables are the means of the laws, bounds those of their support."""

import re
from typing import Any

import numpy as np
import pytest
from game_tables import arguments, laws

from kofn.envs import RewardLaw, TabularGame


def test_rewards_are_the_means_of_their_laws() -> None:
    """Tables omitted, given, or given up to 1e-8; a table within the tolerance is kept as it is."""
    stochastic = laws()
    game = TabularGame(**arguments(**stochastic))
    np.testing.assert_array_equal(game.global_reward, stochastic["global_reward_law"].mean)
    np.testing.assert_array_equal(game.local_reward, stochastic["local_reward_law"].mean)
    assert game.global_reward_law is stochastic["global_reward_law"]
    near = stochastic["local_reward_law"].mean + 0.9e-8
    game = TabularGame(**arguments(**stochastic | {"local_reward": near}))
    np.testing.assert_array_equal(game.local_reward, near)
    assert not game.local_reward.flags.writeable
    assert not game.global_reward.flags.writeable


@pytest.mark.parametrize("name", ["global_reward", "local_reward"])
def test_one_reward_may_be_stochastic_and_the_other_not(name: str) -> None:
    stochastic = {key: value for key, value in laws().items() if key.startswith(name)}
    game = TabularGame(**arguments(**stochastic))
    other = "local_reward" if name == "global_reward" else "global_reward"
    assert getattr(game, f"{name}_law") is stochastic[f"{name}_law"]
    assert getattr(game, f"{other}_law") is None
    np.testing.assert_array_equal(getattr(game, other), arguments()[other])


@pytest.mark.parametrize(("name", "index"), [("global_reward", (2, 1)), ("local_reward", (3, 1, 4))])
@pytest.mark.parametrize("off", [1.1e-8, -1.1e-8, 3.0])
def test_tables_that_are_not_the_means_are_refused(name: str, index: tuple[int, ...], off: float) -> None:
    stochastic = laws()
    mean = stochastic[f"{name}_law"].mean
    stochastic[name] = mean.copy()
    stochastic[name][index] += off
    message = (
        f"{name} must hold the means of {name}_law within 1e-08; entry {list(index)} is {stochastic[name][index]}, "
        f"the mean {mean[index]}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TabularGame(**arguments(**stochastic))


@pytest.mark.parametrize("name", ["global_reward", "local_reward"])
def test_a_reward_needs_a_table_or_a_law(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be given unless {name}_law is$"):
        TabularGame(**arguments(**{name: None}))
    with pytest.raises(TypeError, match=f"^{name}_law must be a RewardLaw; got ndarray$"):
        TabularGame(**arguments(**{f"{name}_law": np.zeros((3, 2, 1))}))


def test_laws_of_another_shape_are_refused() -> None:
    for shape in ((2, 3, 1), (3, 1, 1), (3, 1), (3, 2, 2, 1)):
        found = f"its values have shape {list(shape)}"
        message = f"global_reward_law must hold one law per entry of global_reward, [3, 2]; {found}"
        law = RewardLaw(np.zeros(shape), np.full(shape, 1 / shape[-1]))
        for table in (None, np.zeros((3, 2))):
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                TabularGame(**arguments(global_reward=table, global_reward_law=law))


def test_bounds_are_those_of_the_support() -> None:
    """Means of 0.5 and 2; what is paid reaches from -1 to 4 and from 2 to 2."""
    global_law = RewardLaw(np.tile([-1.0, 4.0, 90.0], (3, 2, 1)), np.tile([0.7, 0.3, 0.0], (3, 2, 1)))
    local_law = RewardLaw.certain(np.full((4, 3, 5), 2.0))
    stochastic: dict[str, Any] = {"global_reward": None, "local_reward": None}
    game = TabularGame(
        **arguments(**stochastic, global_reward_law=global_law, local_reward_law=local_law, discount=0.5)
    )
    assert game.reward_bound == (4 + 1) + 2
    assert game.value_bound == 14
