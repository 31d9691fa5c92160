"""Both simulators against the law written out agent by agent, and against payments worked out by hand."""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from kofn.envs import DirichletStart, FixedStart, IndividualSimulator, LumpedSimulator, Streams, TabularGame
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.histograms import n_histograms, rank_histograms
from kofn.envs.population import MAX_AGENTS
from kofn.envs.simulator import LocalTiming, cumulative_thresholds, sample_rows

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]
TIMINGS: tuple[LocalTiming, ...] = ("paper", "code")
Simulator = IndividualSimulator | LumpedSimulator
BOTH: list[Any] = [IndividualSimulator, LumpedSimulator]


def random_policy(game: TabularGame, seed: int) -> FloatArray:
    """A stochastic local policy [s_l, s_g, a_l]."""
    shape = game.local_reward.shape
    return np.random.default_rng(seed).dirichlet(np.ones(shape[2]), shape[:2])


def started(make: Callable[..., Simulator], game: TabularGame, n_agents: int, seed: int = 0, **options: Any) -> Any:
    simulator = make(game, n_agents, **options)
    simulator.reset(Streams.from_seed(seed))
    return simulator


def draw_actions(simulator: IndividualSimulator, policy: FloatArray, rng: np.random.Generator) -> IntArray:
    """Actions of all agents by the policy, one at a time from numpy's own sampler."""
    rows = policy[simulator.local_states, simulator.global_states[:, None]]
    return np.asarray((rng.random(rows.shape[:-1])[..., None] >= rows.cumsum(axis=-1)).sum(axis=-1))


def advance(simulator: Any, global_actions: IntArray, policy: FloatArray, rng: np.random.Generator) -> Any:
    """One step of either simulator under one local policy."""
    if isinstance(simulator, LumpedSimulator):
        return simulator.step(global_actions, policy)
    return simulator.step(global_actions, draw_actions(simulator, policy, rng))


def counts_of(simulator: Any) -> IntArray:
    counts = simulator.counts if isinstance(simulator, LumpedSimulator) else simulator.counts()
    return np.asarray(counts)


# --- the law of one step, agent by agent


def law_of_step(
    game: TabularGame, s_g: int, states: tuple[int, ...], a_g: int, policy: FloatArray, timing: LocalTiming = "paper"
) -> FloatArray:
    """P(s_g', histogram') [s_g', rank], summed over all actions and all next states of all agents."""
    law = np.zeros((game.n_global_states, n_histograms(len(states), game.n_local_states)))
    local_actions = itertools.product(range(game.n_local_actions), repeat=len(states))
    for next_g, actions in itertools.product(range(game.n_global_states), local_actions):
        seen = s_g if timing == "paper" else next_g
        for next_states in itertools.product(range(game.n_local_states), repeat=len(states)):
            chance = game.global_transition[s_g, a_g, next_g]
            for x, a, y in zip(states, actions, next_states, strict=True):
                chance *= policy[x, s_g, a] * game.local_transition[x, seen, a, y]
            histogram = [next_states.count(y) for y in range(game.n_local_states)]
            law[next_g, rank_histograms(histogram)] += chance
    return law


def place(simulator: Any, global_states: npt.ArrayLike, states: npt.ArrayLike) -> None:
    """Put agents in the given states, the same in every population."""
    n_populations = simulator.n_populations
    simulator.global_states = np.resize(np.asarray(global_states), n_populations)
    tiled = np.resize(np.asarray(states), (n_populations, np.shape(states)[-1]))
    if isinstance(simulator, LumpedSimulator):
        simulator.counts = np.stack([(tiled == x).sum(axis=1) for x in range(simulator.game.n_local_states)], axis=1)
    else:
        simulator.local_states = tiled


