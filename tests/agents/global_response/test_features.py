"""Feature maps: what they are at every state, and what they span."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kofn.agents.global_response.features import Hats, IndicatorFeatures, OneHot, ProductFeatures
from kofn.envs import TabularGame
from kofn.envs.cluster_line import game as cluster_line
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.population import count_states

Games = Callable[..., TabularGame]


def all_states(game: TabularGame, k: int) -> tuple[np.ndarray, np.ndarray]:
    histograms = enumerate_histograms(k, game.n_local_states)
    global_states = np.repeat(np.arange(game.n_global_states), len(histograms))
    return global_states, np.tile(histograms, (game.n_global_states, 1))


def test_indicators_number_the_states(random_game: Games) -> None:
    game = random_game(0, 3, 3)
    features = IndicatorFeatures.of(game, 4)
    found = features(*all_states(game, 4))
    assert features.size == 3 * 15
    assert (found == np.eye(45)).all()


def test_hats_share_places_out_linearly() -> None:
    hats, places = Hats(-2.0, 2.0, 5), np.linspace(-2, 2, 41)
    shares = hats(places)
    assert shares.min() >= 0
    assert shares.sum(axis=1) == pytest.approx(np.ones(41))
    assert shares @ np.linspace(-2, 2, 5) == pytest.approx(places)
    assert hats(np.array([-2.0, -1.0, 2.0, 3.0]))[[0, 1, 2, 3], [0, 1, 4, 4]] == pytest.approx(np.ones(4))


@pytest.mark.parametrize(("degree", "size"), [(1, 3), (2, 6), (3, 10)])
def test_monomials_span_the_polynomials_of_their_degree(random_game: Games, degree: int, size: int) -> None:
    """Under every s_g: fitted without error up to the degree, and not beyond."""
    game = random_game(0, 2, 3)
    features = ProductFeatures.of(game, degree=degree)
    global_states, seen = all_states(game, 6)
    phi, shares = features(global_states, seen), seen / 6
    assert features.size == phi.shape[1] == 2 * size
    for power in range(degree + 2):
        wanted = (1 + global_states) * (shares[:, 0] - 0.3 * shares[:, 1]) ** power
        missed = wanted - phi @ np.linalg.lstsq(phi, wanted, rcond=None)[0]
        assert (np.abs(missed).max() < 1e-10) == (power <= degree)


def test_agents_one_by_one_and_counted_have_the_same_features(random_game: Games) -> None:
    game, rng = random_game(0, 2, 3), np.random.default_rng(1)
    states, global_states = rng.integers(3, size=(20, 7)), rng.integers(2, size=20)
    counted, listed = ProductFeatures.of(game), ProductFeatures.of(game, summary="states")
    assert (counted.summary, listed.summary) == ("histogram", "states")
    wanted = counted(global_states, count_states(states, 3))
    assert listed(global_states, states) == pytest.approx(wanted, abs=1e-12)


def test_features_of_a_line_by_hand() -> None:
    game = cluster_line()
    features = ProductFeatures.of(game, degree=1, n_knots=3)
    found = features(np.array([-1.0]), np.array([[2, 0, 0, 0, 6]]))
    assert found.reshape(3, 5) == pytest.approx(np.outer([0.5, 0.5, 0.0], [0.25, 0, 0, 0, 0.75]))
    places = ProductFeatures.of(game, degree=1, n_knots=3, summary="states")
    found = places(np.array([2.0]), np.array([[1.0, -2.0]]))
    assert found.reshape(3, 3) == pytest.approx(np.outer([0, 0, 1], [0.5, 0.25, 0.25]))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: IndicatorFeatures(5, 5, 40), ValueError, "at most 20000 features; this one has 678755"),
        (lambda: IndicatorFeatures(5, 0, 4), ValueError, "n_local_states must be at least 1; got 0"),
        (lambda: ProductFeatures.of(cluster_line(), degree=0), ValueError, "degree must be at least 1; got 0"),
        (lambda: ProductFeatures.of(cluster_line(), n_knots=1), ValueError, "n_knots must be at least 2; got 1"),
        (lambda: ProductFeatures.of(cluster_line(), degree=9, n_knots=99), ValueError, "at most 20000 features"),
        (lambda: ProductFeatures.of(cluster_line(), summary="mean"), ValueError, "summary must be one of"),  # type: ignore[arg-type]  # the test
        (
            lambda: ProductFeatures(global_shares=OneHot(2), n_global=2.5, n_local=2),  # type: ignore[arg-type]  # the test
            TypeError,
            "n_global must be an integer",
        ),
    ],
)
def test_refusals(make: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
