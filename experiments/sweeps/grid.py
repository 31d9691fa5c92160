"""The cells of a sweep: every combination of the values given for some fields of a `TrainConfig`.

A cell is a configuration. Its hash names it on disk: sixteen hexadecimal digits of the SHA-256 of everything that fixes
the outcome (not of where it is written or how progress is shown).
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

from kofn.envs.arrays import known_name
from kofn.experiments.config import TrainConfig
from kofn.experiments.train import resolved

PRESENTATION = ("folder", "resume", "overwrite", "progress_bar", "track")
"""Fields that change no result."""

BASE_COLUMNS = ("game", "learner", "k", "n_agents", "max_cycles", "seed")
"""Fields that every table of results names."""


def grid(base: TrainConfig, values: Mapping[str, Iterable[Any]] | None = None) -> list[TrainConfig]:
    """Every combination of values of some fields, the last field varying fastest.

    Args:
        base: everything that is not varied.
        values: field -> its values; a dotted name reaches the learners' settings ("alternation.eta").

    Raises:
        TypeError, ValueError: an unknown field, or a value that the configuration refuses.
    """
    names = list(values) if values is not None else []
    columns = [list(values[name]) for name in names] if values is not None else []
    for name, column in zip(names, columns, strict=True):
        if not column:
            raise ValueError(f"{name} needs at least one value")
    tasks = []
    for combination in itertools.product(*columns):
        task = base
        for name, value in zip(names, combination, strict=True):
            task = with_field(task, name, value)
        tasks.append(task)
    return tasks


def with_field(config: Any, name: str, value: Any) -> Any:
    """A configuration with one field changed; a dotted name reaches into it."""
    known_name("field", name, field_names(config))
    head, _, rest = name.partition(".")
    return replace(config, **{head: with_field(getattr(config, head), rest, value) if rest else value})


def field_names(config: Any) -> list[str]:
    """Every field that can be varied, dotted where it is inside another configuration."""
    return list(_leaves(config))


def _leaves(config: Any, prefix: str = "") -> Iterator[str]:
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{field.name}.")
        elif prefix or field.name not in PRESENTATION:
            yield f"{prefix}{field.name}"


def describe(config: TrainConfig) -> dict[str, Any]:
    """What fixes a cell's outcome, as JSON values; default sizes are filled in."""
    content = asdict(resolved(config))
    return {name: value for name, value in content.items() if name not in PRESENTATION}


def flat(description: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A description with dotted names instead of nested objects."""
    found: dict[str, Any] = {}
    for name, value in description.items():
        inner = flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        found.update(inner)
    return found


def cell_hash(description: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a configuration."""
    text = json.dumps(description, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def varied_fields(descriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Fields, other than the base columns, in which the cells of a sweep differ."""
    flattened = [flat(description) for description in descriptions]
    names = list(dict.fromkeys(name for content in flattened for name in content))
    return [
        name
        for name in names
        if name not in BASE_COLUMNS and len({json.dumps(content.get(name)) for content in flattened}) > 1
    ]


def label(description: Mapping[str, Any]) -> str:
    """A cell in a few words."""
    return "{game} {learner} k={k} n={n_agents} seed={seed}".format(**description)