def tally(simulator: Any) -> IntArray:
    """How often each (s_g, histogram) occurs among the populations, [s_g, rank]."""
    game, counts = simulator.game, counts_of(simulator)
    size = n_histograms(simulator.n_agents, game.n_local_states)
    cells = simulator.global_states * size + rank_histograms(counts)
    return np.bincount(cells, minlength=game.n_global_states * size).reshape(-1, size)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize(
    ("sizes", "s_g", "states"),
    [({}, 0, (0, 1)), ({}, 1, (1, 1)), ({"n_local": 3, "n_local_actions": 3, "n_global": 3}, 2, (0, 2, 2))],
)
def test_one_step_has_the_enumerated_law(
    make: Any, timing: LocalTiming, sizes: dict[str, int], s_g: int, states: tuple[int, ...],
    random_game: RandomGame, assert_law: AssertLaw,
) -> None:  # fmt: skip
    game = random_game(5, **sizes)
    policy = random_policy(game, 6)
    simulator = started(make, game, len(states), n_populations=20_000, local_timing=timing)
    place(simulator, s_g, states)
    advance(simulator, np.full(20_000, 1), policy, np.random.default_rng(7))
    assert_law(tally(simulator), law_of_step(game, s_g, states, 1, policy, timing))


def test_the_two_timings_differ_in_law(random_game: RandomGame, assert_law: AssertLaw) -> None:
    """The check above can tell them apart: it fails with the other timing's law."""
    game = random_game(5)
    policy = random_policy(game, 6)
    simulator = started(LumpedSimulator, game, 2, n_populations=20_000)
    place(simulator, 0, (0, 1))
    simulator.step(np.full(20_000, 1), policy)
    with pytest.raises(AssertionError, match="expected"):
        assert_law(tally(simulator), law_of_step(game, 0, (0, 1), 1, policy, "code"))


def test_agents_with_their_own_actions_have_the_enumerated_law(random_game: RandomGame, assert_law: AssertLaw) -> None:
    """All agents one by one: (s_g', s_1', s_2') for different states and actions."""
    game = random_game(8)
    s_g, states, actions, a_g = 1, (0, 1), (1, 0), 0
    simulator = started(IndividualSimulator, game, 2, n_populations=40_000)
    place(simulator, s_g, states)
    simulator.step(np.full(40_000, a_g), np.tile(actions, (40_000, 1)))
    local = [game.local_transition[x, s_g, a] for x, a in zip(states, actions, strict=True)]
    law = np.einsum("g,x,y->gxy", game.global_transition[s_g, a_g], *local)
    cells = simulator.global_states * 4 + simulator.local_states @ np.array([2, 1])
    assert_law(np.bincount(cells, minlength=8), law)


@pytest.mark.parametrize("make", BOTH)
def test_three_steps_have_the_law_of_the_chain(make: Any, random_game: RandomGame, assert_law: AssertLaw) -> None:
    """The enumerated kernel, applied three times under a global policy that depends on s_g."""
    game = random_game(9)
    policy, a_g = random_policy(game, 10), np.array([1, 0])
    tuples = [(1, 1), (0, 1), (0, 0)]  # histograms (0, 2), (1, 1), (2, 0) in rank order
    kernel = np.array([[law_of_step(game, g, t, a_g[g], policy) for t in tuples] for g in range(2)])
    law = np.zeros((2, 3))
    law[0, 1] = 1
    simulator = started(make, game, 2, n_populations=20_000)
    place(simulator, 0, (0, 1))
    rng = np.random.default_rng(11)
    for _ in range(3):
        advance(simulator, a_g[simulator.global_states], policy, rng)
        law = np.einsum("gc,gcGC->GC", law, kernel)
    assert_law(tally(simulator), law)


@pytest.mark.parametrize("make", BOTH)
def test_each_population_moves_by_its_own_state_and_action(
    make: Any, random_game: RandomGame, assert_law: AssertLaw
) -> None:
    game = random_game(12)
    policy = random_policy(game, 13)
    kinds = [(0, (0, 0), 0), (1, (0, 1), 1), (0, (1, 1), 1)]
    simulator = started(make, game, 2, n_populations=30_000)
    place(simulator, [g for g, _, _ in kinds], [states for _, states, _ in kinds])
    advance(simulator, np.resize([a for _, _, a in kinds], 30_000), policy, np.random.default_rng(14))
    cells = simulator.global_states * 3 + rank_histograms(counts_of(simulator))
    for i, (s_g, states, a_g) in enumerate(kinds):
        assert_law(np.bincount(cells[i::3], minlength=6), law_of_step(game, s_g, states, a_g, policy))


