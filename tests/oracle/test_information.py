"""The study of what looking is worth, against brute force over joint states."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from oracle import brute_force
from oracle.information import Fleet, Plan, Rollout, blind_plans, blindly, ladder, play, tuned, without_replacement

from kofn.agents import evaluate
from kofn.envs import DirichletStart, GlobalPolicy, LocalPolicy, TabularGame

Make = Callable[..., TabularGame]
SEEDS = [1, 2, 3]


def fleet_of(game: TabularGame, seed: int = 0) -> Fleet:
    n_local, n_global, n_actions = game.local_reward.shape
    return Fleet(game, np.random.default_rng(seed).dirichlet(np.ones(n_actions), (n_local, n_global)))


def blind_table(actions: np.ndarray, n_columns: int) -> np.ndarray:
    return np.repeat(actions[:, None], n_columns, axis=1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [1, 2])
def test_plans_are_worth_what_brute_force_says_whatever_n(random_game: Make, seed: int, n: int) -> None:
    game = random_game(seed, n_local=2, initial_local=DirichletStart(np.array([0.3, 1.0])))
    fleet = fleet_of(game)
    actions = np.random.default_rng(seed).dirichlet(np.ones(2), 2)
    expected = brute_force.potential(game, blind_table(actions, 2), fleet.policy, n, 1)
    np.testing.assert_allclose(Plan(fleet, actions).potential, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_plan_is_no_worse_than_any_deterministic_one(random_game: Make, seed: int) -> None:
    game = random_game(seed, n_global=3, n_local=3, n_global_actions=3)
    fleet = fleet_of(game)
    every = [Plan(fleet, np.eye(3)[list(actions)]).potential for actions in product(range(3), repeat=3)]
    plans = blind_plans(fleet, np.random.default_rng(0))
    assert plans[0].potential >= max(every) - 1e-6 * abs(max(every))
    assert plans[0].potential == max(plan.potential for plan in plans)


@pytest.mark.parametrize("seed", SEEDS)
def test_full_information_lies_between_the_best_plan_and_the_optimum(random_game: Make, seed: int) -> None:
    """Two agents, the rollout's policy evaluated exactly by brute force."""
    game = random_game(seed, n_local=2)
    fleet = fleet_of(game)
    plans = blind_plans(fleet, np.random.default_rng(0))
    rollout = Rollout(plans, np.broadcast_to(fleet.start, fleet.pay.shape), 1.0)
    histograms = np.array(brute_force.count_vectors(2, 2)) / 2
    table = np.stack([rollout(np.full(3, s_g), histograms) for s_g in range(2)])
    found = brute_force.potential(game, np.eye(2)[table], fleet.policy, 2, 2)
    assert plans[0].potential - 1e-9 <= found <= brute_force.optimal_potential(game, fleet.policy, 2) + 1e-9


@pytest.mark.parametrize("k", [2, None])
def test_play_agrees_with_the_package(random_game: Make, k: int | None) -> None:
    """The same policy of the sample: mean returns within 5 standard errors of the difference; n = 6."""
    game = random_game(7, n_local=2, initial_local=DirichletStart(np.array([0.3, 0.3])))
    fleet, n = fleet_of(game), 6
    seen = k if k is not None else n
    table = np.tile(np.arange(seen + 1) * 2 > seen, (2, 1)).astype(int)  # action 1 where most are in state 0
    policy = GlobalPolicy(table=table, k=seen, n_local_states=2, n_actions=2)
    theirs = evaluate(game, policy, LocalPolicy(fleet.policy), n, horizon=30, n_rollouts=4000, seed=0)
    ours, visits = play(fleet, lambda _, f: (f[:, 0] > 0.5) * 1, n, k, horizon=30, n_rollouts=4000, seed=1)
    error = np.hypot(theirs.standard_error, ours.std() / 4000**0.5)
    assert abs(theirs.mean - ours.mean()) < 5 * error
    np.testing.assert_allclose(visits.sum(), 4000 * (1 - 0.9**30) / 0.1, rtol=1e-9)


