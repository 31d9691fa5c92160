"""One agent's response against individual agents of whom one has a policy of its own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from oracle.deviator import Deviator

from kofn.agents import l_learn
from kofn.agents.exact_operator import exact_operator
from kofn.agents.lumped_chain import LumpedChain
from kofn.envs import DirichletStart, GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

LOWERING = 106
"""A game whose best shared map invites a deviation that lowers Phi when everybody joins in."""


@pytest.mark.parametrize(("k", "n_agents"), [(1, 1), (2, 2), (1, 2), (3, 3), (2, 3)])
@pytest.mark.parametrize("reward", ["team", "own"])
def test_response_equals_brute_force(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, k: int, n_agents: int, reward: Any
) -> None:
    """Value of the best map, value of the policy returned, and the bound, for others of either kind."""
    for seed in range(3):
        game = random_game(seed, discount=0.8)
        others = random_local(game, seed)
        if seed == 1:
            others = LocalPolicy.from_actions(others.table.argmax(axis=2), 2)
        global_policy = random_global(game, k, seed, deterministic=seed > 0)
        oracle = Deviator(game, global_policy.probabilities(), others.table, n_agents, k, reward == "own")
        result = l_learn(game, global_policy, start=others, method="tagged", n_agents=n_agents, reward=reward)
        best = max(oracle.best_map(), oracle.value(others.table))
        assert result.value == pytest.approx(best, abs=1e-7)
        assert oracle.value(result.policy.table) == pytest.approx(best, abs=1e-7)
        assert result.upper_bound == pytest.approx(oracle.best_with_full_information(), abs=1e-7)
        assert result.certificate == pytest.approx(result.upper_bound - result.value, abs=1e-12)
        assert result.certificate >= 0
        assert (result.deviation, result.converged, result.n_iterations) == ("tagged", True, 16)


def test_other_starts_and_sizes(random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies) -> None:
    law = DirichletStart(np.array([0.3, 0.7, 2.0]))
    game = random_game(4, n_global=1, n_local=3, n_local_actions=2, n_global_actions=3, initial_local=law)
    others, global_policy = random_local(game, 4), random_global(game, 2, 4)
    oracle = Deviator(game, global_policy.probabilities(), others.table, 3, 2)
    result = l_learn(game, global_policy, start=others, method="tagged", n_agents=3)
    assert result.value == pytest.approx(oracle.best_map(), abs=1e-7)
    assert result.upper_bound == pytest.approx(oracle.best_with_full_information(), abs=1e-7)


def test_climbing_finds_what_trying_all_finds(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = []
    for seed in range(6):
        game = random_game(seed)
        global_policy, others = random_global(game, 2, seed), random_local(game, seed)
        cases.append((game, global_policy, others, l_learn(game, global_policy, start=others, method="tagged")))
    monkeypatch.setattr("kofn.agents.local_response.tagged_response.MAX_ENUMERATION_WORK", 0)
    for game, global_policy, others, tried in cases:
        climbed = l_learn(game, global_policy, start=others, method="tagged", seed=0)
        assert climbed.value == pytest.approx(tried.value, abs=1e-7)
        assert climbed.upper_bound == pytest.approx(tried.upper_bound, abs=1e-12)
        assert climbed.converged
        assert climbed.n_iterations < 16
        stopped = l_learn(game, global_policy, start=others, method="tagged", n_starts=0, max_iterations=1)
        assert (stopped.converged, stopped.n_iterations) == (False, 2)


def test_start_is_kept_where_nothing_is_gained(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    global_policy = random_global(game, 1, 0)
    best = l_learn(game, global_policy, method="tagged").policy
    assert (l_learn(game, global_policy, start=best, method="tagged").policy.table == best.table).all()


def test_one_agent_alone_is_the_whole_fleet(random_game: Games, random_global: GlobalPolicies) -> None:
    """Its state and s_g are then all there is to see: the bound is attained, and the response is the shared one."""
    for seed in range(5):
        game = random_game(seed)
        global_policy = random_global(game, 1, seed)
        tagged = l_learn(game, global_policy, method="tagged")
        assert tagged.value == pytest.approx(l_learn(game, global_policy, method="exhaustive").value, abs=1e-7)
        assert tagged.certificate == pytest.approx(0, abs=1e-7)


def test_adopting_the_response_can_lower_phi(random_game: Games, random_global: GlobalPolicies) -> None:
    """Alone the deviator gains; when everybody deviates, all lose: the tagged response is no shared one."""
    game = random_game(LOWERING)
    global_policy = random_global(game, 2, LOWERING, deterministic=True)
    tables = global_policy.probabilities()
    fleet, phi = brute_force.best_local_response(game, tables, 2, 2)
    response = l_learn(game, global_policy, start=LocalPolicy(fleet), method="tagged")
    assert response.value > phi + 0.01
    assert Deviator(game, tables, fleet, 2, 2).value(response.policy.table) == pytest.approx(response.value, abs=1e-7)
    assert brute_force.potential(game, tables, response.policy.table, 2, 2) < phi - 2


@pytest.mark.parametrize(("k", "n_agents"), [(2, 2), (1, 3)])
def test_to_first_order_all_deviations_add_up(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, k: int, n_agents: int
) -> None:
    """sum_i dV/dpi_i = dPhi/dpi_l: n times the slopes of the deviator's value, by differences of the oracle's."""
    game = random_game(5, discount=0.8)
    fleet, global_policy = random_local(game, 5), random_global(game, k, 5)
    oracle = Deviator(game, global_policy.probabilities(), fleet.table, n_agents, k)
    chain = LumpedChain.exact(game, global_policy, fleet, n_agents)
    gradient = chain.local_gradient(lambda _, law: exact_operator(law, n_agents - 1))
    for x, s_g in np.ndindex(2, 2):
        step = np.zeros_like(fleet.table)
        step[x, s_g] = [-1e-4, 1e-4]
        slope = (oracle.value(fleet.table + step) - oracle.value(fleet.table - step)) / 2e-4
        assert n_agents * slope == pytest.approx(gradient[x, s_g, 1] - gradient[x, s_g, 0], abs=1e-5)
        assert abs(slope) > 1e-3


def test_sampled_kernels_come_close(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """2000 samples per row: values within 1%, and a policy that is worth the exact one's value within 1%."""
    game = random_game(1)
    global_policy, others = random_global(game, 2, 1), random_local(game, 1)
    exact = l_learn(game, global_policy, start=others, method="tagged", n_agents=3)
    options: dict[str, Any] = {"start": others, "method": "tagged", "n_agents": 3, "operator": "monte_carlo"}
    sampled = l_learn(game, global_policy, n_samples=2000, seed=0, **options)
    assert sampled.value == pytest.approx(exact.value, rel=0.01)
    assert sampled.upper_bound == pytest.approx(exact.upper_bound, rel=0.01)
    assert sampled.value != exact.value
    oracle = Deviator(game, global_policy.probabilities(), others.table, 3, 2)
    assert oracle.value(sampled.policy.table) == pytest.approx(exact.value, rel=0.01)
    few = [l_learn(game, global_policy, n_samples=3, seed=seed, **options).value for seed in (1, 1, 2)]
    assert few[0] == few[1] != few[2]


