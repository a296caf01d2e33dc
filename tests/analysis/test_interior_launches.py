"""Interior blocks: what is left of kernels there, which blocks they are, and that they do the same.

Each launch runs on the reference three times: as it is; with its own claims about negative indices
put to the test; and with the interior version in the blocks that meet the conditions, whose claims
are put to the test as well. All must leave the same bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import blockDim, blockIdx, grid, gridsize, registry, shared, syncthreads, threadIdx
from kernelkit.analysis.interior import Interior, find_interior
from kernelkit.analysis.pipeline import analyse
from kernelkit.analysis.ranges import never_negative
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import LaunchConfig
from kernelkit.ir import nodes as ir
from kernelkit.ir import scalar
from kernelkit.ir.types import BOOL, INT64
from kernelkit.ir.verify import verify
from kernelkit.runtime.arguments import read
from kernelkit.testing.generator import generate
from kernelkit_python import order

f32 = np.float32
S, R = 8, 3
T = S + 2 * R


# ---------------------------------------------------------------- kernels
@kk.kernel
def clamped(src, weights, dst):
    x, y = grid(2)
    h, w = src.shape
    if x >= w or y >= h:
        return
    total = f32(0)
    for j in range(weights.shape[0]):
        for i in range(weights.shape[1]):
            row = min(max(y + j - weights.shape[0] // 2, 0), h - 1)
            column = min(max(x + i - weights.shape[1] // 2, 0), w - 1)
            total += weights[j, i] * src[row, column]
    dst[y, x] = total


@kk.kernel
def mirrored(src, dst, width, height):
    x, y = grid(2)
    if x < width and y < height:
        total = f32(0)
        for j in range(-2, 3):
            yy = y + j
            if yy < 0:
                yy = -yy - 1
            elif yy >= height:
                yy = 2 * height - 1 - yy
            for i in range(-2, 3):
                xx = x + i
                if xx < 0:
                    xx = -xx - 1
                if xx >= width:
                    xx = 2 * width - 1 - xx
                total += src[yy, xx]
        dst[y, x] = total


@kk.kernel
def wrapped(src, dst):
    x, y = grid(2)
    h, w = src.shape
    if y < h and x < w:
        up, down = src[(y - 1) % h, x], src[(y + 1) % h, x]
        dst[y, x] = (
            up - down + src[y, (x + w - 1) % w] - src[y, (x + 1) % w] + src[y - h + 1, x - 3]
        )


@kk.device
def pixel(a, y, x):
    if y < 0 or x < 0 or y >= a.shape[0] or x >= a.shape[1]:
        return f32(0)
    return a[y, x]


@kk.kernel
def padded(src, dst):
    x, y = grid(2)
    inside = 0 <= x < dst.shape[1] and 0 <= y < dst.shape[0]
    if inside:
        total = f32(0)
        for j in range(-1, 2):
            for i in range(-1, 2):
                total += pixel(src, y + j, x + i)
        dst[y, x] = total


@kk.kernel
def saxpy(a, x, y, n):
    i = threadIdx.x + blockIdx.x * blockDim.x
    if i >= n:
        return
    y[i] = a * x[i] + y[i]


@kk.kernel
def tiled(src, dst):
    tile = shared.array((T, T), f32)
    tx, ty = threadIdx.x, threadIdx.y
    height, width = src.shape
    for j in range(ty, T, S):
        for i in range(tx, T, S):
            row = min(max(blockIdx.y * S + j - R, 0), height - 1)
            column = min(max(blockIdx.x * S + i - R, 0), width - 1)
            tile[j, i] = src[row, column]
    syncthreads()
    x, y = grid(2)
    if x < width and y < height:
        total = f32(0)
        for k in range(2 * R + 1):
            total += tile[ty + k, tx + R]
        dst[y, x] = total


@kk.kernel
def haloed(src, dst):
    tile = shared.array((S + 2, S + 2), f32)
    tx, ty = threadIdx.x, threadIdx.y
    x, y = grid(2)
    h, w = src.shape
    tile[ty + 1, tx + 1] = src[y, x] if y < h and x < w else f32(0)
    if tx == 0:
        tile[ty + 1, 0] = src[y, x - 1] if y < h and x > 0 else f32(0)
    if tx == S - 1:
        tile[ty + 1, S + 1] = src[y, x + 1] if y < h and x + 1 < w else f32(0)
    syncthreads()
    if x >= w or y >= h:
        return
    dst[y, x] = tile[ty + 1, tx] + tile[ty + 1, tx + 2]


@kk.kernel
def db4(src, low, out):
    c, y = grid(2)
    n = src.shape[1]
    if y < src.shape[0] and c < out.shape[1]:
        total = f32(0)
        for k in range(8):
            total += low[k] * src[y, (2 * c + k - 3) % n]
        for k in range(8):
            at = 2 * c + 4 - k
            at = 0 if at < 0 else at
            total += low[k] * src[y, n - 1 if at >= n else at]
        out[y, c] = total


@kk.kernel
def transposed(src, dst):
    tile = shared.array((S, S + 1), f32)
    x, y = grid(2)
    if x < src.shape[1] and y < src.shape[0]:
        tile[threadIdx.y, threadIdx.x] = src[y, x]
    syncthreads()
    x = blockIdx.y * S + threadIdx.x
    y = blockIdx.x * S + threadIdx.y
    if x < dst.shape[1] and y < dst.shape[0]:
        dst[y, x] = tile[threadIdx.x, threadIdx.y]


@kk.kernel
def matmul(a, b, c, m, n, k):
    tile_a, tile_b = shared.array((S, S), f32), shared.array((S, S), f32)
    tx, ty = threadIdx.x, threadIdx.y
    column, row = grid(2)
    total = f32(0)
    for t in range(0, k, S):
        tile_a[ty, tx] = a[row, t + tx] if row < m and t + tx < k else f32(0)
        tile_b[ty, tx] = b[t + ty, column] if column < n and t + ty < k else f32(0)
        syncthreads()
        for q in range(S):
            total += tile_a[ty, q] * tile_b[q, tx]
        syncthreads()
    if row < m and column < n:
        c[row, column] = total


@kk.kernel
def narrow(src, dst, n):
    i = np.int32(grid(1))
    if i < n:
        dst[i] = src[max(i - np.int32(2), np.int32(0))] - src[min(np.int64(i) + 2, n - 1)]


@kk.kernel
def flat(src, dst, w, h):
    x, y = grid(2)
    if x < 1 or y < 1 or x >= w - 1 or y >= h - 1:
        return
    i = y * w + x
    dst[i] = src[i - 1] + src[i + 1] + src[i - w] + src[i + w]


@kk.kernel
def counted(src, dst):
    i = grid(1)
    if i >= src.size:
        return
    y, x = i // src.shape[1], i % src.shape[1]
    dst[y, x] = src[y, max(x - 1, 0)]


@kk.kernel
def reversed_(src, dst, r):
    x, y = grid(2)
    h, w = src.shape
    if x < r or x >= w - r or y >= h:
        if x < w and y < h:
            dst[y, x] = f32(1)
    else:
        dst[y, x] = src[h - 1 - y, w - 1 - x] + src[y, x - r] + src[-y, abs(x - 1)]


@kk.kernel
def strided(src, dst):
    i = grid(1)
    while i < dst.size:
        dst[i] = src[i] + (src[i - 1] if i > 0 else f32(0))
        i += gridsize(1)


@kk.kernel
def reduced(src, out):
    s = shared.array(32, f32)
    t = threadIdx.x
    i = blockIdx.x * (2 * blockDim.x) + t
    v = f32(0)
    if i < src.size:
        v = src[i]
    if i + blockDim.x < src.size:
        v += src[i + blockDim.x]
    s[t] = v
    syncthreads()
    k = blockDim.x // 2
    while k > 0:
        if t < k:
            s[t] += s[t + k]
        syncthreads()
        k //= 2
    if t == 0:
        out[blockIdx.x] = s[0]


@kk.kernel
def histogram(src, bins):
    local = shared.array(64, np.int32)
    t = threadIdx.x
    for k in range(t, 64, blockDim.x):
        local[k] = 0
    syncthreads()
    for i in range(grid(1), src.size, gridsize(1)):
        kk.atomic.add(local, min(src[i] // 4, 63), 1)
    syncthreads()
    for k in range(t, 64, blockDim.x):
        kk.atomic.add(bins, k, local[k])


@dataclass(frozen=True)
class Case:
    """A launch. `left`: the decisions and clamps that stay in the interior version."""

    kernel: Any
    block: tuple[int, ...]
    threads: tuple[int, ...]
    make: Callable[[Any], Sequence[Any]]
    left: int = 0

    def __str__(self) -> str:
        return self.kernel.__name__


H, W = 21, 37
IMAGE = (8, 4), (W, H)


def image(rng: Any, *shape: int) -> Any:
    return rng.random(shape, f32)


def two(rng: Any) -> Sequence[Any]:
    return image(rng, H, W), np.zeros((H, W), f32)


def vectors(rng: Any) -> Sequence[Any]:
    return image(rng, 250), np.zeros(250, f32)


CASES = (
    Case(clamped, *IMAGE, lambda r: (image(r, H, W), image(r, 5, 3), np.zeros((H, W), f32))),
    Case(mirrored, *IMAGE, lambda r: (*two(r), W, H)),
    Case(mirrored, *IMAGE, lambda r: (*two(r), np.int32(W), np.uint16(H))),
    Case(wrapped, *IMAGE, two),
    Case(padded, *IMAGE, two),
    Case(saxpy, (32,), (260,), lambda r: (f32(2), *vectors(r), 250)),
    Case(tiled, (S, S), (W, H), two),
    Case(haloed, (S, S), (W, H), two, left=2),
    Case(db4, (8, 2), (32, 6), lambda r: (image(r, 6, 64), image(r, 8), np.zeros((6, 32), f32))),
    Case(transposed, (S, S), (W, H), lambda r: (image(r, H, W), np.zeros((W, H), f32))),
    Case(matmul, (S, S), (20, 18), lambda r: (image(r, 18, 16), image(r, 16, 20), np.zeros((18, 20), f32), 18, 20, 16), left=2),
    Case(matmul, (S, S), (20, 18), lambda r: (image(r, 18, 15), image(r, 15, 20), np.zeros((18, 20), f32), 18, 20, 15), left=2),
    Case(narrow, (16,), (250,), lambda r: (*vectors(r), 250)),
    Case(flat, *IMAGE, lambda r: (*(a.ravel() for a in two(r)), W, H)),
    Case(counted, (32,), (W * H + 5,), two, left=2),
    Case(reversed_, *IMAGE, lambda r: (*two(r), 3)),
    Case(strided, (16,), (100,), vectors, left=1),
    Case(reduced, (32,), (130,), lambda r: (image(r, 250), np.zeros(5, f32)), left=3),
    Case(histogram, (32,), (70,), lambda r: (r.integers(0, 256, 250).astype(np.uint8), np.zeros(64, np.int32))),
)  # fmt: skip


# ---------------------------------------------------------------- launches on the reference
class Only(order.Order):
    """Runs some blocks only."""

    def __init__(self, wanted: Collection[Block]) -> None:
        super().__init__()
        self.wanted = wanted

    def blocks(self, grid: Block) -> Iterator[Block]:
        return (block for block in super().blocks(grid) if block in self.wanted)


@dataclass(frozen=True)
class Launch:
    kernel: ir.Kernel
    shape: Shape
    config: LaunchConfig
    args: Sequence[Any]

    @property
    def blocks(self) -> set[Block]:
        width, height, depth = self.config.grid
        return set(itertools.product(range(width), range(height), range(depth)))

    def fresh(self) -> list[Any]:
        return [_copied(a) if isinstance(a, np.ndarray) else a for a in self.args]

    def run(self, kernel: ir.Kernel, blocks: Collection[Block], args: Sequence[Any]) -> None:
        place = registry.place("python")
        backend, device = place.backend, place.device
        text = backend.emit(analyse(kernel, self.shape), device.target)
        executable = backend.load(backend.compile(text, device.target), device)
        token = order._CURRENT.set(Only(blocks))
        try:
            executable.launch(self.config, args, None)
        finally:
            order._CURRENT.reset(token)


def launched(
    kernel: Any, grid: Sequence[int], block: Sequence[int], args: Any, more: int = 0
) -> Launch:
    """The typed kernel of a launch with these arguments."""
    threads: Block = (*block, 1, 1)[:3]  # type: ignore[assignment]
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    analysed = kernel.specialiser.analyse(registry.place("python"), threads, reading)
    found = analysed.analysed(analysed.variant(reading.leaves, small_grid=False)).kernel
    config = LaunchConfig((*grid, 1, 1)[:3], threads, more)  # type: ignore[arg-type]
    return Launch(found, Shape(threads), config, reading.natives())


def launch_of(case: Case) -> Launch:
    grid = [-(-n // b) for n, b in zip(case.threads, case.block, strict=True)]
    return launched(case.kernel, grid, case.block, case.make(np.random.default_rng(5)))


def _copied(a: np.ndarray) -> np.ndarray:
    """With the same strides, the negative ones too."""
    steps = [(s * (n - 1), s) for s, n in zip(a.strides, a.shape, strict=True)] if a.size else []
    start = -sum(min(reach, 0) for reach, _ in steps)
    end = start + sum(max(reach, 0) for reach, _ in steps) + a.itemsize
    new = np.ndarray(a.shape, a.dtype, np.zeros(end, np.uint8), start, a.strides)
    new[...] = a
    new.flags.writeable = a.flags.writeable
    return new


# ---------------------------------------------------------------- conditions and claims
def value(expr: ir.Expr, known: Any) -> Any:
    """A condition's value for a block."""
    match expr:
        case ir.Constant():
            return scalar.from_constant(expr.type, expr.value)
        case ir.Read():
            return known[expr.var]
        case ir.Extent():
            return known[expr.array].shape[expr.axis]
        case ir.SpecialRegister(register="blockIdx" | "gridDim"):
            return known[expr.register][expr.axis]
        case ir.Cast():
            return scalar.cast(expr.operand.type, expr.type, value(expr.operand, known))
        case ir.Unary():
            return scalar.evaluate(expr.op, (expr.operand.type,), value(expr.operand, known))
        case ir.Binary() | ir.Compare():
            operands = expr.left.type, expr.right.type
            return scalar.evaluate(
                expr.op, operands, *(value(e, known) for e in (expr.left, expr.right))
            )
    raise AssertionError(f"{expr!r} in a condition")


