"""SubsampleObservation: who is seen, with what law, and samplers of the user's own.

Laws are tested by Pearson's chi-square on fixed seeds, at level 1e-4 each.
"""

import re
from itertools import product
from math import comb, prod
from typing import Any

import numpy as np
import pytest
from limited_play import frozen_game, limited
from scipy.stats import chi2, chisquare

from kofn.envs import PopulationEnv, TabularGame
from kofn.wrappers import DistanceWeighted, SubsampleObservation, Uniform
from kofn.wrappers.samplers import ring_distances

LEVEL = 1e-4


def samples(n_agents: int, k: int, n_samples: int, seed: int = 0) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """(environment, sampled agents, observed counts) of many steps in which nobody moves."""
    env = limited(frozen_game(), k, n_agents, obs_mode="multidiscrete", max_cycles=10**9)
    observations, infos = env.reset(seed=seed)
    actions = dict.fromkeys(env.possible_agents, 0)
    drawn, counts = [], []
    for _ in range(n_samples):
        drawn.append(infos["global_0"]["sampled_agents"])
        counts.append(observations["global_0"][1:])
        observations, _, _, _, infos = env.step(actions)
    return env, drawn, counts


def test_sampled_agents_are_distinct_and_uniform() -> None:
    n, k, n_samples = 8, 3, 3000
    _, drawn, _ = samples(n, k, n_samples)
    assert all(len(set(one.tolist())) == k for one in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=n)
    expected = n_samples * k / n
    # Without replacement, the counts' covariance is (n-k)/(n-1) times the multinomial's.
    statistic = ((counts - expected) ** 2 / expected).sum() * (n - 1) / (n - k)
    assert chi2.sf(statistic, n - 1) > LEVEL


def test_every_order_is_equally_likely() -> None:
    _, drawn, _ = samples(4, 2, 3000, seed=1)
    counts = [sum(tuple(one.tolist()) == pair for one in drawn) for pair in product(range(4), repeat=2)]
    pairs = np.array(counts).reshape(4, 4)
    assert pairs.diagonal().sum() == 0
    assert chisquare(pairs[~np.eye(4, dtype=bool)]).pvalue > LEVEL


def test_samples_are_drawn_afresh_each_step() -> None:
    n, k = 8, 3
    _, drawn, _ = samples(n, k, 3000, seed=2)
    pairs = zip(drawn[::2], drawn[1::2], strict=True)  # disjoint pairs of neighbours are independent
    shared = np.bincount([len(set(one.tolist()) & set(other.tolist())) for one, other in pairs], minlength=k + 1)
    law = np.array([comb(k, j) * comb(n - k, k - j) / comb(n, k) for j in range(k + 1)])
    assert chisquare(shared, law * shared.sum()).pvalue > LEVEL


@pytest.mark.parametrize("k", [2, 5])
def test_histogram_has_the_hypergeometric_law(k: int) -> None:
    env, _, observed = samples(10, k, 4000, seed=3)
    totals = np.bincount(env.state()[1:], minlength=3).tolist()
    assert min(totals) >= 2, "a population that can show the law"
    contents = [c for c in product(range(k + 1), repeat=3) if sum(c) == k]
    law = np.array([prod(map(comb, totals, c)) / comb(10, k) for c in contents])
    counts = np.array([sum(tuple(one.tolist()) == c for one in observed) for c in contents])
    assert law.sum() == pytest.approx(1)
    assert counts[law == 0].sum() == 0
    assert chisquare(counts[law > 0], law[law > 0] * len(observed)).pvalue > LEVEL


def test_a_seed_given_before_the_wrapper_is_the_samples_too(game: TabularGame) -> None:
    found = []
    for _ in range(2):
        env = PopulationEnv(game, 50, global_view="none")
        env.reset(seed=3)
        limited = SubsampleObservation(env, 3)
        found.append([limited.reset()[1]["global_0"]["sampled_agents"].tolist() for _ in range(4)])
    assert found[0] == found[1]


def test_sampling_goes_on_without_a_seed_and_restarts_with_one(game: TabularGame) -> None:
    env = limited(game, 4)
    drawn = [env.reset(seed=seed)[1]["global_0"]["sampled_agents"].tolist() for seed in (5, None, None, 5, None)]
    assert drawn[:2] == drawn[3:]
    assert len({tuple(one) for one in drawn[:3]}) == 3


def test_samplers_choose_who_is_seen(warehouse3: TabularGame) -> None:
    near = DistanceWeighted(ring_distances(3), scale=1e-3)
    env = SubsampleObservation(PopulationEnv(warehouse3, 40), 4, sampler=near)
    env.reset(seed=0)
    simulator = env.population.simulator
    for _ in range(10):
        _, _, _, _, infos = env.step(dict.fromkeys(env.agents, 0))
        seen = infos["global_0"]["sampled_agents"]
        here = simulator.local_states[0] == simulator.global_states[0]
        assert here[seen].sum() == min(4, here.sum())


def test_a_sampler_of_the_users_own(warehouse3: TabularGame) -> None:
    calls = []

    def last(rng: np.random.Generator, local_states: Any, global_state: Any, k: int) -> Any:
        calls.append((len(local_states), int(global_state), k))
        return np.arange(len(local_states) - k, len(local_states))

    env = SubsampleObservation(PopulationEnv(warehouse3, 7), 2, sampler=last)
    _, infos = env.reset(seed=0)
    assert infos["global_0"]["sampled_agents"].tolist() == [5, 6]
    assert calls == [(7, int(env.population.simulator.global_states[0]), 2)]
    env = SubsampleObservation(PopulationEnv(warehouse3, 7), 2, sampler=lambda *_: np.array([0, 9]))
    with pytest.raises(ValueError, match=re.escape("a sampler must return agents in [0, 7); entry [1] is 9")):
        env.reset(seed=0)


def test_uniform_is_the_default(warehouse3: TabularGame) -> None:
    samples = [
        SubsampleObservation(PopulationEnv(warehouse3, 9), 3, **options).reset(seed=4)[1]["global_0"]["sampled_agents"]
        for options in ({}, {"sampler": "uniform"}, {"sampler": Uniform()})
    ]
    np.testing.assert_array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], samples[2])
    with pytest.raises(ValueError, match="sampler must be a function or one of 'uniform'; got 'nearest'"):
        SubsampleObservation(PopulationEnv(warehouse3, 9), 3, sampler="nearest")
