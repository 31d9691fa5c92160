"""Simulators, environments and views of agents pay what a RewardLaw draws, and move as if it did not.

Moments are within 5 standard errors (chance of a false alarm: 6e-7), laws pass chi-square tests at p > 1e-4.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from lotteries import GLOBAL, LOCAL, check_sums, gamble, law_of_total, lottery
from pettingzoo.test import parallel_api_test

from kofn.envs import IndividualSimulator, LocalPolicy, LumpedSimulator, PopulationEnv, Streams, TabularGame
from kofn.envs.simulator import LocalTiming
from kofn.wrappers.deviations import Fleet, TaggedAgent
from kofn.wrappers.subsample import SubsampleObservation

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]
BOTH: list[Any] = [IndividualSimulator, LumpedSimulator]


def step_from(
    make: Any, game: TabularGame, s_g: int, states: list[int], a_g: int, actions: list[list[int]], n: int
) -> Any:
    """(simulator, payment) of one step of n populations; action of an agent: actions[s_l][s_g]."""
    simulator = make(game, len(states), n_populations=n)
    simulator.reset(Streams.from_seed(7))
    simulator.global_states = np.full(n, s_g)
    chosen = np.array(actions)
    if make is LumpedSimulator:
        simulator.counts = np.tile(np.bincount(states, minlength=2), (n, 1))
        return simulator, simulator.step(np.full(n, a_g), np.eye(2)[chosen])
    simulator.local_states = np.tile(states, (n, 1))
    return simulator, simulator.step(np.full(n, a_g), np.tile(chosen[states, s_g], (n, 1)))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(("s_g", "a_g"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_payments_follow_the_laws_jointly(
    make: Any, s_g: int, a_g: int, random_game: RandomGame, assert_law: AssertLaw
) -> None:
    """(r_g, sum of r_l) of agents in states 0, 1, 1 that act 1 - s_g: independent, for the states before the move."""
    game, n = lottery(random_game), 20_000
    a_l = 1 - s_g
    _, payment = step_from(make, game, s_g, [0, 1, 1], a_g, [[1, 0], [1, 0]], n)
    local = law_of_total(LOCAL, [(x, s_g, a_l) for x in (0, 1, 1)])
    totals = np.round(payment.local_reward_mean * 3 * 2) / 2
    np.testing.assert_allclose(totals, payment.local_reward_mean * 3, rtol=1e-14, atol=1e-14)
    found = [[((payment.global_reward == v) & (totals == t)).sum() for t in local] for v in GLOBAL.values[s_g, a_g]]
    assert np.sum(found) == n
    assert_law(found, np.outer(GLOBAL.probabilities[s_g, a_g], list(local.values())))


@pytest.mark.parametrize("timing", ["paper", "code"])
def test_agents_are_paid_one_by_one(timing: LocalTiming, random_game: RandomGame, assert_law: AssertLaw) -> None:
    """Each agent by the law of its own state and action under the old s_g; neighbours' rewards are independent."""
    game, n = lottery(random_game), 20_000
    simulator = IndividualSimulator(game, 2, n_populations=n, local_timing=timing)
    simulator.reset(Streams.from_seed(8))
    simulator.global_states = np.full(n, 1)
    simulator.local_states = np.tile([0, 1], (n, 1))
    payment = simulator.step(np.zeros(n, dtype=np.int64), np.tile([1, 0], (n, 1)))
    first, second = (0, 1, 1), (1, 1, 0)
    paid = simulator.local_rewards
    np.testing.assert_array_equal(payment.local_reward_mean, paid.mean(axis=1))
    found = [[((paid[:, 0] == u) & (paid[:, 1] == v)).sum() for v in LOCAL.values[second]] for u in LOCAL.values[first]]
    assert np.sum(found) == n  # nobody is paid anything else
    assert_law(found, np.outer(LOCAL.probabilities[first], LOCAL.probabilities[second]))


@pytest.mark.parametrize("make", BOTH)
def test_moves_do_not_depend_on_the_rewards(make: Any, random_game: RandomGame) -> None:
    """With and without laws, and with other laws: the same states; only payments differ."""
    plain = random_game(1)
    paths, payments = [], []
    for game in (plain, gamble(plain), gamble(plain, 0.25, 0.125)):
        simulator = make(game, 6, n_populations=4)
        simulator.reset(Streams.from_seed(9))
        path = []
        for _ in range(6):
            acting = np.full((2, 2, 2), 0.5) if make is LumpedSimulator else np.ones((4, 6), dtype=np.int64)
            payment = simulator.step(np.ones(4, dtype=np.int64), acting)
            counts = simulator.counts if make is LumpedSimulator else simulator.local_states
            path.append((simulator.global_states.tolist(), counts.tolist()))
        paths.append(path)
        payments.append(payment)
    assert paths[0] == paths[1] == paths[2]
    for i, (global_spread, local_spread) in enumerate([(1.0, 0.5), (0.25, 0.125)], start=1):
        shift = payments[i].global_reward - payments[0].global_reward
        np.testing.assert_allclose(np.abs(shift), global_spread, rtol=1e-12)
        moved = (payments[i].local_reward_mean - payments[0].local_reward_mean) * 6 / local_spread
        np.testing.assert_allclose(moved, np.round(moved), atol=1e-9)  # a sum of six signs
        assert (np.round(moved) % 2 == 0).all()
        assert (np.abs(moved) < 6.5).all()


