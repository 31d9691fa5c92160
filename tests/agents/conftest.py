"""Policies for the games of `tests/conftest.py`."""

from collections.abc import Callable

import numpy as np
import pytest

from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.histograms import n_histograms


def make_random_local(game: TabularGame, seed: int) -> LocalPolicy:
    """Rows drawn uniformly from the simplex."""
    n_local, n_global, n_actions = game.local_reward.shape
    return LocalPolicy(np.random.default_rng(seed).dirichlet(np.ones(n_actions), (n_local, n_global)))


def make_random_global(game: TabularGame, k: int, seed: int, deterministic: bool = False) -> GlobalPolicy:
    """Rows drawn uniformly from the simplex, or actions drawn uniformly."""
    rng = np.random.default_rng(seed)
    shape = (game.n_global_states, n_histograms(k, game.n_local_states))
    drawn = rng.dirichlet(np.ones(game.n_global_actions), shape)
    table = rng.integers(game.n_global_actions, size=shape) if deterministic else drawn
    return GlobalPolicy(table=table, k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions)


@pytest.fixture(scope="session")
def random_local() -> Callable[..., LocalPolicy]:
    """Factory: random_local(game, seed)."""
    return make_random_local


@pytest.fixture(scope="session")
def random_global() -> Callable[..., GlobalPolicy]:
    """Factory: random_global(game, k, seed, deterministic=False)."""
    return make_random_global
