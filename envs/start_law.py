"""Initial laws of the local agents.

In every episode a distribution p over local states is drawn from the start law, and the n local agents then start
independently from p, and independently of s_g.

* `FixedStart(p)`: the same p in every episode.
* `DirichletStart(alpha)`: p ~ Dirichlet(alpha), so an episode starts with a random crowd (the paper's warehouse).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, first_index, float_array, freeze, integer, probability_array, restore_frozen
from kofn.envs.histograms import enumerate_histograms


@dataclass(frozen=True, eq=False)
class FixedStart:
    """Local agents start independently from `probabilities` [s_l] in every episode.

    Raises:
        TypeError, ValueError: `probabilities` is not a distribution.
    """

    probabilities: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        probabilities = probability_array("FixedStart.probabilities", self.probabilities, (None,))
        freeze(probabilities)
        object.__setattr__(self, "probabilities", probabilities)

    @property
    def n_states(self) -> int:
        """Number of local states."""
        return len(self.probabilities)

    def draw(self, rng: np.random.Generator, n_episodes: int) -> FloatArray:  # noqa: ARG002  # one interface for all laws
        """Start distributions of `n_episodes` episodes, [n_episodes, s_l] (no randomness here)."""
        return np.tile(self.probabilities, (n_episodes, 1))

    def histogram_law(self, n_agents: int) -> FloatArray:
        """Law of the histogram of n agents at time 0 (multinomial), float [histogram] in rank order."""
        from scipy.special import gammaln, xlogy  # noqa: PLC0415  # slow to load, and needed by exact laws alone

        counts = enumerate_histograms(n_agents, self.n_states)
        log_law = gammaln(n_agents + 1) + (xlogy(counts, self.probabilities) - gammaln(counts + 1)).sum(axis=1)
        law: FloatArray = np.exp(log_law)
        return law


@dataclass(frozen=True, eq=False)
class DirichletStart:
    """In every episode p ~ Dirichlet(`concentration` [s_l]); local agents then start independently from p.

    Raises:
        TypeError, ValueError: `concentration` is not a vector of positive numbers with a finite sum.
    """

    concentration: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        concentration = float_array("DirichletStart.concentration", self.concentration, (None,))
        if (concentration <= 0).any():
            index = first_index(concentration <= 0)
            raise ValueError(
                f"DirichletStart.concentration must be positive; entry {list(index)} is {concentration[index]}"
            )
        with np.errstate(over="ignore"):
            overflows = np.isinf(concentration.cumsum())
        if overflows.any():  # draws would be no distributions
            raise ValueError(
                "DirichletStart.concentration must have a finite sum; "
                f"it overflows at entry {list(first_index(overflows))}, {concentration[overflows][0]}"
            )
        freeze(concentration)
        object.__setattr__(self, "concentration", concentration)

    @classmethod
    def symmetric(cls, concentration: float, n_states: int) -> "DirichletStart":
        """The same concentration for each of `n_states` local states."""
        return cls(np.full(integer("n_states", n_states, 1), concentration))

    @property
    def n_states(self) -> int:
        """Number of local states."""
        return len(self.concentration)

    def draw(self, rng: np.random.Generator, n_episodes: int) -> FloatArray:
        """Start distributions of `n_episodes` episodes, [n_episodes, s_l]."""
        return rng.dirichlet(self.concentration, size=n_episodes)

    def histogram_law(self, n_agents: int) -> FloatArray:
        """Law of the histogram of n agents at time 0 (Dirichlet-multinomial), float [histogram] in rank order."""
        from scipy.special import gammaln  # noqa: PLC0415  # as above

        counts = enumerate_histograms(n_agents, self.n_states)
        alpha, total = self.concentration, self.concentration.sum()
        log_law = gammaln(n_agents + 1) + gammaln(total) - gammaln(n_agents + total)
        log_law = log_law + (gammaln(counts + alpha) - gammaln(alpha) - gammaln(counts + 1)).sum(axis=1)
        law: FloatArray = np.exp(log_law)
        return law


StartLaw = FixedStart | DirichletStart

_LAWS: dict[str, type[FixedStart] | type[DirichletStart]] = {"fixed": FixedStart, "dirichlet": DirichletStart}


def start_law_to_array(law: StartLaw) -> tuple[str, FloatArray]:
    """(kind, parameter vector), from which `start_law_from_array` rebuilds the law."""
    if isinstance(law, FixedStart):
        return "fixed", law.probabilities
    return "dirichlet", law.concentration


def start_law_from_array(kind: str, parameters: npt.ArrayLike) -> StartLaw:
    """Inverse of `start_law_to_array`; raises ValueError for an unknown kind."""
    if kind not in _LAWS:
        raise ValueError(f"start law must be one of {', '.join(map(repr, _LAWS))}; got {kind!r}")
    return _LAWS[kind](np.asarray(parameters, dtype=np.float64))
