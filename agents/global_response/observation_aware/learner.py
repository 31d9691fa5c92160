r"""Observation-aware response of the global agent: the best it can do knowing that it sees only k of n agents.

G-LEARN is greedy on values of a game in which the k agents seen ARE the population, and so chases what is only noise of
sampling. The response sought here maximises Phi of the game that is played, over memoryless policies of (s_g, F):

    A(s_g, F, a) = sum_c d(s_g, c) O(F | c) Q(s_g, c, a) = dPhi/dpi_g(a | s_g, F),

c the whole crowd, O the channel through which k of it are seen, d the discounted occupancy, Q the action values.
Entries switch to the action of largest A, all promising ones at once or fewer, whichever raises Phi first. (All at once
can cycle.) Phi never decreases; the end is a policy that no tried switch improves.

    exact      on the lumped chain of m agents, by `climb_global`: m = k without replacement is the paper's game, where
               this is G-LEARN; m = n is the game played; m < n with the multinomial channel stands for a large n
    rollouts   in the game of n agents, by `simulated_climb`: any n and k. Where k agents have too many histograms for a
               table, what is seen is rounded to a histogram of fewer (`coarse_policy`)

The climb begins at the best of: the current policy, "keep", the constants, and, where that is cheap, hysteresis on
G-LEARN's values with several margins, margin 0 being G-LEARN's policy. By the exact method it never ends below any of
them in the game of m agents. By rollouts it plays tables of actions only: a current policy that mixes actions enters as
its most likely ones, and one of finer histograms than the table's rounded. On the judging rollouts the end is below
none of these tables, but it can be below the current policy itself; UPDATE refuses it then.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from kofn.agents.exact_operator import exact_operators
from kofn.agents.global_response.g_learn import g_learn
from kofn.agents.global_response.global_search import climb_global
from kofn.agents.global_response.observation_aware.coarse_policy import CoarseGlobalPolicy, coarse_histograms
from kofn.agents.global_response.observation_aware.config import (
    AwareMethod,
    ObservationAwareConfig,
    ObservationAwareOptions,
)
from kofn.agents.global_response.observation_aware.simulated_climb import climb_by_rollouts
from kofn.agents.global_response.observation_aware.simulation import CrowdGame
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.observation_channel import Channel
from kofn.agents.operators import induced_transition
from kofn.agents.starts import MARGINS, hysteresis
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import IntArray, integer
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.histograms import enumerate_histograms, n_histograms, rank_histograms
from kofn.envs.model import Sizes
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

GAME_STREAM, GREEDY_STREAM, CLIMB_STREAM = range(3)

SMALL_CHAIN = 500
"""Histograms up to which the chain of m agents is solved by default: dense kernels of a few MB."""

MAX_COLUMNS = 50_000
"""Histograms up to which the policy found by rollouts has a column for each."""

CHEAP_GREEDY = 300
"""Histograms of k agents up to which G-LEARN's values are worth their time as a start."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ObservationAwareResult:
    """Outcome of `observation_aware`.

    Attributes:
        policy: pi_g, a GlobalPolicy; a CoarseGlobalPolicy where k agents have more than 50,000 histograms.
        potential: its Phi on the chain of m agents; or by rollouts an estimate with more errors than `standard_error`
            says: only the first H steps count, gamma^H <= 0.01 (at most 1% of the largest |r|/(1-gamma) is left out,
            and missing where rewards are positive); above 200 agents the limit n -> infinity is played, O(n^{-1/2})
            off; and the policy was chosen on the same rollouts.
        standard_error: of the mean over these rollouts (0: exact).
        method: "exact" or "rollouts".
        surrogate_size: m; n for rollouts.
        channel: how k agents were seen.
        n_iterations: accepted steps.
        converged: whether no switch that was tried raises Phi.
        certificate: first-order gap max <pi - pi_g, dPhi/dpi_g> at the end; by rollouts an estimate, inflated by noise.
        config: the settings asked for.
        wall_time: seconds.
    """

    policy: Any
    potential: float
    standard_error: float
    method: str
    surrogate_size: int
    channel: Channel
    n_iterations: int
    converged: bool
    certificate: float
    config: ObservationAwareConfig
    wall_time: float


