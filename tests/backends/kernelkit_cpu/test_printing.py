"""What kernels print on the CPU, beside the reference."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

import kernelkit as kk


def printed(
    capsys: pytest.CaptureFixture[str], backend: str, kernel: Any, grid: Any, block: Any, *args: Any
) -> str:
    with kk.use(backend):
        kernel[grid, block](*args)
    return capsys.readouterr().out


def check_same(capsys: pytest.CaptureFixture[str], kernel: Any, block: Any, *args: Any) -> str:
    expected = printed(capsys, "python", kernel, 1, block, *args)
    assert printed(capsys, "cpu", kernel, 1, block, *args) == expected
    return expected


@kk.kernel
def numbers(flag, i8, u8, i16, i32, u32, i64, u64):
    print(flag, i8, u8, i16, i32, u32, i64, u64)
    print(f"{flag} {i8:5d} {u8:x} {i16:X} {i32:8x} {u32:d} {i64:20} {u64} {u64:X}")


@kk.kernel
def fractions(f16, f32, f64, c64, c128):
    print(f16, f32, f64, c64, c128, sep=", ", end=";\n")
    print(f"{f16:.3f} {f32:10.4f} {f64:e} {f64:.17g} {f32:g} {f16:8.1e} {c64.imag:.2f} {c64}")


def test_each_type_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng()
    types = [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64]
    for end in ("min", "max"):
        check_same(capsys, numbers, 1, np.True_, *(t(getattr(np.iinfo(t), end)) for t in types))
    for value in (0.1, -0.0, 1e-7, 65504, np.inf, -np.inf, np.nan, rng.normal()):
        with np.errstate(over="ignore"):
            given = [np.float16(value), np.float32(value), np.float64(value)]
            given += [np.complex64(complex(value, -1)), np.complex128(complex(0, value))]
        check_same(capsys, fractions, 1, *given)


@kk.kernel
def some_of_them(src, limit):
    i = kk.grid(1)
    if i < src.size and src[i] > limit:
        print(f"{i}: {src[i]:.3f}", src[i] > 0)
        if i % 2:
            print("odd", i, sep="", end="!\n")


@pytest.mark.parametrize("block", [1, 13, 64])
def test_lanes_print_in_order(capsys: pytest.CaptureFixture[str], block: int) -> None:
    src = np.random.default_rng().normal(size=block)
    for limit in (-9.0, 0.0, 9.0):
        lines = [
            printed(capsys, backend, some_of_them, 1, block, src, limit).splitlines()
            for backend in ("python", "cpu")
        ]
        # Each statement comes in the order of the threads; the two are not one.
        for odd in (False, True):
            expected, found = ([x for x in each if ("odd" in x) == odd] for each in lines)
            assert found == expected


def test_all_blocks_print(capsys: pytest.CaptureFixture[str]) -> None:
    src = np.arange(1000) + 1.0
    lines = printed(capsys, "cpu", some_of_them, 8, 128, src, 0.0).splitlines()
    expected = [f"{i}: {i + 1:.3f} True" for i in range(1000)]
    assert sorted(lines) == sorted(expected + [f"odd{i}!" for i in range(1, 1000, 2)])


@kk.kernel
def nothing_but_text():
    print()
    print('100% {} \\ "quoted" äöü', "tab\tend")


def test_text_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert "äöü tab\tend\n" in check_same(capsys, nothing_but_text, 1)


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("no room left")


def test_an_error_while_printing_comes_out_of_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    src = np.ones(64)
    with monkeypatch.context() as patch, kk.use("cpu"):
        patch.setattr(sys, "stdout", Broken())
        with pytest.raises(OSError, match="no room left"):
            some_of_them[4, 16](src, 0.0)


@kk.kernel(debug=True)
def in_debug_kernels(src):
    i = kk.threadIdx.x
    print("before", i)
    assert src[i] > 0, f"{src[i]}"


def test_what_a_debug_kernel_prints_before_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(kk.KernelAssertionError, match="-1"), kk.use("cpu"):
        in_debug_kernels[1, 2](np.array([1, -1]))
    assert capsys.readouterr().out == "before 0\nbefore 1\n"
