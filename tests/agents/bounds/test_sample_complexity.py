"""Totals of samples and table sizes, evaluated with integers."""

import math
from itertools import product

import pytest

from kofn.agents.bounds import (
    GameSizes,
    comparison,
    global_response_samples,
    iterations_for,
    local_response_episodes,
    logarithmic_k,
    samples_for,
)
from kofn.agents.bounds.local_response import chain_size


def test_g_learn_draws_by_hand(sizes: GameSizes) -> None:
    """T m* N with T = ceil(2 ln(8 sqrt 2)) = 5, N = 60 or 96."""
    m = samples_for(2, 2, 3, 4, 4.0, 0.5, 0.1)
    assert iterations_for(2, 4.0, 0.5) == 5
    assert global_response_samples(2, sizes, delta=0.1).value == pytest.approx(5 * m * 60)
    assert global_response_samples(2, sizes, delta=0.1, resample=False).value == pytest.approx(m * 60)
    m = samples_for(2, 2, 3, 4, 4.0, 0.5, None, "standard")
    assert global_response_samples(2, sizes, regime="standard").value == pytest.approx(5 * m * 96)


def brute_tables(n: int, k: int) -> dict[str, int]:
    """Table sizes for |S_g|, |A_g|, |S_l|, |A_l| = 2, 3, 2, 2, by enumeration."""
    pairs = list(product(range(2), range(2)))

    def histograms(agents: int, cells: int) -> int:
        return len({tuple(sorted(states)) for states in product(range(cells), repeat=agents)})

    return {
        "joint Q-learning": 6 * len(pairs) ** n,
        "mean-field Q-learning": 6 * histograms(n, 4),
        "SUBSAMPLE-MFQ": 6 * len(pairs) * histograms(k - 1, 4),
    }


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 1), (4, 3), (5, 5)])
def test_tables_of_the_comparison(n: int, k: int) -> None:
    sizes = GameSizes(
        n_global_states=2,
        n_global_actions=3,
        n_local_states=2,
        n_local_actions=2,
        global_reward_bound=1.0,
        local_reward_bound=1.0,
        discount=0.5,
    )
    rows = {row.name: row for row in comparison(n, k, sizes, delta=0.1)}
    sweeps = iterations_for(k, 2.0, 0.5)
    for name, entries in brute_tables(n, k).items():
        assert rows[name].table.value == pytest.approx(entries)
        per_entry = math.ceil(k * 4**2 / 2 * math.log(2 * entries / 0.1))  # gamma r~/(1-gamma)^2 = 4
        assert rows[name].samples.value == pytest.approx(sweeps * per_entry * entries)


def test_alternating_row_is_both_of_its_steps(sizes: GameSizes) -> None:
    """k = 1: one histogram per state, the replica chain of one agent with 8 states."""
    row = comparison(10, 1, sizes, delta=0.1)[-1]
    assert row.name.startswith("ALTERNATING-MARL")
    assert row.table.value == pytest.approx(6 * 4 + 8 * 5)
    horizon = chain_size("replicas", 1, sizes).horizon(1, sizes)
    drawn = global_response_samples(1, sizes, delta=0.1).value
    played = local_response_episodes(1, sizes, delta=0.1, kind="replicas").value * horizon
    assert row.samples.value == pytest.approx(drawn + played)


def test_only_the_first_two_depend_on_n(sizes: GameSizes) -> None:
    few, many = comparison(100, 5, sizes), comparison(10_000, 5, sizes)
    assert [a.table.log < b.table.log for a, b in zip(few, many, strict=True)] == [True, True, False, False]
    assert many[0].table.log == pytest.approx(100 * few[0].table.log, rel=0.01)


def test_logarithmic_k_makes_tables_polylogarithmic(sizes: GameSizes) -> None:
    """Squaring n doubles k = ln n; the alternating table grows by a power of 2, the mean-field one by a power of n."""
    assert [logarithmic_k(n) for n in (1, 2, 1000, 10**6)] == [1, 1, 7, 14]
    assert logarithmic_k(10, multiple=100.0) == 10
    assert logarithmic_k(1000, multiple=2.0) == 14
    rows = [comparison(n, logarithmic_k(n), sizes) for n in (10**6, 10**12)]
    growth = [second.table.log - first.table.log for first, second in zip(*rows, strict=True)]
    assert growth[3] < 8 * math.log(2)  # chain histograms: at most k^(2|S_l|-1)
    assert growth[1] > 18 * math.log(10**6)


def test_nothing_overflows() -> None:
    large = GameSizes(
        n_global_states=5,
        n_global_actions=5,
        n_local_states=100,
        n_local_actions=10,
        global_reward_bound=1.0,
        local_reward_bound=1.0,
        discount=0.95,
    )
    rows = comparison(10**12, 10**6, large)
    assert rows[0].table.log == pytest.approx(math.log(25) + 10**12 * math.log(1000))
    assert all(math.isfinite(row.table.log) and math.isfinite(row.samples.log) for row in rows)


def test_rejected(sizes: GameSizes) -> None:
    with pytest.raises(ValueError, match="k must be between 1 and 3; got 4"):
        comparison(3, 4, sizes)
    with pytest.raises(ValueError, match="multiple must be positive and finite; got 0"):
        logarithmic_k(10, multiple=0)
    with pytest.raises(ValueError, match="n_agents must be at least 1; got 0"):
        logarithmic_k(0)
