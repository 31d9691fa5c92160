"""L-LEARN: shared conservative policy iteration against the oracle, its certificate, and where the start is kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from tiny_fleet import tiny

from kofn.agents import g_learn, l_learn
from kofn.agents.local_response import fleet_problem, shared_policy
from kofn.agents.local_response.fleet_problem import FleetProblem
from kofn.agents.local_response.shared_policy import project_rows
from kofn.envs import FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

STOCHASTIC_OPTIMUM = 28
"""A game whose best local policy is stochastic, so that several steps are needed."""


def first_order_gap(game: TabularGame, global_policy: GlobalPolicy, table: FloatArray) -> float:
    """<tau - pi_l, dPhi/dpi_l> of two-action games, by central differences of the oracle's Phi."""
    gap = 0.0
    for x, s_g in np.ndindex(table.shape[:2]):
        ends = []
        for step in (1e-4, -1e-4):
            moved = table.copy()
            moved[x, s_g] += [-step, step]
            ends.append(
                brute_force.potential(game, global_policy.probabilities(), moved, global_policy.k, global_policy.k)
            )
        slope = (ends[0] - ends[1]) / 2e-4
        gap += max(slope, 0.0) - table[x, s_g, 1] * slope
    return gap


@pytest.mark.parametrize("seed", range(4))
def test_a_small_crowd_seen_with_replacement_is_climbed_to_a_stationary_point(
    random_game: Games, random_global: GlobalPolicies, seed: int
) -> None:
    """Two agents seen three times: Phi against enumeration of all sequences of draws, the gap by its differences."""
    game, global_policy = random_game(seed, discount=0.8), random_global(random_game(seed), 3, seed)

    def phi(table: FloatArray) -> float:
        tables, law = global_policy.probabilities(), brute_force.global_law_with_replacement
        return brute_force.values(game, tables, table, 2, 3, seen=law)[1]

    start = LocalPolicy(np.full((2, 2, 2), 0.5))
    result = l_learn(game, global_policy, start=start, n_agents=2, channel="multinomial")
    assert (result.method, result.n_agents, result.converged) == ("shared_cpi", 2, True)
    assert result.value == pytest.approx(phi(result.policy.table), abs=1e-8)
    assert result.value > phi(start.table)
    gap = 0.0
    for entry in np.ndindex(2, 2):
        step = np.zeros((2, 2, 2))
        step[entry] = [-1e-4, 1e-4]
        slope = (phi(result.policy.table + step) - phi(result.policy.table - step)) / 2e-4
        gap += max(slope, 0.0) - result.policy.table[(*entry, 1)] * slope
    # Phi's third derivative is of the order of its bound, so that differences err by some 1e-8 of it per row.
    assert gap <= (1e-5 + 1e-6) * game.value_bound


@pytest.mark.parametrize("seed", range(20))
def test_response_is_first_order_stationary_and_no_worse_than_the_start(
    random_game: Games, random_global: GlobalPolicies, seed: int
) -> None:
    game, global_policy = tiny(random_game, random_global, seed)
    tables = global_policy.probabilities()
    result = l_learn(game, global_policy)
    uniform = np.full((2, 2, 2), 0.5)
    assert result.value == pytest.approx(brute_force.potential(game, tables, result.policy.table, 2, 2), abs=1e-8)
    assert result.value >= brute_force.potential(game, tables, uniform, 2, 2)
    assert result.converged
    assert 0 <= result.certificate <= 1e-5 * game.value_bound
    # Differences of step 1e-4 err by some 1e-8 times the third derivative.
    assert first_order_gap(game, global_policy, result.policy.table) <= result.certificate + 1e-5


def test_responses_match_exhaustive_search(random_game: Games, random_global: GlobalPolicies) -> None:
    """A stationary point may be below the best map in principle; in these twenty games none is, and some stochastic
    responses are above it."""
    gains = []
    for seed in range(20):
        game, global_policy = tiny(random_game, random_global, seed)
        _, best = brute_force.best_local_response(game, global_policy.probabilities(), 2, 2)
        gains.append(l_learn(game, global_policy).value - best)
    assert min(gains) >= -1e-5
    assert max(gains) > 1e-3


@pytest.mark.parametrize("k", [1, 3])
def test_other_sizes_match_exhaustive_search(random_game: Games, random_global: GlobalPolicies, k: int) -> None:
    for seed in range(4):
        game = random_game(100 + seed, n_local=2, discount=0.8)
        global_policy = random_global(game, k, seed, deterministic=True)
        _, best = brute_force.best_local_response(game, global_policy.probabilities(), k, k)
        assert l_learn(game, global_policy).value >= best - 1e-5


