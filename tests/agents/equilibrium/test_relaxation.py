"""The relaxed upper bound: tight for one agent, above every pair of policies for several."""

from collections.abc import Callable

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.equilibrium.relaxation import agent_start, relaxed_potential, relaxed_values
from kofn.envs import DirichletStart, FixedStart, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


def test_one_agent_with_a_fixed_policy_attains_it(random_game: Games, random_local: LocalPolicies) -> None:
    for seed in range(4):
        game = random_game(seed, n_local=3, initial_local=DirichletStart(np.array([0.2, 1.0, 0.5])))
        policy = random_local(game, seed)
        wanted = brute_force.optimal_potential(game, policy.table, 1)
        assert relaxed_potential(game, policy) == pytest.approx(wanted, abs=1e-6)


def test_one_agent_and_the_global_agent_together_attain_it(random_game: Games) -> None:
    """Against the best of all maps of the agent, each with the global agent's best response to it."""
    for seed in range(3):
        game = random_game(seed)
        best = max(
            brute_force.optimal_potential(game, table, 1) for table in brute_force.deterministic_local_policies(game)
        )
        assert relaxed_potential(game) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("n_agents", [2, 3])
def test_no_pair_of_policies_exceeds_it(random_game: Games, random_local: LocalPolicies, n_agents: int) -> None:
    for seed in range(3):
        game, policy = random_game(seed), random_local(random_game(seed), seed)
        full = brute_force.optimal_potential(game, policy.table, n_agents)
        assert full <= relaxed_potential(game, policy) + 1e-9
        assert relaxed_potential(game, policy) <= relaxed_potential(game) + 1e-9


def test_values_satisfy_their_equation(random_game: Games) -> None:
    """W = max over a_g, a of r_g + r_l + gamma E W, written entry by entry."""
    game = random_game(7, n_global=3, n_local=2, n_local_actions=3)
    found = relaxed_values(game)
    for s_g, x in np.ndindex(3, 2):
        best = max(
            game.global_reward[s_g, u]
            + game.local_reward[x, s_g, a]
            + game.discount * game.global_transition[s_g, u] @ found.values @ game.local_transition[x, s_g, a]
            for u in range(2)
            for a in range(3)
        )
        assert found.values[s_g, x] == pytest.approx(best, abs=1e-6)


def test_start_of_an_agent_is_the_mean_of_the_episodes_law(random_game: Games) -> None:
    fixed = random_game(0, n_local=3, initial_local=FixedStart(np.array([0.5, 0.3, 0.2])))
    assert agent_start(fixed) == pytest.approx([0.5, 0.3, 0.2])
    drawn = random_game(0, n_local=3, initial_local=DirichletStart(np.array([1.0, 2.0, 5.0])))
    assert agent_start(drawn) == pytest.approx([0.125, 0.25, 0.625])
