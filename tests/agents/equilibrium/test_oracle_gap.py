"""The sampled Nash gap of a game that can only be sampled, against brute force on the same game as arrays."""

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import LumpedChain, nash_gap, sampled_nash_gap
from kofn.agents.equilibrium.relaxation import relaxed_potential, relaxed_values, sampled_relaxed_potential
from kofn.envs import GenerativeGame, GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


@pytest.mark.parametrize("fixed", [False, True])
def test_sampled_limit_is_above_the_exact_one_and_near_it(
    random_game: Games, random_local: LocalPolicies, fixed: bool
) -> None:
    """Within three radii over 1-gamma: the guess, its confirmation and the margin are each within one."""
    game, n_samples, delta = random_game(5, 3, 3, discount=0.8), 2000, 0.01
    policy, oracle = random_local(game, 5) if fixed else None, GenerativeGame.from_tables(game)
    exact = relaxed_potential(game, policy)
    spread = float(np.ptp(game.global_reward) + np.ptp(game.local_reward))
    spread += game.discount * float(np.ptp(relaxed_values(game, policy).values)) * 1.2  # of a guess
    n_entries = game.global_reward.size * game.n_local_states * game.n_local_actions
    radius = spread * sqrt(log(n_entries / delta) / (2 * n_samples))
    found = [
        sampled_relaxed_potential(oracle, policy, n_samples=n_samples, delta=delta, seed=seed) for seed in range(20)
    ]
    assert min(found) >= exact
    assert max(found) <= exact + 3 * radius / (1 - game.discount)
    assert len(set(found)) == 20
    again = sampled_relaxed_potential(oracle, policy, n_samples=n_samples, delta=delta, seed=0)
    assert again == found[0]


def test_margin_is_hoeffdings(random_game: Games) -> None:
    """On the same draws limits at two levels differ by R/(1-gamma) times a difference of roots, R that of a guess."""
    game, n_samples = random_game(5, 3, 3, discount=0.8), 2000
    oracle, n_entries = GenerativeGame.from_tables(game), game.global_reward.size * 3 * game.n_local_actions
    levels = (0.3, 0.01, 1e-6)
    found = [sampled_relaxed_potential(oracle, n_samples=n_samples, delta=delta, seed=1) for delta in levels]
    roots = [sqrt(log(n_entries / delta) / (2 * n_samples)) for delta in levels]
    widths = np.diff(found) / np.diff(roots) * (1 - game.discount)
    spread = float(np.ptp(game.global_reward) + np.ptp(game.local_reward))
    spread += game.discount * float(np.ptp(relaxed_values(game).values))
    assert widths[0] == pytest.approx(widths[1], rel=1e-9)
    assert widths[0] == pytest.approx(spread, rel=0.2)


def test_bounds_of_both_gaps_hold(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """The true gaps by brute force; the named candidates, learnt from samples, are tried."""
    game = random_game(2, discount=0.6)
    oracle = GenerativeGame.from_tables(game)
    global_policy, local_policy = random_global(game, 1, 5), random_local(game, 5)
    tables = global_policy.probabilities(), local_policy.table
    potential = brute_force.potential(game, *tables, 2, 1)
    local_gap = brute_force.best_local_response(game, tables[0], 2, 1)[1] - potential
    maps = brute_force.deterministic_global_policies(game, 1)
    global_gap = max(brute_force.potential(game, table, tables[1], 2, 1) for table in maps) - potential
    options: dict[str, Any] = {"n_agents": 2, "n_rollouts": 1000, "level": 0.999, "seed": 1}
    gap = sampled_nash_gap(oracle, global_policy, local_policy, **options)
    assert 0 < gap.local_gap.lower <= local_gap <= gap.local_gap.upper
    assert gap.global_gap.lower <= global_gap <= gap.global_gap.upper
    assert gap.potential == pytest.approx(potential, abs=4.5 * gap.standard_error + 1e-3)
    tabular = sampled_nash_gap(game, global_policy, local_policy, **options)
    assert tabular.global_gap.upper < gap.global_gap.upper  # two more statements, and sampled ones
    assert gap == sampled_nash_gap(oracle, global_policy, local_policy, **options)


def test_refusals(random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies) -> None:
    game = random_game(2)
    oracle: Any = GenerativeGame.from_tables(game)
    pair = random_global(game, 1, 5), random_local(game, 5)
    with pytest.raises(TypeError, match=r"got GenerativeGame\. Use sampled_nash_gap, which takes a game that can only"):
        nash_gap(oracle, *pair, n_agents=2)
    with pytest.raises(TypeError, match=r"got GenerativeGame\. Use evaluate\(\.\.\.\), or sampled_game"):
        LumpedChain.exact(oracle, *pair, 2)
    with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1; got 1"):
        sampled_relaxed_potential(oracle, n_samples=10, delta=1.0)
