"""Every learner against the oracle, on one tiny game: a line per learner, its outcome and what brute force says.

Exact learners agree to rounding or to their own certificate. Sampled ones agree within what Hoeffding's inequality and
the contraction allow with probability 1 - DELTA (SPEC 2.5), rollouts within 4.5 standard errors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from oracle import brute_force, chains, joint_control
from oracle.deviator import Deviator

from kofn import agents
from kofn.agents import AlternatingConfig, AlternatingMARL, IndicatorFeatures, LumpedChain, MultiStart
from kofn.envs import FixedStart, GenerativeGame, GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.histograms import enumerate_histograms
from kofn.wrappers import FiniteMDP, SubsampleObservation

DELTA = 1e-6
M = 3000
ROUNDING = 1e-9
HORIZON = 40
"""At discount 1/2 and rewards up to 2 this leaves out less than 4e-12."""

Judged = tuple[npt.ArrayLike, npt.ArrayLike, float]
"""Found, expected, and how far apart they may be."""


@dataclass(frozen=True, eq=False)
class Tiny:
    """A game of two of everything with a pair of policies; what brute force knows is found once."""

    game: TabularGame
    pi_g: GlobalPolicy
    pi_l: LocalPolicy

    @cached_property
    def q(self) -> dict[int, npt.NDArray[np.float64]]:
        """Q* [s_g, histogram, a_g] of the surrogate game of k agents."""
        return {k: self.by_histogram(brute_force.optimal_q(self.game, self.pi_l.table, k), k) for k in (1, 2)}

    def by_histogram(self, rows: Any, k: int) -> npt.NDArray[np.float64]:
        """Values of joint states (s_g, s_1, .., s_k) as a table over histograms."""
        rows = np.asarray(rows)
        table = np.zeros((2, k + 1, *rows.shape[1:]))
        for s, row in zip(brute_force.joint_states(self.game, k), rows, strict=True):
            table[s[0], brute_force.rank(s[1:], 2)] = row
        return table

    def phi(self, pi_g: Any, pi_l: Any, n: int) -> float:
        """Phi of a pair of policies in the game of n agents."""
        table = pi_g.probabilities()
        return brute_force.potential(self.game, table, pi_l.table, n, pi_g.k)

    def best_local(self, n: int) -> float:
        """Phi of the best map against pi_g."""
        return brute_force.best_local_response(self.game, self.pi_g.probabilities(), n, self.pi_g.k)[1]

    def best_global(self, n: int) -> float:
        """Phi of the best map of one agent seen against pi_l."""
        maps = brute_force.deterministic_global_policies(self.game, 1)
        return max(brute_force.potential(self.game, table, self.pi_l.table, n, 1) for table in maps)

    def noise(self, n_entries: int, m: int = M, n_operators: int = 1) -> float:
        """Error of Q with m samples per entry, but for DELTA (SPEC 2.5), per operator applied."""
        game = self.game
        span = game.discount * game.value_bound / (1 - game.discount)
        return float(span * np.sqrt(np.log(2 * n_entries * n_operators / DELTA) / (2 * m)))


@pytest.fixture(scope="module")
def tiny(random_game: Callable[..., TabularGame]) -> Tiny:
    game = random_game(11, discount=0.5, initial_local=FixedStart(np.array([0.3, 0.7])))
    rng = np.random.default_rng(5)
    pi_g = GlobalPolicy(table=rng.dirichlet([1, 1], (2, 2)), k=1, n_local_states=2, n_actions=2)
    return Tiny(game, pi_g, LocalPolicy(rng.dirichlet([1, 1], (2, 2))))


def g(**options: Any) -> Callable[[Tiny], Judged]:
    """G-LEARN's Q with two agents seen."""

    def judge(tiny: Tiny) -> Judged:
        found = agents.g_learn(tiny.game, tiny.pi_l, k=2, tolerance=1e-8, seed=0, **options)
        sampled = options.get("operator") == "monte_carlo"
        width = 4 if "tuple" in options.values() else 3
        sweeps = 60 if "resample" in options else 1  # each of fresh operators may err
        return found.q_values, tiny.q[2], tiny.noise(4 * width, n_operators=sweeps) if sampled else 2e-8

    return judge


