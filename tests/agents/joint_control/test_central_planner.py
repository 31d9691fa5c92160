"""The joint-control game and the central planner's bound, against planners that see every agent one by one."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from oracle import brute_force, joint_control

from kofn.agents.joint_control.central_planner import CentralisedBound, JointControl, centralised_local_bound
from kofn.agents.joint_control.joint_kernels import exact_kernels, landing_kernel, sampled_kernels
from kofn.agents.joint_control.joint_layout import layout_of
from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, n_histograms

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

CASES = [(0, 2, 1), (1, 2, 2), (2, 2, 3), (3, 3, 2)]
"""(seed, |S_l|, n)"""


def small_game(random_game: Games, seed: int, n_local: int) -> TabularGame:
    """Three global states and actions; agents are paid for being where s_g is."""
    start = DirichletStart(np.full(n_local, 0.5)) if seed % 2 else None
    return joint_control.coupled(random_game(seed, 3, n_local, 3, 2, discount=0.8, initial_local=start))


def averaged(policy: GlobalPolicy, n: int, n_states: int) -> FloatArray:
    """alpha [s_g, histogram of n agents, a_g]: a global policy of k agents averaged over all subsets of n."""
    people = [tuple(np.repeat(np.arange(n_states), counts)) for counts in enumerate_histograms(n, n_states)]
    return np.array(
        [
            [
                brute_force.global_law(policy.probabilities(), (s_g, *people_now), n_states, policy.k)
                for people_now in people
            ]
            for s_g in range(policy.n_global_states)
        ]
    )


@pytest.mark.parametrize(("seed", "n_local", "n"), CASES)
def test_bound_is_the_optimum_of_a_planner_who_sees_individuals(
    random_game: Games, random_global: GlobalPolicies, seed: int, n_local: int, n: int
) -> None:
    game = small_game(random_game, seed, n_local)
    law = random_global(game, n, seed).probabilities()
    bound = centralised_local_bound(game, law, n, tolerance=1e-11)
    exact = joint_control.state_values(game, n, joint_control.planner_q(game, n, law), law)
    for s, value in zip(brute_force.joint_states(game, n), exact, strict=True):
        assert bound.values[s[0], brute_force.rank(s[1:], n_local)] == pytest.approx(value, abs=1e-10)
    assert bound.potential == pytest.approx(float(brute_force.start_law(game, n) @ exact), abs=1e-10)
    assert bound.upper_bound == bound.potential + bound.certificate
    assert bound.converged


@pytest.mark.parametrize(("seed", "k", "n"), [(0, 1, 2), (1, 2, 3), (2, 1, 3), (3, 3, 3)])
def test_bound_dominates_every_map_and_stochastic_maps(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, seed: int, k: int, n: int
) -> None:
    game = joint_control.coupled(random_game(seed, discount=0.8))
    policy = random_global(game, k, seed, deterministic=seed % 2 == 0)
    bound = centralised_local_bound(game, averaged(policy, n, 2), n)
    maps = [*brute_force.deterministic_local_policies(game), *(random_local(game, i).table for i in range(12))]
    potentials = [brute_force.potential(game, policy.probabilities(), table, n, k) for table in maps]
    assert max(potentials) <= bound.upper_bound
    assert max(potentials) > bound.upper_bound - 0.3 * (bound.upper_bound - min(potentials))  # and is not idle


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bound_is_attained_by_a_single_agent(random_game: Games, random_global: GlobalPolicies, seed: int) -> None:
    """With n = 1 the planner sees what the agent sees."""
    game = joint_control.coupled(random_game(seed, 2, 2, 2, 3))
    policy = random_global(game, 1, seed)
    best = brute_force.best_local_response(game, policy.probabilities(), 1, 1)[1]
    bound = centralised_local_bound(game, policy.probabilities(), 1, tolerance=1e-11)
    assert bound.potential == pytest.approx(best, abs=1e-10)


def test_bound_is_attained_where_agents_do_not_interact(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """A global agent that never looks leaves n copies of one agent's problem, whose best map is the planner's."""
    game = small_game(random_game, 5, 2)
    blind = random_global(game, 1, 5).probabilities()[:, :1]
    alone = centralised_local_bound(game, np.repeat(blind, 2, axis=1), 1)
    crowd = centralised_local_bound(game, np.repeat(blind, 4, axis=1), 3)
    assert crowd.potential == pytest.approx(alone.potential, abs=3e-6)
    best = brute_force.best_local_response(game, np.repeat(blind, 2, axis=1), 2, 1)[1]
    assert crowd.potential == pytest.approx(best, abs=3e-6)


@pytest.fixture
def balance() -> TabularGame:
    """Agents move where they want to; the global agent is paid 1 for playing action 1."""
    return TabularGame(
        global_transition=np.ones((1, 2, 1)),
        local_transition=np.tile(np.eye(2), (2, 1, 1, 1)),
        global_reward=np.array([[0.0, 1.0]]),
        local_reward=np.zeros((2, 1, 2)),
        discount=0.8,
        initial_local=FixedStart(np.array([1.0, 0.0])),
    )


def balance_bound(game: TabularGame, **options: Any) -> CentralisedBound:
    """The global agent plays 1 when one of two agents is in each state."""
    law = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    return centralised_local_bound(game, law, 2, **options)


def test_planner_splits_a_crowd_where_that_pays(balance: TabularGame) -> None:
    """From (2, 0) on, one agent to each state: 0 now and 1 ever after, gamma/(1-gamma) = 4. No map does this surely."""
    bound = balance_bound(balance, tolerance=1e-10)
    assert bound.values[0] == pytest.approx([4.0, 5.0, 4.0], abs=1e-9)
    assert bound.potential == pytest.approx(4.0, abs=1e-9)
    assert bound.policy.action_counts[0, 2].tolist() == [[1, 1], [0, 0]]  # histogram (2, 0)
    assert bound.policy.action_counts[0, 0].tolist() == [[0, 0], [1, 1]]  # histogram (0, 2)
    # In (1, 1) both stay or both cross; as many as possible on the lowest pairs: state 0 takes action 0.
    assert bound.policy.action_counts[0, 1].tolist() == [[1, 0], [0, 1]]
    law = averaged(bound.policy.global_policy, 2, 2)
    deterministic = brute_force.best_local_response(balance, law, 2, 2)[1]
    uniform = brute_force.potential(balance, law, np.full((2, 1, 2), 0.5), 2, 2)
    assert deterministic == pytest.approx(0.0)
    assert uniform == pytest.approx(2.0)


def test_bound_holds_when_stopped_early(random_game: Games, random_global: GlobalPolicies) -> None:
    for seed, n_local, n in CASES:
        game = small_game(random_game, seed, n_local)
        law = random_global(game, n, seed).probabilities()
        exact = centralised_local_bound(game, law, n, tolerance=1e-11)
        for iterations in (1, 2, 5):
            early = centralised_local_bound(game, law, n, tolerance=1e-11, max_iterations=iterations)
            assert (early.converged, early.n_iterations) == (False, iterations)
            assert np.abs(early.values - exact.values).max() <= early.certificate
            assert exact.potential <= early.upper_bound


def test_planner_keeps_the_law_it_was_given(random_game: Games, random_global: GlobalPolicies) -> None:
    game = small_game(random_game, 0, 2)
    law = random_global(game, 3, 0).probabilities()
    assert (centralised_local_bound(game, law, 3).policy.global_policy.table == law).all()


def test_the_planners_orders_are_worth_the_bound(random_game: Games, random_global: GlobalPolicies) -> None:
    """Played by n = k agents, where agents of one state act alike and so need no dice."""
    for seed, n_local, n in CASES:
        game = small_game(random_game, seed, n_local)
        law = random_global(game, n, seed).probabilities()
        bound = centralised_local_bound(game, law, n)
        assert ((bound.policy.action_counts > 0).sum(axis=3) <= 1).all()
        played = joint_control.execution_potential(game, law, bound.policy.action_counts, n, n)
        assert played == pytest.approx(bound.potential, abs=1e-5)


@pytest.mark.parametrize(("n_pairs", "n_states", "k"), [(2, 3, 1), (4, 2, 3), (6, 3, 2), (3, 1, 2)])
def test_landing_kernel_counts_where_everybody_lands(n_pairs: int, n_states: int, k: int) -> None:
    moves = np.random.default_rng(k).dirichlet(np.ones(n_states), n_pairs)
    expected = np.zeros((n_histograms(k, n_pairs), n_histograms(k, n_states)))
    for leaving in brute_force.count_vectors(k, n_pairs):
        pairs = tuple(z for z, count in enumerate(leaving) for _ in range(count))
        for landing in product(range(n_states), repeat=k):
            at = brute_force.rank(pairs, n_pairs), brute_force.rank(landing, n_states)
            expected[at] += np.prod([moves[z, y] for z, y in zip(pairs, landing, strict=True)])
    assert landing_kernel(moves, k) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("n_ordered", [0, 1, 3])
def test_sampled_kernels_average_to_the_exact_ones(random_game: Games, n_ordered: int) -> None:
    """By histogram of the next state, each entry within 5 standard errors of m = 4000 draws."""
    game, m = random_game(0), 4000
    layout = layout_of(game, 3, n_ordered)
    sampled = sampled_kernels(game, layout, m, np.random.default_rng(0))
    merge = np.zeros((layout.n_states, 4))
    merge[layout.state_of_entry, layout.histogram_of_entry] = 1
    for drawn, exact in zip(sampled, exact_kernels(game, layout), strict=True):
        law = np.asarray(exact @ merge)
        error = np.abs(drawn @ merge - law)
        assert (error <= 5 * np.sqrt(law * (1 - law) / m) + 1e-12).all()
        assert error.max() > 1e-3


def test_layout_of_one_agent_and_counted_others(random_game: Games) -> None:
    """|S_l| = |A_l| = 2 and k = 2, agent 1 told apart: 4 pairs times 4 counts of one other, 2 x 2 states."""
    layout = layout_of(random_game(0), 2, 1)
    assert (layout.n_entries, layout.n_states) == (16, 4)
    # The counts of one agent are ranked (0,0,0,1) first, so the other agent runs through pairs 3, 2, 1, 0.
    assert layout.counts[0].tolist() == [1, 0, 0, 1]
    assert layout.counts[3].tolist() == [2, 0, 0, 0]
    assert layout.counts[5].tolist() == [0, 1, 1, 0] == layout.counts[10].tolist()
    assert layout.state_of_entry[[0, 3, 5, 10]].tolist() == [0, 1, 0, 3]
    assert layout.histogram_of_entry[[0, 3, 5, 10]].tolist() == [1, 2, 1, 1]
    # Sorted agents: (0, 1) for histogram (1, 1), and likewise for joint counts.
    assert layout.state_of_histogram.tolist() == [2, 0, 1]
    assert layout.representatives[brute_force.rank((2, 1), 4)] == 5
    assert layout.best(np.arange(16.0)[None]).tolist() == [[5.0, 7.0, 13.0, 15.0]]


def test_q_values_are_the_formula(random_game: Games) -> None:
    """r_g + <N, r_l>/k + gamma E W, written out for k = 1."""
    game = random_game(3, n_global=3, n_local=2, n_global_actions=2, n_local_actions=2)
    layout = layout_of(game, 1)
    values = np.random.default_rng(0).random((3, 2))
    q = JointControl(game=game, layout=layout, kernels=exact_kernels(game, layout)).q_values(values)
    for s_g, x, a, a_g in product(range(3), range(2), range(2), range(2)):
        # Histogram (0, 1) is ranked first: column 1 - y holds state y, entry 3 - (2x + a) the pair (x, a).
        ahead = sum(
            game.global_transition[s_g, a_g, p] * game.local_transition[x, s_g, a, y] * values[p, 1 - y]
            for p, y in product(range(3), range(2))
        )
        expected = game.global_reward[s_g, a_g] + game.local_reward[x, s_g, a] + 0.9 * ahead
        assert q[s_g, 3 - (2 * x + a), a_g] == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(
    ("law", "n_agents", "options", "error", "message"),
    [
        (np.full((1, 3, 2), 0.5), 0, {}, ValueError, "n_agents must be at least 1; got 0"),
        (np.full((1, 3, 2), 0.5), 2.0, {}, TypeError, r"n_agents must be an integer; got 2\.0"),
        (np.full((1, 3, 2), 0.5), 3, {}, ValueError, r"moves_law must have shape \[1, 4, 2\]; got \[1, 3, 2\]"),
        (np.full((1, 3), 0.5), 2, {}, ValueError, "moves_law must have 3 axes"),
        (np.full((1, 3, 2), 0.6), 2, {}, ValueError, r"moves_law must have rows that sum to 1 .*row \[0, 0\]"),
        (np.full((1, 3, 2), 0.5), 2, {"tolerance": 0}, ValueError, "tolerance must be positive and finite; got 0"),
        (np.full((1, 3, 2), 0.5), 2, {"max_iterations": 0}, ValueError, "max_iterations must be at least 1; got 0"),
        (np.full((1, 1001, 2), 0.5), 1000, {}, ValueError, "of 1000 agents needs a table of 335337002 entries"),
        (np.full((1, 501, 2), 0.5), 500, {}, ValueError, r"control of 500 agents needs 78\.7 GiB of kernels"),
    ],
)
def test_arguments_out_of_range_are_refused(
    balance: TabularGame, law: FloatArray, n_agents: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        centralised_local_bound(balance, law, n_agents, **options)
