"""RewardLaw against its own probabilities, and the simulators that pay what it draws.

Moments are within 5 standard errors (chance of a false alarm: 6e-7), laws pass chi-square tests at p > 1e-4.
"""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pettingzoo.test import parallel_api_test

from kofn.envs import (
    IndividualSimulator,
    LocalPolicy,
    LumpedSimulator,
    PopulationEnv,
    RewardLaw,
    Streams,
    TabularGame,
)
from kofn.envs.arrays import FloatArray
from kofn.envs.simulator import LocalTiming
from kofn.wrappers.deviations import Fleet, TaggedAgent
from kofn.wrappers.subsample import SubsampleObservation

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]
BOTH: list[Any] = [IndividualSimulator, LumpedSimulator]

LAW = RewardLaw(
    [[[0.0, 1.0, 5.0], [2.0, 3.0, 7.0]], [[-1.0, 0.0, 9.0], [-8.0, 4.5, 6.0]]],
    [[[0.5, 0.3, 0.2], [0.1, 0.9, 0.0]], [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]],
)
"""Two by two entries; 7, 9, -8 and 4.5 are never paid."""


def frequencies(draws: FloatArray, values: FloatArray) -> npt.NDArray[np.int64]:
    """How often each value occurs; every draw is one of them."""
    counts = np.array([(draws == value).sum() for value in values])
    assert counts.sum() == draws.size
    return counts


# --- the law itself


def test_moments_and_support_by_hand() -> None:
    np.testing.assert_allclose(LAW.mean, [[1.3, 2.9], [-0.25, 6.0]], rtol=1e-15)
    assert (LAW.lowest, LAW.highest, LAW.spread) == (-1.0, 6.0, 7.0)


def test_the_spread_is_over_all_entries_together() -> None:
    """Each entry alone is certain."""
    assert RewardLaw.certain([[1.0, 4.0], [2.0, -3.0]]).spread == 7.0


def test_certain_rewards_are_always_paid() -> None:
    table = np.random.default_rng(0).normal(size=(2, 3, 4))
    law = RewardLaw.certain(table)
    np.testing.assert_array_equal(law.mean, table)
    index = np.unravel_index(np.arange(24), table.shape)
    np.testing.assert_array_equal(law.sample(np.random.default_rng(1), *index), table.ravel())
    np.testing.assert_array_equal(law.sample_sums(np.random.default_rng(1), np.arange(24), *index), index_sums(table))


def index_sums(table: FloatArray) -> FloatArray:
    return np.asarray(np.arange(table.size) * table.ravel())


