"""Estimated games: counts, confidence, what is filled in, and what learners make of them."""

import re
from collections.abc import Callable
from dataclasses import replace
from math import log as ln
from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from kofn.agents import g_learn
from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.estimate_game import GameEstimate, estimate_game, l1_radius
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.envs import DirichletStart, FixedStart, Labels, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.reward_law import RewardLaw
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]


def sizes_of(game: TabularGame) -> SpaceSizes:
    return SpaceSizes(game.n_global_states, game.n_local_states, game.n_global_actions, game.n_local_actions)


def sampled_log(
    game: TabularGame, n_steps: int, seed: int, n_agents: int = 4, k: int = 2, noise: float = 0.0, own: bool = False
) -> Transitions:
    """States and actions uniform, moves by the game; own rewards, or their means over D, with normal noise."""
    rng = np.random.default_rng(seed)
    sizes = sizes_of(game)
    s_g, a_g = rng.integers(sizes.n_global_states, size=n_steps), rng.integers(sizes.n_global_actions, size=n_steps)
    shape = n_steps, n_agents
    s_l, a_l = rng.integers(sizes.n_local_states, size=shape), rng.integers(sizes.n_local_actions, size=shape)
    row = s_l, s_g[:, None], a_l
    rewards = game.local_reward[row] + noise * rng.standard_normal(shape)
    global_rewards = game.global_reward[s_g, a_g] + noise * rng.standard_normal(n_steps)
    return Transitions.from_arrays(
        (s_g, s_l),
        (a_g, a_l),
        (global_rewards, rewards if own else global_rewards + rewards[:, :k].mean(axis=1)),
        (
            sample_rows(rng.random(n_steps), cumulative_thresholds(game.global_transition)[s_g, a_g]),
            sample_rows(rng.random(shape), cumulative_thresholds(game.local_transition)[row]),
        ),
        sizes=sizes,
        sampled=np.tile(np.arange(k), (n_steps, 1)),
    )


def l1_errors(estimate: GameEstimate, game: TabularGame) -> tuple[FloatArray, FloatArray]:
    """L1 errors of the global and local rows."""
    return (
        np.abs(estimate.game.global_transition - game.global_transition).sum(axis=-1),
        np.abs(estimate.game.local_transition - game.local_transition).sum(axis=-1),
    )


def test_rows_are_relative_frequencies(random_game: Games) -> None:
    game = random_game(1, n_global=3, n_local=2, n_global_actions=2, n_local_actions=3)
    log = sampled_log(game, 400, seed=2)
    estimate = estimate_game(log, discount=0.7)
    visits, moves, paid = np.zeros((3, 2)), np.zeros((3, 2, 3)), np.zeros((3, 2))
    for s, a, r, s_next in zip(
        log.global_states, log.global_actions, log.global_rewards, log.next_global_states, strict=True
    ):
        visits[s, a] += 1
        moves[s, a, s_next] += 1
        paid[s, a] += r
    assert (estimate.global_counts == visits).all()
    assert estimate.game.global_transition == pytest.approx(moves / visits[:, :, None])
    assert estimate.game.global_reward == pytest.approx(paid / visits)
    assert (estimate.local_counts == log.local_moves.sum(axis=3)).all()
    assert estimate.game.local_transition == pytest.approx(log.local_moves / estimate.local_counts[..., None])
    assert (estimate.global_counts.sum(), estimate.local_counts.sum()) == (400, 400 * 4)
    assert estimate.complete
    assert [rows.size for rows in (estimate.unvisited_global, estimate.unvisited_local)] == [0, 0]
    assert (estimate.game.discount, estimate.delta, estimate.on_unvisited) == (0.7, 0.05, "error")


