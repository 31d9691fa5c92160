"""The compiled loops: their generator against its published numbers, their laws against exact ones, their streams."""

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from kofn.envs import IndividualSimulator, LumpedSimulator, Streams, TabularGame, binomial, loops
from kofn.envs.agent_kernel import UNSURE
from kofn.envs.crowd_kernel import BLOCKWISE, EACH, FEW
from kofn.envs.inversion import cumulative_thresholds, integer_thresholds
from kofn.envs.population import (
    conditional_probabilities,
    enumerate_histograms,
    sample_multinomial,
    sample_without_replacement,
)
from kofn.envs.recycling import Recycler
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
    [(5, 0.3), (60, 0.1), (10**6, 3e-6), (60, 0.9), (40, 0.5), (150, 0.2), (2000, 0.7), (2048, 0.4), (10**5, 0.02)],
)
def test_binomial_counts_have_the_exact_law(n: int, p: float, assert_law: AssertLaw) -> None:
    """Both methods, both sides of 1/2, log-factorials from the table and saddle points."""
    state = stream(2)
    drawn = np.array([binomial.binomial(state, n, p) for _ in range(20_000)])
    low, high = drawn.min(), drawn.max()
    law = stats.binom.pmf(np.arange(low, high + 1), n, p)
    outside = np.array([stats.binom.cdf(low - 1, n, p), stats.binom.sf(high, n, p)])
    assert_law([0, *np.bincount(drawn - low), 0], [outside[0], *law, outside[1]])


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


@pytest.mark.parametrize(("n", "p"), list(product([21, 40, 200, 10**4, 10**7], [0.5, 0.3, 0.05])))
def test_rejection_is_sound(n: int, p: float) -> None:
    """The hat lies above the law for every U, and what is accepted at once lies below it."""
    if n * p < binomial.INVERSION_MEAN:
        pytest.skip("drawn by inversion")
    spread = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a, alpha = -0.0873 + 0.0248 * b + 0.01 * p, (2.83 + 5.1 / b) * spread
    u = np.linspace(-0.5, 0.5, 200_001)[1:-1]
    edge = 0.5 - np.abs(u)
    k = np.floor((2 * a / edge + b) * u + n * p + 0.5)
    ratio = stats.binom.pmf(k, n, p) / stats.binom.pmf(math.floor((n + 1) * p), n, p) * (a / edge**2 + b) / alpha
    assert ratio.max() <= 1 + 1e-9
    assert ratio[edge >= 0.07].min() >= 0.92 - 4.2 / b


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
    log_size, shift, width, at_once = loops.block_sizes(n_outcomes)
    size = 1 << log_size
    assert size * at_once < 1 << width
    tables = loops.blocks_of(laws)
    assert tables.shape[1] == 1 << (64 - shift)
    ways = enumerate_histograms(size, n_outcomes)
    packed = [sum(count << width * j for j, count in enumerate(way)) for way in ways.tolist()]
    for law, table in zip(laws, tables.tolist(), strict=True):
        chances: dict[int, float] = {}
        for cut, way, alias, _ in table:
            chances[way] = chances.get(way, 0) + cut / 2**53 / len(table)
            chances[alias] = chances.get(alias, 0) + (1 - cut / 2**53) / len(table)
        exact = stats.multinomial.pmf(ways, size, law)
        # Each slot's chances are rounded to 2^-53 and carried along while others give to it.
        np.testing.assert_allclose([chances.get(way, 0) for way in packed], exact, rtol=0, atol=1e-12)
        assert not any(
            chances[way] for way, chance in zip(packed, exact, strict=True) if way in chances and chance == 0
        )


def test_too_many_outcomes_have_no_tables_of_blocks() -> None:
    assert len(loops.blocks_of(np.full((2, 10), 0.1))) == 0
    assert loops.block_sizes(10)[0] == loops.block_sizes(1)[0] == 0


@pytest.mark.parametrize("n", [1, 7, 8, 40, BLOCKWISE, BLOCKWISE + 1])
def test_crowds_of_every_size_move_by_the_law_of_their_agents(
    n: int, random_game: Callable[..., TabularGame], assert_law: AssertLaw
) -> None:
    """Actions and moves of agents of one state: each next count is binomial with the mixture's chance."""
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
    rewards, out = game.local_reward.flatten(), (moved, paid, sums)
    assert loops.step_agents(key, states, s_g, actions, tables, rewards, (4, 2, 3), out) == -1
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


def test_choices_of_another_shape_are_refused(random_game: Callable[..., TabularGame]) -> None:
    simulator = LumpedSimulator(random_game(1), 3, n_populations=2)
    simulator.reset(Streams.from_seed(0))
    message = r"choices must have shape \[n_populations, s_l, a_l\] = \[2, 2, 2\]; got \[2, 2, 3\]"
    with pytest.raises(ValueError, match=message):
        simulator.step_choices(np.zeros(2, dtype=np.int64), np.ones((2, 2, 3)))


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
    for kept, copy in held:
        np.testing.assert_array_equal(kept, copy)


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
        "used = [loops.pick_rows, loops.step_agents, loops.step_crowds, loops.spread_cells, loops.sample_crowds]\n"
        "print([sum(loop.stats.cache_hits.values()) for loop in used], [loop.stats.cache_misses for loop in used])\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{[1] * 5} {[{}] * 5}".replace("{}", "Counter()")
