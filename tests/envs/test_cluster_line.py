"""Cluster line: rewards and moves against their formulas, starts, reference figures, the value of information."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pettingzoo
import pytest
from episodes import has_registry
from scipy import stats

from kofn.envs import Streams
from kofn.envs.cluster_line import DEFAULTS, game, parallel_env
from kofn.envs.continuous_simulator import ContinuousSimulator

LEVEL = 1e-4
TAU = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])
DELTA = np.array([0.0, 0.05, -0.05])
EDGES = np.linspace(-2, 2, 6)

Dispatcher = Callable[[Any, Any, Any], Any]
"""(shares per bin [B, 5], the last targets [B] or None, s_g [B]) -> targets [B]."""


def started(n_agents: int, n_populations: int, seed: int = 0) -> ContinuousSimulator:
    simulator = ContinuousSimulator(game(), n_agents, n_populations=n_populations)
    simulator.reset(Streams.from_seed(seed))
    return simulator


# The formulas.


def test_rewards_are_the_formulas_with_the_old_global_state() -> None:
    simulator = started(40, 30)
    s_g, s_l = simulator.global_states.astype(float), simulator.local_states.astype(float)
    a_g, a_l = np.arange(30) % 5, np.arange(1200).reshape(30, 40) % 3
    payment = simulator.step(a_g, a_l)
    r_g = 5 * np.exp(-((s_g - TAU[a_g]) ** 2) / (2 * 0.30**2))
    r_l = 10 * np.exp(-((s_l - s_g[:, None]) ** 2) / (2 * 0.20**2)) - 5 * np.abs(DELTA[a_l])
    np.testing.assert_allclose(payment.global_reward, r_g, atol=1e-5)
    np.testing.assert_allclose(simulator.local_rewards, r_l, atol=2e-5)
    np.testing.assert_allclose(payment.local_reward_mean, r_l.mean(axis=1), atol=2e-5)
    assert r_l.max() > 9
    assert r_l.min() < -0.2


def test_reward_bounds() -> None:
    assert game().reward_bound == pytest.approx(5 + 10.25)
    assert game().value_bound == pytest.approx(15.25 / 0.05)


@pytest.mark.parametrize("a_l", [0, 1, 2])
def test_robots_move_by_their_offset_and_noise(a_l: int) -> None:
    simulator = started(200_000, 1)
    old = simulator.local_states[0].astype(float)
    simulator.step(np.array([4]), np.full((1, 200_000), a_l))
    new = simulator.local_states[0].astype(float)
    inside = np.abs(old) < 1.5  # clipping lies more than ten standard deviations away
    assert inside.sum() > 10_000
    assert stats.kstest((new - old - DELTA[a_l])[inside] / 0.04, "norm").pvalue > LEVEL


def test_the_beacon_heads_for_its_target() -> None:
    n = 400_000
    simulator = started(1, n)
    old = simulator.global_states.astype(float)
    a_g = np.arange(n) % 5
    simulator.step(a_g, np.zeros((n, 1), dtype=int))
    way = TAU[a_g] - old
    noise = simulator.global_states - old - 0.6 * way
    assert stats.kstest(noise / 0.08, "norm").pvalue > LEVEL
    assert abs(noise.std() - 0.08) < 5 * 0.08 / math.sqrt(2 * n)
    assert abs(noise @ way) < 5 * 0.08 * math.sqrt(way @ way)


def test_places_are_clipped() -> None:
    simulator = started(2000, 2)
    for _ in range(40):
        simulator.step(np.array([4, 0]), np.repeat([[1], [2]], 2000, axis=1))
    share = (np.abs(simulator.local_states) == 2).mean(axis=1)
    assert (share > 0.3).all()
    assert np.abs(simulator.local_states).max() == 2


# Starts.


def test_the_beacon_starts_uniformly_between_minus_one_and_one() -> None:
    assert stats.kstest(started(2, 20_000).global_states, stats.uniform(-1, 2).cdf).pvalue > LEVEL


def test_two_clusters_in_two_random_bins(assert_law: Callable[..., None]) -> None:
    """55% of the robots around the first middle, and every ordered pair of bins equally likely."""
    n, n_populations = 100, 4000
    states = started(n, n_populations).local_states.astype(float)
    # Thirty points' distance of the middles (0.8) from each other makes 0.18 a cluster: the nearest middle is its own
    # but for 2.6%. The two most frequent nearest middles are those drawn.
    nearest = np.abs(states[:, :, None] - TAU).argmin(axis=2)
    sizes = np.stack([(nearest == b).sum(axis=1) for b in range(5)], axis=1)
    first, second = np.argsort(-sizes, axis=1, kind="stable")[:, :2].T
    pairs = np.zeros((5, 5))
    np.add.at(pairs, (first, second), 1)
    assert_law(pairs, (1 - np.eye(5)) / 20)
    around_first = states - TAU[first][:, None]
    spread = around_first[(np.abs(around_first) < 0.4) & (np.abs(TAU[first]) < 1)[:, None]]
    truncated = stats.truncnorm(-0.4 / 0.18, 0.4 / 0.18, scale=0.18)
    assert abs(spread.std() - truncated.std()) < 0.003  # robots of the neighbouring cluster stray in: some 0.5%
    stay_within = 1 - 2 * stats.norm.sf(0.4 / 0.18)
    expected = 55 * stay_within
    assert abs(sizes.max(axis=1).mean() - expected) < 1.5


@pytest.mark.parametrize(("n", "larger"), [(500, 275), (11, 6), (2, 1), (1, 0)])
def test_the_first_cluster_holds_55_percent_rounded_down(monkeypatch: pytest.MonkeyPatch, n: int, larger: int) -> None:
    monkeypatch.setattr("kofn.envs.cluster_line.CLUSTER_SPREAD", 0.0)
    states = started(n, 50).local_states
    for row in states:
        places, counts = np.unique(row, return_counts=True)
        assert sorted(counts) == sorted(size for size in (larger, n - larger) if size)
        assert set(places.tolist()) <= set(TAU.astype(np.float32).tolist())


def test_clusters_come_in_random_order() -> None:
    """The first robot is in the larger cluster 55 times in 100, as any other."""
    simulator = started(100, 4000)
    for robot in (0, 99):
        in_mode = np.digitize(simulator.local_states[:, robot], EDGES[1:-1]) == simulator.start_modes
        hits = int(in_mode.sum())
        assert 0.50 < hits / 4000 < 0.57


# The environment.


@has_registry
@pytest.mark.parametrize(("observe", "width"), [(True, 6), (False, 5)])
@pytest.mark.parametrize(("summary", "extra"), [("histogram", 0), ("states", 70)])
def test_the_global_state_may_be_left_out(observe: bool, width: int, summary: str, extra: int) -> None:
    env: Any = pettingzoo.make(
        "parallel", "kofn/cluster_line-v0", k=75, summary=summary, observe_global_state=observe, max_cycles=3
    )
    observations, infos = env.reset(seed=0)
    assert observations["global_0"].shape == (width + extra,)
    assert env.observation_space("global_0").contains(observations["global_0"])
    sampled = env.unwrapped.simulator.local_states[0, infos["global_0"]["sampled_agents"]]
    content = sampled if summary == "states" else np.histogram(sampled, EDGES)[0] / 75
    np.testing.assert_allclose(observations["global_0"][int(observe) :], content, rtol=1e-6)
    assert (observations["global_0"][0] == env.state()[0]) == observe


def test_defaults_and_true_mode() -> None:
    assert (DEFAULTS.n_agents, DEFAULTS.max_cycles, DEFAULTS.k, DEFAULTS.obs_modes) == (500, 50, 75, ("box",))
    env = parallel_env()
    for seed in range(5):
        _, infos = env.reset(seed=seed)
        assert infos["global_0"]["true_mode"] == np.histogram(env.state()[1:], EDGES)[0].argmax()


# Whole episodes, with robots that chase the beacon (dead band 0.1) or stand still.


def chase(s_g: Any, s_l: Any) -> Any:
    gap = s_g[:, None] - s_l
    return (gap > 0.1) + 2 * (gap < -0.1)


def still(_s_g: Any, s_l: Any) -> Any:
    return np.zeros(s_l.shape, dtype=np.int64)


def sampled_mode(shares: Any, _last: Any, _s_g: Any) -> Any:
    return shares.argmax(axis=1)


def hysteresis(margin: float) -> Dispatcher:
    """The mode of the first sample; another only if it leads the present target by more than the margin."""

    def dispatch(shares: Any, last: Any, _s_g: Any) -> Any:
        mode = shares.argmax(axis=1)
        if last is None:
            return mode
        lead = shares.max(axis=1) - np.take_along_axis(shares, last[:, None], axis=1)[:, 0]
        return np.where(lead > margin, mode, last)

    return dispatch


keep_the_first = hysteresis(1.0)


def blind(threshold: float) -> Dispatcher:
    """The nearest of the three inner targets, with the middle one preferred up to a threshold."""
    return lambda _shares, _last, s_g: np.where(np.abs(s_g) < threshold, 2, np.where(s_g < 0, 1, 3))


def returns(dispatch: Dispatcher, k: int, fleet: Any = chase, n_rollouts: int = 1200, n: int = 500) -> Any:
    """Discounted returns of episodes of 50 steps; starts and robots' noise are the same for every dispatcher."""
    streams = Streams.from_seed(2024)
    simulator = ContinuousSimulator(game(), n, n_populations=n_rollouts)
    simulator.reset(streams)
    total, last = np.zeros(n_rollouts), None
    for step in range(50):
        shares = game().count_bins(seen(simulator.local_states, k, streams.sampling)) / k
        last = dispatch(shares, last, simulator.global_states)
        total += 0.95**step * simulator.step(last, fleet(simulator.global_states, simulator.local_states)).team_reward
    return total


