"""Chains of a game that can only be sampled: the laws and mean rewards of the tables of the same game as arrays.

Laws are tested by Pearson's chi-square (cells with fewer than 5 expected pooled) at level 1e-4 and means within 4.5
standard errors, on fixed seeds.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from scipy.stats import chi2

from kofn.envs import DirichletStart, GenerativeGame, GlobalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.wrappers import HistogramChain, ReplicaChain

CHAINS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "replicas": (ReplicaChain, {"n_replicas": 3}),
    "aggregate": (HistogramChain, {"n_agents": 3, "kind": "aggregate"}),
    "tagged": (HistogramChain, {"n_agents": 3, "kind": "tagged"}),
}
every_chain = pytest.mark.parametrize("name", CHAINS)


@pytest.fixture(scope="module")
def game(random_game: Callable[..., TabularGame]) -> TabularGame:
    """Two states and actions each; starts are correlated."""
    return random_game(8, initial_local=DirichletStart(np.array([0.5, 1.0])))


@pytest.fixture(scope="module")
def policy() -> GlobalPolicy:
    """Stochastic; sees two of the three agents."""
    table = np.random.default_rng(0).dirichlet(np.ones(2), (2, 3))
    return GlobalPolicy(table=table, k=2, n_local_states=2, n_actions=2)


def make(name: str, game: TabularGame | GenerativeGame, policy: GlobalPolicy, **options: Any) -> Any:
    kind, arguments = CHAINS[name]
    return kind(game, global_policy=policy, **{**arguments, **options})


def surprise(observed: FloatArray, law: FloatArray) -> tuple[float, int]:
    """(Pearson's statistic, degrees of freedom) of draws per cell against their law."""
    expected = law * observed.sum()
    assert observed[expected == 0].sum() == 0, "an impossible cell was drawn"
    rare = expected < 5
    pooled = [np.append(values[~rare], values[rare].sum()) for values in (observed, expected)]
    kept = pooled[1] > 0
    return float(((pooled[0] - pooled[1])[kept] ** 2 / pooled[1][kept]).sum()), int(kept.sum()) - 1


@every_chain
def test_steps_have_the_law_and_mean_reward_of_the_tables(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    env = make(name, GenerativeGame.from_tables(game), policy, max_cycles=10**6)
    known = make(name, game, policy)
    mdp, rng = known.mdp(), np.random.default_rng(1)
    assert env.n_states == mdp.n_states
    drawn, excess = np.zeros((mdp.n_states, mdp.n_actions, mdp.n_states)), []
    before, _ = env.reset(seed=2)
    for _ in range(2_000):
        action = int(rng.integers(mdp.n_actions))
        after, reward, terminated, truncated, info = env.step(action)
        assert (terminated, truncated) == (False, False)
        assert info["observation"] == (known.local_state[after], known.global_state[after])
        drawn[before, action, after] += 1
        excess.append(reward - mdp.rewards[before, action])
        if known.stage[before] > 0:  # the payments of local agents are certain in this game
            assert reward == pytest.approx(mdp.rewards[before, action], rel=1e-12)
        before = after
    law = mdp.dense()
    parts = [surprise(drawn[x, a], law[x, a]) for x, a in np.argwhere(drawn.sum(axis=2))]
    statistic, freedom = np.sum(parts, axis=0)
    assert freedom > 50
    assert chi2.sf(statistic, freedom) > 1e-4
    assert np.std(excess) > 0  # r_g is drawn
    assert abs(np.mean(excess)) < 4.5 * np.std(excess) / np.sqrt(len(excess))


@pytest.mark.parametrize("kind", ["aggregate", "tagged"])
def test_induced_chain_pays_what_a_stochastic_policy_is_worth(
    random_game: Callable[..., TabularGame], policy: GlobalPolicy, kind: Any
) -> None:
    """Discounted returns of `cycles` macro steps; the rest is at most gamma^cycles r~/(1-gamma)."""
    game = random_game(8, discount=0.5, initial_local=DirichletStart(np.array([0.5, 1.0])))
    cycles, n_episodes, table = 8, 120, np.random.default_rng(3).dirichlet(np.ones(2), (2, 2))
    oracle = GenerativeGame.from_tables(game)
    env = HistogramChain(oracle, global_policy=policy, n_agents=3, kind=kind, max_cycles=cycles).induced(table)
    exact = HistogramChain(game, global_policy=policy, n_agents=3, kind=kind).induced(table).potential()
    env.reset(seed=5)
    returns, weights = [], env.reward_weights()
    for _ in range(n_episodes):
        env.reset()
        returns.append(sum(weight * env.step(0)[1] for weight in weights))
    left_out = game.discount**cycles * game.value_bound
    assert left_out < 0.02
    assert abs(np.mean(returns) - exact) < 4.5 * np.std(returns) / np.sqrt(n_episodes) + left_out


@every_chain
def test_checked_by_gymnasium_and_repeated_by_a_seed(game: TabularGame, policy: GlobalPolicy, name: str) -> None:
    oracle = GenerativeGame.from_tables(game)
    check_env(make(name, oracle, policy), skip_render_check=True)

    def play() -> list[Any]:
        env = make(name, oracle, policy)
        return [env.reset(seed=4), *(env.step(a) for a in (0, 1, 1, 0, 1, 0, 0))]

    assert data_equivalence(play(), play(), exact=True)


def test_registered_chain_takes_an_oracle(game: TabularGame, policy: GlobalPolicy) -> None:
    env = gymnasium.make(
        "kofn.envs:kofn/ReplicaChain-v0", game=GenerativeGame.from_tables(game), global_policy=policy, n_replicas=3
    )
    observation, _ = env.reset(seed=1)
    assert observation in env.observation_space
    assert env.step(0)[0] in env.observation_space


def test_tables_and_values_are_refused(game: TabularGame, policy: GlobalPolicy) -> None:
    chain = make("replicas", GenerativeGame.from_tables(game), policy)
    for ask in (chain.mdp, lambda: chain.value("uniform"), lambda: chain.potential("uniform")):
        with pytest.raises(TypeError, match=r"a GenerativeGame only gives samples; play it with step\(\), or use"):
            ask()
