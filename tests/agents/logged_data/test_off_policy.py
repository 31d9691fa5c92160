r"""Off-policy G-LEARN against equation (38) written out, the exact Q, and the asymptotic law of its error.

Near Q* an update of entry i moves the error e by -alpha (e - gamma P* e)_i plus alpha times noise of variance sigma_i^2
= Var(r + gamma max Q*(s', .) | i), and i comes up with frequency f_i. With alpha_i = c/(f_i t)^w the covariance of e
after t steps is therefore, to first order, c t^-w S with

    A S + S A^T - (w/c) t^(w-1) S = diag(f^(1-2w) sigma^2),     A = diag(f^(1-w)) (I - gamma P*).

All of it is computed below by enumerating what k agents may do; nothing is fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from oracle import brute_force
from scipy.linalg import solve_continuous_lyapunov

from kofn.agents import g_learn
from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.off_policy import (
    OffPolicyResult,
    StepRule,
    off_policy_g_learn,
    off_policy_in_env,
    off_policy_in_surrogate,
)
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.envs import FixedStart, GenerativeGame, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.reward_law import RewardLaw
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
K = 2


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The surrogate game as a finite decision process; states (s_g, rank of F), flat entries (state, a_g)."""

    transition: FloatArray  # [state, a_g, state']
    noise: FloatArray  # [entry]: Var(r + gamma max Q*(s', .))
    optimal_q: FloatArray  # [state, a_g]
    discount: float

    def frequencies(self, epsilon: float) -> FloatArray:
        """f [entry] of the behaviour that explores with probability epsilon around the greedy action of Q*."""
        n_actions = self.optimal_q.shape[1]
        behaviour = epsilon / n_actions + (1 - epsilon) * np.eye(n_actions)[self.optimal_q.argmax(axis=1)]
        chain = np.einsum("sa,sat->st", behaviour, self.transition)
        stationary = np.linalg.matrix_power(chain, 2**20)[0]
        return (stationary[:, None] * behaviour).ravel()

    def covariance(self, frequencies: FloatArray, step: StepRule, n_steps: int) -> FloatArray:
        """Covariance of the error [entry, entry] after `n_steps`."""
        n_states, n_actions = self.optimal_q.shape
        greedy = np.eye(n_actions)[self.optimal_q.argmax(axis=1)]
        ahead = np.einsum("sat,tb->satb", self.transition, greedy).reshape(n_states * n_actions, -1)
        c, w = step.step_size, step.decay
        drift = np.diag(frequencies ** (1 - w)) @ (np.eye(len(ahead)) - self.discount * ahead)
        drift -= w / (2 * c) * n_steps ** (w - 1.0) * np.eye(len(ahead))
        return c * n_steps**-w * solve_continuous_lyapunov(drift, np.diag(frequencies ** (1 - 2 * w) * self.noise))


def surrogate(game: TabularGame, policy: LocalPolicy, k: int) -> Surrogate:
    """By enumeration of the actions and moves of k agents."""
    n_local, n_actions = game.n_local_states, game.n_global_actions
    ranks = {states: brute_force.rank(states, n_local) for states in product(range(n_local), repeat=k)}
    width = max(ranks.values()) + 1
    q = np.zeros((game.n_global_states * width, n_actions))
    for s, row in zip(brute_force.joint_states(game, k), brute_force.optimal_q(game, policy.table, k), strict=True):
        q[s[0] * width + ranks[s[1:]]] = row
    transition, moments = np.zeros((*q.shape, len(q))), np.zeros((*q.shape, 2))
    for (s_g, a_g), (states, rank) in product(np.ndindex(game.global_reward.shape), ranks.items()):
        entry = s_g * width + rank, a_g
        transition[entry], moments[entry] = 0, 0  # all orderings of a histogram give the same
        for chance, reward, s in outcomes(game, policy, s_g, a_g, states):
            state = s[0] * width + ranks[s[1:]]
            transition[(*entry, state)] += chance
            moments[entry] += chance * (reward + game.discount * q[state].max()) ** np.array([1, 2])
    assert moments[..., 0] == pytest.approx(q, abs=1e-9)
    return Surrogate(transition, (moments[..., 1] - moments[..., 0] ** 2).ravel(), q, game.discount)


