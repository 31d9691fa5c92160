"""The observation-aware response against brute force, G-LEARN, and its own two methods."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import g_learn
from kofn.agents.global_response.observation_aware.config import ObservationAwareConfig
from kofn.agents.global_response.observation_aware.learner import observation_aware
from kofn.agents.global_response.observation_aware.simulation import CrowdGame
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.observation_channel import lift, project
from kofn.agents.operators import exact_kernel, induced_transition
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.histograms import enumerate_histograms, n_histograms

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


def phi(game: TabularGame, policy: GlobalPolicy, local_policy: LocalPolicy, n_agents: int) -> float:
    return brute_force.potential(game, policy.probabilities(), local_policy.table, n_agents, policy.k)


@pytest.mark.parametrize("seed", range(3))
def test_never_above_the_best_of_all_policies_never_below_any_candidate(
    seed: int, random_game: Games, random_local: LocalPolicies
) -> None:
    """All 2^6 deterministic policies of k = 2, n = 3 bound the climb; keep, constants and G-LEARN are candidates."""
    game = random_game(seed, discount=0.8)
    local_policy = random_local(game, seed)
    found = observation_aware(game, local_policy, n_agents=3, k=2, seed=0)
    assert (found.method, found.surrogate_size, found.converged) == ("exact", 3, True)
    assert found.potential == pytest.approx(phi(game, found.policy, local_policy, 3), abs=1e-8)
    tables = brute_force.deterministic_global_policies(game, 2)
    best = max(brute_force.potential(game, table, local_policy.table, 3, 2) for table in tables)
    assert found.potential <= best + 1e-8
    rivals = [GlobalPolicy.constant(game, 2, a) for a in range(2)]
    rivals += [GlobalPolicy.named("keep", game, 2), g_learn(game, local_policy, k=2).policy]
    assert all(found.potential >= phi(game, rival, local_policy, 3) - 1e-8 for rival in rivals)


def test_a_surrogate_of_k_agents_is_g_learn(random_game: Games, random_local: LocalPolicies) -> None:
    """m = k without replacement: the paper's game, solved by another algorithm. Values agree within both tolerances."""
    for seed in range(4):
        game = random_game(seed, n_local=3)
        local_policy = random_local(game, seed)
        found = observation_aware(
            game, local_policy, n_agents=50, k=3, surrogate_size=3, channel="without_replacement", seed=0
        )
        wanted = g_learn(game, local_policy, k=3)
        start = game.initial_global[:, None] * game.initial_local.histogram_law(3)
        assert found.potential == pytest.approx(float((start * wanted.q_values.max(axis=2)).sum()), abs=2e-6)
        assert np.array_equal(found.policy.table, wanted.policy.table)


def test_the_multinomial_channel_against_enumeration() -> None:
    """Every sequence of k draws with replacement, weighed one by one; `project` is the adjoint of `lift`."""
    k, n_agents, n_states = 3, 2, 3
    rng = np.random.default_rng(0)
    seen = rng.random((n_histograms(k, n_states), 2))
    weights = rng.random((n_histograms(n_agents, n_states), 2))
    lifted = lift(seen, k, n_agents, n_states, "multinomial")
    for row, counts in enumerate(enumerate_histograms(n_agents, n_states)):
        wanted = np.zeros(2)
        for draws in np.ndindex(*[n_states] * k):
            wanted += np.prod(counts[list(draws)] / n_agents) * seen[brute_force.rank(draws, n_states)]
        assert lifted[row] == pytest.approx(wanted, abs=1e-12)
    projected = project(weights, k, n_agents, n_states, "multinomial")
    assert np.vdot(lifted, weights) == pytest.approx(np.vdot(seen, projected), rel=1e-12)


