r"""Monte Carlo value of a pair of policies of a continuous game, deployed with n agents.

As `kofn.agents.evaluation`, agent by agent: the cost grows with n, some fifty nanoseconds per agent and step. At each
step the global agent sees k distinct agents drawn afresh: how many are in each bin, or, where it is linear in features
of their places (`LinearGlobalPolicy`), every one. Equal seeds give common random numbers: the same starts, noise and
samples for every pair.
"""

import numpy as np

from kofn.agents.evaluation import Evaluation
from kofn.agents.global_response.linear_rollouts import look
from kofn.agents.line_table import TabulatedLocalPolicy
from kofn.envs.arrays import FloatArray, integer
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.line_policies import LineGlobalPolicy, LineLocalPolicy, MlpLocalPolicy
from kofn.envs.observations import Summary
from kofn.envs.population import MAX_AGENTS
from kofn.envs.streams import Seed, Streams

MAX_INDIVIDUALS = 200_000
"""Agents simulated at once where a population is smaller, so that their states stay in the cache."""


def evaluate_line(
    game: ContinuousGame,
    global_policy: LineGlobalPolicy,
    local_policy: LineLocalPolicy,
    n_agents: int,
    *,
    horizon: int = 50,
    n_rollouts: int = 1000,
    seed: Seed = None,
    deterministic: bool = True,
) -> Evaluation:
    """Discounted returns of (global_policy, local_policy) in the game of n agents.

    Args:
        game: the game.
        global_policy: pi_g, which observes `global_policy.k` agents.
        local_policy: pi_l, shared by all local agents; networks are tabulated (see `kofn.agents.line_table`).
        n_agents: n, at least k.
        horizon: H.
        n_rollouts: rollouts.
        seed: source of all randomness; equal seeds give common random numbers.
        deterministic: take each policy's most likely action (as the authors evaluate); otherwise draw.

    Raises:
        TypeError, ValueError: an argument out of range, or policies that do not fit the game.
    """
    n_agents = integer("n_agents", n_agents, 1, MAX_AGENTS)
    integer("k", global_policy.k, 1, n_agents)
    horizon = integer("horizon", horizon, 1)
    left = integer("n_rollouts", n_rollouts, 1)
    acting = acting_policy(local_policy, game)
    streams, returns = Streams.from_seed(seed), []
    while left > 0:
        size = min(left, max(1, MAX_INDIVIDUALS // n_agents))
        simulator = ContinuousSimulator(game, n_agents, n_populations=size)
        returns.append(_rollouts(simulator, global_policy, acting, horizon, streams, deterministic))
        left -= size
    return Evaluation(returns=np.concatenate(returns), n_agents=n_agents, k=global_policy.k, horizon=horizon, seed=seed)


def acting_policy(policy: LineLocalPolicy, game: ContinuousGame) -> LineLocalPolicy:
    """The policy in the form that acts fastest."""
    return TabulatedLocalPolicy.of(policy, game) if isinstance(policy, MlpLocalPolicy) else policy


def _rollouts(
    simulator: ContinuousSimulator,
    global_policy: LineGlobalPolicy,
    local_policy: LineLocalPolicy,
    horizon: int,
    streams: Streams,
    deterministic: bool,
) -> FloatArray:
    """Discounted returns of one batch of rollouts."""
    simulator.reset(streams)
    returns = np.zeros(simulator.n_populations)
    rng = None if deterministic else streams.policy
    features = getattr(global_policy, "features", None)
    summary: Summary = features.summary if features is not None else "histogram"
    for t in range(horizon):
        seen = look(simulator, global_policy.k, summary, streams.sampling)
        a_g = global_policy.act(simulator.global_states, seen, rng)
        a_l = local_policy.act(simulator.local_states, simulator.global_states[:, None], rng)
        returns += simulator.game.discount**t * simulator.step(a_g, a_l).team_reward
    return returns
