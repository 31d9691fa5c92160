"""Exploration of a behaviour policy, Proposition E.2, and Theorem E.4 against Q-learning along trajectories."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from kofn.agents.bounds import (
    Exploration,
    GameSizes,
    asynchronous_operator,
    corollary_e_6,
    corollary_e_7,
    off_policy_error,
    off_policy_steps,
    stationary_law,
    theorem_4_2,
    theorem_4_4,
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
    """t_alpha of the states by taking one step after the other; N_min by the law of a long walk."""
    chain = random_chain(seed, 4)
    exploration = Exploration.of(np.stack([chain, chain], axis=1), np.full((4, 2), 0.5), alpha)
    power, time = np.eye(4), 0
    law = np.linalg.matrix_power(chain, 2**14)[0]
    while np.abs(power - law).sum(axis=1).max() / 2 > alpha:
        power, time = power @ chain, time + 1
    assert exploration.mixing_time == 1 + time
    assert exploration.least_visited == pytest.approx(law.min() / 2)


def test_exploration_by_hand() -> None:
    """Whatever is played, the next state is uniform: N_min is half the smallest chance of an action."""
    transition = np.full((2, 3, 2), 0.5)
    policy = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    exploration = Exploration.of(transition, policy, step_size=0.01)
    assert exploration.n_pairs == 6
    assert exploration.least_visited == pytest.approx(0.05)
    assert exploration.mixing_time == 2


@pytest.mark.parametrize("alpha", [0.4, 0.1, 0.001])
@pytest.mark.parametrize("seed", range(3))
def test_mixing_time_is_that_of_what_an_update_reads(seed: int, alpha: float) -> None:
    """By powers of the chain of (s, a, s') itself."""
    rng = np.random.default_rng(seed)
    transition, policy = rng.dirichlet(np.full(3, 0.4), (3, 2)), rng.dirichlet(np.ones(2), 3)
    step = (policy[:, :, None] * transition).reshape(3, -1)  # law of (a, s') given s
    chain = np.zeros((3, 2, 3, 3, 6))
    for s_next in range(3):
        chain[:, :, s_next, s_next] = step[s_next]
    chain = chain.reshape(18, 18)
    limit = np.linalg.matrix_power(chain, 2**14)[0]
    power, time = np.eye(18), 0
    while np.abs(power - limit).sum(axis=1).max() / 2 > alpha:
        power, time = power @ chain, time + 1
    assert Exploration.of(transition, policy, alpha).mixing_time == time


@dataclass(frozen=True)
class Process:
    """A decision process with three states and two actions, and a behaviour."""

    transition: FloatArray
    rewards: FloatArray
    policy: FloatArray
    discount: float = 0.7

    @classmethod
    def random(cls, seed: int) -> "Process":
        rng = np.random.default_rng(seed)
        return cls(rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2)), rng.dirichlet(np.ones(2), 3))

    def operator(self, q_values: FloatArray) -> FloatArray:
        return asynchronous_operator(
            q_values,
            transition=self.transition,
            rewards=self.rewards,
            policy=self.policy,
            discount=self.discount,
        )

    def optimum(self) -> FloatArray:
        q = np.zeros((3, 2))
        for _ in range(200):
            q = self.rewards + self.discount * self.transition @ q.max(axis=1)
        return q


@pytest.mark.parametrize("seed", range(5))
def test_proposition_e_2(seed: int) -> None:
    """Fixed point Q*; a contraction by beta_1, attained where two Q differ by a constant."""
    process, rng = Process.random(seed), np.random.default_rng(seed + 100)
    optimum = process.optimum()
    assert process.operator(optimum) == pytest.approx(optimum, abs=1e-12)
    beta = Exploration.of(process.transition, process.policy, 0.1).contraction(process.discount)
    assert 0 < beta < 1
    for _ in range(50):
        first, second = rng.normal(size=(2, 3, 2))
        moved = np.abs(process.operator(first) - process.operator(second)).max()
        assert moved <= beta * np.abs(first - second).max() + 1e-12
    apart = process.operator(optimum + 3.0) - process.operator(optimum)
    assert np.abs(apart).max() == pytest.approx(3.0 * beta, abs=1e-12)