def seen(states: Any, k: int, rng: np.random.Generator) -> Any:
    """The places [B, k] of k agents of each population, drawn uniformly without replacement."""
    n_populations, n = states.shape
    if k == n:
        return states
    if k == 1:
        return states[np.arange(n_populations)[:, None], rng.integers(0, n, (n_populations, 1))]
    chosen = rng.random(states.shape, dtype=np.float32).argpartition(k, axis=1)[:, :k]
    return np.take_along_axis(states, chosen, axis=1)


REFERENCES = [
    ("sampled mode, k=1", sampled_mode, 1, chase, 128.0),
    ("sampled mode, k=75", sampled_mode, 75, chase, 164.5),
    ("hysteresis, k=75", hysteresis(0.1), 75, chase, 173.4),
    ("full information", sampled_mode, 500, chase, 177.0),
    ("robots that stand still", sampled_mode, 500, still, 141.0),
]
"""Figures of an independent program, each a mean of some hundred episodes."""


@pytest.mark.parametrize(
    ("dispatch", "k", "fleet", "figure"), [r[1:] for r in REFERENCES], ids=[r[0] for r in REFERENCES]
)
def test_reference_figures(dispatch: Dispatcher, k: int, fleet: Any, figure: float) -> None:
    """Within four standard errors of the difference of two means, of ours and of 300 episodes."""
    found = returns(dispatch, k, fleet)
    assert abs(found.mean() - figure) < 4 * found.std() * math.sqrt(1 / len(found) + 1 / 300), found.mean()


def test_looking_pays() -> None:
    """Best blind < one robot < 75 robots < all robots, each the best of its class; same starts, same noise."""
    blind_best = max((returns(blind(t), 1) for t in (0.0, 0.4, 0.5, 0.6, 3.0)), key=np.mean)
    one, many, everybody = (returns(keep_the_first, k) for k in (1, 75, 500))
    for worse, better in ((blind_best, one), (one, many), (many, everybody)):
        gain = better - worse
        assert gain.mean() > 3 * gain.std() / math.sqrt(len(gain)), (worse.mean(), better.mean())
