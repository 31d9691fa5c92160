"""Mixing times against closed forms and against powers taken one by one."""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest

from kofn.agents.logged_data import behaviour
from kofn.agents.logged_data.behaviour import behaviour_mixing_time, mixing_time
from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.agents.operators import exact_kernel, induced_transition
from kofn.envs import LocalPolicy, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation


@pytest.mark.parametrize("leave", [(0.3, 0.2), (0.01, 0.05), (0.9, 0.8), (1e-6, 1e-6)])
@pytest.mark.parametrize("level", [0.25, 0.01])
def test_two_states(leave: tuple[float, float], level: float) -> None:
    """d(t) = max(a, b)/(a + b) |1 - a - b|^t."""
    a, b = leave
    kernel = np.array([[1 - a, a], [b, 1 - b]])
    expected = np.log(level * (a + b) / max(a, b)) / np.log(abs(1 - a - b))
    assert mixing_time(kernel, level) == pytest.approx(np.ceil(expected), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_random_chains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel = 0.8 * np.eye(7) + 0.2 * rng.dirichlet(np.full(7, 0.2), 7)
    stationary = np.linalg.matrix_power(kernel, 2**16)[0]
    power, steps = np.eye(7), 0
    while np.abs(power - stationary).sum(axis=1).max() / 2 > 0.1:
        power, steps = power @ kernel, steps + 1
    assert steps > 3
    assert mixing_time(kernel, 0.1) == steps


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ([[1.0]], 0),
        ([[0.5, 0.5], [0.5, 0.5]], 1),
        ([[0.0, 1.0], [1.0, 0.0]], inf),  # periodic
        ([[1.0, 0.0], [0.0, 1.0]], inf),  # two classes
        (np.roll(np.eye(3), 1, axis=1), inf),
        ([[0.0, 1.0], [0.0, 1.0]], 1),  # a transient state
    ],
)
def test_chains_that_never_mix_or_at_once(kernel: Any, expected: float) -> None:
    assert mixing_time(np.asarray(kernel)) == expected


def test_a_log_s_chain_is_that_of_the_surrogate_game(random_game: Callable[..., TabularGame]) -> None:
    """Uniform behaviour; D is redrawn at every step."""
    game = random_game(3)
    local_policy = LocalPolicy.named("uniform", game)
    env = SubsampleObservation(PopulationEnv(game, 4), 2)
    log = collect_transitions(env, n_steps=4000, local_policy=local_policy, seed=0)
    kernels = [exact_kernel(transition, 2) for transition in induced_transition(game, local_policy)]
    moves = game.global_transition.mean(axis=1)
    chain = np.block([[moves[s, t] * kernels[s] for t in range(2)] for s in range(2)])
    for level in (0.25, 0.05):
        assert behaviour_mixing_time(log, level) == mixing_time(chain, level) > 0


def log_of(path: list[int], next_states: list[int]) -> Transitions:
    """One agent among three states, no global state to speak of."""
    zeros = np.zeros(len(path), dtype=int)
    return Transitions.from_arrays(
        (zeros, np.array(path)[:, None]),
        (zeros, zeros[:, None]),
        (np.zeros(len(path)), np.zeros(len(path))),
        (zeros, np.array(next_states)[:, None]),
        sizes=SpaceSizes(1, 3, 1, 1),
    )


def test_logs_that_tell_nothing() -> None:
    assert np.isnan(behaviour_mixing_time(log_of([0, 1], [1, 2])))
    assert behaviour_mixing_time(log_of([0, 1], [1, 0])) == inf
    assert behaviour_mixing_time(log_of([0, 0, 2, 2], [0, 2, 0, 2])) == 1  # state 1 is never met


def test_arguments_out_of_range_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for level in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match=f"level must lie strictly between 0 and 1; got {level}"):
            mixing_time(np.eye(2), level)
    with pytest.raises(ValueError, match=r"kernel must be square \[s, s'\]; got shape \[2, 3\]"):
        mixing_time(np.full((2, 3), 1 / 3))
    with pytest.raises(ValueError, match="kernel must have rows that sum to 1"):
        mixing_time(np.ones((2, 2)))
    monkeypatch.setattr(behaviour, "MAX_STATES", 1)
    for chain in (lambda: mixing_time(np.eye(2)), lambda: behaviour_mixing_time(log_of([0, 1], [1, 0]))):
        with pytest.raises(ValueError, match="mixing times are found for at most 1 states; the chain has 2"):
            chain()
