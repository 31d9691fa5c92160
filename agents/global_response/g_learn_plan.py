"""What a run of G-LEARN will do: operator, table and sample sizes, chosen and checked before any work is done."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kofn.agents.bounds.bellman import Regime, iterations_for, samples_for
from kofn.agents.bounds.truncation import truncation_horizon
from kofn.agents.exact_operator import MAX_PRODUCTS, exact_products
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.tuples import tuples_preferred
from kofn.agents.operators import POOL_STRETCHES
from kofn.agents.solvers import WINDOW
from kofn.envs.arrays import integer, one_of
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame
from kofn.envs.histograms import n_histograms
from kofn.envs.model import Game, Sizes

Operator = Literal["auto", "exact", "monte_carlo"]
OPERATORS = ("auto", "exact", "monte_carlo")
MAX_TABLE_ENTRIES = 2**26
"""Histograms (or tuples) times global states and actions that a Q table may hold."""

MAX_TUPLE_AGENTS = 30
"""The table over tuples has an axis per agent, and numpy arrays have at most 32."""

MAX_SAMPLE_BYTES = 2 * 2**30
"""Samples kept for every sweep must stay below this (m = 9000 at k = 10 on the 5-zone warehouse)."""


@dataclass(frozen=True, kw_only=True)
class GLearnPlan:
    """Settings with every choice made.

    Attributes:
        operator: "exact", "monte_carlo" or "rounded".
        as_tuples: whether the table is over tuples.
        n_samples: m (0: nothing is sampled).
        paired: whether s_g' is sampled and paired with the agents' samples.
        afresh: whether every sweep draws samples of its own.
        max_iterations: sweeps after which to stop.
        window: sweeps that acceleration combines with the last (0 where the theorems count plain ones).
    """

    operator: Literal["exact", "monte_carlo", "rounded"]
    as_tuples: bool
    n_samples: int
    paired: bool
    afresh: bool
    max_iterations: int
    window: int

    @property
    def solves_tuples(self) -> bool:
        """Whether sweeps run over all tuples. Sampled ones need only the sorted ones, whose values the others share."""
        return self.as_tuples and self.operator == "exact"

    @property
    def regime(self) -> Regime:
        """The bounds' name for the table."""
        return "standard" if self.as_tuples else "meanfield"


def make_plan(game: Game, k: int, settings: GLearnConfig) -> GLearnPlan:
    """Choose operator, table and sizes; raises ValueError for what cannot be done or does not fit into memory."""
    if not isinstance(game, TabularGame | GenerativeGame):
        raise TypeError(f"game must be a TabularGame or a GenerativeGame; got {type(game).__name__}")
    check_table(game, k)
    as_tuples = settings.parameterisation == "tuple"
    as_tuples |= settings.parameterisation == "paper" and tuples_preferred(k, game.n_local_states)
    if as_tuples:
        _check_tuple_table(game, k)
    operator = _operator(game, k, settings, as_tuples)
    sampled = operator == "monte_carlo"
    return GLearnPlan(
        operator=operator,
        as_tuples=as_tuples,
        n_samples=_n_samples(game, k, settings, "standard" if as_tuples else "meanfield") if sampled else 0,
        paired=sampled and (settings.sample_global or isinstance(game, GenerativeGame)),
        afresh=settings.resample == "each_sweep",
        max_iterations=_n_sweeps(game, k, settings),
        window=0 if settings.max_iterations == "theory" else WINDOW,
    )


def _operator(
    game: Game, k: int, settings: GLearnConfig, as_tuples: bool
) -> Literal["exact", "monte_carlo", "rounded"]:
    """The operator to use; "auto" is exact for tuples, whose expectation needs no more memory than their table."""
    if isinstance(game, GenerativeGame):
        if settings.operator in {"exact", "rounded"}:
            raise ValueError(
                f"operator={settings.operator!r} needs the game's probabilities, and a GenerativeGame only gives "
                "samples; use operator='monte_carlo', or sampled_game(game, m) for an estimate of its arrays"
            )
        return "monte_carlo"
    if settings.operator == "rounded":
        return "rounded"
    if as_tuples:
        return "monte_carlo" if settings.operator == "monte_carlo" else "exact"
    return "exact" if choose_operator(game, k, settings.operator) == "exact" else "monte_carlo"


