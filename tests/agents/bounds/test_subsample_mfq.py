"""The sibling paper's bounds by hand."""

import dataclasses
import math

import pytest

from kofn.agents.bounds import GameSizes, lemma_0_9, theorem_0_11, theorem_0_13, theorem_4_4


def test_lemma_0_9_by_hand(sizes: GameSizes) -> None:
    """2 (2 3 4 5) k^{2.5+20} 2^5 ln 120 ln 4."""
    expected = 240 * 3**22.5 * 2**5 * math.log(120) * math.log(4)
    assert lemma_0_9(3, sizes).value == pytest.approx(expected)
    assert not lemma_0_9(3, sizes).reconstructed
    assert math.isfinite(lemma_0_9(10**6, dataclasses.replace(sizes, n_local_states=100)).log)


def test_theorem_0_11_by_hand(sizes: GameSizes) -> None:
    union = math.log(40 * 16 * 4 * 5 * 3 * 4**5.5)
    bound = theorem_0_11(4, 10, sizes)
    assert bound.value == pytest.approx(16 * math.sqrt(7 / 80) * math.sqrt(union) + 1.5)
    assert bound.probability == 1 - 1 / 200
    assert bound.verdict == "unproved"


def test_theorem_4_4_is_0_11_without_the_local_actions(sizes: GameSizes) -> None:
    """One local action, k = 1: the two logarithms agree."""
    single = dataclasses.replace(sizes, n_local_actions=1)
    assert theorem_0_11(1, 10, single).value == pytest.approx(theorem_4_4(1, 10, single).value)


def test_theorem_0_13_by_hand(sizes: GameSizes) -> None:
    """N = 2 3 20 C(3+19, 19) for k = 4; D/(1-gamma) = 3, and a noise of Q counts 2/(1-gamma) = 4 times."""
    entries = 120 * math.comb(22, 19)
    noise = 3 * math.sqrt(math.log(2 * entries * 200) / 100)
    bound = theorem_0_13(4, 10, sizes, n_draws=50, spread=1.5)
    assert bound.value == pytest.approx(theorem_0_11(4, 10, sizes).value + 4 * noise)
    assert bound.probability == 1 - 1 / 200
    assert "as printed, a union would leave 1 - 1/(50 sqrt k)" in bound.note
    assert theorem_0_13(4, 10, sizes, n_draws=50, spread=0.0).value == theorem_0_11(4, 10, sizes).value


def test_rejected(sizes: GameSizes) -> None:
    single = {"n_global_states": 1, "n_global_actions": 1, "n_local_states": 1, "n_local_actions": 1}
    with pytest.raises(ValueError, match="more than one state or action; all of its sizes are 1"):
        lemma_0_9(1, dataclasses.replace(sizes, **single))  # type: ignore[arg-type] # by name
    with pytest.raises(ValueError, match="k must be at least 1; got 0"):
        lemma_0_9(0, sizes)
    with pytest.raises(ValueError, match="k must be between 1 and 3; got 4"):
        theorem_0_11(4, 3, sizes)
    with pytest.raises(ValueError, match="n_draws must be at least 1; got 0"):
        theorem_0_13(1, 3, sizes, n_draws=0, spread=1.0)
