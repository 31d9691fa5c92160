"""Exploration of a behaviour policy, and Theorem E.4 against Q-learning along simulated trajectories."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from kofn.agents.bounds import (
    Exploration,
    GameSizes,
    off_policy_error,
    off_policy_steps,
    stationary_law,
    theorem_4_2,
)
from kofn.envs.arrays import FloatArray


def random_chain(seed: int, size: int) -> FloatArray:
    return np.random.default_rng(seed).dirichlet(np.full(size, 0.4), size)


@pytest.mark.parametrize("seed", range(5))
def test_stationary_law_is_the_limit(seed: int) -> None:
    chain = random_chain(seed, 4)
    assert stationary_law(chain) == pytest.approx(np.linalg.matrix_power(chain, 2**14)[0], abs=1e-9)


def test_stationary_law_with_a_state_that_is_left_for_good() -> None:
    assert stationary_law(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.25, 0.75]])) == pytest.approx(
        [0, 1 / 3, 2 / 3], abs=1e-12
    )


@pytest.mark.parametrize("alpha", [0.9, 0.3, 0.01])
@pytest.mark.parametrize("seed", range(3))
def test_exploration_of_a_chain(seed: int, alpha: float) -> None:
    """t_alpha by taking one step after the other; N_min by the law of a long walk."""
    chain = random_chain(seed, 4)
    exploration = Exploration.of(np.stack([chain, chain], axis=1), np.full((4, 2), 0.5), alpha)
    power, time = np.eye(4), 0
    law = np.linalg.matrix_power(chain, 2**14)[0]
    while np.abs(power - law).sum(axis=1).max() / 2 > alpha:
        power, time = power @ chain, time + 1
    assert exploration.mixing_time == time
    assert exploration.least_visited == pytest.approx(law.min() / 2)


def test_exploration_by_hand() -> None:
    """Whatever is played, the next state is uniform: N_min is half the smallest chance of an action."""
    transition = np.full((2, 3, 2), 0.5)
    policy = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    exploration = Exploration.of(transition, policy, step_size=0.01)
    assert exploration.n_pairs == 6
    assert exploration.least_visited == pytest.approx(0.05)
    assert exploration.mixing_time == 1


def test_theorem_e_4_by_hand(sizes: GameSizes) -> None:
    """1 - beta_1 = 0.5 0.1 = 0.05, |Q*| = 2 in rewards of [0, 1]; r~ = 4."""
    exploration = Exploration(n_pairs=10, least_visited=0.1, mixing_time=3)
    initial = 3 * 9 * (1 - 0.05 * 0.01 / 2) ** (1003 - 3)
    noise = 912 * math.e * 49 * math.log(10) / 0.05**2 * 0.01 * 3
    bound = off_policy_error(1003, 0.01, exploration, sizes)
    assert bound.value == pytest.approx(4 * math.sqrt(initial + noise))
    at_once = Exploration(n_pairs=10, least_visited=0.1, mixing_time=0)
    assert off_policy_error(1000, 0.01, at_once, sizes).value == pytest.approx(4 * math.sqrt(initial))
    assert bound.probability is None
    assert bound.reconstructed
    assert theorem_4_2(4, 10, sizes, noise=bound).value - theorem_4_2(4, 10, sizes).value == pytest.approx(
        4 * bound.value
    )


def test_corollary_e_5_by_hand(sizes: GameSizes) -> None:
    exploration = Exploration(n_pairs=10, least_visited=0.1, mixing_time=3)
    assert off_policy_steps(0.5, exploration, sizes).value == pytest.approx((4 / 0.5) ** 2 * 2**5 * 10**3)


@pytest.mark.parametrize("n_steps", [50, 3000])
def test_q_learning_keeps_to_theorem_e_4(n_steps: int) -> None:
    rng = np.random.default_rng(3)
    transition, rewards = rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2))
    sizes = GameSizes(
        n_global_states=3,
        n_global_actions=2,
        n_local_states=1,
        n_local_actions=1,
        global_reward_bound=1.0,
        local_reward_bound=0.0,
        discount=0.5,
    )
    exact = np.zeros((3, 2))
    for _ in range(100):
        exact = rewards + 0.5 * transition @ exact.max(axis=1)
    step_size = 0.05
    exploration = Exploration.of(transition, np.full((3, 2), 0.5), step_size)
    squares = []
    for _ in range(20):
        q, s = np.zeros((3, 2)), 0
        for a, u in zip(rng.integers(2, size=n_steps), rng.random(n_steps), strict=True):
            following = min(int(np.searchsorted(transition[s, a].cumsum(), u)), 2)
            q[s, a] += step_size * (rewards[s, a] + 0.5 * q[following].max() - q[s, a])
            s = following
        squares.append(np.abs(q - exact).max() ** 2)
    assert 0 < math.sqrt(np.mean(squares)) <= off_policy_error(n_steps, step_size, exploration, sizes).value


def test_more_updates_and_smaller_steps_help(sizes: GameSizes) -> None:
    exploration = Exploration(n_pairs=10, least_visited=0.1, mixing_time=3)
    values = [off_policy_error(t, 1e-9, exploration, sizes).value for t in (10, 10**9, 10**10, 10**12)]
    assert values == sorted(values, reverse=True)
    assert off_policy_error(10**15, 1e-12, exploration, sizes).value < values[-1]


def explore(policy: list[list[float]], transition: list[list[list[float]]]) -> Exploration:
    return Exploration.of(np.array(transition), np.array(policy), 0.1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: explore([[1, 0]], [[[1], [1]]]), "policy must try every action in every state"),
        (lambda: explore([[1], [1]], [[[1, 0]], [[0, 1]]]), "several recurrent classes"),
        (lambda: explore([[1], [1]], [[[0, 1]], [[1, 0]]]), "must not be periodic"),
        (lambda: explore([[1]], [[[0.5]]]), "transition must have rows that sum to 1"),
        (lambda: explore([[0.5]], [[[1]]]), "policy must have rows that sum to 1"),
        (lambda: Exploration.of([[[1]]], [[1]], 1.5), "step_size must lie strictly between 0 and 1; got 1.5"),
        (lambda: Exploration(n_pairs=1, least_visited=0.5, mixing_time=1), "n_pairs must be at least 2; got 1"),
        (lambda: Exploration(n_pairs=2, least_visited=1.5, mixing_time=1), "least_visited must lie strictly between"),
        (lambda: Exploration(n_pairs=2, least_visited=0.5, mixing_time=-1), "mixing_time must be at least 0; got -1"),
    ],
)
def test_rejected(call: Callable[[], object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()


def test_fewer_steps_than_mixing_takes_are_refused(sizes: GameSizes) -> None:
    exploration = Exploration(n_pairs=10, least_visited=0.1, mixing_time=3)
    with pytest.raises(ValueError, match="n_steps must be at least 3; got 2"):
        off_policy_error(2, 0.1, exploration, sizes)
    with pytest.raises(ValueError, match="step_size must lie strictly between 0 and 1; got 1"):
        off_policy_error(5, 1.0, exploration, sizes)
    with pytest.raises(ValueError, match="error must be positive and finite; got 0"):
        off_policy_steps(0.0, exploration, sizes)
