"""Environments whose global agent sees k agents only, for the files test_subsample*.py."""

from typing import Any

import numpy as np
import pytest

from kofn.envs import FixedStart, PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES
from kofn.wrappers import SubsampleObservation

N_GLOBAL, N_LOCAL = 2, 3

every_mode = pytest.mark.parametrize("obs_mode", OBS_MODES)
every_summary = pytest.mark.parametrize("summary", ["histogram", "states"])


def population(game: TabularGame, n_agents: int = 9, **options: Any) -> PopulationEnv:
    return PopulationEnv(game, n_agents, **{"max_cycles": 8, **options})


def limited(game: TabularGame, k: int = 4, n_agents: int = 9, summary: Any = "histogram", **options: Any) -> Any:
    return SubsampleObservation(population(game, n_agents, **options), k, summary=summary)


def frozen_game(n_states: int = 3) -> TabularGame:
    """Nobody ever moves; local agents start uniformly; rewards tell states apart."""
    stay = np.broadcast_to(np.eye(n_states)[:, None, None, :], (n_states, 1, 1, n_states))
    return TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=stay,
        global_reward=np.zeros((1, 1)),
        local_reward=np.arange(1.0, n_states + 1)[:, None, None],
        discount=0.9,
        initial_local=FixedStart(np.full(n_states, 1 / n_states)),
    )
