"""Arguments: their types, the keys they make, what is refused and how."""

from __future__ import annotations

import array
import ctypes
import datetime
import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import ArgumentError, LaunchError, ReadOnlyError
from kernelkit.frontend.arguments import ScalarArg, StaticArg, TupleArg
from kernelkit.ir.types import BOOL, COMPLEX128, DTYPES, FLOAT64, INT64, ArrayType
from kernelkit.runtime.arguments import Reading, quick_key, read
from kernelkit.runtime.parameters import Parameters


def one(x): ...


def two(x, y): ...


def static(x: kk.constexpr): ...


def read_one(value: Any, fn: Callable[..., Any] = one) -> Reading:
    return read(Parameters(fn), [value])


def type_of(value: Any) -> Any:
    return read_one(value).types["x"]


def key_of(value: Any) -> Any:
    return read_one(value).key


# ---------------------------------------------------------------- types
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_as_array_and_as_scalar(name: str) -> None:
    dtype = DTYPES[name]
    values = np.zeros((2, 3), name)
    assert type_of(values) == ArrayType(dtype, 2)
    assert type_of(values[0, 0]) == ScalarArg(dtype)
    assert quick_key([values]) == key_of(values)
    assert quick_key([values[0, 0]]) == key_of(values[0, 0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, ScalarArg(BOOL)),
        (7, ScalarArg(INT64)),
        (2**63 - 1, ScalarArg(INT64)),
        (-(2**63), ScalarArg(INT64)),
        (1.5, ScalarArg(FLOAT64, weak=True)),
        (1j, ScalarArg(COMPLEX128, weak=True)),
        (np.float64(1), ScalarArg(FLOAT64)),
        (np.complex128(1), ScalarArg(COMPLEX128)),
        (np.longlong(3), ScalarArg(INT64)),
        (np.array(3.0), ArrayType(FLOAT64, 0)),
        (None, StaticArg(None)),
        ((), TupleArg(())),
        ((1, None), TupleArg((StaticArg(1), StaticArg(None)))),
        (((1.5,), True), TupleArg((TupleArg((StaticArg(1.5),)), StaticArg(True)))),
    ],
)
def test_types(value: Any, expected: Any) -> None:
    assert type_of(value) == expected
    quick = quick_key([value])
    assert quick is None or quick == key_of(value)


class Level(enum.IntEnum):
    LOW = 3


class Scale(float):
    pass


class Mode(enum.Enum):
    WRAP = 1


def test_numbers_of_derived_classes_are_numbers() -> None:
    reading = read(Parameters(two), [Level.LOW, Scale(1.5)])
    assert reading.types == {"x": ScalarArg(INT64), "y": ScalarArg(FLOAT64, weak=True)}
    assert [type(leaf) for leaf in reading.leaves] == [int, float]
    assert type_of((Level.LOW,)) == TupleArg((StaticArg(3),))


class Pair(NamedTuple):
    data: Any
    count: Any


def test_tuples_lay_their_arrays_flat() -> None:
    a, b, c = np.zeros(1), np.zeros((2, 2), np.int8), np.zeros(3)
    reading = read(Parameters(two), [(a, 2, Pair(b, (c, 1.5))), 9])
    inner = TupleArg((ArrayType(FLOAT64, 1), StaticArg(1.5)))
    pair = TupleArg((ArrayType(DTYPES["int8"], 2), inner), Pair)
    assert reading.types["x"] == TupleArg((ArrayType(FLOAT64, 1), StaticArg(2), pair))
    assert [id(x) for x in reading.leaves[:3]] == [id(a), id(b), id(c)]
    assert reading.labels == ["x[0]", "x[2].data", "x[2].count[0]", "y"]


def test_compile_time_values_are_no_leaves() -> None:
    for value in (3, "mode", np.float32, Mode.WRAP, (1, "a"), None, one, frozenset({1})):
        reading = read_one(value, static)
        assert reading.types == {"x": StaticArg(value)}
        assert reading.leaves == []


