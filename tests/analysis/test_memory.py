"""Reads, writes and bytes."""

import numpy as np

from kernelkit.frontend.builtins import atomic, const, local, shared, threadIdx
from kernelkit.ir.nodes import Allocate

TABLE = np.arange(6, dtype=np.int16)


def copy(src, dst, both, neither, n):
    dst[threadIdx.x] = src[threadIdx.x]
    both[n] += 1


def test_reads_and_writes(analysed):
    memory = analysed(copy).analysis.memory
    assert memory.read == {"src", "both"}
    assert memory.written == {"dst", "both"}


def fill(row, value):
    row[0] = value


def views(a, b, c, n):
    row = a[n]
    cell = row[1]
    cell[2] = 1
    fill(b[n], c[0, 0])
    x = c[n]
    atomic.add(x, 0, 1)


def test_a_view_is_its_root(analysed):
    found = analysed(views, a="float32[3]", b="float32[2]", c="float32[2]")
    memory = found.analysis.memory
    assert memory.written == {"a", "b", "c"}
    assert memory.read == {"c"}
    roots = {view.name.rpartition(".")[2]: root.name for view, root in memory.roots.items()}
    assert roots["row"] == roots["cell"] == "a"
    assert roots["x"] == "c"


def in_an_index(a, b, c):
    if b[0] > 1:
        a[int(c[0])] = 1


def test_loads_in_indices_and_conditions_count(analysed):
    assert analysed(in_an_index).analysis.memory.read == {"b", "c"}


def arrays(a):
    x = shared.array(3, "int8")
    y = shared.array((2, 2), "float64")
    z = shared.array(1, "complex128")
    t = local.array((4, 2), "float32")
    k = const.array_like(TABLE)
    x[0] = 1
    y[0, 0] = 1
    z[0] = 1
    t[0, 0] = k[0]
    a[0] = x[0] + y[0, 0] + t[0, 0]


def test_shared_arrays_are_laid_out_each_at_its_alignment(analysed):
    memory = analysed(arrays).analysis.memory
    assert {a.name: at for a, at in memory.shared_offsets.items()} == {"x": 0, "y": 8, "z": 48}
    assert memory.static_shared_bytes == 64
    assert not memory.dynamic_shared
    assert memory.local_bytes == 32
    assert memory.constant_bytes == 12
    assert memory.read == set()  # of parameters
    assert memory.written == {"a"}


def dynamic(a):
    x = shared.array(3, "int8")
    y = shared.array(0, "float64")
    x[0] = 1
    y[0] = a[0]


def test_dynamic_memory_starts_aligned_behind_the_static(analysed):
    found = analysed(dynamic)
    memory = found.analysis.memory
    assert memory.dynamic_shared
    assert memory.static_shared_bytes == 16
    assert [a.name for a in memory.shared_offsets] == ["x"]
    assert found.stmt("y =", Allocate).array.is_dynamic


def test_a_kernel_without_shared_memory(analysed):
    memory = analysed(copy).analysis.memory
    assert (memory.static_shared_bytes, memory.dynamic_shared) == (0, False)
    assert (memory.local_bytes, memory.constant_bytes) == (0, 0)
