"""Settings of G-LEARN, validated; `g_learn` takes them as keywords and the command line is generated from them."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from kofn.agents.bounds.bound import fraction
from kofn.envs.arrays import integer, one_of, positive

GLearnOperator = Literal["auto", "exact", "monte_carlo", "rounded"]
Parameterisation = Literal["histogram", "tuple", "paper"]
Resample = Literal["never", "each_sweep"]
Theory = Literal["theory"]


class GLearnOptions(TypedDict, total=False):
    """The fields of `GLearnConfig` as keywords."""

    operator: GLearnOperator
    parameterisation: Parameterisation
    n_samples: int | Theory
    sample_global: bool
    resample: Resample
    reward_samples: int | None
    delta: float | None
    tolerance: float
    max_iterations: int | Theory


@dataclass(frozen=True, kw_only=True)
class GLearnConfig:
    """Settings of G-LEARN.

    Args:
        operator: exact, monte_carlo (T_{k,m}), rounded (authors' heuristic, no guarantee), or auto (exact if cheap).
        parameterisation: table over histograms, over tuples, or by the paper's rule (tuples if |S_l|^k <= k^|S_l|).
        n_samples: m, sampled next states per table entry (monte_carlo), or theory: as Lemma 4.3 asks for.
        sample_global: sample s_g' too, paired with the agents' samples as the paper prints it (monte_carlo).
        resample: draw once, or afresh in each_sweep, which has no fixed point and so never converges (monte_carlo).
        reward_samples: Xi, reward draws averaged (omitted: mean rewards, which an oracle estimates by m draws).
        delta: probability with which the sampling bounds may fail (omitted: 1/(100 sqrt k)).
        tolerance: error allowed in Q, in units of value.
        max_iterations: sweeps after which to give up, or theory: as many as leave an error of 1/sqrt k.

    Raises:
        TypeError, ValueError: a field out of range, or one that does not go with the operator.
    """

    operator: GLearnOperator = "auto"
    parameterisation: Parameterisation = "histogram"
    n_samples: int | Theory = 30
    sample_global: bool = False
    resample: Resample = "never"
    reward_samples: int | None = None
    delta: float | None = None
    tolerance: float = 1e-6
    max_iterations: int | Theory = 10_000

    def __post_init__(self) -> None:
        """Validate, and turn numpy's numbers into Python's."""
        one_of("operator", self.operator, get_args(GLearnOperator))
        one_of("parameterisation", self.parameterisation, get_args(Parameterisation))
        one_of("resample", self.resample, get_args(Resample))
        if not isinstance(self.sample_global, bool):
            raise TypeError(f"sample_global must be True or False; got {self.sample_global!r}")
        self._set("n_samples", _count("n_samples", self.n_samples))
        self._set("max_iterations", _count("max_iterations", self.max_iterations))
        self._set("tolerance", positive("tolerance", self.tolerance))
        if self.reward_samples is not None:
            self._set("reward_samples", integer("reward_samples", self.reward_samples, 1))
        if self.delta is not None:
            self._set("delta", fraction("delta", self.delta))
        self._check_combination()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_combination(self) -> None:
        """An option that would be ignored is refused."""
        if self.operator != "monte_carlo" and (self.sample_global or self.resample != "never"):
            option = "sample_global" if self.sample_global else f"resample={self.resample!r}"
            raise ValueError(f"{option} needs operator='monte_carlo'; got operator={self.operator!r}")
        if self.operator == "rounded" and self.parameterisation != "histogram":
            raise ValueError(
                "operator='rounded' rounds histograms and needs parameterisation='histogram'; "
                f"got {self.parameterisation!r}"
            )


def _count(name: str, value: Any) -> int | str:
    """A positive integer, or "theory"."""
    if isinstance(value, str):
        if value != "theory":
            raise ValueError(f"{name} must be an integer or 'theory'; got {value!r}")
        return value
    return integer(name, value, 1)