@checked_types
def observation_aware(
    game: TabularGame | GenerativeGame,
    local_policy: LocalPolicy,
    *,
    n_agents: int,
    k: int,
    start: GlobalPolicy | None = None,
    seed: Seed = None,
    **options: Unpack[ObservationAwareOptions],
) -> ObservationAwareResult:
    """The global agent's response to a fixed fleet in the game of n agents of which it sees k.

    Args:
        game: the game; of a generative one, `n_samples` draws per row are taken and the empirical game is solved.
        local_policy: pi_l, held fixed.
        n_agents: n.
        k: agents seen per step.
        start: the current pi_g, one of the candidates from the best of which the climb begins; by rollouts its most
            likely actions.
        seed: source of all randomness.
        **options: fields of `ObservationAwareConfig`.

    Raises:
        TypeError, ValueError: an argument out of range, or policies of another game.
    """
    began = time.perf_counter()
    config = ObservationAwareConfig(**options)
    n_agents = integer("n_agents", n_agents, 1)
    k = integer("k", k, 1, n_agents)
    root = seed_sequence(seed)
    if isinstance(game, GenerativeGame):
        game = sampled_game(game, config.n_samples, child(root, GAME_STREAM))
    local_policy.check_fits(game)
    method, size = plan_response(game, n_agents, config)
    shown = resolution(game, k, config) if method == "rollouts" else k
    if start is not None:
        start.check_fits(game)
        start = rounded(start, shown)
    starts = _candidates(game, local_policy, shown, start, child(root, GREEDY_STREAM))
    solve = _exact if method == "exact" else _by_rollouts
    found = solve(game, local_policy, starts, (n_agents, size, k), config, child(root, CLIMB_STREAM))
    return ObservationAwareResult(**found, method=method, config=config, wall_time=time.perf_counter() - began)


def plan_response(game: TabularGame, n_agents: int, config: ObservationAwareConfig) -> tuple[AwareMethod, int]:
    """("exact", m) or ("rollouts", n), as `ObservationAwareConfig` says."""
    whole = n_histograms(n_agents, game.n_local_states) <= SMALL_CHAIN
    if config.method == "rollouts" or (config.method == "auto" and config.surrogate_size is None and not whole):
        return "rollouts", n_agents
    if config.surrogate_size is not None:
        integer("surrogate_size", config.surrogate_size, 1, n_agents)
    if config.resolution is not None:
        raise ValueError(f"resolution={config.resolution} is for method='rollouts'; this game is solved exactly")
    return "exact", config.surrogate_size if config.surrogate_size is not None else small_size(game, n_agents)


def resolution(game: Sizes, k: int, config: ObservationAwareConfig) -> int:
    """J of the table by rollouts."""
    if config.resolution is not None:
        return min(k, config.resolution)
    shown = 1
    while shown < k and n_histograms(shown + 1, game.n_local_states) <= MAX_COLUMNS:
        shown += 1
    return shown


def rounded(policy: GlobalPolicy, shown: int) -> GlobalPolicy:
    """The policy on histograms of `shown` agents that answers as the given one does to the nearest ones of its own."""
    if policy.k == shown:
        return policy
    scaled = coarse_histograms(enumerate_histograms(shown, policy.n_local_states), shown, policy.k)
    return replace(policy, table=policy.table[:, rank_histograms(scaled)], k=shown)


def small_size(game: Sizes, n_agents: int) -> int:
    """The largest m <= n whose chain is small, at least 1."""
    size = 1
    while size < n_agents and n_histograms(size + 1, game.n_local_states) <= SMALL_CHAIN:
        size += 1
    return size


