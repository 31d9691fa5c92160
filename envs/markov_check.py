r"""How far from Markov binned observations are: does the past tell more about what comes next than the present does?

With y the next observation, z the present one (with the action and all else that is known now) and h something from
before, observations are Markov only if y and h are independent given z. Two measures of how far they are from it, from
counts, both 0 in the limit of many samples if they are:

    I(y; h | z) = sum_z p(z) sum_{y,h} p(y,h|z) ln( p(y,h|z) / (p(y|z) p(h|z)) )      (nats)
    TV          = sum_{z,h} p(z,h) (1/2) sum_y | p(y|z,h) - p(y|z) |

Finite samples make both positive. The null distribution says by how much: h is permuted among the samples of every z,
which keeps all p(y,z) and p(h,z). The p-value counts the permutations whose information is at least the one found; it
takes samples of one z for exchangeable, which those of one trajectory are only roughly.
"""

from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import FloatArray, IntArray, integer


@dataclass(frozen=True, kw_only=True)
class MarkovCheck:
    """Outcome of `markov_check`.

    Attributes:
        information: I(y; h | z) in nats.
        null_information: its mean under permutations.
        total_variation: TV.
        null_total_variation: its mean under permutations.
        p_value: (1 + permutations with at least as much information) / (1 + permutations).
        n_samples: samples.
    """

    information: float
    null_information: float
    total_variation: float
    null_total_variation: float
    p_value: float
    n_samples: int

    def __str__(self) -> str:
        """Both measures next to what chance alone gives, on one line."""
        return (
            f"information {self.information:.3g} nats (chance {self.null_information:.2g}), total variation "
            f"{self.total_variation:.3g} (chance {self.null_total_variation:.2g}), p = {self.p_value:.2g}"
        )


def markov_check(
    present: IntArray, past: IntArray, following: IntArray, rng: np.random.Generator, *, n_permutations: int = 99
) -> MarkovCheck:
    """Compare what follows with and without knowing the past.

    Args:
        present: z as a number, int64 [sample], nonnegative.
        past: h, likewise.
        following: y, likewise.
        rng: draws the permutations.
        n_permutations: number of them, at least 1.

    Raises:
        TypeError, ValueError: arrays of other shapes or kinds, no sample, or a number out of range.
    """
    n_permutations = integer("n_permutations", n_permutations, 1)
    _check(present, past, following)
    _, z = np.unique(present, return_inverse=True)
    _, h = np.unique(past, return_inverse=True)
    _, y = np.unique(following, return_inverse=True)
    found = _measures(z, h, y)
    by_z = np.argsort(z, kind="stable")
    null = np.array([_measures(z[by_z], h[np.argsort(z + rng.random(len(z)))], y[by_z]) for _ in range(n_permutations)])
    # A permutation that changes nothing has the same information up to rounding.
    as_much = int((null[:, 0] >= found[0] - 1e-12).sum())
    return MarkovCheck(
        information=float(found[0]),
        null_information=float(null[:, 0].mean()),
        total_variation=float(found[1]),
        null_total_variation=float(null[:, 1].mean()),
        p_value=(1 + as_much) / (1 + n_permutations),
        n_samples=len(z),
    )


def _measures(z: IntArray, h: IntArray, y: IntArray) -> FloatArray:
    """(information, total variation) of samples numbered from 0."""
    shape = (z.max() + 1, h.max() + 1, y.max() + 1)
    counts = np.bincount(np.ravel_multi_index((z, h, y), shape), minlength=int(np.prod(shape))).reshape(shape)
    with_past, of_past = counts.sum(axis=2, keepdims=True), counts.sum(axis=1, keepdims=True)
    total = counts.sum(axis=(1, 2), keepdims=True)
    expected = with_past * (of_past / total)
    seen = counts > 0
    information = (counts[seen] * np.log(counts[seen] / expected[seen])).sum()
    return np.array([information, np.abs(counts - expected).sum() / 2]) / len(z)


def _check(present: IntArray, past: IntArray, following: IntArray) -> None:
    for name, values in (("present", present), ("past", past), ("following", following)):
        if not np.issubdtype(values.dtype, np.integer):
            raise TypeError(f"{name} must hold integers; got {values.dtype}")
        if values.ndim != 1 or values.shape != present.shape or len(values) == 0:
            raise ValueError(
                f"{name} must have one entry per sample, shape {list(present.shape)}; got {list(values.shape)}"
            )
