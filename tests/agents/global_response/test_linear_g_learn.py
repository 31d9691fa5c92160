"""Linear G-LEARN: exact G-LEARN where features are complete, a closed form on a line, a game too large for tables."""

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import numpy as np
import pytest

from kofn.agents import evaluate, g_learn, linear_g_learn
from kofn.agents.global_response.features import IndicatorFeatures, ProductFeatures
from kofn.agents.global_response.linear_data import Explorer
from kofn.agents.global_response.linear_g_learn import value_range
from kofn.agents.global_response.linear_policy import LinearGlobalPolicy
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs import GenerativeGame, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray, IntArray
from kofn.envs.cluster_line import game as cluster_line
from kofn.envs.cluster_line_conventions import Chase
from kofn.envs.continuous import ContinuousGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.streams import Streams, child, seed_sequence
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]


def q_table(policy: LinearGlobalPolicy, game: TabularGame) -> FloatArray:
    """Fitted Q at every state, float [s_g, histogram, a_g]."""
    histograms = enumerate_histograms(policy.k, game.n_local_states)
    rows = [policy.q_values(np.full(len(histograms), s_g), histograms) for s_g in range(game.n_global_states)]
    return np.stack(rows)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("complete", ["indicators", "polynomials"])
def test_complete_features_at_all_states_are_exact_g_learn(
    random_game: Games, random_local: LocalPolicies, seed: int, complete: str
) -> None:
    """The same Q and the same greedy policy; monomials of degree k span every function of a histogram of k agents."""
    game = random_game(seed, 3, 3, discount=0.8)
    policy, k = random_local(game, seed), 3
    exact = g_learn(game, policy, k=k, operator="exact", tolerance=1e-11)
    features: Any = IndicatorFeatures.of(game, k) if complete == "indicators" else ProductFeatures.of(game, degree=k)
    result = linear_g_learn(game, policy, features=features, k=k, states="all", ridge=0.0, tolerance=1e-11)
    assert (result.converged, result.contracts) == (True, True)
    assert result.expansion == pytest.approx(1, abs=1e-9)
    assert (result.n_states, result.n_samples) == (3 * 10, 0)
    found = q_table(result.policy, game)
    assert np.abs(found - exact.q_values).max() <= result.certificate + 1e-9
    histograms = enumerate_histograms(k, 3)
    chosen = [result.policy.act(np.full(len(histograms), s_g), histograms) for s_g in range(3)]
    assert (np.stack(chosen) == exact.policy.table).all()


def test_an_oracle_at_all_states_is_sampled_g_learn(random_game: Games, random_local: LocalPolicies) -> None:
    """Within Lemma 4.3's noise at level 1e-3 of G-LEARN's."""
    game = random_game(1, 2, 3, discount=0.7)
    policy, oracle = random_local(game, 1), GenerativeGame.from_tables(game)
    exact = g_learn(game, policy, k=2, operator="exact")
    noise = g_learn(oracle, policy, k=2, n_samples=500, delta=1e-3, seed=0).theory.bellman_noise
    features = IndicatorFeatures.of(game, 2)
    result = linear_g_learn(oracle, policy, features=features, k=2, states="all", n_samples=500, ridge=0.0, seed=3)
    assert result.n_samples == 500
    assert 0 < np.abs(q_table(result.policy, game) - exact.q_values).max() <= noise + result.certificate


def test_states_met_give_the_same_within_sampling_error(random_game: Games, random_local: LocalPolicies) -> None:
    """Every state is met n_i times with m draws per action; Hoeffding for the least met, 1/(1-gamma) for the rest."""
    game, m, k, delta = random_game(5, discount=0.6), 5, 2, 1e-6
    policy, features = random_local(game, 5), IndicatorFeatures.of(random_game(5), 2)
    exact = g_learn(game, policy, k=k, operator="exact").q_values
    options: dict[str, Any] = {"features": features, "k": k, "seed": 2, "ridge": 0.0, "horizon": 20}
    result = linear_g_learn(game, policy, n_states=1000, n_samples=m, n_rounds=1, **options)
    explorer = Explorer(game=game, local_policy=policy, features=features, k=k, n_agents=k, horizon=20, n_draws=m)
    met = explorer.sample(1000, None, Streams.from_seed(child(seed_sequence(2), 0))).design.sum(axis=0)
    spread = 1 + game.discount * float(np.ptp(exact.max(axis=2)))  # r_l takes values in [0, 1]
    radius = spread * sqrt(log(2 * exact.size / delta) / (2 * m * met.min()))
    error = float(np.abs(q_table(result.policy, game) - exact).max())
    assert met.min() > 20
    assert result.contracts  # averages: kappa = 1
    assert 0 < error <= radius / (1 - game.discount) + result.certificate
    assert error < 0.25
    assert (
        result.policy.weights
        == linear_g_learn(game, policy, n_states=1000, n_samples=m, n_rounds=1, **options).policy.weights
    ).all()


