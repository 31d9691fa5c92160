"""What test_off_policy*.py learn from: a small game, a local policy, a log of it."""

from collections.abc import Callable

import pytest
from surrogate_process import K

from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.transitions import Transitions
from kofn.envs import LocalPolicy, PopulationEnv, TabularGame
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


@pytest.fixture(scope="session")
def game(random_game: Games) -> TabularGame:
    return random_game(5, discount=0.5)


@pytest.fixture(scope="session")
def policy(game: TabularGame, random_local: LocalPolicies) -> LocalPolicy:
    return random_local(game, 5)


@pytest.fixture(scope="session")
def log(game: TabularGame, policy: LocalPolicy) -> Transitions:
    """One log of the deployed game of 5 agents, 2 of which are seen."""
    env = SubsampleObservation(PopulationEnv(game, 5, max_cycles=50), K)
    return collect_transitions(env, n_steps=5000, local_policy=policy, seed=3)
