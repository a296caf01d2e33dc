"""Checks and prints in C: what hand-made kernels write into their launch record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from opencl_devices import each_device, run

from kernelkit import errors
from kernelkit.backend import LaunchConfig
from kernelkit.emit import launch_record
from kernelkit.emit.cstyle.checks import Checks
from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.emit.cstyle.library import Library
from kernelkit.emit.cstyle.scalars import Scalars
from kernelkit.emit.cstyle.warps import Warps
from kernelkit.errors import NOWHERE, Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    FLOAT32,
    INT8,
    INT32,
    INT64,
    UINT8,
    UINT32,
    UINT64,
    AddressSpace,
    ArrayType,
)  # fmt: skip
from kernelkit_cuda import nvrtc
from kernelkit_cuda.dialect import CUDA
from kernelkit_opencl.dialect import opencl

SPAN = Span("user.py", 3, 4, 3, 9)
Body = Callable[[Checks, Warps], Sequence[str]]


class Made:
    """A kernel of a few lines, one row of `threads` in each block."""

    def __init__(
        self, dialect: CDialect, body: Body, threads: int = 8, debug: bool = True,
        wraparound: bool = True,
    ) -> None:  # fmt: skip
        library = Library()
        scalars = Scalars(dialect.scalars, library)
        options = ir.Options(debug=debug, wraparound=wraparound)
        kernel = ir.Kernel("k", (), (), NOWHERE, options)
        checks = Checks(scalars, library, dialect, kernel)
        assert dialect.warps is not None
        warps = Warps(library, scalars, dialect.warps)
        lines = list(body(checks, warps))
        register = dialect.registers
        parameters = [
            dialect.pointer(AddressSpace.GLOBAL, kind) + name
            for kind, name in (("u64", "kk_record"), ("i64", "given"), ("u32", "done"))
        ]
        thread = register["threadIdx"].format(axis="x", number=0)
        block = register["blockIdx"].format(axis="x", number=0)
        head = dialect.kernel.format(
            name="k", parameters=", ".join(parameters), threads=threads, x=threads, y=1, z=1,
            attributes=warps.attributes,
        )  # fmt: skip
        inner = [
            "int kk_fault = 0, kk_stop = 0;" if debug else "",
            f"const u32 kk_thread = (u32){thread}; const i64 kk_block = (i64){block};",
            "const u32 kk_lane = kk_thread & 31u;",
            f"const i64 place = kk_block * {threads} + kk_thread;",
            "const i64 x = given[place];",
            *warps.scratch(threads),
            *lines,
            "done[place] = 1u + (u32)kk_fault;" if debug else "done[place] = 1u;",
        ]
        self.text = "\n".join([scalars.prelude, library.text(), f"{head} {{", *inner, "}"])
        self.metadata = {
            "sites": checks.sites, "block": [threads, 1, 1], "debug": debug, "prints": True,
        }  # fmt: skip
        self.threads = threads
        self.done = np.zeros(0, np.uint32)

    def run(self, device: Any, given: Sequence[int], capacity: int = 256) -> str:
        """What the kernel says for such numbers; what goes wrong is raised."""
        values = np.array(given, np.int64)
        self.done = np.zeros(values.size, np.uint32)
        words = launch_record.new_record(self.metadata, capacity)
        args = [words, values, self.done]
        run(device, self.text, args, threads=values.size, block=self.threads)
        config = LaunchConfig((values.size // self.threads, 1, 1), (self.threads, 1, 1))
        said: list[str] = []
        used = launch_record.words_used(words[: launch_record.HEADER])
        try:
            launch_record.report(self.metadata, words[:used], config, said.append)
        finally:
            self.said = "".join(said)
        return self.said


def read(name: str, dtype: Any = INT64) -> ir.Read:
    return ir.Read(SPAN, dtype, ir.Var(name, dtype))


ARRAY = ir.ArrayVar("a", ArrayType(FLOAT32, 1))


# ---------------------------------------------------------------- bounds
def bounds(dtype: Any, extents: Sequence[int | str], others: Sequence[str] = ()) -> Body:
    node = ir.Load(SPAN, FLOAT32, ARRAY, ())
    first = "(u64)x" if dtype == UINT64 else "x"
    indices = [(dtype, first), *((INT64, other) for other in others)]

    def body(checks: Checks, warps: Warps) -> list[str]:
        # The last thread only holds the extent.
        return [f"if (kk_thread < 8u && {checks.inside(node, 'a', indices, extents)}) {{}}"]

    return body


@each_device
@pytest.mark.parametrize("extent", [5, "given[8]"])
@pytest.mark.parametrize(
    ("dtype", "wraparound", "good", "wrong"),
    [
        (INT64, True, (-5, -1, 0, 4), (5, -6, 2**40, -(2**40), 2**63 - 1, -(2**63))),
        (INT64, False, (0, 4), (5, -1, -(2**63))),
        (INT8, True, (-5, 4), (5, -128)),
        (UINT8, True, (0, 4), (5, 255)),
        (UINT64, True, (0, 4), (5, 2**63 - 1, -1)),
    ],
)
def test_an_index(
    device: Any, extent: Any, dtype: Any, wraparound: bool, good: Any, wrong: Any
) -> None:
    made = Made(opencl(), bounds(dtype, [extent]), threads=9, wraparound=wraparound)
    for index in good:
        made.run(device, [index] * 8 + [5])
    for index in wrong:
        with pytest.raises(errors.OutOfBoundsError) as caught:
            made.run(device, [0, 0, index, index, 0, 0, 0, 0, 5])
        shown = index % 2**64 if dtype == UINT64 else index
        assert f"a[{shown}] is outside a, whose shape is (5,)" in str(caught.value)
        assert (caught.value.block, caught.value.thread) == ((0, 0, 0), (2, 0, 0))
        assert caught.value.span == SPAN
        assert made.done.tolist() == [1, 1, 2, 2, 1, 1, 1, 1, 1]


@each_device
def test_more_axes_than_indices(device: Any) -> None:
    made = Made(opencl(), bounds(INT64, ["given[9]", 4, "given[10]"], ["x + 1"]), threads=11)
    with pytest.raises(errors.OutOfBoundsError, match=r"a\[3, 4\] .* is \(7, 4, 9\)"):
        made.run(device, [0, 0, 0, 3, 0, 0, 0, 0, 1, 7, 9])
    assert made.metadata["sites"][0]["shape"] == [None, 4, None]


@each_device
def test_the_first_thread_of_one_block_is_named(device: Any) -> None:
    made = Made(opencl(), bounds(INT64, [5]))
    given = np.zeros((50, 8), np.int64)
    given[7:, 3:] = 9
    with pytest.raises(errors.OutOfBoundsError) as caught:
        made.run(device, given.ravel().tolist())
    assert caught.value.thread == (3, 0, 0)
    assert caught.value.block is not None and 7 <= caught.value.block[0] < 50


@each_device
def test_the_first_fault_of_a_thread_is_kept(device: Any) -> None:
    node = ir.Load(SPAN, FLOAT32, ARRAY, ())

    def body(checks: Checks, warps: Warps) -> list[str]:
        loop = ir.For(SPAN, ir.Var("k", INT64), *[read("n")] * 3, ())
        return [
            f"if ({checks.inside(node, 'a', [(INT64, 'x')], [5])}) {{}}",
            *checks.step(loop, "(5 - x)"),
        ]

    made = Made(opencl(), body)
    with pytest.raises(errors.OutOfBoundsError):
        made.run(device, [0, 5, 0, 0, 0, 0, 0, 0])
    made.run(device, [0] * 8)


# ---------------------------------------------------------------- the others
@each_device
def test_a_name_and_a_step(device: Any) -> None:
    loop = ir.For(SPAN, ir.Var("k", INT64), *[read("n")] * 3, ())
    unassigned = Made(opencl(), lambda c, w: [f"int f = x > 0; {c.assigned(read('n'), 'f')};"])
    steps = Made(opencl(), lambda c, w: c.step(loop, "x"))
    for made, kind in ((unassigned, errors.UnassignedError), (steps, errors.ZeroStepError)):
        made.run(device, [1] * 8)
        with pytest.raises(kind) as caught:
            made.run(device, [1, 1, 1, 0, 1, 0, 1, 1])
        assert caught.value.thread == (3, 0, 0)


TEXT = (
    "x is ", ir.Formatted(read("x"), "5d"), " or ", ir.Formatted(read("f", FLOAT32), ".2f"), " ",
    ir.Formatted(read("b", BOOL)), " ", ir.Formatted(read("c", COMPLEX64)), "\n",
)  # fmt: skip
VALUES = ["x", "(f32)(x * 0.5f)", "(x > 2)", "kk_c"]
COMPLEX = "c64 kk_c; kk_c.re = (f32)x; kk_c.im = -1.0f;"


@each_device
def test_an_assertion(device: Any) -> None:
    stmt = ir.Assert(SPAN, read("b", BOOL), TEXT)
    made = Made(opencl(), lambda c, w: [COMPLEX, *c.assertion(stmt, "x > 0", VALUES)])
    made.run(device, [1] * 8)
    with pytest.raises(errors.KernelAssertionError) as caught:
        made.run(device, [1, 1, 1, 1, 1, 1, 1, -3])
    assert "assertion failed: x is    -3 or -1.50 False (-3-1j)\n (block" in str(caught.value)


@each_device
def test_values_beyond_what_a_slot_holds_are_left_out(device: Any) -> None:
    text = tuple(ir.Formatted(read("x")) for _ in range(20))
    stmt = ir.Assert(SPAN, read("b", BOOL), text)
    made = Made(opencl(), lambda c, w: c.assertion(stmt, "x > 0", ["x"] * 20))
    with pytest.raises(errors.KernelAssertionError, match=r"failed: 0{16}\?\?\?\? "):
        made.run(device, [1, 0, 1, 1, 1, 1, 1, 1])


@each_device
@pytest.mark.parametrize("debug", [False, True])
def test_prints(device: Any, debug: bool) -> None:
    stmt = ir.Print(SPAN, TEXT)
    made = Made(opencl(), lambda c, w: [COMPLEX, *c.print_lines(stmt, VALUES)], debug=debug)
    lines = made.run(device, range(16)).splitlines()
    expected = [f"x is {x:5d} or {x / 2:.2f} {x > 2} {complex(x, -1)}" for x in range(16)]
    assert sorted(lines) == sorted(expected)


@each_device
def test_prints_that_find_no_room(device: Any) -> None:
    stmt = ir.Print(SPAN, ("x", ir.Formatted(read("x")), "\n"))
    made = Made(opencl(), lambda c, w: c.print_lines(stmt, ["x"]), debug=False)
    for capacity, kept in ((33, 16), (32, 16), (31, 15), (7, 3), (1, 0), (0, 0)):
        with pytest.warns(RuntimeWarning, match=f"{64 - kept} prints were lost"):
            said = made.run(device, range(64), capacity)
        lines = said.splitlines()
        assert len(set(lines)) == len(lines) == kept
        assert set(lines) <= {f"x{x}" for x in range(64)}


@each_device
def test_a_thread_at_fault_prints_no_more(device: Any) -> None:
    loop = ir.For(SPAN, ir.Var("k", INT64), *[read("n")] * 3, ())
    stmt = ir.Print(SPAN, ("x", ir.Formatted(read("x")), "\n"))
    made = Made(opencl(), lambda c, w: [*c.step(loop, "(x - 3)"), *c.print_lines(stmt, ["x"])])
    with pytest.raises(errors.ZeroStepError):
        made.run(device, range(8))
    assert sorted(made.said.split()) == sorted(f"x{x}" for x in range(8) if x != 3)


@each_device
def test_a_block_stops_behind_a_barrier(device: Any) -> None:
    loop = ir.For(SPAN, ir.Var("k", INT64), *[read("n")] * 3, ())
    later = ir.Assert(SPAN, read("b", BOOL), ("later",))

    def body(checks: Checks, warps: Warps) -> list[str]:
        barrier = warps.barrier("sync", None, None)
        return [
            *checks.step(loop, "x"), *barrier, *checks.stop(barrier),
            *checks.assertion(later, "x != 1", []),
        ]  # fmt: skip

    made = Made(opencl(), body)
    for place in range(8):
        given = np.ones(8, np.int64)
        given[place] = 0
        with pytest.raises(errors.ZeroStepError) as caught:
            made.run(device, given.tolist())
        assert caught.value.thread == (place, 0, 0)
        assert made.done.tolist() == [2] * 8
    with pytest.raises(errors.KernelAssertionError) as failed:
        made.run(device, [2, 2, 1, 2, 2, 1, 2, 2] + [2] * 8)
    assert failed.value.thread == (2, 0, 0)


# ---------------------------------------------------------------- warps
MASK = ir.Constant(SPAN, UINT32, 0xFFFFFFFF)


@each_device
def test_a_lane_that_its_mask_does_not_name(device: Any) -> None:
    stmt = ir.Warp(SPAN, "ballot", MASK, (read("b", BOOL),), (ir.Var("r", UINT32),))
    made = Made(opencl(), lambda c, w: c.lane_named(stmt, "(u32)x", live="(x >= 0)"), threads=40)
    made.run(device, [1 << n % 32 if n % 3 else -(1 << 40) for n in range(40)])
    with pytest.raises(
        errors.DivergenceError, match="lane 1 calls ballot_sync with the mask 0x0"
    ) as e:
        made.run(device, [0xFFFFFFFF] * 33 + [5] * 7)
    assert e.value.thread == (33, 0, 0)


@each_device
@pytest.mark.parametrize("op", ["shfl", "shfl_down"])
def test_a_shuffle_from_a_lane_that_is_not_there(device: Any, op: str) -> None:
    stmt = ir.Warp(SPAN, op, MASK, (read("v"), read("n", INT32)), (ir.Var("r", INT64),))

    def body(checks: Checks, warps: Warps) -> list[str]:
        mask = "(x < 0 ? 0u : 0xffffffffu)"  # those that have returned
        present = warps.present(mask)
        return [
            "const bool live = x >= 0;",
            *checks.lane_active(stmt, mask, "(i32)x", present, threads=40, live="live"),
        ]

    made = Made(opencl(), body, threads=40)
    given = np.zeros(40, np.int64)
    made.run(device, given.tolist())
    given[35] = wanted = 9 if op == "shfl" else 7
    lane = 9 if op == "shfl" else 10
    with pytest.raises(errors.InactiveLaneError) as caught:
        made.run(device, given.tolist())
    assert f"lane 3 shuffles from lane {lane}, which does not exist" in str(caught.value)
    assert caught.value.thread == (35, 0, 0)
    given[:] = 0
    given[4] = wanted
    made.run(device, given.tolist())
    given[wanted if op == "shfl" else 11] = -1
    with pytest.raises(errors.InactiveLaneError) as caught:
        made.run(device, given.tolist())
    assert "lane 4 shuffles from lane" in str(caught.value)
    assert "has returned" in str(caught.value)


# ---------------------------------------------------------------- CUDA
def everything(checks: Checks, warps: Warps) -> list[str]:
    loop = ir.For(SPAN, ir.Var("k", INT64), *[read("n")] * 3, ())
    shuffle = ir.Warp(SPAN, "shfl", MASK, (read("v"), read("n", INT32)), (ir.Var("r", INT64),))
    barrier = warps.barrier("sync", None, None)
    return [
        *bounds(INT64, ["given[9]", 4, "given[10]"], ["x + 1"])(checks, warps),
        COMPLEX,
        f"int flag = x > 0; {checks.assigned(read('n'), 'flag')};",
        *checks.step(loop, "x"),
        *checks.assertion(ir.Assert(SPAN, read("b", BOOL), TEXT), "x > 0", VALUES),
        *checks.print_lines(ir.Print(SPAN, TEXT), VALUES),
        *barrier,
        *checks.stop(barrier),
        *checks.lane_named(shuffle, "0xffffffffu"),
        *checks.lane_active(shuffle, "0xffffffffu", "(i32)x", warps.present("0xffffffffu"), 8),
    ]


@pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing())
def test_cuda_compiles_it_all() -> None:
    made = Made(CUDA, everything)
    data, log = nvrtc.compile(made.text, "k", "sm_90")
    assert data and "error" not in log


def test_equal_places_are_one_site_and_one_function() -> None:
    made = Made(CUDA, lambda c, w: [*everything(c, w), *everything(c, w)])
    kinds = [site["kind"] for site in made.metadata["sites"]]
    assert kinds == [
        "bounds", "unassigned", "step", "assert", "print", "unnamed lane", "inactive lane"
    ]  # fmt: skip
    for name in ("kk_claim", "kk_failed", "kk_reserve", "kk_inside_0", "kk_assigned_1"):
        found = [line for line in made.text.splitlines() if f" {name}(" in line and "{" in line]
        assert sum(line.startswith(CUDA.scalars.function) for line in found) == 1


def test_no_record_without_a_need() -> None:
    made = Made(CUDA, lambda c, w: [])
    assert made.metadata["sites"] == []
    assert "kk_claim" not in made.text
