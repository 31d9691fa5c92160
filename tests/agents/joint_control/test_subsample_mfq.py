"""SUBSAMPLE-MFQ's learning against value iteration on individual agents' states and actions."""

from collections.abc import Callable
from dataclasses import replace
from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from oracle import brute_force, joint_control

from kofn.agents import g_learn
from kofn.agents.joint_control.subsample_mfq import MfqResult, mean_field_value_iteration, subsample_mfq
from kofn.envs import DirichletStart, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]

TABLES = ("joint_counts", "algorithm1", "algorithm2")
CASES = [(0, (2, 2, 2, 2), 1), (1, (2, 2, 2, 2), 2), (2, (2, 2, 2, 2), 3), (3, (3, 3, 3, 2), 2), (4, (2, 2, 2, 3), 2)]


def entry_of(table: str, states: tuple[int, ...], actions: tuple[int, ...], game: TabularGame) -> int:
    """Where the documented order of each table has these agents, from the oracle's ranks."""
    n_actions, n_pairs = game.n_local_actions, game.n_local_states * game.n_local_actions
    pairs = tuple(x * n_actions + a for x, a in zip(states, actions, strict=True))
    if table == "joint_counts":
        return brute_force.rank(pairs, n_pairs)
    if table == "algorithm2":
        others = brute_force.rank(pairs[1:], n_pairs)
        return pairs[0] * n_histograms(len(pairs) - 1, n_pairs) + others
    return int(np.ravel_multi_index(pairs, (n_pairs,) * len(pairs)))


def q_by_individuals(game: TabularGame, k: int, table: str, n_entries: int) -> FloatArray:
    """The oracle's Q* as [s_g, entry, a_g]; orderings that share an entry must agree."""
    q = joint_control.planner_q(game, k)
    found = np.full((game.n_global_states, n_entries, game.n_global_actions), np.nan)
    for s, rows in zip(brute_force.joint_states(game, k), q, strict=True):
        for actions, row in zip(joint_control.joint_actions(game, k), rows, strict=True):
            at = s[0], entry_of(table, s[1:], actions, game)
            assert np.isnan(found[at]).all() or found[at] == pytest.approx(row, abs=1e-10)
            found[at] = row
    assert not np.isnan(found).any()
    return found


def optimal_potential(game: TabularGame, n: int) -> float:
    values = joint_control.state_values(game, n, joint_control.planner_q(game, n))
    return float(brute_force.start_law(game, n) @ values)


def surrogate_potential(game: TabularGame, result: MfqResult) -> float:
    start = np.outer(game.initial_global, game.initial_local.histogram_law(result.policy.k))
    return float(np.vdot(start, result.values))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("seed", "sizes", "k"), CASES)
def test_every_table_holds_the_optimum_over_individuals(
    random_game: Games, seed: int, sizes: tuple[int, ...], k: int, table: Any
) -> None:
    game = joint_control.coupled(random_game(seed, *sizes, discount=0.8))
    result = subsample_mfq(game, k=k, parameterisation=table, tolerance=1e-11)
    exact = q_by_individuals(game, k, table, result.q_values.shape[1])
    assert result.converged
    assert result.parameterisation == table
    assert np.abs(result.q_values - exact).max() <= 1e-10
    optimum = joint_control.state_values(game, k, joint_control.planner_q(game, k))
    for s, value in zip(brute_force.joint_states(game, k), optimum, strict=True):
        assert result.values[s[0], brute_force.rank(s[1:], game.n_local_states)] == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize(("seed", "sizes", "k"), CASES)
def test_the_greedy_policy_is_optimal_and_the_same_for_every_table(
    random_game: Games, seed: int, sizes: tuple[int, ...], k: int
) -> None:
    """With n = k agents everybody samples everybody, and the policy earns the optimum of the centralised game."""
    game = joint_control.coupled(random_game(seed, *sizes, discount=0.8))
    policies = [subsample_mfq(game, k=k, parameterisation=table, tolerance=1e-11).policy for table in TABLES]
    for policy in policies:
        assert (policy.action_counts == policies[0].action_counts).all()
        assert (policy.global_policy.table == policies[0].global_policy.table).all()
    together = policies[0].action_counts
    assert ((together > 0).sum(axis=3) <= 1).all()  # agents in one state act alike, so nothing is lost by their dice
    played = joint_control.execution_potential(game, policies[0].global_policy.probabilities(), together, k, k)
    assert played == pytest.approx(optimal_potential(game, k), abs=1e-8)


def test_the_policy_depends_on_what_is_seen(random_game: Games) -> None:
    """What makes the games above a test: neither the global nor the local actions are the same in every histogram."""
    policy = subsample_mfq(joint_control.coupled(random_game(3, 3, 3, 3, 2, discount=0.8)), k=2).policy
    assert (policy.global_policy.table != policy.global_policy.table[:, :1]).any()
    shares = policy.action_counts / np.maximum(policy.action_counts.sum(axis=3, keepdims=True), 1)
    in_zero = shares[:, policy.action_counts[0, :, 0].sum(axis=1) > 0, 0]
    assert (in_zero != in_zero[:, :1]).any()


