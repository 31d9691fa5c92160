"""The authors' heuristic against a version of it that is all loops."""

from collections.abc import Callable
from itertools import product
from math import exp, factorial, prod

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import l_learn
from kofn.agents.local_response.mean_field_response import effective_law, own_action_values, stationary_crowd
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


def crowd_by_loops(game: TabularGame, local_table: FloatArray) -> list[float]:
    """50 iterations of the kernel averaged over s_g."""
    n_local, n_global, n_actions = local_table.shape
    crowd = [1 / n_local] * n_local
    for _ in range(50):
        moved = [0.0] * n_local
        for x, s_g, a, y in product(range(n_local), range(n_global), range(n_actions), range(n_local)):
            moved[y] += crowd[x] / n_global * local_table[x, s_g, a] * game.local_transition[x, s_g, a, y]
        crowd = moved
    return crowd


def effective_law_by_loops(game: TabularGame, global_policy: GlobalPolicy, crowd: list[float]) -> FloatArray:
    """The expectation that the draws estimate."""
    table, k = global_policy.probabilities(), global_policy.k
    law = np.zeros((game.n_global_states, game.n_global_states))
    for rank, counts in enumerate(brute_force.count_vectors(k, len(crowd))):
        chance = factorial(k) * prod(p**c / factorial(c) for p, c in zip(crowd, counts, strict=True))
        for s_g, a_g in np.ndindex(game.global_reward.shape):
            law[s_g] += chance * table[s_g, rank, a_g] * game.global_transition[s_g, a_g]
    return law


def policy_by_loops(game: TabularGame, law: FloatArray) -> FloatArray:
    """Softmax of Q* under the law of s_g."""
    n_local, n_global, n_actions = game.local_reward.shape
    q = np.zeros((n_local, n_global, n_actions))
    for _ in range(400):
        best = q.max(axis=2)
        updated = np.zeros_like(q)
        for x, s_g, a in np.ndindex(q.shape):
            ahead = sum(
                law[s_g, p] * game.local_transition[x, s_g, a, y] * best[y, p]
                for p, y in product(range(n_global), range(n_local))
            )
            updated[x, s_g, a] = game.local_reward[x, s_g, a] + game.discount * ahead
        q = updated
    temperature = max(0.3, (q.max() - q.min()) / 3)
    table = np.zeros_like(q)
    for x, s_g in np.ndindex(n_local, n_global):
        weights = [exp((q[x, s_g, a] - q[x, s_g].max()) / temperature) for a in range(n_actions)]
        table[x, s_g] = [weight / sum(weights) for weight in weights]
    return table


@pytest.mark.parametrize("scale", [0.05, 1.0, 5.0])
def test_policy_under_a_global_policy_that_heeds_nobody(
    random_game: Games, random_local: LocalPolicies, scale: float
) -> None:
    """No draw matters then. Small rewards meet the lowest temperature, large ones do not."""
    base = random_game(3, n_global=3, n_local=2, n_local_actions=3, discount=0.9)
    game = TabularGame(
        global_transition=base.global_transition,
        local_transition=base.local_transition,
        global_reward=base.global_reward,
        local_reward=scale * base.local_reward,
        discount=0.9,
    )
    global_policy = GlobalPolicy.named("keep", game, 3)
    law = effective_law_by_loops(game, global_policy, [0.5, 0.5])
    result = l_learn(game, global_policy, method="mean_field", start=random_local(game, 1), seed=0)
    # Q is known within 1e-6, and the lowest temperature is 0.3.
    assert result.policy.table == pytest.approx(policy_by_loops(game, law), abs=1e-5)
    assert np.ptp(result.policy.table) > 0.01


def test_crowd_settles_under_the_fleets_policy(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1, n_global=3, n_local=4)
    for seed in range(3):
        policy = random_local(game, seed)
        assert stationary_crowd(game, policy) == pytest.approx(crowd_by_loops(game, policy.table), abs=1e-12)


def test_crowd_stops_after_fifty_steps(random_game: Games) -> None:
    """A crowd that leaks from state 0 to state 1 by 1% a step is then not yet settled."""
    moves = np.zeros((2, 2, 2, 2))
    moves[0], moves[1] = [0.99, 0.01], [0.0, 1.0]
    game = random_game(0)
    leaking = TabularGame(
        global_transition=game.global_transition,
        local_transition=moves,
        global_reward=game.global_reward,
        local_reward=game.local_reward,
        discount=0.9,
    )
    crowd = stationary_crowd(leaking, LocalPolicy.named("uniform", leaking))
    assert crowd == pytest.approx([0.5 * 0.99**50, 1 - 0.5 * 0.99**50])


