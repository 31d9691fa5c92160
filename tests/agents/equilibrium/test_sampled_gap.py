"""The sampled Nash gap: its bounds hold, and it finds what the exact search finds."""

from collections.abc import Callable

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.equilibrium.sampled_gap import named_global_candidates, named_local_candidates, sampled_nash_gap
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


def all_maps(game: TabularGame) -> dict[str, LocalPolicy]:
    return {str(i): LocalPolicy(table) for i, table in enumerate(brute_force.deterministic_local_policies(game))}


def test_bounds_hold_at_least_as_often_as_stated(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """60 runs at level 0.8: a binomial count of failures above 12 + 4 sqrt(60 .2 .8) = 24 would refute the level.

    The true gaps are those of all 16 maps of the fleet and all 16 of the global agent, by the oracle; the candidates
    are the four best of either, between which the noise of a run chooses."""
    game = random_game(2, discount=0.5)
    global_policy, local_policy = random_global(game, 1, 5), random_local(game, 5)
    tables = global_policy.probabilities(), local_policy.table
    potential = brute_force.potential(game, *tables, 2, 1)
    fleets = {
        brute_force.potential(game, tables[0], table, 2, 1): LocalPolicy(table)
        for table in brute_force.deterministic_local_policies(game)
    }
    dispatchers = {
        brute_force.potential(game, table, tables[1], 2, 1): GlobalPolicy(
            table=table, k=1, n_local_states=2, n_actions=2
        )
        for table in brute_force.deterministic_global_policies(game, 1)
    }
    local_gap, global_gap = max(fleets) - potential, max(dispatchers) - potential
    global_candidates = {str(value): dispatchers[value] for value in sorted(dispatchers)[-4:]}
    local_candidates = {str(value): fleets[value] for value in sorted(fleets)[-4:]}
    failures = 0
    for seed in range(60):
        gap = sampled_nash_gap(
            game,
            global_policy,
            local_policy,
            n_agents=2,
            global_candidates=global_candidates,
            local_candidates=local_candidates,
            n_rollouts=60,
            level=0.8,
            seed=seed,
        )
        sides = ((gap.global_gap, global_gap), (gap.local_gap, local_gap))
        failures += not all(side.lower <= true <= side.upper for side, true in sides)
    assert failures <= 24


def test_gap_of_a_bad_pair_is_found(random_game: Games, random_global: GlobalPolicies) -> None:
    """The worst map of the fleet: the bound comes within its own noise of the true gap."""
    game = random_game(4, discount=0.8)
    global_policy = random_global(game, 2, 4)
    tables = brute_force.deterministic_local_policies(game)
    potentials = [brute_force.potential(game, global_policy.probabilities(), table, 4, 2) for table in tables]
    worst = LocalPolicy(tables[int(np.argmin(potentials))])
    gap = sampled_nash_gap(
        game, global_policy, worst, n_agents=4, local_candidates=all_maps(game), n_rollouts=1000, seed=1
    )
    true = max(potentials) - min(potentials)
    assert true > 1
    error = gap.local_gap.standard_error
    assert gap.local_gap.lower <= true
    assert gap.local_gap.gain == pytest.approx(true, abs=5 * error + 1e-3)
    assert true - gap.local_gap.lower < 10 * error + 1e-3
    assert gap.lower == max(gap.local_gap.lower, gap.global_gap.lower)
    assert gap.potential == pytest.approx(min(potentials), abs=5 * gap.standard_error + 1e-3)


def test_no_gain_is_no_negative_gap(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(4, discount=0.8)
    global_policy = random_global(game, 2, 4)
    best = LocalPolicy(brute_force.best_local_response(game, global_policy.probabilities(), 3, 2)[0])
    gap = sampled_nash_gap(game, global_policy, best, n_agents=3, n_rollouts=200, global_candidates={}, seed=1)
    assert gap.local_gap.lower == 0
    assert (gap.global_gap.candidate, gap.global_gap.gain, gap.global_gap.lower) == ("none", 0, 0)
    assert gap.global_gap.upper > 0


def test_bounds_hold_where_all_rewards_are_negative() -> None:
    """One state, nothing random: Phi is -10020, of which rollouts leave out what no difference of returns shows."""
    game = TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=np.ones((1, 1, 2, 1)),
        global_reward=np.array([[-1000.0]]),
        local_reward=np.array([[[-1.0, -2.0]]]),
        discount=0.9,
    )
    worse = LocalPolicy(np.array([[[0.0, 1.0]]]))
    gap = sampled_nash_gap(game, GlobalPolicy.constant(game, 1, 0), worse, n_agents=3, n_rollouts=10, seed=0)
    assert gap.potential == pytest.approx(-10020, abs=1e-4 * game.value_bound)
    assert 9.99 < gap.local_gap.lower <= 10 <= gap.local_gap.upper + 1e-11
    assert gap.global_gap.lower == 0 <= gap.global_gap.upper


def test_a_million_robots(warehouse3: TabularGame) -> None:
    """Robots that stay put gain by moving; the default candidates show it."""
    keep, stay = GlobalPolicy.named("keep", warehouse3, 3), LocalPolicy.named("stay", warehouse3)
    gap = sampled_nash_gap(warehouse3, keep, stay, n_agents=10**6, n_rollouts=100, seed=0)
    assert gap.local_gap.candidate == "l_learn"
    assert 10 < gap.local_gap.lower < gap.local_gap.upper < warehouse3.value_bound
    again = sampled_nash_gap(warehouse3, keep, stay, n_agents=10**6, n_rollouts=100, seed=0)
    assert again == gap


def test_default_candidates_contain_the_constants(warehouse3: TabularGame) -> None:
    uniform = LocalPolicy.named("uniform", warehouse3)
    names = set(named_global_candidates(warehouse3, uniform, 2))
    assert names == {"keep", "constant 0", "constant 1", "constant 2", "g_learn"}
    local = named_local_candidates(warehouse3, GlobalPolicy.named("keep", warehouse3, 2), uniform)
    assert set(local) == {"stay", "uniform", "mode", "l_learn"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "level must lie strictly between 0 and 1; got 1.0"),
        ({"n_rollouts": 1}, "n_rollouts must be"),
        ({"n_agents": 1}, "observes k=2 agents, more than n_agents=1"),
    ],
)
def test_bad_arguments_are_refused(warehouse3: TabularGame, options: dict[str, float], message: str) -> None:
    keep, stay = GlobalPolicy.named("keep", warehouse3, 2), LocalPolicy.named("stay", warehouse3)
    with pytest.raises(ValueError, match=message):
        sampled_nash_gap(warehouse3, keep, stay, **({"n_agents": 9, "seed": 0} | options))  # type: ignore[arg-type] # wrong on purpose


def test_candidates_of_another_class_are_refused(warehouse3: TabularGame) -> None:
    """A dispatcher that sees more agents gains what no deviation in the class of the pair's can."""
    keep, stay = GlobalPolicy.named("keep", warehouse3, 2), LocalPolicy.named("stay", warehouse3)
    candidates = {name: GlobalPolicy.constant(warehouse3, k, 0) for name, k in (("a", 2), ("b", 3))}
    message = "global_candidates must observe k=2 agents as global_policy does; 'b' has k=3"
    with pytest.raises(ValueError, match=f"^{message}$"):
        sampled_nash_gap(warehouse3, keep, stay, n_agents=9, global_candidates=candidates)
