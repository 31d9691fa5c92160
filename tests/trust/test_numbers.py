"""What is not finite stops learning with an error that names where; broken acceleration is given up with a warning."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle.two_sides import two_sides

from kofn.agents import (
    AlternatingConfig,
    AlternatingMARL,
    Evaluation,
    evaluate,
    g_learn,
    l_learn,
    off_policy_in_surrogate,
    solvers,
)
from kofn.agents.line_evaluation import evaluate_line
from kofn.agents.solvers import value_iteration
from kofn.envs import AggregateGame, GenerativeGame, GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.line_policies import MlpGlobalPolicy, UniformLinePolicy, uniform_layers
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]


@pytest.mark.parametrize("reward", [1e100, -1e200, 1e200])
def test_rewards_whose_sums_may_overflow_are_refused(random_game: Games, reward: float) -> None:
    game = random_game(0)
    with pytest.raises(ValueError, match=r"rewards must keep values .* at most 1e\+100; they reach"):
        replace(game, global_reward=np.full((2, 2), reward))
    with pytest.raises(ValueError, match=r"rewards must keep values .* at most 1e\+100; they reach"):
        replace(GenerativeGame.from_tables(game), local_reward_bounds=(-abs(reward), abs(reward)))
    with pytest.raises(ValueError, match=r"local_reward_bounds must be finite in single precision; entry \[0\] is -"):
        replace(two_sides(), local_reward_bounds=(-abs(reward), abs(reward)))


def failing_after(game: TabularGame, n_calls: int, bad: float) -> GenerativeGame:
    """The game as functions, one of which returns a bad number once it was called that often."""
    oracle = GenerativeGame.from_tables(game)
    pay, left = oracle.pay_local, n_calls

    def pay_local(*arguments: Any) -> Any:
        nonlocal left
        paid = np.array(pay(*arguments))
        left -= paid.size > 0
        if left < 0 and paid.size:
            paid.flat[-1] = bad
        return paid

    return replace(oracle, pay_local=pay_local)


UNIFORM = LocalPolicy(np.full((2, 2, 2), 0.5))
KEEP = GlobalPolicy(table=np.array([[0, 0], [1, 1]]), k=1, n_local_states=2, n_actions=2)
SMALL = AlternatingConfig(n_rollouts=4, horizon=3, eta=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "learn",
    [
        lambda game: g_learn(game, UNIFORM, k=1, n_samples=3, seed=0),
        lambda game: l_learn(game, KEEP, n_samples=3, seed=0),
        lambda game: evaluate(game, KEEP, UNIFORM, 3, horizon=5, n_rollouts=4, seed=0),
        lambda game: off_policy_in_surrogate(game, UNIFORM, k=1, n_steps=50, seed=0),
        lambda game: AlternatingMARL(SubsampleObservation(PopulationEnv(game, 3), k=1), SMALL, seed=0).learn(),
    ],
)
def test_a_bad_reward_of_a_function_is_named(random_game: Games, learn: Callable[[Any], Any], bad: float) -> None:
    """On the first call, and on the one but last that the learner makes."""
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += np.size(arguments[-1]) > 0
        return oracle.pay_local(*arguments)

    game = random_game(0, discount=0.5)
    oracle = GenerativeGame.from_tables(game)
    learn(replace(oracle, pay_local=counted))
    assert calls >= 1
    for n_calls in {0, max(0, calls - 1)}:
        with pytest.raises(ValueError, match=r"pay_local must return .*(nan|inf)"):
            learn(failing_after(game, n_calls, bad))


def test_a_bad_reward_of_a_continuous_game_is_named() -> None:
    game = two_sides()
    broken = replace(game, pay_local=lambda _rng, s_l, _s_g, _a_l: np.where(s_l > 0.5, np.nan, 0.0))
    dispatcher = MlpGlobalPolicy(layers=uniform_layers(3, 2, (2,), np.random.default_rng(0)), k=1)
    with pytest.raises(ValueError, match=r"pay_local must return .*nan"):
        evaluate_line(broken, dispatcher, UniformLinePolicy(2), 3, horizon=9, n_rollouts=9, seed=0)


def play_on(env: PopulationEnv) -> None:
    """To the end of the episode."""
    while env.agents:
        env.step(dict.fromkeys(env.agents, 0))


def test_a_bad_reward_of_an_aggregate_is_named(random_game: Games) -> None:
    """Finite at both ends, where it is tried when the game is made."""
    game = random_game(0)
    ends = np.array([game.local_reward.min(), game.local_reward.max()])
    broken = AggregateGame(tables=game, reward_of_mean=lambda mean: np.where(np.isin(mean, ends), mean, np.nan))
    env = PopulationEnv(broken, 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"reward_of_mean must be finite; at the mean .* it is nan"):
        play_on(env)


def test_returns_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FloatingPointError, match=r"that of rollout 1 over 5 steps of n=3 agents is inf"):
        Evaluation(returns=np.array([0.0, np.inf]), n_agents=3, k=1, horizon=5, seed=0)


@pytest.fixture(scope="module")
def plain(random_game: Games) -> tuple[TabularGame, Any]:
    """A game, and its Q as acceleration finds it, within the certificate."""
    game = random_game(3, n_global=3, n_local=3, discount=0.9)
    return game, g_learn(game, LocalPolicy.named("uniform", game), k=3, operator="exact", tolerance=1e-9)


def singular(_: Any) -> Any:
    raise np.linalg.LinAlgError("Singular matrix")


@pytest.mark.parametrize(
    ("combination", "message"),
    [
        (singular, "Singular matrix"),
        (lambda gram: np.full(len(gram), np.nan), "it is not finite"),
        (lambda gram: np.full(len(gram), 1e308), "not finite"),
    ],
)
def test_acceleration_that_breaks_is_given_up_with_a_warning(
    plain: tuple[TabularGame, Any], monkeypatch: pytest.MonkeyPatch, combination: Any, message: str
) -> None:
    game, expected = plain
    monkeypatch.setattr(solvers, "_combination", combination)
    with pytest.warns(RuntimeWarning, match=rf"no combination of iterates .*{message}.*goes on without") as caught:
        found = g_learn(game, LocalPolicy.named("uniform", game), k=3, operator="exact", tolerance=1e-9)
    assert sum("no combination" in str(warning.message) for warning in caught) == 1
    assert found.converged
    assert found.certificate <= 1e-9
    np.testing.assert_allclose(found.q_values, expected.q_values, rtol=0, atol=2.1e-9)


def test_combinations_that_lead_astray_cannot_mislead(
    plain: tuple[TabularGame, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random weights: each is judged by the span of its change, so that the end is still certified."""
    game, expected = plain
    rng = np.random.default_rng(0)

    def random_weights(gram: Any) -> Any:
        weights = rng.normal(0, 5, len(gram))
        weights[-1] = 1 - weights[:-1].sum()
        return weights

    monkeypatch.setattr(solvers, "_combination", random_weights)
    found = g_learn(game, LocalPolicy.named("uniform", game), k=3, operator="exact", tolerance=1e-9)
    assert found.converged
    np.testing.assert_allclose(found.q_values, expected.q_values, rtol=0, atol=2.1e-9)


def test_an_operator_that_cannot_take_a_combination_gets_images_only() -> None:
    """T is only defined at values from 0 to 10; a combination that leaves them has an image that is not finite."""

    def operator(values: Any) -> Any:
        image = 0.9 * values[::-1] + np.array([0.1, 0.9, 0.4])
        return image if 0 <= values.min() <= values.max() <= 10 else np.full(3, np.nan)

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patch.setattr(solvers, "_combination", lambda gram: np.append(np.zeros(len(gram) - 1), 30.0))
        found = value_iteration(operator, np.zeros(3), 0.9, window=6, tolerance=1e-9)
    assert any("its image is not finite" in str(warning.message) for warning in caught)
    assert found.converged
    np.testing.assert_allclose(found.values, operator(found.values), rtol=0, atol=1e-8)
