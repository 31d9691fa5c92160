"""Plans on the chain, and their projections, against loops, exhaustive search and plain value iteration."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import g_learn, l_learn
from kofn.agents.finite_horizon.backward_induction import backward_induction, evaluate_nonstationary
from kofn.agents.local_response.chain_response import Episode, Projection, project_plan, state_laws
from kofn.envs import FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.wrappers.chain_model import ChainModel
from kofn.wrappers.crowds import Counts, Crowd, Replicas

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

LOSSY = 5
"""A game in which the plan's projection is below the best map, and that below the plan."""

QUICK: dict[str, Any] = {"method": "ucfh", "phase_growth": 0.1, "horizon": 60}


def episode_of(game: TabularGame, global_policy: GlobalPolicy, crowd: Crowd, horizon: int) -> Episode:
    return Episode.of(ChainModel(game, global_policy, crowd), horizon)


def crowds(n_agents: int) -> list[Crowd]:
    return [Replicas(n_agents, 2), Counts(n_agents, 2, False), Counts(n_agents, 2, True)]


def random_plan(episode: Episode, seed: int) -> Any:
    shape = (len(episode.weights), episode.mdp.n_states)
    return np.random.default_rng(seed).integers(episode.mdp.n_actions, size=shape)


def laws_by_loops(episode: Episode, plan: Any) -> FloatArray:
    dense = episode.mdp.dense()
    laws = [episode.mdp.start]
    for actions in plan[:-1]:
        transition = dense[np.arange(len(actions)), actions]
        laws.append(laws[-1] @ transition)
    return np.array(laws)


@pytest.mark.parametrize("kind", range(3))
def test_laws_of_the_state_price_the_plan(random_game: Games, random_global: GlobalPolicies, kind: int) -> None:
    game = random_game(kind)
    episode = episode_of(game, random_global(game, 2, kind), crowds(3)[kind], 5)
    plan = random_plan(episode, kind)
    laws = state_laws(episode.mdp, plan)
    assert laws == pytest.approx(laws_by_loops(episode, plan), abs=1e-14)
    paid = np.take_along_axis(episode.mdp.rewards[None], plan[..., None], axis=2)[..., 0]
    value = episode.mdp.start @ evaluate_nonstationary(episode.mdp, plan, episode.weights)[0]
    assert (episode.weights[:, None] * laws * paid).sum() == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("kind", range(3))
