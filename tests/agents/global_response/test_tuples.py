"""The standard parameterisation against individual agents, and against histograms (both are one function)."""

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import g_learn
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.global_response.tuples import (
    DRAWS_AT_ONCE,
    TupleKernel,
    expand,
    sampled_tuple_successors,
    sorted_positions,
    sorted_tuples,
    tuple_histograms,
    tuples_preferred,
)
from kofn.agents.operators import exact_kernel
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


@pytest.mark.parametrize(("n_states", "k"), [(1, 3), (2, 1), (2, 4), (3, 2), (3, 3)])
def test_tuples_are_numbered_with_the_last_agent_fastest(n_states: int, k: int) -> None:
    tuples = list(product(range(n_states), repeat=k))
    assert tuple_histograms(k, n_states).tolist() == [brute_force.rank(states, n_states) for states in tuples]
    ordered = [tuple(row) for row in sorted_tuples(k, n_states).tolist()]
    counts = brute_force.count_vectors(k, n_states)
    assert ordered == [tuple(x for x in range(n_states) for _ in range(c[x])) for c in counts]
    assert sorted_positions(k, n_states).tolist() == [tuples.index(states) for states in ordered]


@pytest.mark.parametrize(("n_states", "k"), [(2, 1), (2, 3), (3, 2), (3, 3)])
def test_kernel_is_the_kronecker_power(n_states: int, k: int) -> None:
    rng = np.random.default_rng(k)
    transition = rng.dirichlet(np.ones(n_states), n_states)
    power = np.ones((1, 1))
    for _ in range(k):
        power = np.kron(power, transition)
    columns = rng.standard_normal((n_states**k, 4))
    assert TupleKernel(transition, k) @ columns == pytest.approx(power @ columns, abs=1e-13)


def three_games(random_game: Games) -> list[TabularGame]:
    return [random_game(1, 2, 3, 2, 3, discount=0.95), random_game(2, 3, 2, 4, 2), warehouse(n_zones=3)]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_tuples_and_histograms_give_one_q(random_game: Games, random_local: LocalPolicies, index: int, k: int) -> None:
    """|Q_standard - Q_meanfield| <= 1e-10, twice the tolerance and rounding, and the same greedy policy."""
    game = three_games(random_game)[index]
    policy = random_local(game, index)
    mean_field = g_learn(game, policy, k=k, operator="exact", tolerance=2e-11)
    standard = g_learn(game, policy, k=k, parameterisation="tuple", tolerance=2e-11)
    n_local = game.n_local_states
    assert (mean_field.parameterisation, standard.parameterisation) == ("histogram", "tuple")
    assert (standard.operator, standard.converged) == ("exact", True)
    assert mean_field.tuple_q_values is None
    assert standard.tuple_q_values is not None
    assert standard.tuple_q_values.shape == (game.n_global_states, *(n_local,) * k, game.n_global_actions)
    assert np.abs(standard.q_values - mean_field.q_values).max() <= 1e-10
    expanded = expand(mean_field.q_values, k, n_local).reshape(standard.tuple_q_values.shape)
    assert np.abs(standard.tuple_q_values - expanded).max() <= 1e-10
    assert (standard.policy.table == mean_field.policy.table).all()


@pytest.mark.parametrize(("seed", "sizes", "k"), [(0, (2, 2, 2, 2), 3), (1, (3, 2, 2, 3), 2), (2, (2, 3, 3, 2), 2)])
def test_tuple_values_equal_the_oracle(
    random_game: Games, random_local: LocalPolicies, seed: int, sizes: tuple[int, ...], k: int
) -> None:
    game = random_game(seed, *sizes)
    policy = random_local(game, seed)
    result = g_learn(game, policy, k=k, parameterisation="tuple", tolerance=1e-9)
    exact = brute_force.optimal_q(game, policy.table, k)
    assert result.tuple_q_values is not None
    assert result.tuple_q_values.reshape(exact.shape) == pytest.approx(exact, abs=2e-9)


def test_seeing_everyone_as_a_tuple_gives_the_full_information_optimum(
    random_game: Games, random_local: LocalPolicies
) -> None:
    game = random_game(1)
    local_policy = random_local(game, 1)
    result = g_learn(game, local_policy, k=3, parameterisation="tuple")
    played = brute_force.potential(game, result.policy.probabilities(), local_policy.table, 3, 3)
    assert played == pytest.approx(brute_force.optimal_potential(game, local_policy.table, 3), abs=1e-4)


def test_sampled_tuples_are_drawn_agent_by_agent() -> None:
    """Every row of frequencies within Bernstein's bound of the exact kernel, at level 1e-6 over all entries."""
    transition, k, m = np.random.default_rng(7).dirichlet(np.ones(3), 3), 3, 20_000
    successors = sampled_tuple_successors(transition, k, m, np.random.default_rng(3))
    exact = exact_kernel(transition, k)
    assert successors.shape == (len(exact), m)
    found = np.array([np.bincount(row, minlength=len(exact)) for row in successors]) / m
    log_term = np.log(2 * exact.size / 1e-6)
    allowed = np.sqrt(2 * exact * (1 - exact) * log_term / m) + log_term / (3 * m)
    assert (np.abs(found - exact) <= allowed).all()
    assert not (np.abs(found - np.roll(exact, 1, axis=0)) <= allowed).all()


