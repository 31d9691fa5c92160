"""The compiled loops: their generator against its published numbers, their laws against exact ones, their streams."""

import copy
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from kofn.envs import IndividualSimulator, LumpedSimulator, Streams, TabularGame, binomial, loops, ziggurat
from kofn.envs.agent_kernel import UNSURE
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.inversion import cumulative_thresholds, integer_thresholds
from kofn.envs.population import conditional_probabilities, sample_multinomial, sample_without_replacement
from kofn.envs.recycling import Recycler
from kofn.envs.spreading import BLOCKWISE, EACH, FEW
from kofn.envs.xoshiro import advance, integer_below, mixed_word, next_word, start_stream

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]


def stream(seed: int) -> npt.NDArray[np.uint64]:
    return loops.new_key(np.random.default_rng(seed))


# The generator.

PUBLISHED = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205, 9973669472204895162]
"""First outputs of xoshiro256++ from the state 1, 2, 3, 4."""


def test_words_are_those_of_xoshiro256() -> None:
    state = np.array([1, 2, 3, 4], dtype=np.uint64)
    registers = tuple(state.copy())
    for word in PUBLISHED:
        assert int(next_word(state)) == word
        found, *rest = advance(*registers)
        registers = tuple(np.uint64(number) for number in rest)
        assert int(found) == word


def test_streams_start_at_the_numbers_of_splitmix64() -> None:
    key, state = np.full(4, 1477776061723855037, dtype=np.uint64), np.empty(4, dtype=np.uint64)
    for number, published in ((1, 1985237415132408290), (2, 2979275885539914483), (3, 13511426838097143398)):
        start_stream(key, number, state)
        assert state.tolist() == [published] * 4


