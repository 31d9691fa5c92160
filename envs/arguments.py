"""`checked_types`: a public function that refuses arguments of the wrong type before it does anything; and its parts.

Only what an annotation says by itself is checked: the library's own classes, mappings and functions, truth values,
whole and real numbers, choices of a `Literal`, and unions of these. Ranges, the contents of arrays and containers,
seeds, other libraries' environments, and which kind of game will do, are the function's own business.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from kofn.envs.model import Game

P = ParamSpec("P")
R = TypeVar("R")


def checked_types(function: Callable[P, R]) -> Callable[P, R]:
    """The function, raising TypeError (ValueError for a choice) that names argument, rule and value."""
    signature = inspect.signature(function)

    @cache
    def hints() -> dict[str, Any]:
        # Not before the first call: annotations may name what is defined further down.
        return get_type_hints(function)

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in hints() and not fits(hints()[name], value):
                raise _refusal(name, hints()[name], value)
        return function(*args, **kwargs)

    return checked


def check_fields(instance: Any, *names: str) -> None:
    """The same for the fields of a dataclass, in its `__post_init__`: those named, or all of them."""
    hints = _field_hints(instance.__class__)
    for name in names if names else hints:
        if not fits(hints[name], getattr(instance, name)):
            raise _refusal(name, hints[name], getattr(instance, name))


@cache
def _field_hints(owner: Any) -> dict[str, Any]:
    """Annotations of a dataclass's fields."""
    hints = get_type_hints(owner)
    return {field.name: hints[field.name] for field in fields(owner)}


def text(name: str, value: Any) -> str:
    """`value`, checked to be a text; raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text; got {_shown(value)}")
    return value


def fits(hint: Any, value: Any) -> bool:
    """Whether a value is what an annotation says; True where that cannot be told."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return any(fits(part, value) for part in parts)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in parts)
    if hint in _SCALARS:
        return _SCALARS[hint](value)
    kind = origin if origin is not None else hint
    if not _is_judged(kind) or (isinstance(value, Game) and kind.__name__.endswith("Game")):
        return True
    return isinstance(value, kind)


def _is_judged(kind: Any) -> bool:
    """Whether `isinstance` tells: for classes of this library, and what is callable or maps names to things."""
    if kind in {Callable, Mapping}:
        return True
    ours = isinstance(kind, type) and kind.__module__.startswith("kofn.")
    return ours and (not getattr(kind, "_is_protocol", False) or getattr(kind, "_is_runtime_protocol", False))


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


_SCALARS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool | np.bool_),
    int: _whole,
    float: _real,
    None: lambda value: value is None,
    type(None): lambda value: value is None,
}


def _refusal(name: str, hint: Any, value: Any) -> TypeError | ValueError:
    """The error for a value that does not fit; a wrong choice of words is a ValueError."""
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices and isinstance(value, str):
        return ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return TypeError(f"{name} must be {_described(hint)}; got {_shown(value)}")


def _described(hint: Any) -> str:
    """An annotation in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return " or ".join(_described(part) for part in parts)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, parts))
    words = {bool: "True or False", int: "an integer", float: "a number", str: "a text", type(None): "None"}
    kind = origin if origin is not None else hint
    return words.get(kind, f"a {getattr(kind, '__name__', kind)}")


def _shown(value: Any) -> str:
    """A value and its type, shortly."""
    kind = type(value).__name__
    if isinstance(value, bool):
        return f"{value!r} (a bool)"
    return f"{value!r} ({kind})" if isinstance(value, str | int | float | None) else kind
