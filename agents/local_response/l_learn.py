r"""L-LEARN: the fleet's response to a fixed global policy (paper, Section 4 and Algorithm 2).

The fleet's policy sees (s_l, s_g) only and is shared by all agents. The response is sought on a population of N agents
of which the global agent sees k: N = k, observed in full, is the paper's; N = n the deployed game, where a best
response is one in the sense of Definition 2.4. Finding it is a decentralised problem under partial observation (NP-hard
in general), so there are several methods, each in its own file:

| method | response | how |
|---|---|---|
| shared_cpi | shared | climb to a first-order stationary point (`shared_policy`) |
| shared_coord | shared | row by row over deterministic maps, several starts (`local_search`) |
| exhaustive | shared | all deterministic maps (`local_search`) |
| tagged | tagged | one agent's map, the others as before (`tagged_response`) |
| mean_field | tagged | the authors' code's heuristic (`mean_field_response`) |
| ucfh | shared | the paper's: UCFH on the chain, projected (`chain_response`) |
| chain_plan | shared | what UCFH tends to: an exact plan on the chain, projected (`chain_response`) |

A shared response is adopted by all agents at once (Definition 2.4), a tagged one by a single agent; that all adopt a
tagged response can lower Phi. Every proposal is judged in the deployed game by the driver's UPDATE.
"""

import time
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from kofn.agents.global_response.g_learn import choose_operator
from kofn.agents.local_response.fleet_problem import ORACLE_STREAM, FleetMethod, FleetProblem
from kofn.agents.local_response.l_learn_config import LLearnConfig, LLearnOptions
from kofn.agents.observation_channel import Channel
from kofn.envs.arguments import checked_types
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

CHEAP_PRODUCTS = 2**28
"""Products per step of the chain of N agents up to which "auto" is exact: such a step takes some 50 ms, no longer than
one of sampled kernels, and a response takes a few hundred."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LLearnResult:
    """Outcome of `l_learn`.

    Attributes:
        policy: the fleet's new policy.
        value: what was maximised, on the population of N agents: Phi under the policy if `deviation` is "shared", one
            agent's value of it if "tagged"; nan for mean_field. With N = k a surrogate value, never an estimate of the
            deployed one.
        method: how it was found.
        deviation: "shared" (all agents adopt it) or "tagged" (one does).
        n_agents: N.
        operator: "monte_carlo" if anything was sampled, otherwise "exact".
        n_samples: of those samples: per kernel row, per row of a generative game, episodes of ucfh, draws per s_g of
            mean_field; 0 if exact.
        n_iterations: accepted steps (shared_cpi, shared_coord, tagged by climbing), maps tried (exhaustive, tagged by
            trial), sweeps of value iteration (mean_field), plans (ucfh, chain_plan).
        converged: whether the method's stopping rule was met.
        certificate: how far from done, in units of value. shared_cpi: the first-order gap <tau - pi_l, dPhi/dpi_l>
            (with sampled kernels an estimate: those of N and N-1 agents are sampled separately). tagged: upper_bound -
            value. ucfh: the certified gap of its plan. chain_plan: 0. Otherwise nan.
        upper_bound: no policy of the fleet has a larger value. tagged: that of a deviator who sees everything.
            ucfh, chain_plan: that of a plan that sees everything (with ucfh as far as its confidence sets hold; over
            histogram chains no deterministic policy has a larger value). Otherwise nan.
        config: the settings asked for.
        wall_time: seconds.
    """

    policy: LocalPolicy
    value: float
    method: str
    deviation: str
    n_agents: int
    operator: str
    n_samples: int
    n_iterations: int
    converged: bool
    certificate: float
    upper_bound: float
    config: LLearnConfig
    wall_time: float


@checked_types
def l_learn(
    game: TabularGame | GenerativeGame,
    global_policy: GlobalPolicy,
    *,
    start: LocalPolicy | None = None,
    seed: Seed = None,
    **options: Unpack[LLearnOptions],
) -> LLearnResult:
    """The fleet's response to a fixed global policy.

    Args:
        game: the game; of a generative one, `n_samples` draws per row are taken and the empirical game is solved.
        global_policy: pi_g, held fixed.
        start: the fleet's current policy, to improve; omitted: uniform.
        seed: source of all randomness.
        **options: fields of `LLearnConfig`: `method`, `n_agents`, and the method's own.

    Raises:
        TypeError, ValueError: an argument out of range, a policy of another game, an option that the method does not
            use, or tables that do not fit into memory; the message says what to use instead.
    """
    began = time.perf_counter()
    config = LLearnConfig(**options)
    method = config.build()
    problem = _problem(game, global_policy, start, config, seed_sequence(seed))
    response = method(problem)
    n_samples = config.n_samples if isinstance(game, GenerativeGame) else response.n_samples
    return LLearnResult(
        policy=response.policy,
        value=response.value,
        method=config.method,
        deviation=response.deviation,
        n_agents=problem.n_agents,
        operator="monte_carlo" if n_samples > 0 else "exact",
        n_samples=n_samples,
        n_iterations=response.n_iterations,
        converged=response.converged,
        certificate=response.certificate,
        upper_bound=response.upper_bound,
        config=config,
        wall_time=time.perf_counter() - began,
    )


def _problem(
    game: TabularGame | GenerativeGame,
    global_policy: GlobalPolicy,
    start: LocalPolicy | None,
    config: LLearnConfig,
    seed: np.random.SeedSequence,
) -> FleetProblem:
    """What the method is given, after checking that it can be solved."""
    n_agents = config.n_agents if config.n_agents is not None else global_policy.k
    channel: Channel = config.channel if config.channel is not None else "without_replacement"
    sampled = check_l_learn(game, n_agents, config) == "monte_carlo"
    if isinstance(game, GenerativeGame):
        game = sampled_game(game, config.n_samples, child(seed, ORACLE_STREAM))
    start = start if start is not None else LocalPolicy.named("uniform", game)
    global_policy.check_fits(game, n_agents if channel == "without_replacement" else None)
    start.check_fits(game)
    return FleetProblem(
        game=game,
        global_policy=global_policy,
        start=start,
        n_agents=n_agents,
        n_samples=config.n_samples if sampled else 0,
        seed=seed,
        channel=channel,
    )


def check_l_learn(game: Game, n_agents: int, config: LLearnConfig) -> str:
    """The operator of the kernels, "exact" or "monte_carlo", after checking that a population of N can be solved.

    Raises:
        TypeError, ValueError: no game, or tables that do not fit into memory.
    """
    if not isinstance(game, TabularGame | GenerativeGame):
        raise TypeError(f"game must be a TabularGame or a GenerativeGame; got {type(game).__name__}")
    if isinstance(game, GenerativeGame) and config.operator == "exact":
        raise ValueError(
            "operator='exact' needs the game's probabilities, and a GenerativeGame only gives samples; use "
            "operator='auto', or sampled_game(game, m) for an estimate of its arrays"
        )
    method: FleetMethod = config.build()
    method.check(game, n_agents)
    if not method.uses_kernels:
        return "exact"
    try:
        return choose_operator(game, n_agents, config.operator, CHEAP_PRODUCTS)
    except ValueError as error:
        if config.n_agents is None:
            raise
        raise ValueError(f"with a population of n_agents={n_agents} as k: {error}") from None
