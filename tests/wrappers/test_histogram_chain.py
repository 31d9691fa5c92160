"""The histogram chains against their definition written out state by state, and against the game of N agents."""

from collections.abc import Callable
from functools import partial
from itertools import product
from math import comb
from typing import Any

import numpy as np
import pytest
from oracle import brute_force, chains

from kofn.envs import DirichletStart, GlobalPolicy, TabularGame
from kofn.envs.histograms import n_histograms
from kofn.wrappers import HistogramChain, ReplicaChain
from kofn.wrappers.histogram_chain import KINDS

MakeGame = Callable[..., TabularGame]
# (N, k, |S_g|, |S_l|)
SETTINGS = [
    *[(n, k, 2, 2) for n in range(1, 5) for k in range(1, n + 1)],
    (2, 1, 3, 3),
    (3, 2, 2, 3),
    (2, 2, 2, 4),
    (2, 2, 1, 3),
    (2, 1, 2, 1),
]
every_setting = pytest.mark.parametrize(("n", "k", "n_global", "n_local"), SETTINGS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def make_game(make: MakeGame, n_global: int, n_local: int, discount: float = 0.9) -> TabularGame:
    """Starts are correlated."""
    return make(5, n_global, n_local, discount=discount, initial_local=DirichletStart(np.arange(1, n_local + 1) / 2))


def make_global(seed: int, game: TabularGame, k: int) -> GlobalPolicy:
    """Stochastic."""
    shape = (game.n_global_states, n_histograms(k, game.n_local_states))
    table = np.random.default_rng(seed).dirichlet(np.ones(game.n_global_actions), shape)
    return GlobalPolicy(table=table, k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions)


def make_local(seed: int, game: TabularGame, deterministic: bool) -> np.ndarray:
    rng, shape = np.random.default_rng(seed), game.local_reward.shape
    if deterministic:
        return np.eye(shape[2])[rng.integers(shape[2], size=shape[:2])]
    return rng.dirichlet(np.ones(shape[2]), shape[:2])


def definition(game: TabularGame, policy: GlobalPolicy, n: int, kind: str) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """(states, P, r) of the oracle."""
    states = chains.histogram_states(game, n, kind == "tagged")
    step = partial(chains.histogram_step, game, policy.probabilities(), policy.k, n)
    return states, *chains.tables(game, states, step)


def expected_number(n: int, n_global: int, n_local: int, kind: str) -> int:
    """Number of legal states by the formula."""
    tags, counted = (n_local, n - 1) if kind == "tagged" else (1, n)
    whole = comb(counted + n_local - 1, n_local - 1)
    swept = sum(comb(counted + 2 * n_local - b - 1, 2 * n_local - b - 1) for b in range(1, n_local))
    # The tagged agent's stage has no pending state; the first bin then does.
    first = n_global * whole * (1 + n_global) if kind == "tagged" else n_global * whole
    return tags * (first + n_global**2 * swept)


@every_kind
@every_setting
def test_tables_are_the_chain_of_the_definition(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int, kind: Any
) -> None:
    game = make_game(random_game, n_global, n_local)
    policy = make_global(1, game, k)
    states, transition, rewards = definition(game, policy, n, kind)
    chain = HistogramChain(game, global_policy=policy, n_agents=n, kind=kind)
    assert chain.n_states == len(states) == expected_number(n, n_global, n_local, kind)
    mdp = chain.mdp()
    np.testing.assert_allclose(mdp.dense(), transition, rtol=0, atol=1e-14)
    np.testing.assert_allclose(mdp.rewards, rewards, rtol=0, atol=1e-14)
    observed = list(zip(chain.local_state.tolist(), chain.global_state.tolist(), strict=True))
    assert observed == [chains.histogram_observation(state) for state in states]
    assert chain.stage.tolist() == [state[0] for state in states]
    assert chain.n_stages == n_local + (kind == "tagged")


@every_kind
@every_setting
def test_every_state_is_reachable(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int, kind: Any
) -> None:
    game = make_game(random_game, n_global, n_local)
    chain = HistogramChain(game, global_policy=make_global(1, game, k), n_agents=n, kind=kind)
    mdp = chain.mdp()
    reached = mdp.start > 0
    for _ in range(2 * chain.n_stages):
        reached[mdp.successors[reached][mdp.probabilities[reached] > 0]] = True
    assert reached.all()


@pytest.mark.parametrize("deterministic", [False, True])
@every_kind
@every_setting
def test_potential_is_that_of_the_game(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int, kind: Any, deterministic: bool
) -> None:
    """Deterministic policies act per bin; stochastic ones move bins by the mixture kernel."""
    game = make_game(random_game, n_global, n_local, discount=0.6)
    policy, local = make_global(2, game, k), make_local(3, game, deterministic)
    expected = brute_force.potential(game, policy.probabilities(), local, n, k)
    for placement, deciding_states in product(("commit", "stage", "horizon"), (False, True)):
        chain = HistogramChain(
            game,
            global_policy=policy,
            n_agents=n,
            kind=kind,
            discounting=placement,
            max_cycles=75,  # 0.6^75 of a value below 5 is below rounding
            deciding_states=deciding_states,
        )
        assert chain.induced(local).potential() == pytest.approx(expected, abs=1e-12)
        if deterministic:
            assert chain.potential(local) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("deterministic", [False, True])
@every_setting
def test_value_from_every_state(
    random_game: MakeGame, n: int, k: int, n_global: int, n_local: int, deterministic: bool
) -> None:
    """V(s_g, c) of the aggregate chain; of the tagged one after averaging over the tag."""
    game = make_game(random_game, n_global, n_local)
    policy, local = make_global(4, game, k), make_local(5, game, deterministic)
    options: dict[str, Any] = {"global_policy": policy, "n_agents": n, "local_policy": local}
    aggregate, tagged = (HistogramChain(game, kind=kind, **options).value() for kind in KINDS)
    number = {state: i for i, state in enumerate(chains.histogram_states(game, n, tagged=True))}
    histograms = brute_force.count_vectors(n, n_local)
    value = brute_force.values(game, policy.probabilities(), local, n, k)[0]
    for (s_g, *agents), exact in zip(brute_force.joint_states(game, n), value, strict=True):
        counts = brute_force.counts_of(tuple(agents), n_local)
        assert aggregate[s_g * len(histograms) + histograms.index(counts)] == pytest.approx(exact, abs=1e-12)
        average = 0.0
        for x in set(agents):
            others = tuple(c - (y == x) for y, c in enumerate(counts))
            average += counts[x] / n * tagged[number[0, s_g, None, x, others]]
        assert average == pytest.approx(exact, abs=1e-12)


def test_following_one_agent_is_not_the_game_itself(random_game: MakeGame) -> None:
    """Without averaging over the tag the tagged chain's values differ from the game's."""
    game = make_game(random_game, 2, 2)
    policy, local = make_global(4, game, 3), make_local(5, game, deterministic=True)
    value = HistogramChain(game, global_policy=policy, kind="tagged").value(local)
    number = {state: i for i, state in enumerate(chains.histogram_states(game, 3, tagged=True))}
    # Two agents in state 0 and one in state 1: whom one follows matters.
    assert abs(value[number[0, 0, None, 0, (1, 1)]] - value[number[0, 0, None, 1, (2, 0)]]) > 1e-2


@every_kind
def test_one_action_per_bin_is_wrong_for_stochastic_policies(kind: Any) -> None:
    """By the oracle's tables alone: agents of a bin that share one draw are correlated, and pi_g is paid for that.

    Action a takes an agent to state a; the global agent plays 1, which pays 1, when all four stand together.
    """
    table = np.zeros((2, 5), dtype=int)
    table[:, [0, 4]] = 1
    policy = GlobalPolicy(table=table, k=4, n_local_states=2, n_actions=2)
    game = TabularGame(
        global_transition=np.tile(np.array([[0.9, 0.1], [0.1, 0.9]]), (2, 1, 1)),
        local_transition=np.tile(np.array([[0.9, 0.1], [0.1, 0.9]]), (2, 2, 1, 1)),
        global_reward=np.array([[0.0, 1.0], [0.0, 1.0]]),
        local_reward=np.zeros((2, 2, 2)),
        discount=0.9,
    )
    local = np.full((2, 2, 2), 0.5)
    exact = brute_force.potential(game, policy.probabilities(), local, 4, 4)
    states, transition, rewards = definition(game, policy, 4, kind)
    chain = HistogramChain(game, global_policy=policy, kind=kind)
    # The uniform policy averages over actions whatever it sees.
    moves, paid = transition.mean(axis=1), rewards.mean(axis=1)
    last = 1 + (kind == "tagged")
    kept = np.array([0.9 if state[0] == last else 1.0 for state in states])
    per_bin = chain.mdp().start @ np.linalg.solve(np.eye(len(states)) - kept[:, None] * moves, paid)
    assert abs(per_bin - exact) > 1e-1
    assert chain.induced(local).potential() == pytest.approx(exact, abs=1e-12)
    assert ReplicaChain(game, global_policy=policy).potential(local) == pytest.approx(exact, abs=1e-12)


def test_per_bin_error_on_random_games(random_game: MakeGame) -> None:
    """The same on games without a design: small, but no rounding."""
    errors = []
    for seed in range(5):
        game = random_game(seed, 2, 2)
        policy, local = make_global(seed, game, 3), make_local(seed, game, deterministic=False)
        states, transition, rewards = definition(game, policy, 3, "aggregate")
        seen = np.array([chains.histogram_observation(state) for state in states])
        weights = local[seen[:, 0], seen[:, 1]]
        moves, paid = np.einsum("sa,sap->sp", weights, transition), (weights * rewards).sum(axis=1)
        kept = np.array([0.9 if state[0] == 1 else 1.0 for state in states])
        per_bin = np.linalg.solve(np.eye(len(states)) - kept[:, None] * moves, paid)
        chain = HistogramChain(game, global_policy=policy, local_policy=local)
        errors.append(np.abs(per_bin - chain.value()).max())
    assert max(errors) > 1e-3
    assert min(errors) > 1e-9


@every_kind
def test_stochastic_policies_are_refused(random_game: MakeGame, kind: Any) -> None:
    game = random_game(0)
    chain = HistogramChain(game, global_policy="keep", n_agents=2, kind=kind)
    local = np.eye(2)[np.zeros((2, 2), dtype=int)]
    chain.value(local)
    local[1, 0] = 0.25, 0.75
    for evaluate in (chain.value, chain.potential, chain.state_policy):
        with pytest.raises(ValueError, match=r"one action, which is wrong .*induced.*entry \[1, 0, 0\] is 0.25"):
            evaluate(local)


@every_kind
def test_induced_chain_keeps_the_settings(random_game: MakeGame, kind: Any) -> None:
    game = random_game(0, n_local_actions=3)
    policy = make_global(0, game, 2)
    options: dict[str, Any] = {"n_agents": 3, "discounting": "stage", "max_cycles": 7, "deciding_states": True}
    chain = HistogramChain(game, global_policy=policy, kind=kind, **options)
    induced = chain.induced("uniform")
    assert induced.action_space.n == 1
    assert chain.action_space.n == 3
    for name in ("global_policy", "kind", "n_agents", "max_cycles", "deciding_states", "n_stages", "horizon"):
        assert getattr(induced, name) == getattr(chain, name)
    assert induced.discounting == chain.discounting
    direct = HistogramChain(game, global_policy=policy, kind=kind, local_policy="uniform", **options)
    np.testing.assert_array_equal(direct.value(), induced.value())
    np.testing.assert_array_equal(direct.game.initial_global, game.initial_global)
    assert direct.game.initial_local is game.initial_local


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "both"}, ValueError, "kind must be one of 'aggregate', 'tagged'; got 'both'"),
        ({"n_agents": 1}, ValueError, "n_agents must be at least k=2, the agents the global policy sees; got 1"),
        ({"n_agents": True}, TypeError, "n_agents must be an integer; got True"),
        ({"local_policy": "chase"}, ValueError, "local_policy must be one of 'uniform', 'stay'; got 'chase'"),
        ({"local_policy": np.full((2, 2, 3), 1 / 3)}, ValueError, "local policy must match the game's"),
        ({"n_agents": 10**9}, ValueError, "of 1000000000 agents .* has 2000000008000000006 states, more than the 72"),
    ],
)
def test_bad_arguments_are_refused(
    random_game: MakeGame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"global_policy": np.zeros((2, 3), int), **options}
    with pytest.raises(error, match=message):
        HistogramChain(random_game(0), **arguments)