def meeting(launch: Launch, interior: Interior) -> set[Block]:
    """The blocks that meet the conditions."""
    known = dict(zip(launch.kernel.params, launch.args, strict=True))
    return {b for b in launch.blocks if meets(b, launch.config.grid, known, interior)}


def meets(block: Block, grid: Block, known: Mapping[Any, Any], interior: Interior) -> bool:
    registers = {"blockIdx": block, "gridDim": grid}
    numbers = {
        p: scalar.from_constant(p.type, v) for p, v in known.items() if isinstance(p, ir.Var)
    }
    return all(value(c, {**known, **numbers, **registers}) for c in interior.conditions)


def share(case: Case, launch: Launch, interior: Interior) -> float:
    """The share of blocks that meet the conditions where all but filters is so many times larger."""
    times, known = 48, {}
    for param, arg in zip(launch.kernel.params, launch.args, strict=True):
        if isinstance(param, ir.ArrayVar):
            more = 1 if param.name in ("weights", "low") else times
            known[param] = SimpleNamespace(shape=tuple(n * more for n in arg.shape))
        else:
            known[param] = arg * times if param.type.is_integer and param.name != "r" else arg
    sizes = [times * n for n in case.threads] + [1] * (3 - len(case.threads))
    grid: Any = tuple(-(-n // b) for n, b in zip(sizes, launch.shape.block, strict=True))
    places = np.random.default_rng(7).integers(0, grid, (200, 3)).tolist()
    return sum(meets(tuple(p), grid, known, interior) for p in places) / len(places)


def put_to_test(kernel: ir.Kernel, claims: Collection[ir.Expr]) -> ir.Kernel:
    """The kernel, with negative indices wrapped by hand where nothing is claimed of them; any other
    negative index is a fault."""

    def wrapped(array: ir.ArrayVar, indices: Sequence[ir.Expr]) -> tuple[ir.Expr, ...]:
        found = []
        for axis, index in enumerate(indices):
            new = expr(index)
            if index not in claims and new.type.is_signed:
                span = new.span
                wide = new if new.type == INT64 else ir.Cast(span, INT64, new)
                extent = ir.Extent(span, INT64, array, axis)
                below = ir.Compare(span, BOOL, "lt", wide, ir.Constant(span, INT64, 0))
                new = ir.Select(
                    span, INT64, below, ir.Binary(span, INT64, "add", wide, extent), wide
                )
            found.append(new)
        return tuple(found)

    def changed(node: Any) -> Any:
        """Any node, with its expressions and statements replaced."""
        array = getattr(node, "base", None) or getattr(node, "array", None)
        fields = {}
        for name in node.__slots__:
            held = getattr(node, name)
            if name == "indices":
                fields[name] = wrapped(array, held)
            elif isinstance(held, ir.Expr | ir.Stmt | ir.Formatted):
                fields[name] = changed(held)
            elif isinstance(held, tuple):
                fields[name] = tuple(
                    changed(e) if isinstance(e, ir.Expr | ir.Stmt | ir.Formatted) else e
                    for e in held
                )
        return replace(node, **fields)

    expr = changed
    options = replace(kernel.options, wraparound=False)
    return verify(replace(kernel, body=tuple(map(changed, kernel.body)), options=options))


def assert_blocks_do_the_same(launch: Launch) -> Interior | None:
    kernel, blocks = launch.kernel, launch.blocks
    expected = launch.fresh()
    launch.run(kernel, blocks, expected)
    claimed = launch.fresh()
    claims = never_negative(kernel, launch.shape)
    launch.run(put_to_test(kernel, claims), blocks, claimed)
    _assert_same(claimed, expected)
    interior = find_interior(kernel, launch.shape)
    if interior is not None:
        inside = meeting(launch, interior)
        mixed = launch.fresh()
        launch.run(kernel, blocks - inside, mixed)
        launch.run(put_to_test(interior.kernel, interior.never_negative), inside, mixed)
        _assert_same(mixed, expected)
    return interior


def _assert_same(found: Sequence[Any], expected: Sequence[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def choices(kernel: ir.Kernel) -> int:
    """How often a kernel decides or clamps."""
    count = 0
    for stmt in ir.walk(kernel.body):
        count += isinstance(stmt, ir.If | ir.While)
        for top in ir.expressions(stmt):
            for e in ir.walk_expr(top):
                count += isinstance(e, ir.Select)
                count += isinstance(e, ir.Binary) and e.op in ("min", "max", "mod")
                count += isinstance(e, ir.Unary) and e.op == "abs"
    return count


# ---------------------------------------------------------------- tests
@pytest.mark.parametrize("case", CASES, ids=str)
def test_interior_blocks_do_the_same_with_less(case: Case) -> None:
    launch = launch_of(case)
    interior = assert_blocks_do_the_same(launch)
    assert interior is not None
    assert choices(verify(interior.kernel)) == case.left < choices(launch.kernel)
    inside = meeting(launch, interior)
    assert inside
    assert inside != launch.blocks or not interior.conditions
    assert share(case, launch, interior) > 0.9


@pytest.mark.parametrize("seed", range(24))
def test_random_kernels_do_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ranges", "interior"):  # giving up would hide what is wrong
        monkeypatch.setattr(f"kernelkit.analysis.{module}.RecursionError", KeyError, raising=False)
    made = generate(seed)
    module = made.module()
    args = module.arguments()
    assert_blocks_do_the_same(
        launched(module.kernel, made.grid, made.block, args, made.shared_bytes)
    )