def g_of_functions(tiny: Tiny) -> Judged:
    """Of a game that can only be sampled."""
    oracle = GenerativeGame.from_tables(tiny.game)
    found = agents.g_learn(oracle, tiny.pi_l, k=2, n_samples=M, seed=0, tolerance=1e-8)
    # Rewards of one draw of the agents' actions are averaged too: at most 1 of spread, m draws.
    spread = np.sqrt(np.log(2 * 12 / DELTA) / (2 * M)) / (1 - tiny.game.discount)
    return found.q_values, tiny.q[2], tiny.noise(12) + spread


def g_rounded(tiny: Tiny) -> Judged:
    """The authors' heuristic, with one agent seen: its expected histogram rounded is its likeliest state."""
    q, moves = np.zeros((2, 2, 2)), np.zeros((2, 2), dtype=int)
    for s_g, x in product(range(2), range(2)):
        moves[s_g, x] = int(np.argmax(tiny.pi_l.table[x, s_g] @ tiny.game.local_transition[x, s_g]))
    for _ in range(200):
        w = q.max(axis=2)
        for s_g, x, a_g in product(range(2), repeat=3):
            paid = tiny.game.global_reward[s_g, a_g] + tiny.pi_l.table[x, s_g] @ tiny.game.local_reward[x, s_g]
            ahead = tiny.game.global_transition[s_g, a_g] @ w[:, 1 - moves[s_g, x]]
            q[s_g, 1 - x, a_g] = paid + tiny.game.discount * ahead  # histogram (0, 1), of state 1, has rank 0
    return agents.g_learn(tiny.game, tiny.pi_l, k=1, operator="rounded", tolerance=1e-8).q_values, q, 2e-8


def linear(tiny: Tiny) -> Judged:
    """Indicator features can express every Q."""
    features = IndicatorFeatures.of(tiny.game, 2)
    found = agents.linear_g_learn(
        tiny.game, tiny.pi_l, features=features, k=2, states="all", ridge=0.0, tolerance=1e-10, seed=0
    )
    counts = enumerate_histograms(2, 2)
    q = [found.policy.q_values(np.full(3, s_g), counts) for s_g in range(2)]
    return q, tiny.q[2], 1e-7


def off_policy(tiny: Tiny) -> Judged:
    """5 standard deviations of asynchronous Q-learning's error, to first order (see surrogate_process).

    Its variance is at most t^-w times the noise / (2 (1 - gamma) f^w), f the rarest entry's frequency; the noise of an
    update is at most gamma^2 (max V - min V)^2 / 4 plus that of the reward, which is at most 1/4.
    """
    n_steps, w = 100_000, 0.7
    found = agents.off_policy_in_surrogate(tiny.game, tiny.pi_l, k=2, n_steps=n_steps, seed=0)
    gamma, values = tiny.game.discount, tiny.q[2].max(axis=2)
    noise = (gamma * np.ptp(values)) ** 2 / 4 + 1 / 4
    deviation = np.sqrt(n_steps**-w * noise / (2 * (1 - gamma) * found.n_min**w))
    return found.q_values, tiny.q[2], 5 * deviation


def mfq(**options: Any) -> Callable[[Tiny], Judged]:
    """SUBSAMPLE-MFQ with two agents, who are all commanded."""

    def judge(tiny: Tiny) -> Judged:
        found = agents.subsample_mfq(tiny.game, k=2, seed=0, tolerance=1e-8, **options)
        values = joint_control.state_values(tiny.game, 2, joint_control.planner_q(tiny.game, 2))
        sampled = options.get("operator") == "monte_carlo"
        return found.values, tiny.by_histogram(values, 2), tiny.noise(2 * 16 * 2) if sampled else 2e-8

    return judge


def mfq_played(tiny: Tiny) -> Judged:
    policy = agents.subsample_mfq(tiny.game, k=1, seed=0).policy
    exact = joint_control.execution_potential(
        tiny.game, policy.global_policy.probabilities(), policy.action_counts, 2, 1
    )
    found = agents.evaluate_mfq(tiny.game, policy, 2, horizon=HORIZON, n_rollouts=4000, seed=0)
    return found.mean, exact, 4.5 * found.standard_error


def aware_exact(tiny: Tiny) -> Judged:
    """The best of all sixteen maps, in the deployed game of two agents."""
    found = agents.observation_aware(tiny.game, tiny.pi_l, n_agents=2, k=1, method="exact", surrogate_size=2, seed=0)
    best = tiny.best_global(2)
    return [found.potential, tiny.phi(found.policy, tiny.pi_l, 2)], [best, best], ROUNDING