def ramp() -> ContinuousGame:
    """s_g goes to 1/4 or 3/4 as asked and pays its place; agents stand and pay their own."""
    return ContinuousGame(
        n_global_actions=2,
        n_local_actions=1,
        discount=0.8,
        global_bounds=(0.0, 1.0),
        bin_edges=(0.0, 0.5, 1.0),
        sample_global=lambda _rng, _s_g, a_g: 0.25 + 0.5 * a_g,
        sample_local=lambda _rng, s_l, _s_g, _a_l: s_l,
        pay_global=lambda _rng, s_g, _a_g: s_g,
        pay_local=lambda _rng, s_l, _s_g, _a_l: s_l,
        global_reward_bounds=(0.0, 1.0),
        local_reward_bounds=(0.0, 1.0),
        start_global=lambda rng, n: rng.random(n),
        start_local=lambda rng, n, agents: rng.random((n, agents)),
    )


class Stand:
    """Agents have one action."""

    def act(self, local_states: Any, global_states: Any, rng: Any = None) -> IntArray:  # noqa: ARG002  # the interface's
        return np.zeros(np.shape(local_states), dtype=np.int64)


def test_closed_form_on_a_line() -> None:
    """Q = s_g + 5 mean s_i + 0.8 s_g'(a) + 5 0.64 3/4: linear in the features of agents seen one by one."""
    game = ramp()
    features = ProductFeatures.of(game, degree=1, n_knots=4, summary="states")
    result = linear_g_learn(
        game, Stand(), features=features, k=3, n_states=300, n_samples=1, n_rounds=2, ridge=0.0, tolerance=1e-9, seed=1
    )
    assert result.converged
    rng = np.random.default_rng(0)
    s_g, seen = rng.random(50), rng.random((50, 3))
    wanted = (s_g + 5 * seen.mean(axis=1))[:, None] + 0.8 * np.array([0.25, 0.75]) + 5 * 0.64 * 0.75
    assert result.policy.q_values(s_g, seen) == pytest.approx(wanted, abs=1e-4)  # states are in single precision
    assert result.residual < 1e-4
    assert (result.policy.act(s_g, seen) == 1).all()
    played = evaluate_line(game, result.policy, Stand(), 7, horizon=30, n_rollouts=500, seed=2)
    mean = 0.5 + 0.8 * 0.75 * (1 - 0.8**29) / 0.2 + 0.5 * (1 - 0.8**30) / 0.2
    assert abs(played.mean - mean) < 4.5 * played.standard_error


@pytest.fixture(scope="module")
def beacon() -> Any:
    """k = 10, on cluster_line with robots that chase the beacon."""
    game = cluster_line()
    features = ProductFeatures.of(game, degree=1, n_knots=9)
    return linear_g_learn(game, Chase(), features=features, k=10, n_states=300, n_samples=2, seed=1)


def test_cluster_line_beats_following_every_sample(beacon: Any) -> None:
    """Against the mode of the same samples, by more than 4.5 standard errors of the paired difference."""

    class Mode:
        k = 10

        def act(self, _global_states: Any, seen: Any, _rng: Any = None) -> IntArray:
            return np.asarray(seen.argmax(axis=1))

    returns = [
        evaluate_line(cluster_line(), dispatcher, Chase(), 100, horizon=50, n_rollouts=100, seed=3).returns
        for dispatcher in (beacon.policy, Mode())
    ]
    gain = returns[0] - returns[1]
    assert gain.mean() > 4.5 * gain.std() / sqrt(len(gain))


def test_what_is_reported(beacon: Any) -> None:
    assert beacon.contracts == (0.95 * beacon.expansion < 1)
    assert beacon.converged == (beacon.last_change <= 1e-5 * np.ptp(value_range(cluster_line())))
    assert beacon.n_states == 2 * 300
    assert 0 <= beacon.clipped <= 1
    assert beacon.residual > 0
    text = beacon.summary()
    assert "linear G-LEARN, k = 10: 45 features at 600 states" in text
    assert "no contraction" in text


