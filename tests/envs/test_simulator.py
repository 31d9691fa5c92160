"""Both simulators against the law of their steps written out agent by agent, and the outcomes of inversion."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from two_simulators import BOTH, TIMINGS, advance, counts_of, place, random_policy, started, tally

from kofn.envs import IndividualSimulator, LumpedSimulator, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms, rank_histograms
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.simulator import LocalTiming

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]


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