def test_proposition_e_2_is_the_mean_of_updates() -> None:
    """Updates with step 1 of a fixed Q at 20000 draws of (s, a, s') in equilibrium, within 5 standard errors."""
    process, n_draws = Process.random(1), 20_000
    q, rng = np.random.default_rng(9).normal(size=(3, 2)), np.random.default_rng(2)
    chain = np.einsum("sa,sap->sp", process.policy, process.transition)
    law = np.linalg.matrix_power(chain, 2**10)[0][:, None, None] * process.policy[:, :, None] * process.transition
    s, a, following = np.unravel_index(rng.choice(18, size=n_draws, p=law.ravel() / law.sum()), (3, 2, 3))
    updates = np.zeros((n_draws, 3, 2))
    updates[np.arange(n_draws), s, a] = process.rewards[s, a] + process.discount * q.max(axis=1)[following] - q[s, a]
    error = updates.mean(axis=0) - (process.operator(q) - q)
    assert np.abs(error / (updates.std(axis=0) / math.sqrt(n_draws))).max() < 5


def test_theorem_e_4_by_hand(sizes: GameSizes) -> None:
    """1 - beta_1 = 0.5 0.1 = 0.05, |Q*| = 2 in rewards of [0, 1]; r~ = 4."""
    exploration = Exploration(n_pairs=10, least_visited=0.1, mixing_time=3)
    initial = 3 * 9 * (1 - 0.05 * 0.01 / 2) ** (1003 - 3)
    noise = 912 * math.e * 49 * math.log(10) / 0.05**2 * 0.01 * 3
    bound = off_policy_error(1003, 0.01, exploration, sizes)
    assert bound.value == pytest.approx(4 * math.sqrt(initial + noise))
    quickly = Exploration(n_pairs=10, least_visited=0.1, mixing_time=1)
    assert off_policy_error(1001, 0.01, quickly, sizes).value == pytest.approx(4 * math.sqrt(initial + noise / 3))
    assert bound.probability is None
    assert bound.reconstructed
    assert theorem_4_2(4, 10, sizes, noise=bound).value - theorem_4_2(4, 10, sizes).value == pytest.approx(
        4 * bound.value
    )


def test_corollaries_e_6_and_e_7(sizes: GameSizes) -> None:
    """Theorem 4.2 with the error of Theorem E.4, and with 1/sqrt k, as noise: 2/(1-gamma) = 4 times it is added."""
    exploration = Exploration(n_pairs=10, least_visited=0.1, mixing_time=3)
    exact, error = theorem_4_2(4, 10, sizes).value, off_policy_error(1003, 0.01, exploration, sizes)
    found = corollary_e_6(4, 10, sizes, n_steps=1003, step_size=0.01, exploration=exploration)
    assert found.value == pytest.approx(exact + 4 * error.value)
    assert (found.source, found.verdict, found.probability) == ("Corollary E.6", "unproved", None)
    assert "Assumption E.1" in found.assumptions
    limit = corollary_e_7(4, 10, sizes)
    assert limit.value == pytest.approx(exact + 4 / 2)
    assert (limit.source, limit.verdict, limit.probability) == ("Corollary E.7", "unproved", None)
    # The rate of Theorem 4.4 in k: both fall as its sampling term and 1/sqrt k do.
    assert limit.value - theorem_4_4(4, 10, sizes).value == pytest.approx((1 / 10 + 4 - 3) / 2)


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


TWO = np.full((2, 2, 2), 0.5), np.full((2, 2), 0.5)
"""Transition and policy of a process that is easy to explore."""


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
        (lambda: Exploration(n_pairs=4, least_visited=0.9, mixing_time=1), "most 1/n_pairs = 0.25; got 0.9"),
        (lambda: Exploration(n_pairs=2, least_visited=0.5, mixing_time=0), "mixing_time must be at least 1; got 0"),
        (lambda: Process.random(0).operator(np.zeros((2, 2))), "q_values must have shape"),
        (lambda: Exploration.of(*TWO, 0.1).contraction(1.0), "discount must lie strictly between 0 and 1; got 1"),
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
