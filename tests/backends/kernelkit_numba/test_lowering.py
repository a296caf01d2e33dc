"""Kernels in the words of numba.cuda's printer do what they did: they are run on the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import LaunchConfig
from kernelkit.emit import launch_record
from kernelkit.ir import nodes as ir
from kernelkit.ir.verify import verify
from kernelkit_numba.lowering import lowered
from kernelkit_numba.reports import reporting

LAST = 2**63 - 1
LOWEST = -(2**63)


@kk.kernel
def steps(first, last, step, out):
    n = 0
    for k in range(first, last, step):
        if k == 5:
            continue
        if n == 20:
            break
        out[n] = k
        n += 1
    else:
        out[20] = 1
    out[21] = n


@pytest.mark.parametrize(
    ("first", "last", "step"),
    [
        (0, 10, 1), (10, 0, -1), (0, 10, 3), (9, -1, -4), (3, 3, 1), (4, 3, 1), (0, 100, 1),
        (0, 5, 0), (LAST - 5, LAST, 1), (LAST - 5, LAST, 2), (LAST - 5, LAST, LAST),
        (LOWEST + 5, LOWEST, -2), (LOWEST + 5, LOWEST, LOWEST), (LOWEST, LAST, LAST),
    ],
)  # fmt: skip
def test_ranges(
    typed: Callable[..., Any], interpret: Callable[..., None], first: int, last: int, step: int
) -> None:
    if step == 0:
        expected = np.zeros(22, np.int64)
        expected[20] = 1
    else:
        expected = np.zeros(22, np.int64)
        numbers = [k for k in range(first, last, step) if k != 5]
        expected[: min(20, len(numbers))] = numbers[:20]
        expected[20], expected[21] = len(numbers) <= 20, min(20, len(numbers))
    out = np.zeros(22, np.int64)
    kernel, values = typed(steps, (1, 1, 1), first, last, step, out)
    interpret(verify(lowered(kernel)), (1, 1, 1), (1, 1, 1), values)
    assert out.tolist() == expected.tolist()


@kk.kernel
def constant_steps(out):
    n = 0
    for k in range(2, 20, 5):
        out[n] = k
        n += 1
    for k in range(20, 2, -7):
        out[n] = k
        n += 1
    for k in range(9223372036854775800, 9223372036854775807, 6):
        out[n] = k
        n += 1


def test_constant_ranges(typed: Callable[..., Any], interpret: Callable[..., None]) -> None:
    out = np.zeros(10, np.int64)
    kernel, values = typed(constant_steps, (1, 1, 1), out)
    interpret(verify(lowered(kernel)), (1, 1, 1), (1, 1, 1), values)
    numbers = [*range(2, 20, 5), *range(20, 2, -7), *range(2**63 - 8, 2**63 - 1, 6)]
    assert out[: len(numbers)].tolist() == numbers
    assert not out[len(numbers) :].any()


@kk.kernel
def perhaps(flag, out):
    if flag:
        value = 3
    i = kk.threadIdx.x
    out[i] = value


def test_names_that_may_be_unassigned_begin_as_zero(
    typed: Callable[..., Any], interpret: Callable[..., None]
) -> None:
    for flag, expected in ((0, 0), (1, 3)):
        out = np.full(2, 9)
        kernel, values = typed(perhaps, (2, 1, 1), flag, out)
        found = lowered(kernel)
        zeroed = [s.target.name for s in found.body if isinstance(s, ir.Assign)
                  and isinstance(s.value, ir.Constant)]  # fmt: skip
        assert zeroed == ["value"]
        interpret(verify(found), (1, 1, 1), (2, 1, 1), values)
        assert out.tolist() == [expected, expected]


@kk.kernel(wraparound=False)
def unwrapped(a, out):
    i = kk.threadIdx.x
    out[i] = a[i]


def test_indices_that_do_not_wrap_have_no_sign(typed: Callable[..., Any]) -> None:
    kernel, _ = typed(unwrapped, (2, 1, 1), np.zeros(2), np.zeros(2))
    stores = [s for s in ir.walk(lowered(kernel).body) if isinstance(s, ir.Store)]
    assert [index.type.name for index in stores[0].indices] == ["uint64"]


# ---------------------------------------------------------------- what kernels say
def run_reporting(
    typed: Callable[..., Any], interpret: Callable[..., None], kernel: Any, grid: int, block: int,
    *args: Any, capacity: int = 1 << 10,
) -> str:  # fmt: skip
    """Runs a kernel that reports on the reference; what it printed. Raises what went wrong."""
    shape = (block, 1, 1)
    found, values = typed(kernel, shape, *args)
    changed, sites, has_record = reporting(found)
    assert has_record
    metadata = {
        "block": list(shape), "debug": found.options.debug, "sites": sites, "prints": True,
    }  # fmt: skip
    record, said = launch_record.new_record(metadata, capacity), list[str]()
    interpret(verify(lowered(changed)), (grid, 1, 1), shape, (*values, record))
    config = LaunchConfig((grid, 1, 1), shape)
    launch_record.report(metadata, record, config, said.append)
    return "".join(said)


@kk.kernel
def talks(a, h, z, flags):
    i = kk.grid(1)
    print("thread", i, f"{a[i]:.3f}", h[i], z[i], flags[i])


def test_prints_of_every_type(typed: Callable[..., Any], interpret: Callable[..., None]) -> None:
    halves = np.array([0.1, -65504, 6e-8, np.inf, np.nan, -0.0, 6.1e-5, -3e-5], np.float16)
    a, z = np.arange(8) / 8, (np.arange(8) * (1 - 2j)).astype(np.complex64)
    flags = np.arange(8) % 2 == 1
    said = run_reporting(typed, interpret, talks, 2, 4, a, halves, z, flags)
    assert said.splitlines() == [
        f"thread {i} {a[i]:.3f} {halves[i]} {z[i]} {flags[i]}" for i in range(8)
    ]


def test_prints_beyond_the_room_are_counted(
    typed: Callable[..., Any], interpret: Callable[..., None]
) -> None:
    ones = np.ones(8)
    with pytest.warns(RuntimeWarning, match="5 prints were lost"):
        said = run_reporting(
            typed, interpret, talks, 2, 4, ones, ones.astype(np.float16),
            ones.astype(np.complex64), ones > 0, capacity=3 * 7,
        )  # fmt: skip
    assert len(said.splitlines()) == 3


@kk.kernel(debug=True)
def checked(a, tile, out, step, flag):
    i = kk.grid(1)
    if flag == 1:
        late = 3
    if flag == 2:
        out[i] = a[i + 3]
    if flag == 3:
        out[i] = i < a.size and a[-i - 1] > 0
    if flag == 4:
        out[i] = tile[i, 2] if i > 1 else 0
    if flag == 5:
        for k in range(0, 3, step):
            out[i] = k
    if flag == 6:
        out[i] = late
    assert flag != 7 or i < 2, f"{i} of {a[i]}"
    out[i] += 1


@pytest.mark.parametrize(
    ("flag", "error", "words", "thread"),
    [
        (2, kk.OutOfBoundsError, r"a\[4\] is outside a, whose shape is \(4,\)", 1),
        (4, kk.OutOfBoundsError, r"tile\[2, 2\] is outside tile, whose shape is \(5, 2\)", 2),
        (5, kk.ZeroStepError, "the step of this range is 0", 0),
        (6, kk.UnassignedError, "late is read before it was assigned", 0),
        (7, kk.KernelAssertionError, "assertion failed: 2 of 2.0", 2),
    ],
)
def test_faults_of_debug_kernels(
    typed: Callable[..., Any], interpret: Callable[..., None], flag: int, error: Any, words: str,
    thread: int,
) -> None:  # fmt: skip
    args = (np.arange(4.0), np.zeros((5, 2)), np.zeros(4, np.int64), 0, flag)
    with pytest.raises(error, match=words) as caught:
        run_reporting(typed, interpret, checked, 1, 4, *args)
    assert caught.value.thread == (thread, 0, 0)
    assert caught.value.block == (0, 0, 0)


@pytest.mark.parametrize("flag", [0, 1, 3])
def test_sound_launches_of_debug_kernels(
    typed: Callable[..., Any], interpret: Callable[..., None], flag: int
) -> None:
    out = np.zeros(4, np.int64)
    args = (np.arange(4.0), np.zeros((5, 2)), out, 1, flag)
    assert run_reporting(typed, interpret, checked, 1, 4, *args) == ""
    assert (out > 0).all()


@kk.kernel
def says_nothing(a):
    assert a[0] == 0
    a[0] = 1


def test_a_kernel_that_says_nothing_takes_no_record(typed: Callable[..., Any]) -> None:
    kernel, _ = typed(says_nothing, (1, 1, 1), np.zeros(1))
    same, sites, has_record = reporting(kernel)
    assert (same, sites, has_record) == (kernel, [], False)
    assert not any(isinstance(s, ir.Assert) for s in ir.walk(lowered(kernel).body))