@pytest.mark.parametrize("seed", range(5))
def test_every_row_lies_within_its_radius(random_game: Games, seed: int) -> None:
    """At level 0.05 for all rows at once; on logs of the real environment, whose visits depend on what happened."""
    game = random_game(seed, n_global=2, n_local=3)
    env = SubsampleObservation(PopulationEnv(game, 8), 2)
    estimate = estimate_game(collect_transitions(env, n_steps=1000, seed=seed), discount=game.discount)
    for error, radius in zip(l1_errors(estimate, game), (estimate.global_radius, estimate.local_radius), strict=True):
        assert (error <= radius).all()
    assert np.abs(estimate.game.local_reward - game.local_reward).max() < 1e-9
    assert np.abs(estimate.game.global_reward - game.global_reward).max() < 1e-12


def test_errors_fall_as_the_root_of_the_counts(random_game: Games) -> None:
    """E |p^ - p|_1 is about sum_y sqrt(2 p_y (1 - p_y) / (pi N)); the mean of 1000 rows or so, by 5 standard errors."""
    for n_steps in (1000, 8000):
        ratios = []
        for seed in range(20):
            game = random_game(seed, n_global=2, n_local=4, n_local_actions=3)
            estimate = estimate_game(sampled_log(game, n_steps, seed, own=True), discount=0.9)
            p = game.local_transition
            typical = np.sqrt(2 * p * (1 - p) / (np.pi * estimate.local_counts[..., None])).sum(axis=-1)
            ratios.append(l1_errors(estimate, game)[1] / typical)
        found = np.ravel(ratios)
        assert abs(found.mean() - 1) < 5 * found.std() / sqrt(found.size)


def test_radius_is_weissmans_at_every_count() -> None:
    radius = l1_radius(np.array([0, 1, 10, 1000]), 3, 0.01)
    assert radius[:2].tolist() == [2.0, 2.0]
    for found, n in zip(radius[2:], (10, 1000), strict=True):
        assert found == pytest.approx(min(2, sqrt(2 / n * ln(6 * n * (n + 1) / 0.01))))
    assert l1_radius(np.array([0, 7]), 1, 0.01).tolist() == [0.0, 0.0]
    # 2^S overflows nothing: ln(2^2000 - 2) = 2000 ln 2.
    assert l1_radius(np.array([10**6]), 2000, 0.5)[0] == pytest.approx(
        sqrt(2e-6 * (2000 * ln(2) + ln(1e6 * (1e6 + 1) / 0.5)))
    )


@pytest.mark.parametrize("p", [0.5, 0.1])
def test_radius_holds_for_coins(p: float) -> None:
    """Exactly, by the binomial law: the chance of failing at N = n is at most delta/(n(n+1))."""
    delta = 0.5
    for n in (50, 500, 5000):
        heads = np.arange(n + 1)
        outside = 2 * np.abs(heads / n - p) > l1_radius(np.array(n), 2, delta)
        chance = binom.pmf(heads, n, p)[outside].sum()
        assert chance <= delta / (n * (n + 1))
        if p == 0.5:  # and not by far
            closer = 2 * np.abs(heads / n - p) > 0.8 * l1_radius(np.array(n), 2, delta)
            assert binom.pmf(heads, n, p)[closer].sum() > delta / (n * (n + 1))


def test_all_rows_share_the_level(random_game: Games) -> None:
    """Two of them at half the level each, and so on: delta over the number of rows, global and local."""
    game = random_game(1)
    estimate = estimate_game(sampled_log(game, 2000, 0), discount=0.9, delta=0.2)
    assert (estimate.local_radius == l1_radius(estimate.local_counts, 2, 0.2 / (4 + 8))).all()
    assert (estimate.global_radius == l1_radius(estimate.global_counts, 2, 0.2 / (4 + 8))).all()


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("own", [True, False])
def test_certain_rewards_are_found_exactly(random_game: Games, k: int, own: bool) -> None:
    game = random_game(2, n_local=3, n_local_actions=2)
    estimate = estimate_game(sampled_log(game, 300, 1, k=k, own=own), discount=0.9)
    assert estimate.game.local_reward == pytest.approx(game.local_reward, abs=1e-12)
    assert estimate.game.global_reward == pytest.approx(game.global_reward, abs=1e-12)
    assert estimate.local_reward_error.max() < 1e-6
    assert estimate.global_reward_error.max() < 1e-6