@pytest.mark.parametrize("deterministic", [False, True])
def test_law_of_the_global_state_is_estimated_by_draws(
    random_game: Games, random_global: GlobalPolicies, deterministic: bool
) -> None:
    """4000 draws of a quantity in [0, 1]: a standard error is at most 0.5/sqrt(4000) = 0.008; five of them."""
    game = random_game(2, n_global=3, n_local=3, n_global_actions=3)
    crowd = np.array([0.2, 0.3, 0.5])
    global_policy = random_global(game, 3, 2, deterministic)
    law = effective_law(game, global_policy, crowd, 4000, np.random.default_rng(0))
    wanted = effective_law_by_loops(game, global_policy, crowd.tolist())
    assert law == pytest.approx(wanted, abs=0.04)
    assert np.abs(wanted - wanted.mean(axis=0)).max() > 0.08
    assert law.sum(axis=1) == pytest.approx(np.ones(3))


def test_one_draw_is_one_histogram(random_game: Games, random_global: GlobalPolicies) -> None:
    """With a crowd in one state every draw is the same; with one draw the law is that of one action."""
    game = random_game(2)
    global_policy = random_global(game, 3, 2, deterministic=True)
    law = effective_law(game, global_policy, np.array([1.0, 0.0]), 1, np.random.default_rng(0))
    actions = global_policy.table[:, brute_force.rank((0, 0, 0), 2)].astype(int)
    assert law == pytest.approx(game.global_transition[[0, 1], actions])
    law = effective_law(game, global_policy, np.array([0.5, 0.5]), 1, np.random.default_rng(1))
    assert all(row in game.global_transition[s_g].tolist() for s_g, row in enumerate(law.tolist()))


def test_own_rewards_only(random_game: Games, random_global: GlobalPolicies) -> None:
    """r_g changes nothing."""
    game = random_game(5)
    changed = TabularGame(
        global_transition=game.global_transition,
        local_transition=game.local_transition,
        global_reward=7 - 3 * game.global_reward,
        local_reward=game.local_reward,
        discount=0.9,
    )
    global_policy = random_global(game, 2, 5)
    first, second = (l_learn(g, global_policy, method="mean_field", seed=0).policy for g in (game, changed))
    assert (first.table == second.table).all()


def test_values_are_those_of_a_fixed_point(random_game: Games) -> None:
    game = random_game(6, n_global=3)
    law = np.random.default_rng(0).dirichlet(np.ones(3), 3)
    fixed = own_action_values(game, law)
    best = fixed.values.max(axis=2)
    again = game.local_reward + 0.9 * np.einsum("xgay,gp,yp->xga", game.local_transition, law, best)
    assert fixed.converged
    assert again == pytest.approx(fixed.values, abs=1e-6)


def test_result_says_what_it_is(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    result = l_learn(game, random_global(game, 2, 0), method="mean_field", n_draws=17, seed=0)
    assert (result.deviation, result.operator, result.n_samples, result.n_agents) == ("tagged", "monte_carlo", 17, 2)
    assert result.converged
    assert np.isnan([result.value, result.certificate, result.upper_bound]).all()
    assert (result.policy.table > 0).all()


def test_same_seed_same_policy_at_any_number_seen() -> None:
    """Only the draws are random; tables over the histograms of 30 agents are no obstacle."""
    game = warehouse()
    global_policy = GlobalPolicy.named("uniform", game, 30)
    again = [l_learn(game, global_policy, method="mean_field", seed=3).policy.table for _ in range(2)]
    assert (again[0] == again[1]).all()
    heeding = GlobalPolicy(
        table=np.arange(global_policy.table.shape[1])[None, :] % 5 * np.ones((5, 1), dtype=np.int64),
        k=30,
        n_local_states=5,
        n_actions=5,
    )
    first, second = (l_learn(game, heeding, method="mean_field", seed=seed).policy.table for seed in (1, 2))
    assert (first != second).any()
    assert first == pytest.approx(second, abs=0.05)