@pytest.mark.parametrize(("n_local", "n_actions", "k", "table"), [(2, 1, 6, "algorithm1"), (2, 1, 7, "algorithm2")])
def test_the_papers_rule_chooses_the_smaller_exponential(
    random_game: Games, n_local: int, n_actions: int, k: int, table: str
) -> None:
    """|Z_l| = 2: 2^5 <= 6^2, but 2^6 > 7^2."""
    game = random_game(0, n_local=n_local, n_local_actions=n_actions)
    assert subsample_mfq(game, k=k, parameterisation="paper", max_iterations=1).parameterisation == table


@pytest.mark.parametrize(("n", "start"), [(1, None), (2, DirichletStart(np.array([0.3, 0.7]))), (3, None)])
def test_mean_field_value_iteration_solves_the_centralised_game(random_game: Games, n: int, start: Any) -> None:
    game = joint_control.coupled(random_game(n, discount=0.8, initial_local=start))
    result = mean_field_value_iteration(game, n, tolerance=1e-11)
    assert surrogate_potential(game, result) == pytest.approx(optimal_potential(game, n), abs=1e-10)
    assert (result.policy.k, result.operator, result.parameterisation) == (n, "exact", "joint_counts")
    stopped = mean_field_value_iteration(game, n, tolerance=1e-11, max_iterations=2)
    assert (stopped.converged, stopped.n_iterations) == (False, 2)


@pytest.mark.parametrize("table", TABLES)
def test_with_one_local_action_it_is_g_learn(random_game: Games, table: Any) -> None:
    game = random_game(5, n_global=3, n_local=3, n_global_actions=3, n_local_actions=1)
    result = subsample_mfq(game, k=3, parameterisation=table, tolerance=1e-10)
    learned = g_learn(game, LocalPolicy.named("uniform", game), k=3, tolerance=1e-10)
    assert result.values == pytest.approx(learned.q_values.max(axis=2), abs=1e-9)
    assert (result.policy.global_policy.table == learned.policy.table).all()


def test_steering_everybody_is_worth_more_than_steering_one_side(
    random_local: LocalPolicies, warehouse3: TabularGame
) -> None:
    result = subsample_mfq(warehouse3, k=4)
    for seed in range(5):
        one_side = g_learn(warehouse3, random_local(warehouse3, seed), k=4)
        assert (result.values > one_side.q_values.max(axis=2) + 1).all()


def test_ties_go_to_the_lowest_actions(random_game: Games) -> None:
    game = random_game(6)
    rewards = np.repeat(game.local_reward[:, :, :1], 2, axis=2)
    moves = np.repeat(game.local_transition[:, :, :1], 2, axis=2)
    steps = np.repeat(game.global_transition[:, :1], 2, axis=1)
    for bonus, lowest in ((0.0, True), (3e-10, True), (1e-8, False)):
        game = replace(
            game,
            global_transition=steps,
            global_reward=np.tile(np.array([0.0, bonus]), (2, 1)),
            local_transition=moves,
            local_reward=rewards + np.array([0.0, bonus]),
        )
        for table in TABLES:
            policy = subsample_mfq(game, k=2, parameterisation=table).policy
            assert (policy.global_policy.table == (0 if lowest else 1)).all()
            assert (policy.action_counts[..., 1 if lowest else 0] == 0).all()


@pytest.mark.parametrize("n_samples", [1, 30, 1000])
def test_monte_carlo_error_is_within_the_bound(random_game: Games, n_samples: int) -> None:
    """Union of Hoeffding's bounds at level 1e-3, over (s_g, joint counts, a_g)."""
    for seed in range(4):
        game = joint_control.coupled(random_game(seed, discount=0.7))
        exact = subsample_mfq(game, k=3, operator="exact").q_values
        result = subsample_mfq(game, k=3, operator="monte_carlo", n_samples=n_samples, seed=seed)
        bound = 0.7 * game.reward_bound / 0.3**2 * sqrt(log(2 * exact.size / 1e-3) / (2 * n_samples))
        error = np.abs(result.q_values - exact).max()
        assert 0 < error <= bound + result.certificate + 1e-6
        assert (result.operator, result.n_samples, result.converged) == ("monte_carlo", n_samples, True)


def test_monte_carlo_error_falls_as_the_root_of_the_samples(random_game: Games) -> None:
    """64 times the samples: an eighth of the error, here within a factor 2 over 10 games."""
    errors = {40: 0.0, 2560: 0.0}
    for seed in range(10):
        game = joint_control.coupled(random_game(seed))
        exact = subsample_mfq(game, k=3, operator="exact").q_values
        for m in errors:
            result = subsample_mfq(game, k=3, operator="monte_carlo", n_samples=m, seed=seed)
            errors[m] += float(np.abs(result.q_values - exact).max())
    assert 4 < errors[40] / errors[2560] < 16


