"""Samplers against their laws, enumerated agent by agent: drawn as agents, and drawn as counts."""

import copy
import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations, pairwise, permutations
from math import exp, floor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kofn.wrappers.samplers import (
    CountSampler,
    DistanceWeighted,
    Sampler,
    Stratified,
    Uniform,
    as_sampler,
    draw_agents,
    ring_distances,
)

Array = npt.NDArray[Any]
STATES = np.array([0, 2, 1, 0, 0, 3, 2])
"""Seven agents in four states."""
GROUPS = np.array([0, 0, 1, 2])
DISTANCES = np.array([[0.0, 1.0], [0.5, 2.0], [2.0, 0.3], [1.0, 0.0]])
DRAWS = 8_000

Law = dict[tuple[int, ...], float]
"""Probability of every set of agents, in ascending order."""


def uniform_law(k: int) -> Law:
    sets = list(combinations(range(len(STATES)), k))
    return dict.fromkeys(sets, 1 / len(sets))


def plackett_luce_law(k: int, weights: list[float]) -> Law:
    """Agents one after another, each in proportion to its weight among those left, summed over orders."""
    law: Law = {}
    for order in permutations(range(len(weights)), k):
        left, probability = sum(weights), 1.0
        for agent in order:
            probability *= weights[agent] / left
            left -= weights[agent]
        key = tuple(sorted(order))
        law[key] = law.get(key, 0.0) + probability
    return law


def stratified_law(k: int) -> Law:
    """U runs over the pieces of [0, 1) between broken parts of C_j; then every set with these seats is as likely."""
    strata = [int(GROUPS[state]) for state in STATES]
    sizes = [strata.count(j) for j in range(3)]
    cuts = [k * sum(sizes[:j]) / len(strata) for j in range(4)]
    breaks = sorted({0.0, 1.0, *(1 - (cut - floor(cut + 1e-12)) for cut in cuts)} | {0.0})
    breaks = [point for point in breaks if 0 <= point <= 1]
    law: Law = {}
    for low, high in pairwise(breaks):
        middle = (low + high) / 2
        filled = [floor(cut + 1e-12 + middle) for cut in cuts]
        seats = [after - before for before, after in pairwise(filled)]
        fitting = [
            chosen
            for chosen in combinations(range(len(strata)), k)
            if [sum(strata[agent] == j for agent in chosen) for j in range(3)] == seats
        ]
        for chosen in fitting:
            law[chosen] = law.get(chosen, 0.0) + (high - low) / len(fitting)
    return law


def weights(s_g: int, scale: float) -> list[float]:
    return [exp(-DISTANCES[state, s_g] / scale) for state in STATES]


CASES: list[tuple[CountSampler, int, int, Law]] = [
    (Uniform(), 0, 3, uniform_law(3)),
    *((Stratified(GROUPS), 0, k, stratified_law(k)) for k in (1, 2, 3, 5, 6, 7)),
    (DistanceWeighted(DISTANCES), 0, 1, plackett_luce_law(1, weights(0, 1.0))),
    (DistanceWeighted(DISTANCES), 1, 3, plackett_luce_law(3, weights(1, 1.0))),
    (DistanceWeighted(DISTANCES, scale=0.4), 0, 4, plackett_luce_law(4, weights(0, 0.4))),
    (DistanceWeighted(DISTANCES, scale=0.4), 1, 7, plackett_luce_law(7, weights(1, 0.4))),
]
every_case = pytest.mark.parametrize(("sampler", "s_g", "k", "law"), CASES)


def check_shares(drawn: Counter[tuple[int, ...]], law: Law) -> None:
    """Every share of the draws is within 4.5 standard errors of its probability, at most 35 of them at once."""
    assert set(drawn) <= {key for key, probability in law.items() if probability > 0}
    np.testing.assert_allclose(sum(law.values()), 1, rtol=1e-9)
    for key, probability in law.items():
        error = np.sqrt(probability * max(1 - probability, 0) / DRAWS)
        assert abs(drawn[key] / DRAWS - probability) <= 4.5 * error + 1e-9, key


@every_case
def test_agents_are_drawn_by_the_stated_law(sampler: CountSampler, s_g: int, k: int, law: Law) -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(tuple(sorted(sampler(rng, STATES, s_g, k).tolist())) for _ in range(DRAWS))
    check_shares(drawn, law)


@every_case
def test_counts_are_drawn_by_the_same_law(sampler: CountSampler, s_g: int, k: int, law: Law) -> None:
    by_histogram: dict[tuple[int, ...], float] = {}
    for chosen, probability in law.items():
        key = tuple(np.bincount(STATES[list(chosen)], minlength=4).tolist())
        by_histogram[key] = by_histogram.get(key, 0.0) + probability
    counts = np.tile(np.bincount(STATES, minlength=4), (DRAWS, 1))
    found = sampler.from_counts(np.random.default_rng(0), counts, np.full(DRAWS, s_g), k)
    drawn = Counter(map(tuple, found.tolist()))
    check_shares(drawn, by_histogram)


