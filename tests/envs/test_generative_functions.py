"""A GenerativeGame's functions: what they are given, what they may return, and what is refused in which words."""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from games_of_functions import arguments, clockwork, next_global, next_local, paid_local, path, started, tables

from kofn.envs import FixedStart, GenerativeGame, IndividualSimulator, LumpedSimulator, TabularGame
from kofn.envs.arrays import IntArray

RandomGame = Callable[..., TabularGame]


def test_functions_get_equal_shaped_read_only_integers() -> None:
    seen: dict[str, Any] = {}

    def watch(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(rng: np.random.Generator, *index: IntArray) -> Any:
            assert all(entry.dtype == np.int64 and not entry.flags.writeable for entry in index)
            seen.setdefault(name, set()).add(tuple(entry.shape for entry in index))
            return function(rng, *index)

        return watched

    functions = {
        name: watch(name, arguments()[name]) for name in ("sample_global", "sample_local", "pay_global", "pay_local")
    }
    path(started(IndividualSimulator, clockwork(**functions), 6, n_populations=2), np.empty(0))
    assert seen["sample_global"] == seen["pay_global"] == {((2,), (2,))}
    assert seen["sample_local"] == seen["pay_local"] == {((2, 6), (2, 6), (2, 6))}


def test_inputs_cannot_be_changed_in_place() -> None:
    def careless(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> IntArray:
        s_l += 1
        return s_l

    simulator = started(IndividualSimulator, clockwork(sample_local=careless), 3)
    with pytest.raises(ValueError, match="read-only"):
        simulator.step(np.array([0]), np.zeros((1, 3), dtype=np.int64))


def test_outputs_may_be_overwritten_by_the_function() -> None:
    """A function that fills one buffer at every call: states and rewards of an earlier step stay as they were."""
    buffer = np.zeros((1, 3), dtype=np.int64)

    def reused(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> IntArray:
        buffer[...] = next_local(rng, s_l, s_g, a_l)
        return buffer

    simulator = started(IndividualSimulator, clockwork(sample_local=reused), 3)
    simulator.step(np.array([0]), np.ones((1, 3), dtype=np.int64))
    before = simulator.local_states.copy()
    buffer[...] = 99
    np.testing.assert_array_equal(simulator.local_states, before)


def test_indices_broadcast_and_types_are_settled() -> None:
    game, rng = clockwork(), np.random.default_rng(0)
    assert game.sample_local(rng, [[1], [2]], 0, [0, 1]).tolist() == [[1, 0], [2, 0]]
    assert game.pay_global(rng, 2, 1) == 21.0
    small = clockwork(
        sample_global=lambda rng, s_g, a_g: next_global(rng, s_g, a_g).astype(np.uint8),
        pay_global=lambda rng, s_g, a_g: s_g == a_g,  # noqa: ARG005
        pay_local=lambda rng, s_l, s_g, a_l: paid_local(rng, s_l, s_g, a_l).tolist(),
    )
    assert small.sample_global(rng, [0, 2], [1, 1]).dtype == np.int64
    assert small.pay_global(rng, [0, 2], [0, 1]).tolist() == [1.0, 0.0]
    assert small.pay_local(rng, [1], [1], [1]).dtype == np.float64


def constant(value: Any) -> Callable[..., Any]:
    """A function that returns the same whatever it is asked."""
    return lambda rng, *index: value  # noqa: ARG005


OUTSIDE = "must return values from 0.0 to 21.0"


@pytest.mark.parametrize(
    ("name", "returned", "error", "message"),
    [
        ("sample_global", [0, 1, 3], ValueError, "must return values from 0 to 2; entry [2] is 3, for s_g=2, a_g=1"),
        ("sample_global", [0, -1, 3], ValueError, "must return values from 0 to 2; entry [1] is -1, for s_g=1, a_g=1"),
        ("sample_global", [0.0, 1.0, 2.0], TypeError, "must return integers; got dtype float64"),
        ("sample_global", [True, False, True], TypeError, "must return integers; got dtype bool"),
        ("sample_global", [0, 1], ValueError, "must return one value per input, shape [3]; got [2]"),
        ("sample_global", 1, ValueError, "must return one value per input, shape [3]; got []"),
        ("sample_global", [[0], [1], [2]], ValueError, "must return one value per input, shape [3]; got [3, 1]"),
        ("sample_global", None, TypeError, "must return integers; got dtype object"),
        ("pay_global", [0, 21.1, 99], ValueError, f"{OUTSIDE}; entry [1] is 21.1, for s_g=1, a_g=1"),
        ("pay_global", [-2e-8, 0, 0], ValueError, f"{OUTSIDE}; entry [0] is -2e-08, for s_g=0, a_g=1"),
        ("pay_global", [0, np.nan, 1], ValueError, f"{OUTSIDE}; entry [1] is nan, for s_g=1, a_g=1"),
        ("pay_global", ["a", "b", "c"], TypeError, "must return numbers; got dtype <U1"),
        ("pay_global", [1j, 0, 0], TypeError, "must return numbers; got dtype complex128"),
    ],
)  # fmt: skip
def test_bad_output_is_refused_and_named(name: str, returned: Any, error: type[Exception], message: str) -> None:
    game = clockwork(**{name: constant(returned)})
    with pytest.raises(error, match=f"^{re.escape(f'{name} {message}')}$"):
        getattr(game, name)(np.random.default_rng(0), [0, 1, 2], [1, 1, 1])


def test_bad_output_of_local_functions_is_named_in_a_simulation() -> None:
    def far_off(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> IntArray:
        return np.asarray(s_l + 400 * (a_l == 4))

    for name, bounds in (("sample_local", "0 to 3"), ("pay_local", "0.0 to 324.0")):
        simulator = started(IndividualSimulator, clockwork(**{name: far_off}), 3)
        simulator.global_states, simulator.local_states = np.array([2]), np.array([[0, 3, 1]])
        message = f"{name} must return values from {bounds}; entry [0, 1] is 403, for s_l=3, s_g=2, a_l=4"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            simulator.step(np.array([0]), np.array([[0, 4, 4]]))


def test_rewards_may_be_out_of_bounds_by_rounding() -> None:
    game = clockwork(pay_global=constant([-0.9e-8, 21 + 0.9e-8]))
    assert game.pay_global(np.random.default_rng(0), [0, 0], [0, 0]).tolist() == [-0.9e-8, 21 + 0.9e-8]


BOUNDS = "global_reward_bounds"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_global_states": 0}, ValueError, "n_global_states must be at least 1; got 0"),
        ({"n_local_states": 2.0}, TypeError, "n_local_states must be an integer; got 2.0 (float)"),
        ({"n_global_actions": True}, TypeError, "n_global_actions must be an integer; got True (a bool)"),
        ({"n_local_actions": -1}, ValueError, "n_local_actions must be at least 1; got -1"),
        ({"discount": 1.0}, ValueError, "discount must lie strictly between 0 and 1; got 1.0"),
        ({"sample_global": None}, TypeError, "sample_global must be a function of (rng, s_g, a_g); got None"),
        ({"sample_local": 3}, TypeError, "sample_local must be a function of (rng, s_l, s_g, a_l); got 3"),
        ({"pay_global": [1]}, TypeError, "pay_global must be a function of (rng, s_g, a_g); got [1]"),
        ({"pay_local": "x"}, TypeError, "pay_local must be a function of (rng, s_l, s_g, a_l); got 'x'"),
        ({"global_reward_bounds": (1, 0)}, ValueError, f"{BOUNDS} must be (lowest, highest); got (1.0, 0.0)"),
        ({"global_reward_bounds": (1,)}, ValueError, f"{BOUNDS} must have shape [2]; got [1]: axis 0 has size 1"),
        ({"local_reward_bounds": (0, np.inf)}, ValueError, "local_reward_bounds must be finite; entry [1] is inf"),
        ({"local_reward_bounds": 3}, ValueError, "local_reward_bounds must have 1 axes [2]; got shape []"),
        ({"initial_global": [0.5, 0.5]}, ValueError, "initial_global must have shape [3]; got [2]: axis 0 has size 2"),
        ({"initial_local": FixedStart([1])}, ValueError, "initial_local must have one entry per local state (4); got"),
        ({"labels": {}}, TypeError, "labels must be a Labels object; got {}"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        clockwork(**change)


def test_functions_cannot_be_saved(tmp_path: Path) -> None:
    message = r"a GenerativeGame cannot be saved to .*game\.npz: its four functions are code; "
    with pytest.raises(TypeError, match=message + r".*sampled_game\(game, n_samples, seed\)\.save\(path\)$"):
        clockwork().save(tmp_path / "game.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("again", [copy.deepcopy, lambda game: pickle.loads(pickle.dumps(game)), replace])
def test_copies_play_alike_and_stay_read_only(again: Any, random_game: RandomGame) -> None:
    game = GenerativeGame.from_tables(tables(random_game))
    copied, policy = again(game), np.full((3, 2, 2), 0.5)
    assert path(started(LumpedSimulator, copied, 9), policy) == path(started(LumpedSimulator, game, 9), policy)
    assert not copied.initial_global.flags.writeable
    assert not isinstance(
        copied.sample_local.function, type(copied.sample_local)
    )  # one check around a function, not two


def test_a_copy_checks_by_its_own_bounds() -> None:
    game = replace(clockwork(), global_reward_bounds=(0, 5))
    with pytest.raises(ValueError, match=r"pay_global must return values from 0\.0 to 5\.0; entry \[0\] is 21\.0"):
        game.pay_global(np.random.default_rng(0), [2], [1])