def outcomes(game: TabularGame, policy: LocalPolicy, s_g: int, a_g: int, states: tuple[int, ...]) -> Any:
    """(probability, r_D, next joint state) of everything that may happen."""
    k, n_local = len(states), game.n_local_states
    for actions in product(range(game.n_local_actions), repeat=k):
        taken = prod(policy.table[x, s_g, a] for x, a in zip(states, actions, strict=True))
        reward = brute_force.reward(game, (s_g, *states), a_g, actions)
        law = brute_force.next_law(game, (s_g, *states), a_g, actions)
        for chance, s in zip(law, product(range(game.n_global_states), *[range(n_local)] * k), strict=True):
            yield taken * chance, reward, s


@pytest.fixture(scope="module")
def game(random_game: Games) -> TabularGame:
    return random_game(5, discount=0.5)


@pytest.fixture(scope="module")
def policy(game: TabularGame, random_local: LocalPolicies) -> LocalPolicy:
    return random_local(game, 5)


@pytest.fixture(scope="module")
def process(game: TabularGame, policy: LocalPolicy) -> Surrogate:
    found = surrogate(game, policy, K)
    best, second = np.sort(found.optimal_q, axis=1)[:, ::-1].T
    assert (best - second).min() > 0.02  # the greedy action is clear, so that max is linear near Q*
    return found


def errors(process: Surrogate, game: TabularGame, policy: LocalPolicy, n_runs: int, **options: Any) -> FloatArray:
    """Errors of independent runs, [run, entry]."""
    runs = [off_policy_in_surrogate(game, policy, k=K, seed=[7, run], **options) for run in range(n_runs)]
    return np.array([run.q_values.ravel() for run in runs]) - process.optimal_q.ravel()


RULES = [
    pytest.param(StepRule(), 1.0, id="decaying"),
    pytest.param(StepRule(decay=0.8), 0.2, id="decaying, epsilon-greedy"),
    pytest.param(StepRule(step_size=0.02, decay=0.0), 1.0, id="constant"),
    pytest.param(StepRule(step_size=0.02, decay=0.0), 0.2, id="constant, epsilon-greedy"),
]


@pytest.mark.parametrize(("step", "epsilon"), RULES)
def test_error_has_the_asymptotic_covariance(
    game: TabularGame, policy: LocalPolicy, process: Surrogate, step: StepRule, epsilon: float
) -> None:
    n_steps, n_runs = 100_000, 40
    found = errors(process, game, policy, n_runs, n_steps=n_steps, step=step, epsilon=epsilon)
    covariance = process.covariance(process.frequencies(epsilon), step, n_steps)
    squares = (found**2).sum(axis=1)
    assert abs(squares.mean() - np.trace(covariance)) < 4 * squares.std(ddof=1) / np.sqrt(n_runs)
    assert (np.abs(found) < 5 * np.sqrt(np.diag(covariance))).all()


def test_error_falls_with_time_and_a_constant_step_leaves_a_floor(
    game: TabularGame, policy: LocalPolicy, process: Surrogate
) -> None:
    """Mean squares: falling as t^-w for decaying steps; for constant ones as large later on, and in proportion to c."""

    def mean_square(n_steps: int, step: StepRule) -> float:
        return float((errors(process, game, policy, 30, n_steps=n_steps, step=step) ** 2).sum(axis=1).mean())

    decaying = [mean_square(n_steps, StepRule()) for n_steps in (1000, 8000, 64_000)]
    # 8^0.7 = 4.3 in the limit, within four standard errors of a ratio of two means of 30 runs (0.25 each, measured).
    assert decaying[0] > 2 * decaying[1] > 4 * decaying[2]
    large, small = StepRule(step_size=0.08, decay=0.0), StepRule(step_size=0.02, decay=0.0)
    floors = [mean_square(n_steps, large) for n_steps in (16_000, 64_000)]
    assert 0.5 < floors[1] / floors[0] < 2
    assert 2 < floors[1] / mean_square(64_000, small) < 8


