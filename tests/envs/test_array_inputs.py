"""What the array simulators, policies and laws are given: refused where it is wrong, and left as it is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kofn.envs import (
    GenerativeGame,
    GlobalPolicy,
    IndividualSimulator,
    LocalPolicy,
    LumpedSimulator,
    Streams,
    TabularGame,
    loops,
)
from kofn.envs.population import sample_without_replacement
from kofn.envs.reward_law import RewardLaw

ZERO = np.zeros(2, dtype=np.int64)
UNIFORM = np.full((2, 2, 2), 0.5)
KINDS = pytest.mark.parametrize("as_functions", [False, True], ids=["arrays", "functions"])


@pytest.fixture
def make(random_game: Callable[..., TabularGame]) -> Callable[..., Any]:
    """A simulator of two populations of three agents, begun; of a game given as arrays or as functions."""

    def begun(kind: Any, as_functions: bool) -> Any:
        game: Any = random_game(1)
        simulator = kind(GenerativeGame.from_tables(game) if as_functions else game, 3, n_populations=2)
        simulator.reset(Streams.from_seed(0))
        return simulator

    return begun


@KINDS
@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (np.zeros((2, 4), int), ValueError, r"local_actions must have shape \[2, 3\]; got \[2, 4\]"),
        (np.zeros(6, int), ValueError, r"local_actions must have shape \[2, 3\]; got \[6\]"),
        (np.zeros((2, 1), int), ValueError, r"local_actions must have shape \[2, 3\]; got \[2, 1\]"),
        (np.full((2, 3), 0.9), TypeError, "local_actions must be integers; got float64"),
        (np.zeros((2, 3), bool), TypeError, "local_actions must be integers; got bool"),
        (np.array([[0, 0, 0], [0, 0, 2]]), ValueError, r"entry \[1, 2\]"),
        (np.array([[0, -1, 0], [0, 0, 0]]), ValueError, r"entry \[0, 1\]"),
    ],
)
def test_local_actions_that_are_refused_change_no_state(
    actions: Any, error: Any, message: str, as_functions: bool, make: Callable[..., Any]
) -> None:
    simulator = make(IndividualSimulator, as_functions)
    before = simulator.global_states.copy(), simulator.local_states.copy()
    for _ in range(9):
        with pytest.raises(error, match=message):
            simulator.step(ZERO, actions)
    np.testing.assert_array_equal(simulator.global_states, before[0])
    np.testing.assert_array_equal(simulator.local_states, before[1])
    np.testing.assert_array_equal(simulator.sampled_reward(np.array([0])), [0.0, 0.0])


@KINDS
@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (np.array([0, 2]), ValueError, "global_actions must lie|population 1"),
        (np.array([-1, 0]), ValueError, "global_actions must lie|population 0"),
        (np.array([0]), ValueError, r"global_actions must have shape \[2\]; got \[1\]"),
        (np.array([0.0, 0.0]), TypeError, "global_actions must be integers; got float64"),
        (np.array([True, False]), TypeError, "global_actions must be integers; got bool"),
    ],
)
def test_global_actions_are_refused_by_every_simulator(
    actions: Any, error: Any, message: str, as_functions: bool, make: Callable[..., Any]
) -> None:
    with pytest.raises(error, match=message):
        make(IndividualSimulator, as_functions).step(actions, np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(error, match=message):
        make(LumpedSimulator, as_functions).step(actions, UNIFORM)


def test_steps_before_the_first_reset_are_refused(random_game: Callable[..., TabularGame]) -> None:
    with pytest.raises(RuntimeError, match=r"call reset\(streams\) before step\(\)"):
        IndividualSimulator(random_game(1), 3).step(ZERO[:1], np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(RuntimeError, match=r"call reset\(streams\) before step\(\)"):
        LumpedSimulator(random_game(1), 3).step(ZERO[:1], UNIFORM)


@KINDS
@pytest.mark.parametrize("row", [[np.nan, np.nan], [0.0, 0.0], [2.0, -1.0], [0.3, 0.3]])
def test_choices_that_are_no_laws_are_refused(row: list[float], as_functions: bool, make: Callable[..., Any]) -> None:
    table, own = UNIFORM.copy(), np.full((2, 2, 2), 0.5)
    table[1, 0], own[1, 1] = row, row
    simulator = make(LumpedSimulator, as_functions)
    with pytest.raises(ValueError, match=r"choices must be distributions .*; row \[1, 0\] is \["):
        simulator.step(ZERO, table)
    simulator.counts = np.array([[1, 2], [3, 0]])
    simulator.step_choices(ZERO, own)  # nobody is there
    simulator.counts = np.array([[1, 2], [2, 1]])
    with pytest.raises(ValueError, match=r"choices must be distributions .*; row \[1, 1\] is \["):
        simulator.step_choices(ZERO, own)


def test_lists_are_taken_and_read_only_arrays_compile_nothing_new(make: Callable[..., Any]) -> None:
    """As other integer types, they are what the same numbers are as int64."""
    made = [make(IndividualSimulator, False) for _ in range(4)]
    actions = np.array([[0, 1, 1], [1, 0, 1]])
    frozen, wide = actions.copy(), np.repeat(actions, 2, axis=1).astype(np.int32)
    frozen.setflags(write=False)
    made[0].step(ZERO, actions)
    known = len(loops.step_agents.signatures)
    made[1].step(ZERO, frozen)
    made[2].step(ZERO, wide[:, ::2])
    made[3].step([0, 0], actions.tolist())
    assert len(loops.step_agents.signatures) == known
    for other in made[1:]:
        np.testing.assert_array_equal(other.local_states, made[0].local_states)
    lumped = [make(LumpedSimulator, False) for _ in range(2)]
    lumped[0].step(ZERO, UNIFORM)
    lumped[1].step([0, 0], UNIFORM.tolist())
    np.testing.assert_array_equal(lumped[0].counts, lumped[1].counts)


def test_states_set_by_the_user_are_not_written_to(make: Callable[..., Any]) -> None:
    """Neither an array of the user's own, nor one of which the simulator was given a view."""
    simulator, actions = make(IndividualSimulator, False), np.ones((2, 3), dtype=np.int64)
    flat, whole = np.array([0, 0, 1, 1, 0, 1]), np.array([[0, 1, 1], [1, 0, 0]])
    for given, owner in ((flat.reshape(2, 3), flat), (whole, whole)):
        kept = owner.copy()
        simulator.local_states = given
        del given
        for _ in range(4):
            simulator.step(ZERO, actions)
        np.testing.assert_array_equal(owner, kept)


