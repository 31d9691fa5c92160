r"""How far a pair of policies is from a Nash equilibrium, in the deployed game of n agents, exactly.

The gap of a player is what it could gain by deviating alone (paper, Definition 2.4, on the potential):

    global   max over pi_g' seeing k agents of Phi(pi_g', pi_l) - Phi
    local    max over pi_l' adopted by ALL local agents of Phi(pi_g, pi_l') - Phi
    tagged   max over pi' adopted by ONE local agent of the team's value - Phi (a column of its own: not Definition 2.4)

Both maxima are over memoryless policies of partial observations, NP-hard in general, so that each gap is bracketed:

    global   lower: the best of `climb_global` from pi_g, G-LEARN's greedy policy, "keep", constants, random restarts
             upper: the optimal value of a global agent that sees all n agents (exact when k = n)
    local    lower: all deterministic maps when there are few, several climbs otherwise; and `shared_cpi`, since
             stochastic maps can win
             upper: a central planner who knows every state and chooses every local action, pi_g fixed, or, where its
             tables are too large, the relaxation of `kofn.agents.equilibrium.relaxation`
    tagged   lower: climbs over its maps; upper: a deviator who sees all agents

The pair is an epsilon-equilibrium for every epsilon >= `upper`, and for none below `lower`.
"""

import math
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from kofn.agents.equilibrium.relaxation import relaxed_potential
from kofn.agents.global_response.g_learn import g_learn
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_plan import make_plan
from kofn.agents.global_response.global_search import ClimbOutcome, climb_global
from kofn.agents.joint_control.central_planner import centralised_local_bound
from kofn.agents.local_response.l_learn import LLearnResult, l_learn
from kofn.agents.local_response.local_search import MAX_EXHAUSTIVE, count_maps
from kofn.agents.lumped_chain import LumpedChain, check_products
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer
from kofn.envs.game import TabularGame
from kofn.envs.histograms import n_histograms
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

TOLERANCE = 1e-10
"""Error of the upper bounds, as a fraction of r~/(1-gamma)."""

MAX_PLANNER_ENTRIES = 2**25
"""Size of the central planner's kernels (global states, joint counts, histograms) up to which it is solved."""

MAX_TRIAL_WORK = 10**10
"""Maps of the fleet times the cube of the chain's states up to which all maps are tried."""


@dataclass(frozen=True, kw_only=True)
class GapBracket:
    """What is known of one player's gap.

    Attributes:
        lower: gain of the best deviation found.
        upper: gain that no deviation can exceed.
    """

    lower: float
    upper: float


@dataclass(frozen=True, eq=False, kw_only=True)
class NashGap:
    """Outcome of `nash_gap`.

    Attributes:
        potential: Phi of the pair.
        global_gap, local_gap: brackets of the two players' gaps.
        tagged_gap: bracket of the gap of one local agent that deviates alone.
        surrogate_gap: largest gain of one greedy action in G-LEARN's surrogate game (a diagnostic: no bound on a gap).
        best_global_policy, best_local_policy: the deviations behind the lower bounds.
        converged: whether every search ended by itself.
        wall_time: seconds.
    """

    potential: float
    global_gap: GapBracket
    local_gap: GapBracket
    tagged_gap: GapBracket
    surrogate_gap: float
    best_global_policy: GlobalPolicy
    best_local_policy: LocalPolicy
    converged: bool
    wall_time: float

    @property
    def lower(self) -> float:
        """The pair is no epsilon-equilibrium for any epsilon below this."""
        return max(self.global_gap.lower, self.local_gap.lower)

    @property
    def upper(self) -> float:
        """The pair is an epsilon-equilibrium for every epsilon from here on."""
        return max(self.global_gap.upper, self.local_gap.upper)


@checked_types
def nash_gap(
    game: TabularGame,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    *,
    n_agents: int,
    k: int | None = None,
    n_restarts: int = 5,
    tagged: bool = True,
    seed: Seed = None,
) -> NashGap:
    """Brackets of what either player can gain by deviating from a pair, exactly in the game of `n_agents`.

    Args:
        game: the game.
        global_policy: pi_g, which sees `global_policy.k` agents.
        local_policy: pi_l.
        n_agents: n, few enough for exact kernels.
        k: optional check: must equal `global_policy.k`.
        n_restarts: random starts of every climb, besides the named ones.
        tagged: whether to bracket `tagged_gap` too, most of the work; otherwise it is said to be anything.
        seed: source of the random starts.

    Raises:
        TypeError, ValueError: an argument out of range, policies that do not fit, or kernels too large for memory
            (then `sampled_nash_gap` bounds the gap from below).
    """
    began = time.perf_counter()
    if not isinstance(game, TabularGame):
        raise TypeError(
            f"game must be a TabularGame, whose kernels are exact; got {type(game).__name__}. Use sampled_nash_gap, "
            "which takes a game that can only be sampled, or sampled_game(game, m) for an estimate of its arrays"
        )
    n_agents = integer("n_agents", n_agents, 1)
    if k is not None and k != global_policy.k:
        raise ValueError(f"k must be the number of agents the global policy observes, {global_policy.k}; got {k}")
    n_restarts = integer("n_restarts", n_restarts, 0)
    local_policy.check_fits(game)
    chain = LumpedChain.exact(game, global_policy, local_policy, n_agents)
    global_seed, local_seed, tagged_seed = (child(seed_sequence(seed), i) for i in range(3))
    climbed, global_gap = _global_side(chain, n_restarts, np.random.default_rng(global_seed))
    responses, local_gap = _local_side(chain, n_restarts, local_seed)
    one = _tagged_side(chain, n_restarts, tagged_seed) if tagged else None
    return NashGap(
        potential=chain.potential,
        global_gap=global_gap,
        local_gap=local_gap,
        tagged_gap=one[1] if one is not None else GapBracket(lower=0.0, upper=math.inf),
        surrogate_gap=_surrogate_gap(chain),
        best_global_policy=climbed.policy,
        best_local_policy=responses.policy,
        converged=climbed.converged and responses.converged and (one is None or one[0].converged),
        wall_time=time.perf_counter() - began,
    )


