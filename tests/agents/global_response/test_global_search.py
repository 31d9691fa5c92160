"""Climbing over global policies that see k of n agents: monotone, ends where no single entry improves."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.global_response import global_search
from kofn.agents.global_response.global_search import BuildChain, climb_global
from kofn.agents.global_response.single_switches import switch_gains
from kofn.agents.lumped_chain import LumpedChain, deployed_kernels
from kofn.agents.observation_channel import Channel
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


def chains(game: TabularGame, local_policy: LocalPolicy, n_agents: int) -> BuildChain:
    kernels = deployed_kernels(game, local_policy, n_agents)
    return lambda policy: LumpedChain(game, policy, local_policy, kernels, n_agents)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_no_single_switch_improves_the_end(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, k: int
) -> None:
    """By the oracle, on individual agents."""
    for seed in range(4):
        game, start = random_game(seed, discount=0.8), random_global(random_game(seed), k, seed, seed % 2 == 0)
        local_policy = random_local(game, seed)
        outcome = climb_global(chains(game, local_policy, 3), start)
        table = outcome.policy.probabilities()

        def phi(table: np.ndarray, game: TabularGame = game, local: LocalPolicy = local_policy) -> float:
            return brute_force.potential(game, table, local.table, 3, k)

        assert outcome.converged
        assert outcome.potential == pytest.approx(phi(table), abs=1e-8)
        assert outcome.potential >= phi(start.probabilities()) - 1e-8
        for s_g, seen, a_g in product(*map(range, table.shape)):
            switched = table.copy()
            switched[s_g, seen] = np.eye(2)[a_g]
            assert phi(switched) <= outcome.potential + 1e-8


@pytest.mark.parametrize(
    ("k", "n_agents", "channel"), [(1, 3, "without_replacement"), (3, 3, "without_replacement"), (3, 2, "multinomial")]
)
def test_gains_of_single_switches_are_those_of_the_switched_policies(
    random_game: Games,
    random_local: LocalPolicies,
    random_global: GlobalPolicies,
    k: int,
    n_agents: int,
    channel: Channel,
) -> None:
    """Phi of every switched policy's own chain, from a mixed policy and a deterministic one."""
    for seed, deterministic in enumerate((False, True)):
        game = random_game(seed, n_local=3, n_global_actions=3)
        policy, fleet = random_global(game, k, seed, deterministic), random_local(game, seed)
        kernels = deployed_kernels(game, fleet, n_agents)
        chain = LumpedChain(game, policy, fleet, kernels, n_agents, channel)
        gains, table = switch_gains(chain), policy.probabilities()
        for s_g, seen, a_g in np.ndindex(gains.shape):
            switched = table.copy()
            switched[s_g, seen] = np.eye(3)[a_g]
            other = GlobalPolicy(table=switched, k=k, n_local_states=3, n_actions=3)
            wanted = LumpedChain(game, other, fleet, kernels, n_agents, channel).potential - chain.potential
            assert gains[s_g, seen, a_g] == pytest.approx(wanted, abs=1e-9)
        assert np.abs(gains).max() > 0.01


def test_a_chain_too_large_for_its_inverse_is_climbed_to_the_same_policy(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        game = random_game(seed)
        build, start = chains(game, random_local(game, seed), 3), random_global(game, 2, seed, deterministic=True)
        with_inverse = climb_global(build, start)
        with monkeypatch.context() as patch:
            patch.setattr(global_search, "MAX_STATES", 0)
            without = climb_global(build, start)
        assert with_inverse.n_iterations == without.n_iterations
        np.testing.assert_array_equal(with_inverse.policy.table, without.policy.table)


def test_all_agents_seen_ends_at_the_optimum(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """k = n is a Markov decision process: a policy that no switch improves is optimal."""
    for seed in range(6):
        game = random_game(seed, n_local=3)
        local_policy = random_local(game, seed)
        outcome = climb_global(chains(game, local_policy, 3), random_global(game, 3, seed))
        best = brute_force.optimal_potential(game, local_policy.table, 3)
        assert outcome.potential == pytest.approx(best, abs=1e-7)


def test_best_of_all_policies_is_often_found(random_game: Games, random_local: LocalPolicies) -> None:
    """Against all 2^6 deterministic policies of k = 2: never above the best, and equal to it from most starts."""
    found = []
    for seed in range(8):
        game = random_game(seed, discount=0.8)
        local_policy = random_local(game, seed)
        candidates = brute_force.deterministic_global_policies(game, 2)
        best = max(brute_force.potential(game, table, local_policy.table, 3, 2) for table in candidates)
        climbed = climb_global(chains(game, local_policy, 3), GlobalPolicy.named("keep", game, 2)).potential
        assert climbed <= best + 1e-8
        found.append(climbed >= best - 1e-8)
    assert sum(found) >= 6


def test_climb_that_is_cut_short_says_so(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(3)
    build = chains(game, random_local(game, 3), 4)
    start = GlobalPolicy.named("uniform", game, 2)
    whole = climb_global(build, start)
    assert whole.converged
    assert whole.n_iterations > 0
    cut = climb_global(build, start, max_steps=whole.n_iterations)
    assert cut.n_iterations == whole.n_iterations
    assert not cut.converged
    assert cut.potential == whole.potential
