r"""Monte Carlo value of a pair of policies whose global agent does not see all agents alike (paper, Appendix H).

As `kofn.agents.evaluation`, with the k agents of every step drawn by a sampler (`kofn.wrappers.samplers`). A policy
trained for uniform samples can so be valued where near agents are seen more often, or strata in proportion. Samplers
that draw from counts run on the lumped simulator, at a cost that does not depend on n; any other one is asked for
individuals, population by population.
"""

from typing import Any

import numpy as np

from kofn.agents.evaluation import BATCH, Evaluation, evaluate
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, integer
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import MAX_AGENTS
from kofn.envs.simulator import LocalTiming
from kofn.envs.streams import Seed, Streams
from kofn.wrappers.sampled_population import SampledPopulation, check_sampler, draw_histograms
from kofn.wrappers.samplers import Sampler, Uniform, as_sampler, draws_from_counts

MAX_INDIVIDUALS = 4_000_000
"""Agents kept one by one at once, bounding memory."""


@checked_types
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
    local_timing: LocalTiming = "paper",
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
        local_timing: as in `evaluate`.

    Raises:
        TypeError, ValueError: an argument out of range, policies that do not fit, or a sampler that returns anything
            but k different agents.
    """
    sampler = as_sampler(sampler)
    if isinstance(sampler, Uniform):
        options: dict[str, Any] = {"horizon": horizon, "n_rollouts": n_rollouts, "local_timing": local_timing}
        return evaluate(game, global_policy, local_policy, n_agents, seed=seed, **options)
    check_sampler(sampler, game)
    n_agents = integer("n_agents", n_agents, 1, MAX_AGENTS)
    global_policy.check_fits(game, n_agents)
    local_policy.check_fits(game)
    horizon = integer("horizon", horizon, 1)
    left = integer("n_rollouts", n_rollouts, 1)
    batch = BATCH if draws_from_counts(sampler) else max(1, min(BATCH, MAX_INDIVIDUALS // n_agents))
    streams, returns = Streams.from_seed(seed), []
    while left > 0:
        size = min(left, batch)
        population = SampledPopulation(game, n_agents, sampler, n_populations=size, local_timing=local_timing)
        returns.append(_rollouts(population, global_policy, local_policy, sampler, horizon, streams))
        left -= size
    return Evaluation(returns=np.concatenate(returns), n_agents=n_agents, k=global_policy.k, horizon=horizon, seed=seed)


def _rollouts(
    population: SampledPopulation,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    sampler: Sampler,
    horizon: int,
    streams: Streams,
) -> FloatArray:
    """Discounted returns of one batch of rollouts."""
    population.reset(streams)
    game, k = population.simulator.game, global_policy.k
    returns = np.zeros(population.simulator.n_populations)
    for t in range(horizon):
        states = population.global_states
        seen = draw_histograms(sampler, streams.sampling, k, population.counts(), population.individuals(), states)
        payment = population.step(global_policy.act(states, seen, streams.policy), local_policy.table)
        returns += game.discount**t * payment.team_reward
    return returns
