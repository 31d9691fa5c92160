"""xoshiro256++ for compiled loops: streams of random bits named by a key and a number.

xoshiro256++ (Blackman and Vigna, 2021) has 256 bits of state. A call of a compiled loop gets a key of 256 fresh random
bits from the numpy generator of its purpose (`new_key`). Stream number i starts at splitmix64's outputs for the
counters key_j + i phi, j = 0..3, phi the golden ratio in 64 bits.

Populations, or cells of a batch, have streams of their own, so that what one draws never shifts the numbers of another,
and the next call has a key that does not depend on how many numbers were drawn: two simulations with the same seed stay
in step (common random numbers). All state is the numpy generators', which can be copied and pickled at any time.

Loading this module loads numba, so it is imported by the functions that use it.
"""

import numpy as np
import numpy.typing as npt

from kofn.envs.compiled import compiled

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_11, _17, _19, _23, _27, _30, _31, _32, _41, _45 = (
    np.uint64(bits) for bits in (11, 17, 19, 23, 27, 30, 31, 32, 41, 45)
)
_LOW_32 = np.uint64(0xFFFFFFFF)


def new_key(rng: np.random.Generator) -> Words:
    """256 random bits, uint64 [4]."""
    if isinstance(rng.bit_generator, np.random.MT19937):  # its words have 32 bits
        return np.frombuffer(bytearray(rng.bytes(32)), dtype=np.uint64)
    words: Words = rng.bit_generator.random_raw(4)
    return words


@compiled
def mixed_word(start: np.uint64, number: int) -> np.uint64:
    """Splitmix64's output for the counter start + number phi."""
    z = start + np.uint64(number) * _GOLDEN
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    word: np.uint64 = z ^ (z >> _31)
    return word


@compiled
def start_stream(key: Words, stream: int, state: Words) -> None:
    """Start stream number `stream` of a key."""
    for j in range(4):
        state[j] = mixed_word(key[j], stream)


@compiled
def next_word(state: Words) -> np.uint64:
    """64 random bits."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    mixed = s0 + s3
    result: np.uint64 = ((mixed << _23) | (mixed >> _41)) + s0
    s2 ^= s0
    s3 ^= s1
    state[1] = s1 ^ s2
    state[0] = s0 ^ s3
    state[2] = s2 ^ (s1 << _17)
    state[3] = (s3 << _45) | (s3 >> _19)
    return result


@compiled
def uniform(state: Words) -> float:
    """Uniform on [0, 1), 53 bits."""
    return (next_word(state) >> _11) * 2.0**-53


@compiled
def integer_below(state: Words, bound: int) -> int:
    """A uniform integer in [0, bound), exactly: numbers of the incomplete last round are thrown away."""
    n = np.uint64(bound)
    if n <= _LOW_32:
        product = (next_word(state) >> _32) * n
        if (product & _LOW_32) < n:
            least = (np.uint64(1) << _32) % n
            while (product & _LOW_32) < least:
                product = (next_word(state) >> _32) * n
        return int(np.int64(product >> _32))
    while True:
        bits = next_word(state)
        rest = bits % n
        if bits - rest <= np.uint64(0) - n:
            return int(np.int64(rest))


@compiled
def advance(
    s0: np.uint64, s1: np.uint64, s2: np.uint64, s3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """As `next_word`, the state in registers: (64 random bits, the state after them)."""
    mixed = s0 + s3
    result = ((mixed << _23) | (mixed >> _41)) + s0
    s2, s3, shifted = s2 ^ s0, s3 ^ s1, s1 << _17
    return result, s0 ^ s3, s1 ^ s2, s2 ^ shifted, (s3 << _45) | (s3 >> _19)
