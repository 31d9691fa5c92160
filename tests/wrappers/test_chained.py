"""The chains as environments: they play what their tables say, discount as they report, and pass others' checkers.

Laws are tested by Pearson's chi-square (cells with fewer than 5 expected pooled) at level 1e-4 and means within 4.5
standard errors, on fixed seeds.
"""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from oracle import brute_force
from scipy.stats import chi2

from kofn.envs import GAMES, DirichletStart, GlobalPolicy, TabularGame
from kofn.envs.registration import game_module, registered_game
from kofn.wrappers import HistogramChain, ReplicaChain
from kofn.wrappers.chain_values import PLACEMENTS, Discounting

MakeGame = Callable[..., TabularGame]
CHAINS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "replicas": (ReplicaChain, {"n_replicas": 3}),
    "aggregate": (HistogramChain, {"n_agents": 3, "kind": "aggregate"}),
    "tagged": (HistogramChain, {"n_agents": 3, "kind": "tagged"}),
}
MICRO_STEPS = {"replicas": 3, "aggregate": 2, "tagged": 3}
every_chain = pytest.mark.parametrize("name", CHAINS)
every_split = pytest.mark.parametrize("deciding_states", [False, True])


@pytest.fixture(scope="module")
def game(random_game: MakeGame) -> TabularGame:
    """Two states and actions each; starts are correlated."""
    return random_game(8, initial_local=DirichletStart(np.array([0.5, 1.0])))


@pytest.fixture(scope="module")
def policy() -> GlobalPolicy:
    """Stochastic; sees two of the three agents."""
    table = np.random.default_rng(0).dirichlet(np.ones(2), (2, 3))
    return GlobalPolicy(table=table, k=2, n_local_states=2, n_actions=2)


LOCAL = np.eye(2)[[[0, 1], [1, 1]]]


def make(name: str, game: TabularGame, policy: GlobalPolicy, **options: Any) -> Any:
    kind, arguments = CHAINS[name]
    return kind(game, global_policy=policy, **{**arguments, **options})


def play(env: Any, seed: int | None, n_steps: int | None = None) -> list[Any]:
    """What the environment returns to random actions, until the end unless told otherwise."""
    rng, history = np.random.default_rng(99), [env.reset(seed=seed)]
    while len(history) <= (env.horizon if n_steps is None else n_steps):
        history.append(env.step(int(rng.integers(env.action_space.n))))
    return history


def chi_square(observed: np.ndarray, law: np.ndarray) -> tuple[float, int]:
    """(statistic, degrees of freedom) of draws per cell against their law."""
    expected = law * observed.sum()
    assert observed[expected == 0].sum() == 0, "an impossible cell was drawn"
    rare = expected < 5
    pooled = [np.append(values[~rare], values[rare].sum()) for values in (observed, expected)]
    kept = pooled[1] > 0
    statistic = ((pooled[0] - pooled[1])[kept] ** 2 / pooled[1][kept]).sum()
    return float(statistic), int(kept.sum()) - 1


# What is played is what the tables say.


@every_chain
@every_split
def test_transitions_and_rewards_are_those_of_the_tables(
    game: TabularGame, policy: GlobalPolicy, name: str, deciding_states: bool
) -> None:
    env = make(name, game, policy, deciding_states=deciding_states, max_cycles=10**6)
    mdp, rng = env.mdp(), np.random.default_rng(1)
    drawn = np.zeros((mdp.n_states, mdp.n_actions, mdp.n_states))
    before, _ = env.reset(seed=2)
    for _ in range(6_000):
        action = int(rng.integers(mdp.n_actions))
        after, reward, terminated, truncated, info = env.step(action)
        assert (terminated, truncated) == (False, False)
        assert reward == pytest.approx(mdp.rewards[before, action], rel=1e-12)
        assert info["observation"] == (env.local_state[after], env.global_state[after])
        assert info["stage"] == env.stage[after]
        assert info["discount"] == env.step_discount[before]
        drawn[before, action, after] += 1
        before = after
    law = mdp.dense()
    parts = [chi_square(drawn[x, a], law[x, a]) for x, a in np.argwhere(drawn.sum(axis=2))]
    statistic, freedom = np.sum(parts, axis=0)
    assert freedom > 90
    assert chi2.sf(statistic, freedom) > 1e-4


