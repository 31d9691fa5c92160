"""Games with stochastic rewards, and the law of a sum of their draws, for the tests of reward laws."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs import RewardLaw, TabularGame
from kofn.envs.arrays import FloatArray

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]


def frequencies(draws: FloatArray, values: FloatArray) -> npt.NDArray[np.int64]:
    """How often each value occurs; every draw is one of them."""
    counts = np.array([(draws == value).sum() for value in values])
    assert counts.sum() == draws.size
    return counts


def law_of_total(law: RewardLaw, entries: list[tuple[int, ...]]) -> dict[float, float]:
    """Probability of each sum of one draw per entry, by adding one draw after another."""
    chances = {0.0: 1.0}
    for entry in entries:
        longer: dict[float, float] = {}
        for (total, chance), j in product(chances.items(), range(law.values.shape[-1])):
            reached = total + law.values[(*entry, j)]
            longer[reached] = longer.get(reached, 0.0) + chance * law.probabilities[(*entry, j)]
        chances = longer
    return chances


def check_sums(draws: FloatArray, law: dict[float, float], assert_law: AssertLaw) -> None:
    """Sums against their law; values in these tests are sums of a few halves, exact in floating point."""
    assert_law(frequencies(draws, np.array(list(law))), list(law.values()))


def gamble(game: TabularGame, global_spread: float = 1.0, local_spread: float = 0.5) -> TabularGame:
    """The same game, each reward moved up or down by a spread with probability one half, at random and fairly."""

    def law(table: FloatArray, spread: float) -> RewardLaw:
        values = table[..., None] + spread * np.array([-1.0, 1.0])
        return RewardLaw(values, np.full(values.shape, 0.5))

    return replace(
        game,
        global_reward_law=law(game.global_reward, global_spread),
        local_reward_law=law(game.local_reward, local_spread),
    )


LOCAL = RewardLaw(
    np.arange(16.0).reshape(2, 2, 2, 2) ** 2 / 2,
    np.stack([np.arange(1, 9), 9 - np.arange(1, 9)], axis=-1).reshape(2, 2, 2, 2) / 9,
)
"""[s_l, s_g, a_l, j]: the values of each of the eight entries are its own."""
GLOBAL = RewardLaw(
    [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]], [[[0.2, 0.8], [0.3, 0.7]], [[0.4, 0.6], [0.9, 0.1]]]
)
"""[s_g, a_g, j]."""


def lottery(random_game: RandomGame, seed: int = 0) -> TabularGame:
    """A random game of two states and actions each that pays by LOCAL and GLOBAL."""
    game = random_game(seed)
    changes: dict[str, Any] = {"global_reward": None, "local_reward": None}
    return replace(game, **changes, global_reward_law=GLOBAL, local_reward_law=LOCAL)
