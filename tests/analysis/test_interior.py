"""What is assumed of interior blocks, and what is left of a kernel there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernelkit import device
from kernelkit.analysis.interior import Interior, find_interior
from kernelkit.analysis.shape import Shape
from kernelkit.frontend.builtins import blockDim, grid, threadIdx
from kernelkit.ir import nodes as ir
from kernelkit.ir.printer import format_expr
from kernelkit.ir.verify import verify


def clamps(kernel: ir.Kernel) -> list[str]:
    """What a kernel still decides or clamps."""
    ifs = [format_expr(s.condition) for s in ir.walk(kernel.body) if isinstance(s, ir.If)]
    inner = [e for s in ir.walk(kernel.body) for t in ir.expressions(s) for e in ir.walk_expr(t)]
    names = ("min", "max", "mod")
    return ifs + [
        format_expr(e)
        for e in inner
        if isinstance(e, ir.Select) or (isinstance(e, ir.Binary) and e.op in names)
    ]


def interior_of(parsed: Any, function: Callable[..., Any], **arguments: Any) -> Interior | None:
    return find_interior(parsed(function, **arguments), Shape((64, 1, 1)))


def test_what_few_blocks_decide_stays(parsed: Any) -> None:
    def kernel(a, b, n, m):
        i = grid(1)
        t = threadIdx.x
        if t < 32:
            a[i] = 1
        if t < n:
            a[i] = 2
        if i == 0:
            a[i] = 3
        if a[i] > 0 or b[i] < i:
            a[i] = 4
        for s in range(m):
            if t < s:
                a[t + s] = 5
            a[i // n] = a[i % n]
        a[min(b[i], n)] = 6

    assert interior_of(parsed, kernel, b="int64[1]") is None


def test_what_holds_in_all_blocks_needs_no_conditions(parsed: Any) -> None:
    def kernel(a):
        for c in range(threadIdx.x, a.size, blockDim.x):
            if c >= 0 and c < a.size:
                a[min(max(c, 0), a.size - 1)] = c % a.size

    interior = interior_of(parsed, kernel)
    assert interior is not None
    assert interior.conditions == ()
    assert clamps(interior.kernel) == []
    assert interior.never_negative


def test_conditions_are_few_and_the_strongest(parsed: Any) -> None:
    def kernel(a):
        x = grid(1)
        for k in range(-7, 12):
            if x + k < a.size - 1 and x + k >= 2 and x + 2 * k > -3 and x < a.size:
                a[x] += a[max(x + k - 3, 0)]

    interior = interior_of(parsed, kernel)
    assert interior is not None
    assert sorted(map(format_expr, interior.conditions)) == [
        "1 <= blockIdx.x",
        "blockIdx.x * 64 + 76 <= a.shape[0]",
    ]


def test_sizes_that_could_wrap_around_must_keep_within_bounds(parsed: Any) -> None:
    def kernel(a, n):
        i = grid(1)
        if i + 1 < n:
            a[i] = a[i + 1]

    interior = interior_of(parsed, kernel)
    assert interior is not None
    assert sorted(map(format_expr, interior.conditions)) == [
        "0 <= n + 1099511627776",
        "blockIdx.x * 64 + 65 <= n",
        "n <= 1099511627776",
    ]


def test_assumptions_that_exclude_each_other_are_not_made(parsed: Any) -> None:
    def kernel(a, n):
        i = grid(1)
        if i < a.size:
            a[i] = 1
        if i + 64 >= a.size:
            return
        if i < n:
            a[i] += 2
        if i >= n:
            a[i] += 3

    interior = interior_of(parsed, kernel)
    assert interior is not None
    assert "blockIdx.x * 64 + 128 <= a.shape[0]" in map(format_expr, interior.conditions)
    assert clamps(interior.kernel) == []


def test_names_without_an_assignment_left_are_zero(parsed: Any) -> None:
    def kernel(a):
        if threadIdx.x < 0:
            v = 1.5
        a[threadIdx.x] = v

    interior = interior_of(parsed, kernel)
    assert interior is not None
    first, store = verify(interior.kernel).body
    assert isinstance(first, ir.Assign)
    assert first.value.value == 0.0


def test_a_wrap_counts_unless_the_kernel_opts_out(parsed: Any) -> None:
    def kernel(a):
        i = grid(1)
        a[i] = a[i - 1]

    interior = interior_of(parsed, kernel)
    assert interior is not None
    assert list(map(format_expr, interior.conditions)) == ["1 <= blockIdx.x"]
    assert len(interior.never_negative) == 2
    assert interior_of(parsed, kernel, options=ir.Options(wraparound=False)) is None


@device
def mirrored(i, n):
    if i < 0:
        return -i - 1
    if i >= n:
        return 2 * n - 1 - i
    return i


def test_calls_leave_nothing_behind(parsed: Any) -> None:
    def kernel(a):
        i = grid(1)
        if i < a.size:
            a[i] = a[mirrored(i - 2, a.size)]

    interior = interior_of(parsed, kernel)
    assert interior is not None
    assert clamps(interior.kernel) == []
    assert all(isinstance(s, ir.Assign | ir.Store) for s in ir.walk(interior.kernel.body))
