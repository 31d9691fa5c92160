"""Policies, evaluation, settings and drawing in a game of functions: as in the tables it draws from."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents import evaluate
from kofn.agents.alternation.setting import Setting
from kofn.envs import GenerativeGame, GlobalPolicy, LocalPolicy, PopulationEnv, RewardLaw, TabularGame, sampled_game
from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.subsample import SubsampleObservation

Games = Callable[..., TabularGame]


@pytest.fixture
def game(random_game: Games) -> TabularGame:
    """Three local states, fair bets on every local reward."""
    plain = random_game(0, n_local=3, discount=0.8)
    values = plain.local_reward[..., None] + 0.5 * np.array([-1.0, 1.0])
    return replace(plain, local_reward_law=RewardLaw(values, np.full(values.shape, 0.5)))


@pytest.fixture
def oracle(game: TabularGame) -> GenerativeGame:
    """The same game as functions."""
    return GenerativeGame.from_tables(game)


@pytest.mark.parametrize("timing", ["paper", "code"])
def test_evaluation_agrees_with_the_exact_potential(game: TabularGame, oracle: GenerativeGame, timing: Any) -> None:
    """Within 4 standard errors, for policies that the brute force plays agent by agent."""
    rng = np.random.default_rng(1)
    table, local = rng.dirichlet(np.ones(2), (2, 6)), rng.dirichlet(np.ones(2), (3, 2))
    global_policy = GlobalPolicy(table=table, k=2, n_local_states=3, n_actions=2)
    exact = brute_force.potential(game, table, local, 3, 2, timing)
    result = evaluate(
        oracle, global_policy, LocalPolicy(local), 3, horizon=60, n_rollouts=4000, seed=2, local_timing=timing
    )
    assert abs(result.mean - exact) <= 4 * result.standard_error + 0.8**60 * oracle.value_bound
    assert result.standard_error < 0.03
    again = evaluate(
        oracle, global_policy, LocalPolicy(local), 3, horizon=60, n_rollouts=4000, seed=2, local_timing=timing
    )
    assert result.returns.tolist() == again.returns.tolist()


def test_policies_are_checked_by_sizes(oracle: GenerativeGame) -> None:
    right = GlobalPolicy.named("uniform", oracle, 2), LocalPolicy.named("uniform", oracle)
    wrong = GlobalPolicy.constant(oracle, 2, 0), LocalPolicy(np.full((3, 2, 3), 1 / 3))
    assert evaluate(oracle, wrong[0], right[1], 4, horizon=2, n_rollouts=2, seed=0).n_rollouts == 2
    message = r"must match the game's \[\|S_l\|, \|S_g\|, \|A_l\|\] = \[3, 2, 2\]; it has \[3, 2, 3\]"
    with pytest.raises(ValueError, match=message):
        evaluate(oracle, right[0], wrong[1], 4, horizon=2, n_rollouts=2, seed=0)


def test_policies_read_off_tables_are_refused(oracle: GenerativeGame) -> None:
    with pytest.raises(ValueError, match="'keep' needs the game's global_transition, which a GenerativeGame lacks"):
        GlobalPolicy.named("keep", oracle, 2)
    with pytest.raises(ValueError, match=r"'stay' needs the game's local_transition, .*; see sampled_game"):
        LocalPolicy.named("stay", oracle)
    found = sampled_game(oracle, 20, seed=0)
    GlobalPolicy.named("keep", found, 2).check_fits(oracle, 2)
    LocalPolicy.named("stay", found).check_fits(oracle)


def test_settings_are_read_off_environments(oracle: GenerativeGame) -> None:
    setting = Setting.of(SubsampleObservation(PopulationEnv(oracle, 5, max_cycles=7), 2))
    assert setting.game is oracle
    assert (setting.n_agents, setting.k, setting.max_cycles) == (5, 2, 7)
    env = SubsampleObservation(PopulationEnv(oracle, 5), 2)
    observations, _ = env.reset(seed=0)
    pair = GlobalPolicy.named("uniform", oracle, 2), LocalPolicy.named("uniform", oracle)
    env.step(setting.act(*pair, observations, np.random.default_rng(0)))


@pytest.mark.parametrize("deviation", [None, "tagged", "shared"])
def test_views_have_the_law_of_the_tables(game: TabularGame, oracle: GenerativeGame, deviation: Any) -> None:
    """Mean payments of 2000 steps in both kinds of game, within 4 standard errors of their difference.

    Steps are correlated: the error is that of the means of 40 stretches of 50 steps.
    """
    means = []
    for seed, kind in enumerate((game, oracle)):
        options: dict[str, Any] = {"n_agents": 4, "k": 2, "max_cycles": 10**6, "render_mode": "ansi"}
        env: Any = GlobalBestResponse(kind, **options)
        action: Any = 1
        if deviation is not None:
            env = LocalBestResponse(kind, global_policy="uniform", deviation=deviation, **options)
            action = 1 if deviation == "tagged" else np.array([0, 1, 0])
        env.reset(seed=seed)
        paid = np.array([env.step(action)[1] for _ in range(2000)])
        assert "x0" in str(env.render())
        means.append(paid.reshape(40, 50).mean(axis=1))
    error = np.hypot(*(mean.std(ddof=1) / np.sqrt(40) for mean in means))
    assert abs(means[0].mean() - means[1].mean()) <= 4 * error


@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_games_of_functions_are_drawn(oracle: GenerativeGame, render_mode: Any) -> None:
    env = SubsampleObservation(PopulationEnv(oracle, 5, render_mode=render_mode), 2)
    env.reset(seed=0)
    frame = env.render()
    assert "tabular game" in frame if render_mode == "ansi" else frame.ndim == 3  # the labels of the tables