def test_more_agents_may_be_seen_than_stand_for_the_crowd(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """Gradient of a chain of 2 agents seen 3 times, against finite differences of its potential (linear to 1e-4)."""
    game = random_game(1)
    local_policy = random_local(game, 1)
    policy = random_global(game, 3, 1)
    kernels = [exact_kernel(law, 2) for law in induced_transition(game, local_policy)]

    def chain(table):
        moved = GlobalPolicy(table=table, k=3, n_local_states=2, n_actions=2)
        return LumpedChain(game, moved, local_policy, kernels, 2, "multinomial")

    gradient = chain(policy.table).global_gradient()
    for entry in np.ndindex(2, 4):
        step = np.zeros_like(policy.table)
        step[entry] = [1e-5, -1e-5]
        change = chain(policy.table + step).potential - chain(policy.table - step).potential
        assert change / 2e-5 == pytest.approx(gradient[entry][0] - gradient[entry][1], abs=1e-4)


@pytest.fixture(scope="module")
def crowd_and_chain(random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies):
    """Twelve agents of which two are seen, by rollouts and exactly, under one random deterministic policy."""
    game = random_game(2, n_local=3, discount=0.8)
    local_policy, policy = random_local(game, 2), random_global(game, 2, 2, True)
    crowd = CrowdGame(game=game, local_policy=local_policy, n_agents=12, k=2, seed=np.random.SeedSequence(5))
    return crowd, LumpedChain.exact(game, policy, local_policy, 12)


def test_rollouts_estimate_the_potential(crowd_and_chain) -> None:
    """Within 4.5 standard errors and what the horizon leaves out, at most 1% of the value bound."""
    crowd, chain = crowd_and_chain
    returns, _ = crowd.returns(chain.global_policy.table, crowd.starts(20_000, 0))
    error = returns.std() / np.sqrt(len(returns))
    missing = chain.potential * crowd.game.discount**crowd.horizon
    assert returns.mean() == pytest.approx(chain.potential - missing, abs=4.5 * error + 0.01)


def test_particles_estimate_the_gradient(crowd_and_chain) -> None:
    """Differences between actions, against the exact gradient: their error shrinks with the particles as 1/sqrt."""
    crowd, chain = crowd_and_chain
    exact = chain.global_gradient()
    advantage = exact - exact.mean(axis=2, keepdims=True)
    errors = []
    for n_particles in (500, 8000):
        estimates = [crowd.gradient(chain.global_policy.table, n_particles, seed)[0] for seed in range(3)]
        found = [estimate - estimate.mean(axis=2, keepdims=True) for estimate in estimates]
        errors.append(np.mean([np.abs(one - advantage).sum() for one in found]))
    assert errors[1] < errors[0] / 2
    assert errors[1] < 0.25 * np.abs(advantage).sum()


def test_both_methods_agree_where_both_can_be_used(random_game: Games, random_local: LocalPolicies) -> None:
    """n = 12: the potential of what rollouts find is within the tolerance and sampling error of the exact climb's."""
    game = random_game(4, n_local=3, discount=0.8)
    local_policy = random_local(game, 4)
    exact = observation_aware(game, local_policy, n_agents=12, k=2, seed=0)
    sampled = observation_aware(game, local_policy, n_agents=12, k=2, method="rollouts", seed=0)
    value = LumpedChain.exact(game, sampled.policy, local_policy, 12).potential
    assert value == pytest.approx(exact.potential, abs=3 * sampled.standard_error)


def test_the_same_seed_gives_the_same_policy(warehouse3: TabularGame) -> None:
    fleet = LocalPolicy.named("uniform", warehouse3)
    options = {"n_agents": 10**6, "k": 3, "n_rollouts": 200, "n_particles": 100}
    first, second = (observation_aware(warehouse3, fleet, seed=3, **options) for _ in range(2))
    assert first.method == "rollouts"
    assert np.array_equal(first.policy.table, second.policy.table)
    assert first.potential == second.potential


def test_by_rollouts_a_start_that_mixes_actions_is_its_most_likely_ones(random_game: Games) -> None:
    game, laws = random_game(3, discount=0.8), np.random.default_rng(0).dirichlet(np.ones(2), (2, 3))
    fleet = LocalPolicy.named("uniform", game)
    mixed, mode = (GlobalPolicy(table=t, k=2, n_local_states=2, n_actions=2) for t in (laws, laws.argmax(axis=2)))
    options = {"n_agents": 5, "k": 2, "method": "rollouts", "n_rollouts": 200, "n_particles": 50, "max_iterations": 1}
    first, second = (observation_aware(game, fleet, start=start, seed=3, **options) for start in (mixed, mode))
    assert np.array_equal(first.policy.table, second.policy.table)
    assert first.potential == second.potential


def test_the_potential_by_rollouts_leaves_out_the_last_percent(random_game: Games) -> None:
    """Every step pays 2, so that Phi = 20 without noise; 0.9^44 <= 0.01."""
    game = random_game(0, discount=0.9)
    game = replace(game, global_reward=np.ones((2, 2)), local_reward=np.ones((2, 2, 2)))
    fleet = LocalPolicy.named("uniform", game)
    found = observation_aware(game, fleet, n_agents=5, k=2, method="rollouts", n_rollouts=2, n_particles=1, seed=0)
    assert found.potential == pytest.approx(20 * (1 - 0.9**44))
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)


def test_a_surrogate_of_more_agents_than_there_are_is_refused(warehouse3: TabularGame) -> None:
    fleet = LocalPolicy.named("uniform", warehouse3)
    with pytest.raises(ValueError, match="surrogate_size must be between 1 and 3; got 50"):
        observation_aware(warehouse3, fleet, n_agents=3, k=2, surrogate_size=50, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fast"}, "method must be one of"),
        ({"channel": "binomial"}, "channel must be one of"),
        ({"surrogate_size": 0}, "surrogate_size must be at least 1; got 0"),
        ({"n_rollouts": 1}, "n_rollouts must be at least 2; got 1"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"method": "rollouts", "surrogate_size": 4}, "surrogate_size and channel must be omitted; got"),
    ],
)
def test_settings_out_of_range_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        ObservationAwareConfig(**options)
