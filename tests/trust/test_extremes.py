"""The smallest and the largest: one agent, one state, one action; a billion agents lumped, a million one by one."""

from collections.abc import Callable
from itertools import product
from math import comb

import numpy as np
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, evaluate, g_learn, l_learn, nash_gap, subsample_mfq
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.arrays import magnitude
from kofn.envs.histograms import n_histograms
from kofn.envs.simulator import IndividualSimulator, LumpedSimulator
from kofn.envs.streams import Streams
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]


@pytest.mark.parametrize("sizes", list(product([1, 2], repeat=4)), ids=str)
def test_one_agent_and_single_states_and_actions(random_game: Games, sizes: tuple[int, ...]) -> None:
    game = random_game(5, *sizes, discount=0.5)
    env = SubsampleObservation(PopulationEnv(game, n_agents=1, max_cycles=3), k=1)
    observations, _ = env.reset(seed=0)
    result = AlternatingMARL(env, AlternatingConfig(evaluation="exact", eta=1e-6), seed=0).learn()
    model = AlternatingMARL(env, global_policy=result.global_policy, local_policy=result.local_policy)
    while env.agents:
        observations, *_ = env.step(model.predict(observations))
    gap = nash_gap(game, result.global_policy, result.local_policy, n_agents=1, seed=0)
    # One agent, seen: both players know everything, and the alternation ends where neither gains.
    assert result.converged
    assert gap.global_gap.upper <= 1e-5
    assert gap.local_gap.lower <= 1e-5


def test_where_nothing_can_be_chosen_the_value_is_the_rewards(random_game: Games) -> None:
    game = random_game(6, 1, 1, 1, 1, discount=0.75)
    value = 4 * (game.global_reward.item() + game.local_reward.item())
    uniform, keep = LocalPolicy.named("uniform", game), GlobalPolicy.named("keep", game, 1)
    assert g_learn(game, uniform, k=1).q_values.item() == pytest.approx(value, abs=1e-5)
    assert l_learn(game, keep).value == pytest.approx(value, abs=1e-5)
    assert subsample_mfq(game, k=1).values.item() == pytest.approx(value, abs=1e-5)


def test_a_billion_agents_lumped(random_game: Games) -> None:
    game = random_game(7, n_local=3)
    simulator = LumpedSimulator(game, 10**9, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    old = simulator.counts / 10**9
    seen = simulator.global_states
    simulator.step(np.zeros(2, dtype=np.int64), LocalPolicy.named("uniform", game).table)
    assert (simulator.counts.sum(axis=1) == 10**9).all()
    moves = game.local_transition.mean(axis=2)
    expected = np.stack([share @ moves[:, s_g] for share, s_g in zip(old, seen, strict=True)])
    # Six standard deviations of a share of 10^9 agents: at most 6 sqrt(1/4 / 10^9).
    np.testing.assert_allclose(simulator.counts / 10**9, expected, rtol=0, atol=3 / np.sqrt(10**9))
    keep, uniform = GlobalPolicy.named("keep", game, 2), LocalPolicy.named("uniform", game)
    assert np.isfinite(evaluate(game, keep, uniform, 10**9, horizon=5, n_rollouts=3, seed=0).returns).all()


def test_a_million_agents_one_by_one(random_game: Games) -> None:
    game = random_game(8, n_local=3)
    simulator = IndividualSimulator(game, 10**6)
    simulator.reset(Streams.from_seed(0))
    payment = simulator.step(np.zeros(1, dtype=np.int64), np.zeros((1, 10**6), dtype=np.int64))
    assert simulator.counts().sum() == 10**6
    assert payment.local_reward_mean[0] == pytest.approx(simulator.local_rewards.mean(), abs=1e-12)


@pytest.mark.parametrize(("k", "n_states"), [(200, 10), (10**6, 10**3), (10**12, 10**6)])
def test_what_cannot_fit_is_refused_at_once(random_game: Games, k: int, n_states: int) -> None:
    game = random_game(9, n_local=10)
    if n_states == 10:
        uniform = LocalPolicy.named("uniform", game)
        size = magnitude(2 * 2 * comb(209, 9))
        with pytest.raises(ValueError, match=rf"k=200 needs a table of {size} entries .* use a smaller k"):
            g_learn(game, uniform, k=k)
    with pytest.raises(ValueError, match=r"too many to count|must have shape"):
        GlobalPolicy(table=np.zeros((1, 1), dtype=np.int64), k=k, n_local_states=n_states, n_actions=2)
    assert n_histograms(200, 10) == comb(209, 9)
