"""G-LEARN where actions are worth the same, or almost."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kofn.agents import g_learn
from kofn.envs import LocalPolicy, TabularGame
from kofn.envs.histograms import rank_histograms

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


def copies_of_one_action(game: TabularGame, bonus: float) -> TabularGame:
    """Three global actions with the same effect; the last pays `bonus` more."""
    rewards = np.repeat(game.global_reward[:, :1], 3, axis=1)
    rewards[:, 2] += bonus
    return replace(
        game,
        global_transition=np.repeat(game.global_transition[:, :1], 3, axis=1),
        global_reward=rewards,
        labels=None,
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_ties_within_the_tolerance_go_to_the_lowest_action(
    random_game: Games, random_local: LocalPolicies, scale: float
) -> None:
    game = random_game(4)
    policy = random_local(game, 4)
    game = replace(game, global_reward=scale * game.global_reward, local_reward=scale * game.local_reward)
    size = game.value_bound
    tied = g_learn(copies_of_one_action(game, 5e-10 * size), policy, k=2, tolerance=1e-6 * size)
    assert (tied.q_values.argmax(axis=2) == 2).all()
    assert (tied.policy.table == 0).all()
    better = g_learn(copies_of_one_action(game, 5e-9 * size), policy, k=2, tolerance=1e-6 * size)
    assert (better.policy.table == 2).all()


def test_mirror_image_actions_tie(warehouse3: TabularGame) -> None:
    """Under the uniform policy the ring is symmetric: from zone 0, crowds in zones 1 and 2 are equally near."""
    result = g_learn(warehouse3, LocalPolicy.named("uniform", warehouse3), k=6)
    crowds = rank_histograms(np.array([[0, 3, 3], [2, 2, 2], [4, 1, 1]]))
    assert result.q_values[0, crowds, 1] == pytest.approx(result.q_values[0, crowds, 2], abs=1e-9)
    assert (result.policy.table[0, crowds] != 2).all()
    assert result.policy.table[0, crowds[0]] == 1