def by_equation_38(log: Transitions, discount: float, step: StepRule, n_passes: int) -> tuple[FloatArray, FloatArray]:
    """(Q, visits) by the formula, with a dictionary of entries."""
    n_local, histograms, q, visits = log.sizes.n_local_states, log.histograms.tolist(), {}, {}
    vectors = brute_force.count_vectors(log.k, n_local)
    keys = list(product(range(log.sizes.n_global_states), vectors))
    for t in [*range(len(log))] * n_passes:
        here = int(log.global_states[t]), tuple(histograms[t])
        there = int(log.next_global_states[t]), tuple(log.next_histograms[t].tolist())
        entry = here, int(log.global_actions[t])
        best = max(q.get((there, a), 0.0) for a in range(log.n_global_actions))
        alpha = step.step_size / (1 + visits.get(entry, 0)) ** step.decay
        q[entry] = q.get(entry, 0.0) + alpha * (log.sampled_rewards[t] + discount * best - q.get(entry, 0.0))
        visits[entry] = visits.get(entry, 0) + 1
    shape = log.sizes.n_global_states, len(vectors), log.n_global_actions
    tables = [[table.get((key, a), 0.0) for key in keys for a in range(shape[2])] for table in (q, visits)]
    return np.reshape(tables[0], shape), np.reshape(tables[1], shape)


@pytest.fixture(scope="module")
def log(game: TabularGame, policy: LocalPolicy) -> Transitions:
    """One log of the deployed game of 5 agents, 2 of which are seen."""
    env = SubsampleObservation(PopulationEnv(game, 5, max_cycles=50), K)
    return collect_transitions(env, n_steps=5000, local_policy=policy, seed=3)


@pytest.mark.parametrize("step", [StepRule(), StepRule(step_size=0.3, decay=0.0), StepRule(step_size=0.5, decay=1.0)])
@pytest.mark.parametrize("n_passes", [1, 3])
def test_learning_from_a_log_is_equation_38(log: Transitions, step: StepRule, n_passes: int) -> None:
    result = off_policy_g_learn(log, discount=0.8, step=step, n_passes=n_passes)
    q, visits = by_equation_38(log, 0.8, step, n_passes)
    assert result.q_values == pytest.approx(q, rel=1e-12)
    assert (result.visits == visits).all()
    assert result.n_steps == n_passes * len(log)
    assert (result.policy.table == q.argmax(axis=2)).all()
    assert (result.policy.k, result.policy.n_actions) == (K, 2)
    assert result.n_min == visits.min() / visits.sum() > 0
    assert result.n_unvisited == 0
    assert 0 < result.wall_time < 60


def test_redrawn_agents_teach_the_surrogate_game(game: TabularGame, process: Surrogate, log: Transitions) -> None:
    """D is redrawn at every step of the deployed game, and yet Q tends to Q*_k: within 5 standard deviations."""
    result = off_policy_g_learn(log, discount=game.discount)
    frequencies = result.visits.ravel() / len(log)
    deviations = np.sqrt(np.diag(process.covariance(frequencies, StepRule(), len(log))))
    found = np.abs(result.q_values.ravel() - process.optimal_q.ravel())
    assert (found < 5 * deviations).all()
    assert found.max() < 0.2


def test_playing_and_learning_in_turn(game: TabularGame, policy: LocalPolicy, process: Surrogate) -> None:
    env = SubsampleObservation(PopulationEnv(game, 5, max_cycles=40), K)

    def learn(seed: int, n_steps: int = 4000) -> OffPolicyResult:
        return off_policy_in_env(env, n_steps=n_steps, local_policy=policy, epsilon=0.2, seed=seed)

    result = learn(1)
    assert result.n_steps == result.visits.sum() == 4000
    frequencies = result.visits.ravel() / 4000
    deviations = np.sqrt(np.diag(process.covariance(frequencies, StepRule(), 4000)))
    assert (np.abs(result.q_values.ravel() - process.optimal_q.ravel()) < 5 * deviations).all()
    # Greedy actions are taken with probability 0.9 once they are known.
    chosen = np.take_along_axis(result.visits, result.policy.table[:, :, None], axis=2).sum()
    assert 0.85 < chosen / 4000 < 0.92
    again, other = learn(1, 200), learn(2, 200)
    assert (again.q_values == learn(1, 200).q_values).all()
    assert (again.q_values != other.q_values).any()


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 3, 2, 2), (1, 4, 3, 1)])
@pytest.mark.parametrize("k", [1, 3])
def test_the_walk_reaches_the_exact_q(
    random_game: Games, random_local: LocalPolicies, sizes: tuple[int, ...], k: int
) -> None:
    """Various shapes. At discount 0.1 a step of 1/visits averages: the error is about sigma/sqrt(visits)."""
    game = random_game(2, *sizes, discount=0.1)
    policy = random_local(game, 2)
    exact = g_learn(game, policy, k=k, operator="exact").q_values
    result = off_policy_in_surrogate(game, policy, k=k, n_steps=200_000, step=StepRule(decay=1.0), seed=4)
    assert result.n_unvisited == 0
    # r_D lies in an interval of length 1 (its r_g is known) and gamma max Q in one of gamma times the span of Q.
    deviation = (1 + 0.1 * np.ptp(exact)) / 2 / (1 - 0.1)
    assert (np.abs(result.q_values - exact) < 6 * deviation / np.sqrt(result.visits)).all()
    assert result.q_values == pytest.approx(exact, abs=0.1)