def _candidates(
    game: TabularGame, local_policy: LocalPolicy, k: int, start: GlobalPolicy | None, seed: np.random.SeedSequence
) -> Iterator[GlobalPolicy]:
    """Where the climb may begin."""
    if start is not None:
        yield start
    yield GlobalPolicy.named("keep", game, k)
    for action in range(game.n_global_actions):
        yield GlobalPolicy.constant(game, k, action)
    if n_histograms(k, game.n_local_states) <= CHEAP_GREEDY:
        values = g_learn(game, local_policy, k=k, seed=seed).q_values
        for margin in MARGINS:
            yield hysteresis(game, values, k, margin * game.value_bound)


Numbers = tuple[int, int, int]
"""(n, m, k)."""


def _exact(
    game: TabularGame,
    local_policy: LocalPolicy,
    starts: Iterator[GlobalPolicy],  # solved for one by one, and not before it is known that the kernels fit
    sizes: Numbers,
    config: ObservationAwareConfig,
    seed: np.random.SeedSequence,  # noqa: ARG001  # nothing is drawn; one signature with `_by_rollouts`
) -> dict[str, Any]:
    n_agents, size, _ = sizes
    channel: Channel = "without_replacement" if size == n_agents else "multinomial"
    channel = config.channel if config.channel is not None else channel
    kernels = exact_operators(induced_transition(game, local_policy), size)

    def build(policy: GlobalPolicy) -> LumpedChain:
        return LumpedChain(game, policy, local_policy, kernels, size, channel)

    best = max(starts, key=lambda policy: build(policy).potential)
    climbed = climb_global(build, best, max_steps=config.max_iterations)
    chain = build(climbed.policy)
    gradient, table = chain.global_gradient(), climbed.policy.probabilities()
    policy = _as_actions(climbed.policy)
    return {
        "policy": policy,
        "potential": climbed.potential,
        "standard_error": 0.0,
        "surrogate_size": size,
        "channel": channel,
        "n_iterations": climbed.n_iterations,
        "converged": climbed.converged,
        "certificate": float((gradient.max(axis=2) - (table * gradient).sum(axis=2)).sum()),
    }


def _as_actions(policy: GlobalPolicy) -> GlobalPolicy:
    """The same policy as a table of actions where no row mixes them."""
    if policy.deterministic or policy.table.max(axis=2).min() < 1:
        return policy
    return _of_actions(policy.table.argmax(axis=2), policy)


def _of_actions(table: IntArray, like: GlobalPolicy) -> GlobalPolicy:
    return GlobalPolicy(table=table, k=like.k, n_local_states=like.n_local_states, n_actions=like.n_actions)


def _by_rollouts(
    game: TabularGame,
    local_policy: LocalPolicy,
    starts: Iterator[GlobalPolicy],
    sizes: Numbers,
    config: ObservationAwareConfig,
    seed: np.random.SeedSequence,
) -> dict[str, Any]:
    n_agents, _, k = sizes
    policies = list(starts)
    shown = policies[0].k
    crowd = CrowdGame(game=game, local_policy=local_policy, n_agents=n_agents, k=k, seed=seed, resolution=shown)
    tables = [np.asarray(start.probabilities().argmax(axis=2), dtype=np.int64) for start in policies]
    climbed = climb_by_rollouts(
        crowd,
        tables,
        n_rollouts=config.n_rollouts,
        n_particles=config.n_particles,
        tolerance=config.tolerance * game.value_bound,
        max_iterations=config.max_iterations,
    )
    policy: GlobalPolicy | CoarseGlobalPolicy = _of_actions(climbed.table, policies[0])
    if shown < k:
        coarse = CoarseGlobalPolicy(coarse=_of_actions(climbed.table, policies[0]), k=k)
        policy = coarse.as_table() if n_histograms(k, game.n_local_states) <= MAX_COLUMNS else coarse
    return {
        "policy": policy,
        "potential": climbed.potential,
        "standard_error": climbed.standard_error,
        "surrogate_size": n_agents,
        "channel": "without_replacement" if crowd.drawn > 0 else "multinomial",
        "n_iterations": climbed.n_iterations,
        "converged": climbed.converged,
        "certificate": climbed.certificate,
    }
