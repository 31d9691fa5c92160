"""Simulators of games that bring their own: steps that are refused, and what is paid stays what was paid."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import continuous_play
import numpy as np
import pytest

from kofn.envs import Streams, TabularGame, federated_anchored, federated_averaging
from kofn.envs.aggregate import AggregateGame, AggregateSimulator
from kofn.envs.averaging_game import AveragingSimulator
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.federated_anchored import AnchoredSimulator

N = 4


def random_tables() -> TabularGame:
    rng = np.random.default_rng(3)
    return TabularGame(
        global_transition=rng.dirichlet(np.ones(2), (2, 3)),
        local_transition=rng.dirichlet(np.ones(3), (3, 2, 2)),
        global_reward=rng.random((2, 3)) + 1,
        local_reward=rng.random((3, 2, 2)) + 1,
        discount=0.5,
    )


@cache
def anchored() -> Any:
    return federated_anchored.game("breast_cancer")


@cache
def averaging() -> Any:
    return federated_averaging.game("breast_cancer")


def aggregate(reward_of_mean: Any = lambda means: 2 * means) -> Any:
    return AggregateSimulator(AggregateGame(tables=random_tables(), reward_of_mean=reward_of_mean), N)


MAKERS: dict[str, Callable[[], Any]] = {
    "aggregate": aggregate,
    "anchored": lambda: AnchoredSimulator(anchored(), N),
    "averaging": lambda: AveragingSimulator(averaging(), N),
    "continuous": lambda: ContinuousSimulator(continuous_play.make(), N),
}
every_kind = pytest.mark.parametrize("kind", MAKERS)


def started(kind: str) -> Any:
    simulator = MAKERS[kind]()
    simulator.reset(Streams.from_seed(1))
    return simulator


def step(simulator: Any) -> Any:
    return simulator.step(np.array([1]), np.full((1, N), 1))


def all_told(simulator: Any) -> str:
    parts = simulator.global_states, simulator.local_states, simulator.sampled_reward(np.arange(2)), simulator.info()
    return repr([part.tolist() if isinstance(part, np.ndarray) else part for part in parts])


BAD_ACTIONS = [
    ([-1], [[1] * N], ValueError, r"actions must lie in \[0, \d+\); entry \[0\] is -1"),
    ([99], [[1] * N], ValueError, r"actions must lie in \[0, \d+\); entry \[0\] is 99"),
    ([1, 1], [[1] * N], ValueError, r"actions must have shape \[1\]; got \[2\]"),
    ([1.0], [[1] * N], TypeError, "actions must be integers; got float64"),
    ([True], [[1] * N], TypeError, "actions must be integers; got bool"),
    ([1], [[1, -1, 1, 1]], ValueError, r"actions must lie in \[0, \d+\); entry \[0, 1\] is -1"),
    ([1], [[1, 1, 1, 99]], ValueError, r"actions must lie in \[0, \d+\); entry \[0, 3\] is 99"),
    ([1], [[1] * 9], ValueError, rf"actions must have shape \[1, {N}\]; got \[1, 9\]"),
    ([1], [1] * N, ValueError, rf"actions must have shape \[1, {N}\]; got \[{N}\]"),
    ([1], [[1.0] * N], TypeError, "actions must be integers; got float64"),
    ([1], [[True] * N], TypeError, "actions must be integers; got bool"),
]


@pytest.mark.parametrize(("global_actions", "local_actions", "error", "message"), BAD_ACTIONS)
@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "aggregate"])
def test_other_actions_are_refused_before_anything_happens(
    kind: str, global_actions: Any, local_actions: Any, error: type[Exception], message: str
) -> None:
    simulator, twin = started(kind), started(kind)
    step(simulator), step(twin)
    with pytest.raises(error, match=f"^(global|local)_{message}$"):
        simulator.step(np.array(global_actions), np.array(local_actions))
    assert all_told(simulator) == all_told(twin)
    step(simulator), step(twin)  # nothing was drawn either
    assert all_told(simulator) == all_told(twin)


@pytest.mark.parametrize("name", ["sample_global", "pay_local", "sample_local"])
def test_a_function_that_fails_leaves_a_continuous_population_as_it_was(name: str) -> None:
    failing = False

    def function(*inputs: Any) -> Any:
        if failing:
            raise ArithmeticError("no more")
        return continuous_play.OPTIONS[name](*inputs)

    simulator = ContinuousSimulator(continuous_play.make(**{name: function}), N)
    simulator.reset(Streams.from_seed(1))
    step(simulator)
    before, failing = all_told(simulator), True
    with pytest.raises(ArithmeticError, match="no more"):
        step(simulator)
    assert all_told(simulator) == before


def test_a_reward_that_fails_leaves_an_aggregate_population_as_it_was() -> None:
    failing = False

    def reward(means: Any) -> Any:
        return np.full(means.shape, np.nan) if failing else means

    simulator = aggregate(reward)
    simulator.reset(Streams.from_seed(1))
    step(simulator)
    before, failing = all_told(simulator), True
    with pytest.raises(ValueError, match="reward_of_mean must be finite"):
        step(simulator)
    failing = False
    assert all_told(simulator) == before


@every_kind
def test_what_was_paid_is_a_copy(kind: str) -> None:
    simulator, twin = started(kind), started(kind)
    payment = step(simulator)
    step(twin)
    payment.global_reward[:] = payment.local_reward_mean[:] = 99
    assert all_told(simulator) == all_told(twin)


def test_a_reward_may_write_into_the_means_it_is_given() -> None:
    simulator, twin = aggregate(lambda means: np.multiply(means, 2, out=means)), aggregate()
    for one in (simulator, twin):
        one.reset(Streams.from_seed(1))
        payment = step(one)
        assert payment.local_reward_mean[0] == pytest.approx(2 * one.info()["aggregate"] / N)
    assert all_told(simulator) == all_told(twin)


def test_a_reward_may_keep_what_it_returned() -> None:
    kept = np.zeros(1)

    def reward(means: Any) -> Any:
        return means if len(means) > 1 else np.add(means, 0, out=kept)

    simulator = aggregate(reward)
    simulator.reset(Streams.from_seed(1))
    paid = step(simulator).local_reward_mean
    before = paid.tolist()
    kept[:] = 99
    assert paid.tolist() == before


@every_kind
def test_nothing_was_paid_right_after_a_reset(kind: str) -> None:
    simulator = started(kind)
    assert simulator.sampled_reward(np.arange(2)).tolist() == [0.0]
    step(simulator), step(simulator)  # the server of federated averaging may start with a pause
    assert simulator.sampled_reward(np.arange(2)).tolist() != [0.0]
    simulator.reset(Streams.from_seed(2))
    assert simulator.sampled_reward(np.arange(2)).tolist() == [0.0]


@every_kind
def test_a_sample_of_nobody_is_paid_the_global_reward_alone(kind: str) -> None:
    simulator = started(kind)
    payment = step(simulator)
    assert simulator.sampled_reward(np.array([], dtype=np.int64)).tolist() == payment.global_reward.tolist()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data": "digits"}, TypeError, r"data must be FederatedData, as load_data\('digits'\) gives; got 'digits'"),
        ({"alpha": 1e308}, ValueError, r"must have a finite sum; it overflows at entry \[1\], 1e\+308"),
        ({"drift": 1.5}, ValueError, "drift must lie between 0 and 1; got 1.5"),
    ],
)
def test_other_games_of_averaging_are_refused(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(averaging(), **options)