@pytest.mark.parametrize("make", BOTH)
def test_populations_are_independent(make: Any, random_game: RandomGame, assert_law: AssertLaw) -> None:
    """Neighbours in a batch: their joint law is the product."""
    game = random_game(15)
    policy = random_policy(game, 16)
    simulator = started(make, game, 2, n_populations=60_000)
    place(simulator, 0, (0, 1))
    advance(simulator, np.zeros(60_000, dtype=np.int64), policy, np.random.default_rng(17))
    cells = simulator.global_states * 3 + rank_histograms(counts_of(simulator))
    law = law_of_step(game, 0, (0, 1), 0, policy).ravel()
    assert_law(np.bincount(cells[::2] * 6 + cells[1::2], minlength=36), np.outer(law, law))


def test_lumped_and_individual_episodes_agree_in_law(warehouse3: TabularGame, assert_same_law: AssertLaw) -> None:
    """Starts, moves and payments of whole episodes: (s_g, histogram) after five steps, and the return, two-sample."""
    policy, cells, returns = random_policy(warehouse3, 18), [], []
    for seed, make in enumerate(BOTH):
        simulator = started(make, warehouse3, 4, seed=seed, n_populations=10_000)
        rng, total = np.random.default_rng(19), np.zeros(10_000)
        for _ in range(5):
            total += advance(simulator, (simulator.global_states + 1) % 3, policy, rng).team_reward
        cells.append(tally(simulator))
        returns.append(total)
    assert_same_law(*cells)
    assert stats.ks_2samp(*returns).pvalue > 1e-4


# --- time and payments, worked out by hand


def clockwork() -> TabularGame:
    """s_g' = a_g for certain; a local agent with action 1 goes to the global state it sees, with action 0 it stays."""
    local_transition = np.zeros((2, 2, 2, 2))
    for x, g in itertools.product(range(2), repeat=2):
        local_transition[x, g, 0, x] = local_transition[x, g, 1, g] = 1
    return TabularGame(
        global_transition=np.tile(np.eye(2), (2, 1, 1)),
        local_transition=local_transition,
        global_reward=[[1000, 2000], [3000, 4000]],
        local_reward=[[[1, 10], [2, 20]], [[4, 40], [8, 80]]],  # [s_l, s_g, a_l]
        discount=0.5,
    )


FOLLOW = np.tile([0.0, 1.0], (2, 2, 1))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(("timing", "expected"), [("paper", [3, 0]), ("code", [0, 3])])
def test_local_agents_see_the_old_global_state(make: Any, timing: LocalTiming, expected: list[int]) -> None:
    """s_g goes from 0 to 1 while all follow it: to 0 with the old state, to 1 with the new one."""
    simulator = started(make, clockwork(), 3, local_timing=timing)
    place(simulator, 0, (0, 1, 1))
    advance(simulator, np.array([1]), FOLLOW, np.random.default_rng(0))
    assert simulator.global_states.tolist() == [1]
    assert counts_of(simulator).tolist() == [expected]


@pytest.mark.parametrize("timing", TIMINGS)
def test_payments_are_for_the_states_and_actions_before_the_move(timing: LocalTiming) -> None:
    simulator = started(IndividualSimulator, clockwork(), 4, n_populations=2, local_timing=timing)
    place(simulator, [0, 1], [(0, 0, 1, 1), (0, 1, 1, 1)])
    payment = simulator.step(np.array([1, 0]), np.array([[0, 1, 0, 1], [1, 1, 0, 0]]))
    np.testing.assert_array_equal(simulator.local_rewards, [[1, 10, 4, 40], [20, 80, 8, 8]])
    np.testing.assert_array_equal(payment.global_reward, [2000, 3000])
    np.testing.assert_array_equal(payment.local_reward_mean, [55 / 4, 116 / 4])
    np.testing.assert_array_equal(payment.team_reward, [2000 + 55 / 4, 3000 + 116 / 4])


@pytest.mark.parametrize("timing", TIMINGS)
def test_lumped_payments_are_for_the_states_and_actions_before_the_move(timing: LocalTiming) -> None:
    simulator = started(LumpedSimulator, clockwork(), 4, n_populations=2, local_timing=timing)
    place(simulator, [0, 1], [(0, 0, 1, 1), (0, 1, 1, 1)])
    by_state = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])  # [s_l, s_g]: actions 0, 1 and 1, 0
    payment = simulator.step(np.array([1, 0]), by_state)
    np.testing.assert_array_equal(payment.global_reward, [2000, 3000])
    np.testing.assert_array_equal(payment.local_reward_mean, [(1 + 1 + 40 + 40) / 4, (20 + 3 * 8) / 4])
    np.testing.assert_array_equal(payment.team_reward, payment.global_reward + payment.local_reward_mean)


