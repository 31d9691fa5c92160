"""Nash gaps in the deployed game: brackets against brute force, and what the alternation ends with."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import g_learn
from kofn.agents.equilibrium.nash import nash_gap
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


@pytest.mark.parametrize(("n_agents", "k"), [(2, 1), (3, 2)])
def test_brackets_contain_the_gaps_of_all_deterministic_deviations(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, n_agents: int, k: int
) -> None:
    for seed in range(4 - n_agents):
        game = random_game(seed, discount=0.8)
        global_policy, local_policy = random_global(game, k, seed), random_local(game, seed)
        tables = global_policy.probabilities(), local_policy.table
        gap = nash_gap(game, global_policy, local_policy, n_agents=n_agents, k=k, seed=0)
        potential = brute_force.potential(game, *tables, n_agents, k)
        deviations = brute_force.deterministic_global_policies(game, k)
        best_global = max(brute_force.potential(game, table, tables[1], n_agents, k) for table in deviations)
        best_local = brute_force.best_local_response(game, tables[0], n_agents, k)[1]
        assert gap.potential == pytest.approx(potential, abs=1e-8)
        assert best_global - potential <= gap.global_gap.upper + 1e-8
        assert gap.global_gap.lower <= gap.global_gap.upper
        assert best_local - potential <= gap.local_gap.lower + 1e-8
        assert gap.local_gap.lower <= gap.local_gap.upper
        assert gap.tagged_gap.lower <= gap.tagged_gap.upper
        assert gap.converged
        found = brute_force.potential(game, gap.best_global_policy.probabilities(), tables[1], n_agents, k)
        assert gap.global_gap.lower == pytest.approx(found - potential, abs=1e-8)
        found = brute_force.potential(game, tables[0], gap.best_local_policy.table, n_agents, k)
        assert gap.local_gap.lower == pytest.approx(found - potential, abs=1e-8)
        assert gap.lower == max(gap.global_gap.lower, gap.local_gap.lower)
        assert gap.upper == max(gap.global_gap.upper, gap.local_gap.upper)


def test_global_gap_is_exact_when_all_agents_are_seen(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    game = random_game(3)
    global_policy, local_policy = random_global(game, 3, 3), random_local(game, 3)
    gap = nash_gap(game, global_policy, local_policy, n_agents=3, seed=0)
    potential = brute_force.potential(game, global_policy.probabilities(), local_policy.table, 3, 3)
    wanted = brute_force.optimal_potential(game, local_policy.table, 3) - potential
    assert (gap.global_gap.lower, gap.global_gap.upper) == pytest.approx((wanted, wanted), abs=1e-6)


def test_gaps_of_one_agent_are_those_of_two_decision_processes(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """n = k = 1: the agent alone is the fleet, so that the local and the tagged gap are one number, known exactly."""
    game = random_game(5, n_local=3)
    gap = nash_gap(game, random_global(game, 1, 5), random_local(game, 5), n_agents=1, seed=0)
    assert gap.local_gap.lower == pytest.approx(gap.tagged_gap.lower, abs=1e-6)
    assert gap.local_gap.upper == pytest.approx(gap.local_gap.lower, abs=1e-6)
    assert gap.tagged_gap.upper == pytest.approx(gap.tagged_gap.lower, abs=1e-6)


def test_surrogate_gap_is_zero_for_the_greedy_policy_alone(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    game = random_game(1)
    local_policy, other = random_local(game, 1), random_global(game, 2, 1)
    greedy = g_learn(game, local_policy, k=2).policy
    assert nash_gap(game, greedy, local_policy, n_agents=4, seed=0).surrogate_gap <= 2e-9 * game.value_bound
    assert nash_gap(game, other, local_policy, n_agents=4, seed=0).surrogate_gap > 1e-3


def test_few_seen_agents_leave_a_gap_between_the_bounds(warehouse3: TabularGame) -> None:
    """Uniform robots, n = 12, k = 2: no dispatcher of this class gets what full information gives."""
    uniform = LocalPolicy.named("uniform", warehouse3)
    gap = nash_gap(warehouse3, GlobalPolicy.named("keep", warehouse3, 2), uniform, n_agents=6, n_restarts=0, seed=0)
    assert 5 < gap.global_gap.lower < gap.global_gap.upper - 5


@pytest.mark.parametrize("reward", [0.0, -1.0])
def test_nobody_gains_where_all_returns_are_equal(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, reward: float
) -> None:
    flat = {"global_reward": np.full((2, 2), reward), "local_reward": np.full((2, 2, 2), reward)}
    game = replace(random_game(0), **flat)
    gap = nash_gap(game, random_global(game, 1, 0), random_local(game, 0), n_agents=2, seed=0)
    for side in (gap.global_gap, gap.local_gap, gap.tagged_gap):
        assert (side.lower, side.upper) == (0, 0)
    assert gap.potential == pytest.approx(20 * reward, abs=1e-9)
    assert gap.converged


def test_same_seed_same_gap(random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies) -> None:
    game = random_game(2)
    pair = random_global(game, 2, 2), random_local(game, 2)
    one, other = (nash_gap(game, *pair, n_agents=4, seed=7) for _ in range(2))
    assert (one.global_gap, one.local_gap, one.tagged_gap) == (other.global_gap, other.local_gap, other.tagged_gap)
    fast = nash_gap(game, *pair, n_agents=4, tagged=False, seed=7)
    assert (fast.global_gap, fast.local_gap) == (one.global_gap, one.local_gap)
    assert (fast.tagged_gap.lower, fast.tagged_gap.upper) == (0, float("inf")), (
        "nothing is claimed of what was left out"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_agents": 0}, "n_agents must be"),
        ({"n_restarts": -1}, "n_restarts must be"),
        ({"k": 3}, "k must be the number of agents the global policy observes, 2; got 3"),
        ({"n_agents": 1}, "observes k=2 agents, more than n_agents=1"),
        ({"n_agents": 1000}, "products per step of the chain at n_agents=1000"),
    ],
)
def test_bad_arguments_are_refused(warehouse3: TabularGame, options: dict[str, int], message: str) -> None:
    keep, stay = GlobalPolicy.named("keep", warehouse3, 2), LocalPolicy.named("stay", warehouse3)
    with pytest.raises(ValueError, match=message):
        nash_gap(warehouse3, keep, stay, **({"n_agents": 4, "seed": 0} | options))  # type: ignore[arg-type]  # wrong on purpose