def test_orderings_share_their_samples(random_game: Games) -> None:
    """With one seed the sampled operator is the same in every table, so its fixed points agree."""
    game = joint_control.coupled(random_game(2, 3, 3, 3, 2))
    results = [
        subsample_mfq(game, k=3, operator="monte_carlo", n_samples=4, parameterisation=table, tolerance=1e-11, seed=7)
        for table in TABLES
    ]
    for result in results[1:]:
        assert result.values == pytest.approx(results[0].values, abs=1e-10)
        assert (result.policy.action_counts == results[0].policy.action_counts).all()


def test_monte_carlo_is_a_function_of_its_seed(random_game: Games) -> None:
    game = random_game(1)

    def sampled(seed: int | np.random.SeedSequence | None) -> FloatArray:
        return subsample_mfq(game, k=3, operator="monte_carlo", n_samples=3, seed=seed).q_values

    assert (sampled(1) == sampled(1)).all()
    assert (sampled(1) == sampled(np.random.SeedSequence(1))).all()
    assert (sampled(1) != sampled(2)).any()
    assert (sampled(None) != sampled(None)).any()


def test_result_says_how_it_was_found(random_game: Games) -> None:
    result = subsample_mfq(random_game(2, n_global=3, n_local=2, n_global_actions=4, n_local_actions=3), k=2)
    assert (result.operator, result.n_samples, result.converged) == ("exact", 0, True)
    assert result.certificate <= 1e-6
    assert result.values.shape == (3, 3)
    assert result.q_values.shape == (3, 21, 4)
    assert result.policy.action_counts.shape == (3, 3, 2, 3)
    assert 1 < result.n_iterations < 10_000
    assert 0 < result.wall_time < 60


@pytest.mark.parametrize("table", TABLES)
def test_giving_up_is_said_and_certified(random_game: Games, table: Any) -> None:
    game = joint_control.coupled(random_game(2))
    exact = subsample_mfq(game, k=2, parameterisation=table, tolerance=1e-11)
    result = subsample_mfq(game, k=2, parameterisation=table, max_iterations=3)
    assert (result.converged, result.n_iterations) == (False, 3)
    assert result.certificate > 1e-3
    assert np.abs(result.values - exact.values).max() <= result.certificate
    assert np.abs(result.q_values - exact.q_values).max() <= result.certificate


def test_auto_takes_the_exact_operator_while_it_is_cheap() -> None:
    """Warehouse with 5 zones and k = 5: kernels of 59 MB on joint counts, of 643 MB where one agent is told apart."""
    small = subsample_mfq(warehouse(), k=5, max_iterations=1)
    large = subsample_mfq(warehouse(), k=5, parameterisation="algorithm2", n_samples=1, max_iterations=1, seed=0)
    assert (small.operator, small.n_samples) == ("exact", 0)
    assert (large.operator, large.n_samples) == ("monte_carlo", 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1; got 0"),
        ({"k": 2.5}, TypeError, r"k must be an integer; got 2\.5"),
        ({"k": 2.5, "parameterisation": "paper"}, TypeError, r"k must be an integer; got 2\.5"),
        ({"k": 30}, ValueError, r"joint control of 30 agents needs a table of \d+ entries.*use fewer agents$"),
        (
            {"k": 10, "parameterisation": "algorithm1"},
            ValueError,
            "needs a table of .*use fewer agents or parameterisation='joint_counts'",
        ),
        ({"k": 8, "operator": "exact"}, ValueError, r"needs 5\.9 GiB of kernels .*operator='monte_carlo'"),
        (
            {"k": 8, "operator": "monte_carlo", "n_samples": 1000},
            ValueError,
            r"n_samples=1000 for joint control of 8 agents needs 23\.8 GiB of samples .*use fewer samples",
        ),
        ({"k": 2, "operator": "rounded"}, ValueError, "operator must be one of 'auto', 'exact', 'monte_carlo'"),
        ({"k": 2, "operator": "monte_carlo", "n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        (
            {"k": 2, "parameterisation": "tuples"},
            ValueError,
            "parameterisation must be one of 'joint_counts', 'algorithm1', 'algorithm2', 'paper'; got 'tuples'",
        ),
        ({"k": 2, "max_iterations": 0}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"k": 2, "tolerance": -1.0}, ValueError, r"tolerance must be positive and finite; got -1\.0"),
        ({"k": 2, "seed": -1}, ValueError, "seed must be a nonnegative integer"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        subsample_mfq(warehouse(), **options)


def test_number_of_agents_out_of_range_is_refused(warehouse3: TabularGame) -> None:
    with pytest.raises(ValueError, match="n_agents must be at least 1; got 0"):
        mean_field_value_iteration(warehouse3, 0)
    with pytest.raises(ValueError, match=r"needs \S+ GiB of kernels"):
        mean_field_value_iteration(warehouse3, 16)