@pytest.mark.parametrize("k", range(1, 8))
def test_strata_get_their_share_and_every_agent_is_as_likely(k: int) -> None:
    law = stratified_law(k)
    np.testing.assert_allclose(sum(law.values()), 1)
    seen = [sum(probability for chosen, probability in law.items() if agent in chosen) for agent in range(7)]
    np.testing.assert_allclose(seen, k / 7)
    rng = np.random.default_rng(0)
    for _ in range(50):
        strata = GROUPS[STATES[Stratified(GROUPS)(rng, STATES, 0, k)]]
        for j in range(3):
            share = k * (GROUPS[STATES] == j).sum() / 7
            assert floor(share + 1e-12) <= (strata == j).sum() <= -floor(-share + 1e-12)


def test_an_order_drawn_is_the_order_of_drawing() -> None:
    """The first agent of the distance-weighted order is drawn by weight; a stratified one is in random order."""
    rng = np.random.default_rng(0)
    first = Counter(int(DistanceWeighted(DISTANCES)(rng, STATES, 0, 3)[0]) for _ in range(DRAWS))
    share = np.array(weights(0, 1.0)) / sum(weights(0, 1.0))
    error = np.sqrt(share * (1 - share) / DRAWS)
    assert (np.abs(np.array([first[i] for i in range(7)]) / DRAWS - share) < 4.5 * error).all()
    leading = Counter(int(Stratified(GROUPS)(rng, STATES, 0, 7)[0]) for _ in range(DRAWS))
    assert (np.abs(np.array([leading[i] for i in range(7)]) / DRAWS - 1 / 7) < 4.5 * np.sqrt(6 / 49 / DRAWS)).all()


def test_populations_have_states_and_counts_of_their_own() -> None:
    counts = np.array([[5, 0, 0, 0], [0, 0, 0, 5], [10, 0, 0, 10]])
    rng = np.random.default_rng(0)
    for sampler in (Stratified(GROUPS), DistanceWeighted(DISTANCES, scale=1e-3)):
        found = sampler.from_counts(rng, counts, np.array([0, 0, 1]), 4)
        assert found[:2].tolist() == [[4, 0, 0, 0], [0, 0, 0, 4]]
        assert found.sum(axis=1).tolist() == [4, 4, 4]
    # In s_g = 1 state 3 is nearest, so far that nobody else is ever seen.
    assert found[2].tolist() == [0, 0, 0, 4]


def test_farther_agents_are_seen_once_the_near_ones_are_used_up() -> None:
    """However small the scale: weights are relative to the nearest agents left."""
    near = DistanceWeighted(DISTANCES, scale=1e-4)
    found = near.from_counts(np.random.default_rng(0), np.array([[2, 1, 3, 1]]), np.array([0]), 5)
    assert found.tolist() == [[2, 1, 1, 1]]
    drawn = near(np.random.default_rng(0), STATES, 0, 5)
    assert sorted(STATES[drawn].tolist()) == [0, 0, 0, 1, 3]
    assert STATES[drawn].tolist() == [0, 0, 0, 1, 3]


@pytest.mark.parametrize("sampler", [Uniform(), Stratified(GROUPS), DistanceWeighted(DISTANCES)])
def test_large_populations_and_all_agents(sampler: CountSampler) -> None:
    counts = np.array([[10**11, 3, 0, 5 * 10**11], [1, 1, 1, 0]])
    before = counts.copy()
    found = sampler.from_counts(np.random.default_rng(0), counts[:1], np.array([1]), 50)
    assert found.sum() == 50
    assert (found <= counts[0]).all()
    everyone = sampler.from_counts(np.random.default_rng(0), counts[1:], np.array([1]), 3)
    assert everyone.tolist() == [[1, 1, 1, 0]]
    np.testing.assert_array_equal(counts, before)


def test_empty_strata_get_no_seat() -> None:
    """Thirds of seats, which rounding could spill into the empty strata at both ends."""
    sampler = Stratified(np.array([0, 1, 2, 3, 4]))
    counts = np.tile([0, 1, 1, 1, 0], (3000, 1))
    for k in (1, 2, 3):
        found = sampler.from_counts(np.random.default_rng(k), counts, np.zeros(3000, dtype=int), k)
        assert (found.sum(axis=1) == k).all()
        assert not found[:, [0, 4]].any()
        assert found.max() == 1


def test_functions_of_continuous_states() -> None:
    states, rng = np.array([0.1, 0.2, 0.9, 0.95]), np.random.default_rng(0)
    by_half = Stratified(lambda x: (x > 0.5).astype(int))
    assert all((by_half(rng, states, 0.5, 2) > 1).sum() == 1 for _ in range(50))
    near = DistanceWeighted(lambda x, s_g: np.abs(x - s_g), scale=0.01)
    assert all(sorted(near(rng, states, 1.0, 2)) == [2, 3] for _ in range(50))
    for sampler, what in ((by_half, "groups must be an array [s_l]"), (near, "distances must be an array [s_l, s_g]")):
        message = re.escape(f"{what} to sample from counts; got a function")
        with pytest.raises(TypeError, match=message):
            sampler.from_counts(rng, np.array([[2, 2]]), np.array([0]), 1)


