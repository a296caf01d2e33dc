"""Arrays that a kernel makes: shared, local and constant ones.

In: Allocate statements. Out: places of the arrays, in a frame.
Holds: shared arrays are the block's; local ones have an element per lane, side by side, and if they
are used in several leaves, a part for each vector.
"""

from __future__ import annotations

import math
from dataclasses import replace

from kernelkit.ir.nodes import Allocate, ArrayVar
from kernelkit.ir.types import INT64, AddressSpace
from kernelkit_cpu.frame import ArrayPlace, Frame
from kernelkit_cpu.layout import Layout
from kernelkit_cpu.plan import Plan
from kernelkit_cpu.storage import Storage
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value, constant, uniform


class Arrays:
    def __init__(self, frame: Frame, plan: Plan, layout: Layout, storage: Storage) -> None:
        self.frame, self.plan, self.layout, self.storage = frame, plan, layout, storage
        #: Local arrays: base, and bytes of a vector.
        self.local: dict[ArrayVar, tuple[Operand, int]] = {}

    def allocate(self, stmt: Allocate) -> None:
        array = stmt.array
        dtype, space = array.type.dtype, array.type.space
        extents = tuple(constant(INT64, n) for n in array.shape)
        count = math.prod(array.shape)
        if space is AddressSpace.LOCAL:
            return self._local(array, extents, count * dtype.itemsize)
        if space is AddressSpace.CONSTANT:
            assert stmt.data is not None
            base = self.frame.text.module.data(stmt.data.astype(dtype.numpy).tobytes())
        elif array.is_dynamic:
            base = "%dynamic"
            words = self.frame.text.let(f"udiv i64 %dynamicbytes, {dtype.itemsize}")
            extents = (uniform(INT64, (words,)),)
        else:
            base = self.storage.take(count * dtype.itemsize, "shared")
        strides = _strides(array.shape, dtype.itemsize)
        self.frame.arrays[array] = ArrayPlace(base, extents, strides)

    def _local(self, array: ArrayVar, extents: tuple[Value, ...], size: int) -> None:
        lanes, item = self.layout.lanes, array.type.dtype.itemsize
        vectors = self.layout.vectors if array in self.plan.crossing else 1
        base = self.storage.take(size * lanes * vectors, "local")
        self.local[array] = (base, size * lanes)
        strides = _strides(array.shape, item * lanes)
        self.frame.arrays[array] = ArrayPlace(base, extents, strides, threads=item)

    def begin_vector(self, frame: Frame, number: Operand) -> None:
        """The vector's own part of each local array."""
        for array, (base, size) in self.local.items():
            address = base
            if array in self.plan.crossing and number != "0":
                address = frame.text.at("i8", base, frame.text.let(f"mul i64 {number}, {size}"))
            frame.arrays[array] = replace(frame.arrays[array], base=address)


def _strides(shape: tuple[int, ...], item: int) -> tuple[Value, ...]:
    """Byte strides of an array in C's order."""
    return tuple(constant(INT64, item * math.prod(shape[axis + 1 :])) for axis in range(len(shape)))
