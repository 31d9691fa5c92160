"""The sampled operator on a device: the same samples, and so the same fixed point, as on the processor."""

from collections.abc import Callable

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.agents.torch_sampled import TorchSampledOperator
from kofn.envs import LocalPolicy, TabularGame

pytest.importorskip("torch")


def test_the_fixed_point_is_that_of_g_learn(random_game: Callable[..., TabularGame]) -> None:
    game = random_game(3, n_local=3, n_global=2, n_global_actions=3)
    policy = LocalPolicy(np.random.default_rng(4).dirichlet(np.ones(game.n_local_actions), size=(3, 2)))
    found = g_learn(game, policy, k=5, operator="monte_carlo", n_samples=7, seed=6, tolerance=1e-8)
    solved = TorchSampledOperator(game, policy, 5, n_samples=7, seed=6).solve(tolerance=1e-8)
    assert solved.converged
    # Both are certified within 1e-8 of the same fixed point.
    assert np.abs(solved.values - found.q_values).max() <= solved.certificate + found.certificate + 1e-12
    early = TorchSampledOperator(game, policy, 5, n_samples=7, seed=6).solve(max_iterations=3)
    assert (early.n_iterations, early.converged) == (3, False)
    assert np.abs(early.values - found.q_values).max() <= early.certificate + found.certificate


def test_what_does_not_fit_is_refused(random_game: Callable[..., TabularGame], warehouse3: TabularGame) -> None:
    policy = LocalPolicy.named("uniform", random_game(3))
    with pytest.raises(TypeError, match="game must be a TabularGame; got str"):
        TorchSampledOperator("warehouse", policy, 3)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="local policy"):
        TorchSampledOperator(warehouse3, policy, 3)
    with pytest.raises(ValueError, match="n_samples must be"):
        TorchSampledOperator(random_game(3), policy, 3, n_samples=0)
