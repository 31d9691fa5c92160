r"""What a theorem gives: a number, the probability with which it holds, and how far the statement is to be trusted.

`verdict` is one of

    "holds"      proved; the proof is in the docstring of the function or in the paper
    "unproved"   the printed proof rests on a false lemma, or there is no proof; no counterexample is known
    "false"      the tests hold a counterexample to the statement as printed

and `reconstructed` says that the formula was rebuilt from the papers' proofs and from their sibling, because the
statement itself was not available. Numbers too large for floating point are kept as logarithms (`Count`).
"""

from dataclasses import dataclass
from math import comb, exp, floor, inf, lgamma, log, log10
from typing import Any, Literal

from kofn.envs.arrays import integer, positive

Verdict = Literal["holds", "unproved", "false"]

LARGEST_EXPONENT = 709.0
"""Floats overflow at the exponential of more than this."""

ROUNDS_UP = log10(10 / 9.95)
"""9.95 and more would be printed as 10.0."""

EXACT_BINOMIALS = 10_000
"""Binomial coefficients that choose at most this many are computed as integers (milliseconds)."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound on an error, in the units of the value (or of a frequency).

    Attributes:
        value: the bound.
        probability: the probability with which it holds; None: always, or in expectation where the note says so.
        source: the statement it comes from.
        assumptions: what it needs beyond the game of the papers.
        verdict: "holds", "unproved" or "false" (see the module).
        reconstructed: the formula was rebuilt, not read.
        note: what to know before using it.
    """

    value: float
    source: str
    probability: float | None = None
    assumptions: tuple[str, ...] = ()
    verdict: Verdict = "holds"
    reconstructed: bool = False
    note: str = ""

    @property
    def false_as_printed(self) -> bool:
        """Whether a counterexample to the printed statement is known."""
        return self.verdict == "false"

    def vacuous(self, value_bound: float) -> bool:
        """Whether it says no more than that values lie in [0, value_bound]."""
        return self.value >= value_bound


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number of samples, states or table entries, kept as its natural logarithm.

    Attributes:
        log: natural logarithm of the count.
        source: the statement it comes from.
        reconstructed: the formula was rebuilt, not read.
        note: what to know before using it.
    """

    log: float
    source: str
    reconstructed: bool = False
    note: str = ""

    @property
    def value(self) -> float:
        """The count; infinite beyond the range of floats."""
        return exp(self.log) if self.log <= LARGEST_EXPONENT else inf

    @property
    def log10(self) -> float:
        """Its decimal logarithm."""
        return self.log / log(10)

    def __str__(self) -> str:
        """As 12345 or 3.2e17, also where floats end."""
        decimal = round(self.log10, 9)  # a million has the logarithm 5.999999999999999
        if decimal < 6:
            return f"{self.value:.0f}"
        exponent = floor(decimal + ROUNDS_UP)
        return f"{10 ** (decimal - exponent):.1f}e{exponent}"


def fraction(name: str, value: Any) -> float:
    """`value` as a float after checking that it lies strictly between 0 and 1.

    Raises:
        TypeError: not a number.
        ValueError: out of range.
    """
    number = positive(name, value)
    if number >= 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1; got {number}")
    return number


def sampled_of(k: int, n_agents: int) -> tuple[int, int]:
    """(k, n) after checking 1 <= k <= n."""
    n_agents = integer("n_agents", n_agents, 1)
    return integer("k", k, 1, n_agents), n_agents


def confidence(delta: float | None, k: int) -> float:
    """delta, by default the papers' 1/(100 sqrt k)."""
    return fraction("delta", delta) if delta is not None else 1 / (100 * k**0.5)


def log_binomial(total: int, chosen: int) -> float:
    """Logarithm of C(total, chosen), of any size."""
    if min(chosen, total - chosen) <= EXACT_BINOMIALS:
        return log(comb(total, chosen))  # integers: differences of lgamma lose digits when total is 10^12
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def log_sum(*logarithms: float) -> float:
    """Logarithm of the sum of numbers given by their logarithms."""
    largest = max(logarithms)
    return largest + log(sum(exp(logarithm - largest) for logarithm in logarithms))


def union(*bounds: Bound, source: str) -> Bound:
    """The sum of the values, with the probability that all of them hold at least (union bound)."""
    failures = [1 - bound.probability for bound in bounds if bound.probability is not None]
    verdicts = {bound.verdict for bound in bounds}
    return Bound(
        value=sum(bound.value for bound in bounds),
        probability=max(0.0, 1 - sum(failures)) if failures else None,
        source=source,
        assumptions=tuple(dict.fromkeys(assumption for bound in bounds for assumption in bound.assumptions)),
        verdict="false" if "false" in verdicts else "unproved" if "unproved" in verdicts else "holds",
        reconstructed=any(bound.reconstructed for bound in bounds),
        note="; ".join(bound.note for bound in bounds if bound.note),
    )
