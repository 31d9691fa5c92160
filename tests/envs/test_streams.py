"""Streams: one per purpose, named by the seed alone."""

import re
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from kofn.envs import Streams
from kofn.envs.streams import child, seed_sequence

NAMES = ("start", "global_moves", "local_moves", "sampling", "policy", "rewards")


def draws(streams: Streams) -> dict[str, list[float]]:
    return {name: getattr(streams, name).random(4).tolist() for name in NAMES}


def test_every_stream_is_listed() -> None:
    assert tuple(field.name for field in fields(Streams)) == NAMES


@pytest.mark.parametrize("seed", [0, 10**30, [1, 2], (3,), np.int64(4), np.array([5, 6]), [np.uint8(7)], range(3)])
def test_the_same_seed_gives_the_same_streams(seed: Any) -> None:
    assert draws(Streams.from_seed(seed)) == draws(Streams.from_seed(seed))


def test_streams_and_seeds_differ_from_each_other() -> None:
    seen = [tuple(row) for seed in (0, 1, [0, 1], 2**64) for row in draws(Streams.from_seed(seed)).values()]
    assert len(set(seen)) == len(seen)


def test_streams_are_numpys_children_of_the_seed() -> None:
    spawned = np.random.SeedSequence(7).spawn(6)
    found = draws(Streams.from_seed(7))
    for name, sequence in zip(NAMES, spawned, strict=True):
        assert found[name] == np.random.default_rng(sequence).random(4).tolist()


def test_a_seed_sequence_is_used_and_left_alone() -> None:
    root = np.random.SeedSequence(7, spawn_key=(3,))
    first = draws(Streams.from_seed(root))
    assert root.n_children_spawned == 0
    assert draws(Streams.from_seed(root)) == first
    assert first != draws(Streams.from_seed(7))


def test_children_are_named_by_their_whole_key() -> None:
    root = np.random.SeedSequence(7)
    np.testing.assert_array_equal(
        child(root, 2, 1).generate_state(4), np.random.SeedSequence(7).spawn(3)[2].spawn(2)[1].generate_state(4)
    )
    np.testing.assert_array_equal(child(child(root, 2), 1).generate_state(4), child(root, 2, 1).generate_state(4))


def test_no_seed_takes_fresh_entropy() -> None:
    assert draws(Streams.from_seed(None)) != draws(Streams.from_seed(None))
    assert seed_sequence(None).entropy != seed_sequence(None).entropy


@pytest.mark.parametrize(
    ("seed", "error"),
    [
        *((seed, ValueError) for seed in (-1, [1, -2])),
        *((seed, TypeError) for seed in (1.5, "abc", b"12", {}, True, [True, False], [[1, 2], [3]], ["1"], [1, None])),
        *((np.array(seed), TypeError) for seed in (4, [[1]], [1.0], [True])),
    ],
)
def test_other_seeds_are_refused(seed: Any, error: type[Exception]) -> None:
    message = f"seed must be a nonnegative integer, a sequence of them, or None; got {seed!r}"
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Streams.from_seed(seed)