def test_projections_equal_loops(random_game: Games, random_global: GlobalPolicies, kind: int) -> None:
    """Counted for the share of agents that act; agents one by one, counted, and counted with one tagged."""
    game = random_game(10 + kind, n_local_actions=3)
    n_agents, horizon = 3, 4
    episode = episode_of(game, random_global(game, 1, kind), crowds(n_agents)[kind], horizon)
    mdp, n_stages = episode.mdp, len(episode.weights) // horizon
    plan = random_plan(episode, kind)
    laws, values = laws_by_loops(episode, plan), evaluate_nonstationary(mdp, plan, episode.weights)
    visits, scores = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    for t, x in np.ndindex(plan.shape):
        row, weight = (episode.local_state[x], episode.global_state[x]), 0.9 ** (t // n_stages)
        visits[(*row, plan[t, x])] += weight * episode.share[x] * laws[t, x]
        for a in range(3):
            scores[(*row, a)] += laws[t, x] * (weight * mdp.rewards[x, a] + mdp.dense()[x, a] @ values[t + 1])
    start = LocalPolicy.named("uniform", game)
    for projection, wanted in (("visits", visits), ("occupancy_q", scores)):
        policy = project_plan(episode, plan, start, projection)  # type: ignore[arg-type] # a name of one
        assert (policy.table == np.eye(3)[wanted.argmax(axis=2)]).all()
    # Every agent acts once per step of the game, so that discounted visits are the discounted time.
    assert visits.sum() == pytest.approx(sum(0.9**t for t in range(horizon)))


def test_the_two_projections_differ(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    episode = episode_of(game, random_global(game, 2, 0), Replicas(2, 2), 10)
    start = LocalPolicy.named("stay", game)
    tables = [project_plan(episode, random_plan(episode, 0), start, name).table for name in ("visits", "occupancy_q")]  # type: ignore[arg-type] # names of projections
    assert (tables[0] != tables[1]).any()


@pytest.mark.parametrize("kind", range(3))
def test_projection_of_a_map_is_the_map(
    random_game: Games, random_global: GlobalPolicies, random_local: LocalPolicies, kind: int
) -> None:
    game = random_game(2)
    wanted = random_local(game, 2).table.argmax(axis=2)
    episode = episode_of(game, random_global(game, 2, 2), crowds(2)[kind], 6)
    plan = np.tile(wanted[episode.local_state, episode.global_state], (len(episode.weights), 1))
    policy = project_plan(episode, plan, LocalPolicy.named("uniform", game), "visits")
    assert (policy.table.argmax(axis=2) == wanted).all()


@pytest.mark.parametrize("projection", ["visits", "occupancy_q"])
def test_rows_that_nobody_visits_keep_the_start(
    random_game: Games, random_global: GlobalPolicies, projection: Projection
) -> None:
    """Agents start and stay in state 0."""
    game = replace(
        random_game(0, initial_local=FixedStart(np.array([1.0, 0.0]))),
        local_transition=np.tile(np.eye(2)[:, None, None], (1, 2, 2, 1)),
    )
    start = LocalPolicy(np.full((2, 2, 2), [0.3, 0.7]))
    for chain in ("replica", "histogram", "tagged_histogram"):
        result = l_learn(
            game, random_global(game, 2, 0), start=start, method="chain_plan", chain=chain, projection=projection
        )
        assert result.policy.table[0].argmax(axis=1).tolist() == game.local_reward[0].argmax(axis=1).tolist()
        assert (result.policy.table[0].max(axis=1) == 1).all()
        assert (result.policy.table[1] == start.table[1]).all()


@pytest.mark.parametrize("projection", ["visits", "occupancy_q"])
def test_one_agent_sees_all_there_is(random_game: Games, random_global: GlobalPolicies, projection: Projection) -> None:
    """With N = 1 nothing is hidden: the projection of a long plan is the best map, and attains the bound."""
    for seed in range(4):
        game = random_game(seed)
        global_policy = random_global(game, 1, seed)
        best = brute_force.best_local_response(game, global_policy.probabilities(), 1, 1)[1]
        result = l_learn(game, global_policy, method="chain_plan", projection=projection, epsilon=1e-6)
        assert result.value == pytest.approx(best, abs=1e-9)
        assert best <= result.upper_bound <= best + 2e-6


@pytest.mark.parametrize("projection", ["visits", "occupancy_q"])
def test_one_step_ahead_only_the_reward_counts(
    random_game: Games, random_global: GlobalPolicies, projection: Projection
) -> None:
    for seed in range(10):
        game = random_game(seed)
        result = l_learn(
            game, random_global(game, 2, seed), method="chain_plan", projection=projection, horizon=1, n_agents=2
        )
        assert (result.policy.table.argmax(axis=2) == game.local_reward.argmax(axis=2)).all()


@pytest.mark.parametrize(("k", "n_agents"), [(2, 2), (1, 2), (2, 3)])
@pytest.mark.parametrize("chain", ["replica", "histogram", "tagged_histogram"])
def test_the_plan_bounds_every_map(
    random_game: Games, random_global: GlobalPolicies, k: int, n_agents: int, chain: Any
) -> None:
    """Unrestricted >= best map >= projected, on all three chains; the value reported is the oracle's."""
    for seed in range(LOSSY, LOSSY + 2):
        game = random_game(seed)
        global_policy = random_global(game, k, seed)
        tables = global_policy.probabilities()
        result = l_learn(game, global_policy, method="chain_plan", chain=chain, n_agents=n_agents)
        best = l_learn(game, global_policy, method="exhaustive", n_agents=n_agents).value
        assert result.upper_bound >= best - 1e-9
        assert best >= result.value - 1e-9
        worth = brute_force.potential(game, tables, result.policy.table, n_agents, k)
        assert result.value == pytest.approx(worth, abs=1e-9)
        assert (result.n_agents, result.operator, result.certificate, result.converged) == (n_agents, "exact", 0, True)


def test_three_zones_seen_through_two_robots(warehouse3: TabularGame) -> None:
    """G-LEARN's dispatcher, robots that start anywhere: 167.71 is the best of 19,683 maps, 173.84 that of all plans.

    Both figures were computed by another program; here the plan's projection attains the first.
    """
    game = replace(warehouse3, initial_local=FixedStart(np.full(3, 1 / 3)))
    dispatcher = g_learn(game, LocalPolicy.named("uniform", game), k=2).policy
    planned = l_learn(game, dispatcher, method="chain_plan", epsilon=1e-3)
    assert l_learn(game, dispatcher, method="exhaustive").value == pytest.approx(167.71, abs=0.005)
    assert planned.upper_bound == pytest.approx(173.84, abs=0.006)
    assert planned.value == pytest.approx(167.71, abs=0.005)
    assert l_learn(game, dispatcher).value == pytest.approx(167.71, abs=0.005)


def test_a_stochastic_policy_is_bounded_too(random_game: Games, random_global: GlobalPolicies) -> None:
    """On the replica chain, in which agents act one by one, every policy of the fleet is a plan."""
    for seed in (22, 28):
        game = random_game(seed)
        global_policy = random_global(game, 2, seed, deterministic=True)
        bound = l_learn(game, global_policy, method="chain_plan").upper_bound
        assert bound >= l_learn(game, global_policy, tolerance=1e-8).value


def test_bound_is_the_value_of_an_optimal_plan_and_what_it_leaves_out(
    random_game: Games, random_global: GlobalPolicies
) -> None:
    """Longer horizons lower it; and the plan's value is the same under either counting of a step's rewards."""
    game = random_game(1)
    global_policy = random_global(game, 2, 1)
    bounds = [l_learn(game, global_policy, method="chain_plan", horizon=h).upper_bound for h in (5, 10, 20, 40, 200)]
    assert (np.diff(bounds) < 0).all()
    episode = episode_of(game, global_policy, Replicas(2, 2), 5)
    plan = backward_induction(episode.mdp, 10, [0.9 ** (t // 2) for t in range(10)])
    wanted = episode.mdp.start @ plan.values[0] + 0.9**5 * game.value_bound
    assert bounds[0] == pytest.approx(wanted, abs=1e-12)


def test_default_horizon_leaves_out_at_most_epsilon(random_game: Games, random_global: GlobalPolicies) -> None:
    """And by default epsilon is 1/sqrt k: the same plan as with that epsilon, another than with a tenth of it."""
    game = random_game(1, discount=0.8)
    global_policy = random_global(game, 4, 1)
    result = l_learn(game, global_policy, method="chain_plan")
    same = l_learn(game, global_policy, method="chain_plan", epsilon=0.5)
    finer = l_learn(game, global_policy, method="chain_plan", epsilon=0.05)
    truth = l_learn(game, global_policy, method="chain_plan", epsilon=1e-9).upper_bound
    assert result.upper_bound == same.upper_bound
    assert truth <= finer.upper_bound <= truth + 0.05
    assert finer.upper_bound < result.upper_bound <= truth + 0.5


def test_ucfh_finds_what_an_exact_planner_projects_to(random_game: Games, random_global: GlobalPolicies) -> None:
    """Unrestricted > best map > projected, and the learned plan projects to what the exact one does."""
    game = random_game(LOSSY)
    global_policy = random_global(game, 2, LOSSY)
    tables = global_policy.probabilities()
    _, best = brute_force.best_local_response(game, tables, 2, 2)
    planned = l_learn(game, global_policy, method="chain_plan", horizon=60)
    learned = l_learn(game, global_policy, epsilon=0.1, max_episodes=20_000, seed=0, **QUICK)
    assert learned.converged
    assert learned.certificate <= 0.1
    assert (learned.policy.table == planned.policy.table).all()
    worth = brute_force.potential(game, tables, learned.policy.table, 2, 2)
    assert learned.value == pytest.approx(worth, abs=1e-9)
    assert worth < best - 0.1
    assert best < planned.upper_bound - 0.1
    # The learner's bound is above the planner's, by no more than its certified gap.
    assert planned.upper_bound <= learned.upper_bound <= planned.upper_bound + learned.certificate


@pytest.mark.parametrize("projection", ["visits", "occupancy_q"])
def test_ucfh_projects_to_the_best_map_where_the_plan_loses_nothing(
    random_game: Games, random_global: GlobalPolicies, projection: Projection
) -> None:
    for seed in (3, 8):
        game = random_game(seed)
        global_policy = random_global(game, 2, seed, deterministic=seed % 2 == 0)
        _, best = brute_force.best_local_response(game, global_policy.probabilities(), 2, 2)
        learned = l_learn(game, global_policy, seed=0, max_episodes=500, projection=projection, **QUICK)
        assert learned.value == pytest.approx(best, abs=1e-9)


def test_certified_gap_shrinks_with_episodes(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(8)
    global_policy = random_global(game, 1, 8)
    results = [
        l_learn(game, global_policy, epsilon=1e-3, max_episodes=n, seed=0, **QUICK)
        for n in (100, 1000, 10_000, 100_000)
    ]
    gaps = [result.certificate for result in results]
    assert (np.diff(gaps) < 0).all()
    assert gaps[-1] < 0.05 < gaps[0]
    assert [result.n_samples for result in results] == [100, 1000, 10_000, 100_000]
    assert not any(result.converged for result in results)
    exact = l_learn(game, global_policy, method="chain_plan", horizon=60).upper_bound
    assert all(exact <= result.upper_bound <= exact + result.certificate for result in results)


def test_ucfh_learns_on_a_larger_population_and_on_counts(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    global_policy = random_global(game, 1, 0)
    for options in ({"n_agents": 3}, {"n_agents": 3, "chain": "histogram"}, {"chain": "tagged_histogram"}):
        result = l_learn(game, global_policy, seed=0, max_episodes=200, **options, **QUICK)
        n_agents = int(str(options.get("n_agents", 1)))
        _, best = brute_force.best_local_response(game, global_policy.probabilities(), n_agents, 1)
        assert result.value == pytest.approx(best, abs=1e-9)
        assert (result.n_agents, result.operator, result.n_iterations > 1) == (n_agents, "monte_carlo", True)


def test_ucfh_is_a_function_of_its_seed(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(1)
    global_policy = random_global(game, 2, 1)

    def certificate(seed: int) -> float:
        return l_learn(game, global_policy, seed=seed, max_episodes=20, **QUICK).certificate

    assert certificate(1) == certificate(1)
    assert certificate(1) != certificate(2)


def test_settings_reach_ucfh(random_game: Games, random_global: GlobalPolicies) -> None:
    """Each changes what is learned from the same episodes' budget."""
    game = random_game(1)
    global_policy = random_global(game, 2, 1)
    options: dict[str, Any] = {"method": "ucfh", "horizon": 10, "max_episodes": 30, "seed": 0}
    plain = l_learn(game, global_policy, **options)
    for changed in (
        {"delta": 0.5},
        {"scale_log": 0.5},
        {"scale_m": 1.0},
        {"support_known": True},
        {"phase_growth": 0.5},
        {"epsilon": 0.01},
    ):
        other = l_learn(game, global_policy, **options, **changed)
        assert (other.certificate, other.n_iterations) != (plain.certificate, plain.n_iterations), changed


def test_game_without_rewards(random_game: Games, random_global: GlobalPolicies) -> None:
    game = replace(random_game(0), global_reward=np.zeros((2, 2)), local_reward=np.zeros((2, 2, 2)))
    for method in ("chain_plan", "ucfh"):
        result = l_learn(game, random_global(game, 2, 0), method=method, seed=0)  # type: ignore[arg-type] # names of methods
        assert (result.value, result.upper_bound, result.certificate, result.converged) == (0, 0, 0, True)


def test_negative_rewards_shift_every_value(random_game: Games, random_global: GlobalPolicies) -> None:
    """By c/(1-gamma), c = -3; the plan is the same."""
    game = random_game(1)
    global_policy = random_global(game, 2, 1)
    shifted = replace(game, local_reward=game.local_reward - 3)
    for options in (
        {"method": "chain_plan", "horizon": 200},
        {**QUICK, "horizon": 200, "max_episodes": 300, "seed": 0},
    ):
        first, second = (l_learn(g, global_policy, **options) for g in (game, shifted))
        assert (first.policy.table == second.policy.table).all()
        assert second.value == pytest.approx(first.value - 30, abs=1e-8)
        assert second.upper_bound == pytest.approx(first.upper_bound - 30, abs=1e-6)
        assert second.certificate == pytest.approx(first.certificate, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "ucfh"}, r"method='ucfh' takes chains of at most 10000 .* chain='replica' of n_agents=5 has 28431"),
        ({"method": "ucfh", "chain": "histogram", "n_agents": 7}, r"'histogram' of n_agents=7 has 12474; use another"),
        ({"method": "chain_plan", "n_agents": 7}, r"at most 100000 .* of n_agents=7 has 373977; .*'shared_cpi'"),
    ],
)
def test_too_large_chains_are_refused(warehouse3: TabularGame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        l_learn(warehouse3, GlobalPolicy.named("keep", warehouse3, 5), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"chain": "ring"}, ValueError, "chain must be one of 'replica', 'histogram', 'tagged_histogram'; got 'ring'"),
        ({"projection": "mean"}, ValueError, "projection must be one of 'visits', 'occupancy_q'; got 'mean'"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
        ({"epsilon": 0.0}, ValueError, r"epsilon must be positive and finite; got 0\.0"),
        ({"max_episodes": 0}, ValueError, "max_episodes must be at least 1; got 0"),
        ({"delta": 1.0}, ValueError, r"delta must be below 1; got 1\.0"),
        ({"scale_m": -1.0}, ValueError, "scale_m must be positive"),
        ({"scale_log": 0.0}, ValueError, "scale_log must be positive"),
        ({"support_known": 1}, TypeError, "support_known must be a bool; got 1"),
        ({"phase_growth": -0.1}, ValueError, "phase_growth must be"),
    ],
)
def test_arguments_out_of_range_are_refused(
    warehouse3: TabularGame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        l_learn(warehouse3, GlobalPolicy.named("keep", warehouse3, 1), method="ucfh", **options)
