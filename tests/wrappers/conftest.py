"""The game that test_subsample*.py play."""

from collections.abc import Callable

import pytest
from limited_play import N_GLOBAL, N_LOCAL

from kofn.envs import TabularGame

MakeGame = Callable[..., TabularGame]


@pytest.fixture
def game(random_game: MakeGame) -> TabularGame:
    return random_game(4, n_global=N_GLOBAL, n_local=N_LOCAL, n_global_actions=4, n_local_actions=2)