def test_same_seed_same_agents() -> None:
    for sampler, _, k, _ in CASES:
        first, again = (sampler(np.random.default_rng(3), STATES, 1, k).tolist() for _ in range(2))
        assert first == again


def test_copies_stay_read_only() -> None:
    for sampler in (copy.deepcopy(Stratified(GROUPS)), copy.deepcopy(DistanceWeighted(DISTANCES))):
        array = sampler.groups if isinstance(sampler, Stratified) else sampler.distances
        assert isinstance(array, np.ndarray)
        assert not array.flags.writeable
    assert GROUPS.flags.writeable


def test_rings_have_two_ways_round() -> None:
    assert ring_distances(5)[0].tolist() == [0, 1, 2, 2, 1]
    assert ring_distances(4)[1].tolist() == [1, 0, 1, 2]
    assert ring_distances(1).tolist() == [[0]]
    with pytest.raises(ValueError, match="n_states must be at least 1; got 0"):
        ring_distances(0)


def test_samplers_by_name_or_object() -> None:
    def first(rng: np.random.Generator, local_states: Array, global_state: Any, k: int) -> Array:
        return np.arange(k)

    assert as_sampler("uniform") == Uniform()
    assert as_sampler(first) is first
    assert isinstance(Stratified(GROUPS), CountSampler)
    assert not isinstance(first, CountSampler)
    with pytest.raises(ValueError, match="sampler must be a function or one of 'uniform'; got 'nearest'"):
        as_sampler("nearest")
    with pytest.raises(TypeError, match=re.escape("sampler must be a function (rng, local_states, global_state, k)")):
        as_sampler(5)  # type: ignore[arg-type]  # the mistake that is tested


def returning(values: Any) -> Sampler:
    return lambda *_: values


def test_what_a_sampler_may_return() -> None:
    rng = np.random.default_rng(0)
    found = draw_agents(returning([6, 0, 3]), rng, STATES, 0, 3)
    assert found.dtype == np.int64
    assert found.tolist() == [6, 0, 3]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([0.0, 1.0, 2.0], TypeError, "a sampler must return integers; got float64"),
        ([0, 1], ValueError, "a sampler must return k=3 agents, shape [3]; got shape [2]"),
        ([[0, 1, 2]], ValueError, "a sampler must return k=3 agents, shape [3]; got shape [1, 3]"),
        ([0, 7, 2], ValueError, "a sampler must return agents in [0, 7); entry [1] is 7"),
        ([0, 1, -1], ValueError, "a sampler must return agents in [0, 7); entry [2] is -1"),
        ([5, 2, 5], ValueError, "a sampler must return different agents; 5 is there 2 times"),
    ],
)
def test_bad_draws_are_refused(values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        draw_agents(returning(values), np.random.default_rng(0), STATES, 0, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Stratified(np.array([0.0, 1.0])), TypeError, "groups must be integers [any]; got float64 [2]"),
        (lambda: Stratified(np.array([[0, 1]])), TypeError, "groups must be integers [any]; got int64 [1, 2]"),
        (lambda: Stratified(np.array([0, -1])), ValueError, "groups must be 0, 1, 2, ..; got [0, -1]"),
        (lambda: Stratified(np.array([], dtype=int)), ValueError, "groups must be 0, 1, 2, ..; got []"),
        (lambda: DistanceWeighted([[1.0, -2.0]]), ValueError, "distances must be nonnegative; entry [0, 1] is -2.0"),
        (lambda: DistanceWeighted([[np.inf]]), ValueError, "distances must be finite; entry [0, 0] is inf"),
        (lambda: DistanceWeighted(DISTANCES, scale=0), ValueError, "scale must be positive and finite; got 0"),
    ],
)
def test_bad_samplers_are_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()


def test_numbers_of_strata_may_be_any() -> None:
    """What tells them apart counts: huge numbers cost no memory, and draw what their ranks draw."""
    huge = np.where(GROUPS > 0, 10**10 * GROUPS, 3)
    drawn = [sampler(np.random.default_rng(0), STATES, 0, 4) for sampler in (Stratified(huge), Stratified(GROUPS))]
    assert drawn[0].tolist() == drawn[1].tolist()
    counts, state = np.bincount(STATES, minlength=len(GROUPS))[None], np.array([0])
    seen = [Stratified(one).from_counts(np.random.default_rng(0), counts, state, 4) for one in (huge, GROUPS)]
    assert seen[0].tolist() == seen[1].tolist()


def test_bad_functions_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match=re.escape("groups(local_states) must be integers [7]; got float64 [7]")):
        Stratified(lambda states: states / 2)(rng, STATES, 0, 2)
    message = "groups(local_states) must have shape [7], a stratum per agent; got shape [2]"
    with pytest.raises(ValueError, match=re.escape(message)):
        Stratified(lambda _: np.array([0, 1]))(rng, STATES, 0, 2)
    message = "distances(local_states, global_state) must have shape [7]; got [3]"
    with pytest.raises(ValueError, match=re.escape(message)):
        DistanceWeighted(lambda *_: np.zeros(3))(rng, STATES, 0, 2)