def aware_of_many(tiny: Tiny) -> Judged:
    """A crowd of two that stands for many: two agents are seen with replacement, and all 64 maps of them are tried."""
    options: dict[str, Any] = {"method": "exact", "surrogate_size": 2, "channel": "multinomial"}
    found = agents.observation_aware(tiny.game, tiny.pi_l, n_agents=1000, k=2, seed=0, **options)

    def phi(table: Any) -> float:
        seen = brute_force.global_law_with_replacement
        return brute_force.values(tiny.game, table, tiny.pi_l.table, 2, 2, seen=seen)[1]

    best = max(map(phi, brute_force.deterministic_global_policies(tiny.game, 2)))
    return [found.potential, phi(found.policy.probabilities())], [best, best], ROUNDING


def aware_rollouts(tiny: Tiny) -> Judged:
    found = agents.observation_aware(tiny.game, tiny.pi_l, n_agents=2, k=1, method="rollouts", seed=0)
    return found.potential, tiny.phi(found.policy, tiny.pi_l, 2), 4.5 * found.standard_error + 0.01


def best_map(method: str, **options: Any) -> Callable[[Tiny], Judged]:
    """What L-LEARN says its policy is worth, that policy's Phi, and the best map's, for two agents."""

    def judge(tiny: Tiny) -> Judged:
        found = agents.l_learn(tiny.game, tiny.pi_g, method=method, n_agents=2, seed=0, **options)
        best = tiny.best_local(2)
        return [found.value, tiny.phi(tiny.pi_g, found.policy, 2)], [best, best], 1e-4

    return judge


def best_map_of_all_seen(tiny: Tiny) -> Judged:
    """The paper's N = k: the dispatcher sees both of two agents."""
    table = np.random.default_rng(6).dirichlet([1, 1], (2, 3))
    pi_g = GlobalPolicy(table=table, k=2, n_local_states=2, n_actions=2)
    found = agents.l_learn(tiny.game, pi_g, method="shared_cpi", seed=0)
    best = brute_force.best_local_response(tiny.game, table, 2, 2)[1]
    return [found.value, tiny.phi(pi_g, found.policy, 2)], [best, best], 1e-4


def best_map_of_samples(tiny: Tiny) -> Judged:
    """Sampled kernels: the value they give is off by as much as theirs; the policy loses at most twice that."""
    found = agents.l_learn(
        tiny.game, tiny.pi_g, method="exhaustive", n_agents=2, operator="monte_carlo", n_samples=M, seed=0
    )
    return found.value, tiny.best_local(2), tiny.noise(2 * 3 * 16)


def tagged(tiny: Tiny) -> Judged:
    """One agent's best map while the other keeps pi_l."""
    found = agents.l_learn(tiny.game, tiny.pi_g, method="tagged", n_agents=2, start=tiny.pi_l, seed=0)
    deviator = Deviator(tiny.game, tiny.pi_g.probabilities(), tiny.pi_l.table, 2, 1)
    return [found.value, deviator.value(found.policy.table)], [deviator.best_map()] * 2, 1e-5


def one_agent_planned(method: str, **options: Any) -> Callable[[Tiny], Judged]:
    """On the chain of one replica the planner sees what the policy sees: the projection loses nothing."""

    def judge(tiny: Tiny) -> Judged:
        found = agents.l_learn(tiny.game, tiny.pi_g, method=method, n_agents=1, seed=0, **options)
        return tiny.phi(tiny.pi_g, found.policy, 1), tiny.best_local(1), 1e-6

    return judge


def chain_bound(tiny: Tiny) -> Judged:
    """The plan's upper bound is the optimum of the chain of two replicas, solved over all its states."""
    found = agents.l_learn(tiny.game, tiny.pi_g, method="chain_plan", n_agents=2, horizon=HORIZON, seed=0)
    table = tiny.pi_g.probabilities()
    states = chains.replica_states(tiny.game, 2)
    moves, rewards = chains.tables(tiny.game, states, lambda s, a: chains.replica_step(tiny.game, table, 1, s, a))
    discount = np.array([tiny.game.discount if h == 1 else 1.0 for h, *_ in states])
    values = np.zeros(len(states))
    for _ in range(2 * HORIZON):
        values = (rewards + discount[:, None] * (moves @ values)).max(axis=1)
    first = [i for i, (h, *_) in enumerate(states) if h == 0]
    start = brute_force.start_law(tiny.game, 2)
    order = [brute_force.joint_states(tiny.game, 2).index((states[i][1], *states[i][3])) for i in first]
    return found.upper_bound, float(start[order] @ values[first]), 1e-6


