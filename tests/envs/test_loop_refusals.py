"""What is out of range is refused before a compiled loop meets it: actions, states, counts, shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kofn.envs import IndividualSimulator, LumpedSimulator, Streams, TabularGame


@pytest.mark.parametrize(("state", "action"), [(0, 2), (0, -1), (2, 0), (-1, 1)])
def test_what_is_out_of_range_is_refused(state: int, action: int, random_game: Callable[..., TabularGame]) -> None:
    simulator = IndividualSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    simulator.local_states = np.array([[0, 0, 0], [0, state, 0]])
    message = (
        r"local states must lie in \[0, 2\) and local actions in \[0, 2\); "
        rf"entry \[1, 1\] is in state {state} and acts {action}"
    )
    with pytest.raises(ValueError, match=message):
        simulator.step(np.zeros(2, dtype=np.int64), np.array([[0, 0, 0], [1, action, 1]]))


REFUSED_GLOBALLY: list[Any] = [
    ([0, 2], {}, ValueError, r"global states must lie in \[0, 2\) and global actions in \[0, 2\); population 1 is in"),
    ([-1, 0], {}, ValueError, r"population 0 is in state \d and its global agent acts -1"),
    ([0, 0], {"global_states": np.array([0, 2])}, ValueError, r"population 1 is in state 2 and its global agent acts"),
    ([0.0, 0.0], {}, TypeError, "actions must be integers; got float64"),
    ([0], {}, ValueError, r"global_actions must have shape \[2\]; got \[1\]"),
]
BAD_COUNTS = (
    [0, 0],
    {"counts": np.ones((2, 3), dtype=np.int64)},
    ValueError,
    r"counts must have shape .*; got \[2, 3\]",
)


@pytest.mark.parametrize(("actions", "changes", "error", "message"), REFUSED_GLOBALLY)
def test_global_agents_of_individuals_out_of_range_are_refused(
    actions: list[Any], changes: dict[str, Any], error: Any, message: str, random_game: Callable[..., TabularGame]
) -> None:
    simulator = IndividualSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    vars(simulator).update(changes)
    with pytest.raises(error, match=message):
        simulator.step(np.array(actions), np.zeros((2, 3), dtype=np.int64))


@pytest.mark.parametrize(("actions", "changes", "error", "message"), [*REFUSED_GLOBALLY, BAD_COUNTS])
def test_crowds_out_of_range_are_refused(
    actions: list[Any], changes: dict[str, Any], error: Any, message: str, random_game: Callable[..., TabularGame]
) -> None:
    simulator = LumpedSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    vars(simulator).update(changes)
    with pytest.raises(error, match=message):
        simulator.step(np.array(actions), np.full((2, 2, 2), 0.5))


def test_choices_of_another_shape_are_refused(random_game: Callable[..., TabularGame]) -> None:
    simulator = LumpedSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    message = r"choices must have shape \[n_populations, s_l, a_l\] = \[2, 2, 2\]; got \[2, 2, 3\]"
    with pytest.raises(ValueError, match=message):
        simulator.step_choices(np.zeros(2, dtype=np.int64), np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match=r"choices must have shape \[s_l, s_g, a_l\] = \[2, 2, 2\]; got \[3, 2, 2\]"):
        simulator.step(np.zeros(2, dtype=np.int64), np.full((3, 2, 2), 0.5))
