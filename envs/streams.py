"""Independent random streams spawned from one seed.

Each purpose has a stream of its own, so that how one part uses randomness never changes the draws of another: the
number k of sampled agents cannot change the dynamics, and two policies compared on the same seed meet the same starts
and the same global noise (common random numbers).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Seed = int | Sequence[int] | np.random.SeedSequence | None
"""What may seed an experiment. None takes entropy from the operating system."""


@dataclass(frozen=True)
class Streams:
    """One generator per purpose: starts, global moves, local moves, samples of agents, policies, stochastic rewards."""

    start: np.random.Generator
    global_moves: np.random.Generator
    local_moves: np.random.Generator
    sampling: np.random.Generator
    policy: np.random.Generator
    rewards: np.random.Generator

    @classmethod
    def from_seed(cls, seed: Seed) -> "Streams":
        """Streams of a seed; the same seed gives the same streams."""
        root = seed_sequence(seed)
        # Children are named by position, not by `spawn`, which would change the sequence it is called on.
        return cls(*(np.random.default_rng(child(root, index)) for index in range(6)))


def seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """The seed as a SeedSequence.

    Raises:
        TypeError, ValueError: not a nonnegative integer (or a sequence of them).
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    rule = f"seed must be a nonnegative integer, a sequence of them, or None; got {seed!r}"
    # numpy would take truth values, digits and sequences of sequences, and drop empty axes.
    given: Any = seed
    several = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str | bytes)
    if isinstance(given, np.ndarray) and (given.ndim != 1 or given.dtype.kind not in "iu"):
        raise TypeError(rule)
    if given is not None and not all(map(_is_integer, given if several else [given])):
        raise TypeError(rule)
    try:
        return np.random.SeedSequence(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(rule) from None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def child(root: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """The descendant of `root` with the given key; the same key always names the same descendant."""
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key))