def mean_field(tiny: Tiny) -> Judged:
    """The authors' heuristic (SPEC 6.1); 10^5 draws leave an error of P_eff, which counts twice in the policy."""
    game, n_draws = tiny.game, 10**5
    found = agents.l_learn(game, tiny.pi_g, method="mean_field", start=tiny.pi_l, n_draws=n_draws, seed=0)
    average = sum(tiny.pi_l.table[:, s_g, a, None] * game.local_transition[:, s_g, a] for s_g in (0, 1) for a in (0, 1))
    crowd = np.full(2, 0.5) @ np.linalg.matrix_power(average / 2, 50)
    chosen = np.einsum("x,gxa->ga", crowd[::-1], tiny.pi_g.table)  # histogram (0, 1), of state 1, has rank 0
    law = np.einsum("ga,gap->gp", chosen, game.global_transition)
    q = np.zeros((2, 2, 2))  # [s_l, s_g, a_l]
    for _ in range(100):
        q = game.local_reward + game.discount * np.einsum("xgay,gp,yp->xga", game.local_transition, law, q.max(axis=2))
    temperature = max(0.3, float(np.ptp(q)) / 3)
    weights = np.exp(q / temperature)
    off = np.sqrt(np.log(2 * 2 / DELTA) / (2 * n_draws)) * np.ptp(q) / (1 - game.discount)
    return found.policy.table, weights / weights.sum(axis=2, keepdims=True), 2 * off / temperature


def decision_process() -> tuple[FiniteMDP, npt.NDArray[Any], npt.NDArray[Any]]:
    """Two states and actions, rewards in [0, 1]."""
    rng = np.random.default_rng(4)
    moves, rewards = rng.dirichlet([1, 1], (2, 2)), rng.random((2, 2))
    successors = np.tile(np.arange(2), (2, 2, 1))
    start = np.array([0.5, 0.5])
    return FiniteMDP(successors=successors, probabilities=moves, rewards=rewards, start=start), moves, rewards


def by_all_plans(moves: Any, rewards: Any, horizon: int) -> dict[tuple[int, ...], float]:
    """Value of every plan: action of (t, state), in that order."""
    found = {}
    for plan in product(range(2), repeat=2 * horizon):
        values = np.zeros(2)
        for t in reversed(range(horizon)):
            chosen = plan[2 * t : 2 * t + 2]
            values = np.array([rewards[s, chosen[s]] + moves[s, chosen[s]] @ values for s in range(2)])
        found[plan] = float(values.mean())
    return found


def planned(_: Tiny) -> Judged:
    mdp, moves, rewards = decision_process()
    plan = agents.backward_induction(mdp, 3)
    values = by_all_plans(moves, rewards, 3)
    own = agents.evaluate_nonstationary(mdp, plan.policy)
    return [plan.values[0].mean(), np.asarray(own)[0].mean()], [max(values.values())] * 2, 1e-12


def ucfh(_: Tiny) -> Judged:
    """Its optimistic value is above the optimum, and its plan is the best of all within the certified gap."""
    mdp, moves, rewards = decision_process()
    found = agents.ucfh(mdp, horizon=3, config=agents.UcfhConfig(max_episodes=3000), seed=0)
    values = by_all_plans(moves, rewards, 3)
    best, own = max(values.values()), values[tuple(found.policy.ravel().tolist())]
    assert found.pessimistic_value - ROUNDING <= own <= best <= found.optimistic_value + ROUNDING
    return own, best, min(found.certified_gap, 0.02)


def chain_value(tiny: Tiny) -> Judged:
    return LumpedChain.exact(tiny.game, tiny.pi_g, tiny.pi_l, 3).potential, tiny.phi(tiny.pi_g, tiny.pi_l, 3), ROUNDING


def rollouts(tiny: Tiny) -> Judged:
    found = agents.evaluate(tiny.game, tiny.pi_g, tiny.pi_l, 3, horizon=HORIZON, n_rollouts=4000, seed=0)
    return found.mean, tiny.phi(tiny.pi_g, tiny.pi_l, 3), 4.5 * found.standard_error