# ---------------------------------------------------------------- layouts
@pytest.mark.parametrize(
    ("make", "layout"),
    [
        (lambda a: a, "C"),
        (lambda a: a[:, ::2], 8),
        (lambda a: a[:, ::-1], -4),
        (lambda a: a[:, ::-4], -16),
        (lambda a: a[:, ::5], "A"),
        (lambda a: a[:, :5], 4),
        (lambda a: a.T, "A"),
        (lambda a: a[::-1], 4),
        (lambda a: a[2:4], "C"),
        (lambda a: a[:, 3], "A"),
        (lambda a: np.broadcast_to(a[:, :1], a.shape), 0),
        (lambda a: a[:, :0], "C"),
        (lambda a: np.asfortranarray(a), "A"),
    ],
)
def test_layouts(make: Callable[[np.ndarray], np.ndarray], layout: Any) -> None:
    view = make(np.zeros((8, 20), np.float32))
    found = type_of(view)
    assert (found.ndim, found.layout) == (view.ndim, layout)


def test_strides_that_are_no_multiple_of_the_item_are_general() -> None:
    record = np.zeros(4, np.dtype([("z", np.complex64), ("f", np.float32)]))
    assert type_of(record["z"]).layout == "A"
    assert type_of(record["f"]).layout == 12


# ---------------------------------------------------------------- keys
def test_keys_tell_types_apart() -> None:
    values = [
        1, True, 1.0, 1j, np.int64(1), np.float64(1), np.bool_(1), None, (), (1,), (True,), (1.0,),
        (-0.0,), (0.0,), ((1,),), (None,), (np.int8(1),), Pair(1, 2), (1, 2),
        np.zeros(1), np.zeros((1, 1)), np.zeros(1, np.float32), np.zeros(2)[::-1], np.zeros(4)[::2],
        (np.zeros(1),), np.zeros(()),
    ]  # fmt: skip
    keys = [key_of(value) for value in values]
    assert len(set(keys)) == len(values)


def test_keys_do_not_tell_run_time_values_apart() -> None:
    for same in (
        [1, 2, -(2**63)],
        [1.0, float("nan")],
        [np.zeros(1), np.zeros(9), np.empty(0)],
        [np.zeros((2, 2))[:, ::2], np.zeros((6, 10))[:, ::2]],
    ):
        assert len({key_of(value) for value in same}) == 1
    locked = np.zeros(3)
    locked.flags.writeable = False
    assert key_of(locked) == key_of(np.zeros(3)) == quick_key([np.zeros(3)])


def test_keys_of_arguments_do_not_run_into_one_another() -> None:
    def key(*values: Any) -> Any:
        return read(Parameters(two), values).key

    assert key((1, 2), 3) != key((1,), (2, 3))
    assert key((), (1,)) != key((1,), ())
    assert key(np.zeros(1), 1) != key(1, np.zeros(1))


def test_what_the_quick_key_leaves_to_a_closer_look() -> None:
    locked = np.zeros(3)
    locked.flags.writeable = False
    for value in (locked, np.zeros(4)[::2], np.zeros((2, 3)).T, None, (1,), 2**63, [1], Level.LOW):
        assert quick_key([value]) is None


# ---------------------------------------------------------------- arrays of other classes
class Derived(np.ndarray):
    """Such as a library's array with units; its own rules for indexing do not reach a kernel."""

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("kernels index plain arrays")


def test_subclasses_of_arrays_are_arrays(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "data", np.float32, "w+", shape=(4,))
    for value in (mapped, np.zeros((2, 2)).view(Derived), np.zeros(3).view(np.recarray)):
        (leaf,) = read_one(value).leaves
        assert type(leaf) is np.ndarray
        assert np.shares_memory(leaf, value)


class Interface:
    def __init__(self, data: np.ndarray) -> None:
        self.__array_interface__ = data.__array_interface__
        self.data = data


def test_the_array_interface() -> None:
    data = np.zeros((3, 4), np.int16)[:, ::2]
    reading = read_one(Interface(data))
    assert reading.types["x"] == ArrayType(DTYPES["int16"], 2, 4)
    assert np.shares_memory(reading.leaves[0], data)
    assert reading.foreign == []


# ---------------------------------------------------------------- refusals
class Grid:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.zeros(1)


