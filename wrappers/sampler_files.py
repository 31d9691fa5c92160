"""Samplers as JSON values: those of `kofn.wrappers.samplers` whole, a function of the user's own by its name only.

>>> import numpy as np
>>> description = describe_sampler(Stratified(np.array([0, 0, 1])))
>>> description
{'name': 'Stratified', 'groups': [0, 0, 1]}
>>> rebuild_sampler(description).groups.tolist()
[0, 0, 1]
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kofn.envs.arrays import IntArray
from kofn.wrappers.samplers import DistanceWeighted, Sampler, States, Stratified, Uniform


@dataclass(frozen=True)
class MissingSampler:
    """Stands in for a sampler of the user's own in a loaded model: sampling needs it passed again."""

    description: str

    def __call__(self, rng: np.random.Generator, local_states: States, global_state: Any, k: int) -> IntArray:  # noqa: ARG002  # a sampler's signature
        """Raise ValueError."""
        raise ValueError(
            f"this model's agents were seen through a sampler of your own ({self.description}), which is not stored; "
            "pass it to AlternatingMARL.load(..., sampler=...)"
        )


def describe_sampler(sampler: Sampler) -> dict[str, Any]:
    """A sampler of ours by its fields; the user's, or ours with the user's function, by its full name only."""
    if isinstance(sampler, Uniform):
        return {"name": "Uniform"}
    if isinstance(sampler, Stratified) and not callable(sampler.groups):
        return {"name": "Stratified", "groups": sampler.groups.tolist()}
    if isinstance(sampler, DistanceWeighted) and not callable(sampler.distances):
        return {"name": "DistanceWeighted", "distances": sampler.distances.tolist(), "scale": sampler.scale}
    if isinstance(sampler, MissingSampler):
        return {"name": sampler.description}
    named: Any = sampler if hasattr(sampler, "__qualname__") else type(sampler)
    return {"name": f"{named.__module__}.{named.__qualname__}"}


def rebuild_sampler(description: dict[str, Any]) -> Sampler:
    """Our sampler from its fields, or a stand-in for the user's."""
    match description:
        case {"name": "Uniform"}:
            return Uniform()
        case {"name": "Stratified", "groups": groups}:
            return Stratified(np.array(groups))
        case {"name": "DistanceWeighted", "distances": distances, "scale": scale}:
            return DistanceWeighted(np.array(distances), scale)
        case {"name": str(name)}:
            return MissingSampler(name)
    raise ValueError(f"sampler must be an object with a name; got {description!r}")
