"""Samplers as JSON values: ours come back as they were, one of the user's as a stand-in that names it."""

import json
import re
from typing import Any

import numpy as np
import pytest

from kofn.wrappers import DistanceWeighted, Stratified, Uniform
from kofn.wrappers.sampler_files import MissingSampler, describe_sampler, rebuild_sampler

DISTANCES = np.array([[0.0, 1 / 3], [np.pi, 1e-300]])


def nearest(*_: Any) -> Any:
    return np.arange(2)


def round_trip(sampler: Any) -> Any:
    return rebuild_sampler(json.loads(json.dumps(describe_sampler(sampler))))


def test_our_samplers_come_back() -> None:
    assert round_trip(Uniform()) == Uniform()
    strata = round_trip(Stratified(np.array([2, 0, 1])))
    assert isinstance(strata, Stratified)
    np.testing.assert_array_equal(strata.groups, [2, 0, 1])
    near = round_trip(DistanceWeighted(DISTANCES, scale=0.1))
    assert isinstance(near, DistanceWeighted)
    assert near.scale == 0.1
    np.testing.assert_array_equal(near.distances, DISTANCES)


@pytest.mark.parametrize(
    ("sampler", "name"),
    [
        (nearest, f"{__name__}.nearest"),
        (Stratified(nearest), "kofn.wrappers.samplers.Stratified"),
        (DistanceWeighted(nearest), "kofn.wrappers.samplers.DistanceWeighted"),
    ],
)
def test_functions_leave_their_name(sampler: Any, name: str) -> None:
    missing = round_trip(sampler)
    assert missing == MissingSampler(name)
    assert round_trip(missing) == missing
    message = f"a sampler of your own ({name}), which is not stored; pass it to AlternatingMARL.load(..., sampler=...)"
    with pytest.raises(ValueError, match=re.escape(message)):
        missing(np.random.default_rng(0), np.zeros(3, dtype=int), 0, 1)


@pytest.mark.parametrize("description", [{}, {"name": 5}, "Uniform", None])
def test_damaged_descriptions_are_refused(description: Any) -> None:
    with pytest.raises(ValueError, match="sampler must be an object with a name; got"):
        rebuild_sampler(description)