@pytest.mark.parametrize("seed", [106, 122, 239, 431])
def test_mixed_optima_are_reached(random_game: Games, random_global: GlobalPolicies, seed: int) -> None:
    """Games with stochastic optima, on the first two of which steps towards tau are not done after 200."""
    game, global_policy = tiny(random_game, random_global, seed)
    result = l_learn(game, global_policy)
    mixed = (result.policy.table > 0.01) & (result.policy.table < 0.99)
    assert result.converged
    assert result.n_iterations < 200
    assert mixed.any() == (seed in {106, 122})
    assert first_order_gap(game, global_policy, result.policy.table) <= result.certificate + 1e-5


def test_projection_onto_distributions() -> None:
    """The nearest one: no other of many is nearer, and a distribution is its own."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 2, (50, 4))
    projected = project_rows(rows)
    assert projected.min() >= 0
    assert projected.sum(axis=1) == pytest.approx(np.ones(50))
    others = rng.dirichlet(np.full(4, 0.5), 2000)
    distances = np.linalg.norm(rows[:, None] - others, axis=2).min(axis=1)
    assert (np.linalg.norm(rows - projected, axis=1) <= distances + 1e-12).all()
    assert (projected > 0).all(axis=1).any()
    assert (projected.max(axis=1) == 1).any()
    assert project_rows(others) == pytest.approx(others, abs=1e-15)
    assert project_rows(np.array([[5.0, 5.0, 0.0]])).tolist() == [[0.5, 0.5, 0.0]]


@pytest.mark.parametrize(("k", "n_agents"), [(1, 2), (1, 3), (2, 3)])
def test_response_in_the_deployed_game(
    random_game: Games, random_global: GlobalPolicies, k: int, n_agents: int
) -> None:
    """With n_agents = n the value is that of n individual agents, k of whom are seen, and no map is better."""
    for seed in range(2):
        game = random_game(seed)
        global_policy = random_global(game, k, seed)
        tables = global_policy.probabilities()
        result = l_learn(game, global_policy, n_agents=n_agents)
        worth = brute_force.potential(game, tables, result.policy.table, n_agents, k)
        assert result.value == pytest.approx(worth, abs=1e-8)
        assert worth >= brute_force.best_local_response(game, tables, n_agents, k)[1] - 1e-5
        assert (result.n_agents, result.converged) == (n_agents, True)
        sampled = l_learn(game, global_policy, n_agents=n_agents, operator="monte_carlo", n_samples=2000, seed=0)
        assert brute_force.potential(game, tables, sampled.policy.table, n_agents, k) == pytest.approx(worth, rel=0.01)


def test_each_step_raises_the_potential(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, STOCHASTIC_OPTIMUM)
    finished = l_learn(game, global_policy)
    assert finished.n_iterations > 3
    steps = [l_learn(game, global_policy, max_iterations=j) for j in range(1, finished.n_iterations + 1)]
    start = brute_force.potential(game, global_policy.probabilities(), np.full((2, 2, 2), 0.5), 2, 2)
    values = [start, *(step.value for step in steps)]
    assert (np.diff(values) > 0).all()
    assert [step.n_iterations for step in steps] == list(range(1, finished.n_iterations + 1))
    assert [step.converged for step in steps] == [False] * (len(steps) - 1) + [True]
    assert values[-1] == finished.value


def test_certificate_belongs_to_the_policy_returned(random_game: Games, random_global: GlobalPolicies) -> None:
    """Also when the iterations run out: a new call that accepts any gap finds the same one at that policy."""
    game, global_policy = tiny(random_game, random_global, STOCHASTIC_OPTIMUM)
    stopped = l_learn(game, global_policy, max_iterations=2)
    again = l_learn(game, global_policy, start=stopped.policy, tolerance=1e6)
    assert again.n_iterations == 0
    assert (again.policy.table == stopped.policy.table).all()
    assert again.certificate == pytest.approx(stopped.certificate, rel=1e-9)
    assert stopped.certificate > 1e-5 * game.value_bound


def test_converged_means_that_the_certificate_meets_the_tolerance(
    random_game: Games, random_global: GlobalPolicies
) -> None:
    for seed in range(15, 30):
        game, global_policy = tiny(random_game, random_global, seed)
        for tolerance in (1e-2, 1e-6, 1e-10):
            result = l_learn(game, global_policy, tolerance=tolerance)
            assert result.converged == (result.certificate <= tolerance * game.value_bound)


def test_rewards_of_any_size_are_climbed_alike(random_game: Games, random_global: GlobalPolicies) -> None:
    """Multiplied by a power of 2, which changes no digit, they lead to the same policy, with the same certificate."""
    game, global_policy = tiny(random_game, random_global, STOCHASTIC_OPTIMUM)
    wanted = l_learn(game, global_policy)
    for scale in (2.0**-40, 2.0**40):
        scaled = replace(game, global_reward=scale * game.global_reward, local_reward=scale * game.local_reward)
        result = l_learn(scaled, global_policy)
        assert (result.policy.table == wanted.policy.table).all()
        assert (result.value, result.certificate) == (scale * wanted.value, scale * wanted.certificate)
    assert wanted.certificate > 0


def test_equal_returns_leave_nothing_to_climb(random_game: Games, random_global: GlobalPolicies) -> None:
    game = replace(random_game(0), global_reward=np.full((2, 2), -1.0), local_reward=np.full((2, 2, 2), -1.0))
    result = l_learn(game, random_global(game, 2, 0))
    assert (result.converged, result.certificate, result.n_iterations) == (True, 0, 0)


def test_start_is_kept_where_nothing_is_gained(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, 3)
    best, value = brute_force.best_local_response(game, global_policy.probabilities(), 2, 2)
    result = l_learn(game, global_policy, start=LocalPolicy(best))
    assert result.n_iterations == 0
    assert (result.policy.table == best).all()
    assert result.value == pytest.approx(value, abs=1e-8)


def test_indifferent_rows_keep_the_start(
    random_game: Games, random_global: GlobalPolicies, random_local: LocalPolicies
) -> None:
    """Two copies of one action: no policy is better than another, and none is changed."""
    game = random_game(0, n_local_actions=1)
    copied = TabularGame(
        global_transition=game.global_transition,
        local_transition=np.repeat(game.local_transition, 2, axis=2),
        global_reward=game.global_reward,
        local_reward=np.repeat(game.local_reward, 2, axis=2),
        discount=0.9,
    )
    start = random_local(copied, 0)
    result = l_learn(copied, random_global(copied, 2, 0), start=start)
    assert (result.policy.table == start.table).all()
    assert (result.converged, result.n_iterations) == (True, 0)


def test_rows_that_nobody_visits_keep_the_start(random_game: Games, random_global: GlobalPolicies) -> None:
    """Agents start and stay in state 0: only its rows are improved."""
    game = replace(
        random_game(0, initial_local=FixedStart(np.array([1.0, 0.0]))),
        local_transition=np.tile(np.eye(2)[:, None, None], (1, 2, 2, 1)),
    )
    start = LocalPolicy(np.full((2, 2, 2), [0.3, 0.7]))
    result = l_learn(game, random_global(game, 2, 0), start=start)
    assert result.policy.table[0].argmax(axis=1).tolist() == game.local_reward[0].argmax(axis=1).tolist()
    assert (result.policy.table[0].max(axis=1) == 1).all()
    assert (result.policy.table[1] == start.table[1]).all()


def test_result_says_how_it_was_found(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, 0)
    result = l_learn(game, global_policy)
    assert (result.method, result.deviation, result.operator, result.n_samples) == ("shared_cpi", "shared", "exact", 0)
    assert 0 < result.wall_time < 60
    sampled = l_learn(game, global_policy, operator="monte_carlo", n_samples=7, seed=0)
    assert (sampled.deviation, sampled.operator, sampled.n_samples) == ("shared", "monte_carlo", 7)


def test_large_chains_are_solved_as_far_as_a_climb_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warehouse at k = 10 (5005 states) against residuals of 1e-12: Phi, the gap, and the map tau."""
    game = warehouse()
    global_policy = g_learn(game, LocalPolicy.named("uniform", game), k=10).policy
    rng = np.random.default_rng(0)
    mixed = LocalPolicy(rng.dirichlet(np.full(3, 0.3), (5, 5)))

    def point() -> Any:
        problem = FleetProblem(
            game=game,
            global_policy=global_policy,
            start=mixed,
            n_agents=10,
            n_samples=0,
            seed=np.random.SeedSequence(0),
        )
        return problem, shared_policy._point(problem, problem.chain(mixed))

    problem, rough = point()
    assert rough.chain.tolerance == fleet_problem.LARGE_CHAIN_TOLERANCE
    monkeypatch.setattr(fleet_problem, "LARGE_CHAIN_TOLERANCE", 1e-12)
    _, exact = point()
    assert abs(rough.chain.potential - exact.chain.potential) < problem.resolution / 10
    assert 0 < abs(rough.gap - exact.gap) < shared_policy.SharedCpi().tolerance * game.value_bound / 100
    assert np.array_equal(rough.target, exact.target)
