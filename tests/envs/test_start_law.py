"""Initial laws against sums over all agents' starts, and against scipy's distributions."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from kofn.envs import DirichletStart, FixedStart
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms, rank_histograms
from kofn.envs.start_law import StartLaw, start_law_from_array, start_law_to_array

LAWS: list[StartLaw] = [
    FixedStart([0.2, 0.5, 0.3]),
    FixedStart([0.0, 0.75, 0.25]),
    FixedStart([1.0]),
    DirichletStart([0.3, 0.3, 0.3]),
    DirichletStart([2.0, 0.05]),
    DirichletStart([1e4, 3.0, 1e-3]),
]


def chance_of_sequence(law: StartLaw, states: tuple[int, ...]) -> float:
    """Of agents starting in these states, in this order: independent draws, or Polya's urn."""
    chance, seen = 1.0, Counter[int]()
    for drawn, state in enumerate(states):
        if isinstance(law, FixedStart):
            chance *= law.probabilities[state]
        else:
            chance *= (law.concentration[state] + seen[state]) / (law.concentration.sum() + drawn)
        seen[state] += 1
    return chance


def brute_force_law(law: StartLaw, n_agents: int) -> FloatArray:
    histograms = [tuple(row) for row in enumerate_histograms(n_agents, law.n_states).tolist()]
    chances = dict.fromkeys(histograms, 0.0)
    for states in itertools.product(range(law.n_states), repeat=n_agents):
        chances[tuple(states.count(x) for x in range(law.n_states))] += chance_of_sequence(law, states)
    return np.array([chances[histogram] for histogram in histograms])


def rounding(law: StartLaw, n_agents: int) -> float:
    """Relative error allowed: 4 units in the last place for each log-gamma term that goes into a logarithm."""
    total = 1.0 if isinstance(law, FixedStart) else float(law.concentration.sum())
    largest = max(abs(gammaln(n_agents + total)), abs(gammaln(total)), gammaln(n_agents + 1), 1.0)
    smallest = 1e-3 if isinstance(law, DirichletStart) else 0.05
    return 4 * np.finfo(float).eps * (3 + 3 * law.n_states) * max(largest, n_agents * abs(math.log(smallest)))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n_agents", [0, 1, 2, 5])
def test_histogram_law_sums_over_all_starts(law: StartLaw, n_agents: int) -> None:
    found = law.histogram_law(n_agents)
    np.testing.assert_allclose(found, brute_force_law(law, n_agents), rtol=rounding(law, n_agents))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n_agents", [1, 40, 1000])
def test_histogram_law_sums_to_one(law: StartLaw, n_agents: int) -> None:
    assert abs(law.histogram_law(n_agents).sum() - 1) <= rounding(law, n_agents)


@pytest.mark.parametrize("n_agents", [7, 60])
def test_histogram_law_agrees_with_scipy(n_agents: int) -> None:
    counts = enumerate_histograms(n_agents, 3)
    fixed, crowd = FixedStart([0.2, 0.5, 0.3]), DirichletStart([0.3, 1.0, 2.5])
    np.testing.assert_allclose(
        fixed.histogram_law(n_agents),
        stats.multinomial.pmf(counts, n_agents, fixed.probabilities),
        rtol=2 * rounding(fixed, n_agents),
    )
    np.testing.assert_allclose(
        crowd.histogram_law(n_agents),
        [stats.dirichlet_multinomial.pmf(row, crowd.concentration, n_agents) for row in counts],
        rtol=2 * rounding(crowd, n_agents),
    )


def test_fixed_starts_are_the_same_in_every_episode() -> None:
    law = FixedStart([0.2, 0.5, 0.3])
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    np.testing.assert_array_equal(law.draw(rng, 4), [[0.2, 0.5, 0.3]] * 4)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("concentration", [[0.3, 0.3, 0.3], [5.0, 0.5], [1.0, 1.0, 1.0, 4.0]])
def test_dirichlet_marginals_are_beta(concentration: list[float]) -> None:
    """Kolmogorov-Smirnov on 4000 episodes, p > 1e-4 for each marginal."""
    law = DirichletStart(concentration)
    draws = law.draw(np.random.default_rng(1), 4000)
    assert draws.shape == (4000, len(concentration))
    # A draw is a quotient of numbers by their sum: one division per entry and n_states - 1 additions.
    assert np.abs(draws.sum(axis=1) - 1).max() <= law.n_states * np.finfo(float).eps
    for alpha, marginal in zip(concentration, draws.T, strict=True):
        assert stats.kstest(marginal, stats.beta(alpha, sum(concentration) - alpha).cdf).pvalue > 1e-4


