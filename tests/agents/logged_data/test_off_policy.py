"""Off-policy G-LEARN against the exact Q and the law of its error in `surrogate_process`; runs and their seeds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from surrogate_process import K, Surrogate, surrogate

from kofn.agents import g_learn
from kofn.agents.logged_data.off_policy import (
    OffPolicyResult,
    StepRule,
    off_policy_g_learn,
    off_policy_in_env,
    off_policy_in_surrogate,
)
from kofn.agents.logged_data.transitions import Transitions
from kofn.envs import FixedStart, GenerativeGame, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.reward_law import RewardLaw
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


@pytest.fixture(scope="module")
def process(game: TabularGame, policy: LocalPolicy) -> Surrogate:
    found = surrogate(game, policy, K)
    best, second = np.sort(found.optimal_q, axis=1)[:, ::-1].T
    assert (best - second).min() > 0.02  # the greedy action is clear, so that max is linear near Q*
    return found


def errors(process: Surrogate, game: TabularGame, policy: LocalPolicy, n_runs: int, **options: Any) -> FloatArray:
    """Errors of independent runs, [run, entry]."""
    runs = [off_policy_in_surrogate(game, policy, k=K, seed=[7, run], **options) for run in range(n_runs)]
    return np.array([run.q_values.ravel() for run in runs]) - process.optimal_q.ravel()


RULES = [
    pytest.param(StepRule(), 1.0, id="decaying"),
    pytest.param(StepRule(decay=0.8), 0.2, id="decaying, epsilon-greedy"),
    pytest.param(StepRule(step_size=0.02, decay=0.0), 1.0, id="constant"),
    pytest.param(StepRule(step_size=0.02, decay=0.0), 0.2, id="constant, epsilon-greedy"),
]


@pytest.mark.parametrize(("step", "epsilon"), RULES)
def test_error_has_the_asymptotic_covariance(
    game: TabularGame, policy: LocalPolicy, process: Surrogate, step: StepRule, epsilon: float
) -> None:
    n_steps, n_runs = 100_000, 40
    found = errors(process, game, policy, n_runs, n_steps=n_steps, step=step, epsilon=epsilon)
    covariance = process.covariance(process.frequencies(epsilon), step, n_steps)
    squares = (found**2).sum(axis=1)
    assert abs(squares.mean() - np.trace(covariance)) < 4 * squares.std(ddof=1) / np.sqrt(n_runs)
    assert (np.abs(found) < 5 * np.sqrt(np.diag(covariance))).all()


def test_error_falls_with_time_and_a_constant_step_leaves_a_floor(
    game: TabularGame, policy: LocalPolicy, process: Surrogate
) -> None:
    """Mean squares: falling as t^-w for decaying steps; for constant ones as large later on, and in proportion to c."""

    def mean_square(n_steps: int, step: StepRule) -> float:
        return float((errors(process, game, policy, 30, n_steps=n_steps, step=step) ** 2).sum(axis=1).mean())

    decaying = [mean_square(n_steps, StepRule()) for n_steps in (1000, 8000, 64_000)]
    # 8^0.7 = 4.3 in the limit, within four standard errors of a ratio of two means of 30 runs (0.25 each, measured).
    assert decaying[0] > 2 * decaying[1] > 4 * decaying[2]
    large, small = StepRule(step_size=0.08, decay=0.0), StepRule(step_size=0.02, decay=0.0)
    floors = [mean_square(n_steps, large) for n_steps in (16_000, 64_000)]
    assert 0.5 < floors[1] / floors[0] < 2
    assert 2 < floors[1] / mean_square(64_000, small) < 8


def test_redrawn_agents_teach_the_surrogate_game(game: TabularGame, process: Surrogate, log: Transitions) -> None:
    """D is redrawn at every step of the deployed game, and yet Q tends to Q*_k: within 5 standard deviations."""
    result = off_policy_g_learn(log, discount=game.discount)
    frequencies = result.visits.ravel() / len(log)
    deviations = np.sqrt(np.diag(process.covariance(frequencies, StepRule(), len(log))))
    found = np.abs(result.q_values.ravel() - process.optimal_q.ravel())
    assert (found < 5 * deviations).all()
    assert found.max() < 0.2


def test_playing_and_learning_in_turn(game: TabularGame, policy: LocalPolicy, process: Surrogate) -> None:
    env = SubsampleObservation(PopulationEnv(game, 5, max_cycles=40), K)

    def learn(seed: int, n_steps: int = 4000) -> OffPolicyResult:
        return off_policy_in_env(env, n_steps=n_steps, local_policy=policy, epsilon=0.2, seed=seed)

    result = learn(1)
    assert result.n_steps == result.visits.sum() == 4000
    frequencies = result.visits.ravel() / 4000
    deviations = np.sqrt(np.diag(process.covariance(frequencies, StepRule(), 4000)))
    assert (np.abs(result.q_values.ravel() - process.optimal_q.ravel()) < 5 * deviations).all()
    # Greedy actions are taken with probability 0.9 once they are known.
    chosen = np.take_along_axis(result.visits, result.policy.table[:, :, None], axis=2).sum()
    assert 0.85 < chosen / 4000 < 0.92
    again, other = learn(1, 200), learn(2, 200)
    assert (again.q_values == learn(1, 200).q_values).all()
    assert (again.q_values != other.q_values).any()


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 3, 2, 2), (1, 4, 3, 1)])
@pytest.mark.parametrize("k", [1, 3])
def test_the_walk_reaches_the_exact_q(
    random_game: Games, random_local: LocalPolicies, sizes: tuple[int, ...], k: int
) -> None:
    """Various shapes. At discount 0.1 a step of 1/visits averages: the error is about sigma/sqrt(visits)."""
    game = random_game(2, *sizes, discount=0.1)
    policy = random_local(game, 2)
    exact = g_learn(game, policy, k=k, operator="exact").q_values
    result = off_policy_in_surrogate(game, policy, k=k, n_steps=200_000, step=StepRule(decay=1.0), seed=4)
    assert result.n_unvisited == 0
    # r_D lies in an interval of length 1 (its r_g is known) and gamma max Q in one of gamma times the span of Q.
    deviation = (1 + 0.1 * np.ptp(exact)) / 2 / (1 - 0.1)
    assert (np.abs(result.q_values - exact) < 6 * deviation / np.sqrt(result.visits)).all()
    assert result.q_values == pytest.approx(exact, abs=0.1)


def test_the_walk_of_a_game_that_can_only_be_sampled(random_game: Games, random_local: LocalPolicies) -> None:
    """Error as above; the same seed gives the same Q, and greedy behaviour follows Q."""
    game = random_game(2, 3, 3, 2, 2, discount=0.1)
    policy, oracle = random_local(game, 2), GenerativeGame.from_tables(game)
    exact = g_learn(game, policy, k=2, operator="exact").q_values
    step = StepRule(decay=1.0)
    result = off_policy_in_surrogate(oracle, policy, k=2, n_steps=200_000, step=step, seed=4)
    assert result.n_steps == result.visits.sum() == 200_000
    assert result.n_unvisited == 0
    # r_g is known; r_l takes |S_l||A_l| values in [0, 1], and gamma max Q spans gamma times the span of Q.
    deviation = (1 + 0.1 * np.ptp(exact)) / 2 / (1 - 0.1)
    assert (np.abs(result.q_values - exact) < 6 * deviation / np.sqrt(result.visits)).all()
    assert result.q_values == pytest.approx(exact, abs=0.1)
    greedy = [
        off_policy_in_surrogate(oracle, policy, k=2, n_steps=500, epsilon=0.1, step=step, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert (greedy[0].q_values == greedy[1].q_values).all()
    assert (greedy[0].q_values != greedy[2].q_values).any()
    chosen = np.take_along_axis(greedy[0].visits, greedy[0].policy.table[:, :, None], axis=2).sum()
    assert chosen > 0.75 * 500  # .95 once the best of two actions is known


def test_random_rewards_are_averaged(game: TabularGame, policy: LocalPolicy, process: Surrogate) -> None:
    """Rewards of 0 or twice the mean: the same Q, at a larger error, and another one for another mean."""

    def coin(means: FloatArray) -> RewardLaw:
        return RewardLaw(np.stack([0 * means, 2 * means], axis=-1), np.full((*means.shape, 2), 0.5))

    noisy = replace(
        game, global_reward_law=coin(game.global_reward), local_reward_law=coin(game.local_reward), labels=None
    )
    found = np.abs(errors(process, noisy, policy, 10, n_steps=100_000)).max(axis=1)
    certain = np.abs(errors(process, game, policy, 10, n_steps=100_000)).max(axis=1)
    assert 2 < found.mean() / certain.mean() < 20
    assert found.max() < 0.25


def test_a_single_update_is_not_converged(game: TabularGame, policy: LocalPolicy) -> None:
    result = off_policy_in_surrogate(game, policy, k=K, n_steps=1, seed=0)
    assert (result.n_steps, result.converged, result.n_unvisited) == (1, False, 11)
    assert result.last_change == np.abs(result.q_values).max() > 0


def test_the_walk_is_a_function_of_its_seed(game: TabularGame, policy: LocalPolicy) -> None:
    def learnt(seed: Any) -> FloatArray:
        return off_policy_in_surrogate(game, policy, k=K, n_steps=500, epsilon=0.5, seed=seed).q_values

    assert (learnt(1) == learnt(1)).all()
    assert (learnt(1) == learnt(np.random.SeedSequence(1))).all()
    assert (learnt(1) != learnt(2)).any()


def test_the_walk_starts_from_the_initial_law(random_game: Games, random_local: LocalPolicies) -> None:
    """Agents that stand still, all in one state: the only histogram ever met is theirs."""
    game = random_game(1, n_local=3)
    law = FixedStart(np.array([0.0, 1.0, 0.0]))
    stay = np.broadcast_to(np.eye(3)[:, None, None, :], game.local_transition.shape)
    pinned = replace(game, local_transition=stay, initial_local=law, initial_global=np.array([0.0, 1.0]))
    result = off_policy_in_surrogate(pinned, random_local(game, 1), k=2, n_steps=200, seed=0)
    met = [brute_force.count_vectors(2, 3)[rank] for rank in np.flatnonzero(result.visits.sum(axis=(0, 2)))]
    assert met == [(0, 2, 0)]
    first = off_policy_in_surrogate(pinned, random_local(game, 1), k=2, n_steps=1, seed=0)
    assert first.visits[1].sum() == 1