def test_standard_errors_are_those_of_means(random_game: Games) -> None:
    """Of global rewards and of own ones, by numpy on each cell's rewards; nothing is known after one visit."""
    paid = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 16.0]])
    zeros = np.zeros(2, dtype=int)
    states = np.array([[0, 0, 1], [0, 0, 1]])
    steps = np.array([3.0, 6.0])
    log = Transitions.from_arrays(
        (zeros, states), (zeros, 0 * states), (steps, paid), (zeros, states), sizes=SpaceSizes(1, 2, 1, 1)
    )
    estimate = estimate_game(log, discount=0.9)
    assert estimate.global_reward_error[0, 0] == pytest.approx(steps.std(ddof=1) / sqrt(2))
    expected = [paid[:, :2].std(ddof=1) / 2, paid[:, 2].std(ddof=1) / sqrt(2)]
    assert estimate.local_reward_error.ravel() == pytest.approx(expected)
    once = Transitions.from_arrays(
        (zeros[:1], states[:1]),
        (zeros[:1], 0 * states[:1]),
        (steps[:1], paid[:1]),
        (zeros[:1], states[:1]),
        sizes=SpaceSizes(1, 2, 1, 1),
    )
    alone = estimate_game(once, discount=0.9)
    assert alone.global_reward_error.tolist() == [[np.inf]]
    assert np.isinf(alone.local_reward_error.ravel()).tolist() == [False, True]


@pytest.mark.parametrize("own", [True, False])
def test_standard_errors_are_those_of_random_rewards(random_game: Games, own: bool) -> None:
    """Standardised errors of 20 logs have mean square 1, within 5 standard errors."""
    game = random_game(2, n_local=3)
    found: list[FloatArray] = []
    for seed in range(20):
        estimate = estimate_game(sampled_log(game, 400, seed, noise=0.5, own=own), discount=0.9)
        found += [
            ((estimate.game.local_reward - game.local_reward) / estimate.local_reward_error).ravel(),
            ((estimate.game.global_reward - game.global_reward) / estimate.global_reward_error).ravel(),
        ]
    squares = np.concatenate(found) ** 2
    assert abs(squares.mean() - 1) < 5 * sqrt(2 / squares.size)


def test_own_rewards_are_averaged_over_all_agents(random_game: Games) -> None:
    """Twelve agents of which one is seen: the error is that of all twelve."""
    game = random_game(2)
    log = sampled_log(game, 500, 0, n_agents=12, k=1, noise=0.5, own=True)
    estimate = estimate_game(log, discount=0.9)
    assert estimate.local_reward_error == pytest.approx(0.5 / np.sqrt(estimate.local_counts), rel=0.15)
    assert np.abs(estimate.game.local_reward - game.local_reward).max() < 5 * estimate.local_reward_error.max()


def test_random_rewards_through_the_environment(random_game: Games) -> None:
    game = random_game(4)
    values = np.stack([0 * game.local_reward, 2 * game.local_reward], axis=-1)
    noisy = replace(
        game, local_reward_law=RewardLaw(values, np.full(values.shape, 0.5)), local_reward=None, labels=None
    )
    env = SubsampleObservation(PopulationEnv(noisy, 5), 2)
    estimate = estimate_game(collect_transitions(env, n_steps=2000, seed=0), discount=0.9)
    error = np.abs(estimate.game.local_reward - game.local_reward)
    assert (error < 5 * estimate.local_reward_error).all()
    assert 0.005 < error.max() < 0.3


@pytest.fixture
def closed(random_game: Games) -> TabularGame:
    """Local state 2 and global state 0 are never entered, nor started from."""
    game = random_game(6, n_global=2, n_local=3)
    global_transition = np.zeros((2, 2, 2))
    global_transition[..., 1] = 1
    local_transition = game.local_transition[..., :2] / game.local_transition[..., :2].sum(axis=-1, keepdims=True)
    return replace(
        game,
        global_transition=global_transition,
        local_transition=np.concatenate([local_transition, np.zeros((3, 2, 2, 1))], axis=-1),
        initial_global=np.array([0.0, 1.0]),
        initial_local=FixedStart(np.array([0.5, 0.5, 0.0])),
    )


