"""Array types and the checks that every array from a user passes through.

Each check raises an error that states the rule, the first offending index and the value found there.
"""

import difflib
import math
import operator
import reprlib
import sys
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PROBABILITY_TOLERANCE = 1e-8
"""How far a probability row may be from summing to 1; accepted rows are rescaled to sum to 1."""

INT64 = np.dtype(np.int64)

MAX_INTEGER = 2**63 - 1
"""The largest integer of numpy's int64."""

ROUNDING = 1e-14
"""Sums closer to 1 than this are exact up to floating-point rounding."""


def first_index(offending: BoolArray) -> tuple[int, ...]:
    """Index of the first True entry of a boolean array (C order)."""
    return tuple(int(i) for i in np.argwhere(offending)[0])


def as_array(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """`values` as an array of whatever dtype; raises ValueError for nested lists of unequal lengths."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must have rows of equal lengths; got {reprlib.repr(values)}") from None


def float_array(name: str, values: npt.ArrayLike, shape: Sequence[int | None] | None) -> FloatArray:
    """A float64 copy of `values`, after checking its shape and that it is finite.

    A size of None stands for any positive one, a shape of None for any rank too.

    Raises:
        TypeError: the values are not real numbers.
        ValueError: wrong rank or size, or a non-finite entry.
    """
    given = as_array(name, values)
    try:
        # numpy would parse strings and drop imaginary parts.
        if given.dtype.kind not in "biufO" or (given.dtype.kind == "O" and any(map(_is_text, given.flat))):
            raise TypeError
        array = np.array(given, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        found = f"{type(values).__name__} (dtype {given.dtype}): {reprlib.repr(values)}"
        raise TypeError(f"{name} must be an array of real numbers; got {found}") from None
    shape = shape if shape is not None else (None,) * array.ndim
    expected = "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
    if array.ndim != len(shape):
        raise ValueError(f"{name} must have {len(shape)} axes {expected}; got shape {list(array.shape)}")
    for axis, (size, wanted) in enumerate(zip(array.shape, shape, strict=True)):
        if size == 0 or (wanted is not None and size != wanted):
            raise ValueError(f"{name} must have shape {expected}; got {list(array.shape)}: axis {axis} has size {size}")
    bad = ~np.isfinite(array)
    if bad.any():
        index = first_index(bad)
        raise ValueError(f"{name} must be finite; entry {list(index)} is {array[index]}")
    return array


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bytes)


def probability_array(name: str, values: npt.ArrayLike, shape: Sequence[int | None]) -> FloatArray:
    """Like `float_array`, for rows (last axis) that are probability distributions; rescales them to sum to 1.

    Raises:
        TypeError: the values are not real numbers.
        ValueError: wrong shape, non-finite or negative entry, or a row whose sum is off by more than 1e-8.
    """
    array = float_array(name, values, shape)
    negative = array < 0
    if negative.any():
        index = first_index(negative)
        raise ValueError(f"{name} must be nonnegative (probabilities); entry {list(index)} is {array[index]}")
    totals = array.sum(axis=-1)
    off = np.abs(totals - 1) > PROBABILITY_TOLERANCE
    if off.any():
        index = first_index(np.atleast_1d(off)) if totals.ndim else ()
        row = f"row {list(index)}" if totals.ndim else "its only row"
        raise ValueError(
            f"{name} must have rows that sum to 1 within {PROBABILITY_TOLERANCE}; {row} sums to {totals[index]}"
        )
    # Rows that already sum to 1 up to rounding stay bit-equal, so that saving and loading changes nothing.
    inexact = np.abs(totals - 1) > ROUNDING
    rescaled: FloatArray = np.where(inexact[..., None], array / totals[..., None], array)
    return rescaled


def freeze(array: npt.NDArray[Any]) -> None:
    """Make an array read-only."""
    array.setflags(write=False)


def freeze_copies(instance: object, *names: str) -> None:
    """Put read-only copies into fields of a frozen dataclass: arrays of the caller stay what they are."""
    for name in names:
        array = np.array(getattr(instance, name))
        freeze(array)
        object.__setattr__(instance, name, array)


def restore_frozen(instance: object, state: dict[str, Any]) -> None:
    """`__setstate__` of immutable classes: numpy forgets that an array is read-only when it is copied or unpickled."""
    _freeze_all(tuple(state.values()))
    instance.__dict__.update(state)


def _freeze_all(values: tuple[Any, ...]) -> None:
    for value in values:
        if isinstance(value, np.ndarray):
            freeze(value)
        elif isinstance(value, tuple):
            _freeze_all(value)


def whole(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> IntArray:
    """Integers as int64 of a given shape, in one stretch that may be written to: what compiled loops are compiled for.

    Raises:
        TypeError: they are no integers (truth values are none).
        ValueError: another shape.
    """
    if isinstance(values, np.ndarray) and values.dtype is INT64 and values.shape == shape and values.flags.carray:
        return values
    array = as_array(name, values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {list(shape)}; got {list(array.shape)}")
    return np.array(array, dtype=np.int64, order="C")


def refuse_outside(name: str, values: IntArray, size: int) -> None:
    """Raise ValueError unless all values lie in [0, size)."""
    outside = (values < 0) | (values >= size)
    if outside.any():
        index = first_index(outside)
        raise ValueError(f"{name} must lie in [0, {size}); entry {list(index)} is {values[index]}")


def whole_below(name: str, values: npt.ArrayLike, shape: tuple[int, ...], size: int) -> IntArray:
    """Integers in [0, size) as int64 of a given shape; raises what `whole` and `refuse_outside` raise."""
    array = whole(name, values, shape)
    refuse_outside(name, array, size)
    return array


def mean_over(values: npt.NDArray[np.floating[Any]], sampled: IntArray) -> FloatArray:
    """Means in double precision over the entries `sampled` [k] of the last axis; 0 of none."""
    return np.asarray(values[..., sampled].sum(axis=-1, dtype=np.float64) / max(len(sampled), 1))


def entries(table: npt.NDArray[Any], **indices: npt.ArrayLike) -> npt.NDArray[Any]:
    """`table` at integers [...], one for each of its first axes, that broadcast; they are named in errors.

    Raises:
        TypeError: they are no integers.
        ValueError: one lies outside its axis (a negative one would count from the end).
    """
    given = {name: np.asarray(values) for name, values in indices.items()}
    for name, values in given.items():
        if values.dtype.kind not in "iu":
            raise TypeError(f"{name} must be integers; got {values.dtype}")
    try:
        rows = np.ravel_multi_index(tuple(given.values()), table.shape[: len(given)])
    except ValueError:
        for (name, values), size in zip(given.items(), table.shape, strict=False):
            refuse_outside(name, values, size)
        raise  # shapes that do not broadcast
    return table.reshape(-1, *table.shape[len(given) :])[rows]


def integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """`value` as a Python int after checking that it is an integer in [minimum, maximum] that fits into 64 bits.

    Raises:
        TypeError: not an integer (booleans and floats are refused).
        ValueError: out of range.
    """
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer; got {value!r} (a bool)")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r} ({type(value).__name__})") from None
    if number < minimum or (maximum is not None and number > maximum):
        bounds = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
        raise ValueError(f"{name} must be {bounds}; got {magnitude(number)}")
    if number > MAX_INTEGER:
        raise ValueError(f"{name} must be below 2^63; got {magnitude(number)}")
    return number


def magnitude(number: int) -> str:
    """An integer of any size in a few characters, for messages (Python refuses to print over 4300 digits)."""
    if abs(number) < 10**40:
        return str(number)
    size, sign = abs(number), "-" if number < 0 else ""
    return f"{sign}{float(size):.3g}" if size < 10**300 else f"about {sign}10^{math.log10(size):.0f}"


def positive(name: str, value: Any) -> float:
    """`value` as a Python float after checking that it is a finite positive number.

    Raises:
        TypeError: not a real number (booleans are refused).
        ValueError: zero, negative or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__})")
    too_large = isinstance(value, int) and abs(value) > sys.float_info.max
    number = math.inf if too_large else float(value)
    if not 0 < number < math.inf:
        shown = magnitude(value) if isinstance(value, int) else value
        raise ValueError(f"{name} must be positive and finite; got {shown}")
    return number


def nonnegative(name: str, value: Any) -> float:
    """`value` as a float after checking that it is a finite number of at least 0.

    Raises:
        TypeError: not a number.
        ValueError: negative or not finite.
    """
    zero = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool) and value == 0
    return 0.0 if zero else positive(name, value)


def probability(name: str, value: Any) -> float:
    """`value` as a float after checking that it is a number in [0, 1].

    Raises:
        TypeError: not a real number (booleans are refused).
        ValueError: outside [0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__})")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1; got {value}")
    return float(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value` after checking that it is one of `choices`; raises ValueError that lists them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return str(value)


def known_name(what: str, name: Any, known: Collection[str]) -> str:
    """`name`, checked to be one of the `known`; raises ValueError that lists them and suggests the nearest."""
    if not isinstance(name, str) or name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what} must be one of {', '.join(map(repr, known))}; got {name!r}{hint}")
    return str(name)
