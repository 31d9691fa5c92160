r"""Deterministic responses of the fleet, by search over maps (x, s_g) -> a_l.

    shared_coord   sweep the rows (x, s_g); in each, try every action and keep the best. Ends where no change of one row
                   raises the value ("1-opt"), from several starts: pi_l, "stay", and random maps; the best end wins.
    exhaustive     every one of the |A_l|^(|S_l||S_g|) maps, while there are at most 20,000.

A climb begins at pi_l itself: a row of pi_l stays stochastic when no action does better, so that the result is never
below pi_l. Exhaustive search uses that the rows of a chain's transition matrix that belong to one s_g depend only on
the actions at that s_g: these blocks are built once and every map is one linear solve on a choice of blocks.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import ClassVar

import numpy as np

from kofn.agents.local_response.fleet_problem import SEARCH_STREAM, FleetProblem, FleetResponse
from kofn.agents.operators import MAX_DENSE_BYTES
from kofn.envs.arrays import FloatArray, IntArray, integer
from kofn.envs.histograms import n_histograms
from kofn.envs.model import Game, Sizes
from kofn.envs.policies import LocalPolicy

MAX_EXHAUSTIVE = 20_000
"""Maps that exhaustive search will try."""

BATCH_BYTES = 2**25
"""Transition matrices solved at once; larger batches run out of the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class SharedCoord:
    """Coordinate ascent over maps that all N agents share, from several starts.

    Args:
        n_starts: random maps to climb from, besides pi_l and "stay".
        max_iterations: accepted changes of a row after which a climb gives up.
    """

    n_starts: int = 2
    max_iterations: int = 10_000

    uses_kernels: ClassVar[bool] = True
    uses_population: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "n_starts", integer("n_starts", self.n_starts, 0))
        object.__setattr__(self, "max_iterations", integer("max_iterations", self.max_iterations, 1))

    def check(self, game: Game, n_agents: int) -> None:
        """Any size will do."""

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """The best end of all climbs."""

        def potential(local_policy: LocalPolicy) -> float:
            return problem.chain(local_policy).potential

        starts = starting_policies(problem, self.n_starts)
        climb = best_climb(potential, starts, resolution=problem.resolution, max_iterations=self.max_iterations)
        return FleetResponse(
            policy=climb.policy,
            value=climb.value,
            deviation="shared",
            n_samples=problem.n_samples,
            n_iterations=climb.n_iterations,
            converged=climb.converged,
        )


@dataclass(frozen=True, kw_only=True)
class Exhaustive:
    """The best deterministic map that all N agents share, by trying them all."""

    uses_kernels: ClassVar[bool] = True
    uses_population: ClassVar[bool] = True

    def check(self, game: Game, n_agents: int) -> None:
        """Raise ValueError for more than 20,000 maps, or chains too large for memory."""
        n_maps = count_maps(game)
        if n_maps > MAX_EXHAUSTIVE:
            raise ValueError(
                f"method='exhaustive' tries at most {MAX_EXHAUSTIVE} maps; this game has |A_l|^(|S_l||S_g|) = "
                f"{game.n_local_actions}^({game.n_local_states}*{game.n_global_states}) = {n_maps}; "
                "use method='shared_coord'"
            )
        size = game.n_global_states * n_histograms(n_agents, game.n_local_states)
        n_bytes = 8 * game.n_local_actions**game.n_local_states * size**2
        if n_bytes > MAX_DENSE_BYTES:
            raise ValueError(
                f"method='exhaustive' needs {n_bytes / 2**30:.1f} GiB for n_agents={n_agents}, more than "
                f"{MAX_DENSE_BYTES / 2**30:.0f}; use method='shared_coord' or fewer agents"
            )

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """The first of the maps within rounding of the best."""
        game = problem.game
        maps = _columns(game)
        choice, value = best_combination(_shared_blocks(problem, maps), problem.resolution)
        return FleetResponse(
            policy=LocalPolicy.from_actions(maps[choice].T, game.n_local_actions),
            value=value,
            deviation="shared",
            n_samples=problem.n_samples,
            n_iterations=count_maps(game),
            converged=True,
        )


