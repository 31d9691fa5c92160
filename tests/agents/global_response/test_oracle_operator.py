"""G-LEARN from a generative oracle against G-LEARN from the tables behind it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learning_errors import error_of

from kofn.agents import g_learn
from kofn.agents.global_response.oracle_operator import OracleSurrogate
from kofn.agents.operators import surrogate_reward
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.generative import GenerativeGame
from kofn.envs.reward_law import RewardLaw

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


@pytest.mark.parametrize("n_samples", [1, 30, 1000])
def test_error_is_within_the_bound(random_game: Games, random_local: LocalPolicies, n_samples: int) -> None:
    """Lemma 4.3 at level 1e-3, and nothing for the rewards, which are certain."""
    for seed in range(5):
        game = random_game(seed, n_local=3, discount=0.7)
        policy = random_local(game, seed)
        exact = g_learn(game, policy, k=3, operator="exact").q_values
        oracle = GenerativeGame.from_tables(game)
        result = g_learn(oracle, policy, k=3, n_samples=n_samples, delta=1e-3, seed=seed)
        assert (result.operator, result.n_samples, result.converged) == ("monte_carlo", n_samples, True)
        assert 0 < error_of(result, exact) <= result.theory.bellman_noise + result.certificate + 1e-6


def test_error_falls_as_the_root_of_the_samples(random_game: Games, random_local: LocalPolicies) -> None:
    """64 times the samples: an eighth of the error, here within a factor 2 over 10 games."""
    errors = {40: 0.0, 2560: 0.0}
    for seed in range(10):
        game = random_game(seed, n_local=3)
        policy = random_local(game, seed)
        exact = g_learn(game, policy, k=3, operator="exact").q_values
        for m in errors:
            result = g_learn(GenerativeGame.from_tables(game), policy, k=3, n_samples=m, seed=seed)
            errors[m] += error_of(result, exact)
    assert 4 < errors[40] / errors[2560] < 16


def certain_game() -> TabularGame:
    rng = np.random.default_rng(3)
    return TabularGame(
        global_transition=np.eye(3)[rng.integers(3, size=(3, 2))],
        local_transition=np.eye(3)[rng.integers(3, size=(3, 3, 2))],
        global_reward=rng.random((3, 2)) - 0.5,
        local_reward=rng.random((3, 3, 2)) - 0.5,
        discount=0.9,
    )


@pytest.mark.parametrize("n_samples", [1, 7])
def test_a_game_without_chance_is_solved_exactly(n_samples: int) -> None:
    game = certain_game()
    policy = LocalPolicy.from_actions(np.random.default_rng(4).integers(2, size=(3, 3)), 2)
    exact = g_learn(game, policy, k=3, operator="exact")
    found = g_learn(GenerativeGame.from_tables(game), policy, k=3, n_samples=n_samples, seed=0)
    assert found.q_values == pytest.approx(exact.q_values, abs=1e-11)
    assert found.n_iterations == exact.n_iterations
    assert (found.policy.table == exact.policy.table).all()


def test_certain_rewards_are_exact_under_any_policy(random_game: Games, random_local: LocalPolicies) -> None:
    """The policy's chances are known: only payments are drawn, and one draw of a certain payment is enough."""
    game = random_game(1, n_local=3, n_local_actions=3)
    policy = random_local(game, 1)
    rewards = OracleSurrogate(GenerativeGame.from_tables(game), policy, 2).rewards(None, 1, np.random.default_rng(0))
    assert rewards.values == pytest.approx(surrogate_reward(game, policy, 2), abs=1e-14)


def stochastic(game: TabularGame) -> TabularGame:
    """The game with every reward r replaced by 0 or 2r with equal chances."""

    def law(rewards: FloatArray) -> RewardLaw:
        values = np.stack([np.zeros_like(rewards), 2 * rewards], axis=-1)
        return RewardLaw(values, np.full(values.shape, 0.5))

    return replace(
        game, global_reward_law=law(game.global_reward), local_reward_law=law(game.local_reward), labels=None
    )


