"""What a kernel needs of a device, and where it first does."""

import linecache

import numpy as np

from kernelkit.frontend.builtins import atomic, shared, shfl_sync, syncthreads, threadIdx


def plain(a, n):
    a[threadIdx.x] = n


def test_a_plain_kernel_needs_little(analysed):
    needs = analysed(plain).analysis.requirements
    assert needs.dtypes == {"float32", "int64"}
    assert needs.atomics == set()
    flags = (needs.warp_operations, needs.barriers, needs.shared_memory, needs.printing)
    assert flags == (False,) * 4
    assert not needs.assertions


def everything(a, counts):
    s = shared.array(4, np.complex64)
    s[0] = a[0]
    syncthreads()
    x = np.float64(a[0]) * 2
    assert x > 0
    print(x)
    atomic.add(counts, 0, 1)
    atomic.max(a, 0, 1.0)
    atomic.add(counts, 1, 1)
    a[1] = shfl_sync(0xFFFFFFFF, a[0], 0)


def test_everything_is_found_with_its_first_place(analysed):
    needs = analysed(everything, counts="uint32[1]").analysis.requirements
    assert {"complex64", "float64", "float32", "uint32", "bool"} <= needs.dtypes
    assert needs.atomics == {("add", "uint32"), ("max", "float32")}
    assert needs.warp_operations
    assert needs.barriers
    assert needs.shared_memory
    assert needs.printing
    assert needs.assertions

    def line(need):
        return linecache.getline(needs.spans[need].file, needs.spans[need].line)

    assert "shared.array" in line("shared_memory")
    assert "shared.array" in line("complex64")
    assert "np.float64" in line("float64")
    assert "syncthreads" in line("barriers")
    assert "counts, 0" in line(("add", "uint32"))
    assert "shfl_sync" in line("warp_operations")
    assert "print" in line("printing")
    assert "assert" in line("assertions")


def unused(a, other):
    a[0] = 1


def test_a_parameter_needs_its_dtype_at_the_def(analysed):
    needs = analysed(unused, other="float16[1]").analysis.requirements
    assert "float16" in needs.dtypes
    assert "def unused" in linecache.getline(
        needs.spans["float16"].file, needs.spans["float16"].line
    )


def test_every_need_has_a_place(analysed):
    needs = analysed(everything, counts="uint32[1]").analysis.requirements
    assert needs.dtypes | needs.atomics <= set(needs.spans)