@pytest.mark.parametrize("entry", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_draws_follow_the_law_of_their_entry(entry: tuple[int, int], assert_law: AssertLaw) -> None:
    """Frequencies, mean and variance; all entries are drawn in one call."""
    n = 20_000
    rows, columns = np.tile(np.arange(2)[:, None, None], (1, 2, n)), np.arange(2)[None, :, None]
    draws = LAW.sample(np.random.default_rng(2), rows, columns)[entry]
    values, probabilities = LAW.values[entry], LAW.probabilities[entry]
    assert_law(frequencies(draws, values), probabilities)
    variance = probabilities @ (values - LAW.mean[entry]) ** 2
    fourth = probabilities @ (values - LAW.mean[entry]) ** 4
    assert abs(draws.mean() - LAW.mean[entry]) <= 5 * np.sqrt(variance / n) + 1e-12
    assert abs(draws.var() - variance) <= 5 * np.sqrt((fourth - variance**2) / n) + 25 * variance / n + 1e-12


def test_draws_are_independent(assert_law: AssertLaw) -> None:
    """Two entries of one call, and one entry in two calls: joint laws are products."""
    rng = np.random.default_rng(3)
    first, second = np.transpose([LAW.sample(rng, [0, 1], [0, 0]) for _ in range(20_000)])
    for one, other, entry in ((first, second, (1, 0)), (first[:-1], first[1:], (0, 0))):
        values = LAW.values[0, 0], LAW.values[entry]
        found = [[((one == u) & (other == v)).sum() for v in values[1]] for u in values[0]]
        assert np.sum(found) == len(one)
        assert_law(found, np.outer(LAW.probabilities[0, 0], LAW.probabilities[entry]))


def law_of_total(law: RewardLaw, entries: list[tuple[int, ...]]) -> dict[float, float]:
    """Probability of each sum of one draw per entry, by adding one draw after another."""
    chances = {0.0: 1.0}
    for entry in entries:
        longer: dict[float, float] = {}
        for (total, chance), j in product(chances.items(), range(law.values.shape[-1])):
            reached = total + law.values[(*entry, j)]
            longer[reached] = longer.get(reached, 0.0) + chance * law.probabilities[(*entry, j)]
        chances = longer
    return chances


def check_sums(draws: FloatArray, law: dict[float, float], assert_law: AssertLaw) -> None:
    """Sums against their law; values in these tests are sums of a few halves, exact in floating point."""
    assert_law(frequencies(draws, np.array(list(law))), list(law.values()))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("entry", [(0, 0), (1, 0), (1, 1)])
def test_sums_have_the_law_of_draws_added_up(count: int, entry: tuple[int, int], assert_law: AssertLaw) -> None:
    counts = np.full(20_000, count)
    index = (np.full(20_000, entry[0]), np.full(20_000, entry[1]))
    law = law_of_total(LAW, [entry] * count)
    check_sums(LAW.sample_sums(np.random.default_rng(count), counts, *index), law, assert_law)
    rng = np.random.default_rng(count + 10)
    check_sums(sum((LAW.sample(rng, *index) for _ in range(count)), np.zeros(20_000)), law, assert_law)


def test_sums_of_any_number_of_draws() -> None:
    """10^12 draws cost what one costs; mean and standard deviation over 400 sums."""
    n, count = 400, 10**12
    sums = LAW.sample_sums(np.random.default_rng(4), count, np.zeros(n, dtype=int), 0)
    variance = LAW.probabilities[0, 0] @ (LAW.values[0, 0] - 1.3) ** 2
    scaled = (sums - 1.3 * count) / np.sqrt(variance * count)
    assert abs(scaled.mean()) <= 5 / np.sqrt(n)
    assert abs(scaled.var() - 1) <= 5 * np.sqrt(2 / n)


def test_counts_and_indices_broadcast() -> None:
    rng = np.random.default_rng(5)
    assert LAW.sample(rng, [[0], [1], [1]], [0, 1]).shape == (3, 2)
    assert LAW.sample_sums(rng, [[3], [2], [0]], 1, [0, 1]).shape == (3, 2)
    assert LAW.sample_sums(rng, np.array([2, 3]), 1, 1).tolist() == [12.0, 18.0]
    assert LAW.sample(rng, 1, 1) == 6.0
    alone = RewardLaw([1.0, 2.0], [0.0, 1.0])  # a single entry takes no index
    assert alone.mean == alone.sample(rng) == 2.0
    assert alone.sample_sums(rng, [4, 5]).tolist() == [8.0, 10.0]


def test_the_generator_decides_the_draws() -> None:
    index = np.zeros(50, dtype=int), np.zeros(50, dtype=int)
    draws = [LAW.sample(np.random.default_rng(seed), *index).tolist() for seed in (1, 1, 2)]
    sums = [LAW.sample_sums(np.random.default_rng(seed), 30, *index).tolist() for seed in (1, 1, 2)]
    for first, again, other in (draws, sums):
        assert first == again
        assert first != other


@pytest.mark.parametrize(
    "again", [copy.deepcopy, copy.copy, lambda law: pickle.loads(pickle.dumps(law)), lambda law: law]
)
def test_arrays_are_read_only_copies(again: Callable[[RewardLaw], RewardLaw]) -> None:
    values = np.array([[1.0, 2.0]])
    law = RewardLaw(values, [[0.5, 0.5]])
    assert law.mean == law.sample_sums(np.random.default_rng(0), 0, 0) + 1.5  # fills what is cached
    copied = again(law)
    values[...] = 7
    for array in (copied.values, copied.probabilities, copied.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3.0
    assert copied.values.tolist() == [[1.0, 2.0]]
    with pytest.raises(FrozenInstanceError):
        copied.values = values  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize(
    ("values", "probabilities", "error", "message"),
    [
        (3.0, 1.0, ValueError, "RewardLaw.values must have a last axis of outcomes [..., j]; got 3.0"),
        ([[1.0, np.inf]], [[0.5, 0.5]], ValueError, "RewardLaw.values must be finite; entry [0, 1] is inf"),
        ("abc", [1.0], ValueError, "RewardLaw.values must have a last axis of outcomes [..., j]; got 'abc'"),
        (["a"], [1.0], TypeError, "RewardLaw.values must be an array of real numbers; got list (dtype <U1)"),
        ([1.0, 2.0], ["a", "b"], TypeError, "RewardLaw.probabilities must be an array of real numbers; got list"),
        ([], [], ValueError, "RewardLaw.values must have shape [any]; got [0]: axis 0 has size 0"),
        ([1.0, 2.0], [1.0], ValueError, "RewardLaw.probabilities must have shape [2]; got [1]: axis 0 has size 1"),
        ([[1.0, 2.0]], [0.5, 0.5], ValueError, "RewardLaw.probabilities must have 2 axes [1, 2]; got shape [2]"),
        ([1.0, 2.0], [1.5, -0.5], ValueError, "RewardLaw.probabilities must be nonnegative (probabilities); entry [1]"),
        ([[1.0], [2.0]], [[1.0], [0.9]], ValueError, "must have rows that sum to 1 within 1e-08; row [1] sums to 0.9"),
    ],
)
def test_bad_laws_are_refused(values: Any, probabilities: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        RewardLaw(values, probabilities)


def test_bad_draws_are_refused() -> None:
    rng = np.random.default_rng(0)
    for index in ((), (0,), (0, 0, 0)):
        message = f"a reward law of shape [2, 2, 3] takes 2 indices; got {len(index)}"
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            LAW.sample(rng, *index)
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            LAW.sample_sums(rng, 1, *index)
    with pytest.raises(TypeError, match=r"^an index must be integers; got dtype float64$"):
        LAW.sample(rng, 0, 1.0)
    with pytest.raises(TypeError, match=r"^counts must be integers; got dtype float64$"):
        LAW.sample_sums(rng, [1.5], 0, 0)


# --- simulators pay what they draw


def gamble(game: TabularGame, global_spread: float = 1.0, local_spread: float = 0.5) -> TabularGame:
    """The same game, each reward moved up or down by a spread with probability one half, at random and fairly."""

    def law(table: FloatArray, spread: float) -> RewardLaw:
        values = table[..., None] + spread * np.array([-1.0, 1.0])
        return RewardLaw(values, np.full(values.shape, 0.5))

    return replace(
        game,
        global_reward_law=law(game.global_reward, global_spread),
        local_reward_law=law(game.local_reward, local_spread),
    )


LOCAL = RewardLaw(
    np.arange(16.0).reshape(2, 2, 2, 2) ** 2 / 2,
    np.stack([np.arange(1, 9), 9 - np.arange(1, 9)], axis=-1).reshape(2, 2, 2, 2) / 9,
)
"""[s_l, s_g, a_l, j]: the values of each of the eight entries are its own."""
GLOBAL = RewardLaw(
    [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]], [[[0.2, 0.8], [0.3, 0.7]], [[0.4, 0.6], [0.9, 0.1]]]
)
"""[s_g, a_g, j]."""


def lottery(random_game: RandomGame, seed: int = 0) -> TabularGame:
    """A random game of two states and actions each that pays by LOCAL and GLOBAL."""
    game = random_game(seed)
    changes: dict[str, Any] = {"global_reward": None, "local_reward": None}
    return replace(game, **changes, global_reward_law=GLOBAL, local_reward_law=LOCAL)


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


# --- environments and views


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
