"""GenerativeGame: the law of the tables it draws from, functions that misbehave, and the empirical game.

Laws pass chi-square tests at p > 1e-4; figures are within 5 standard errors.
"""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from oracle import brute_force
from pettingzoo.test import parallel_api_test

from kofn.envs import (
    DirichletStart,
    FixedStart,
    Game,
    GenerativeGame,
    IndividualSimulator,
    LumpedSimulator,
    PopulationEnv,
    RewardLaw,
    Streams,
    TabularGame,
    dynamics,
    generative,
    sampled_game,
)
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import rank_histograms
from kofn.envs.simulator import LocalTiming
from kofn.envs.streams import Seed
from kofn.wrappers.subsample import SubsampleObservation

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]
TIMINGS: tuple[LocalTiming, ...] = ("paper", "code")


# --- a game of functions, no chance anywhere


def next_global(rng: np.random.Generator, s_g: IntArray, a_g: IntArray) -> IntArray:
    """s_g' = s_g + a_g mod 3."""
    return (s_g + a_g) % 3


def next_local(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> IntArray:
    """Action 0 stays, action 1 goes to s_g."""
    return np.where(a_l == 0, s_l, s_g)


def paid_global(rng: np.random.Generator, s_g: IntArray, a_g: IntArray) -> FloatArray:
    """All different."""
    return np.asarray(10.0 * s_g + a_g)


def paid_local(rng: np.random.Generator, s_l: IntArray, s_g: IntArray, a_l: IntArray) -> FloatArray:
    """All different."""
    return np.asarray(100.0 * s_l + 10.0 * s_g + a_l)


def arguments(**changes: Any) -> dict[str, Any]:
    """Arguments of the game above, some replaced."""
    valid: dict[str, Any] = {
        "n_global_states": 3,
        "n_local_states": 4,
        "n_global_actions": 2,
        "n_local_actions": 5,
        "discount": 0.9,
        "sample_global": next_global,
        "sample_local": next_local,
        "pay_global": paid_global,
        "pay_local": paid_local,
        "global_reward_bounds": (0, 21),
        "local_reward_bounds": (0, 324),
    }
    return valid | changes


def clockwork(**changes: Any) -> GenerativeGame:
    return GenerativeGame(**arguments(**changes))


def started(make: Any, game: Game, n_agents: int, seed: Seed = 0, **options: Any) -> Any:
    simulator = make(game, n_agents, **options)
    simulator.reset(Streams.from_seed(seed))
    return simulator


def test_what_is_omitted_is_uniform_and_numbered() -> None:
    game = clockwork()
    np.testing.assert_array_equal(game.initial_global, np.full(3, 1 / 3))
    assert not game.initial_global.flags.writeable
    assert isinstance(game.initial_local, FixedStart)
    assert game.initial_local.probabilities.tolist() == [0.25] * 4
    assert game.labels.title == "generative game"
    assert game.labels.local_actions == ("a0", "a1", "a2", "a3", "a4")


def test_bounds_by_hand() -> None:
    game = clockwork(global_reward_bounds=(-2, 21), local_reward_bounds=(1, 324), discount=0.75)
    assert game.reward_bound == 23 + 324
    assert game.value_bound == 347 / 0.25


def test_both_kinds_of_game_are_games(warehouse3: TabularGame) -> None:
    assert isinstance(warehouse3, Game)
    assert isinstance(clockwork(), Game)
    assert not isinstance("warehouse_dispatch", Game)


@pytest.mark.parametrize(("timing", "seen"), [("paper", 1), ("code", 2)])
@pytest.mark.parametrize("make", [IndividualSimulator, LumpedSimulator])
def test_agents_are_paid_at_the_old_state_and_move_with_the_one_they_see(
    make: Any, timing: LocalTiming, seen: int
) -> None:
    """s_g goes from 1 to 2; agents in state 3 go to the global state they see, those in state 0 stay."""
    simulator = started(make, clockwork(), 4, local_timing=timing, n_populations=2)
    simulator.global_states = np.array([1, 1])
    if make is LumpedSimulator:
        simulator.counts = np.array([[2, 0, 0, 2], [1, 0, 0, 3]])
        movers = np.zeros((4, 3, 5))
        movers[0, :, 0] = movers[3, :, 1] = movers[1:3, :, 4] = 1
        payment = simulator.step(np.array([1, 0]), movers)
        counts = simulator.counts
    else:
        simulator.local_states = np.array([[0, 3, 3, 0], [3, 3, 0, 3]])
        payment = simulator.step(np.array([1, 0]), np.array([[0, 1, 1, 0], [1, 1, 0, 1]]))
        np.testing.assert_array_equal(simulator.local_rewards, [[10, 311, 311, 10], [311, 311, 10, 311]])
        counts = simulator.counts()
    assert simulator.global_states.tolist() == [2, 1]
    expected = np.zeros((2, 4), dtype=int)
    expected[0, [0, seen]] = 2
    expected[1, [0, 1]] = 1, 3
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(payment.global_reward, [11, 10])
    np.testing.assert_array_equal(payment.local_reward_mean, [(20 + 622) / 4, (10 + 933) / 4])


# --- the law of the tables it draws from


def tables(random_game: RandomGame, seed: int = 0, **options: Any) -> TabularGame:
    """A random game whose local rewards are a lottery; states and actions of unequal numbers."""
    game = random_game(seed, n_local=3, **options)
    rng = np.random.default_rng(seed)
    law = RewardLaw(rng.integers(0, 4, (3, 2, 2, 2)) / 2, rng.dirichlet(np.ones(2), (3, 2, 2)))
    changes: dict[str, Any] = {"local_reward": None}
    return replace(game, **changes, local_reward_law=law)


@pytest.mark.parametrize("timing", TIMINGS)
def test_individual_agents_have_the_law_of_the_tables(
    timing: LocalTiming, random_game: RandomGame, assert_law: AssertLaw
) -> None:
    """(s_g', s_1', s_2') against the oracle, agent by agent."""
    game, n = tables(random_game), 40_000
    states, actions = (1, 0, 2), (1, 0)
    simulator = started(IndividualSimulator, GenerativeGame.from_tables(game), 2, n_populations=n, local_timing=timing)
    simulator.global_states, simulator.local_states = np.full(n, 1), np.tile(states[1:], (n, 1))
    payment = simulator.step(np.zeros(n, dtype=np.int64), np.tile(actions, (n, 1)))
    cells = simulator.global_states * 9 + simulator.local_states @ np.array([3, 1])
    assert_law(np.bincount(cells, minlength=18), brute_force.next_law(game, states, 0, actions, timing))
    np.testing.assert_array_equal(payment.global_reward, game.global_reward[1, 0])


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("block", [7, 1 << 18])
def test_crowds_have_the_law_of_the_tables(
    timing: LocalTiming, block: int, random_game: RandomGame, assert_law: AssertLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(s_g', histogram') of three agents against the oracle summed over all actions and next states."""
    monkeypatch.setattr(dynamics, "BLOCK", block)
    game, n = tables(random_game), 6_000
    policy = np.random.default_rng(1).dirichlet(np.ones(2), (3, 2))
    joint = brute_force.joint_states(game, 3)
    moves, _ = brute_force.decision(game, 3, policy, 1, timing)
    law = np.zeros((2, 10))
    for state, chance in zip(joint, moves[joint.index((1, 0, 2, 2))], strict=True):
        law[state[0], brute_force.rank(state[1:], 3)] += chance
    simulator = started(LumpedSimulator, GenerativeGame.from_tables(game), 3, n_populations=n, local_timing=timing)
    simulator.global_states, simulator.counts = np.full(n, 1), np.tile([1, 0, 2], (n, 1))
    simulator.step(np.ones(n, dtype=np.int64), policy)
    assert (simulator.counts.sum(axis=1) == 3).all()
    cells = simulator.global_states * 10 + rank_histograms(simulator.counts)
    assert_law(np.bincount(cells, minlength=20), law)


@pytest.mark.parametrize("n_agents", [1, 5])
def test_episodes_of_functions_and_tables_agree_in_law(
    n_agents: int, random_game: RandomGame, assert_same_law: AssertLaw
) -> None:
    """Starts, moves and payments: (s_g, count of state 0) after four steps, and the rewards paid on the way."""
    game = tables(random_game, 2, initial_local=DirichletStart([0.5, 0.5, 1.0]))
    policy, cells, paid = np.random.default_rng(3).dirichlet(np.ones(2), (3, 2)), [], []
    for seed, kind in enumerate((game, GenerativeGame.from_tables(game))):
        simulator = started(LumpedSimulator, kind, n_agents, seed, n_populations=8_000)
        total = np.zeros(8_000)
        for _ in range(4):
            total += simulator.step(1 - simulator.global_states, policy).local_reward_mean * n_agents * 2
        cells.append(
            np.bincount(simulator.global_states * (n_agents + 1) + simulator.counts[:, 0], minlength=2 * n_agents + 2)
        )
        paid.append(np.bincount(np.round(total).astype(int), minlength=12 * n_agents + 1))
        np.testing.assert_allclose(total, np.round(total), atol=1e-9)
    assert_same_law(*cells)
    assert_same_law(*paid)


def test_populations_of_unequal_crowds_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No chance, blocks of every size: each population moves and is paid by its own states and its own s_g."""
    policy = np.zeros((4, 3, 5))
    policy[:, 0, 0] = policy[:, 1, 1] = policy[:2, 2, 0] = policy[2:, 2, 1] = 1
    counts = np.array([[2, 0, 1, 0], [0, 1, 0, 2], [1, 1, 1, 0], [0, 0, 0, 3]])
    s_g = np.array([0, 1, 2, 2])
    moved = [[2, 0, 1, 0], [0, 3, 0, 0], [1, 1, 1, 0], [0, 0, 3, 0]]
    paid = [200.0, 111 + 622, 20 + 120 + 221, 3 * 321]
    for block in (1, 2, 3, 5, 100):
        monkeypatch.setattr(dynamics, "BLOCK", block)
        simulator = started(LumpedSimulator, clockwork(), 3, n_populations=4)
        simulator.global_states, simulator.counts = s_g.copy(), counts.copy()
        payment = simulator.step(np.zeros(4, dtype=np.int64), policy)
        np.testing.assert_array_equal(simulator.counts, moved)
        np.testing.assert_array_equal(payment.local_reward_mean, np.array(paid) / 3)


def test_no_local_agents_ask_for_nothing() -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("asked")

    simulator = started(LumpedSimulator, clockwork(sample_local=never, pay_local=never), 0, n_populations=3)
    payment = simulator.step(np.ones(3, dtype=np.int64), np.full((4, 3, 5), 0.2))
    assert simulator.counts.tolist() == [[0] * 4] * 3
    assert payment.local_reward_mean.tolist() == [0.0] * 3


def path(simulator: Any, policy: FloatArray) -> list[Any]:
    """States, counts and payments of some steps."""
    found = []
    for _ in range(5):
        crowd = isinstance(simulator, LumpedSimulator)
        acting = policy if crowd else np.ones(simulator.local_states.shape, dtype=np.int64)
        payment = simulator.step(np.zeros(simulator.n_populations, dtype=np.int64), acting)
        counts = simulator.counts if crowd else simulator.counts()
        found.append([simulator.global_states.tolist(), counts.tolist(), payment.team_reward.tolist()])
    return found


@pytest.mark.parametrize("make", [IndividualSimulator, LumpedSimulator])
def test_the_seed_decides_everything(make: Any, random_game: RandomGame) -> None:
    game = GenerativeGame.from_tables(tables(random_game))
    policy = np.full((3, 2, 2), 0.5)
    paths = [path(started(make, game, 20, seed, n_populations=2), policy) for seed in (1, 1, 2)]
    assert paths[0] == paths[1]
    assert paths[0] != paths[2]


@pytest.mark.parametrize("make", [IndividualSimulator, LumpedSimulator])
def test_rewards_leave_the_moves_alone(make: Any, random_game: RandomGame) -> None:
    """The same seed with rewards that are drawn and with sure ones: the same states."""
    oracle = GenerativeGame.from_tables(tables(random_game))
    sure = replace(
        oracle,
        pay_global=lambda rng, s_g, a_g: np.full(s_g.shape, oracle.global_reward_bounds[0]),  # noqa: ARG005
        pay_local=lambda rng, s_l, s_g, a_l: np.full(s_l.shape, oracle.local_reward_bounds[0]),  # noqa: ARG005
    )
    policy = np.full((3, 2, 2), 0.5)
    paths = [path(started(make, game, 20, n_populations=2), policy) for game in (oracle, sure)]
    assert [step[:2] for step in paths[0]] == [step[:2] for step in paths[1]]
    assert [step[2] for step in paths[0]] != [step[2] for step in paths[1]]


# --- functions: what they are given, and what they may return


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


# --- the empirical game


def test_one_draw_finds_a_game_without_chance() -> None:
    game = clockwork(discount=0.7, initial_local=DirichletStart([1.0, 2.0, 3.0, 4.0]), initial_global=[0.5, 0.5, 0.0])
    found = sampled_game(game, 1, seed=0)
    for s_g, a_g in product(range(3), range(2)):
        assert found.global_transition[s_g, a_g].tolist() == np.eye(3)[(s_g + a_g) % 3].tolist()
        assert found.global_reward[s_g, a_g] == 10 * s_g + a_g
    for s_l, s_g, a_l in product(range(4), range(3), range(5)):
        assert found.local_transition[s_l, s_g, a_l].tolist() == np.eye(4)[s_l if a_l == 0 else s_g].tolist()
        assert found.local_reward[s_l, s_g, a_l] == 100 * s_l + 10 * s_g + a_l
    assert (found.discount, found.labels, found.initial_local) == (0.7, game.labels, game.initial_local)
    np.testing.assert_array_equal(found.initial_global, game.initial_global)


@pytest.mark.parametrize("block", [1 << 20, 50])
def test_frequencies_follow_the_rows(
    block: int, random_game: RandomGame, assert_law: AssertLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generative, "BLOCK", block)
    game, m = tables(random_game), 3000
    found = sampled_game(GenerativeGame.from_tables(game), m, seed=1)
    for name in ("global_transition", "local_transition"):
        rows, laws = getattr(found, name), getattr(game, name)
        for index in np.ndindex(rows.shape[:-1]):
            assert_law(np.round(rows[index] * m), laws[index])
            np.testing.assert_allclose(rows[index] * m, np.round(rows[index] * m), atol=1e-9)
    law = game.local_reward_law
    assert law is not None
    variance = (law.probabilities * (law.values - law.mean[..., None]) ** 2).sum(axis=-1)
    assert (np.abs(found.local_reward - game.local_reward) <= 5 * np.sqrt(variance / m) + 1e-12).all()
    assert (found.local_reward != game.local_reward)[variance > 0].any()
    np.testing.assert_allclose(found.global_reward, game.global_reward, rtol=1e-12)


@dataclass
class Counter:
    """Counts the draws asked of a function."""

    function: Callable[..., Any]
    n_draws: int = 0

    def __call__(self, rng: np.random.Generator, *index: IntArray) -> Any:
        """Pass on."""
        self.n_draws += index[0].size
        return self.function(rng, *index)


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_as_many_draws_as_stated(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generative, "BLOCK", block)
    functions = {
        name: Counter(arguments()[name]) for name in ("sample_global", "sample_local", "pay_global", "pay_local")
    }
    sampled_game(clockwork(**functions), 7, seed=0)
    assert [functions[name].n_draws for name in functions] == [7 * 6, 7 * 60, 7 * 6, 7 * 60]


def test_the_same_seed_gives_the_same_empirical_game(random_game: RandomGame) -> None:
    oracle = GenerativeGame.from_tables(tables(random_game))
    games = [sampled_game(oracle, 40, seed=seed) for seed in (1, 1, 2)]
    for name in ("global_transition", "local_transition", "local_reward"):
        first, again, other = (getattr(game, name) for game in games)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_bad_requests_are_refused(warehouse3: TabularGame) -> None:
    with pytest.raises(TypeError, match=r"^oracle must be a GenerativeGame; got TabularGame$"):
        sampled_game(warehouse3, 10)  # type: ignore[arg-type]  # that it is refused is the test
    with pytest.raises(TypeError, match=r"^game must be a TabularGame; got GenerativeGame$"):
        GenerativeGame.from_tables(clockwork())  # type: ignore[arg-type]  # as above
    with pytest.raises(ValueError, match=r"^n_samples must be at least 1; got 0$"):
        sampled_game(clockwork(), 0)
    with pytest.raises(TypeError, match=r"^n_samples must be an integer; got 2\.5 \(float\)$"):
        sampled_game(clockwork(), 2.5)  # type: ignore[arg-type]  # as above


# --- environments


@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
def test_environments_keep_pettingzoos_rules(random_game: RandomGame) -> None:
    game = GenerativeGame.from_tables(tables(random_game))
    parallel_api_test(PopulationEnv(game, 4, max_cycles=6), num_cycles=10)
    parallel_api_test(SubsampleObservation(PopulationEnv(game, 4, max_cycles=6), 2), num_cycles=10)


def test_an_episode_by_hand() -> None:
    """Everybody always follows s_g, which goes up by one: paid 10 s_g + 1 and 100 s_l + 10 s_g + 1."""
    start: dict[str, Any] = {"initial_global": [1.0, 0.0, 0.0], "initial_local": FixedStart([0.0, 0.0, 0.0, 1.0])}
    population = PopulationEnv(clockwork(**start), 5, max_cycles=3, obs_mode="multidiscrete", render_mode="ansi")
    env = SubsampleObservation(population, 2)
    observations, _ = env.reset(seed=0)
    paid, seen = [], [observations["global_0"].tolist()]
    while env.agents:
        observations, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, 1))
        paid.append(rewards["local_4"])
        seen.append(observations["global_0"].tolist())
        assert infos["global_0"]["reward_sampled"] == rewards["global_0"]
    assert paid == [1 + 301, 11 + 11, 21 + 121]
    assert seen == [[0, 0, 0, 0, 2], [1, 2, 0, 0, 0], [2, 0, 2, 0, 0], [0, 0, 0, 2, 0]]
    assert "x2" in str(env.render())
