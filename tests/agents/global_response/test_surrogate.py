"""Sampled expectations against the exact one: the right mean, and the variance of independent samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kofn.agents.averaging_kernel import averaging_kernel
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.global_response.oracle_operator import OracleSurrogate
from kofn.agents.global_response.surrogate import Surrogate, TabularSurrogate
from kofn.agents.global_response.tuples import sampled_tuple_successors
from kofn.agents.operators import exact_kernel, induced_transition, look_ahead
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.generative import GenerativeGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]

K, M, REPEATS = 3, 6, 600
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("tables", {}),
    ("tables", {"sample_global": True}),
    ("tables", {"parameterisation": "tuple"}),
    ("tables", {"parameterisation": "tuple", "sample_global": True}),
    ("oracle", {}),
]


def sampled_expectations(
    kind: str, options: dict[str, Any], game: TabularGame, policy: LocalPolicy, values: FloatArray, repeats: int
) -> FloatArray:
    """Expectations of `values`, each by samples of its own, [repeat, s_g, histogram, a_g]."""
    settings = GLearnConfig(operator="monte_carlo", n_samples=M, **options)
    oracle = GenerativeGame.from_tables(game)
    plan = make_plan(oracle if kind == "oracle" else game, K, settings)
    surrogate: Surrogate = OracleSurrogate(oracle, policy, K) if kind == "oracle" else TabularSurrogate(game, policy, K)
    rng = np.random.default_rng(5)
    return np.array([surrogate.ahead(plan, rng)(values) for _ in range(repeats)])


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_samples_are_unbiased_and_independent_within_an_entry(
    random_game: Games, random_local: LocalPolicies, kind: str, options: dict[str, Any]
) -> None:
    """40 entries: means within 4.5 standard errors, variances of a mean of M samples as exact arithmetic has them.

    Values are drawn uniformly, so that samples have a kurtosis of at most about 3 and the variance over 600 repeats a
    relative standard error of sqrt(2/600) = 5.8%: 29% is 5 of them. Samples that are shared within an entry, or a
    pool that is read twice, would double it.
    """
    game = random_game(8, n_global=2, n_local=3, n_global_actions=2)
    policy = random_local(game, 8)
    values = np.random.default_rng(0).random((2, 10))
    kernels = [exact_kernel(law, K) for law in induced_transition(game, policy)]
    exact = look_ahead(values, kernels, game.global_transition)
    found = sampled_expectations(kind, options, game, policy, values, REPEATS)
    variance = variance_of_one(values, kernels, game, paired=kind == "oracle" or "sample_global" in options) / M
    assert (np.abs(found.mean(axis=0) - exact) <= 4.5 * np.sqrt(variance / REPEATS)).all()
    assert found.var(axis=0) == pytest.approx(variance, rel=0.29)


def variance_of_one(values: FloatArray, kernels: list[FloatArray], game: TabularGame, paired: bool) -> FloatArray:
    """Variance of W(s_g', F'), or of its mean over s_g' where that is exact, [s_g, histogram, a_g]."""
    if paired:
        return (
            look_ahead(values**2, kernels, game.global_transition)
            - look_ahead(values, kernels, game.global_transition) ** 2
        )
    means = game.global_transition @ values  # [s_g, a_g, histogram']
    moments = [
        [np.stack([kernel @ row**p for row in rows]) for p in (1, 2)]
        for kernel, rows in zip(kernels, means, strict=True)
    ]
    return np.array([(second - first**2).T for first, second in moments])


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_certain_moves_need_one_sample(kind: str, options: dict[str, Any]) -> None:
    """With certain moves and a certain policy every sample is the expectation."""
    rng = np.random.default_rng(2)
    game = TabularGame(
        global_transition=np.eye(2)[rng.integers(2, size=(2, 2))],
        local_transition=np.eye(3)[rng.integers(3, size=(3, 2, 2))],
        global_reward=np.zeros((2, 2)),
        local_reward=np.zeros((3, 2, 2)),
        discount=0.9,
    )
    policy = LocalPolicy.from_actions(rng.integers(2, size=(3, 2)), 2)
    values = rng.random((2, 10))
    kernels = [exact_kernel(law, K) for law in induced_transition(game, policy)]
    found = sampled_expectations(kind, options, game, policy, values, 2)
    exact = look_ahead(values, kernels, game.global_transition)
    assert found == pytest.approx(np.stack([exact, exact]), abs=1e-13)


def test_tuples_are_sampled_agent_by_agent(random_game: Games, random_local: LocalPolicies) -> None:
    game = random_game(8, n_local=3)
    policy, values = random_local(game, 8), np.random.default_rng(0).random((2, 10))
    plan = make_plan(game, K, GLearnConfig(operator="monte_carlo", parameterisation="tuple", n_samples=M))
    found = TabularSurrogate(game, policy, K).ahead(plan, np.random.default_rng(1))(values)
    rng = np.random.default_rng(1)
    draws = [sampled_tuple_successors(law, K, M, rng) for law in induced_transition(game, policy)]
    assert (found == look_ahead(values, [averaging_kernel(ranks) for ranks in draws], game.global_transition)).all()