def test_samples_drawn_in_blocks_are_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws whatever the block: memory is bounded, nothing else changes."""
    transition = np.random.default_rng(0).dirichlet(np.ones(2), 2)

    def draw() -> Any:
        return sampled_tuple_successors(transition, 4, 50, np.random.default_rng(1))

    whole = draw()
    monkeypatch.setattr("kofn.agents.global_response.tuples.DRAWS_AT_ONCE", 7 * 20)
    assert (draw() == whole).all()
    assert DRAWS_AT_ONCE // 20 > 50


def test_sampled_tuples_never_reach_the_impossible() -> None:
    transition = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    successors = sampled_tuple_successors(transition, 3, 200, np.random.default_rng(1))
    exact = exact_kernel(transition, 3)
    assert (np.take_along_axis(exact, successors, axis=1) > 0).all()


def test_permutations_share_their_samples(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(3, n_local=3)
    result = g_learn(
        game, random_local(game, 3), k=3, parameterisation="tuple", operator="monte_carlo", n_samples=4, seed=0
    )
    q = result.tuple_q_values
    assert q is not None
    for order in permutations((1, 2, 3)):
        assert (q.transpose(0, *order, 4) == q).all()
    # The policy's table is the one of the sorted tuples.
    at = tuple(sorted_tuples(3, 3).T)
    assert (result.q_values == q[:, at[0], at[1], at[2]]).all()
    assert (result.operator, result.n_samples, result.converged) == ("monte_carlo", 4, True)


def test_sampled_tuples_come_near_the_exact_values(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(3, n_local=3, discount=0.7)
    policy = random_local(game, 3)
    exact = g_learn(game, policy, k=2).q_values
    errors = {}
    for m in (20, 2000):
        runs = [
            g_learn(game, policy, k=2, parameterisation="tuple", operator="monte_carlo", n_samples=m, seed=seed)
            for seed in range(5)
        ]
        assert all(0 < np.abs(run.q_values - exact).max() <= run.theory.bellman_noise + 1e-6 for run in runs)
        errors[m] = sum(np.abs(run.q_values - exact).max() for run in runs)
    assert 4 < errors[20] / errors[2000] < 25  # the root of 100, within a factor 2.5


def transitions_differ(first: FloatArray, second: FloatArray) -> bool:
    return bool((first != second).any())


def test_sampled_tuples_are_a_function_of_the_seed(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1)

    def run(seed: int) -> FloatArray:
        options: dict[str, Any] = {"parameterisation": "tuple", "operator": "monte_carlo", "n_samples": 3}
        return g_learn(game, random_local(game, 1), k=2, seed=seed, **options).q_values

    assert not transitions_differ(run(1), run(1))
    assert transitions_differ(run(1), run(2))


RULE = {  # |S_l| -> the k for which the papers keep tuples, |S_l|^k <= k^|S_l|, up to 12
    1: list(range(1, 13)),
    2: [2, 3, 4],
    3: [3],
    4: [2, 3, 4],
    5: [2, 3, 4, 5],
    10: [2, 3, 4, 5, 6, 7, 8, 9, 10],
}


@pytest.mark.parametrize("n_states", sorted(RULE))
def test_the_papers_rule(n_states: int) -> None:
    assert [k for k in range(1, 13) if tuples_preferred(k, n_states)] == RULE[n_states]


def test_the_papers_rule_is_followed_and_recorded(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(0, n_local=3)
    policy = random_local(game, 0)
    results = {k: g_learn(game, policy, k=k, parameterisation="paper") for k in (2, 3, 4)}
    assert [results[k].parameterisation for k in (2, 3, 4)] == ["histogram", "tuple", "histogram"]
    assert [results[k].tuple_q_values is None for k in (2, 3, 4)] == [True, False, True]
    assert [results[k].theory.regime for k in (2, 3, 4)] == ["meanfield", "standard", "meanfield"]


def test_tables_over_tuples_that_do_not_fit_are_refused(random_game: Games) -> None:
    settings = GLearnConfig(parameterisation="tuple")
    with pytest.raises(ValueError, match=r"tuples of k=11 agents has 13 axes and 1220703125 entries, .* or 67108864"):
        make_plan(warehouse(), 11, settings)
    one_state = random_game(0, n_local=1)
    assert make_plan(one_state, 30, settings).as_tuples
    with pytest.raises(ValueError, match=r"k=31 agents has 33 axes and 4 entries, more than 32 .*'histogram'"):
        make_plan(one_state, 31, settings)


@pytest.mark.parametrize("parameterisation", ["tuple", "histogram"])
def test_auto_is_exact_for_either_table(random_game: Games, parameterisation: Any) -> None:
    """7 agents in 9 states: the dense kernels of 6435 histograms are large, and neither table needs them."""
    game = random_game(0, n_local=9)
    assert make_plan(game, 7, GLearnConfig(parameterisation=parameterisation)).operator == "exact"