def test_tiny_concentrations_put_everyone_in_one_state(
    assert_law: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], None],
) -> None:
    draws = DirichletStart([1e-5, 3e-5]).draw(np.random.default_rng(2), 4000)
    # Chance of both coordinates above 1e-9: about 2 a b / (a + b) log(1e9) = 3.1e-4, so some 1.2 of 4000 draws.
    assert (draws.min(axis=1) > 1e-9).sum() <= stats.poisson.isf(1e-4, 4000 * 3.2e-4)
    assert_law(np.bincount(draws.argmax(axis=1), minlength=2), np.array([0.25, 0.75]))


def test_symmetric_repeats_the_concentration() -> None:
    law = DirichletStart.symmetric(0.3, 5)
    np.testing.assert_array_equal(law.concentration, [0.3] * 5)
    assert law.n_states == 5


def test_histograms_are_in_rank_order() -> None:
    law = FixedStart([0.0, 1.0, 0.0])
    expected = np.zeros(15)
    expected[rank_histograms([0, 4, 0])] = 1
    np.testing.assert_array_equal(law.histogram_law(4), expected)


@pytest.mark.parametrize("law", LAWS)
def test_laws_are_frozen_copies(law: StartLaw) -> None:
    parameters = start_law_to_array(law)[1]
    with pytest.raises(ValueError, match="read-only"):
        parameters[0] = 0.5
    given = np.array(parameters)
    copy = type(law)(given)
    given[0] = -1
    np.testing.assert_array_equal(start_law_to_array(copy)[1], parameters)
    with pytest.raises(AttributeError):
        law.n_states = 2  # type: ignore[misc]


@pytest.mark.parametrize("law", LAWS)
def test_laws_survive_being_written_as_arrays(law: StartLaw) -> None:
    kind, parameters = start_law_to_array(law)
    copy = start_law_from_array(kind, parameters)
    assert type(copy) is type(law)
    assert start_law_to_array(copy)[1].tobytes() == parameters.tobytes()


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^start law must be one of 'fixed', 'dirichlet'; got 'poisson'$"):
        start_law_from_array("poisson", [1.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FixedStart([0.5, 0.4]), ValueError, "probabilities must have rows that sum to 1"),
        (
            lambda: FixedStart([1.5, -0.5]),
            ValueError,
            "probabilities must be nonnegative (probabilities); entry [1] is -0.5",
        ),
        (lambda: FixedStart([[1.0]]), ValueError, "probabilities must have 1 axes [any]; got shape [1, 1]"),
        (lambda: FixedStart([]), ValueError, "probabilities must have shape [any]; got [0]"),
        (lambda: FixedStart(["a"]), TypeError, "probabilities must be an array of real numbers; got list"),
        (lambda: DirichletStart([1.0, 0.0]), ValueError, "concentration must be positive; entry [1] is 0.0"),
        (lambda: DirichletStart([-1.0]), ValueError, "concentration must be positive; entry [0] is -1.0"),
        (lambda: DirichletStart([np.nan]), ValueError, "concentration must be finite; entry [0] is nan"),
        (
            lambda: DirichletStart([1e308] * 3),
            ValueError,
            "concentration must have a finite sum; it overflows at entry [1], 1e+308",
        ),
        (lambda: DirichletStart(1.0), ValueError, "concentration must have 1 axes [any]; got shape []"),
        (lambda: DirichletStart(None), ValueError, "concentration must have 1 axes [any]; got shape []"),
        (lambda: DirichletStart.symmetric(0.3, 0), ValueError, "n_states must be at least 1; got 0"),
        (lambda: DirichletStart.symmetric(0.3, 2.5), TypeError, "n_states must be an integer; got 2.5 (float)"),
        (lambda: DirichletStart.symmetric(0.0, 2), ValueError, "concentration must be positive"),
        (lambda: DirichletStart.symmetric("0.3", 2), TypeError, "concentration must be an array of real"),
    ],
)
def test_bad_parameters_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_the_largest_concentrations_draw_distributions() -> None:
    draws = DirichletStart([5e307] * 3).draw(np.random.default_rng(0), 100)
    np.testing.assert_allclose(draws, 1 / 3, rtol=1e-12)