def count_maps(game: Sizes) -> int:
    """|A_l|^(|S_l||S_g|)."""
    return int(game.n_local_actions ** (game.n_local_states * game.n_global_states))


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a coordinate ascent ended."""

    policy: LocalPolicy
    value: float
    n_iterations: int
    converged: bool


def starting_policies(problem: FleetProblem, n_random: int) -> list[LocalPolicy]:
    """pi_l, "stay", and random maps."""
    game = problem.game
    shape = (n_random, game.n_local_states, game.n_global_states)
    maps = problem.rng(SEARCH_STREAM).integers(game.n_local_actions, size=shape)
    random = [LocalPolicy.from_actions(actions, game.n_local_actions) for actions in maps]
    return [problem.start, LocalPolicy.named("stay", game), *random]


def best_climb(
    evaluate: Callable[[LocalPolicy], float],
    starts: Iterable[LocalPolicy],
    *,
    resolution: float,
    max_iterations: int,
) -> Climb:
    """The first of the best ends; `n_iterations` counts, and `converged` requires, those of all climbs."""
    climbs = [coordinate_ascent(evaluate, start, resolution, max_iterations) for start in starts]
    best = climbs[0]
    for climb in climbs[1:]:
        if climb.value > best.value + resolution:
            best = climb
    n_iterations = sum(climb.n_iterations for climb in climbs)
    return Climb(best.policy, best.value, n_iterations, all(climb.converged for climb in climbs))


def coordinate_ascent(
    evaluate: Callable[[LocalPolicy], float], start: LocalPolicy, resolution: float, max_iterations: int
) -> Climb:
    """Change one row at a time to its best action until none is better by more than `resolution`."""
    policy, value = start, evaluate(start)
    rows = list(np.ndindex(start.table.shape[:2]))
    n_iterations = settled = 0
    for row in cycle(rows):
        untried = np.flatnonzero(policy.table[row] < 1)
        candidates = [_with_action(policy, row, action) for action in untried]
        values = [evaluate(candidate) for candidate in candidates]
        if values and max(values) > value + resolution:
            best = int(np.argmax(values))
            policy, value = candidates[best], values[best]
            n_iterations, settled = n_iterations + 1, 0
        settled += 1
        if settled == len(rows) or n_iterations == max_iterations:
            break
    return Climb(policy, value, n_iterations, settled == len(rows))


def _with_action(policy: LocalPolicy, row: tuple[int, ...], action: np.int64) -> LocalPolicy:
    table = policy.table.copy()
    table[row] = np.eye(table.shape[2])[action]
    return LocalPolicy(table)


@dataclass(frozen=True, eq=False, kw_only=True)
class RowBlocks:
    """A Markov chain with rewards whose rows come in blocks, each with several options.

    Attributes:
        transition: float [block, option, row, state].
        rewards: float [block, option, row].
        start: law of the first state, float [state]; states are (block, row).
        discount: gamma.
    """

    transition: FloatArray
    rewards: FloatArray
    start: FloatArray
    discount: float


def best_combination(blocks: RowBlocks, resolution: float) -> tuple[IntArray, float]:
    """(options [block], value) of the first combination whose discounted value is within `resolution` of the best."""
    n_blocks, n_options, _, size = blocks.transition.shape
    per_batch = max(1, BATCH_BYTES // (8 * size**2))
    total = n_options**n_blocks
    values = np.empty(total)
    for first in range(0, total, per_batch):
        numbers = np.arange(first, min(first + per_batch, total))
        values[numbers] = _combination_values(blocks, _options(numbers, n_options, n_blocks))
    best = int((values >= values.max() - resolution).argmax())
    return _options(np.array([best]), n_options, n_blocks)[0], float(values[best])


def _options(numbers: IntArray, n_options: int, n_blocks: int) -> IntArray:
    """Digits of the numbers in base `n_options`, int64 [number, block]."""
    return numbers[:, None] // n_options ** np.arange(n_blocks - 1, -1, -1) % n_options


def _combination_values(blocks: RowBlocks, options: IntArray) -> FloatArray:
    """<start, (I - gamma P)^{-1} R> of combinations [batch, block]."""
    n_blocks, _, _, size = blocks.transition.shape
    chosen = np.arange(n_blocks), options
    transition = blocks.transition[chosen].reshape(len(options), size, size)
    rewards = blocks.rewards[chosen].reshape(len(options), size, 1)
    values = np.linalg.solve(np.eye(size) - blocks.discount * transition, rewards)
    return np.asarray(values[:, :, 0] @ blocks.start)


def _columns(game: Sizes) -> IntArray:
    """All maps x -> a_l at one s_g, int64 [map, x]."""
    n_maps = game.n_local_actions**game.n_local_states
    return _options(np.arange(n_maps), game.n_local_actions, game.n_local_states)


def _shared_blocks(problem: FleetProblem, maps: IntArray) -> RowBlocks:
    """One block per s_g; its options are the maps x -> a_l at that s_g."""
    game = problem.game
    n_global, n_options = game.n_global_states, len(maps)
    n_columns = n_histograms(problem.n_agents, game.n_local_states)
    size = n_global * n_columns
    transition = np.empty((n_global, n_options, n_columns, size))
    rewards = np.empty((n_global, n_options, n_columns))
    for option, actions in enumerate(maps):
        everywhere = np.repeat(actions[:, None], n_global, axis=1)
        chain = problem.chain(LocalPolicy.from_actions(everywhere, game.n_local_actions))
        rewards[:, option] = chain.rewards
        for s_g, kernel in enumerate(chain.kernels):
            dense = kernel if isinstance(kernel, np.ndarray) else kernel.toarray()
            moves = chain.global_moves[s_g][:, :, None] * dense[:, None, :]
            transition[s_g, option] = moves.reshape(n_columns, size)
    return RowBlocks(transition=transition, rewards=rewards, start=chain.start.ravel(), discount=game.discount)