def test_mean_payments_estimate_stochastic_rewards(random_game: Games, random_local: LocalPolicies) -> None:
    """Means of m draws: within the reward noise at level 1e-3 of the truth, and not free of error."""
    game = stochastic(random_game(2, n_local=3, discount=0.5))
    policy = random_local(game, 2)
    exact = surrogate_reward(game, policy, 2)
    for m in (10, 1000):
        rewards = OracleSurrogate(GenerativeGame.from_tables(game), policy, 2).rewards(
            None, m, np.random.default_rng(m)
        )
        assert (rewards.n_draws, rewards.n_averages) == (m, 2 * 2 + 3 * 2 * 2)
        spread = 2 * game.global_reward.max() + 2 * game.local_reward.max()
        assert rewards.spread == pytest.approx(spread)
        bound = spread * np.sqrt(np.log(2 * rewards.n_averages / 1e-3) / (2 * m))
        assert rewards.noise(0.5, 1e-3) == pytest.approx(bound / 0.5)
        assert bound / 100 < np.abs(rewards.values - exact).max() <= bound


def test_total_error_of_a_stochastic_oracle(random_game: Games, random_local: LocalPolicies) -> None:
    game = stochastic(random_game(2, n_local=2, discount=0.5))
    policy = random_local(game, 2)
    exact = g_learn(game, policy, k=2).q_values
    for options in ({}, {"reward_samples": 200}):
        result = g_learn(GenerativeGame.from_tables(game), policy, k=2, n_samples=200, seed=1, **options)
        assert error_of(result, exact) <= result.theory.bellman_noise + result.theory.reward_noise + 1e-6
        assert result.theory.reward_noise > 0


def test_the_oracle_sees_what_the_paper_says_and_few_calls() -> None:
    """Every draw follows s_g and an action of the policy; calls do not grow with the histograms."""
    game = certain_game()
    policy = LocalPolicy.from_actions(np.arange(9).reshape(3, 3) % 2, 2)
    n_calls = {"sample_local": 0, "sample_global": 0}

    def counted(name: str) -> Any:
        draw = getattr(GenerativeGame.from_tables(game), name)

        def checked(rng: np.random.Generator, *index: Any) -> Any:
            n_calls[name] += 1
            if name == "sample_local":
                assert (policy.table[index] == 1).all()
            return draw(rng, *index)

        return checked

    oracle = replace(GenerativeGame.from_tables(game), **{name: counted(name) for name in n_calls})
    g_learn(oracle, policy, k=8, n_samples=5, seed=0)
    assert n_calls == {"sample_local": 9, "sample_global": 1}


def test_an_oracle_is_a_function_of_the_seed(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1)
    oracle, policy = GenerativeGame.from_tables(game), random_local(game, 1)

    def run(seed: int) -> FloatArray:
        return g_learn(oracle, policy, k=3, n_samples=3, seed=seed).q_values

    assert (run(1) == run(1)).all()
    assert (run(1) != run(2)).any()


def test_tuples_of_an_oracle(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1)
    oracle, policy = GenerativeGame.from_tables(game), random_local(game, 1)
    plain = g_learn(oracle, policy, k=2, n_samples=3, seed=0)
    tuples = g_learn(oracle, policy, k=2, n_samples=3, seed=0, parameterisation="tuple")
    assert tuples.tuple_q_values is not None
    assert tuples.tuple_q_values.shape == (2, 2, 2, 2)
    assert (tuples.q_values == plain.q_values).all()


def test_fresh_samples_of_an_oracle(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(1, discount=0.6)
    policy = random_local(game, 1)
    result = g_learn(
        GenerativeGame.from_tables(game),
        policy,
        k=2,
        operator="monte_carlo",
        n_samples=400,
        resample="each_sweep",
        seed=0,
    )
    exact = g_learn(game, policy, k=2).q_values
    assert 0 < error_of(result, exact) <= result.theory.bellman_noise + 1e-6
    assert not result.converged


@pytest.mark.parametrize("operator", ["exact", "rounded"])
def test_operators_that_need_probabilities_are_refused(random_game: Games, operator: Any) -> None:
    game = random_game(0)
    with pytest.raises(ValueError, match=rf"operator='{operator}' needs the game's probabilities.*sampled_game"):
        g_learn(GenerativeGame.from_tables(game), LocalPolicy.named("uniform", game), k=1, operator=operator)


def test_local_policy_of_another_game_is_refused(random_game: Games, random_local: LocalPolicies) -> None:
    other = random_local(random_game(0, n_local=3), 0)
    with pytest.raises(ValueError, match=r"the local policy must match .* = \[2, 2, 2\]; it has \[3, 2, 2\]"):
        g_learn(GenerativeGame.from_tables(random_game(0)), other, k=1)


def test_something_else_is_refused(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(0)
    with pytest.raises(TypeError, match=r"game must be a TabularGame or a GenerativeGame; got 'warehouse' \(str\)"):
        g_learn("warehouse", random_local(game, 0), k=1)  # type: ignore[arg-type] # what is tested
