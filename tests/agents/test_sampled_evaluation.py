"""Values under samplers: the uniform one against `evaluate`, lumped against individuals, and a case solved by hand."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kofn.agents import evaluate, evaluate_sampled
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.wrappers import DistanceWeighted, Stratified, Uniform

Array = npt.NDArray[Any]
SIZES: dict[str, Any] = {"horizon": 20, "n_rollouts": 1000}


@pytest.fixture(scope="module")
def game(random_game: Callable[..., TabularGame]) -> TabularGame:
    return random_game(0, n_local=3)


@pytest.fixture(scope="module")
def pair(game: TabularGame) -> tuple[GlobalPolicy, LocalPolicy]:
    rng = np.random.default_rng(0)
    table = rng.integers(2, size=(2, 10))
    return GlobalPolicy(table=table, k=3, n_local_states=3, n_actions=2), LocalPolicy.named("uniform", game)


def test_uniform_samples_are_those_of_evaluate(game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy]) -> None:
    for sampler in ("uniform", Uniform()):
        found = evaluate_sampled(game, *pair, 50, sampler, seed=1, **SIZES)
        np.testing.assert_array_equal(found.returns, evaluate(game, *pair, 50, seed=1, **SIZES).returns)


@pytest.mark.parametrize(
    "sampler", [Uniform(), Stratified(np.array([0, 1, 1])), DistanceWeighted(np.array([[0, 3], [1, 0], [2, 5]]))]
)
def test_counts_and_individuals_have_the_same_value(
    game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy], sampler: Any
) -> None:
    lumped = evaluate_sampled(game, *pair, 6, sampler, seed=1, **SIZES)
    # A partial function hides that the sampler could draw from counts.
    plain = evaluate_sampled(game, *pair, 6, partial(sampler), seed=2, **SIZES)
    assert abs(lumped.mean - plain.mean) < 4 * np.hypot(lumped.standard_error, plain.standard_error)


def test_who_is_seen_decides_what_is_done(random_game: Callable[..., TabularGame]) -> None:
    """The global agent asks for state 0 if it sees anyone in state 0, and is paid for being there.

    No agent ever moves. It sees the nearest of them: in s_g = 0 that is one in state 0, in s_g = 1 one in state 1. So
    s_g never changes, and it earns 1 per step or nothing, as it started.
    """
    stay = np.eye(2)
    still = TabularGame(
        global_transition=np.stack([stay] * 2),
        local_transition=np.tile(stay[:, None, None], (1, 2, 2, 1)),
        global_reward=np.array([[1.0, 1.0], [0.0, 0.0]]),
        local_reward=np.zeros((2, 2, 2)),
        discount=0.9,
    )
    follow = GlobalPolicy(table=np.tile([1, 0], (2, 1)), k=1, n_local_states=2, n_actions=2)
    fleet = LocalPolicy.named("uniform", still)
    near = DistanceWeighted(1 - np.eye(2), scale=1e-3)
    options: dict[str, Any] = {"horizon": 10, "n_rollouts": 400, "seed": 0}
    found = evaluate_sampled(still, follow, fleet, 1000, near, **options).returns
    kept = (1 - 0.9**10) / (1 - 0.9)
    assert set(found.round(9)) == {0.0, round(kept, 9)}
    blind = evaluate_sampled(still, follow, fleet, 1000, "uniform", **options).returns
    assert len(set(blind.round(9))) > 10


def test_same_seed_same_returns(game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy]) -> None:
    near = DistanceWeighted(np.array([[0, 3], [1, 0], [2, 5]]))
    first, again = (
        evaluate_sampled(game, *pair, 9, near, seed=5, horizon=5, n_rollouts=5000).returns for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert len(first) == 5000


def test_bad_samplers_are_refused(game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy]) -> None:
    with pytest.raises(ValueError, match="sampler must be a function or one of 'uniform'; got 'near'"):
        evaluate_sampled(game, *pair, 9, "near")
    with pytest.raises(ValueError, match=re.escape("a sampler must return different agents; 0 is there 3 times")):
        evaluate_sampled(game, *pair, 9, lambda *_: np.zeros(3, dtype=int), n_rollouts=2)


def test_samplers_that_know_states_by_functions_are_shown_individuals(
    game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy]
) -> None:
    by_table, by_function = Stratified(np.array([0, 1, 1])), Stratified(lambda states: np.minimum(states, 1))
    lumped = evaluate_sampled(game, *pair, 6, by_table, seed=1, **SIZES)
    plain = evaluate_sampled(game, *pair, 6, by_function, seed=2, **SIZES)
    assert abs(lumped.mean - plain.mean) < 4 * np.hypot(lumped.standard_error, plain.standard_error)


@pytest.mark.parametrize("sampler", ["uniform", Stratified(np.array([0, 0, 0]))])
def test_the_authors_timing_is_passed_on(
    game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy], sampler: Any
) -> None:
    """One stratum of all agents is as good as uniform samples."""
    sizes: dict[str, Any] = {"horizon": 20, "n_rollouts": 4000}
    found = evaluate_sampled(game, *pair, 50, sampler, seed=1, local_timing="code", **sizes)
    expected = evaluate(game, *pair, 50, seed=2, local_timing="code", **sizes)
    assert abs(found.mean - expected.mean) < 4 * np.hypot(found.standard_error, expected.standard_error)
    paper = evaluate(game, *pair, 50, seed=2, **sizes)
    assert abs(paper.mean - expected.mean) > 6 * np.hypot(paper.standard_error, expected.standard_error)