@every_chain
def test_starts_are_those_of_the_tables(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    env = make(name, game, policy)
    env.reset(seed=3)
    starts = [env.reset() for _ in range(2000)]
    drawn = np.bincount([observation for observation, _ in starts], minlength=env.n_states)
    statistic, freedom = chi_square(drawn, env.mdp().start)
    assert freedom >= 5
    assert chi2.sf(statistic, freedom) > 1e-4
    for observation, info in starts[:20]:
        seen = (env.local_state[observation], env.global_state[observation])
        assert info == {"observation": seen, "stage": 0}


@every_chain
@every_split
def test_mean_return_is_the_potential(
    game: TabularGame, policy: GlobalPolicy, name: str, deciding_states: bool
) -> None:
    """Rewards of "horizon" are summed as they are; the policy reads info["observation"] only."""
    env = make(name, game, policy, discounting="horizon", max_cycles=4, deciding_states=deciding_states)
    actions, returns = LOCAL.argmax(axis=2), []
    _, info = env.reset(seed=4)
    for _ in range(500):
        total, truncated = 0.0, False
        while not truncated:
            _, reward, _, truncated, info = env.step(int(actions[info["observation"]]))
            total += reward
        returns.append(total)
        _, info = env.reset()
    error = np.std(returns, ddof=1) / np.sqrt(len(returns))
    assert 0 < error < 0.06
    assert abs(np.mean(returns) - env.potential(LOCAL)) < 4.5 * error


def test_simulation_agrees_with_brute_force(game: TabularGame, policy: GlobalPolicy) -> None:
    """The tables' own value is the game's, so that the comparison above is one with the game."""
    env = make("aggregate", game, policy, discounting="stage")
    exact = brute_force.potential(game, policy.probabilities(), LOCAL, 3, 2)
    assert env.potential(LOCAL) == pytest.approx(exact, abs=1e-12)


# Discounts.


@every_chain
@every_split
def test_return_is_the_same_in_every_placement(
    game: TabularGame, policy: GlobalPolicy, name: str, deciding_states: bool
) -> None:
    returns = []
    for discounting in PLACEMENTS:
        env = make(name, game, policy, discounting=discounting, max_cycles=5, deciding_states=deciding_states)
        steps = play(env, seed=5)[1:]
        discounts = np.array([step[4]["discount"] for step in steps])
        rewards = np.array([step[1] for step in steps])
        returns.append(rewards @ np.append(1, np.cumprod(discounts)[:-1]))
        if discounting == "commit":
            returns.append(env.reward_weights() @ rewards)
            assert not np.allclose(rewards @ env.reward_weights(env.horizon + 5)[5:], returns[0])
        assert env.discount == (None if discounting == "commit" else pytest.approx(discounts, abs=0))
    assert returns == pytest.approx([returns[0]] * 4, rel=1e-12)


@every_chain
def test_factors_by_hand(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    cycles, length = 4, MICRO_STEPS[name]
    plain = [step[1] for step in play(make(name, game, policy, max_cycles=cycles), seed=6)[1:]]
    for discounting in PLACEMENTS:
        env = make(name, game, policy, discounting=discounting, max_cycles=cycles)
        for tau, (_, reward, _, _, info) in enumerate(play(env, seed=6)[1:]):
            cycle, h = divmod(tau, length)
            discount, factor = {
                "commit": (0.9 if h == length - 1 else 1.0, 1.0),
                "stage": (0.9 ** (1 / length), 0.9 ** (-h / length)),
                "horizon": (1.0, 0.9**cycle),
            }[discounting]
            assert info["discount"] == pytest.approx(discount, rel=1e-15)
            assert reward == pytest.approx(factor * plain[tau], rel=1e-14)
            assert env.reward_weights()[tau] == pytest.approx(0.9**cycle, rel=1e-14)


def test_weights_of_any_horizon(game: TabularGame, policy: GlobalPolicy) -> None:
    env = make("aggregate", game, policy, max_cycles=1)
    np.testing.assert_allclose(env.reward_weights(5), [1, 1, 0.9, 0.9, 0.81], rtol=1e-15)
    with pytest.raises(ValueError, match="horizon must be at least 1; got 0"):
        env.reward_weights(0)
    with pytest.raises(ValueError, match="discounting must be one of 'commit', 'stage', 'horizon'; got 'none'"):
        Discounting("none", 0.9, 2)  # type: ignore[arg-type] # the point of the test


# Deciding states.


@every_chain
def test_choosing_comes_before_moving(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    env = make(name, game, policy, deciding_states=True, max_cycles=3)
    n_chain = env.n_states // 3
    assert env.observation_space.n == make(name, game, policy).n_states * (1 + 2)
    assert env.horizon == 3 * 2 * MICRO_STEPS[name]
    observation, info = env.reset(seed=7)
    for t in range(env.horizon // 2):
        chosen = t % 2
        node, reward, _, truncated, before = env.step(chosen)
        assert (node, reward, truncated) == (n_chain + 2 * observation + chosen, 0.0, False)
        assert before["observation"] == info["observation"], "nothing has moved"
        observation, reward, _, truncated, info = env.step(1 - chosen)
        assert reward == pytest.approx(env.mdp().rewards[node, 0])
        assert truncated == (t == env.horizon // 2 - 1)


@every_chain
def test_what_is_played_in_a_node_has_no_effect(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    first, second = (make(name, game, policy, deciding_states=True, max_cycles=5) for _ in range(2))
    first.reset(seed=8)
    second.reset(seed=8)
    for t in range(first.horizon):
        ignored = t % 2
        results = [env.step(action) for env, action in ((first, 0), (second, ignored))]
        assert data_equivalence(*results, exact=True)


# The environment.


@every_chain
@pytest.mark.parametrize(("discounting", "deciding_states"), [("commit", False), ("stage", False), ("horizon", True)])
def test_gymnasium_and_sb3_accept_the_chain(name: str, discounting: str, deciding_states: bool) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    kind, arguments = CHAINS[name]
    arguments = {**arguments, "discounting": discounting, "deciding_states": deciding_states, "max_cycles": 5}
    env = kind("warehouse_dispatch", global_policy="keep", **arguments)
    check_env(env, skip_render_check=True)
    checker.check_env(env)


@pytest.mark.parametrize("game_name", GAMES)
@pytest.mark.parametrize(
    ("view", "options"),
    [
        ("ReplicaChain", {"n_replicas": 2}),
        ("HistogramChain", {"n_agents": 2}),
        ("HistogramChain", {"n_agents": 2, "kind": "tagged"}),
        ("HistogramChain", {"n_agents": 2, "local_policy": "uniform"}),
    ],
)
def test_registered_chains(game_name: str, view: str, options: dict[str, Any]) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    make = partial(gymnasium.make, f"kofn.envs:kofn/{view}-v0", game=game_name, global_policy="uniform", **options)
    if not isinstance(registered_game(game_name), TabularGame):
        with pytest.raises(TypeError, match=f"game must have arrays .*; '{game_name}' is of type"):
            make()
        return
    env = make()
    assert env.unwrapped.max_cycles == game_module(game_name).DEFAULTS.max_cycles
    check_env(env.unwrapped, skip_render_check=True)
    checker.check_env(env.unwrapped)


@every_chain
@every_split
def test_episode_ends_after_its_macro_steps(
    game: TabularGame, policy: GlobalPolicy, name: str, deciding_states: bool
) -> None:
    env = make(name, game, policy, max_cycles=4, deciding_states=deciding_states)
    for seed in (0, None):
        ends = [step[2:4] for step in play(env, seed)[1:]]
        assert len(ends) == 4 * MICRO_STEPS[name] * (1 + deciding_states) == env.horizon
        assert ends == [(False, False)] * (env.horizon - 1) + [(False, True)]
    assert make(name, game, policy).max_cycles == 100


@every_chain
def test_same_seed_same_episodes(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    first, second = (make(name, game, policy, max_cycles=10) for _ in range(2))
    play(second, 99)
    histories = [[play(env, seed) for seed in (5, None, 5, None)] for env in (first, second)]
    assert data_equivalence(*histories, exact=True)
    assert data_equivalence(histories[0][:2], histories[0][2:], exact=True)
    assert not data_equivalence(histories[0][0], histories[0][1], exact=True)
    assert not data_equivalence(histories[0][0], play(first, 6), exact=True)


@every_chain
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
def test_copies_continue_identically_and_independently(
    game: TabularGame, policy: GlobalPolicy, name: str, clone: Any
) -> None:
    env = make(name, game, policy, max_cycles=10, deciding_states=True)
    play(env, 0, n_steps=3)
    twins = clone(env), clone(env), env
    plays = [[one.step(t % 2) for t in range(20)] for one in twins]
    assert data_equivalence(plays[0], plays[1], exact=True)
    assert data_equivalence(plays[0], plays[2], exact=True)


def test_tables_are_built_once_and_never_needed(game: TabularGame, policy: GlobalPolicy) -> None:
    small = make("replicas", game, policy)
    assert small.mdp() is small.mdp()
    for env in (
        ReplicaChain(game, global_policy=policy, n_replicas=30),
        HistogramChain(game, global_policy=policy, n_agents=100_000),
        HistogramChain(game, global_policy=policy, n_agents=100_000, kind="tagged"),
    ):
        history = play(env, 0, n_steps=40)
        assert all(step[0] in env.observation_space for step in history)
        assert len({step[0] for step in history}) > 30
        for tables in (env.mdp, lambda env=env: env.stage, lambda env=env: env.value(LOCAL)):
            with pytest.raises(ValueError, match=r"need \d+ entries \(\d+ states, 2 actions, .*more than 16777216"):
                tables()


def test_large_crowds_move_as_their_mean(game: TabularGame, policy: GlobalPolicy) -> None:
    """10^5 agents of one policy: after a macro step shares are P~-averages within 5 standard errors of a binomial."""
    env = HistogramChain(game, global_policy=policy, n_agents=100_000, max_cycles=1)
    env.reset(seed=1)
    counts, s_g = env._state.row, env._state.global_state
    for x in range(2):
        env.step(int(LOCAL[x, s_g].argmax()))
    moves = np.einsum("xa,xay->xy", LOCAL[:, s_g], game.local_transition[:, s_g])
    assert np.abs(env._state.row - counts @ moves).max() < 5 * np.sqrt(100_000 / 4)
    assert env._state.row.sum() == 100_000


# Errors.


@every_chain
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"discounting": "none"}, ValueError, "discounting must be one of 'commit', 'stage', 'horizon'; got 'none'"),
        ({"max_cycles": 0}, ValueError, "max_cycles must be at least 1; got 0"),
        ({"max_cycles": 2.5}, TypeError, r"max_cycles must be an integer; got 2\.5"),
        ({"deciding_states": 1}, TypeError, "deciding_states must be True or False; got 1"),
        ({"game": "warehouse"}, ValueError, "did you mean 'warehouse_dispatch'"),
        ({"game": 3}, TypeError, "game must be a TabularGame or a registered name; got int"),
        ({"global_policy": "chase"}, ValueError, "global_policy must be one of 'uniform', 'keep'; got 'chase'"),
    ],
)
def test_bad_arguments_are_refused(
    game: TabularGame, name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    kind, arguments = CHAINS[name]
    with pytest.raises(error, match=message):
        kind(**{"game": game, "global_policy": "keep", **arguments, **options})


@every_chain
def test_bad_policies_are_refused(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    env = make(name, game, policy)
    with pytest.raises(TypeError, match="local_policy must be given for a chain of 2 actions; got None"):
        env.value()
    with pytest.raises(ValueError, match="local policy must match the game's"):
        env.value(np.full((2, 2, 3), 1 / 3))


@every_chain
@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (2, ValueError, "action must be between 0 and 1; got 2"),
        (-1, ValueError, "action must be between 0 and 1; got -1"),
        (1.0, TypeError, r"action must be an integer; got 1\.0"),
        (None, TypeError, "action must be an integer; got None"),
    ],
)
def test_bad_actions_are_refused_and_change_nothing(
    game: TabularGame, policy: GlobalPolicy, name: str, action: Any, error: type[Exception], message: str
) -> None:
    env, twin = make(name, game, policy), make(name, game, policy)
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(error, match=message):
        env.step(action)
    assert data_equivalence([env.step(0) for _ in range(5)], [twin.step(0) for _ in range(5)], exact=True)


@every_chain
def test_nothing_before_reset(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        make(name, game, policy).step(0)


@every_chain
def test_nothing_after_the_end(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    env = make(name, game, policy, max_cycles=2)
    play(env, seed=0)
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before the next step\(\)"):
        env.step(0)
    env.reset()
    assert not env.step(0)[3]
