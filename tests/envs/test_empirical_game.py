"""The empirical game of a GenerativeGame: frequencies of its draws against the tables, and how often it is asked.

Laws pass chi-square tests at p > 1e-4; figures are within 5 standard errors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from games_of_functions import arguments, clockwork, tables

from kofn.envs import DirichletStart, GenerativeGame, TabularGame, generative, sampled_game
from kofn.envs.arrays import IntArray

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]
RandomGame = Callable[..., TabularGame]


def test_one_draw_finds_a_game_without_chance() -> None:
    game = clockwork(discount=0.7, initial_local=DirichletStart([1.0, 2.0, 3.0, 4.0]), initial_global=[0.5, 0.5, 0.0])
    found = sampled_game(game, 1, seed=0)
    for s_g, a_g in product(range(3), range(2)):
        assert found.global_transition[s_g, a_g].tolist() == np.eye(3)[(s_g + a_g) % 3].tolist()
        assert found.global_reward[s_g, a_g] == 10 * s_g + a_g
    for s_l, s_g, a_l in product(range(4), range(3), range(5)):
        assert found.local_transition[s_l, s_g, a_l].tolist() == np.eye(4)[s_l if a_l == 0 else s_g].tolist()
        assert found.local_reward[s_l, s_g, a_l] == 100 * s_l + 10 * s_g + a_l
    assert (found.discount, found.labels, found.initial_local) == (0.7, game.labels, game.initial_local)
    np.testing.assert_array_equal(found.initial_global, game.initial_global)


@pytest.mark.parametrize("block", [1 << 20, 50])
def test_frequencies_follow_the_rows(
    block: int, random_game: RandomGame, assert_law: AssertLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generative, "BLOCK", block)
    game, m = tables(random_game), 3000
    found = sampled_game(GenerativeGame.from_tables(game), m, seed=1)
    for name in ("global_transition", "local_transition"):
        rows, laws = getattr(found, name), getattr(game, name)
        for index in np.ndindex(rows.shape[:-1]):
            assert_law(np.round(rows[index] * m), laws[index])
            np.testing.assert_allclose(rows[index] * m, np.round(rows[index] * m), atol=1e-9)
    law = game.local_reward_law
    assert law is not None
    variance = (law.probabilities * (law.values - law.mean[..., None]) ** 2).sum(axis=-1)
    assert (np.abs(found.local_reward - game.local_reward) <= 5 * np.sqrt(variance / m) + 1e-12).all()
    assert (found.local_reward != game.local_reward)[variance > 0].any()
    np.testing.assert_allclose(found.global_reward, game.global_reward, rtol=1e-12)


@dataclass
class Counter:
    """Counts the draws asked of a function."""

    function: Callable[..., Any]
    n_draws: int = 0

    def __call__(self, rng: np.random.Generator, *index: IntArray) -> Any:
        """Pass on."""
        self.n_draws += index[0].size
        return self.function(rng, *index)


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_as_many_draws_as_stated(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generative, "BLOCK", block)
    functions = {
        name: Counter(arguments()[name]) for name in ("sample_global", "sample_local", "pay_global", "pay_local")
    }
    sampled_game(clockwork(**functions), 7, seed=0)
    assert [functions[name].n_draws for name in functions] == [7 * 6, 7 * 60, 7 * 6, 7 * 60]


def test_the_same_seed_gives_the_same_empirical_game(random_game: RandomGame) -> None:
    oracle = GenerativeGame.from_tables(tables(random_game))
    games = [sampled_game(oracle, 40, seed=seed) for seed in (1, 1, 2)]
    for name in ("global_transition", "local_transition", "local_reward"):
        first, again, other = (getattr(game, name) for game in games)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_bad_requests_are_refused(warehouse3: TabularGame) -> None:
    with pytest.raises(TypeError, match=r"^oracle must be a GenerativeGame; got TabularGame$"):
        sampled_game(warehouse3, 10)  # type: ignore[arg-type]  # that it is refused is the test
    with pytest.raises(TypeError, match=r"^game must be a TabularGame; got GenerativeGame$"):
        GenerativeGame.from_tables(clockwork())  # type: ignore[arg-type]  # as above
    with pytest.raises(ValueError, match=r"^n_samples must be at least 1; got 0$"):
        sampled_game(clockwork(), 0)
    with pytest.raises(TypeError, match=r"^n_samples must be an integer; got 2\.5 \(float\)$"):
        sampled_game(clockwork(), 2.5)  # type: ignore[arg-type]  # as above
