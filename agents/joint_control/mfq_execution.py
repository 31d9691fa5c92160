r"""Execution of a joint policy of k agents by n agents (SUBSAMPLE-MFQ paper, Algorithm 3), and its value.

A joint policy maps (s_g, F), F the histogram of k agents, to a global action and to action counts N[x, a]: how many of
the F_x agents in state x take action a. In the deployed game of n agents nobody sees everybody:

    the global agent   draws k of the n agents and plays its part of pi(s_g, F)
    local agent i      draws k-1 of the other n-1 agents, counts itself in, and takes its part of pi(s_g, s_i, F_i)

Each draws a sample of its own. Agents in one state are interchangeable, so agent i's part is one of two `filling`s:

    "proportional"     a with probability N[s_i, a] / F_i(s_i)
    "lexicographic"    the lowest a with N[s_i, a] > 0: agent i lists itself first and actions are handed out in
                       ascending order, the argmax of Algorithm 2's table under the lowest-index rule

A sample drawn by an agent in state x is a k-sample of the whole population given that it holds this agent, so that an
expectation over it weights the hypergeometric law O(F | c) by F_x n / (k c_x). With M[x, a] = N[x, a], or F_x on the
lowest action used, the law of the action of an agent in state x is therefore

    q(a | x, s_g, c) = n / (k c_x) sum_F O(F | c) M(s_g, F)[x, a],

one product of matrices whatever n is. Given (s_g, c) the samples are independent, hence so are the actions: q drives
the lumped simulator, exactly in law.

Everyone here samples full states (s_j of other agents), which the environments do not show to local agents. It is a
full-information reference, no member of the class of pairs (pi_g, pi_l) that `evaluate` plays.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kofn.agents.evaluation import BATCH, Evaluation
from kofn.envs.arguments import check_fields, checked_types
from kofn.envs.arrays import FloatArray, IntArray, as_array, first_index, freeze, integer, one_of, restore_frozen
from kofn.envs.histograms import enumerate_histograms
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy
from kofn.envs.population import MAX_AGENTS, count_states, sample_without_replacement
from kofn.envs.simulator import LumpedSimulator
from kofn.envs.streams import Seed, Streams

Filling = Literal["proportional", "lexicographic"]
FILLINGS = ("proportional", "lexicographic")

MAX_LAW_ENTRIES = 2**23
"""Populations times histograms for which sampling laws are tabulated at once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class JointPolicy:
    """What k agents and the global agent do together.

    Args:
        global_policy: the global agent's part, which sees the k agents.
        action_counts: N, how many agents of each state take each action, int64 [s_g, histogram, s_l, a_l]; histograms
            in rank order, and N summed over a_l is the histogram.

    Raises:
        TypeError: `action_counts` are not integers.
        ValueError: wrong shape, a negative count, or counts that do not add up to the histogram.
    """

    global_policy: GlobalPolicy
    action_counts: IntArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        check_fields(self, "global_policy")
        counts = np.array(as_array("action_counts", self.action_counts))
        if not np.issubdtype(counts.dtype, np.integer):
            raise TypeError(f"action_counts must be integers; got {counts.dtype}")
        histograms = enumerate_histograms(self.k, self.global_policy.n_local_states)
        wanted = (self.global_policy.n_global_states, *histograms.shape)
        if counts.ndim != 4 or counts.shape[:3] != wanted or counts.shape[3] == 0:
            raise ValueError(
                f"action_counts must have shape [s_g, histogram, s_l, a_l] = [{', '.join(map(str, wanted))}, any]; "
                f"got {list(counts.shape)}"
            )
        if counts.min() < 0:
            index = first_index(counts < 0)
            raise ValueError(f"action_counts must be nonnegative; entry {list(index)} is {counts[index]}")
        off = counts.sum(axis=3) != histograms
        if off.any():
            index = first_index(off)
            raise ValueError(
                f"action_counts must add up to the histogram's {histograms[index[1:]]} agents in entry {list(index)}; "
                f"they are {counts[index].tolist()}"
            )
        freeze(counts)
        object.__setattr__(self, "action_counts", counts)

    @property
    def k(self) -> int:
        """Number of agents in a sample."""
        return self.global_policy.k

    def check_fits(self, game: Game, n_agents: int) -> None:
        """Raise ValueError unless the policy's sizes are those of the game, and k <= n_agents."""
        self.global_policy.check_fits(game, n_agents)
        found = self.action_counts.shape[3]
        if found != game.n_local_actions:
            raise ValueError(f"the joint policy must have the game's |A_l| = {game.n_local_actions}; it has {found}")

    def weights(self, filling: Filling = "proportional") -> FloatArray:
        """M, float [s_g, histogram, s_l, a_l]: expected counts of the actions when each agent takes its own part."""
        if one_of("filling", filling, FILLINGS) == "proportional":
            return self.action_counts.astype(np.float64)
        lowest = (self.action_counts > 0).argmax(axis=3)
        chosen = np.eye(self.action_counts.shape[3])[lowest]
        return np.asarray(chosen * self.action_counts.sum(axis=3, keepdims=True))

    def act(
        self,
        global_states: IntArray,
        local_states: IntArray,
        rng: np.random.Generator,
        filling: Filling = "proportional",
    ) -> tuple[IntArray, IntArray]:
        """Everybody's actions in full view of the states, each agent drawing a sample of its own.

        Args:
            global_states: int64 [population].
            local_states: states of the individuals, int64 [population, agent], at least k agents.
            rng: draws samples and actions.
            filling: how an agent finds its part (module docstring).

        Returns:
            Global actions [population] and local actions [population, agent].
        """
        counts = count_states(local_states, self.global_policy.n_local_states)
        seen = sample_without_replacement(rng, counts, self.k)
        global_actions = self.global_policy.act(global_states, seen, rng)
        laws = action_laws(self.weights(filling), global_states, counts, self.k)
        thresholds = cumulative_thresholds(laws)[np.arange(len(counts))[:, None], local_states]
        return global_actions, sample_rows(rng.random(local_states.shape), thresholds)