def test_payments_belong_to_the_caller(make: Callable[..., Any]) -> None:
    simulator, everybody = make(IndividualSimulator, False), np.arange(3)
    payment = simulator.step(ZERO, np.zeros((2, 3), dtype=np.int64))
    team = payment.team_reward
    payment.global_reward[:] = 99.0
    np.testing.assert_allclose(simulator.sampled_reward(everybody), team, rtol=1e-14)
    simulator.reset(Streams.from_seed(1))
    np.testing.assert_array_equal(simulator.sampled_reward(everybody), [0.0, 0.0])


def test_the_first_population_out_of_range_is_named_for_any_number_of_threads(
    random_game: Callable[..., TabularGame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "parts", lambda size: [slice(0, size // 2), slice(size // 2, size)])
    simulator = LumpedSimulator(random_game(1), 3, n_populations=9000)
    simulator.reset(Streams.from_seed(0))
    actions = np.zeros(9000, dtype=np.int64)
    actions[[700, 8000]] = 99, 55
    with pytest.raises(ValueError, match=r"population 700 is in state . and its global agent acts 99"):
        simulator.step(actions, UNIFORM)


def test_negative_states_do_not_count_from_the_end(random_game: Callable[..., TabularGame]) -> None:
    game = random_game(1)
    with pytest.raises(ValueError, match=r"global_states must lie in \[0, 2\); entry \[1\] is -1"):
        GlobalPolicy.constant(game, 2, 0).act(np.array([0, -1]), np.array([[2, 0], [1, 1]]))
    local = LocalPolicy.named("uniform", game)
    with pytest.raises(ValueError, match=r"local_states must lie in \[0, 2\); entry \[0\] is -2"):
        local.act(np.array([-2]), np.array([0]))
    with pytest.raises(ValueError, match=r"global_states must lie in \[0, 2\); entry \[0\] is 2"):
        local.act(np.array([1]), np.array([2]))
    law, rng = RewardLaw(values=[[0.0, 1.0]] * 3, probabilities=[[0.5, 0.5]] * 3), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"an index must lie in \[0, 3\); entry \[1\] is -1"):
        law.sample(rng, [0, -1])
    with pytest.raises(ValueError, match=r"counts must lie in \[0, 1000000000001\); entry \[0\] is -5"):
        law.sample_sums(rng, [-5], [0])


@pytest.mark.parametrize("k", [3, 100, 1000])
def test_samples_of_one_population_leave_those_of_others_as_they_are(k: int) -> None:
    """And the next call's, whatever the generator of moves was asked for: common random numbers."""
    for seed in range(40):
        found = []
        for first in ([500, 300, 900], [900, 100, 700]):
            rng = np.random.default_rng(seed)
            counts = np.array([first, [400, 400, 400]], dtype=np.int32)
            drawn = sample_without_replacement(rng, counts, k)
            assert drawn.dtype == np.int64
            found.append((drawn[1], sample_without_replacement(rng, counts[1:], k)))
        np.testing.assert_array_equal(found[0][0], found[1][0])
        np.testing.assert_array_equal(found[0][1], found[1][1])
    with pytest.raises(TypeError, match="counts must be integers; got float64"):
        sample_without_replacement(rng, np.array([[400.0, 800.0]]), k)