def test_lumped_payments_are_for_the_actions_that_moved() -> None:
    """In the clockwork game the move tells the actions: an agent leaves state 1 exactly if it took action 1."""
    simulator = started(LumpedSimulator, clockwork(), 6, n_populations=500)
    place(simulator, 0, (1,) * 6)
    payment = simulator.step(np.zeros(500, dtype=np.int64), np.full((2, 2, 2), 0.5))
    left = simulator.counts[:, 0]
    assert len(set(left.tolist())) > 3
    np.testing.assert_array_equal(payment.local_reward_mean, (40 * left + 4 * (6 - left)) / 6)


# --- starts


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("law", [DirichletStart([0.3, 0.5, 1.0]), FixedStart([0.2, 0.0, 0.8])])
def test_starts_follow_the_start_law(
    make: Any, law: DirichletStart | FixedStart, random_game: RandomGame, assert_law: AssertLaw
) -> None:
    """Jointly with s_g, which is independent of the local agents."""
    game = random_game(20, n_local=3, initial_local=law)
    simulator = started(make, game, 4, seed=21, n_populations=20_000)
    assert_law(tally(simulator), np.outer(game.initial_global, law.histogram_law(4)))


@pytest.mark.parametrize("make", BOTH)
def test_global_starts_follow_their_law(make: Any, random_game: RandomGame, assert_law: AssertLaw) -> None:
    game = random_game(22, n_global=4)
    given = dict(vars(game)) | {"initial_global": np.array([0.1, 0.0, 0.6, 0.3])}
    simulator = started(make, TabularGame(**given), 1, n_populations=20_000)
    assert_law(np.bincount(simulator.global_states, minlength=4), given["initial_global"])


def test_start_laws_are_those_the_agents_started_from(random_game: RandomGame) -> None:
    """With 10^12 agents the shares are the law up to 4.5 standard deviations and half an agent."""
    game = random_game(23, n_local=3, initial_local=DirichletStart([0.3, 0.3, 0.3]))
    simulator = started(LumpedSimulator, game, MAX_AGENTS, n_populations=50)
    laws = simulator.start_laws
    assert laws.shape == (50, 3)
    assert len(np.unique(laws[:, 0])) == 50
    allowed = 4.5 * np.sqrt(laws * (1 - laws).clip(0) * MAX_AGENTS) + 0.5
    assert (
        np.abs(simulator.counts - laws * MAX_AGENTS) <= allowed + 1e-3
    ).all()  # products of 10^12 are rounded to 1e-4
    fixed = started(LumpedSimulator, random_game(24), 10, n_populations=3)
    np.testing.assert_array_equal(fixed.start_laws, np.full((3, 2), 0.5))


# --- streams and seeds


def trajectory(simulator: Any, policy: FloatArray, n_steps: int = 6) -> list[list[Any]]:
    """Global states, counts and payments of some steps; s_g chooses the global action."""
    rng, found = np.random.default_rng(25), []
    for _ in range(n_steps):
        payment = advance(simulator, simulator.global_states % 2, policy, rng)
        found.append([simulator.global_states.tolist(), counts_of(simulator).tolist(), payment.team_reward.tolist()])
    return found


