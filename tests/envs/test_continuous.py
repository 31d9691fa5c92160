"""Continuous games: the simulator against a loop over agents, bounds, functions that misbehave, refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from continuous_play import EDGES, make
from gymnasium.utils.env_checker import data_equivalence

from kofn.envs import Game, PopulationEnv, Streams, continuous_simulator
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.interface import OpenGame


@pytest.mark.parametrize("block", [1, 3, 7, 1 << 14])
@pytest.mark.parametrize(("n_populations", "n_agents"), [(1, 1), (4, 5), (3, 20)])
def test_step_is_the_loop_over_agents(
    monkeypatch: pytest.MonkeyPatch, block: int, n_populations: int, n_agents: int
) -> None:
    """Paid at and moving with the OLD global state, whatever the blocks; moves without chance."""
    monkeypatch.setattr(continuous_simulator, "BLOCK", block)
    simulator = ContinuousSimulator(make(), n_agents, n_populations=n_populations)
    simulator.reset(Streams.from_seed(1))
    rng = np.random.default_rng(2)
    for _ in range(3):
        s_g, s_l = simulator.global_states.astype(float), simulator.local_states.astype(float)
        a_g, a_l = rng.integers(0, 2, n_populations), rng.integers(0, 3, (n_populations, n_agents))
        payment = simulator.step(a_g, a_l)
        for b in range(n_populations):
            own = [s_l[b, i] * s_g[b] + a_l[b, i] for i in range(n_agents)]
            moved = [(s_l[b, i], s_l[b, i] / 2, np.clip(s_g[b], -1, 2))[a_l[b, i]] for i in range(n_agents)]
            np.testing.assert_allclose(simulator.local_rewards[b], own, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(simulator.local_states[b], moved, rtol=1e-6)
            np.testing.assert_allclose(payment.local_reward_mean[b], np.mean(own), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(payment.global_reward[b], s_g[b] + 10 * a_g[b], rtol=1e-6)
            sampled = np.array([0, n_agents - 1])
            np.testing.assert_allclose(
                simulator.sampled_reward(sampled)[b],
                payment.global_reward[b] + (own[0] + own[-1]) / 2,
                rtol=1e-5,
                atol=1e-5,
            )
    for array in (simulator.global_states, simulator.local_states, simulator.local_rewards):
        assert array.dtype == np.float32
    assert payment.team_reward.dtype == np.float64


@pytest.mark.parametrize("n_agents", [1, 9, 40])
def test_blocks_cover_every_agent_once(monkeypatch: pytest.MonkeyPatch, n_agents: int) -> None:
    monkeypatch.setattr(continuous_simulator, "BLOCK", 10)
    simulator = ContinuousSimulator(make(), n_agents, n_populations=7)
    seen = np.zeros((7, n_agents), dtype=int)
    for rows, columns in simulator._blocks():
        seen[rows, columns] += 1
        assert seen[rows, columns].size <= 10
    assert (seen == 1).all()


def test_start_mode_is_the_fullest_bin_at_the_start() -> None:
    simulator = ContinuousSimulator(make(), 7, n_populations=50)
    simulator.reset(Streams.from_seed(0))
    counts = np.stack([np.histogram(row, EDGES)[0] for row in simulator.local_states])
    assert simulator.counts().tolist() == counts.tolist()
    expected = counts.argmax(axis=1)
    assert len(set(expected.tolist())) == 3
    simulator.step(np.zeros(50, dtype=int), np.full((50, 7), 3))
    assert simulator.start_modes.tolist() == expected.tolist()
    assert simulator.counts().argmax(axis=1).tolist() != expected.tolist()


def test_same_seed_same_populations() -> None:
    def states(seed: int, a_g: int) -> Any:
        simulator = ContinuousSimulator(make(), 6, n_populations=3)
        simulator.reset(Streams.from_seed(seed))
        for _ in range(2):
            simulator.step(np.full(3, a_g), np.full((3, 6), 3))
        return simulator.global_states, simulator.local_states

    assert data_equivalence(states(1, 0), states(1, 0), exact=True)
    assert not np.array_equal(states(1, 0)[1], states(2, 0)[1])
    # Global actions change no local draw.
    np.testing.assert_array_equal(states(1, 0)[1], states(1, 1)[1])
    assert not np.array_equal(states(1, 0)[0], states(1, 1)[0])


@pytest.mark.parametrize(
    ("options", "message"), [({"n_agents": 0}, "n_agents"), ({"n_populations": 0}, "n_populations")]
)
def test_sizes_of_the_simulator(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message} must be"):
        ContinuousSimulator(make(), **{"n_agents": 3, **options})


def test_bounds_and_kind() -> None:
    game = make()
    assert game.local_bounds == (-1.0, 2.0)
    assert (game.reward_bound, game.value_bound, game.return_bound) == (16 + 15, 62, 62)
    assert isinstance(game, OpenGame)
    assert not isinstance(game, Game)
    changed = replace(game, discount=0.75)
    assert (changed.discount, changed.value_bound) == (0.75, 124)


def test_global_moves_take_nothing_from_the_local_stream() -> None:
    """A global action that draws more numbers than another changes no local move."""

    def move(rng: Any, s_g: Any, a_g: Any) -> Any:
        return rng.random((3, len(s_g)))[-1] if a_g[0] else rng.random(s_g.shape)

    places = []
    for a_g in (0, 1):
        simulator = ContinuousSimulator(make(sample_global=move), 6)
        simulator.reset(Streams.from_seed(0))
        for _ in range(2):
            simulator.step(np.array([a_g]), np.full((1, 6), 3))
        places.append(simulator.local_states)
    np.testing.assert_array_equal(*places)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "shape"), [("sample_global", (1,)), ("sample_local", (1, 3))])
def test_a_function_may_keep_what_it_returned(name: str, shape: tuple[int, ...], dtype: Any) -> None:
    kept = np.zeros(shape, dtype=dtype)

    def move(*_: Any) -> Any:
        kept[...] = kept + 0.25
        return kept

    simulator = ContinuousSimulator(make(**{name: move}), 3)
    simulator.reset(Streams.from_seed(0))
    found: list[Any] = []
    for _ in range(2):
        simulator.step(np.zeros(1, dtype=np.int64), np.zeros((1, 3), dtype=np.int64))
        found.append(simulator.global_states if name == "sample_global" else simulator.local_states)
    assert (found[0] == 0.25).all()
    assert (found[1] == 0.5).all()


@pytest.mark.parametrize("name", ["s_l", "s_g", "a_l"])
def test_a_function_may_not_write_into_its_inputs(name: str) -> None:
    def move(rng: Any, s_l: Any, s_g: Any, a_l: Any) -> Any:
        array = {"s_l": s_l, "s_g": s_g, "a_l": a_l}[name]
        array += 1
        return s_l

    simulator = ContinuousSimulator(make(sample_local=move), 3)
    simulator.reset(Streams.from_seed(0))
    with pytest.raises(ValueError, match="read-only"):
        simulator.step(np.zeros(1, dtype=np.int64), np.zeros((1, 3), dtype=np.int64))


WRONG = [
    ("sample_global", lambda *_: np.zeros(2), ValueError, r"sample_global must return shape \[1\]; got \[2\]"),
    (
        "sample_global",
        lambda *_: np.array([3.5]),
        ValueError,
        r"from -3.0 to 3.0; entry \[0\] is 3.5, for s_g=.*, a_g=1$",
    ),
    ("sample_global", lambda *_: np.array(["x"]), TypeError, "sample_global must return numbers; got dtype <U1"),
    ("sample_local", lambda *_: np.zeros(3), ValueError, r"sample_local must return shape \[1, 3\]; got \[3\]"),
    (
        "sample_local",
        lambda *_: np.array([[0, -1.5, 9]]),
        ValueError,
        r"sample_local must return values from -1.0 to 2.0; entry \[0, 1\] is -1.5, for s_l=.*, s_g=.*, a_l=2$",
    ),
    ("sample_local", lambda *_: np.array([[0, 0, np.nan]]), ValueError, r"entry \[0, 2\] is nan"),
    ("pay_global", lambda *_: np.array([13.1]), ValueError, r"pay_global must return values from -3.0 to 13.0"),
    ("pay_local", lambda *_: np.array([[0, np.inf, 0]]), ValueError, r"pay_local must .*; entry \[0, 1\] is inf"),
    ("pay_local", lambda *_: np.zeros((1, 3), dtype=complex), TypeError, "numbers; got dtype complex128"),
    ("start_global", lambda *_: np.zeros((1, 1)), ValueError, r"start_global must return shape \[1\]; got \[1, 1\]"),
    ("start_global", lambda *_: np.array([-4]), ValueError, r"from -3.0 to 3.0; entry \[0\] is -4$"),
    ("start_local", lambda *_: np.zeros((3, 1)), ValueError, r"start_local must return shape \[1, 3\]; got \[3, 1\]"),
    ("start_local", lambda *_: np.full((1, 3), 2.5), ValueError, r"from -1.0 to 2.0; entry \[0, 0\] is 2.5$"),
]


@pytest.mark.parametrize(("name", "function", "error", "message"), WRONG)
def test_what_a_function_returns_is_checked(name: str, function: Any, error: type[Exception], message: str) -> None:
    simulator = ContinuousSimulator(make(**{name: function}), 3)

    def run() -> None:
        simulator.reset(Streams.from_seed(0))
        simulator.step(np.array([1]), np.array([[0, 2, 1]]))

    with pytest.raises(error, match=message):
        run()


BAD_OPTIONS = [
    ({"n_global_actions": 0}, ValueError, "n_global_actions must be at least 1; got 0"),
    ({"n_local_actions": 1.5}, TypeError, r"n_local_actions must be an integer; got 1\.5"),
    ({"discount": 1.0}, ValueError, r"discount must lie strictly between 0 and 1; got 1\.0"),
    (
        {"global_bounds": (1.0, 1.0)},
        ValueError,
        r"global_bounds must ascend in single precision; entry 1 of \[1\.0, 1\.0\] does not",
    ),
    ({"global_bounds": (1.0, 2.0, 3.0)}, ValueError, r"global_bounds must have shape \[2\]"),
    ({"global_bounds": (0.0, np.inf)}, ValueError, r"global_bounds must be finite; entry \[1\] is inf"),
    ({"bin_edges": (1.0,)}, ValueError, r"bin_edges must hold at least two numbers; got \[1\.0\]"),
    ({"bin_edges": (0.0, 1.0, 1.0)}, ValueError, r"bin_edges must ascend .*; entry 2 of \[0\.0, 1\.0, 1\.0\] does not"),
    ({"bin_edges": (0.1, 0.1 + 1e-10)}, ValueError, r"bin_edges must ascend in single precision; entry 1 of \[0\.1, "),
    ({"bin_edges": (0.0, 1e39)}, ValueError, r"bin_edges must be finite in single precision; entry \[1\] is 1e\+39"),
    ({"global_bounds": (0, 1e39)}, ValueError, r"global_bounds must be finite in single precision; entry \[1\] is 1e"),
    (
        {"local_reward_bounds": (-1e39, 0)},
        ValueError,
        r"local_reward_bounds must be finite in single .*; entry \[0\] is",
    ),
    ({"bin_edges": "abc"}, TypeError, "bin_edges must be an array of real numbers"),
    ({"global_reward_bounds": (1.0, 0.0)}, ValueError, "global_reward_bounds must ascend"),
    ({"local_reward_bounds": (0.0, np.nan)}, ValueError, "local_reward_bounds must be finite"),
    *(
        ({name: 3}, TypeError, rf"{name} must be a function of \(rng, .*\); got 3")
        for name in ("sample_global", "sample_local", "pay_global", "pay_local", "start_global", "start_local")
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(**options)


def test_rewards_may_be_certain() -> None:
    constant = make(pay_global=lambda _rng, s_g, _a_g: np.zeros(s_g.shape), global_reward_bounds=(0, 0))
    assert constant.reward_bound == 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"obs_mode": "discrete"}, "obs_mode must be one of 'box'; got 'discrete'"),
        ({"local_timing": "code"}, "local_timing must be 'paper' in a game of type ContinuousGame; got 'code'"),
    ],
)
def test_options_that_continuous_games_have_not(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PopulationEnv(make(), 3, **options)