def test_the_limit_is_that_of_many_agents(random_game: Make) -> None:
    game = random_game(8, n_local=3)
    fleet = fleet_of(game)
    values = [play(fleet, lambda s_g, _: s_g, n, None, horizon=20, n_rollouts=2000, seed=3)[0] for n in (None, 10**6)]
    np.testing.assert_allclose(values[0], values[1], atol=0.05)


def test_samples_are_without_replacement() -> None:
    counts = np.tile([3, 0, 2, 1], (20_000, 1))
    seen = without_replacement(np.random.default_rng(0), counts, 2)
    assert (seen.sum(axis=1) == 2).all()
    assert (seen <= counts).all()
    both_first = (seen[:, 0] == 2).mean()
    assert abs(both_first - 3 / 15) < 5 * (0.2 * 0.8 / 20_000) ** 0.5


def hide_and_seek(stochastic: float) -> TabularGame:
    """Nobody moves; the crowd is wholly at one of two places; a guest who stands there earns 1."""
    return TabularGame(
        global_transition=np.tile((1 - stochastic) * np.eye(2) + stochastic / 2, (2, 1, 1)),
        local_transition=np.tile(np.eye(2)[:, None, None, :], (1, 2, 1, 1)),
        global_reward=np.zeros((2, 2)),
        local_reward=np.eye(2)[:, :, None],
        discount=0.9,
        initial_local=DirichletStart(np.array([0.01, 0.01])),
    )


def test_looking_pays_where_it_must() -> None:
    """Hide and seek: blind, half of 1/(1 - gamma) = 5; by looking at one agent, all but the first step: 9.5."""
    found = ladder(hide_and_seek(0.0), np.ones((2, 2, 1)), n=50, ks=(1,), horizon=150, n_rollouts=2000)
    assert found.k == (0, 1, 50)
    np.testing.assert_allclose(found.blind, 5.0, rtol=1e-9)
    np.testing.assert_allclose(found.means, [5.0, 9.5, 9.5], atol=0.4)
    assert found.gain(0, 1)[0] > 10 * found.gain(0, 1)[1]
    assert str(found).count("\n") == 2


def test_looking_does_not_pay_where_it_cannot() -> None:
    """Hide and seek with a guest who is moved at random: every dispatcher earns the same."""
    found = ladder(hide_and_seek(1.0), np.ones((2, 2, 1)), n=50, ks=(1,), n_rollouts=200)
    np.testing.assert_array_equal(found.returns[1], found.returns[0])
    np.testing.assert_array_equal(found.returns[2], found.returns[0])


def test_weights_are_chosen_by_what_they_earn() -> None:
    """One agent tells the whole crowd of hide and seek, so that the prior deserves no weight that changes actions."""
    fleet = Fleet(hide_and_seek(0.0), np.ones((2, 2, 1)))
    plans = blind_plans(fleet, np.random.default_rng(0))
    chosen = tuned(fleet, plans, 1, horizon=50, n_rollouts=200, seed=0)
    np.testing.assert_array_equal(chosen(np.array([0, 1, 0, 1]), np.eye(2)[[0, 0, 1, 1]]), [0, 0, 1, 1])


def test_same_seed_same_ladder(random_game: Make) -> None:
    game = random_game(9)
    policy = fleet_of(game).policy
    first, second = (ladder(game, policy, n=9, ks=(1, 3), horizon=20, n_rollouts=30, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.returns, second.returns)


def test_blind_play_earns_the_plans_value(random_game: Make) -> None:
    """A stochastic plan, within 5 standard errors of its exact value."""
    game = random_game(11, n_global=3, n_local=3, n_global_actions=3, discount=0.8)
    fleet = fleet_of(game)
    plan = Plan(fleet, np.random.default_rng(2).dirichlet(np.ones(3), 3))
    act = blindly(plan, np.random.default_rng(3))
    returns, _ = play(fleet, act, 40, None, horizon=100, n_rollouts=4000, seed=5)
    assert abs(returns.mean() - plan.potential) < 5 * returns.std() / 4000**0.5