def sampling_law(counts: IntArray, k: int) -> FloatArray:
    """O(F | c), float [population, histogram], for populations `counts` [population, s_l] of at least k agents.

    Binomial coefficients come from the factors c (c-1) .. (c-F+1), which keep their precision at 10^12 agents.
    """
    drawn = np.arange(k)
    left = counts[:, :, None] - drawn
    factors = np.log(left / (drawn + 1), out=np.full(left.shape, -np.inf), where=left > 0)
    log_choose = np.concatenate([np.zeros((*counts.shape, 1)), np.cumsum(factors, axis=2)], axis=2)
    log_weights = np.zeros((len(counts), 1))
    for x, agents in enumerate(enumerate_histograms(k, counts.shape[1]).T):
        log_weights = log_weights + log_choose[:, x, agents]
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    law: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return law


def action_laws(weights: FloatArray, global_states: IntArray, counts: IntArray, k: int) -> FloatArray:
    """q(a | x, s_g, c), float [population, s_l, a_l]; zero where nobody is in state x.

    Args:
        weights: M, float [s_g, histogram, s_l, a_l].
        global_states: int64 [population].
        counts: c, int64 [population, s_l].
        k: number of agents in a sample.
    """
    seen = sampling_law(counts, k)
    _, n_histograms, *cells = weights.shape
    expected = np.empty((len(counts), *cells))
    for s_g, table in enumerate(weights):
        here = global_states == s_g
        expected[here] = (seen[here] @ table.reshape(n_histograms, -1)).reshape(-1, *cells)
    totals = expected.sum(axis=2, keepdims=True)
    return np.asarray(np.divide(expected, totals, out=np.zeros_like(expected), where=totals > 0))


@checked_types
def evaluate_mfq(
    game: Game,
    policy: JointPolicy,
    n_agents: int,
    *,
    horizon: int = 100,
    n_rollouts: int = 1000,
    seed: Seed = None,
    filling: Filling = "proportional",
) -> Evaluation:
    """Discounted returns of a joint policy executed by n agents; the cost does not depend on n.

    With the seed of an `evaluate` the rollouts meet the same starts, global noise and samples of the global agent.

    Args:
        game: the game.
        policy: joint policy of k agents.
        n_agents: n, from k to 10^12.
        horizon: H.
        n_rollouts: rollouts.
        seed: source of all randomness.
        filling: how a local agent finds its part of the action counts, "proportional" or "lexicographic".

    Raises:
        TypeError, ValueError: an argument out of range or a policy that does not fit the game.
    """
    n_agents = integer("n_agents", n_agents, 1, MAX_AGENTS)
    policy.check_fits(game, n_agents)
    horizon = integer("horizon", horizon, 1)
    left = integer("n_rollouts", n_rollouts, 1)
    weights = policy.weights(filling)
    streams = Streams.from_seed(seed)
    batch = min(BATCH, max(1, MAX_LAW_ENTRIES // weights.shape[1]))
    returns = []
    while left > 0:
        simulator = LumpedSimulator(game, n_agents, n_populations=min(left, batch))
        returns.append(_rollouts(simulator, policy.global_policy, weights, horizon, streams))
        left -= simulator.n_populations
    return Evaluation(returns=np.concatenate(returns), n_agents=n_agents, k=policy.k, horizon=horizon, seed=seed)


def _rollouts(
    simulator: LumpedSimulator,
    global_policy: GlobalPolicy,
    weights: FloatArray,
    horizon: int,
    streams: Streams,
) -> FloatArray:
    """Discounted returns of one batch of rollouts."""
    simulator.reset(streams)
    returns = np.zeros(simulator.n_populations)
    for t in range(horizon):
        seen = sample_without_replacement(streams.sampling, simulator.counts, global_policy.k)
        actions = global_policy.act(simulator.global_states, seen, streams.policy)
        laws = action_laws(weights, simulator.global_states, simulator.counts, global_policy.k)
        returns += simulator.game.discount**t * simulator.step_choices(actions, laws).team_reward
    return returns
