"""L-LEARN: shared conservative policy iteration against the oracle; what all methods have in common."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_type_hints

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import LLearner, LLearnResult, Problem, g_learn, l_learn
from kofn.agents.local_response import fleet_problem, shared_policy
from kofn.agents.local_response.fleet_problem import FleetProblem
from kofn.agents.local_response.l_learn_config import METHODS, LLearnConfig, LLearnOptions
from kofn.agents.local_response.shared_policy import project_rows
from kofn.envs import FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.streams import child, seed_sequence
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

STOCHASTIC_OPTIMUM = 28
"""A game whose best local policy is stochastic, so that several steps are needed."""


def tiny(random_game: Games, random_global: GlobalPolicies, seed: int) -> tuple[TabularGame, GlobalPolicy]:
    """Two states and actions each, k = 2, a global policy that is deterministic for every other seed."""
    game = random_game(seed)
    return game, random_global(game, 2, seed, deterministic=seed % 2 == 0)


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


def test_monte_carlo_comes_close_with_many_samples(random_game: Games, random_global: GlobalPolicies) -> None:
    """The response on sampled kernels, judged exactly: within 1% of the exact response."""
    for seed in range(5):
        game, global_policy = tiny(random_game, random_global, seed)
        sampled = l_learn(game, global_policy, operator="monte_carlo", n_samples=2000, seed=seed)
        exact = l_learn(game, global_policy).value
        worth = brute_force.potential(game, global_policy.probabilities(), sampled.policy.table, 2, 2)
        assert worth == pytest.approx(exact, rel=0.01)


def test_monte_carlo_is_a_function_of_its_seed(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, 1)

    def value(seed: int | None) -> float:
        return l_learn(game, global_policy, operator="monte_carlo", n_samples=3, seed=seed).value

    assert value(1) == value(1)
    assert value(1) != value(2)
    assert value(None) != value(None)


def respond(**options: Any) -> LLearnResult:
    game = options.pop("game", warehouse())
    return l_learn(game, GlobalPolicy.named("keep", warehouse(), options.pop("k", 2)), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "ucfh_obs"}, ValueError, "method must be one of 'shared_cpi', .*, 'ucfh'; got 'ucfh_obs'"),
        ({"operator": "rounded"}, ValueError, "operator must be one of 'auto', 'exact', 'monte_carlo'"),
        (
            {"k": 80, "operator": "exact"},
            ValueError,
            r"takes 2\.6e\+10 products per sweep at k=80 .* use operator='monte_carlo'",
        ),
        (
            {"n_agents": 80, "operator": "exact"},
            ValueError,
            r"with a population of n_agents=80 as k: .* takes 2\.6e\+10 products per sweep at k=80",
        ),
        ({"n_agents": 1}, ValueError, "observes k=2 agents, more than n_agents=1"),
        ({"n_agents": 0}, ValueError, "n_agents must be at least 1; got 0"),
        ({"n_agents": 2.0}, TypeError, r"n_agents must be an integer; got 2\.0"),
        ({"n_agents": 3, "method": "mean_field"}, ValueError, "has no population: n_agents must be omitted; got 3"),
        (
            {"operator": "exact", "method": "mean_field"},
            ValueError,
            "method='mean_field' uses no kernels: operator must be 'auto'; got 'exact'",
        ),
        (
            {"operator": "monte_carlo", "method": "ucfh"},
            ValueError,
            "method='ucfh' uses no kernels: operator must be 'auto'; got 'monte_carlo'",
        ),
        (
            {"n_starts": 3},
            ValueError,
            r"n_starts is no option of method='shared_cpi' \(its own are: tolerance, max_iterations\); got 3",
        ),
        ({"tolerance": 1e-3, "method": "exhaustive"}, ValueError, r"tolerance is no option .* \(its own are: none\)"),
        ({"max_episodes": 3, "method": "chain_plan"}, ValueError, "max_episodes is no option of method='chain_plan'"),
        ({"reward": "mean", "method": "tagged"}, ValueError, "reward must be one of 'team', 'own'; got 'mean'"),
        ({"n_starts": -1, "method": "tagged"}, ValueError, "n_starts must be at least 0; got -1"),
        ({"n_starts": -1, "method": "shared_coord"}, ValueError, "n_starts must be at least 0; got -1"),
        ({"max_iterations": 0, "method": "tagged"}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"max_iterations": 0, "method": "shared_coord"}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"n_draws": 0, "method": "mean_field"}, ValueError, "n_draws must be at least 1; got 0"),
        ({"game": "warehouse"}, TypeError, r"game must be a TabularGame or a GenerativeGame; got 'warehouse' \(str\)"),
        (
            {"game": GenerativeGame.from_tables(warehouse()), "operator": "exact"},
            ValueError,
            "operator='exact' needs the game's probabilities, .* use operator='auto'",
        ),
        ({"operator": "monte_carlo", "n_samples": 0}, ValueError, "n_samples must be at least 1; got 0"),
        ({"max_iterations": 0}, ValueError, "max_iterations must be at least 1; got 0"),
        ({"max_iterations": 2.5}, TypeError, r"max_iterations must be an integer; got 2\.5"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be positive and finite; got 0"),
        ({"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        ({"start": LocalPolicy(np.full((3, 3, 3), 1 / 3))}, ValueError, r"the local policy must match .* \[5, 5, 3\]"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        respond(**options)


def test_global_policy_of_another_game_is_refused(random_game: Games, warehouse3: TabularGame) -> None:
    with pytest.raises(
        ValueError, match=r"the global policy must match the game's .* = \(2, 2, 2\); it has \(3, 3, 3\)"
    ):
        l_learn(random_game(0), GlobalPolicy.named("keep", warehouse3, 2))


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_result(random_game: Games, random_global: GlobalPolicies, method: Any) -> None:
    game, global_policy = tiny(random_game, random_global, 1)
    options: LLearnOptions = {"method": method}
    if method == "ucfh":
        options |= {"max_episodes": 50}
    first, second = (l_learn(game, global_policy, seed=5, **options) for _ in range(2))
    assert (first.policy.table == second.policy.table).all()
    assert first.method == method
    for field in ("value", "certificate", "upper_bound", "n_iterations", "n_samples", "converged", "operator"):
        assert repr(getattr(first, field)) == repr(getattr(second, field))
    assert first.config == LLearnConfig(**options)


@pytest.mark.parametrize("method", METHODS)
def test_a_generative_game_is_solved_on_its_empirical_tables(
    random_game: Games, random_global: GlobalPolicies, method: Any
) -> None:
    game, global_policy = tiny(random_game, random_global, 3)
    oracle = GenerativeGame.from_tables(game)
    options: LLearnOptions = {"method": method}
    if method == "ucfh":
        options |= {"max_episodes": 50}
    result = l_learn(oracle, global_policy, n_samples=40, seed=5, **options)
    assert (result.operator, result.n_samples) == ("monte_carlo", 40)
    empirical = sampled_game(oracle, 40, child(seed_sequence(5), 3))
    on_tables = l_learn(empirical, global_policy, seed=5, **options)
    assert (result.policy.table == on_tables.policy.table).all()
    assert result.value == pytest.approx(on_tables.value, nan_ok=True)
    assert result.value != l_learn(game, global_policy, seed=5, **options).value


def test_a_generative_game_sampled_often_is_the_game(random_game: Games, random_global: GlobalPolicies) -> None:
    """20,000 draws per row: the response is worth what the exact one is, within 1%."""
    game, global_policy = tiny(random_game, random_global, 3)
    result = l_learn(GenerativeGame.from_tables(game), global_policy, n_samples=20_000, seed=0)
    exact = l_learn(game, global_policy).value
    assert result.value == pytest.approx(exact, rel=0.01)
    worth = brute_force.potential(game, global_policy.probabilities(), result.policy.table, 2, 2)
    assert worth == pytest.approx(exact, rel=0.01)


def test_options_and_settings_have_the_same_fields() -> None:
    assert list(get_type_hints(LLearnOptions)) == list(LLearnConfig.__dataclass_fields__)
    for name in METHODS:
        assert {field.name for field in fields(METHODS[name])} <= set(LLearnConfig.__dataclass_fields__)  # type: ignore[arg-type] # every method is a dataclass


def test_settings_hold_plain_numbers() -> None:
    config = LLearnConfig(method="tagged", n_agents=np.int64(4), n_starts=np.int64(1))  # type: ignore[arg-type] # numpy's
    assert (type(config.n_agents), type(config.n_starts)) == (int, int)
    rough = LLearnConfig(tolerance=np.float32(0.5))  # type: ignore[arg-type] # numpy's
    assert (type(rough.tolerance), rough.max_iterations) == (float, None)
    scaled = LLearnConfig(method="ucfh", scale_log=1, epsilon=np.float64(0.25))
    assert (type(scaled.scale_log), type(scaled.epsilon)) == (float, float)


def problem_of(game: TabularGame, global_policy: GlobalPolicy) -> Problem:
    return Problem(
        game=game,
        n_agents=50,
        k=global_policy.k,
        global_policy=global_policy,
        local_policy=LocalPolicy.named("stay", game),
        seed=seed_sequence(7),
    )


def test_learner_passes_its_settings_on(random_game: Games, random_global: GlobalPolicies) -> None:
    game, global_policy = tiny(random_game, random_global, 1)
    options: LLearnOptions = {"method": "tagged", "n_agents": 4, "operator": "monte_carlo", "n_samples": 9}
    for changed in (options, {**options, "reward": "own"}, {"method": "ucfh", "max_episodes": 20}):
        result = LLearner(**changed)(problem_of(game, global_policy))
        start = LocalPolicy.named("stay", game)
        wanted = l_learn(game, global_policy, start=start, seed=7, **changed)
        assert (result.policy.table == wanted.policy.table).all()
        assert (result.value, result.n_agents, result.n_samples) == (wanted.value, wanted.n_agents, wanted.n_samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operator": "exact", "n_agents": 80}, "with a population of n_agents=80 as k: .* products per sweep at k=80"),
        ({"method": "exhaustive"}, "at most 20000 maps"),
        ({"method": "ucfh", "n_agents": 30}, "takes chains of at most 10000"),
    ],
)
def test_learner_says_at_once_what_it_cannot_do(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LLearner(**options).check(warehouse(), 30)


def test_learner_that_can_do_it_says_nothing() -> None:
    LLearner(method="mean_field").check(warehouse(), 30)
    LLearner(method="ucfh", n_agents=2).check(warehouse(), 30)
    LLearner(method="exhaustive").check(warehouse(n_zones=3), 4)
    LLearner().check(warehouse(), 30)


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
