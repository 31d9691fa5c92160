"""The replica chain against its definition written out state by state, and against the game of N agents."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from oracle import brute_force, chains

from kofn.envs import DirichletStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.histograms import n_histograms
from kofn.wrappers import ReplicaChain

MakeGame = Callable[..., TabularGame]
# (N, k, |S_g|, |S_l|)
SETTINGS = [
    *[(n, k, 2, 2) for n in range(1, 5) for k in range(1, n + 1)],
    (1, 1, 3, 3),
    (2, 1, 3, 3),
    (2, 2, 2, 3),
    (3, 2, 3, 2),
    (2, 1, 1, 2),
    (2, 2, 2, 1),
]
every_setting = pytest.mark.parametrize(("n", "k", "n_global", "n_local"), SETTINGS)


def make_policies(seed: int, game: TabularGame, k: int, deterministic: bool) -> tuple[GlobalPolicy, np.ndarray]:
    """A stochastic global policy, and a stochastic or deterministic local one."""
    rng = np.random.default_rng(seed)
    shape = (game.n_global_states, n_histograms(k, game.n_local_states))
    table = rng.dirichlet(np.ones(game.n_global_actions), shape)
    n_actions = game.n_local_actions
    local = rng.dirichlet(np.ones(n_actions), game.local_reward.shape[:2])
    if deterministic:
        local = np.eye(n_actions)[rng.integers(n_actions, size=local.shape[:2])]
    sizes = {"k": k, "n_local_states": game.n_local_states, "n_actions": game.n_global_actions}
    return GlobalPolicy(table=table, **sizes), local


def make_game(make: MakeGame, n_global: int, n_local: int, discount: float = 0.9) -> TabularGame:
    """Starts are correlated."""
    start = DirichletStart(np.arange(1, n_local + 1) / 2)
    n_actions = 2 if n_global == n_local else 3
    return make(7, n_global, n_local, n_local_actions=n_actions, discount=discount, initial_local=start)


def returns(game: TabularGame, policy: GlobalPolicy, local: np.ndarray, n: int, cycles: int) -> list[np.ndarray]:
    """Discounted returns of 0, 1, .., `cycles` steps from every joint state."""
    states = brute_force.joint_states(game, n)
    chosen = [brute_force.global_law(policy.probabilities(), s, game.n_local_states, policy.k) for s in states]
    decisions = [brute_force.decision(game, n, local, a_g) for a_g in range(game.n_global_actions)]
    moves = np.einsum("sa,asp->sp", chosen, [decision[0] for decision in decisions])
    paid = np.einsum("sa,as->s", chosen, [decision[1] for decision in decisions])
    values = [np.zeros(len(states))]
    for _ in range(cycles):
        values.append(paid + game.discount * moves @ values[-1])
    return values


@every_setting
def test_tables_are_the_chain_of_the_definition(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int
) -> None:
    game = make_game(random_game, n_global, n_local)
    policy, _ = make_policies(1, game, k, deterministic=False)
    states = chains.replica_states(game, n)
    transition, rewards = chains.tables(game, states, partial(chains.replica_step, game, policy.probabilities(), k))
    chain = ReplicaChain(game, global_policy=policy, n_replicas=n)
    assert chain.n_states == len(states) == n_global * n_local**n * (1 + (n - 1) * n_global)
    mdp = chain.mdp()
    np.testing.assert_allclose(mdp.dense(), transition, rtol=0, atol=1e-14)
    np.testing.assert_allclose(mdp.rewards, rewards, rtol=0, atol=1e-14)
    observed = list(zip(chain.local_state.tolist(), chain.global_state.tolist(), strict=True))
    assert observed == [chains.replica_observation(state) for state in states]
    assert chain.stage.tolist() == [state[0] for state in states]
    start = brute_force.start_law(game, n)
    np.testing.assert_allclose(mdp.start, [*start, *[0] * (len(states) - len(start))], rtol=0, atol=1e-14)


@every_setting
def test_every_state_is_reachable(random_game: MakeGame, n: int, k: int, n_global: int, n_local: int) -> None:
    game = make_game(random_game, n_global, n_local)
    policy, _ = make_policies(1, game, k, deterministic=False)
    mdp = ReplicaChain(game, global_policy=policy, n_replicas=n).mdp()
    reached = mdp.start > 0
    for _ in range(2 * n):
        reached[mdp.successors[reached][mdp.probabilities[reached] > 0]] = True
    assert reached.all()


@pytest.mark.parametrize("deterministic", [False, True])
@every_setting
def test_value_is_that_of_the_game(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int, deterministic: bool
) -> None:
    game = make_game(random_game, n_global, n_local)
    policy, local = make_policies(2, game, k, deterministic)
    value, potential = brute_force.values(game, policy.probabilities(), local, n, k)
    for placement, deciding_states in product(("commit", "stage"), (False, True)):
        chain = ReplicaChain(
            game, global_policy=policy, n_replicas=n, discounting=placement, deciding_states=deciding_states
        )
        np.testing.assert_allclose(chain.value(local)[: len(value)], value, rtol=0, atol=1e-12)
        assert chain.potential(local) == pytest.approx(potential, abs=1e-12)


@pytest.mark.parametrize("deterministic", [False, True])
@every_setting
def test_horizon_value_is_that_of_the_first_steps(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int, deterministic: bool
) -> None:
    game = make_game(random_game, n_global, n_local, discount=0.5)
    policy, local = make_policies(3, game, k, deterministic)
    expected = returns(game, policy, local, n, 60)
    for cycles, deciding_states in product((1, 3, 60), (False, True)):
        chain = ReplicaChain(
            game,
            global_policy=policy,
            n_replicas=n,
            discounting="horizon",
            max_cycles=cycles,
            deciding_states=deciding_states,
        )
        value = chain.value(local)[: len(expected[cycles])]
        np.testing.assert_allclose(value, expected[cycles], rtol=0, atol=1e-12)
    # 0.5^60 of a value below 4 is below rounding.
    assert chain.potential(local) == pytest.approx(
        ReplicaChain(game, global_policy=policy, n_replicas=n).potential(local), abs=1e-12
    )


def test_value_within_a_macro_step(random_game: MakeGame) -> None:
    """At stage h the constant discount counts in units of beta^-h; choosing an action loses nothing."""
    game = make_game(random_game, 2, 2)
    policy, local = make_policies(4, game, 2, deterministic=False)
    options: dict[str, Any] = {"global_policy": policy, "n_replicas": 3}
    commit, stage = ReplicaChain(game, **options), ReplicaChain(game, discounting="stage", **options)
    units = 0.9 ** (-commit.stage / 3)
    np.testing.assert_allclose(stage.value(local), units * commit.value(local), rtol=1e-13)
    split = ReplicaChain(game, deciding_states=True, **options)
    np.testing.assert_allclose(split.value(local)[: commit.n_states], commit.value(local), rtol=1e-13)


def test_what_a_policy_may_not_see_is_worth_something(random_game: MakeGame) -> None:
    """The optimum over all chain states exceeds every policy of (s_h, s_g): the labels of o(x) matter."""
    game = random_game(11, 2, 2)
    policy, _ = make_policies(5, game, 2, deterministic=True)
    chain = ReplicaChain(game, global_policy=policy)
    mdp, value = chain.mdp(), np.zeros(chain.n_states)
    for _ in range(1000):
        value = (mdp.rewards + chain.step_discount[:, None] * mdp.expect(value)).max(axis=1)
    best = max(chain.potential(local) for local in brute_force.deterministic_local_policies(game))
    assert best == pytest.approx(brute_force.best_local_response(game, policy.probabilities(), 2, 2)[1], abs=1e-12)
    assert mdp.start @ value > best + 1e-3


def test_policies_as_objects_tables_and_names(random_game: MakeGame) -> None:
    game = random_game(1)
    policy, local = make_policies(1, game, 2, deterministic=True)
    for given in (policy, policy.table, policy.table.tolist()):
        chain = ReplicaChain(game, global_policy=given)
        assert (chain.global_policy.k, chain.n_agents) == (2, 2), "a table's columns tell k"
        for also in (local, LocalPolicy(local), local.tolist()):
            assert chain.potential(also) == ReplicaChain(game, global_policy=policy).potential(local)
    named = ReplicaChain(game, global_policy="keep", n_replicas=3)
    assert (named.global_policy.k, named.n_agents) == (1, 3)
    # A global policy that heeds nobody makes the agents independent: their number does not matter.
    assert named.potential("uniform") == pytest.approx(ReplicaChain(game, global_policy="keep").potential("uniform"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"n_replicas": 1},
            ValueError,
            "n_replicas must be at least k=2, the agents the global policy sees; got 1",
        ),
        ({"n_replicas": 0}, ValueError, "n_replicas must be at least 1; got 0"),
        ({"n_replicas": 2.0}, TypeError, r"n_replicas must be an integer; got 2\.0"),
        ({"n_replicas": 70}, ValueError, r"a chain of 70 agents over 2 local states has \d+ states, more than the 72"),
        ({"global_policy": "stay"}, ValueError, "global_policy must be one of 'uniform', 'keep'; got 'stay'"),
        ({"global_policy": np.zeros((3, 3), int)}, ValueError, "global policy must match the game's"),
        ({"global_policy": np.zeros(3, int)}, ValueError, "an action table must have shape"),
        ({"global_policy": np.full((2, 3), 2)}, ValueError, r"actions must lie in \[0, 2\)"),
    ],
)
def test_bad_arguments_are_refused(
    random_game: MakeGame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"global_policy": np.zeros((2, 3), int), **options}
    with pytest.raises(error, match=message):
        ReplicaChain(random_game(0), **arguments)