def test_the_walk_of_a_game_that_can_only_be_sampled(random_game: Games, random_local: LocalPolicies) -> None:
    """Error as above; the same seed gives the same Q, and greedy behaviour follows Q."""
    game = random_game(2, 3, 3, 2, 2, discount=0.1)
    policy, oracle = random_local(game, 2), GenerativeGame.from_tables(game)
    exact = g_learn(game, policy, k=2, operator="exact").q_values
    step = StepRule(decay=1.0)
    result = off_policy_in_surrogate(oracle, policy, k=2, n_steps=200_000, step=step, seed=4)
    assert result.n_steps == result.visits.sum() == 200_000
    assert result.n_unvisited == 0
    # r_g is known; r_l takes |S_l||A_l| values in [0, 1], and gamma max Q spans gamma times the span of Q.
    deviation = (1 + 0.1 * np.ptp(exact)) / 2 / (1 - 0.1)
    assert (np.abs(result.q_values - exact) < 6 * deviation / np.sqrt(result.visits)).all()
    assert result.q_values == pytest.approx(exact, abs=0.1)
    greedy = [
        off_policy_in_surrogate(oracle, policy, k=2, n_steps=500, epsilon=0.1, step=step, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert (greedy[0].q_values == greedy[1].q_values).all()
    assert (greedy[0].q_values != greedy[2].q_values).any()
    chosen = np.take_along_axis(greedy[0].visits, greedy[0].policy.table[:, :, None], axis=2).sum()
    assert chosen > 0.75 * 500  # .95 once the best of two actions is known


def test_random_rewards_are_averaged(game: TabularGame, policy: LocalPolicy, process: Surrogate) -> None:
    """Rewards of 0 or twice the mean: the same Q, at a larger error, and another one for another mean."""

    def coin(means: FloatArray) -> RewardLaw:
        return RewardLaw(np.stack([0 * means, 2 * means], axis=-1), np.full((*means.shape, 2), 0.5))

    noisy = replace(
        game, global_reward_law=coin(game.global_reward), local_reward_law=coin(game.local_reward), labels=None
    )
    found = np.abs(errors(process, noisy, policy, 10, n_steps=100_000)).max(axis=1)
    certain = np.abs(errors(process, game, policy, 10, n_steps=100_000)).max(axis=1)
    assert 2 < found.mean() / certain.mean() < 20
    assert found.max() < 0.25


def standing_agents(discount: float = 0.9) -> TabularGame:
    """Local agents never move; one in state 1 earns 1."""
    return TabularGame(
        global_transition=np.ones((1, 1, 1)),
        local_transition=np.eye(2).reshape(2, 1, 1, 2),
        global_reward=np.zeros((1, 1)),
        local_reward=np.array([0.0, 1.0]).reshape(2, 1, 1),
        discount=discount,
        initial_local=FixedStart(np.array([0.5, 0.5])),
    )


def test_the_same_agents_on_both_sides() -> None:
    """An agent that stands in 0 for ever is worth 0, one in 1 is worth 1/(1-gamma) = 10, whoever else there is."""
    env = SubsampleObservation(PopulationEnv(standing_agents(), 2, max_cycles=10), 1)
    log = collect_transitions(env, n_steps=4000, seed=0)
    result = off_policy_g_learn(log, discount=0.9, n_passes=50)
    assert result.q_values[0, :, 0] == pytest.approx([10.0, 0.0], abs=0.002)


def test_traps_have_other_fixed_points() -> None:
    """What the same log would teach with the agents drawn for the next observation, or with the team reward.

    Two agents at fair starts, one seen. Freshly drawn agents make the states mix: the difference of the values is
    1/(1 - gamma/2) = 1.8 instead of 10. The team reward of an agent in 1 is 3/4 on average and of one in 0 is 1/4:
    5 instead of 10.
    """
    rng = np.random.default_rng(0)
    states = np.repeat(rng.integers(2, size=(5000, 2)), 4, axis=0)
    length = len(states)
    members, fresh = rng.integers(2, size=(2, length, 1))
    zeros = np.zeros(length, dtype=np.int64)

    def gap(next_of_member: Any, rewards: Any) -> float:
        """Difference of the values of 1 and 0, of a single agent that is seen."""
        log = Transitions.from_arrays(
            (zeros, np.take_along_axis(states, members, axis=1)),
            (zeros, zeros[:, None]),
            (np.zeros(length), rewards),
            (zeros, next_of_member),
            sizes=SpaceSizes(1, 2, 1, 1),
        )
        values = off_policy_g_learn(log, discount=0.9, n_passes=5).q_values[0, :, 0]
        return float(values[0] - values[1])

    seen = np.take_along_axis(states, members, axis=1)
    assert gap(seen, seen[:, 0].astype(float)) == pytest.approx(10.0, abs=0.02)
    assert gap(np.take_along_axis(states, fresh, axis=1), seen[:, 0].astype(float)) == pytest.approx(1.8, abs=0.15)
    assert gap(seen, states.mean(axis=1)) == pytest.approx(5.0, abs=0.3)


def test_many_passes_approach_the_empirical_model(log: Transitions) -> None:
    """Value iteration on the log's own frequencies."""
    short = first_steps(log, 600)
    states, next_states = short.surrogate_states
    n_states, discount = 6, 0.5
    moves, paid = np.zeros((n_states, 2, n_states)), np.zeros((n_states, 2))
    np.add.at(moves, (states, short.global_actions, next_states), 1)
    np.add.at(paid, (states, short.global_actions), short.sampled_rewards)
    counts = moves.sum(axis=2)
    assert counts.min() > 0
    q = np.zeros((n_states, 2))
    for _ in range(60):
        q = paid / counts + discount * np.einsum("sat,t->sa", moves / counts[:, :, None], q.max(axis=1))
    result = off_policy_g_learn(short, discount=discount, n_passes=30_000)
    # Within a pass an entry drifts by at most visits per pass * alpha * range of its target, here 2.
    alpha = (counts * 30_000.0) ** -0.7
    assert np.abs(result.q_values.reshape(6, 2) - q).max() < (counts * alpha).max() * 2 / (1 - discount)
    assert result.converged
    one_pass = off_policy_g_learn(short, discount=discount)
    assert np.abs(one_pass.q_values.reshape(6, 2) - q).max() > (counts * alpha).max() * 2 / (1 - discount)


def first_steps(log: Transitions, n_steps: int) -> Transitions:
    """The beginning of a log; moves stay those of the whole."""
    fields = ("global_states", "sampled_counts", "global_actions", "global_rewards", "sampled_rewards")
    parts = {name: getattr(log, name)[:n_steps] for name in (*fields, "next_global_states", "next_histograms")}
    return replace(log, **parts)


def test_converged_is_all_visited_and_little_changed(log: Transitions) -> None:
    result = off_policy_g_learn(log, discount=0.5)
    before = off_policy_g_learn(first_steps(log, 4500), discount=0.5)
    assert result.last_change == np.abs(result.q_values - before.q_values).max()
    scale = np.abs(result.q_values).max()
    for factor, converged in ((1.01, True), (0.99, False)):
        tolerance = factor * result.last_change / scale
        assert off_policy_g_learn(log, discount=0.5, tolerance=tolerance).converged is converged
    # One entry is never met: nothing changes there, but nothing is known either.
    states, _ = log.surrogate_states
    unmet = (states == 4) & (log.global_actions == 1)
    fields = ("global_states", "sampled_counts", "global_actions", "global_rewards", "sampled_rewards")
    rest = {name: getattr(log, name)[~unmet] for name in (*fields, "next_global_states", "next_histograms")}
    blind = off_policy_g_learn(replace(log, **rest), discount=0.5, tolerance=10.0)
    assert (blind.converged, blind.n_unvisited, blind.n_min) == (False, 1, 0.0)
    assert blind.q_values.reshape(6, 2)[4, 1] == 0


def test_a_single_update_is_not_converged(game: TabularGame, policy: LocalPolicy) -> None:
    result = off_policy_in_surrogate(game, policy, k=K, n_steps=1, seed=0)
    assert (result.n_steps, result.converged, result.n_unvisited) == (1, False, 11)
    assert result.last_change == np.abs(result.q_values).max() > 0


def test_the_walk_is_a_function_of_its_seed(game: TabularGame, policy: LocalPolicy) -> None:
    def learnt(seed: Any) -> FloatArray:
        return off_policy_in_surrogate(game, policy, k=K, n_steps=500, epsilon=0.5, seed=seed).q_values

    assert (learnt(1) == learnt(1)).all()
    assert (learnt(1) == learnt(np.random.SeedSequence(1))).all()
    assert (learnt(1) != learnt(2)).any()


def test_the_walk_starts_from_the_initial_law(random_game: Games, random_local: LocalPolicies) -> None:
    """Agents that stand still, all in one state: the only histogram ever met is theirs."""
    game = random_game(1, n_local=3)
    law = FixedStart(np.array([0.0, 1.0, 0.0]))
    stay = np.broadcast_to(np.eye(3)[:, None, None, :], game.local_transition.shape)
    pinned = replace(game, local_transition=stay, initial_local=law, initial_global=np.array([0.0, 1.0]))
    result = off_policy_in_surrogate(pinned, random_local(game, 1), k=2, n_steps=200, seed=0)
    met = [brute_force.count_vectors(2, 3)[rank] for rank in np.flatnonzero(result.visits.sum(axis=(0, 2)))]
    assert met == [(0, 2, 0)]
    first = off_policy_in_surrogate(pinned, random_local(game, 1), k=2, n_steps=1, seed=0)
    assert first.visits[1].sum() == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"discount": 1.0}, ValueError, r"discount must lie strictly between 0 and 1; got 1\.0"),
        ({"discount": 0.0}, ValueError, r"discount must be positive and finite; got 0\.0"),
        ({"discount": "a"}, TypeError, "discount must be a number; got 'a'"),
        ({"n_passes": 0}, ValueError, "n_passes must be at least 1; got 0"),
        ({"tolerance": 0.0}, ValueError, r"tolerance must be positive and finite; got 0\.0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    log: Transitions, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        off_policy_g_learn(log, **{"discount": 0.5, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step_size": 0.0}, ValueError, r"step_size must be positive and finite; got 0\.0"),
        ({"step_size": 1.5}, ValueError, r"step_size must lie in \[0, 1\]; got 1\.5"),
        ({"step_size": True}, TypeError, r"step_size must be a number; got True \(bool\)"),
        ({"decay": -0.1}, ValueError, r"decay must lie in \[0, 1\]; got -0\.1"),
        ({"decay": None}, TypeError, "decay must be a number; got None"),
    ],
)
def test_step_sizes_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        StepRule(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1; got 0"),
        ({"k": 10**8}, ValueError, "k=100000000 needs a table of"),
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1; got 0"),
        ({"epsilon": 1.1}, ValueError, r"epsilon must lie in \[0, 1\]; got 1\.1"),
        ({"epsilon": float("nan")}, ValueError, r"epsilon must lie in \[0, 1\]; got nan"),
        ({"tolerance": -1.0}, ValueError, r"tolerance must be positive and finite; got -1\.0"),
        ({"seed": -1}, ValueError, "seed must be a nonnegative integer"),
    ],
)
def test_walks_out_of_range_are_refused(
    game: TabularGame, policy: LocalPolicy, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        off_policy_in_surrogate(game, policy, **{"k": K, "n_steps": 10, **options})


def test_local_policy_of_another_game_is_refused(random_game: Games, policy: LocalPolicy) -> None:
    with pytest.raises(ValueError, match="the local policy must match the game's"):
        off_policy_in_surrogate(random_game(0, n_local=3), policy, k=1, n_steps=10)


def test_play_out_of_range_is_refused(game: TabularGame) -> None:
    env = SubsampleObservation(PopulationEnv(game, 5), K)
    with pytest.raises(ValueError, match="n_steps must be at least 1; got 0"):
        off_policy_in_env(env, n_steps=0)
    with pytest.raises(ValueError, match=r"epsilon must lie in \[0, 1\]; got 2"):
        off_policy_in_env(env, n_steps=5, epsilon=2)
    with pytest.raises(TypeError, match="env must be a parallel PopulationEnv, possibly wrapped; got str"):
        off_policy_in_env("env", n_steps=5)
