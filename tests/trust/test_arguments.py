"""Every argument of every public call, spoiled one at a time: refused with an error that says what is wrong with it.

A spoiled call may raise TypeError or ValueError (KeyError where a name is looked up) with a message in words. It must
never raise anything else, pass a message of Python's or numpy's own through, or accept what the annotation of the
argument excludes. Numbers that are not finite and integers below zero are wrong everywhere.
"""

import inspect
import math
import re
import signal
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from trust.more_calls import MORE_CALLS, NO_CALLS, OUTCOMES
from trust.public_calls import CALLS as FIRST_CALLS

import kofn.agents
import kofn.agents.bounds
import kofn.envs
import kofn.wrappers

CALLS = {**FIRST_CALLS, **MORE_CALLS}
JUNK: dict[str, Any] = {
    "None": None,
    "True": True,
    "-1": -1,
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "10^30": 10**30,
    "complex": 1j,
    "empty text": "",
    "text": "no such thing",
    "bytes": b"\x00\xff",
    "empty list": [],
    "empty dict": {},
    "mixed list": [1, "a", None],
    "ragged list": [[1], [1, 2]],
    "nan array": np.full((2, 2), math.nan),
    "empty array": np.zeros((0, 2)),
    "text array": np.array(["a", "b"]),
    "object": object(),
    "path": Path("no such file"),
}
PATIENCE = 60.0
"""Seconds within which a spoiled call must answer; all of them take milliseconds."""

ERRORS = (TypeError, ValueError, KeyError)
RAW = re.compile(
    "unsupported operand|has no attribute|not subscriptable|not iterable|cannot unpack|has no len|not supported between"
    r"|unexpected keyword|missing \d+ required|can't multiply|unhashable|could not convert|inhomogeneous|broadcast"
    "|ufunc|invalid literal|object is not callable|bad operand|cannot be interpreted|cannot convert"
)
"""Messages of Python's and numpy's own: the argument went through unchecked."""


def admits(hint: Any, value: Any) -> bool:
    """Whether an annotation allows a value; protocols and unknown annotations do not judge."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return any(admits(part, value) for part in parts)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in parts)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    simple = {
        Any: True,
        inspect.Parameter.empty: True,
        type(None): value is None,
        int: number and isinstance(value, int) and value >= 0,
        float: number and math.isfinite(value),
    }
    if hint in simple:
        return simple[hint]
    kind = origin if origin is not None else hint
    if kind is np.ndarray:
        return isinstance(value, list | tuple | np.ndarray | bool)  # truth values count as 0 and 1
    if getattr(kind, "__name__", "") == "Callable":
        return callable(value)
    return not inspect.isclass(kind) or getattr(kind, "_is_protocol", False) or isinstance(value, kind)


def arguments_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Annotation of every argument, options that are unpacked included."""
    hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    signature = inspect.signature(function)
    found: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            options = get_args(hints[name])[0] if get_args(hints[name]) else hints[name]
            found.update(get_type_hints(options))
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            found[name] = hints.get(name, inspect.Parameter.empty)
    return found


def default_of(function: Callable[..., Any], argument: str) -> Any:
    """An argument's default; options that are unpacked have the ellipsis."""
    parameters = inspect.signature(function).parameters
    return parameters[argument].default if argument in parameters else ...


CASES = [(name, argument) for name, (function, _) in CALLS.items() for argument in arguments_of(function)]


def test_every_public_name_is_called() -> None:
    """Whatever kofn exports has a call whose arguments are spoiled below, or takes none from users."""
    packages = (kofn.envs, kofn.wrappers, kofn.agents, kofn.agents.bounds)
    public = {name for package in packages for name in package.__all__}
    called = {name.partition(".")[0] for name in CALLS}
    assert public - called - OUTCOMES - NO_CALLS == set()
    assert (OUTCOMES | NO_CALLS) - public == set(), "names that are exported no more"


@pytest.mark.parametrize("name", CALLS)
def test_the_call_itself_is_valid(name: str) -> None:
    function, arguments = CALLS[name]
    function(**arguments)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def complaint(name: str, argument: str, value: Any) -> str | None:
    """What is wrong with how a call takes one spoiled argument."""
    function, arguments = CALLS[name]
    try:
        with at_most(PATIENCE):
            function(**{**arguments, argument: value})
    except ERRORS as error:
        message = str(error)
        return f"says only {message!r}" if not message.strip() or RAW.search(message) else None
    except Exception as error:  # what is looked for
        return f"raises {type(error).__name__}: {error}"
    left_out = value is None and default_of(function, argument) is None
    return None if left_out or admits(arguments_of(function)[argument], value) else "accepts it"


@pytest.mark.parametrize(("name", "argument"), CASES, ids=str)
def test_a_spoiled_argument_is_refused_in_words(name: str, argument: str) -> None:
    found = {label: complaint(name, argument, value) for label, value in JUNK.items()}
    bad = [f"{name}({argument}={label}) {problem}" for label, problem in found.items() if problem is not None]
    assert not bad, "\n".join(bad)