def choose_operator(game: Sizes, k: int, operator: Operator, cheap: int = MAX_PRODUCTS) -> Operator:
    """The operator over histograms, exact or monte_carlo, after checking that its tables fit into memory.

    Args:
        game: the game.
        k: number of agents.
        operator: what was asked for; "auto" is exact where a sweep takes at most `cheap` products.
        cheap: at most `MAX_PRODUCTS`.
    """
    one_of("operator", operator, OPERATORS)
    columns = check_table(game, k)
    products = exact_products(game, k)
    if operator == "exact" and products > MAX_PRODUCTS:
        raise ValueError(
            f"operator='exact' takes {products:.1e} products per sweep at k={k} ({columns} histograms), more than "
            f"{MAX_PRODUCTS:.1e}; use operator='monte_carlo' or a smaller k"
        )
    if operator == "auto":
        return "exact" if products <= cheap else "monte_carlo"
    return operator


def check_table(game: Sizes, k: int) -> int:
    """Number of histograms of k agents, after checking that a table over them fits into memory."""
    columns = n_histograms(integer("k", k, 1), game.n_local_states)
    entries = game.n_global_states * columns * game.n_global_actions
    if entries > MAX_TABLE_ENTRIES:
        raise ValueError(
            f"k={k} needs a table of {entries} entries ({columns} histograms), more than {MAX_TABLE_ENTRIES}; "
            "use a smaller k (SubsampleObservation(env, k) limits what the global agent sees)"
        )
    return columns


def _check_tuple_table(game: Sizes, k: int) -> None:
    columns = game.n_local_states**k
    entries = game.n_global_states * columns * game.n_global_actions
    if entries > MAX_TABLE_ENTRIES or k > MAX_TUPLE_AGENTS:
        raise ValueError(
            f"a table over tuples of k={k} agents has {k + 2} axes and {entries} entries, more than "
            f"{MAX_TUPLE_AGENTS + 2} or {MAX_TABLE_ENTRIES}; use parameterisation='histogram' or a smaller k"
        )


def _n_samples(game: Game, k: int, settings: GLearnConfig, regime: Regime) -> int:
    """m, after checking that its samples fit into memory."""
    theory = settings.n_samples == "theory"
    m = samples_asked_for(game, k, regime, settings.delta) if theory else integer("n_samples", settings.n_samples, 1)
    columns = n_histograms(k, game.n_local_states)
    # Kept: rank and weight of every sample. While drawing: a pool of count vectors with their keys, and one more.
    kept = 16 * game.n_global_states * columns * m
    drawing = 8 * (game.n_local_states + 2) * (k + 1) * m * min(POOL_STRETCHES, columns)
    if kept + drawing > MAX_SAMPLE_BYTES:
        asked = f"n_samples='theory' is m* = {m} samples per entry, which take" if theory else f"n_samples={m} takes"
        raise ValueError(
            f"{asked} {(kept + drawing) / 2**30:.3g} GiB at k={k} ({columns} histograms), more than "
            f"{MAX_SAMPLE_BYTES / 2**30:.0f}; give n_samples a smaller number (the experiments of the paper use 30)"
        )
    return m


def _n_sweeps(game: Game, k: int, settings: GLearnConfig) -> int:
    """Sweeps after which to stop; with fresh samples also when more of them cannot bring the error down further."""
    theory = settings.max_iterations == "theory"
    limit = sweeps_asked_for(game, k) if theory else integer("max_iterations", settings.max_iterations, 1)
    if settings.resample == "never":
        return limit
    return min(limit, max(1, truncation_horizon(settings.tolerance, _reward_bound(game), game.discount)))


def sweeps_asked_for(game: Game, k: int) -> int:
    """The theorems' T, at least 1."""
    return max(1, iterations_for(k, _reward_bound(game), game.discount))


def samples_asked_for(game: Game, k: int, regime: Regime, delta: float | None) -> int:
    """The theorems' m*, at least 1."""
    sizes = (game.n_global_states, game.n_global_actions, game.n_local_states)
    return max(1, samples_for(k, *sizes, _reward_bound(game), game.discount, delta, regime))


def _reward_bound(game: Game) -> float:
    """r~ as a positive number, also where nothing is ever paid."""
    return max(game.reward_bound, float(np.finfo(np.float64).tiny))
