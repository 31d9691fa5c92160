"""TaggedAgent and Fleet on their own: who moves how, from which start, and what is paid. No chance where it can be."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from kofn.envs import DirichletStart, FixedStart, LocalPolicy, Streams, TabularGame
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.deviations import Fleet, TaggedAgent

MakeGame = Callable[..., TabularGame]


def clockwork(start: int | None = None) -> TabularGame:
    """s_g' = a_g; an agent that acts 0 stays and one that acts 1 goes to the zone numbered s_g; all rewards differ."""
    local = np.zeros((3, 3, 2, 3))
    for x, s_g in product(range(3), repeat=2):
        local[x, s_g, 0, x] = local[x, s_g, 1, s_g] = 1.0
    law = FixedStart(np.full(3, 1 / 3)) if start is None else FixedStart(np.eye(3)[start])
    return TabularGame(
        global_transition=np.broadcast_to(np.eye(3), (3, 3, 3)),
        local_transition=local,
        global_reward=np.arange(9.0).reshape(3, 3),
        local_reward=np.sqrt(np.arange(2.0, 20.0)).reshape(3, 3, 2),
        discount=0.9,
        initial_global=np.array([0.0, 1.0, 0.0]),
        initial_local=law,
    )


def tagged(game: TabularGame, n_agents: int, others: Any = "stay", seed: int = 0) -> TaggedAgent:
    policy = LocalPolicy.named(others, game) if isinstance(others, str) else others
    side = TaggedAgent(game, n_agents, policy, "multidiscrete")
    side.reset(Streams.from_seed(seed))
    return side


def fleet(game: TabularGame, n_agents: int, seed: int = 0) -> Fleet:
    side = Fleet(game, n_agents, "discrete")
    side.reset(Streams.from_seed(seed))
    return side


def play(side: Any, a_g: int, action: Any) -> Any:
    return side.step(np.array([a_g]), action)


def test_tagged_agent_moves_with_the_old_global_state() -> None:
    side = tagged(clockwork(start=0), 1)
    assert side.observe().tolist() == [0, 1]
    play(side, 2, 1)
    assert side.observe().tolist() == [1, 2]
    play(side, 0, 1)
    assert side.observe().tolist() == [2, 0]
    play(side, 1, 0)
    assert side.observe().tolist() == [2, 1]


def test_others_keep_their_policy_whatever_the_tagged_agent_does() -> None:
    game = clockwork(start=0)
    movers = LocalPolicy.from_actions(np.ones((3, 3), dtype=int), 2)
    for others, where in (("stay", 0), (movers, 1)):
        for action, own in ((0, 0), (1, 1)):
            side = tagged(game, 5, others)
            play(side, 2, action)
            expected = np.zeros(3, dtype=int)
            expected[where] += 4
            expected[own] += 1
            assert side.counts().tolist() == [expected.tolist()]
            assert side.observe().tolist() == [own, 2]


@pytest.mark.parametrize("n_agents", [1, 2, 7, 1000])
def test_counts_are_of_all_agents(n_agents: int) -> None:
    side = tagged(clockwork(), n_agents)
    for a_g in (0, 2, 1):
        before = side.counts()
        assert before.sum() == n_agents
        assert before[0, side.observe()[0]] >= 1
        before.fill(99)  # the caller's own
        assert side.counts().sum() == n_agents
        play(side, a_g, 1)


@pytest.mark.parametrize("n_agents", [1, 2, 7])
def test_payment_is_the_mean_over_all_agents(n_agents: int) -> None:
    game, rng = clockwork(), np.random.default_rng(0)
    table = LocalPolicy.from_actions(rng.integers(2, size=(3, 3)), 2)
    chosen = table.table.argmax(axis=2)
    side = tagged(game, n_agents, table, seed=1)
    for _ in range(20):
        (s_l, s_g), a_g, a_l = side.observe(), int(rng.integers(3)), int(rng.integers(2))
        others = side.counts()[0] - np.eye(3, dtype=int)[s_l]
        paid = game.local_reward[s_l, s_g, a_l]
        paid += sum(c * game.local_reward[x, s_g, chosen[x, s_g]] for x, c in enumerate(others))
        payment = play(side, a_g, a_l)
        assert payment.local_reward_mean.tolist() == pytest.approx([paid / n_agents], rel=1e-12)
        assert payment.global_reward.tolist() == [game.global_reward[s_g, a_g]]


def test_tagged_agent_starts_from_the_episodes_own_crowd(random_game: MakeGame) -> None:
    """Two agents of Dirichlet(a, .., a) over S states start together with probability (a + 1) / (S a + 1)."""
    game = random_game(0, n_local=4, initial_local=DirichletStart.symmetric(0.3, 4))
    together, n_starts = 0, 3000
    side, streams = tagged(game, 2), Streams.from_seed(5)
    for _ in range(n_starts):
        side.reset(streams)
        together += int(side.counts().max() == 2)
    chance = 1.3 / 2.2
    assert abs(together / n_starts - chance) <= 4.5 * np.sqrt(chance * (1 - chance) / n_starts)


def test_fleet_follows_one_action_per_state() -> None:
    game = clockwork()
    side = fleet(game, 30)
    counts = side.counts()[0].copy()
    assert (counts > 0).all()
    assert side.observe() == 1
    payment = play(side, 2, [1, 0, 0])  # those in zone 0 go to zone 1, the old s_g
    rewards = game.local_reward[[0, 1, 2], 1, [1, 0, 0]]
    assert payment.local_reward_mean.tolist() == pytest.approx([counts @ rewards / 30], rel=1e-12)
    assert payment.global_reward.tolist() == [game.global_reward[1, 2]]
    assert side.counts().tolist() == [[0, counts[0] + counts[1], counts[2]]]
    assert side.observe() == 2
    play(side, 0, np.array([0, 1, 0]))
    assert side.counts().tolist() == [[0, 0, 30]]


def test_refused_actions_change_nothing() -> None:
    for side, action in ((tagged(clockwork(), 5), 2), (fleet(clockwork(), 5), [0, 0, 2])):
        counts, seen = side.counts().copy(), np.copy(side.observe())
        with pytest.raises(ValueError, match="action must"):
            play(side, 0, action)
        np.testing.assert_array_equal(side.counts(), counts)
        np.testing.assert_array_equal(side.observe(), seen)


@pytest.mark.parametrize("view", [GlobalBestResponse, LocalBestResponse])
def test_views_draw_in_their_current_render_mode(view: Any) -> None:
    env = view("warehouse_dispatch", n_agents=5, k=2)
    env.reset(seed=0)
    env.render_mode = "ansi"
    assert isinstance(env.render(), str)


def test_a_table_says_how_many_agents_it_sees() -> None:
    """15 columns are the histograms of 2 agents over 5 states."""
    env = LocalBestResponse("warehouse_dispatch", n_agents=6, global_policy=np.zeros((5, 15), dtype=int))
    assert env.k == env.global_policy.k == 2


@pytest.mark.parametrize(
    "build", [Fleet, lambda game, n, mode: TaggedAgent(game, n, LocalPolicy.named("uniform", game), mode)]
)
def test_unknown_observation_modes_are_refused(build: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="obs_mode must be one of 'box', 'discrete', 'multidiscrete'; got 'image'"):
        build(clockwork(), 3, "image")