@pytest.mark.parametrize("bound", [1, 3, 2**32 - 5, 2**32, 2**32 + 1, 10**12, 3 * 2**61])
def test_integers_are_uniform_below_their_bound(bound: int, assert_law: AssertLaw) -> None:
    """By thirds; with 3 * 2^61 a quarter of all words is thrown away, and no third may gain by it."""
    state = stream(1)
    drawn = [integer_below(state, bound) for _ in range(3000)]
    assert 0 <= min(drawn) <= max(drawn) < bound
    size = -(-bound // 3)
    law = [(min(bound, (i + 1) * size) - min(bound, i * size)) / bound for i in range(3)]
    assert_law(np.bincount([i // size for i in drawn], minlength=3), law)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.MT19937])
def test_keys_are_256_random_bits(kind: Any) -> None:
    """Of 2000 keys each of the 256 bits is set in half, up to 5 deviations (chance of a false alarm 1.5e-4)."""
    rng = np.random.Generator(kind(1))
    keys = np.stack([loops.new_key(rng) for _ in range(2000)])
    assert (keys.dtype, keys.shape) == (np.uint64, (2000, 4))
    shares = np.unpackbits(np.ascontiguousarray(keys).view(np.uint8), axis=1).mean(axis=0)
    assert np.abs(shares - 0.5).max() < 5 * 0.5 / 2000**0.5


# Binomial counts.


@pytest.mark.parametrize(
    ("n", "p"),
    [(5, 0.3), (60, 0.07), (10**6, 3e-6), (60, 0.9), (10, 0.5), (40, 0.5), (150, 0.2), (2000, 0.7), (10**5, 0.02)],
)
def test_binomial_counts_have_the_exact_law(n: int, p: float, assert_law: AssertLaw) -> None:
    """Both methods, both sides of 1/2."""
    state = stream(2)
    drawn = np.array([binomial.binomial(state, n, p) for _ in range(20_000)])
    low, high = drawn.min(), drawn.max()
    law = stats.binom.pmf(np.arange(low, high + 1), n, p)
    outside = np.array([stats.binom.cdf(low - 1, n, p), stats.binom.sf(high, n, p)])
    assert_law([0, *np.bincount(drawn - low), 0], [outside[0], *law, outside[1]])


def test_binomial_counts_of_a_trillion_are_normal(assert_law: AssertLaw) -> None:
    """In hundredths; the skewness, (1-2p)/s = 1.5e-6, is beyond what 50,000 draws could tell."""
    n, p, state = 10**12, 0.2, stream(26)
    drawn = np.array([binomial.binomial(state, n, p) for _ in range(50_000)])
    ranks = stats.norm.cdf((drawn - n * p) / math.sqrt(n * p * (1 - p)))
    assert_law(np.bincount((ranks * 100).astype(int), minlength=100), np.full(100, 0.01))


@pytest.mark.parametrize(("n", "p"), [(7, 0.4), (300, 0.01), (10**4, 0.3)])
def test_log_densities_are_those_of_whole_numbers(n: int, p: float) -> None:
    """Logarithms of exact binomial coefficients, at most 7000 here and so right to 7000 * 2^-52 * a few."""
    for k in {0, 1, n // 3, n // 2, n - 1, n}:
        exact = math.log(math.comb(n, k)) + k * math.log(p) + (n - k) * math.log1p(-p)
        assert binomial.binomial_log_density(k, n, p) == pytest.approx(exact, abs=1e-11)


def test_log_densities_of_a_trillion_agents_have_the_right_ratios() -> None:
    """f(k+1)/f(k) = (n-k)/(k+1) p/q, summed over a deviation of 5 * 10^5 in steps of 10^3 by the midpoint rule."""
    n, p = 10**12, 0.3
    mean, step = int(n * p), 1000
    for start in (mean, mean - 10**6, mean + 10**6):
        steps = np.arange(start, start + 500_000, step) + (step - 1) / 2
        exact = float(step * np.log((n - steps) / (steps + 1) * (p / (1 - p))).sum())
        found = binomial.binomial_log_density(start + 500_000, n, p) - binomial.binomial_log_density(start, n, p)
        # Rounding of the 500 logarithms: step * 2^-53 each; and of n p, 6e-5 of a deviation of 4.6e5, times 4.
        assert found == pytest.approx(exact, abs=500 * step * 2.0**-53 * 10 + 1e-8)


def sent_to(y: FloatArray, n: int, p: float) -> FloatArray:
    """The normal numbers z that Cornish and Fisher send to y, by bisection on the branch that increases."""
    mean, spread, skew = n * p, math.sqrt(n * p * (1 - p)), 1 - 2 * p
    low, high = np.full(y.shape, -3 * spread / max(skew, 1e-300)), np.full(y.shape, 1e4)
    low = np.maximum(low, -1e4)
    for _ in range(100):
        middle = (low + high) / 2
        below = mean + spread * middle + skew * (middle**2 - 1) / 6 < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


MEANS = [binomial.LEAST_MEAN, 5.4, 6, 7, 8.3, 10, 12, 15, 20, 33, 50, 100, 400]


@pytest.mark.parametrize("p", [1e-6, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49, 0.5])
def test_rejection_is_sound(p: float) -> None:
    """The hat lies above the law at every count, and what is accepted at once lies below it, for every Z of the count.

    The proposals' law is found here by bisection and from tails by scipy.
    """
    for mean in MEANS:
        n = math.ceil(mean / p)
        variance = n * p * (1 - p)
        k = np.arange(min(n, int(n * p + 30 * math.sqrt(variance))) + 1)
        low, high = sent_to(k - 0.5, n, p), sent_to(k + 0.5, n, p)
        logs = np.where(high < -low, stats.norm.logcdf([high, low]), stats.norm.logsf([low, high]))
        log_proposed = logs[0] + np.log(-np.expm1(logs[1] - logs[0]))
        exact = np.array([binomial.binomial_log_density(i, n, p) for i in k.tolist()])
        ratio = np.exp(exact - log_proposed)
        assert ratio.max() <= 1 + binomial.MOST / variance
        nearest = np.where(low * high < 0, 0.0, np.minimum(abs(low), abs(high)))
        assert (ratio >= 1 - (binomial.LEAST + binomial.BEND * nearest**4) / variance).all()
        found = np.array([binomial.proposal_density(i, n, p) for i in k.tolist()])
        seen = log_proposed > -300  # further out there is nothing but zeros
        # Differences of error functions: some ulps of the larger one, which is `spread` times as large.
        np.testing.assert_allclose(np.log(found[seen]), log_proposed[seen], rtol=0, atol=1e-12 * math.sqrt(variance))


@pytest.mark.parametrize(("n", "p"), [(12, 0.45), (300, 0.03), (10**4, 0.7), (10**12, 0.2)])
def test_quick_counts_are_those_of_the_careful_way(n: int, p: float) -> None:
    """Whatever two words stand for at once, they also stand for when every ratio is found; most do."""
    words = np.random.default_rng(20).integers(0, 2**64, (2, 3000), dtype=np.uint64)
    quick = [binomial.quick_binomial(a, b, n, p) for a, b in words.T]
    state = stream(21)
    careful = [binomial.careful_binomial(state.copy(), a, b, n, p) for a, b in words.T]
    decided = np.array(quick) >= 0
    assert decided.mean() > 0.85
    assert (np.array(quick)[decided] == np.array(careful)[decided]).all()


# Normal numbers.


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


# Crowds.


@pytest.mark.parametrize("n", [1, EACH, EACH + 1, 64, 65, FEW, FEW + 1, 1000])
@pytest.mark.parametrize("p", [[0.3, 0.0, 0.5, 0.2], [1e-3, 0.999, 0.0, 0.0], [0.0, 0.0, 0.4, 0.6]])
def test_every_way_of_spreading_has_the_multinomial_law(n: int, p: list[float], assert_law: AssertLaw) -> None:
    """Each count is binomial, and so is each sum of neighbours; impossible outcomes never occur."""
    law = np.array(p)
    drawn = sample_multinomial(np.random.default_rng(3), np.full(4000, n), conditional_probabilities(law))
    assert (drawn.sum(axis=1) == n).all()
    assert not drawn[:, law == 0].any()
    for chosen in ([0], [2], [3], [0, 2], [1, 2]):
        counts = drawn[:, chosen].sum(axis=1)
        assert_law(np.bincount(counts, minlength=n + 1), stats.binom.pmf(np.arange(n + 1), n, law[chosen].sum()))


@pytest.mark.parametrize("n", [20, 50, 500])
def test_what_one_population_draws_does_not_shift_another(n: int, warehouse3: TabularGame) -> None:
    policy, found = np.full((3, 3, 3), 1 / 3), []
    for first in ([n, 0, 0], [1, 2, n - 3]):
        simulator = LumpedSimulator(warehouse3, n, n_populations=2)
        simulator.reset(Streams.from_seed(4))
        run = []
        for _ in range(3):
            simulator.counts[0] = first
            simulator.step(np.zeros(2, dtype=np.int64), policy)
            run += [simulator.counts[1].tolist()]
        found.append(run)
    assert found[0] == found[1]


def test_crowds_differing_by_one_agent_stay_close(warehouse3: TabularGame) -> None:
    """Agents of one state, and draws of k, meet the same numbers: one agent more changes one agent's step."""
    policy, moved = np.full((3, 3, 3), 1 / 3), []
    for extra in (0, 1):
        simulator = LumpedSimulator(warehouse3, 30 + extra, n_populations=500)
        simulator.reset(Streams.from_seed(5))
        simulator.counts = np.tile([10 + extra, 10, 10], (500, 1))
        simulator.step(np.zeros(500, dtype=np.int64), policy)
        moved.append(simulator.counts)
    gap = moved[1] - moved[0]
    # With another action of the additional agent the moves of at most two of the three groups shift.
    assert np.abs(gap).sum(axis=1).mean() < 4
    first, second = (
        sample_without_replacement(np.random.default_rng(6), np.tile(row, (500, 1)), 10)
        for row in ([300, 300, 400], [301, 300, 399])
    )
    assert (first != second).any(axis=1).mean() < 10 * 2 / 1000 * 4


@pytest.mark.parametrize("n_outcomes", [2, 3, 5, 8, 9])
def test_tables_of_blocks_hold_the_multinomial_law(n_outcomes: int) -> None:
    """Every way's chance, added up over the slots that lead to it, and none for what is impossible."""
    laws = np.random.default_rng(10).dirichlet(np.ones(n_outcomes), size=3)
    laws[1, 0], laws[2] = 0.0, np.eye(n_outcomes)[1]
    laws /= laws.sum(axis=1, keepdims=True)
    log_size, width, at_once = loops.block_sizes(n_outcomes)
    size, header = 1 << log_size, loops.ways_of(n_outcomes).tolist()
    assert size * at_once + size - 1 < 1 << width
    slots = loops.blocks_of(laws)
    packs = header[header[0] :]
    assert (header[1:4], slots.shape) == ([log_size, width, at_once], (3, len(packs)))
    for r in range(1, size + 1):
        first, n_slots = header[3 + r] >> 6, 1 << (64 - (header[3 + r] & 63))
        ways = enumerate_histograms(r, n_outcomes)
        packed = [sum(count << width * j for j, count in enumerate(way)) for way in ways.tolist()]
        for law, row in zip(laws, slots[:, first : first + n_slots].tolist(), strict=True):
            chances: dict[int, float] = {}
            for place, slot in enumerate(row, first):
                cut = (slot >> 11) / 2**53
                chances[packs[place]] = chances.get(packs[place], 0) + cut / n_slots
                alias = packs[slot & 2047]
                chances[alias] = chances.get(alias, 0) + (1 - cut) / n_slots
            exact = stats.multinomial.pmf(ways, r, law)
            # Each slot's chances are rounded to 2^-53 and carried along while others give to it.
            np.testing.assert_allclose([chances.get(way, 0) for way in packed], exact, rtol=0, atol=1e-12)
            assert not any(chances.get(way, 0) for way, chance in zip(packed, exact, strict=True) if chance == 0)


def test_too_many_outcomes_have_no_tables_of_blocks() -> None:
    assert loops.blocks_of(np.full((2, 10), 0.1)).shape == (2, 0)
    assert len(loops.ways_of(10)) == len(loops.ways_of(1)) == 0
    assert loops.block_sizes(10)[0] == loops.block_sizes(1)[0] == 0


@pytest.mark.parametrize("n", [1, 7, 8, 40, BLOCKWISE, BLOCKWISE + 1])
def test_crowds_of_every_size_move_by_the_law_of_their_agents(
    n: int, random_game: Callable[..., TabularGame], assert_law: AssertLaw
) -> None:
    """Actions and moves of agents of one state: each next count, and each sum of two, is binomial."""
    game = random_game(11, n_local=5, n_local_actions=3, n_global=1)
    policy = np.random.default_rng(13).dirichlet(np.ones(3), size=(5, 1))
    simulator = LumpedSimulator(game, n, n_populations=4000)
    simulator.reset(Streams.from_seed(6))
    simulator.counts = np.tile([0, 0, n, 0, 0], (4000, 1))
    simulator.step(np.zeros(4000, dtype=np.int64), policy)
    law = policy[2, 0] @ game.local_transition[2, 0]
    for y in range(5):
        counts = simulator.counts[:, y]
        assert_law(np.bincount(counts, minlength=n + 1), stats.binom.pmf(np.arange(n + 1), n, law[y]))


# Individuals.


@pytest.mark.parametrize("guided", [True, False])
def test_agents_are_drawn_by_inversion_of_their_own_numbers(
    guided: bool, random_game: Callable[..., TabularGame]
) -> None:
    """The compiled step, number by number: agent i has the i-th byte of its population's stream, and 45 bits more."""
    game = random_game(7, n_local=4, n_local_actions=3, n_global=2)
    rng = np.random.default_rng(8)
    states, actions = rng.integers(0, 4, (2, 500)), rng.integers(0, 3, (2, 500))
    s_g = np.array([[1, 0], [0, 1]])
    thresholds = integer_thresholds(cumulative_thresholds(game.local_transition))
    guides = loops.guides_of(thresholds.reshape(-1, 3)).ravel() if guided else np.full(1, UNSURE, dtype=np.uint8)
    moved, paid, sums = np.empty_like(states), np.empty(states.shape), np.empty(2)
    key, tables = stream(9), (thresholds.ravel(), guides)
    rewards, out = game.local_reward.flatten(), (moved.reshape(-1), paid.reshape(-1), sums)
    assert loops.step_agents(key, states.ravel(), s_g, actions.ravel(), tables, rewards, (4, 2, 3), out) == -1
    for b in range(2):
        state = np.empty(4, dtype=np.uint64)
        start_stream(key, b, state)
        start, word = state[1], 0
        for i in range(500):
            word = int(next_word(state)) if i % 8 == 0 else word >> 8
            number = (word & 255) << 45 | int(mixed_word(start, i)) >> 19
            assert paid[b, i] == game.local_reward[states[b, i], s_g[0, b], actions[b, i]]
            assert moved[b, i] == (number >= thresholds[states[b, i], s_g[1, b], actions[b, i]]).sum()
        assert sums[b] == pytest.approx(paid[b].sum(), rel=1e-12)


def test_guides_name_the_outcome_of_all_numbers_that_a_byte_begins() -> None:
    thresholds = integer_thresholds(cumulative_thresholds(np.array([[0.5, 0.0, 0.25, 0.25], [1e-9, 0.7, 0.3, 0.0]])))
    for limits, guide in zip(thresholds.tolist(), loops.guides_of(thresholds).tolist(), strict=True):
        for byte, outcome in enumerate(guide):
            found = {sum(number >= limit for limit in limits) for number in (byte << 45, (byte + 1 << 45) - 1)}
            assert found == {outcome} or (len(found) > 1 and outcome == UNSURE)


@pytest.mark.parametrize(("state", "action"), [(0, 2), (0, -1), (2, 0), (-1, 1)])
def test_what_is_out_of_range_is_refused(state: int, action: int, random_game: Callable[..., TabularGame]) -> None:
    simulator = IndividualSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    simulator.local_states = np.array([[0, 0, 0], [0, state, 0]])
    message = (
        r"local states must lie in \[0, 2\) and local actions in \[0, 2\); "
        rf"entry \[1, 1\] is in state {state} and acts {action}"
    )
    with pytest.raises(ValueError, match=message):
        simulator.step(np.zeros(2, dtype=np.int64), np.array([[0, 0, 0], [1, action, 1]]))


REFUSED_GLOBALLY: list[Any] = [
    ([0, 2], {}, ValueError, r"global states must lie in \[0, 2\) and global actions in \[0, 2\); population 1 is in"),
    ([-1, 0], {}, ValueError, r"population 0 is in state \d and its global agent acts -1"),
    ([0, 0], {"global_states": np.array([0, 2])}, ValueError, r"population 1 is in state 2 and its global agent acts"),
    ([0.0, 0.0], {}, TypeError, "actions must be integers; got float64"),
    ([0], {}, ValueError, r"global actions must have shape \[n_populations\] = \[2\]; got \[1\]"),
]
BAD_COUNTS = (
    [0, 0],
    {"counts": np.ones((2, 3), dtype=np.int64)},
    ValueError,
    r"counts must have shape .*; got \[2, 3\]",
)


@pytest.mark.parametrize(("actions", "changes", "error", "message"), REFUSED_GLOBALLY)
def test_global_agents_of_individuals_out_of_range_are_refused(
    actions: list[Any], changes: dict[str, Any], error: Any, message: str, random_game: Callable[..., TabularGame]
) -> None:
    simulator = IndividualSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    vars(simulator).update(changes)
    with pytest.raises(error, match=message):
        simulator.step(np.array(actions), np.zeros((2, 3), dtype=np.int64))


@pytest.mark.parametrize(("actions", "changes", "error", "message"), [*REFUSED_GLOBALLY, BAD_COUNTS])
def test_crowds_out_of_range_are_refused(
    actions: list[Any], changes: dict[str, Any], error: Any, message: str, random_game: Callable[..., TabularGame]
) -> None:
    simulator = LumpedSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    vars(simulator).update(changes)
    with pytest.raises(error, match=message):
        simulator.step(np.array(actions), np.full((2, 2, 2), 0.5))


def test_choices_of_another_shape_are_refused(random_game: Callable[..., TabularGame]) -> None:
    simulator = LumpedSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    message = r"choices must have shape \[n_populations, s_l, a_l\] = \[2, 2, 2\]; got \[2, 2, 3\]"
    with pytest.raises(ValueError, match=message):
        simulator.step_choices(np.zeros(2, dtype=np.int64), np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match=r"choices must have shape \[s_l, s_g, a_l\] = \[2, 2, 2\]; got \[3, 2, 2\]"):
        simulator.step(np.zeros(2, dtype=np.int64), np.full((3, 2, 2), 0.5))


def test_other_integers_step_like_their_own(random_game: Callable[..., TabularGame]) -> None:
    """Arrays of other kinds, strided or read-only, and a policy overwritten in place."""
    found = []
    for kind in ("plain", "odd"):
        simulator = LumpedSimulator(random_game(1), 300, n_populations=4)
        simulator.reset(Streams.from_seed(0))
        policy = np.full((2, 2, 2), 0.5)
        actions = np.zeros(4, dtype=np.int64)
        for t in range(4):
            policy[..., 0] = 0.1 + 0.2 * t
            policy[..., 1] = 1 - policy[..., 0]
            if kind == "odd":
                actions = np.zeros(8, dtype=np.int32)[::2]
                for array in (actions, simulator.counts, simulator.global_states):
                    array.setflags(write=False)
            simulator.step(actions, policy if kind == "plain" else np.asfortranarray(policy))
        found.append((simulator.counts.tolist(), simulator.global_states.tolist()))
    assert found[0] == found[1]


def test_arrays_of_earlier_steps_stay_as_they_were(random_game: Callable[..., TabularGame]) -> None:
    """Whatever is held, whole or in part, is left alone; what is not may be used again."""
    simulator = IndividualSimulator(random_game(2), 100)
    simulator.reset(Streams.from_seed(0))
    actions = np.zeros((1, 100), dtype=np.int64)
    held: list[tuple[Any, Any]] = []
    for t in range(12):
        if t % 3 != 2:
            part = simulator.local_states if t % 3 == 0 else simulator.local_states[0, 10:20]
            held += [(part, part.copy()), (simulator.local_rewards, simulator.local_rewards.copy())]
        simulator.step(np.zeros(1, dtype=np.int64), actions)
    for kept, copied in held:
        np.testing.assert_array_equal(kept, copied)


def test_an_array_nobody_holds_is_used_again() -> None:
    recycler = Recycler()
    address = (array := np.empty(1000)).ctypes.data
    recycler.keep(array)
    assert recycler.take((1000,), np.float64).ctypes.data != address  # `array` is still held
    del array
    recycler.keep(np.empty(1000))
    address = recycler._kept[0].ctypes.data
    assert recycler.take((1000,), np.float64).ctypes.data == address
    recycler.keep(np.empty(1000))
    assert recycler.take((999,), np.float64).shape == (999,)


# Caches.


def test_simulators_of_one_game_share_its_tables_and_copies_do_not_carry_them(warehouse3: TabularGame) -> None:
    size = len(pickle.dumps(warehouse3))
    first, second = LumpedSimulator(warehouse3, 9), LumpedSimulator(warehouse3, 10**6)
    assert first.dynamics is second.dynamics is copy.deepcopy(first).dynamics
    for n_agents in (9, 10**6):  # one policy after another, by the same tables
        for seed in range(6):
            policy = np.random.default_rng(seed).dirichlet(np.ones(3), size=(3, 3))
            simulator, alone = (LumpedSimulator(game, n_agents) for game in (warehouse3, replace(warehouse3)))
            for each in (simulator, alone):
                each.reset(Streams.from_seed(seed))
                each.step(np.zeros(1, dtype=np.int64), policy)
            np.testing.assert_array_equal(simulator.counts, alone.counts)
    assert len(pickle.dumps(warehouse3)) < size + 1000
    again = LumpedSimulator(pickle.loads(pickle.dumps(warehouse3)), n_agents)
    again.reset(Streams.from_seed(seed))
    again.step(np.zeros(1, dtype=np.int64), policy)
    np.testing.assert_array_equal(again.counts, simulator.counts)


def test_a_second_process_compiles_nothing(tmp_path: Path, warehouse3: TabularGame) -> None:
    """This process has compiled, or loaded, everything that the steps below need."""
    code = (
        "import sys, numpy as np\n"
        "import kofn.envs\n"
        "assert not {'numba', 'scipy.special'} & set(sys.modules), 'importing kofn.envs is to stay quick'\n"
        "from kofn.envs import IndividualSimulator, LumpedSimulator, Streams\n"
        "from kofn.envs.population import sample_without_replacement\n"
        "from kofn.envs.warehouse_dispatch import game\n"
        "streams, zero = Streams.from_seed(0), np.zeros(1, dtype=np.int64)\n"
        "lumped, agents = LumpedSimulator(game(), 1000), IndividualSimulator(game(), 9)\n"
        "lumped.reset(streams), agents.reset(streams)\n"
        "lumped.step(zero, np.full((5, 5, 3), 1 / 3)), agents.step(zero, np.zeros((1, 9), dtype=np.int64))\n"
        "sample_without_replacement(streams.sampling, lumped.counts, 3)\n"
        "from kofn.envs import loops\n"
        "used = [loops.step_global, loops.step_agents, loops.step_crowds, loops.spread_cells, loops.sample_crowds]\n"
        "print([sum(loop.stats.cache_hits.values()) for loop in used], [loop.stats.cache_misses for loop in used])\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{[1] * 5} {[{}] * 5}".replace("{}", "Counter()")
