"""Every rejected array names the rule, the first offending index and the value found there."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from kofn.envs.arrays import (
    PROBABILITY_TOLERANCE,
    first_index,
    float_array,
    freeze,
    integer,
    one_of,
    positive,
    probability,
    probability_array,
)


def test_float_array_copies_and_converts() -> None:
    given = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    array = float_array("x", given, (None, 3))
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, [[0, 1, 2], [3, 4, 5]])
    given[0, 0] = 7
    assert array[0, 0] == 0
    same_type = np.zeros(2)
    assert not np.shares_memory(float_array("x", same_type, (2,)), same_type)


@pytest.mark.parametrize(
    ("values", "shape", "message"),
    [
        (np.zeros(3), (None, None), "x must have 2 axes [any, any]; got shape [3]"),
        (1.0, (None,), "x must have 1 axes [any]; got shape []"),
        (np.zeros((2, 3)), (2, 2), "x must have shape [2, 2]; got [2, 3]: axis 1 has size 3"),
        (np.zeros((1, 3)), (2, None), "x must have shape [2, any]; got [1, 3]: axis 0 has size 1"),
        (np.zeros((2, 0)), (None, None), "x must have shape [any, any]; got [2, 0]: axis 1 has size 0"),
        ([[1, 2], [np.nan, np.inf]], (2, 2), "x must be finite; entry [1, 0] is nan"),
        ([1, -np.inf], (2,), "x must be finite; entry [1] is -inf"),
    ],
)
def test_float_array_refuses_shapes_and_non_finite_entries(
    values: Any, shape: tuple[int | None, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        float_array("x", values, shape)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["0.5", "0.5"], "got list (dtype <U3)"),
        (b"12", "got bytes (dtype |S2)"),
        (np.array([1j]), "got ndarray (dtype complex128)"),
        (np.array(["2020"], dtype="M8[Y]"), "got ndarray (dtype datetime64[Y])"),
        ({"a": 1}, "got dict (dtype object): {'a': 1}"),
        ([1, "a", None], "got list (dtype object): [1, 'a', None]"),
        (10**400, "got int (dtype object): 1000"),
        (np.array(["0.5", "0.5"], dtype=object), "got ndarray (dtype object): array(['0.5'"),
        (np.array([0.5, b"1"], dtype=object), "got ndarray (dtype object): array([0.5, b"),
        ([Fraction(1, 2), "0.5"], "got list (dtype object): [Fraction(1, 2), '0.5']"),
    ],
)
def test_float_array_refuses_what_is_no_real_number(values: Any, message: str) -> None:
    with pytest.raises(TypeError, match="^x must be an array of real numbers; " + re.escape(message)):
        float_array("x", values, (None,))


def test_exact_numbers_of_python_are_real_numbers() -> None:
    array = float_array("x", [Fraction(1, 4), Decimal("0.5"), 10**30, True], (4,))
    np.testing.assert_array_equal(array, [0.25, 0.5, 1e30, 1.0])


@pytest.mark.parametrize("off", [1.1e-8, -1.1e-8])
def test_rows_off_by_more_than_the_tolerance_are_refused(off: float) -> None:
    rows = np.full((2, 3, 2), 0.5)
    rows[1, 2, 0] += off
    message = f"p must have rows that sum to 1 within 1e-08; row [1, 2] sums to {rows[1, 2].sum()}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        probability_array("p", rows, (None, None, None))


@pytest.mark.parametrize("off", [0.9e-8, -0.9e-8])
def test_rows_within_the_tolerance_are_rescaled(off: float) -> None:
    rows = np.array([[0.25, 0.75], [0.5, 0.5 + off]])
    accepted = probability_array("p", rows, (2, 2))
    np.testing.assert_array_equal(accepted[0], rows[0])
    # One division per entry and one addition: each correct to half a unit in the last place.
    assert abs(accepted[1].sum() - 1) <= 2 * np.finfo(float).eps
    np.testing.assert_array_equal(accepted[1], rows[1] / rows[1].sum())


def test_the_stated_tolerance_is_the_one_in_use() -> None:
    assert PROBABILITY_TOLERANCE == 1e-8


def test_rows_that_sum_to_one_up_to_rounding_stay_bit_equal() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(7), size=500)
    assert (rows.sum(axis=1) != 1).any()  # else there is nothing to test
    accepted = probability_array("p", rows, (None, None))
    assert accepted.tobytes() == rows.tobytes()
    assert not np.shares_memory(accepted, rows)


def test_a_vector_is_called_its_only_row() -> None:
    with pytest.raises(ValueError, match=r"^p must have rows that sum to 1 within 1e-08; its only row sums to 0\.75$"):
        probability_array("p", [0.5, 0.25], (2,))
    np.testing.assert_array_equal(probability_array("p", [1], (None,)), [1.0])


def test_negative_probabilities_are_refused() -> None:
    message = "p must be nonnegative (probabilities); entry [0, 1] is -0.5"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        probability_array("p", [[1.5, -0.5], [-1, 2]], (2, 2))


def test_first_index_is_in_c_order() -> None:
    assert first_index(np.array([[False, True], [True, True]])) == (0, 1)
    assert first_index(np.array([False, False, True])) == (2,)


def test_frozen_arrays_cannot_be_written() -> None:
    array = np.zeros(2)
    freeze(array)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_integers_of_any_kind_become_python_ints(value: Any) -> None:
    result = integer("n", value, 3, 3)
    assert result == 3
    assert type(result) is int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "n must be an integer; got True (a bool)"),
        (np.bool_(False), "n must be an integer; got np.False_ (a bool)"),
        (3.0, "n must be an integer; got 3.0 (float)"),
        ("3", "n must be an integer; got '3' (str)"),
        (None, "n must be an integer; got None (NoneType)"),
    ],
)
def test_other_types_are_no_integers(value: Any, message: str) -> None:
    message = message.replace("np.False_", repr(np.bool_(False)))  # numpy 1 writes False
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        integer("n", value, 0)


@pytest.mark.parametrize(
    ("value", "maximum", "message"),
    [(0, None, "n must be at least 1; got 0"), (-5, 9, "n must be between 1 and 9; got -5"), (10, 9, "and 9; got 10")],
)
def test_integers_out_of_range_are_refused(value: int, maximum: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(message)}$"):
        integer("n", value, 1, maximum)


def test_one_of_lists_the_choices() -> None:
    assert one_of("mode", "b", ("a", "b")) == "b"
    for value in ("c", None, ["a"]):
        with pytest.raises(ValueError, match=f"^mode must be one of 'a', 'b'; got {re.escape(repr(value))}$"):
            one_of("mode", value, ("a", "b"))


def test_rows_of_unequal_lengths_are_no_array() -> None:
    with pytest.raises(ValueError, match=r"^x must have rows of equal lengths; got \[\[1\], \[1, 2\]\]$"):
        float_array("x", [[1], [1, 2]], (None, None))


def test_integers_beyond_64_bits_are_refused() -> None:
    assert integer("x", 2**63 - 1, 0) == 2**63 - 1
    with pytest.raises(ValueError, match=r"^x must be below 2\^63; got 1(0){30}$"):
        integer("x", 10**30, 0)
    with pytest.raises(ValueError, match=r"^x must be below 2\^63; got about 10\^5000$"):
        integer("x", 10**5000, 0)
    with pytest.raises(ValueError, match=r"^x must be at least 0; got about -10\^5000$"):
        integer("x", -(10**5000), 0)
    assert positive("x", 10**30) == 1e30
    with pytest.raises(ValueError, match=r"^x must be positive and finite; got about 10\^400$"):
        positive("x", 10**400)


@pytest.mark.parametrize("value", [0, 1, 0.25, np.float32(0.5)])
def test_probabilities_become_floats(value: Any) -> None:
    assert type(probability("p", value)) is float
    assert probability("p", value) == value


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-0.1, ValueError, "p must lie between 0 and 1; got -0.1"),
        (2, ValueError, "p must lie between 0 and 1; got 2"),
        (np.nan, ValueError, "p must lie between 0 and 1; got nan"),
        (True, TypeError, "p must be a number; got True (bool)"),
        ("0.5", TypeError, "p must be a number; got '0.5' (str)"),
    ],
)
def test_other_probabilities_are_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        probability("p", value)
