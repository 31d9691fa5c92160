"""Named policies (uniform, keep, stay, constant) against loops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.policies import GLOBAL_POLICY_NAMES, LOCAL_POLICY_NAMES

RandomGame = Callable[..., TabularGame]


@pytest.fixture
def uneven(random_game: RandomGame) -> TabularGame:
    """Four different sizes."""
    return random_game(3, n_global=3, n_local=4, n_global_actions=5, n_local_actions=2)


def test_names_are_the_documented_ones() -> None:
    assert GLOBAL_POLICY_NAMES == ("uniform", "keep")
    assert LOCAL_POLICY_NAMES == ("uniform", "stay")


def test_uniform_policies(uneven: TabularGame) -> None:
    found = GlobalPolicy.named("uniform", uneven, 2)
    np.testing.assert_array_equal(found.table, np.full((3, 10, 5), 0.2))
    assert (found.k, found.n_local_states, found.n_actions, found.n_global_states) == (2, 4, 5, 3)
    assert not found.deterministic
    np.testing.assert_array_equal(LocalPolicy.named("uniform", uneven).table, np.full((4, 3, 2), 0.5))


def test_keep_takes_the_action_most_likely_to_keep_the_global_state(uneven: TabularGame) -> None:
    found = GlobalPolicy.named("keep", uneven, 3)
    assert found.deterministic
    assert found.table.shape == (3, 20)
    for s_g in range(3):
        chances = [uneven.global_transition[s_g, a_g, s_g] for a_g in range(5)]
        assert set(found.table[s_g].tolist()) == {chances.index(max(chances))}


def test_stay_takes_the_action_most_likely_to_keep_the_local_state(uneven: TabularGame) -> None:
    found = LocalPolicy.named("stay", uneven)
    for x in range(4):
        for s_g in range(3):
            chances = [uneven.local_transition[x, s_g, a, x] for a in range(2)]
            assert found.table[x, s_g].tolist() == [float(a == chances.index(max(chances))) for a in range(2)]


def test_named_policies_of_the_warehouse(warehouse3: TabularGame) -> None:
    """Keep: go to the zone one stands in. Stay: action 0."""
    np.testing.assert_array_equal(GlobalPolicy.named("keep", warehouse3, 2).table, np.arange(3)[:, None].repeat(6, 1))
    assert (LocalPolicy.named("stay", warehouse3).table[:, :, 0] == 1).all()


def test_constant_policies(uneven: TabularGame) -> None:
    found = GlobalPolicy.constant(uneven, 2, 4)
    np.testing.assert_array_equal(found.table, np.full((3, 10), 4))
    found.check_fits(uneven, 2)


@pytest.mark.parametrize(("action", "error"), [(5, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_constant_actions_out_of_range_are_refused(uneven: TabularGame, action: Any, error: type[Exception]) -> None:
    message = "between 0 and 4" if error is ValueError else "an integer"
    with pytest.raises(error, match=f"^action must be {message}; got {action}"):
        GlobalPolicy.constant(uneven, 2, action)


def test_unknown_names_are_refused(uneven: TabularGame) -> None:
    with pytest.raises(ValueError, match=r"^global_policy must be one of 'uniform', 'keep'; got 'stay'$"):
        GlobalPolicy.named("stay", uneven, 2)
    with pytest.raises(ValueError, match=r"^local_policy must be one of 'uniform', 'stay'; got 'keep'$"):
        LocalPolicy.named("keep", uneven)
