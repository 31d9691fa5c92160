"""The compiled loops of crowds: multinomial spreading by every way and by tables of blocks, and their streams."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from kofn.envs import LumpedSimulator, Streams, TabularGame, loops
from kofn.envs.block_tables import block_sizes
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.population import conditional_probabilities, sample_multinomial, sample_without_replacement
from kofn.envs.spreading import BLOCKWISE, EACH, FEW

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]


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
    log_size, width, at_once = block_sizes(n_outcomes)
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
    assert block_sizes(10)[0] == block_sizes(1)[0] == 0


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