@pytest.mark.parametrize("make", BOTH)
def test_the_seed_decides_everything(make: Any, warehouse3: TabularGame) -> None:
    policy = random_policy(warehouse3, 26)
    runs = [trajectory(started(make, warehouse3, 50, seed=seed, n_populations=3), policy) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("make", BOTH)
def test_a_reset_with_running_streams_goes_on(make: Any, warehouse3: TabularGame) -> None:
    policy, streams = random_policy(warehouse3, 26), Streams.from_seed(3)
    simulator = make(warehouse3, 50)
    episodes = []
    for _ in range(2):
        simulator.reset(streams)
        episodes.append(trajectory(simulator, policy))
    assert episodes[0] != episodes[1]
    assert episodes[0] == trajectory(started(make, warehouse3, 50, seed=3), policy)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("name", ["sampling", "policy"])
def test_sampling_and_policies_leave_the_dynamics_alone(make: Any, name: str, warehouse3: TabularGame) -> None:
    policy, runs = random_policy(warehouse3, 26), []
    for n_extra in (0, 7):
        streams = Streams.from_seed(4)
        simulator = make(warehouse3, 50, n_populations=2)
        getattr(streams, name).random(n_extra)
        simulator.reset(streams)
        run = []
        for _ in range(5):
            getattr(streams, name).random(n_extra)
            run += trajectory(simulator, policy, n_steps=1)
        runs.append(run)
    assert runs[0] == runs[1]


def test_global_noise_does_not_depend_on_the_local_agents(warehouse3: TabularGame) -> None:
    """Common random numbers: same seed and global actions, same global path, whatever the population is."""
    paths = set()
    policies = [random_policy(warehouse3, seed) for seed in (26, 27)]
    for make, n_agents, policy in itertools.product(BOTH, (1, 80), policies):
        simulator = started(make, warehouse3, n_agents, seed=5, n_populations=2)
        path = [simulator.global_states.tolist()]
        path += [row[0] for row in trajectory(simulator, policy)]
        paths.add(str(path))
    assert len(paths) == 1


def test_both_simulators_start_from_the_same_global_states_and_laws(random_game: RandomGame) -> None:
    """The shares of 10^6 agents, one by one, are within 4.5 standard deviations of the lumped simulator's laws."""
    game = random_game(28, n_local=3, initial_local=DirichletStart([0.5, 0.5, 0.5]))
    lumped = started(LumpedSimulator, game, 10, seed=6, n_populations=4)
    individual = started(IndividualSimulator, game, 10**5, seed=6, n_populations=4)
    np.testing.assert_array_equal(lumped.global_states, individual.global_states)
    laws = lumped.start_laws
    allowed = 4.5 * np.sqrt(laws * (1 - laws) * 10**5) + 1
    assert (np.abs(individual.counts() - laws * 10**5) <= allowed).all()


# --- sizes


@pytest.mark.parametrize("n_agents", [0, 1, 2, 10**6, MAX_AGENTS])
def test_lumped_populations_keep_their_agents(n_agents: int, warehouse3: TabularGame) -> None:
    simulator = started(LumpedSimulator, warehouse3, n_agents, n_populations=3)
    policy = random_policy(warehouse3, 29)
    for _ in range(5):
        payment = simulator.step(np.array([0, 1, 2]), policy)
        assert simulator.counts.dtype == np.int64
        assert simulator.counts.min() >= 0
        np.testing.assert_array_equal(simulator.counts.sum(axis=1), n_agents)
        least, most = warehouse3.local_reward.min(), warehouse3.local_reward.max()
        means = payment.local_reward_mean
        assert (means == 0).all() if n_agents == 0 else ((least <= means) & (means <= most)).all()
        np.testing.assert_array_equal(payment.global_reward, 1.0)


def test_no_local_agents_leave_the_global_agent_alone(random_game: RandomGame, assert_law: AssertLaw) -> None:
    game = random_game(30)
    for make in BOTH:
        simulator = started(make, game, 0, n_populations=10_000)
        place(simulator, 1, np.zeros((1, 0), dtype=np.int64))
        payment = advance(
            simulator, np.zeros(10_000, dtype=np.int64), random_policy(game, 31), np.random.default_rng(0)
        )
        np.testing.assert_array_equal(payment.local_reward_mean, 0.0)
        np.testing.assert_array_equal(payment.team_reward, game.global_reward[1, 0])
        assert_law(np.bincount(simulator.global_states, minlength=2), game.global_transition[1, 0])


@pytest.mark.parametrize("timing", TIMINGS)
def test_huge_populations_follow_the_mean_field(timing: LocalTiming, random_game: RandomGame) -> None:
    """One step from known counts: each new count is within 4.5 standard deviations (at most sqrt(n)/2) of its mean."""
    game = random_game(32, n_local=3, n_local_actions=3)
    policy = random_policy(game, 33)
    simulator = started(LumpedSimulator, game, MAX_AGENTS, n_populations=20, local_timing=timing)
    simulator.counts = np.tile([MAX_AGENTS // 2, MAX_AGENTS // 4, MAX_AGENTS // 4], (20, 1))
    old = simulator.global_states
    payment = simulator.step(np.zeros(20, dtype=np.int64), policy)
    seen = old if timing == "paper" else simulator.global_states
    shares = np.array([0.5, 0.25, 0.25])
    for b in range(20):
        acting = shares[:, None] * policy[:, old[b]]  # [s_l, a_l]
        expected = MAX_AGENTS * np.einsum("xa,xay->y", acting, game.local_transition[:, seen[b]])
        assert (np.abs(simulator.counts[b] - expected) <= 4.5 * math.sqrt(MAX_AGENTS) / 2).all()
        mean = (acting * game.local_reward[:, old[b]]).sum()
        assert abs(payment.local_reward_mean[b] - mean) <= 4.5 / 2 / math.sqrt(MAX_AGENTS)  # rewards in [0, 1]


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(
    ("n_agents", "options", "error", "message"),
    [
        (-1, {}, ValueError, f"n_agents must be between 0 and {MAX_AGENTS}; got -1"),
        (MAX_AGENTS + 1, {}, ValueError, f"n_agents must be between 0 and {MAX_AGENTS}; got {MAX_AGENTS + 1}"),
        (True, {}, TypeError, "n_agents must be an integer; got True (a bool)"),
        (2.0, {}, TypeError, "n_agents must be an integer; got 2.0 (float)"),
        (2, {"n_populations": 0}, ValueError, "n_populations must be at least 1; got 0"),
        (2, {"n_populations": "3"}, TypeError, "n_populations must be an integer; got '3' (str)"),
        (2, {"local_timing": "new"}, ValueError, "local_timing must be one of 'paper', 'code'; got 'new'"),
    ],
)
def test_bad_sizes_are_refused(
    make: Any, n_agents: Any, options: dict[str, Any], error: type[Exception], message: str, warehouse3: TabularGame
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make(warehouse3, n_agents, **options)


# --- inversion


def test_inversion_takes_the_first_outcome_beyond_the_number() -> None:
    rng = np.random.default_rng(34)
    p = rng.dirichlet(np.ones(4), size=300)
    uniforms = rng.random(300)
    expected = [
        next(j for j in range(4) if u < row[: j + 1].sum() or j == 3) for u, row in zip(uniforms, p, strict=True)
    ]
    np.testing.assert_array_equal(sample_rows(uniforms, cumulative_thresholds(p)), expected)


def test_inversion_never_meets_an_impossible_outcome() -> None:
    """Not at the ends of [0, 1) either, where rounded sums fall short of 1."""
    rng = np.random.default_rng(35)
    p = rng.dirichlet(np.ones(6), size=5000)
    p[rng.random(p.shape) < 0.5] = 0
    p[np.arange(5000), rng.integers(0, 6, 5000)] += 0.1
    p /= p.sum(axis=1, keepdims=True)
    assert (p.cumsum(axis=1)[:, -1] < 1).any()  # else rounding is not put to the test
    for uniform in (0.0, np.nextafter(1, 0), 0.5):
        outcomes = sample_rows(np.full(5000, uniform), cumulative_thresholds(p))
        assert (p[np.arange(5000), outcomes] > 0).all()


def test_one_outcome_needs_no_threshold() -> None:
    assert cumulative_thresholds(np.ones((3, 1))).shape == (3, 0)
    np.testing.assert_array_equal(sample_rows(np.array([0.0, 0.9]), np.zeros((2, 0))), [0, 0])


@pytest.mark.parametrize("make", BOTH)
def test_a_game_of_one_state_and_one_action_stands_still(make: Any) -> None:
    game = TabularGame(
        global_transition=[[[1.0]]],
        local_transition=[[[[1.0]]]],
        global_reward=[[2.0]],
        local_reward=[[[3.0]]],
        discount=0.5,
    )
    simulator = started(make, game, 5)
    payment = advance(simulator, np.array([0]), np.ones((1, 1, 1)), np.random.default_rng(0))
    assert payment.team_reward.tolist() == [5.0]
    assert counts_of(simulator).tolist() == [[5]]