def nash(tiny: Tiny) -> Judged:
    """Brackets hold the gains of all maps; those of the global agent's upper end are full information's."""
    gap = agents.nash_gap(tiny.game, tiny.pi_g, tiny.pi_l, n_agents=2, seed=0)
    phi = tiny.phi(tiny.pi_g, tiny.pi_l, 2)
    full = brute_force.optimal_potential(tiny.game, tiny.pi_l.table, 2)
    assert gap.global_gap.lower - ROUNDING <= tiny.best_global(2) - phi <= gap.global_gap.upper + ROUNDING
    assert gap.local_gap.lower - ROUNDING <= tiny.best_local(2) - phi <= gap.local_gap.upper + ROUNDING
    found = [gap.potential, gap.global_gap.lower, gap.global_gap.upper, gap.local_gap.lower]
    return found, [phi, tiny.best_global(2) - phi, full - phi, tiny.best_local(2) - phi], 1e-4


def alternated(model: type[Any]) -> Callable[[Tiny], Judged]:
    """One agent, seen: the pair learned is an equilibrium, by trying every deviation of either player."""

    def judge(tiny: Tiny) -> Judged:
        env = SubsampleObservation(PopulationEnv(tiny.game, 1), k=1)
        learned = model(env, AlternatingConfig(evaluation="exact", eta=1e-6), seed=0)
        learned.learn()
        pi_g, pi_l = learned.global_policy, learned.local_policy
        local = brute_force.best_local_response(tiny.game, pi_g.probabilities(), 1, 1)[1]
        own = tiny.phi(pi_g, pi_l, 1)
        return [own, own], [local, brute_force.optimal_potential(tiny.game, pi_l.table, 1)], 1e-4

    return judge


TABLE: dict[str, Callable[[Tiny], Judged]] = {
    "g_learn, exact": g(operator="exact"),
    "g_learn, exact, tuples": g(operator="exact", parameterisation="tuple"),
    "g_learn, exact, the paper's rule": g(operator="exact", parameterisation="paper"),
    "g_learn, sampled": g(operator="monte_carlo", n_samples=M),
    "g_learn, sampled, tuples": g(operator="monte_carlo", n_samples=M, parameterisation="tuple"),
    "g_learn, s_g' sampled too": g(operator="monte_carlo", n_samples=M, sample_global=True),
    "g_learn, samples afresh": g(operator="monte_carlo", n_samples=M, resample="each_sweep", max_iterations=60),
    "g_learn, a game of functions": g_of_functions,
    "g_learn, rounded": g_rounded,
    "linear_g_learn, indicators": linear,
    "off_policy_in_surrogate": off_policy,
    "subsample_mfq, joint counts": mfq(parameterisation="joint_counts"),
    "subsample_mfq, Algorithm 1": mfq(parameterisation="algorithm1"),
    "subsample_mfq, Algorithm 2": mfq(parameterisation="algorithm2"),
    "subsample_mfq, sampled": mfq(operator="monte_carlo", n_samples=M),
    "evaluate_mfq": mfq_played,
    "observation_aware, exact": aware_exact,
    "observation_aware, a crowd for many": aware_of_many,
    "observation_aware, rollouts": aware_rollouts,
    "l_learn, exhaustive": best_map("exhaustive"),
    "l_learn, exhaustive, sampled": best_map_of_samples,
    "l_learn, shared_coord": best_map("shared_coord"),
    "l_learn, shared_cpi (deployed: all agents)": best_map("shared_cpi"),
    "l_learn, shared_cpi (the paper's N = k)": best_map_of_all_seen,
    "l_learn, tagged": tagged,
    "l_learn, chain_plan": one_agent_planned("chain_plan", horizon=HORIZON),
    "l_learn, chain_plan, its bound": chain_bound,
    "l_learn, ucfh": one_agent_planned("ucfh", horizon=12, max_episodes=2000),
    "l_learn, mean_field": mean_field,
    "backward_induction, evaluate_nonstationary": planned,
    "ucfh": ucfh,
    "LumpedChain": chain_value,
    "evaluate": rollouts,
    "nash_gap": nash,
    "AlternatingMARL": alternated(AlternatingMARL),
    "MultiStart": alternated(MultiStart),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_learner_agrees_with_the_oracle(tiny: Tiny, name: str) -> None:
    found, expected, tolerance = TABLE[name](tiny)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_sampled_learners_are_judged_by_tolerances_that_mean_something(tiny: Tiny) -> None:
    """Other policies of the fleet move Q by more than samples may."""
    other = brute_force.optimal_q(tiny.game, 1 - tiny.pi_l.table, 2)
    assert np.abs(tiny.by_histogram(other, 2) - tiny.q[2]).max() > 0
    assert tiny.noise(12) < 0.3 * np.ptp(tiny.q[2])
