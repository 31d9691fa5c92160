"""Dispatchers that round what they see: the rounding, and responses at sizes that no table holds."""

import numpy as np
import pytest

from kofn.agents import CoarseGlobalPolicy, evaluate
from kofn.agents.global_response.observation_aware.coarse_policy import coarse_histograms
from kofn.agents.global_response.observation_aware.learner import observation_aware
from kofn.agents.global_response.observation_aware.simulation import CrowdGame
from kofn.agents.starts import chase
from kofn.envs import GlobalPolicy, TabularGame
from kofn.envs.histograms import enumerate_histograms, rank_histograms


@pytest.mark.parametrize(("k", "resolution"), [(7, 3), (9, 9), (10, 4), (6, 1)])
def test_rounded_histograms_count_the_resolution_and_shares_are_near(k: int, resolution: int) -> None:
    """Tails are off by at most 1/2, so counts by at most 1."""
    seen = enumerate_histograms(k, 4)
    coarse = coarse_histograms(seen, k, resolution)
    assert (coarse >= 0).all()
    assert (coarse.sum(axis=1) == resolution).all()
    assert np.abs(coarse / resolution - seen / k).max() <= 1 / resolution + 1e-12
    assert k != resolution or np.array_equal(coarse, seen)


def test_a_coarse_policy_acts_as_its_table_does(warehouse3: TabularGame) -> None:
    rng = np.random.default_rng(0)
    coarse = GlobalPolicy(table=rng.integers(0, 3, (3, 10)), k=3, n_local_states=3, n_actions=3)
    policy = CoarseGlobalPolicy(coarse=coarse, k=8)
    seen, states = enumerate_histograms(8, 3), rng.integers(0, 3, 45)
    assert np.array_equal(policy.act(states, seen), policy.as_table().act(states, seen))
    policy.check_fits(warehouse3, 8)
    with pytest.raises(ValueError, match="observes k=8 agents, more than n_agents=7"):
        policy.check_fits(warehouse3, 7)
    with pytest.raises(ValueError, match="histograms must count the k=8 agents seen over 3 local states"):
        policy.act(np.zeros(1, dtype=np.int64), np.array([[1, 2, 3]]))
    with pytest.raises(ValueError, match="k must be at least 3"):
        CoarseGlobalPolicy(coarse=coarse, k=2)


@pytest.mark.parametrize("n_agents", [20, 10**6])
def test_rollouts_play_what_the_policy_plays(warehouse3: TabularGame, n_agents: int) -> None:
    """A coarse table and the table that it stands for, on the same streams; the simulator within 4.5 errors."""
    rng = np.random.default_rng(1)
    coarse = GlobalPolicy(table=rng.integers(0, 3, (3, 10)), k=3, n_local_states=3, n_actions=3)
    fleet, policy = chase(warehouse3), CoarseGlobalPolicy(coarse=coarse, k=8)
    sizes = {"game": warehouse3, "local_policy": fleet, "n_agents": n_agents, "k": 8}
    rough = CrowdGame(**sizes, seed=np.random.SeedSequence(3), resolution=3)
    fine = CrowdGame(**sizes, seed=np.random.SeedSequence(3))
    found, _ = rough.returns(coarse.table, rough.starts(2000, 0))
    wanted, _ = fine.returns(policy.as_table().table, fine.starts(2000, 0))
    assert np.array_equal(found, wanted)
    played = evaluate(warehouse3, policy, fleet, n_agents, horizon=rough.horizon, n_rollouts=2000, seed=5)
    error = np.hypot(found.std() / np.sqrt(len(found)), played.standard_error)
    assert found.mean() == pytest.approx(played.mean, abs=4.5 * error)


def test_the_gradient_from_draws_is_that_from_enumeration(warehouse3: TabularGame) -> None:
    """Summed over the histograms that are rounded alike, within the draws' error, which shrinks with the particles."""
    fleet = chase(warehouse3)
    sizes = {"game": warehouse3, "local_policy": fleet, "n_agents": 10**6, "k": 8}
    rough = CrowdGame(**sizes, seed=np.random.SeedSequence(3), resolution=3)
    fine = CrowdGame(**sizes, seed=np.random.SeedSequence(3))
    coarse = GlobalPolicy.named("keep", warehouse3, 3)
    table = CoarseGlobalPolicy(coarse=coarse, k=8).as_table().table
    cells = rank_histograms(coarse_histograms(fine.histograms, 8, 3))
    errors = []
    for n_particles in (400, 6400):
        found, _ = rough.gradient(coarse.table, n_particles, 1)
        enumerated, _ = fine.gradient(table, n_particles, 1)  # the same particles
        wanted = np.zeros_like(found)
        np.add.at(wanted, (slice(None), cells), enumerated)
        errors.append(np.abs(found - wanted).sum() / np.abs(wanted).sum())
    assert errors[1] < errors[0] / 2
    assert errors[1] < 0.05


def test_a_response_at_a_k_that_no_table_holds(warehouse3: TabularGame) -> None:
    """K = 400 of a million, 80,601 histograms: as good, within errors, as with far fewer histograms of a table."""
    fleet, options = chase(warehouse3), {"n_rollouts": 400, "n_particles": 400}
    found = observation_aware(warehouse3, fleet, n_agents=10**6, k=400, seed=0, **options)
    assert isinstance(found.policy, CoarseGlobalPolicy)
    assert found.policy.k == 400
    rough = observation_aware(warehouse3, fleet, n_agents=10**6, k=40, seed=0, resolution=10, **options)
    assert isinstance(rough.policy, GlobalPolicy)
    play = {"horizon": 100, "n_rollouts": 500, "seed": 1}
    values = [evaluate(warehouse3, one.policy, fleet, 10**6, **play).returns for one in (found, rough)]
    keep = evaluate(warehouse3, GlobalPolicy.named("keep", warehouse3, 1), fleet, 10**6, **play).returns
    assert all((value - keep).mean() > 3 * (value - keep).std() / np.sqrt(500) for value in values)


def test_a_resolution_is_for_rollouts(warehouse3: TabularGame) -> None:
    with pytest.raises(ValueError, match="resolution=2 is for method='rollouts'"):
        observation_aware(warehouse3, chase(warehouse3), n_agents=6, k=3, resolution=2)
    with pytest.raises(ValueError, match="resolution must be at least 1; got 0"):
        observation_aware(warehouse3, chase(warehouse3), n_agents=6, k=3, resolution=0)
