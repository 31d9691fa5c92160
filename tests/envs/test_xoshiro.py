"""The generator of the compiled loops against its published numbers: words, starts of streams, integers, keys."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from word_streams import stream

from kofn.envs import loops
from kofn.envs.xoshiro import advance, integer_below, next_word, start_stream

AssertLaw = Callable[[npt.ArrayLike, npt.ArrayLike], None]

PUBLISHED = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205, 9973669472204895162]
"""First outputs of xoshiro256++ from the state 1, 2, 3, 4."""


def test_words_are_those_of_xoshiro256() -> None:
    state = np.array([1, 2, 3, 4], dtype=np.uint64)
    registers = tuple(state.copy())
    for word in PUBLISHED:
        assert int(next_word(state)) == word
        found, *rest = advance(*registers)
        registers = tuple(np.uint64(number) for number in rest)
        assert int(found) == word


def test_streams_start_at_the_numbers_of_splitmix64() -> None:
    key, state = np.full(4, 1477776061723855037, dtype=np.uint64), np.empty(4, dtype=np.uint64)
    for number, published in ((1, 1985237415132408290), (2, 2979275885539914483), (3, 13511426838097143398)):
        start_stream(key, number, state)
        assert state.tolist() == [published] * 4


@pytest.mark.parametrize("bound", [1, 3, 2**32 - 5, 2**32, 2**32 + 1, 10**12, 3 * 2**61])
def test_integers_are_uniform_below_their_bound(bound: int, assert_law: AssertLaw) -> None:
    """By thirds; with 3 * 2^61 a quarter of all words is thrown away, and no third may gain by it."""
    state = stream(1)
    drawn = [integer_below(state, bound) for _ in range(3000)]
    assert 0 <= min(drawn) <= max(drawn) < bound
    size = -(-bound // 3)
    law = [(min(bound, (i + 1) * size) - min(bound, i * size)) / bound for i in range(3)]
    assert_law(np.bincount([i // size for i in drawn], minlength=3), law)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.MT19937])
def test_keys_are_256_random_bits(kind: Any) -> None:
    """Of 2000 keys each of the 256 bits is set in half, up to 5 deviations (chance of a false alarm 1.5e-4)."""
    rng = np.random.Generator(kind(1))
    keys = np.stack([loops.new_key(rng) for _ in range(2000)])
    assert (keys.dtype, keys.shape) == (np.uint64, (2000, 4))
    shares = np.unpackbits(np.ascontiguousarray(keys).view(np.uint8), axis=1).mean(axis=0)
    assert np.abs(shares - 0.5).max() < 5 * 0.5 / 2000**0.5