def check_bracketed(game: TabularGame, n_agents: int) -> None:
    """Raise now the ValueError of `nash_gap` for exact kernels and tables of n agents that are too large."""
    check_products(game, n_agents)
    make_plan(game, n_agents, GLearnConfig(operator="exact"))


def _global_side(chain: LumpedChain, n_restarts: int, rng: np.random.Generator) -> tuple[ClimbOutcome, GapBracket]:
    """The best global policy found, and the bracket of the global agent's gap."""
    game, k = chain.game, chain.global_policy.k

    def build(policy: GlobalPolicy) -> LumpedChain:
        return LumpedChain(game, policy, chain.local_policy, chain.kernels, chain.n_agents)

    starts = [
        chain.global_policy,
        g_learn(game, chain.local_policy, k=k).policy,
        GlobalPolicy.named("keep", game, k),
        *(GlobalPolicy.constant(game, k, a) for a in range(game.n_global_actions)),
        *(_random_policy(chain.global_policy, rng) for _ in range(n_restarts)),
    ]
    best = max((climb_global(build, start) for start in starts), key=lambda outcome: outcome.potential)
    full = g_learn(game, chain.local_policy, k=chain.n_agents, operator="exact", tolerance=_tolerance(game))
    optimum = float(np.vdot(chain.start, full.q_values.max(axis=2))) + full.certificate
    return best, _bracket(chain, best.potential, optimum)


def _random_policy(policy: GlobalPolicy, rng: np.random.Generator) -> GlobalPolicy:
    """Actions drawn uniformly, in the class of `policy`."""
    table = rng.integers(policy.n_actions, size=policy.table.shape[:2])
    return GlobalPolicy(table=table, k=policy.k, n_local_states=policy.n_local_states, n_actions=policy.n_actions)


def _bracket(chain: LumpedChain, found: float, limit: float) -> GapBracket:
    """Gains of a deviation worth `found` and of one that would be worth `limit`; gaps are from 0 to r~/(1-gamma)."""
    most = chain.game.value_bound
    lower = min(max(0.0, found - chain.potential), most)
    return GapBracket(lower=lower, upper=min(max(lower, limit - chain.potential), most))


def _local_side(chain: LumpedChain, n_restarts: int, seed: np.random.SeedSequence) -> tuple[LLearnResult, GapBracket]:
    """The best local policy found, and the bracket of the fleet's gap."""
    game, current = chain.game, chain.local_policy
    respond = partial(l_learn, game, chain.global_policy, n_agents=chain.n_agents, operator="exact", seed=seed)
    n_maps = count_maps(game)
    if n_maps <= MAX_EXHAUSTIVE and n_maps * chain.start.size**3 <= MAX_TRIAL_WORK:
        climbed = respond(start=current, method="exhaustive")
    else:
        climbed = respond(start=current, method="shared_coord", n_starts=n_restarts)
    smooth = [respond(start=start, method="shared_cpi") for start in (current, climbed.policy)]
    best = max((climbed, *smooth), key=lambda response: response.value)
    return best, _bracket(chain, best.value, min(_planned(chain), relaxed_potential(game)))


def _planned(chain: LumpedChain) -> float:
    """What a central planner of all local actions earns against pi_g; inf where its tables do not fit into memory."""
    game = chain.game
    orders = n_histograms(chain.n_agents, game.n_local_states * game.n_local_actions)
    entries = game.n_global_states * orders * max(chain.histograms.shape[0], game.n_global_actions)
    if entries > MAX_PLANNER_ENTRIES:
        return float("inf")
    return centralised_local_bound(game, chain.global_actions, chain.n_agents, tolerance=_tolerance(game)).upper_bound


def _tolerance(game: TabularGame) -> float:
    """Error of upper bounds; any will do where all returns are equal."""
    return TOLERANCE * (game.value_bound or 1.0)


def _tagged_side(chain: LumpedChain, n_restarts: int, seed: np.random.SeedSequence) -> tuple[LLearnResult, GapBracket]:
    """The best response of one agent found, and the bracket of its gap."""
    tagged = l_learn(
        chain.game,
        chain.global_policy,
        start=chain.local_policy,
        method="tagged",
        n_agents=chain.n_agents,
        operator="exact",
        n_starts=n_restarts,
        seed=seed,
    )
    return tagged, _bracket(chain, tagged.value, tagged.upper_bound)


def _surrogate_gap(chain: LumpedChain) -> float:
    """Max over (s_g, F) of max_a Q - <pi_g, Q>, Q the surrogate game's optimal action values against pi_l."""
    policy = chain.global_policy
    q_values = g_learn(chain.game, chain.local_policy, k=policy.k).q_values
    played = (policy.probabilities() * q_values).sum(axis=2)
    return float((q_values.max(axis=2) - played).max())
