r"""Features of what the global agent sees, for linear function approximation.

A feature map gives phi(s_g, seen) in R^d for its state and the agents seen, as counts per local state (or bin), or one
by one. `IndicatorFeatures` has one feature per (s_g, histogram): every Q is linear in it. `ProductFeatures` is small:

    phi = b(s_g) (x) { prod_j z_{i_j} : i_1 <= .. <= i_p },    z = shares of the agents seen,

b and the shares being nonnegative and adding up to 1, so that the monomials of degree p span all polynomials of degree
at most p. Finite states have indicators for b, places on a line the hat functions of some knots; agents seen one by one
are shared out between hat functions of places as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Protocol, runtime_checkable

import numpy as np

from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray, IntArray, integer, one_of
from kofn.envs.continuous import ContinuousGame
from kofn.envs.histograms import n_histograms, rank_histograms
from kofn.envs.model import Sizes
from kofn.envs.observations import SUMMARIES, Summary

Shares = Callable[[Any], FloatArray]
"""States [...] -> weights [..., element], nonnegative with sum 1."""

MAX_FEATURES = 20_000
"""Features that a map may have."""


@runtime_checkable
class Features(Protocol):
    """A feature map."""

    @property
    def size(self) -> int:
        """Number of features, d."""

    @property
    def summary(self) -> Summary:
        """How agents are seen: "histogram" (counts [population, s_l or bin]) or "states" ([population, agent])."""

    def __call__(self, global_states: Any, seen: Any) -> FloatArray:
        """Features, float [population, d], of s_g [population] and the agents seen."""


@dataclass(frozen=True)
class OneHot:
    """Indicators of states 0..size-1."""

    size: int

    def __call__(self, states: IntArray) -> FloatArray:
        """Float [..., size]."""
        return np.asarray(np.eye(self.size)[states])


@dataclass(frozen=True)
class Hats:
    """Hat functions of evenly spaced knots: piecewise linear, 1 at the own knot and 0 at the others.

    Args:
        low, high: outer knots; places beyond count as there.
        size: number of knots, at least 2.
    """

    low: float
    high: float
    size: int

    def __call__(self, places: Any) -> FloatArray:
        """Float [..., size]."""
        position = (np.clip(np.asarray(places, dtype=np.float64), self.low, self.high) - self.low) / (
            (self.high - self.low) / (self.size - 1)
        )
        return np.asarray(np.maximum(0.0, 1 - np.abs(position[..., None] - np.arange(self.size))))


@dataclass(frozen=True)
class IndicatorFeatures:
    """One feature per (s_g, histogram of k agents) of a finite game.

    Args:
        n_global_states: |S_g|.
        n_local_states: |S_l|.
        k: agents seen.

    Raises:
        TypeError, ValueError: a size below 1, or too many features.
    """

    n_global_states: int
    n_local_states: int
    k: int

    def __post_init__(self) -> None:
        """Validate."""
        for name in ("n_global_states", "n_local_states", "k"):
            integer(name, getattr(self, name), 1)
        _check_size(self.size)

    @classmethod
    @checked_types
    def of(cls, game: Sizes, k: int) -> "IndicatorFeatures":
        """Of a finite game."""
        return cls(game.n_global_states, game.n_local_states, k)

    @property
    def summary(self) -> Summary:
        """See `Features`."""
        return "histogram"

    @property
    def size(self) -> int:
        """|S_g| times the number of histograms."""
        return self.n_global_states * n_histograms(self.k, self.n_local_states)

    def __call__(self, global_states: IntArray, seen: IntArray) -> FloatArray:
        """See `Features`."""
        width = n_histograms(self.k, self.n_local_states)
        found = np.zeros((len(seen), self.size))
        found[np.arange(len(seen)), np.asarray(global_states) * width + rank_histograms(seen)] = 1
        return found


@dataclass(frozen=True, kw_only=True)
class ProductFeatures:
    """b(s_g) (x) monomials of the shares of the agents seen (see the module docstring).

    Args:
        global_shares: b.
        n_global: its elements.
        n_local: elements between which agents are shared out: local states, bins, or knots.
        degree: p.
        local_shares: of agents seen one by one; None: agents are seen as counts.

    Raises:
        TypeError, ValueError: a size below 1, or too many features.
    """

    global_shares: Shares
    n_global: int
    n_local: int
    degree: int = 2
    local_shares: Shares | None = None

    def __post_init__(self) -> None:
        """Validate."""
        for name in ("n_global", "n_local", "degree"):
            integer(name, getattr(self, name), 1)
        _check_size(self.size)

    @classmethod
    @checked_types
    def of(
        cls, game: Sizes | ContinuousGame, *, degree: int = 2, summary: Summary = "histogram", n_knots: int = 11
    ) -> "ProductFeatures":
        """Of a game.

        Args:
            game: finite or continuous.
            degree: p.
            summary: how the agents are seen.
            n_knots: hat functions for s_g, and for agents seen one by one, of a continuous game.
        """
        one_of("summary", summary, SUMMARIES)
        n_knots = integer("n_knots", n_knots, 2)
        if not isinstance(game, ContinuousGame):
            own, n_local = OneHot(game.n_global_states), game.n_local_states
            local = OneHot(n_local) if summary == "states" else None
            return cls(global_shares=own, n_global=own.size, n_local=n_local, degree=degree, local_shares=local)
        hats = Hats(*game.global_bounds, n_knots)
        if summary == "histogram":
            return cls(global_shares=hats, n_global=n_knots, n_local=len(game.bin_edges) - 1, degree=degree)
        places = Hats(*game.local_bounds, n_knots)
        return cls(global_shares=hats, n_global=n_knots, n_local=n_knots, degree=degree, local_shares=places)

    @property
    def summary(self) -> Summary:
        """See `Features`."""
        return "histogram" if self.local_shares is None else "states"

    @property
    def size(self) -> int:
        """Elements of b times monomials."""
        return self.n_global * n_histograms(self.degree, self.n_local)

    def __call__(self, global_states: Any, seen: Any) -> FloatArray:
        """See `Features`."""
        if self.local_shares is None:
            shares = seen / np.sum(seen, axis=1, keepdims=True)
        else:
            shares = self.local_shares(seen).mean(axis=1)
        chosen = np.array(list(combinations_with_replacement(range(self.n_local), self.degree)))
        monomials = shares[:, chosen].prod(axis=2)
        own = self.global_shares(global_states)
        return np.asarray((own[:, :, None] * monomials[:, None, :]).reshape(len(own), -1))


def _check_size(size: int) -> None:
    if size > MAX_FEATURES:
        raise ValueError(f"a feature map may have at most {MAX_FEATURES} features; this one has {size}")
