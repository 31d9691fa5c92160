"""GenerativeGame, simulated and as an environment: defaults, and the law of the tables it draws from.

Laws pass chi-square tests at p > 1e-4.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from games_of_functions import clockwork, path, started, tables
from oracle import brute_force
from pettingzoo.test import parallel_api_test

from kofn.envs import (
    DirichletStart,
    FixedStart,
    Game,
    GenerativeGame,
    IndividualSimulator,
    LumpedSimulator,
    PopulationEnv,
    TabularGame,
    sampled_dynamics,
)
from kofn.envs.histograms import rank_histograms
from kofn.envs.simulator import LocalTiming
from kofn.wrappers.subsample import SubsampleObservation

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]
TIMINGS: tuple[LocalTiming, ...] = ("paper", "code")


def test_what_is_omitted_is_uniform_and_numbered() -> None:
    game = clockwork()
    np.testing.assert_array_equal(game.initial_global, np.full(3, 1 / 3))
    assert not game.initial_global.flags.writeable
    assert isinstance(game.initial_local, FixedStart)
    assert game.initial_local.probabilities.tolist() == [0.25] * 4
    assert game.labels.title == "generative game"
    assert game.labels.local_actions == ("a0", "a1", "a2", "a3", "a4")


def test_bounds_by_hand() -> None:
    game = clockwork(global_reward_bounds=(-2, 21), local_reward_bounds=(1, 324), discount=0.75)
    assert game.reward_bound == 23 + 324
    assert game.value_bound == game.return_bound == 347 / 0.25
    negative = clockwork(global_reward_bounds=(-2, 21), local_reward_bounds=(-324, -1), discount=0.75)
    assert (negative.value_bound, negative.return_bound) == (346 / 0.25, 347 / 0.25)


def test_both_kinds_of_game_are_games(warehouse3: TabularGame) -> None:
    assert isinstance(warehouse3, Game)
    assert isinstance(clockwork(), Game)
    assert not isinstance("warehouse_dispatch", Game)


@pytest.mark.parametrize(("timing", "seen"), [("paper", 1), ("code", 2)])
@pytest.mark.parametrize("make", [IndividualSimulator, LumpedSimulator])
def test_agents_are_paid_at_the_old_state_and_move_with_the_one_they_see(
    make: Any, timing: LocalTiming, seen: int
) -> None:
    """s_g goes from 1 to 2; agents in state 3 go to the global state they see, those in state 0 stay."""
    simulator = started(make, clockwork(), 4, local_timing=timing, n_populations=2)
    simulator.global_states = np.array([1, 1])
    if make is LumpedSimulator:
        simulator.counts = np.array([[2, 0, 0, 2], [1, 0, 0, 3]])
        movers = np.zeros((4, 3, 5))
        movers[0, :, 0] = movers[3, :, 1] = movers[1:3, :, 4] = 1
        payment = simulator.step(np.array([1, 0]), movers)
        counts = simulator.counts
    else:
        simulator.local_states = np.array([[0, 3, 3, 0], [3, 3, 0, 3]])
        payment = simulator.step(np.array([1, 0]), np.array([[0, 1, 1, 0], [1, 1, 0, 1]]))
        np.testing.assert_array_equal(simulator.local_rewards, [[10, 311, 311, 10], [311, 311, 10, 311]])
        counts = simulator.counts()
    assert simulator.global_states.tolist() == [2, 1]
    expected = np.zeros((2, 4), dtype=int)
    expected[0, [0, seen]] = 2
    expected[1, [0, 1]] = 1, 3
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(payment.global_reward, [11, 10])
    np.testing.assert_array_equal(payment.local_reward_mean, [(20 + 622) / 4, (10 + 933) / 4])


@pytest.mark.parametrize("timing", TIMINGS)
def test_individual_agents_have_the_law_of_the_tables(
    timing: LocalTiming, random_game: RandomGame, assert_law: AssertLaw
) -> None:
    """(s_g', s_1', s_2') against the oracle, agent by agent."""
    game, n = tables(random_game), 40_000
    states, actions = (1, 0, 2), (1, 0)
    simulator = started(IndividualSimulator, GenerativeGame.from_tables(game), 2, n_populations=n, local_timing=timing)
    simulator.global_states, simulator.local_states = np.full(n, 1), np.tile(states[1:], (n, 1))
    payment = simulator.step(np.zeros(n, dtype=np.int64), np.tile(actions, (n, 1)))
    cells = simulator.global_states * 9 + simulator.local_states @ np.array([3, 1])
    assert_law(np.bincount(cells, minlength=18), brute_force.next_law(game, states, 0, actions, timing))
    np.testing.assert_array_equal(payment.global_reward, game.global_reward[1, 0])


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("block", [7, 1 << 18])
def test_crowds_have_the_law_of_the_tables(
    timing: LocalTiming, block: int, random_game: RandomGame, assert_law: AssertLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(s_g', histogram') of three agents against the oracle summed over all actions and next states."""
    monkeypatch.setattr(sampled_dynamics, "BLOCK", block)
    game, n = tables(random_game), 6_000
    policy = np.random.default_rng(1).dirichlet(np.ones(2), (3, 2))
    joint = brute_force.joint_states(game, 3)
    moves, _ = brute_force.decision(game, 3, policy, 1, timing)
    law = np.zeros((2, 10))
    for state, chance in zip(joint, moves[joint.index((1, 0, 2, 2))], strict=True):
        law[state[0], brute_force.rank(state[1:], 3)] += chance
    simulator = started(LumpedSimulator, GenerativeGame.from_tables(game), 3, n_populations=n, local_timing=timing)
    simulator.global_states, simulator.counts = np.full(n, 1), np.tile([1, 0, 2], (n, 1))
    simulator.step(np.ones(n, dtype=np.int64), policy)
    assert (simulator.counts.sum(axis=1) == 3).all()
    cells = simulator.global_states * 10 + rank_histograms(simulator.counts)
    assert_law(np.bincount(cells, minlength=20), law)


@pytest.mark.parametrize("n_agents", [1, 5])
def test_episodes_of_functions_and_tables_agree_in_law(
    n_agents: int, random_game: RandomGame, assert_same_law: AssertLaw
) -> None:
    """Starts, moves and payments: (s_g, count of state 0) after four steps, and the rewards paid on the way."""
    game = tables(random_game, 2, initial_local=DirichletStart([0.5, 0.5, 1.0]))
    policy, cells, paid = np.random.default_rng(3).dirichlet(np.ones(2), (3, 2)), [], []
    for seed, kind in enumerate((game, GenerativeGame.from_tables(game))):
        simulator = started(LumpedSimulator, kind, n_agents, seed, n_populations=8_000)
        total = np.zeros(8_000)
        for _ in range(4):
            total += simulator.step(1 - simulator.global_states, policy).local_reward_mean * n_agents * 2
        cells.append(
            np.bincount(simulator.global_states * (n_agents + 1) + simulator.counts[:, 0], minlength=2 * n_agents + 2)
        )
        paid.append(np.bincount(np.round(total).astype(int), minlength=12 * n_agents + 1))
        np.testing.assert_allclose(total, np.round(total), atol=1e-9)
    assert_same_law(*cells)
    assert_same_law(*paid)


def test_populations_of_unequal_crowds_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No chance, blocks of every size: each population moves and is paid by its own states and its own s_g."""
    policy = np.zeros((4, 3, 5))
    policy[:, 0, 0] = policy[:, 1, 1] = policy[:2, 2, 0] = policy[2:, 2, 1] = 1
    counts = np.array([[2, 0, 1, 0], [0, 1, 0, 2], [1, 1, 1, 0], [0, 0, 0, 3]])
    s_g = np.array([0, 1, 2, 2])
    moved = [[2, 0, 1, 0], [0, 3, 0, 0], [1, 1, 1, 0], [0, 0, 3, 0]]
    paid = [200.0, 111 + 622, 20 + 120 + 221, 3 * 321]
    for block in (1, 2, 3, 5, 100):
        monkeypatch.setattr(sampled_dynamics, "BLOCK", block)
        simulator = started(LumpedSimulator, clockwork(), 3, n_populations=4)
        simulator.global_states, simulator.counts = s_g.copy(), counts.copy()
        payment = simulator.step(np.zeros(4, dtype=np.int64), policy)
        np.testing.assert_array_equal(simulator.counts, moved)
        np.testing.assert_array_equal(payment.local_reward_mean, np.array(paid) / 3)


def test_no_local_agents_ask_for_nothing() -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("asked")

    simulator = started(LumpedSimulator, clockwork(sample_local=never, pay_local=never), 0, n_populations=3)
    payment = simulator.step(np.ones(3, dtype=np.int64), np.full((4, 3, 5), 0.2))
    assert simulator.counts.tolist() == [[0] * 4] * 3
    assert payment.local_reward_mean.tolist() == [0.0] * 3


@pytest.mark.parametrize("make", [IndividualSimulator, LumpedSimulator])
def test_the_seed_decides_everything(make: Any, random_game: RandomGame) -> None:
    game = GenerativeGame.from_tables(tables(random_game))
    policy = np.full((3, 2, 2), 0.5)
    paths = [path(started(make, game, 20, seed, n_populations=2), policy) for seed in (1, 1, 2)]
    assert paths[0] == paths[1]
    assert paths[0] != paths[2]


@pytest.mark.parametrize("make", [IndividualSimulator, LumpedSimulator])
def test_rewards_leave_the_moves_alone(make: Any, random_game: RandomGame) -> None:
    """The same seed with rewards that are drawn and with sure ones: the same states."""
    oracle = GenerativeGame.from_tables(tables(random_game))
    sure = replace(
        oracle,
        pay_global=lambda rng, s_g, a_g: np.full(s_g.shape, oracle.global_reward_bounds[0]),  # noqa: ARG005
        pay_local=lambda rng, s_l, s_g, a_l: np.full(s_l.shape, oracle.local_reward_bounds[0]),  # noqa: ARG005
    )
    policy = np.full((3, 2, 2), 0.5)
    paths = [path(started(make, game, 20, n_populations=2), policy) for game in (oracle, sure)]
    assert [step[:2] for step in paths[0]] == [step[:2] for step in paths[1]]
    assert [step[2] for step in paths[0]] != [step[2] for step in paths[1]]


@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
def test_environments_keep_pettingzoos_rules(random_game: RandomGame) -> None:
    game = GenerativeGame.from_tables(tables(random_game))
    parallel_api_test(PopulationEnv(game, 4, max_cycles=6), num_cycles=10)
    parallel_api_test(SubsampleObservation(PopulationEnv(game, 4, max_cycles=6), 2), num_cycles=10)


def test_an_episode_by_hand() -> None:
    """Everybody always follows s_g, which goes up by one: paid 10 s_g + 1 and 100 s_l + 10 s_g + 1."""
    start: dict[str, Any] = {"initial_global": [1.0, 0.0, 0.0], "initial_local": FixedStart([0.0, 0.0, 0.0, 1.0])}
    population = PopulationEnv(clockwork(**start), 5, max_cycles=3, obs_mode="multidiscrete", render_mode="ansi")
    env = SubsampleObservation(population, 2)
    observations, _ = env.reset(seed=0)
    paid, seen = [], [observations["global_0"].tolist()]
    while env.agents:
        observations, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, 1))
        paid.append(rewards["local_4"])
        seen.append(observations["global_0"].tolist())
        assert infos["global_0"]["reward_sampled"] == rewards["global_0"]
    assert paid == [1 + 301, 11 + 11, 21 + 121]
    assert seen == [[0, 0, 0, 0, 2], [1, 2, 0, 0, 0], [2, 0, 2, 0, 0], [0, 0, 0, 2, 0]]
    assert "x2" in str(env.render())
