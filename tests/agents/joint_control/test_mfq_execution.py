"""Algorithm 3 against everybody drawing every subset, and its rollouts against one linear solve."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import FrozenInstanceError
from math import comb
from typing import Any

import numpy as np
import pytest
from oracle import brute_force, joint_control
from scipy.stats import multinomial

from kofn.agents import Evaluation, evaluate
from kofn.agents.joint_control import mfq_execution
from kofn.agents.joint_control.mfq_execution import JointPolicy, action_laws, evaluate_mfq, sampling_law
from kofn.agents.joint_control.subsample_mfq import subsample_mfq
from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.population import count_states

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]

FILLINGS = ("proportional", "lexicographic")
HORIZON = 60
"""At discount 0.8 and rewards up to 6 this leaves out at most 0.8^60 * 6/0.2 = 4.6e-5."""


def random_joint(game: TabularGame, global_policy: GlobalPolicy, seed: int) -> JointPolicy:
    """Every agent of every histogram takes a random action."""
    rng = np.random.default_rng(seed)
    histograms = enumerate_histograms(global_policy.k, game.n_local_states)
    totals = np.broadcast_to(histograms, (game.n_global_states, *histograms.shape))
    counts = rng.multinomial(totals, np.full(game.n_local_actions, 1 / game.n_local_actions))
    return JointPolicy(global_policy=global_policy, action_counts=counts)


def as_local(game: TabularGame, global_policy: GlobalPolicy, local_policy: LocalPolicy) -> JointPolicy:
    """Everybody follows a deterministic map, whatever the sample."""
    histograms = enumerate_histograms(global_policy.k, game.n_local_states)
    counts = histograms[None, :, :, None] * local_policy.table.swapaxes(0, 1)[:, None].astype(np.int64)
    return JointPolicy(global_policy=global_policy, action_counts=counts)


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize(("n_local", "n_actions", "k", "n"), [(2, 2, 1, 3), (2, 3, 2, 4), (3, 2, 3, 4), (3, 2, 4, 4)])
def test_action_laws_average_over_everybodys_subsets(
    random_game: Games, random_global: GlobalPolicies, n_local: int, n_actions: int, k: int, n: int, filling: Any
) -> None:
    game = random_game(k, n_local=n_local, n_local_actions=n_actions)
    policy = random_joint(game, random_global(game, k, 0), k)
    states = np.array(brute_force.joint_states(game, n))
    counts = count_states(states[:, 1:], n_local)
    laws = action_laws(policy.weights(filling), states[:, 0], counts, k)
    for s, law, present in zip(states.tolist(), laws, counts > 0, strict=True):
        for i, x in enumerate(s[1:]):
            exact = joint_control.action_law(game, policy.action_counts, tuple(s), i, k, filling == "lexicographic")
            assert law[x] == pytest.approx(exact, abs=1e-13)
        assert (law[~present] == 0).all()


@pytest.mark.parametrize(("n", "k", "n_states"), [(1, 1, 2), (5, 2, 3), (6, 6, 2), (40, 7, 3)])
def test_sampling_law_is_hypergeometric(n: int, k: int, n_states: int) -> None:
    populations = enumerate_histograms(n, n_states)[::7]
    law = sampling_law(populations, k)
    for row, counts in zip(law, populations.tolist(), strict=True):
        ways = [
            np.prod([comb(c, f) for c, f in zip(counts, sample, strict=True)])
            for sample in brute_force.count_vectors(k, n_states)
        ]
        assert row == pytest.approx(np.array(ways, dtype=float) / comb(n, k), abs=1e-13)


def test_sampling_law_keeps_its_precision_at_the_largest_population() -> None:
    """At n = 10^12 drawing with and without replacement differ by less than k^2/n; a lone agent still counts."""
    counts = np.array([[1, 3 * 10**11, 7 * 10**11 - 1]])
    histograms = enumerate_histograms(10, 3)
    law = sampling_law(counts, 10)[0]
    exact = multinomial.pmf(histograms, 10, counts[0] / 10**12)
    seldom = histograms[:, 0] <= 1  # the lone agent cannot be drawn twice
    assert law[seldom] == pytest.approx(exact[seldom], rel=1e-9)
    assert (law[~seldom] == 0).all()


def assert_agrees(result: Evaluation, exact: float) -> None:
    """Within 4.5 standard errors (chance of a false alarm: 7e-6) and what the horizon leaves out."""
    assert abs(result.mean - exact) <= 4.5 * result.standard_error + 4.6e-5


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize(("n_local", "k", "n"), [(2, 1, 3), (2, 2, 4), (3, 2, 3), (2, 3, 3)])
def test_mean_agrees_with_everybodys_subsets(
    random_game: Games, random_global: GlobalPolicies, n_local: int, k: int, n: int, filling: Any
) -> None:
    start = DirichletStart(np.array([0.3, 0.6, 0.5])[:n_local]) if k == 2 else None
    game = joint_control.coupled(random_game(k, 3, n_local, 3, 2, discount=0.8, initial_local=start))
    policy = random_joint(game, random_global(game, k, 1), 1)
    exact = joint_control.execution_potential(
        game, policy.global_policy.probabilities(), policy.action_counts, n, k, filling == "lexicographic"
    )
    result = evaluate_mfq(game, policy, n, horizon=HORIZON, n_rollouts=6000, seed=k, filling=filling)
    assert_agrees(result, exact)
    assert result.standard_error < 0.06  # what makes the line above a test


def test_orders_to_split_are_followed_by_dice_or_not_at_all() -> None:
    """Two agents in one state, ordered one to each: half the time by dice; never where both take the lowest action."""
    game = TabularGame(
        global_transition=np.ones((1, 2, 1)),
        local_transition=np.tile(np.eye(2), (2, 1, 1, 1)),  # agents move where they want to
        global_reward=np.array([[0.0, 1.0]]),
        local_reward=np.zeros((2, 1, 2)),
        discount=0.8,
        initial_local=FixedStart(np.array([1.0, 0.0])),
    )
    split = np.array([[[[0, 0], [1, 1]], [[1, 0], [0, 1]], [[1, 1], [0, 0]]]])
    paid_when_apart = GlobalPolicy(table=np.array([[0, 1, 0]]), k=2, n_local_states=2, n_actions=2)
    policy = JointPolicy(global_policy=paid_when_apart, action_counts=split)
    dice, lowest = (
        evaluate_mfq(game, policy, 2, horizon=2, n_rollouts=10_000, seed=0, filling=filling).returns
        for filling in FILLINGS
    )
    assert (lowest == 0).all()
    assert set(dice.tolist()) == {0.0, 0.8}
    assert abs((dice > 0).mean() - 0.5) <= 5 * 0.5 / 100


def test_learned_policy_earns_its_optimum_when_everybody_is_sampled(random_game: Games) -> None:
    game = joint_control.coupled(random_game(4, discount=0.8))
    learned = subsample_mfq(game, k=3)
    start = np.outer(game.initial_global, game.initial_local.histogram_law(3))
    result = evaluate_mfq(game, learned.policy, 3, horizon=HORIZON, n_rollouts=4000, seed=0)
    assert_agrees(result, float(np.vdot(start, learned.values)))
    assert result.standard_error < 0.06


@pytest.mark.parametrize("n", [3, 1000, 10**12])
def test_a_map_of_ones_own_state_is_played_as_by_evaluate(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, n: int
) -> None:
    """Joint orders that never look at the sample are a pair (pi_g, pi_l): the same rollouts, draw by draw."""
    game = random_game(1, n_global=3, n_local=3)
    local_policy = LocalPolicy(np.eye(2)[random_local(game, 1).table.argmax(axis=2)])
    global_policy = random_global(game, 3, 1)
    options: dict[str, Any] = {"horizon": 30, "n_rollouts": 50, "seed": 5}
    expected = evaluate(game, global_policy, local_policy, n, **options)
    for filling in FILLINGS:
        played = evaluate_mfq(game, as_local(game, global_policy, local_policy), n, filling=filling, **options)
        assert played.returns == pytest.approx(expected.returns, rel=1e-12)


def test_returns_are_a_function_of_the_seed(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(1)
    policy = random_joint(game, random_global(game, 2, 1), 1)

    def returns(seed: int | None) -> Any:
        return evaluate_mfq(game, policy, 10, horizon=5, n_rollouts=20, seed=seed).returns

    assert (returns(1) == returns(1)).all()
    assert (returns(1) != returns(2)).all()
    assert (returns(None) != returns(None)).all()


def test_batches_are_joined(random_game: Games, random_global: GlobalPolicies, monkeypatch: pytest.MonkeyPatch) -> None:
    game = joint_control.coupled(random_game(1, discount=0.8))
    policy = random_joint(game, random_global(game, 2, 1), 1)
    whole = evaluate_mfq(game, policy, 3, horizon=HORIZON, n_rollouts=1000, seed=0)
    monkeypatch.setattr(mfq_execution, "MAX_LAW_ENTRIES", 3 * 70)  # 3 histograms: 70 rollouts at a time
    parts = evaluate_mfq(game, policy, 3, horizon=HORIZON, n_rollouts=1000, seed=0)
    assert (whole.n_rollouts, parts.n_rollouts) == (1000, 1000)
    assert len(set(parts.returns.tolist())) == 1000
    assert abs(whole.mean - parts.mean) <= 4.5 * 2**0.5 * whole.standard_error
    assert (parts.n_agents, parts.k, parts.horizon, parts.seed) == (3, 2, HORIZON, 0)


def test_first_reward_is_not_discounted(random_game: Games, random_global: GlobalPolicies) -> None:
    """H = 1: the mean reward at the start; H = 2 adds gamma times a reward of at most 2."""
    game = random_game(1)
    policy = random_joint(game, random_global(game, 2, 1), 1)
    one, two = (evaluate_mfq(game, policy, 3, horizon=h, n_rollouts=500, seed=0).returns for h in (1, 2))
    assert ((two - one > 0) & (two - one < 0.9 * 2)).all()
    # Attained, by chance, when all three agents take the best action in the best state: <=, up to rounding.
    assert one.max() <= game.reward_bound * (1 + 8 * np.finfo(float).eps)


@pytest.mark.parametrize("filling", FILLINGS)
def test_act_draws_individual_actions_from_the_laws(
    random_game: Games, random_global: GlobalPolicies, filling: Any
) -> None:
    """Frequencies of 20,000 populations of each kind within 5 standard errors of what every subset says."""
    game = random_game(3, n_global=2, n_local=3, n_global_actions=3, n_local_actions=3)
    policy = random_joint(game, random_global(game, 2, 3), 3)
    kinds, size = [(0, 0, 1, 2, 0), (1, 2, 2, 0, 2), (1, 1, 1, 1, 1)], 20_000
    states = np.tile(kinds, (size, 1))
    global_actions, local_actions = policy.act(states[:, 0], states[:, 1:], np.random.default_rng(0), filling)
    for kind, s in enumerate(kinds):
        drawn = np.column_stack([global_actions, local_actions])[kind :: len(kinds)]
        first_only = filling == "lexicographic"
        laws = [joint_control.action_law(game, policy.action_counts, s, i, 2, first_only) for i in range(4)]
        laws.insert(0, brute_force.global_law(policy.global_policy.probabilities(), s, 3, 2))
        for column, law in zip(drawn.T, laws, strict=True):
            frequencies = np.bincount(column, minlength=3) / size
            assert (np.abs(frequencies - law) <= 5 * np.sqrt(law * (1 - law) / size) + 1e-12).all()
        # Samples of their own: given the states, everybody's actions are independent.
        first, last = (drawn[:, i] == laws[i].argmax() for i in (1, 4))
        together = laws[1].max() * laws[4].max()
        assert abs((first & last).mean() - together) <= 5 * np.sqrt(together * (1 - together) / size) + 1e-12


def test_act_plays_an_episode_of_the_standard_environment(random_game: Games) -> None:
    """A full-information reference: it reads the simulator's states, not the agents' observations."""
    game = joint_control.coupled(random_game(5, 3, 3, 3, 2))
    policy = subsample_mfq(game, k=2).policy
    env = PopulationEnv(game, n_agents=6, max_cycles=8)
    env.reset(seed=0)
    rng, steps = np.random.default_rng(0), 0
    while env.agents:
        states = env.simulator.global_states, env.simulator.local_states
        global_actions, local_actions = policy.act(*states, rng)
        chosen = [int(global_actions[0]), *local_actions[0].tolist()]
        _, rewards, *_ = env.step(dict(zip(env.agents, chosen, strict=True)))
        expected = brute_force.reward(game, (int(states[0][0]), *states[1][0].tolist()), chosen[0], tuple(chosen[1:]))
        assert rewards["global_0"] == pytest.approx(expected)
        steps += 1
    assert steps == 8


def test_large_populations_cost_what_small_ones_do(warehouse3: TabularGame) -> None:
    """And approach the mean-field limit: n = 10^9 and n = 10^12 have the same value."""
    policy = subsample_mfq(warehouse3, k=3).policy
    large, larger = (evaluate_mfq(warehouse3, policy, n, n_rollouts=400, seed=0) for n in (10**9, 10**12))
    error = np.hypot(large.standard_error, larger.standard_error)
    assert abs(large.mean - larger.mean) <= 4.5 * error
    assert error < 2


def test_weights_of_both_fillings(random_game: Games) -> None:
    game = random_game(0, n_global=1, n_local_actions=3)
    counts = np.array([[[[0, 0, 0], [0, 1, 1]], [[0, 0, 1], [1, 0, 0]], [[1, 0, 1], [0, 0, 0]]]])
    policy = JointPolicy(global_policy=GlobalPolicy.constant(game, 2, 0), action_counts=counts)
    assert policy.weights().tolist() == counts.tolist()
    assert policy.weights("lexicographic").tolist() == [
        [[[0, 0, 0], [0, 2, 0]], [[0, 0, 1], [1, 0, 0]], [[2, 0, 0], [0, 0, 0]]]
    ]


def test_policies_are_read_only(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    policy = random_joint(game, random_global(game, 2, 0), 0)
    for owner in (policy, deepcopy(policy)):
        with pytest.raises(ValueError, match="read-only"):
            owner.action_counts[0, 0, 0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        policy.action_counts = policy.action_counts.copy()  # type: ignore[misc] # what must not work


GOOD = np.array([[[[0, 0], [1, 0]], [[0, 1], [0, 0]]]] * 2)
"""k = 1, two states: histogram (0, 1), then (1, 0)."""


def altered(at: tuple[int, ...], value: int) -> Any:
    counts = GOOD.copy()
    counts[at] = value
    return counts


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        (GOOD.astype(float), TypeError, "action_counts must be integers; got float64"),
        (GOOD[:1], ValueError, r"must have shape .* = \[2, 2, 2, any\]; got \[1, 2, 2, 2\]"),
        (GOOD[..., 0], ValueError, r"must have shape .*; got \[2, 2, 2\]"),
        (GOOD[..., :0], ValueError, r"must have shape .*; got \[2, 2, 2, 0\]"),
        (altered((1, 0, 1, 1), -1), ValueError, r"nonnegative; entry \[1, 0, 1, 1\] is -1"),
        (altered((1, 1, 0, 0), 1), ValueError, r"the histogram's 1 agents in entry \[1, 1, 0\]; they are \[1, 1\]"),
    ],
)
def test_action_counts_that_are_none_are_refused(
    random_game: Games, counts: Any, error: type[Exception], message: str
) -> None:
    global_policy = GlobalPolicy.named("keep", random_game(0), 1)
    assert JointPolicy(global_policy=global_policy, action_counts=GOOD).k == 1
    with pytest.raises(error, match=message):
        JointPolicy(global_policy=global_policy, action_counts=counts)


@pytest.mark.parametrize(
    ("n_agents", "options", "error", "message"),
    [
        (0, {}, ValueError, r"n_agents must be between 1 and 10+; got 0"),
        (1, {}, ValueError, "observes k=2 agents, more than n_agents=1"),
        (3, {"horizon": 0}, ValueError, "horizon must be at least 1; got 0"),
        (3, {"n_rollouts": 0}, ValueError, "n_rollouts must be at least 1; got 0"),
        (3, {"n_rollouts": 2.0}, TypeError, "n_rollouts must be an integer"),
        (3, {"seed": -1}, ValueError, "seed must be a nonnegative integer"),
        (3, {"filling": "random"}, ValueError, "filling must be one of 'proportional', 'lexicographic'; got 'random'"),
    ],
)
def test_arguments_out_of_range_are_refused(
    random_game: Games,
    random_global: GlobalPolicies,
    n_agents: int,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    game = random_game(0)
    policy = random_joint(game, random_global(game, 2, 0), 0)
    with pytest.raises(error, match=message):
        evaluate_mfq(game, policy, n_agents, **options)


def test_policies_of_another_game_are_refused(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    policy = random_joint(game, random_global(game, 2, 0), 0)
    with pytest.raises(ValueError, match="the global policy must match the game's"):
        evaluate_mfq(random_game(0, n_global=3), policy, 3)
    with pytest.raises(ValueError, match=r"the joint policy must have the game's \|A_l\| = 3; it has 2"):
        evaluate_mfq(random_game(0, n_local_actions=3), policy, 3)
