r"""Monte Carlo value of a pair of policies whose global agent does not see all agents alike (paper, Appendix H).

As `kofn.agents.evaluation`, with the k agents of every step drawn by a sampler (`kofn.wrappers.samplers`). A policy
trained for uniform samples can so be valued where near agents are seen more often, or strata in proportion. Samplers
that draw from counts run on the lumped simulator, at a cost that does not depend on n; any other one is asked for
individuals, population by population.
"""

import numpy as np

from kofn.agents.evaluation import BATCH, Evaluation
from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import MAX_AGENTS, count_states
from kofn.envs.simulator import IndividualSimulator, LumpedSimulator, Payment
from kofn.envs.streams import Seed, Streams
from kofn.wrappers.samplers import CountSampler, Sampler, as_sampler, draw_agents

MAX_INDIVIDUALS = 4_000_000
"""Agents kept one by one at once, bounding memory."""

Simulator = LumpedSimulator | IndividualSimulator


def evaluate_sampled(
    game: Game,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    n_agents: int,
    sampler: Sampler | str,
    *,
    horizon: int = 100,
    n_rollouts: int = 1000,
    seed: Seed = None,
) -> Evaluation:
    """Discounted returns of (global_policy, local_policy) when a sampler draws the agents seen.

    Args:
        game: the game.
        global_policy: pi_g, which observes `global_policy.k` agents.
        local_policy: pi_l, shared by all local agents.
        n_agents: n.
        sampler: draws the agents seen.
        horizon: H.
        n_rollouts: rollouts.
        seed: source of all randomness; equal seeds give common random numbers.

    Raises:
        TypeError, ValueError: an argument out of range, policies that do not fit, or a sampler that returns anything
            but k different agents.
    """
    sampler = as_sampler(sampler)
    n_agents = integer("n_agents", n_agents, 1, MAX_AGENTS)
    global_policy.check_fits(game, n_agents)
    local_policy.check_fits(game)
    horizon = integer("horizon", horizon, 1)
    left = integer("n_rollouts", n_rollouts, 1)
    lumped = isinstance(sampler, CountSampler)
    batch = BATCH if lumped else max(1, min(BATCH, MAX_INDIVIDUALS // n_agents))
    streams, returns = Streams.from_seed(seed), []
    while left > 0:
        size = min(left, batch)
        kind = LumpedSimulator if lumped else IndividualSimulator
        simulator = kind(game, n_agents, n_populations=size)
        returns.append(_rollouts(simulator, global_policy, local_policy, sampler, horizon, streams))
        left -= size
    return Evaluation(returns=np.concatenate(returns), n_agents=n_agents, k=global_policy.k, horizon=horizon, seed=seed)


def _rollouts(
    simulator: Simulator,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    sampler: Sampler,
    horizon: int,
    streams: Streams,
) -> FloatArray:
    """Discounted returns of one batch of rollouts."""
    simulator.reset(streams)
    returns = np.zeros(simulator.n_populations)
    for t in range(horizon):
        seen = _seen(simulator, sampler, global_policy.k, streams.sampling)
        actions = global_policy.act(simulator.global_states, seen, streams.policy)
        payment = _step(simulator, actions, local_policy, streams)
        returns += simulator.game.discount**t * payment.team_reward
    return returns


def _seen(simulator: Simulator, sampler: Sampler, k: int, rng: np.random.Generator) -> IntArray:
    """Histograms of the k agents seen, int64 [population, s_l]."""
    if isinstance(simulator, LumpedSimulator):
        assert isinstance(sampler, CountSampler)  # or the simulator would keep individuals
        return sampler.from_counts(rng, simulator.counts, simulator.global_states, k)
    populations = zip(simulator.local_states, simulator.global_states, strict=True)
    seen = [states[draw_agents(sampler, rng, states, s_g, k)] for states, s_g in populations]
    return count_states(np.stack(seen), simulator.game.n_local_states)


def _step(simulator: Simulator, actions: IntArray, local_policy: LocalPolicy, streams: Streams) -> Payment:
    """Every agent acts by `local_policy`."""
    if isinstance(simulator, LumpedSimulator):
        return simulator.step(actions, local_policy.table)
    chosen = local_policy.act(simulator.local_states, simulator.global_states[:, None], streams.policy)
    return simulator.step(actions, chosen)
