"""Normal numbers by the ziggurat: their law between the edges of its layers, and within a layer."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from word_streams import stream

from kofn.envs import ziggurat
from kofn.envs.arrays import FloatArray

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]


def normal_cells() -> FloatArray:
    """Edges of cells: of every layer of the ziggurat, and beyond its last."""
    return np.unique(np.concatenate([-ziggurat.WIDTHS[1:], ziggurat.WIDTHS[1:], [-np.inf, np.inf, -4.0, 4.0]]))


def test_normal_numbers_have_their_law(assert_law: AssertLaw) -> None:
    """Between neighbouring layers' edges: what one decides at once, and what the curve cuts from the other."""
    rng, state = np.random.default_rng(22), stream(23)
    words = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    drawn = np.array([ziggurat.careful_normal(state, word) for word in words])
    edges = normal_cells()
    assert_law(np.histogram(drawn, edges)[0], np.diff(stats.norm.cdf(edges)))
    quick = [ziggurat.quick_normal(word) for word in words[:5000]]
    assert all(x == y for (x, decided), y in zip(quick, drawn, strict=False) if decided)
    assert 0.98 < np.mean([decided for _, decided in quick]) < 1


@pytest.mark.parametrize("layer", [0, 1, 100, 255])
def test_every_layer_has_its_share_of_the_curve(layer: int, assert_law: AssertLaw) -> None:
    """Points of one layer, kept where they lie under the curve: by x, in proportion to the curve's height there.

    Where a point is thrown away the next one may be of any layer, so that only first points are counted: those
    that the curve keeps, by the same word and the same heights.
    """
    rng, kept = np.random.default_rng(24 + layer), []
    words = (rng.integers(0, 2**56, 40_000, dtype=np.uint64) << np.uint64(8)) | np.uint64(layer)
    state = stream(25)
    for word in words:
        x = ziggurat.careful_normal(state, word)
        first, decided = ziggurat.quick_normal(word)
        if decided or x == first or (layer == 0 and abs(x) > ziggurat.TAIL):
            kept.append(abs(x))
    inner = ziggurat.WIDTHS[layer + 1]
    outer = 6.0 if layer == 0 else ziggurat.WIDTHS[layer]
    edges = np.concatenate([[0.0], np.linspace(inner, outer, 9)])
    height = np.exp(-(inner**2) / 2) if layer else ziggurat.HEIGHTS[1]
    floor = 0.0 if layer == 0 else ziggurat.HEIGHTS[layer]
    areas = math.sqrt(2 * math.pi) * np.diff(stats.norm.cdf(edges)) - floor * np.diff(edges)
    areas[0] = (height - floor) * inner
    assert_law(np.histogram(kept, edges)[0], areas / areas.sum())