def test_huge_crowds_are_paid_their_mean_up_to_noise(random_game: RandomGame) -> None:
    """10^12 agents with sure actions: mean reward within 5 of 0.5/sqrt(n) of that without noise, but not equal."""
    plain, n = random_game(2), 10**12
    payments = []
    for game in (plain, gamble(plain)):
        simulator = LumpedSimulator(game, n, n_populations=50)
        simulator.reset(Streams.from_seed(10))
        payments.append(simulator.step(np.zeros(50, dtype=np.int64), np.full((2, 2, 2), 0.5)).local_reward_mean)
    noise = (payments[1] - payments[0]) * np.sqrt(n) / 0.5
    assert abs(noise.mean()) <= 5 / np.sqrt(50)
    assert abs(noise.var() - 1) <= 5 * np.sqrt(2 / 50)


def test_the_seed_decides_the_rewards(random_game: RandomGame) -> None:
    game = gamble(random_game(3))

    def paid(make: Any, seed: int) -> list[list[float]]:
        simulator = make(game, 5, n_populations=3)
        simulator.reset(Streams.from_seed(seed))
        acting = np.full((2, 2, 2), 0.5) if make is LumpedSimulator else np.zeros((3, 5), dtype=np.int64)
        return [simulator.step(np.zeros(3, dtype=np.int64), acting).team_reward.tolist() for _ in range(5)]

    for make in BOTH:
        assert paid(make, 1) == paid(make, 1)
        assert paid(make, 1) != paid(make, 2)


def test_no_local_agents_are_paid_nothing(random_game: RandomGame) -> None:
    simulator = LumpedSimulator(gamble(random_game(4)), 0, n_populations=3)
    simulator.reset(Streams.from_seed(0))
    payment = simulator.step(np.zeros(3, dtype=np.int64), np.full((2, 2, 2), 0.5))
    assert payment.local_reward_mean.tolist() == [0.0] * 3


def test_environments_pay_what_was_drawn(random_game: RandomGame) -> None:
    """`reward_sampled` is r_g and the mean of the very rewards the sampled agents were paid."""
    game = lottery(random_game, 5)
    env = SubsampleObservation(PopulationEnv(game, 6, max_cycles=200), 2)
    _, infos = env.reset(seed=0)
    simulator, drawn = env.population.simulator, set()
    while env.agents:
        sampled = infos["global_0"]["sampled_agents"]
        s_g, states = int(simulator.global_states[0]), simulator.local_states[0].copy()
        _, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, 1))
        info, paid = infos["global_0"], simulator.local_rewards[0]
        assert all(paid[i] in LOCAL.values[states[i], s_g, 1] for i in range(6))
        assert info["reward_global"] in GLOBAL.values[s_g, 1]
        assert info["reward_local_mean"] == paid.mean()
        assert info["reward_sampled"] == info["reward_global"] + paid[sampled].mean()
        assert rewards["global_0"] == rewards["local_3"] == info["reward_global"] + info["reward_local_mean"]
        drawn.add((s_g, info["reward_global"]))
    assert len(drawn) == 4  # both values in both states


@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
def test_environments_keep_pettingzoos_rules(random_game: RandomGame) -> None:
    game = lottery(random_game, 5)
    parallel_api_test(PopulationEnv(game, 4, max_cycles=6), num_cycles=10)
    parallel_api_test(SubsampleObservation(PopulationEnv(game, 4, max_cycles=6), 2), num_cycles=10)


@pytest.mark.parametrize("n_agents", [1, 2])
def test_a_tagged_agent_is_paid_what_was_drawn(n_agents: int, random_game: RandomGame, assert_law: AssertLaw) -> None:
    """In state 1 under s_g = 0 the agent acts 0, the other one acts 1."""
    game, n = lottery(random_game), 4000
    stuck = {"initial_global": np.array([1.0, 0.0]), "initial_local": type(game.initial_local)(np.array([0.0, 1.0]))}
    game = replace(game, **stuck)
    others = LocalPolicy.from_actions(np.ones((2, 2), dtype=int), 2)
    side, streams, totals = TaggedAgent(game, n_agents, others, "box"), Streams.from_seed(11), []
    for _ in range(n):
        side.reset(streams)
        totals.append(side.step(np.array([0]), 0).local_reward_mean[0] * n_agents)
    law = law_of_total(LOCAL, [(1, 0, 0), (1, 0, 1)][:n_agents])
    assert len(law) == 2**n_agents
    check_sums(np.array(totals), law, assert_law)


def test_a_tagged_agents_moves_do_not_depend_on_the_rewards(random_game: RandomGame) -> None:
    plain, paths = random_game(1), []
    for game in (plain, gamble(plain)):
        side = TaggedAgent(game, 3, LocalPolicy.named("uniform", game), "multidiscrete")
        side.reset(Streams.from_seed(4))
        path = []
        for t in range(20):
            side.step(np.array([0]), t % 2)
            path.append((side.observe().tolist(), side.counts().tolist()))
        paths.append(path)
    assert paths[0] == paths[1]


def test_a_fleet_is_paid_what_was_drawn(random_game: RandomGame) -> None:
    side = Fleet(lottery(random_game), 1, "box")
    side.reset(Streams.from_seed(12))
    for _ in range(30):
        s_g, s_l = int(side.population.simulator.global_states[0]), int(side.counts()[0].argmax())
        assert side.step(np.array([1]), np.array([0, 1])).local_reward_mean[0] in LOCAL.values[s_l, s_g, s_l]
