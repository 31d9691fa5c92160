"""The numbers of a game that the bounds read, against loops over its arrays."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from kofn.agents.bounds import GameSizes, dobrushin
from kofn.envs import LocalPolicy, TabularGame

Games = Callable[..., TabularGame]


def test_sizes_and_reward_bounds(random_game: Games) -> None:
    game = random_game(1, n_global=2, n_local=3, n_global_actions=4, n_local_actions=5, discount=0.8)
    sizes = GameSizes.of(game)
    assert (sizes.n_global_states, sizes.n_local_states) == (2, 3)
    assert (sizes.n_global_actions, sizes.n_local_actions) == (4, 5)
    assert sizes.global_reward_bound == game.global_reward.max()
    assert sizes.local_reward_bound == game.local_reward.max()
    assert sizes.reward_bound == pytest.approx(game.reward_bound)
    assert sizes.value_bound == pytest.approx(game.value_bound)
    assert (sizes.discount, sizes.contraction) == (0.8, 1.0)


def test_negative_rewards_count_with_their_shift(random_game: Games) -> None:
    game = random_game(2)
    shifted = dataclasses.replace(game, local_reward=game.local_reward - 3, global_reward=game.global_reward - 0.5)
    assert GameSizes.of(shifted).local_reward_bound == pytest.approx(np.ptp(game.local_reward))
    assert GameSizes.of(shifted).global_reward_bound == pytest.approx(np.ptp(game.global_reward))
    assert GameSizes.of(shifted).reward_bound == pytest.approx(shifted.reward_bound)


def test_reward_range_is_by_global_state(random_game: Games) -> None:
    game = random_game(3, n_global=3, n_local=4)
    by_state = [np.ptp(game.local_reward[:, g]) for g in range(3)]
    assert GameSizes.of(game).oscillation == pytest.approx(max(by_state))
    policy = LocalPolicy.named("uniform", game)
    averaged = [[game.local_reward[x, g].mean() for x in range(4)] for g in range(3)]
    assert GameSizes.of(game, policy).oscillation == pytest.approx(max(max(row) - min(row) for row in averaged))


def test_contraction_is_the_largest_distance_between_rows(random_game: Games) -> None:
    game = random_game(4, n_global=2, n_local=3)
    policy = LocalPolicy.named("stay", game)
    largest = 0.0
    for g in range(2):
        rows = [game.local_transition[x, g, policy.table[x, g].argmax()] for x in range(3)]
        largest = max(largest, *(np.maximum(p - q, 0).sum() for p in rows for q in rows))
    sizes = GameSizes.of(game, policy)
    assert sizes.contraction == pytest.approx(largest)
    assert sizes.lipschitz_constant == pytest.approx(sizes.oscillation / (1 - 0.9 * largest))


def test_contraction_of_walls_and_of_forgetting() -> None:
    assert dobrushin(np.eye(3)[None]) == 1.0
    assert dobrushin(np.full((2, 3, 3), 1 / 3)) == 0.0


def test_without_a_range_the_reward_bound_stands_in(sizes: GameSizes) -> None:
    assert sizes.oscillation == 3.0
    assert sizes.lipschitz_constant == 6.0
    assert dataclasses.replace(sizes, reward_range=0.0).lipschitz_constant == 0.0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_local_states": 0}, "n_local_states must be at least 1; got 0"),
        ({"global_reward_bound": -1.0}, "global_reward_bound must be positive and finite; got -1.0"),
        ({"reward_range": -1.0}, "reward_range must be positive and finite; got -1.0"),
        ({"global_reward_bound": 0.0, "local_reward_bound": 0.0}, "reward_bound must be positive and finite; got 0.0"),
        ({"contraction": 1.5}, "contraction must be at most 1; got 1.5"),
        ({"discount": 1.0}, "discount must lie strictly between 0 and 1; got 1.0"),
    ],
)
def test_rejected(sizes: GameSizes, changes: dict[str, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(sizes, **changes)  # type: ignore[arg-type] # by name


def test_a_policy_of_another_game_is_refused(random_game: Games) -> None:
    with pytest.raises(ValueError, match="local policy must match"):
        GameSizes.of(random_game(1), LocalPolicy(np.ones((5, 2, 1))))