def closed_log(closed: TabularGame) -> Transitions:
    return collect_transitions(SubsampleObservation(PopulationEnv(closed, 6), 2), n_steps=200, seed=0)


UNVISITED_LOCAL = [[x, g, a] for x in range(3) for g in range(2) for a in range(2) if x == 2 or g == 0]


def test_unvisited_rows_are_an_error_that_lists_them(closed: TabularGame) -> None:
    listed = ", ".join(str(tuple(row)) for row in UNVISITED_LOCAL)
    message = (
        "the log never visits the global rows (s_g, a_g) (0, 0), (0, 1); it never visits the local rows "
        f"(s_l, s_g, a_l) {listed}. Log more steps, or have them filled in: on_unvisited='stay' or 'uniform'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        estimate_game(closed_log(closed), discount=0.9)


@pytest.mark.parametrize("option", ["stay", "uniform"])
def test_unvisited_rows_are_filled_in_and_listed(closed: TabularGame, option: Any) -> None:
    estimate = estimate_game(closed_log(closed), discount=0.9, on_unvisited=option)
    assert estimate.unvisited_global.tolist() == [[0, 0], [0, 1]]
    assert estimate.unvisited_local.tolist() == UNVISITED_LOCAL
    assert estimate.undetermined_rewards.tolist() == []
    assert (estimate.complete, estimate.on_unvisited) == (False, option)
    game = estimate.game
    for row in estimate.unvisited_global:
        expected = [1.0, 0.0] if option == "stay" else [0.5, 0.5]
        assert game.global_transition[tuple(row)].tolist() == expected
        assert game.global_reward[tuple(row)] == game.global_reward[1].min()
        assert estimate.global_radius[tuple(row)] == 2
        assert estimate.global_reward_error[tuple(row)] == np.inf
    for row in estimate.unvisited_local:
        expected = np.eye(3)[row[0]].tolist() if option == "stay" else [1 / 3] * 3
        assert game.local_transition[tuple(row)].tolist() == expected
        assert game.local_reward[tuple(row)] == pytest.approx(closed.local_reward[:2, 1].min(), abs=1e-12)
        assert estimate.local_radius[tuple(row)] == 2
        assert estimate.local_reward_error[tuple(row)] == np.inf
    assert game.local_reward[:2, 1] == pytest.approx(closed.local_reward[:2, 1], abs=1e-12)


def pairs(rewards: list[float], third: bool) -> Transitions:
    """Agents of states 0 and 1 are always seen together, perhaps state 2 alone elsewhere; nothing ever moves."""
    states = [[0, 1]] * len(rewards) + [[2, 2]] * (2 * third)
    zeros = np.zeros(len(states), dtype=int)
    return Transitions.from_arrays(
        (zeros, np.array(states)),
        (zeros, np.zeros((len(states), 2), dtype=int)),
        (np.zeros(len(states)), np.array(rewards + [5.0] * (2 * third))),
        (zeros, np.array(states)),
        sizes=SpaceSizes(1, 3, 1, 1),
    )


def test_rewards_that_are_not_determined_are_listed() -> None:
    """The mean of two rewards is known to be 3, so the solution of smallest norm has 3 and 3; that of state 2 is 5."""
    log = pairs([3.0, 3.0, 3.0], third=True)
    with pytest.raises(
        ValueError, match=r"the log does not determine the local rewards .* \(0, 0, 0\), \(1, 0, 0\)\. Log"
    ):
        estimate_game(log, discount=0.9)
    estimate = estimate_game(log, discount=0.9, on_unvisited="stay")
    assert estimate.undetermined_rewards.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert estimate.unvisited_local.tolist() == []
    assert not estimate.complete
    assert estimate.game.local_reward.ravel() == pytest.approx([3.0, 3.0, 5.0])
    assert np.isinf(estimate.local_reward_error.ravel()).tolist() == [True, True, False]


def test_rewards_of_agents_that_are_never_seen_count_as_the_lowest_known() -> None:
    zeros = np.zeros(4, dtype=int)
    states = np.array([[0, 2], [1, 2], [0, 2], [1, 2]])
    log = Transitions.from_arrays(
        (zeros, states),
        (zeros, np.zeros((4, 2), dtype=int)),
        (np.ones(4), np.array([3.0, 5.0, 3.0, 5.0])),
        (zeros, states),
        sizes=SpaceSizes(1, 3, 1, 1),
        sampled=np.zeros((4, 1), dtype=int),
    )
    estimate = estimate_game(log, discount=0.9, on_unvisited="uniform")
    assert estimate.undetermined_rewards.tolist() == [[2, 0, 0]]
    assert estimate.game.local_reward.ravel() == pytest.approx([2.0, 4.0, 2.0])


def test_long_lists_are_cut(random_game: Games) -> None:
    game = random_game(0, n_global=4, n_local=5)
    with pytest.raises(ValueError, match=r"\(0, 0, 0\), .*, \.\. \(3\d in all\)"):
        estimate_game(sampled_log(game, 1, 0), discount=0.9)


def test_starts_and_labels_are_those_of_the_likeness(random_game: Games) -> None:
    names = {"global_states": ("u", "v"), "local_states": ("x", "y"), "global_actions": ("a", "b")}
    like = replace(
        random_game(1),
        initial_global=np.array([0.1, 0.9]),
        initial_local=DirichletStart(np.array([0.3, 0.6])),
        labels=Labels(title="mine", local_actions=("c", "d"), **names),
    )
    log = sampled_log(like, 200, 0)
    game = estimate_game(log, discount=0.9, like=like).game
    assert game.initial_global.tolist() == [0.1, 0.9]
    assert isinstance(game.initial_local, DirichletStart)
    assert game.initial_local.concentration.tolist() == [0.3, 0.6]
    assert game.labels == like.labels
    plain = estimate_game(log, discount=0.9).game
    assert plain.initial_global.tolist() == [0.5, 0.5]
    assert plain.labels.local_states == ("x0", "x1")
    with pytest.raises(ValueError, match="initial_global must have shape"):
        estimate_game(log, discount=0.9, like=random_game(1, n_global=3))


@pytest.mark.parametrize("seed", range(3))
def test_g_learn_on_the_estimate_is_within_the_simulation_lemma(
    random_game: Games, random_local: Callable[..., LocalPolicy], seed: int
) -> None:
    """|Q^ - Q*| <= (max |r^ - r| + gamma/2 (e_g + k e_l) span W) / (1 - gamma), e the largest L1 radii."""
    game = random_game(seed, n_local=3, discount=0.8)
    policy = random_local(game, seed)
    k = 2
    exact = g_learn(game, policy, k=k, operator="exact").q_values
    errors = []
    for n_steps in (2000, 32_000):
        estimate = estimate_game(sampled_log(game, n_steps, seed), discount=0.8)
        errors.append(np.abs(g_learn(estimate.game, policy, k=k, operator="exact").q_values - exact).max())
        moved = estimate.global_radius.max() + k * estimate.local_radius.max()
        bound = 0.8 / 2 * moved * np.ptp(exact.max(axis=2)) / 0.2
        assert 0 < errors[-1] < bound
    assert errors[1] < errors[0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"on_unvisited": "guess"}, ValueError, "on_unvisited must be one of 'error', 'stay', 'uniform'; got 'guess'"),
        ({"delta": 0.0}, ValueError, r"delta must be positive and finite; got 0\.0"),
        ({"delta": 1.5}, ValueError, r"delta must lie in \[0, 1\]; got 1\.5"),
        ({"delta": "a"}, TypeError, "delta must be a number; got 'a'"),
        ({"discount": 1.0}, ValueError, r"discount must lie strictly between 0 and 1; got 1\.0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    random_game: Games, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        estimate_game(sampled_log(random_game(1), 100, 0), **{"discount": 0.9, **options})
