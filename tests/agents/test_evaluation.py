"""Monte Carlo evaluation against the oracle's exact values, and its statistics."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from scipy.stats import binom

from kofn.agents import Evaluation, evaluate, evaluation, g_learn
from kofn.agents.evaluation import standard_error
from kofn.agents.lumped_chain import LumpedChain
from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, RewardLaw, TabularGame

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

HORIZON = 60
"""At discount 0.8 and rewards up to 2 this leaves out at most 0.8^60 * 2/0.2 = 1.5e-5."""


def assert_agrees(result: Evaluation, exact: float, truncation: float = 1.6e-5) -> None:
    """Within 4.5 standard errors (chance of a false alarm: 7e-6) and what the horizon leaves out."""
    assert abs(result.mean - exact) <= 4.5 * result.standard_error + truncation


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_mean_agrees_with_individual_agents_and_all_subsets(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, k: int, deterministic: bool
) -> None:
    for seed in range(3):
        start = DirichletStart(np.array([0.3, 0.6, 0.5])[: 2 + seed % 2]) if seed else None
        game = random_game(seed, n_local=2 + seed % 2, discount=0.8, initial_local=start)
        global_policy = random_global(game, k, seed, deterministic)
        local_policy = random_local(game, seed)
        if deterministic:
            local_policy = LocalPolicy(np.eye(2)[local_policy.table.argmax(axis=2)])
        exact = brute_force.potential(game, global_policy.probabilities(), local_policy.table, 3, k)
        result = evaluate(
            game, global_policy, local_policy, 3, k=k, horizon=HORIZON, n_rollouts=8000, seed=10 * seed + k
        )
        assert_agrees(result, exact)
        assert result.standard_error < 0.02  # what makes the line above a test


def test_seeing_more_agents_makes_a_difference(random_game: Games, random_global: GlobalPolicies) -> None:
    """The same rule of action needs k agents of its own: values under k = 1 and k = 3 differ, and both are right."""
    game = random_game(7, discount=0.8)
    rewards = game.local_reward.copy()
    rewards[0, 0], rewards[1, 1] = 5.0, 5.0  # agents are paid for being where s_g is
    to_action = np.tile(np.eye(2), (2, 1, 1))
    still = np.tile((0.9 * np.eye(2) + 0.05)[:, None, None], (1, 2, 2, 1))
    game = replace(game, local_reward=rewards, global_transition=to_action, local_transition=still)
    uniform = LocalPolicy.named("uniform", game)
    values = []
    for k in (1, 3):
        majority = np.array([[int(counts[1] > counts[0]) for counts in brute_force.count_vectors(k, 2)]] * 2)
        policy = GlobalPolicy(table=majority, k=k, n_local_states=2, n_actions=2)
        result = evaluate(game, policy, uniform, 3, horizon=HORIZON, n_rollouts=4000, seed=k)
        exact = brute_force.potential(game, policy.probabilities(), uniform.table, 3, k)
        assert_agrees(result, exact, truncation=1e-4)
        values.append(exact)
    assert values[1] > values[0] + 1


def test_local_timing_is_the_one_asked_for(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    game = random_game(11, discount=0.8)
    game = replace(game, local_reward=np.array([[[1.0, 0.9], [0.0, 0.1]], [[0.0, 0.2], [1.0, 0.8]]]) * 5)
    follow = np.zeros((2, 2, 2, 2))
    follow[:, 0, :, 0], follow[:, 1, :, 1] = 0.9, 0.9
    follow[:, 0, :, 1], follow[:, 1, :, 0] = 0.1, 0.1
    game = replace(game, local_transition=follow)
    pair = random_global(game, 2, 11), random_local(game, 11)
    tables = pair[0].probabilities(), pair[1].table
    exact = {timing: brute_force.potential(game, *tables, 3, 2, timing) for timing in ("paper", "code")}
    assert abs(exact["paper"] - exact["code"]) > 1
    for timing, value in exact.items():
        result = evaluate(game, *pair, 3, horizon=HORIZON, n_rollouts=4000, seed=0, local_timing=timing)
        assert_agrees(result, value, truncation=1e-4)


def test_deterministic_game_is_evaluated_exactly() -> None:
    """s_g alternates and agents copy its old value: (s_g, x) = (0, 1), (1, 0), (0, 1), .., paid 0+3, 1+0, 0+3, .."""
    game = TabularGame(
        global_transition=np.array([[[0.0, 1.0]], [[1.0, 0.0]]]),
        local_transition=np.tile(np.eye(2)[None, :, None], (2, 1, 1, 1)),
        global_reward=np.array([[0.0], [1.0]]),
        local_reward=np.array([[[0.0], [0.0]], [[3.0], [2.0]]]),
        discount=0.5,
        initial_global=np.array([1.0, 0.0]),
        initial_local=FixedStart(np.array([0.0, 1.0])),
    )
    pair = GlobalPolicy.named("keep", game, 2), LocalPolicy.named("uniform", game)
    for horizon, value in ((1, 3.0), (2, 3.5), (3, 4.25), (4, 4.375)):
        result = evaluate(game, *pair, 5, horizon=horizon, n_rollouts=3, seed=0)
        assert result.returns.tolist() == [value] * 3
        assert (result.standard_error, result.horizon, result.n_rollouts) == (0, horizon, 3)


def test_published_figures_of_the_warehouse_with_three_zones(warehouse3: TabularGame) -> None:
    """n = 12, uniform fleet, uniform independent starts: greedy 109.64 (k=1), 114.40 (k=2), constant 114.86, full
    information 126.32; exactly on the lumped chain, and by rollouts."""
    game = replace(warehouse3, initial_local=FixedStart(np.full(3, 1 / 3)))
    uniform = LocalPolicy.named("uniform", game)
    for k, figure in ((1, 109.64), (2, 114.40)):
        greedy = g_learn(game, uniform, k=k).policy
        assert LumpedChain.exact(game, greedy, uniform, 12).potential == pytest.approx(figure, abs=0.006)
        result = evaluate(game, greedy, uniform, 12, horizon=160, n_rollouts=2000, seed=k)
        assert_agrees(result, figure, truncation=0.005 + 0.95**160 * 230)
    constant = LumpedChain.exact(game, GlobalPolicy.constant(game, 12, 0), uniform, 12)
    assert constant.potential == pytest.approx(114.86, abs=0.006)
    best = g_learn(game, uniform, k=12).q_values.max(axis=2)
    assert np.vdot(constant.start, best) == pytest.approx(126.32, abs=0.006)


def fair_bets(game: TabularGame, global_stake: float, local_stake: float) -> TabularGame:
    """The same game with every reward up or down by a stake, at even chances."""

    def law(table: np.ndarray, stake: float) -> RewardLaw:
        values = table[..., None] + stake * np.array([-1.0, 1.0])
        return RewardLaw(values, np.full(values.shape, 0.5))

    laws = law(game.global_reward, global_stake), law(game.local_reward, local_stake)
    return replace(game, global_reward_law=laws[0], local_reward_law=laws[1])


def test_stochastic_rewards_widen_the_returns_and_leave_their_mean(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies
) -> None:
    """Stakes 2 and 3 among n = 3 add variance (4 + 9/3) sum_t 0.8^2t = 7/0.36; sample variances err by sqrt(2/N)."""
    plain = random_game(12, discount=0.8)
    pair, n_rollouts = (random_global(plain, 2, 12), random_local(plain, 12)), 8000
    exact = brute_force.potential(plain, pair[0].probabilities(), pair[1].table, 3, 2)
    variances = []
    for game in (plain, fair_bets(plain, 2, 3)):
        result = evaluate(game, *pair, 3, horizon=HORIZON, n_rollouts=n_rollouts, seed=5)
        assert abs(result.mean - exact) <= 4 * result.standard_error + 1.6e-5
        variances.append(result.returns.var())
    assert abs(variances[1] - variances[0] - 7 / 0.36) <= 5 * np.sqrt(2 / n_rollouts) * variances[1]


Pair = tuple[TabularGame, GlobalPolicy, LocalPolicy]


@pytest.fixture
def pair(random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies) -> Pair:
    """(game, pi_g of k = 2, pi_l)."""
    game = random_game(20, discount=0.8)
    return game, random_global(game, 2, 20), random_local(game, 20)


def test_batches_change_the_draws_but_not_the_law(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    game, global_policy, local_policy = pair
    exact = brute_force.potential(game, global_policy.probabilities(), local_policy.table, 3, 2)
    options: dict[str, Any] = {"horizon": HORIZON, "n_rollouts": 3000, "seed": 4}
    whole = evaluate(*pair, 3, **options)
    monkeypatch.setattr(evaluation, "BATCH", 700)
    parts = evaluate(*pair, 3, **options)
    assert len(parts.returns) == len(whole.returns) == 3000
    assert len(np.unique(parts.returns)) > 2900  # no batch repeats another
    for result in (whole, parts):
        assert_agrees(result, exact)
    difference = np.hypot(whole.standard_error, parts.standard_error)
    assert abs(whole.returns.std() / parts.returns.std() - 1) < 4.5 / np.sqrt(3000)
    assert abs(whole.mean - parts.mean) <= 4.5 * difference


def test_same_seed_same_returns(pair: Pair) -> None:
    def returns(seed: Any) -> list[float]:
        return evaluate(*pair, 5, horizon=10, n_rollouts=20, seed=seed).returns.tolist()

    assert returns(1) == returns(1)
    assert returns(1) == returns(np.random.SeedSequence(1))
    assert returns(1) != returns(2)
    assert returns(None) != returns(None)


def test_common_random_numbers_sharpen_differences(pair: Pair, random_global: GlobalPolicies) -> None:
    """Two policies that differ in one action of the global agent, on the same seed and on different seeds."""
    game, _, local_policy = pair
    policy = random_global(game, 2, 20, deterministic=True)
    table = policy.table.copy()
    table[0, 0] = 1 - table[0, 0]
    other = replace(policy, table=table)

    def returns(candidate: GlobalPolicy, seed: int) -> np.ndarray:
        return evaluate(game, candidate, local_policy, 100, horizon=30, n_rollouts=2000, seed=seed).returns

    paired = standard_error(returns(policy, 0) - returns(other, 0))
    unpaired = standard_error(returns(policy, 0) - returns(other, 1))
    assert paired < 0.7 * unpaired
    # The pairing must not bias the difference.
    gain = np.mean(returns(policy, 0) - returns(other, 0)), np.mean(returns(policy, 2) - returns(other, 3))
    assert abs(gain[0] - gain[1]) <= 4.5 * np.hypot(paired, unpaired)


def test_same_policies_on_the_same_seed_do_not_differ(pair: Pair) -> None:
    first, second = (evaluate(*pair, 50, horizon=20, n_rollouts=50, seed=3) for _ in range(2))
    assert standard_error(first.returns - second.returns) == 0


def test_confidence_interval_covers_the_value(pair: Pair) -> None:
    """Of 200 intervals of level 0.9 on 100 rollouts each, Binomial(200, 0.9) cover, up to chances of 1e-4 on each
    side; 100 rollouts cost the normal interval less than one percent of its level."""
    game, global_policy, local_policy = pair
    exact = brute_force.potential(game, global_policy.probabilities(), local_policy.table, 3, 2)
    covered = 0
    for seed in range(200):
        result = evaluate(*pair, 3, horizon=25, n_rollouts=100, seed=seed)
        low, high = result.confidence_interval(0.9)
        assert low < result.mean < high
        covered += low <= exact <= high
    assert binom.ppf(1e-4, 200, 0.89) <= covered <= binom.ppf(1 - 1e-4, 200, 0.9)


def test_confidence_interval_is_the_normal_one() -> None:
    result = Evaluation(returns=np.array([1.0, 2.0, 3.0, 6.0]), n_agents=1, k=1, horizon=1, seed=0)
    assert result.mean == 3
    assert result.standard_error == pytest.approx(np.sqrt(14 / 3 / 4))
    half = 1.959963985 * result.standard_error
    assert result.confidence_interval() == pytest.approx((3 - half, 3 + half))


def test_one_rollout_has_no_standard_error(pair: Pair) -> None:
    result = evaluate(*pair, 3, horizon=5, n_rollouts=1, seed=0)
    assert np.isnan(result.standard_error)
    assert np.isnan(result.confidence_interval()).all()
    assert np.isfinite(result.mean)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, float("nan")])
def test_level_outside_the_unit_interval_is_refused(pair: Pair, level: float) -> None:
    result = evaluate(*pair, 3, horizon=2, n_rollouts=2, seed=0)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1"):
        result.confidence_interval(level)


def test_a_trillion_agents(pair: Pair) -> None:
    """Agents are then as good as independent: the value is that of 10^6 agents up to noise and 1/sqrt(n)."""
    large = evaluate(*pair, 10**12, horizon=HORIZON, n_rollouts=1000, seed=0)
    million = evaluate(*pair, 10**6, horizon=HORIZON, n_rollouts=1000, seed=1)
    assert large.n_agents == 10**12
    assert abs(large.mean - million.mean) <= 4.5 * np.hypot(large.standard_error, million.standard_error) + 0.02


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 3}, ValueError, "k must be the number of agents the global policy observes, 2; got 3"),
        ({"n_agents": 0}, ValueError, "n_agents must be between 1 and 1000000000000; got 0"),
        ({"n_agents": 1}, ValueError, "the global policy observes k=2 agents, more than n_agents=1"),
        ({"n_agents": 2.5}, TypeError, r"n_agents must be an integer; got 2\.5"),
        ({"n_agents": 10**12 + 1}, ValueError, "n_agents must be between 1 and 1000000000000; got 1000000000001"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
        ({"n_rollouts": 0}, ValueError, "n_rollouts must be at least 1; got 0"),
        ({"n_rollouts": 2.0}, TypeError, r"n_rollouts must be an integer; got 2\.0"),
        ({"local_timing": "new"}, ValueError, "local_timing must be one of 'paper', 'code'; got 'new'"),
        ({"seed": -3}, ValueError, "seed must be a nonnegative integer"),
    ],
)
def test_arguments_out_of_range_are_refused(
    pair: Pair, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(*pair, **({"n_agents": 3, "horizon": 2, "n_rollouts": 2} | options))


def test_policies_of_another_game_are_refused(pair: Pair, warehouse3: TabularGame) -> None:
    _, global_policy, local_policy = pair
    with pytest.raises(ValueError, match="the global policy must match the game's"):
        evaluate(warehouse3, global_policy, LocalPolicy.named("uniform", warehouse3), 3)
    with pytest.raises(ValueError, match="the local policy must match the game's"):
        evaluate(warehouse3, GlobalPolicy.named("keep", warehouse3, 2), local_policy, 3)