def test_a_game_too_large_for_tables() -> None:
    """100 robots in view on 5 zones: 4.6 million histograms. Played by `evaluate`, against the best constant."""
    game, k = warehouse(), 100
    fleet = LocalPolicy.named("stay", game)
    with pytest.raises(ValueError, match="k=100 needs a table of"):
        g_learn(game, fleet, k=k)
    result = linear_g_learn(
        game, fleet, features=ProductFeatures.of(game), k=k, n_states=250, n_samples=2, horizon=25, seed=0
    )
    played = evaluate(game, result.policy, fleet, 1000, horizon=60, n_rollouts=200, seed=1)
    constants = [
        evaluate(game, GlobalPolicy.constant(game, 1, a), fleet, 1000, horizon=60, n_rollouts=200, seed=1)
        for a in range(game.n_global_actions)
    ]
    best = max(constants, key=lambda outcome: outcome.mean)
    gain = played.returns - best.returns
    assert gain.mean() > 4.5 * gain.std() / sqrt(len(gain))
    assert played.k == k


def test_a_population_of_which_k_are_seen(random_game: Games, random_local: LocalPolicies) -> None:
    """With N > k rewards are those of N agents, and what is seen varies although the agents do not."""
    game = random_game(3, discount=0.5)
    policy, features = random_local(game, 3), IndicatorFeatures.of(random_game(3), 1)
    result = linear_g_learn(game, policy, features=features, k=1, n_agents=4, n_states=400, n_rounds=1, seed=0)
    alone = linear_g_learn(game, policy, features=features, k=1, n_states=400, n_rounds=1, seed=0)
    spread = [np.abs(np.diff(q_table(found.policy, game), axis=1)).mean() for found in (result, alone)]
    assert spread[0] < 0.8 * spread[1]  # one of four says less about the team


POLICY = LinearGlobalPolicy(features=IndicatorFeatures(2, 2, 2), weights=np.zeros((6, 3)), k=2)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"states": "some"}, ValueError, "states must be one of 'all', 'met'; got 'some'"),
        ({"states": "all", "n_agents": 5}, ValueError, "n_agents needs states='met'; got n_agents=5"),
        ({"n_agents": 1}, ValueError, "n_agents must be at least k=2, the agents seen; got 1"),
        ({"n_states": 0}, ValueError, "n_states must be at least 1; got 0"),
        ({"ridge": -1.0}, ValueError, "ridge must be positive and finite"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be positive and finite"),
        ({"n_states": 10**8}, ValueError, r"states with 4 draws per action and 6 features take \d+ numbers, more than"),
        ({"game": ramp(), "states": "all"}, TypeError, "states='all' needs a game with finitely many states"),
        (
            {"game": "warehouse"},
            TypeError,
            "game must be a TabularGame or a GenerativeGame or a ContinuousGame; got 'warehouse'",
        ),
    ],
)
def test_refusals(random_game: Games, options: dict[str, Any], error: type[Exception], match: str) -> None:
    game = random_game(0)
    arguments = {"game": game, "features": IndicatorFeatures.of(game, 2), "k": 2, **options}
    with pytest.raises(error, match=match):
        linear_g_learn(arguments.pop("game"), LocalPolicy.named("uniform", game), **arguments)


def test_features_of_states_need_states_met(random_game: Games) -> None:
    game = random_game(0)
    features = ProductFeatures.of(game, summary="states")
    with pytest.raises(ValueError, match="states='all' needs features of histograms; these see agents as 'states'"):
        linear_g_learn(game, LocalPolicy.named("uniform", game), features=features, k=2, states="all")


def test_policy_checks(random_game: Games) -> None:
    with pytest.raises(ValueError, match="weights must have shape"):
        LinearGlobalPolicy(features=IndicatorFeatures(2, 2, 2), weights=np.zeros((5, 3)), k=2)
    with pytest.raises(ValueError, match=r"must have the game's \|A_g\| = 2; it has 3"):
        POLICY.check_fits(random_game(0))
    with pytest.raises(ValueError, match="n_agents must be at least k=2, the agents the policy sees; got 1"):
        POLICY.check_fits(random_game(0, n_global_actions=3), 1)
    assert POLICY.act(np.array([0]), np.array([[1, 1]])).tolist() == [0]  # the lowest on ties