class Nothing:
    pass


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1.0], r"is of type list, which no kernel takes; pass np\.asarray\(x\), or tuple\(x\)"),
        ("wrap", r"is of type str, .*; annotate its parameter kk\.constexpr"),
        (b"ab", r"is of type bytes, .*; pass np\.frombuffer\(x, dtype\)"),
        (bytearray(4), r"is of type bytearray.*np\.frombuffer"),
        (array.array("d", [1]), r"is of type array\.array.*np\.frombuffer"),
        (memoryview(b"ab"), r"is of type memoryview.*np\.frombuffer"),
        ((ctypes.c_double * 2)(), r"np\.frombuffer"),
        ({"a": 1}, r"is of type dict.*NamedTuple"),
        ({1}, r"is of type set.*np\.fromiter"),
        (range(3), r"is of type range.*its start, stop and step as ints"),
        (Grid(), r"test_arguments\.Grid, .*; pass np\.asarray\(x\)"),
        (Nothing(), r"Nothing, which no kernel takes; pass arrays, numbers, None or a tuple"),
        (Mode.WRAP, r"Mode, which no kernel takes; .*kk\.constexpr"),
        (datetime.date(2020, 1, 1), r"datetime\.date, which"),
        (np.sin, r"numpy\.ufunc, .*; call it from the kernel by its name"),
        (one, r"is of type function, .*; call it from the kernel by its name, or annotate"),
        (
            np.float32,
            r"is of type type, .*kk\.constexpr if it is a compile-time value, as a dtype is",
        ),
        (np.dtype("f4"), r"as a dtype is"),
        (Ellipsis, r"is of type ellipsis"),
        (2**63, r"9223372036854775808, which does not fit int64; pass np\.uint64\(92"),
        (-(2**63) - 1, r"does not fit int64; no integer dtype holds it"),
        (2**64, r"no integer dtype holds it: pass a float"),
        (np.longdouble(1), r"has dtype (longdouble|float128), .*; pass x\.astype\(np\.float64\)"),
        (np.clongdouble(1), r"pass x\.astype\(np\.complex128\)"),
        (np.datetime64("2020"), r"has dtype datetime64\[Y\], .*; pass x\.view\(np\.int64\)"),
        (np.timedelta64(1, "s"), r"has dtype timedelta64\[s\], .*np\.int64"),
        (np.str_("a"), r"encode its text as numbers"),
        (np.zeros(2, object), r"has dtype object, .*; pass x\.astype\(np\.float64\)"),
        (np.zeros(2, "M8[s]"), r"has dtype datetime64\[s\], .*; pass x\.view\(np\.int64\)"),
        (np.zeros(2, ">f4"), r"has dtype '>f4', .*other order: pass x\.astype\(np\.float32\), or"),
        (np.zeros(2, ">i8"), r"x\.byteswap\(inplace=True\)\.view\(np\.int64\)"),
        (np.zeros(2, "f4,i4"), r"each field as an array of its own: x\['field'\]"),
        (np.zeros(2).view(np.recarray).astype([("a", "f8")]), r"each field"),
        (np.zeros(2, "g"), r"pass x\.astype\(np\.float64\)"),
        (np.zeros(2, "G"), r"pass x\.astype\(np\.complex128\)"),
        (np.zeros(2, "U3"), r"encode its text as numbers"),
        (np.zeros(2, "S3"), r"encode its text as numbers"),
        (np.zeros(2, "V3"), r"the dtypes of kernels are bool, int8"),
        (np.ma.masked_array([1.0, 2.0]), r"masked array.*; pass x\.filled\(\.\.\.\), or x\.data"),
        (np.zeros(9, np.int8)[1:].view(np.int64), r"is not aligned.*; pass np\.require\(x"),
        ((1, [2]), r"'x\[1\]', is of type list"),
        (("a",), r"'x\[0\]', is of type str"),
        (Pair(np.zeros(1, object), 1), r"'x\.data', has dtype object"),
    ],
)
def test_what_no_kernel_takes(value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        read_one(value)
    assert str(caught.value).startswith("argument 1 of one, 'x")
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, LaunchError)