@pytest.mark.parametrize("most", [0, 300])
def test_a_distant_horizon_takes_no_more_sweeps(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """gamma = 0.999 and nothing that mixes: agents stay, or leave state 0 for good; values by hand, either solver."""
    monkeypatch.setattr("kofn.agents.local_response.tagged_response.MAX_DIRECT_STATES", most)
    rewards, gamma = np.random.default_rng(0).random((2, 2, 2)), 0.999
    moves = np.tile(np.eye(2)[:, None, None], (1, 2, 2, 1))
    moves[0, :, 1] = [0, 1]
    game = TabularGame(
        global_transition=np.eye(2)[:, None],
        local_transition=moves,
        global_reward=np.zeros((2, 1)),
        local_reward=rewards,
        discount=gamma,
    )
    settled, uniform = rewards[1].max(axis=1) / (1 - gamma), rewards[1].mean(axis=1) / (1 - gamma)
    best = np.maximum(rewards[0, :, 0] / (1 - gamma), rewards[0, :, 1] + gamma * settled)
    other = (rewards[0].mean(axis=1) + gamma / 2 * uniform) / (1 - gamma / 2)
    result = l_learn(game, GlobalPolicy.constant(game, 1, 0), method="tagged", n_agents=2)
    wanted = np.mean([best, settled, other, uniform])
    assert result.value == pytest.approx(wanted, abs=1e-10 * game.value_bound)
    assert wanted <= result.upper_bound <= wanted + 2e-10 * game.value_bound
    assert result.converged


def test_many_agents(warehouse3: TabularGame) -> None:
    """A climb over 3^9 maps of chains with 189 states."""
    result = l_learn(
        warehouse3, GlobalPolicy.named("keep", warehouse3, 2), method="tagged", n_agents=6, n_starts=0, seed=0
    )
    assert result.converged
    assert 0 <= result.certificate < 0.01 * result.value


def test_game_without_rewards(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    empty = TabularGame(
        global_transition=game.global_transition,
        local_transition=game.local_transition,
        global_reward=np.zeros((2, 2)),
        local_reward=np.zeros((2, 2, 2)),
        discount=0.9,
    )
    result = l_learn(empty, random_global(empty, 2, 0), method="tagged")
    assert result.value == pytest.approx(0, abs=1e-9)
    assert (result.policy.table == 0.5).all()
