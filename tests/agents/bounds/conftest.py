"""Sizes of a game with round numbers, for which every formula can be evaluated by hand."""

import pytest

from kofn.agents.bounds import GameSizes


@pytest.fixture(scope="session")
def sizes() -> GameSizes:
    """|S_g|, |A_g|, |S_l|, |A_l| = 2, 3, 4, 5; r~_g = 1, r~_l = 3, so r~ = 4; gamma = 1/2; values in [0, 8]."""
    return GameSizes(
        n_global_states=2,
        n_global_actions=3,
        n_local_states=4,
        n_local_actions=5,
        global_reward_bound=1.0,
        local_reward_bound=3.0,
        discount=0.5,
    )
