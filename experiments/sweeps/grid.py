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
from kofn.envs.registration import changed_options, default_options, typed_options
from kofn.experiments.config import TrainConfig
from kofn.experiments.train import resolved

PRESENTATION = ("folder", "resume", "overwrite", "progress_bar", "track")
"""Fields that change no result."""

OPTIONS = "options."
"""How columns of the games' options begin."""

BASE_COLUMNS = ("game", "learner", "k", "n_agents", "max_cycles", "seed")
"""Fields that every table of results names."""


def grid(base: TrainConfig, values: Mapping[str, Iterable[Any]] | None = None) -> list[TrainConfig]:
    """Every combination of values of some fields, the last field varying fastest.

    Args:
        base: everything that is not varied.
        values: field -> its values; a dotted name reaches the learners' settings ("alternation.eta") and the
            game's ("options.n_zones").

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
    head, _, rest = name.partition(".")
    inside = getattr(config, head, None)
    if rest and isinstance(inside, Mapping):  # options of a game, which knows their names
        return replace(config, **{head: {**inside, rest: value}})
    known_name("field", name, field_names(config))
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
    content["options"] = typed_options(config.game, config.options)
    return {name: value for name, value in content.items() if name not in PRESENTATION}


def flat(description: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A description with dotted names instead of nested objects."""
    found: dict[str, Any] = {}
    for name, value in description.items():
        inner = flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        found.update(inner)
    return found


def cell_hash(description: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a configuration; options at their defaults do not count."""
    options = changed_options(description["game"], description["options"])
    text = json.dumps({**description, "options": options}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def flattened(descriptions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Descriptions with dotted names; an option that only some of them name is at its default in the others."""
    named = {name for description in descriptions for name in description["options"]}
    found = []
    for description in descriptions:
        defaults = {name: value for name, value in default_options(description["game"]).items() if name in named}
        found.append(flat({**description, "options": {**defaults, **description["options"]}}))
    return found


def varied_fields(descriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Fields, other than the base columns, in which the cells of a sweep differ."""
    found = flattened(descriptions)
    names = list(dict.fromkeys(name for content in found for name in content))
    return [
        name
        for name in names
        if name not in BASE_COLUMNS and len({json.dumps(content.get(name)) for content in found}) > 1
    ]


def literal(text: str) -> Any:
    """A value as typed: JSON where it is any, so that numbers, true, false and null are read as such; else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def option_fields(descriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Options of games that are not at their defaults in some cell, dotted."""
    changed = [changed_options(description["game"], description["options"]) for description in descriptions]
    return list(dict.fromkeys(f"{OPTIONS}{name}" for options in changed for name in options))


def label(description: Mapping[str, Any]) -> str:
    """A cell in a few words."""
    options = "".join(f" {name}={value}" for name, value in description["options"].items())
    return "{game}{options} {learner} k={k} n={n_agents} seed={seed}".format(**{**description, "options": options})
