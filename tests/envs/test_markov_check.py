"""Information and total variation against their definitions, chains that are Markov and chains that are not."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kofn.envs.markov_check import markov_check

Array = npt.NDArray[Any]


def measures_by_definition(z: Array, h: Array, y: Array) -> tuple[float, float]:
    """Both measures from probabilities, written out sum by sum."""
    n, information, variation = len(z), 0.0, 0.0
    for value in set(z.tolist()):
        at_z = z == value
        for past in set(h[at_z].tolist()):
            at_both = at_z & (h == past)
            gap = 0.0
            for nxt in set(y[at_z].tolist()):
                joint, marginal = (at_both & (y == nxt)).sum() / at_both.sum(), (y[at_z] == nxt).mean()
                gap += abs(joint - marginal) / 2
                if joint > 0:
                    information += at_both.sum() / n * joint * np.log(joint / marginal)
            variation += at_both.sum() / n * gap
    return information, variation


def test_measures_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    z, h = rng.integers(4, size=(2, 300))
    y = (z + h * rng.integers(2, size=300)) % 3
    found = markov_check(10 + 5 * z, h, 2 * y, rng, n_permutations=3)
    np.testing.assert_allclose((found.information, found.total_variation), measures_by_definition(z, h, y), rtol=1e-12)
    assert found.n_samples == 300


def test_a_copy_of_the_past_is_all_information() -> None:
    """Y = h, two equally likely values, whatever z: ln 2 nats, and TV 1/2."""
    h = np.tile([0, 0, 1, 1], 500)
    found = markov_check(np.tile([0, 1], 1000), h, h, np.random.default_rng(0))
    np.testing.assert_allclose((found.information, found.total_variation), (np.log(2), 0.5), rtol=1e-12)
    assert found.p_value == 0.01
    # By chance, two binary variables have 1/(2 n_z) nats per z, n_z samples each.
    assert 0.2 / 1000 < found.null_information < 3 / 1000
    assert str(found).startswith("information 0.693 nats")


def chain(memory: float, seed: int, length: int = 4000) -> Array:
    """A binary chain whose next value is drawn from the last but one with probability `memory`, else from the last."""
    rng = np.random.default_rng(seed)
    states = [0, 1]
    for u, v in rng.random((length, 2)):
        source = states[-2] if u < memory else states[-1]
        states.append(source if v < 0.7 else 1 - source)
    return np.array(states)


@pytest.mark.parametrize(("memory", "markov"), [(0.0, True), (0.5, False)])
def test_chains_with_memory_are_told_from_those_without(memory: float, markov: bool) -> None:
    p_values = []
    for seed in range(20):
        x = chain(memory, seed)
        p_values.append(markov_check(x[1:-1], x[:-2], x[2:], np.random.default_rng(seed)).p_value)
    if markov:
        # Uniform on 0.01 .. 1: that more than 6 of 20 are below 0.1 has probability 2e-3 or less.
        assert sum(p <= 0.1 for p in p_values) <= 6
    else:
        assert max(p_values) == 0.01


def test_nothing_to_learn_has_p_value_one() -> None:
    found = markov_check(np.arange(50), np.zeros(50, dtype=int), np.arange(50), np.random.default_rng(0))
    assert (found.information, found.total_variation, found.p_value) == (0.0, 0.0, 1.0)


def test_a_past_that_the_present_tells_is_no_news() -> None:
    """It is permuted among samples of the same present only, which changes nothing here."""
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=400)
    found = markov_check(z, z, (z + rng.integers(2, size=400)) % 3, rng)
    np.testing.assert_allclose([found.null_information, found.null_total_variation], 0, atol=1e-12)
    assert found.p_value == 1


def test_same_seed_same_result() -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(3, size=(3, 200))
    first, again = (markov_check(*samples, np.random.default_rng(4)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"past": np.zeros(4, dtype=int)}, ValueError, "past must have one entry per sample, shape [5]; got [4]"),
        ({"following": np.zeros((5, 1), dtype=int)}, ValueError, "following must have one entry per sample, shape [5]"),
        ({"present": np.zeros(5)}, TypeError, "present must hold integers; got float64"),
        ({"n_permutations": 0}, ValueError, "n_permutations must be at least 1; got 0"),
    ],
)
def test_bad_samples_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {name: np.zeros(5, dtype=int) for name in ("present", "past", "following")}
    with pytest.raises(error, match=re.escape(message)):
        markov_check(**{**given, "rng": np.random.default_rng(0), **change})


def test_no_sample_is_refused() -> None:
    nothing = np.zeros(0, dtype=int)
    with pytest.raises(ValueError, match=re.escape("present must have one entry per sample, shape [0]; got [0]")):
        markov_check(nothing, nothing, nothing, np.random.default_rng(0))