def test_a_refusal_says_which_argument() -> None:
    with pytest.raises(ArgumentError, match=r"^argument 2 of two, 'y', is of type list"):
        read(Parameters(two), [1, [2]])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros(2), r"must be hashable, which a numpy\.ndarray is not; drop the annotation"),
        ([1], r"must be hashable, which a list is not; pass tuple\(x\)"),
        ({}, r"which a dict is not; pass a hashable value"),
        ((1, [2]), r"must be hashable"),
    ],
)
def test_compile_time_arguments_must_be_hashable(value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        read_one(value, static)


# ---------------------------------------------------------------- for real
@kk.kernel
def put(x, out):
    out[0] = 1


@kk.kernel
def put_static(x: kk.constexpr, out):
    out[0] = x


@pytest.mark.parametrize(
    "value",
    [[1], "a", {}, None.__class__, np.zeros(1, object), np.zeros(1, ">f8"), 2**70, (1, "a")],
)
def test_a_refused_argument_writes_nothing(value: Any) -> None:
    out = np.full(2, -1.0)
    with pytest.raises(ArgumentError, match="argument 1 of put, 'x"):
        put.on("python")[1, 1](value, out)
    with pytest.raises(ArgumentError, match="argument 2 of put, 'out'"):
        put.on("python")[1, 1](1, [out])
    assert (out == -1).all()


def test_compile_time_arguments_for_real() -> None:
    out = np.zeros(1)
    for value in (3, 2.5, True, np.int8(7)):
        put_static.on("python")[1, 1](value, out)
        assert out[0] == value
    with pytest.raises(ArgumentError, match="must be hashable"):
        put_static.on("python")[1, 1](np.ones(1), out)
    assert out[0] == 7


@kk.kernel
def sums(pair, extra, out):
    data, count = pair
    i = kk.grid(1)
    if extra is None:
        out[i] = data[i] + count
    else:
        out[i] = data[i] + count + extra[i]


def test_tuples_and_none_for_real() -> None:
    data, out = np.arange(3.0), np.zeros(3)
    launch = sums.on("python").forall(3)
    for pair in ((data, 1), Pair(data, 1)):
        sums.on("python")[1, 3](pair, None, out)
        np.testing.assert_array_equal(out, data + 1)
    sums.on("python")[1, 3]((data[::-1], 2), data, out)
    np.testing.assert_array_equal(out, data[::-1] + 2 + data)
    assert launch.grid == (1, 1, 1)


@kk.kernel
def copy(src, dst):
    for i in range(dst.size):
        dst[i] = src[i]


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a[::-1],
        lambda a: a[::2],
        lambda a: a[::7],
        lambda a: np.broadcast_to(a[3], (5,)),
        lambda a: a[:0],
        lambda a: a.view(np.recarray),
        lambda a: Interface(a[4:]),
    ],
)
def test_views_of_any_layout_for_real(make: Callable[[np.ndarray], Any]) -> None:
    value = make(np.arange(40, dtype=np.int16))
    expected = np.asarray(getattr(value, "data", value) if isinstance(value, Interface) else value)
    out = np.full(expected.shape, -1, np.int16)
    copy.on("python")[1, 1](value, out)
    np.testing.assert_array_equal(out, expected)


def test_writing_through_views_for_real() -> None:
    base = np.zeros(10, np.int32)
    copy.on("python")[1, 1](np.arange(1, 6, dtype=np.int32), base[::-2])
    np.testing.assert_array_equal(base, [0, 5, 0, 4, 0, 3, 0, 2, 0, 1])
    mapped = np.zeros(4).view(np.recarray)
    copy.on("python")[1, 1](np.ones(4), mapped)
    np.testing.assert_array_equal(mapped, np.ones(4))


def test_read_only_arrays_are_read_but_not_written() -> None:
    locked = np.arange(3.0)
    locked.flags.writeable = False
    out = np.zeros(3)
    launch = copy.on("python")[1, 1]
    launch(locked, out)
    np.testing.assert_array_equal(out, locked)
    for value in (locked, Interface(locked), np.broadcast_to(np.float64(5), (3,))):
        for _ in range(2):
            with pytest.raises(ReadOnlyError, match=r"copy writes 'dst', .*such as dst\.copy\(\)"):
                launch(out, value)
    np.testing.assert_array_equal(locked, [0, 1, 2])
    with pytest.raises(ValueError, match="read-only"):
        launch(out, locked)


@kk.kernel
def write_in_tuple(arrays):
    arrays[1][0] = arrays[0][0]


def test_a_read_only_array_inside_a_tuple() -> None:
    locked = np.zeros(1)
    locked.flags.writeable = False
    with pytest.raises(ReadOnlyError, match=r"write_in_tuple writes 'arrays\[1\]'"):
        write_in_tuple.on("python")[1, 1]((np.ones(1), locked))
    assert locked[0] == 0


@kk.kernel
def write_row(matrix):
    row = matrix[1]
    row[0] = 7


def test_a_write_through_a_view_is_a_write() -> None:
    locked = np.zeros((2, 2))
    locked.flags.writeable = False
    with pytest.raises(ReadOnlyError, match="write_row writes 'matrix'"):
        write_row.on("python")[1, 1](locked)
    assert (locked == 0).all()
