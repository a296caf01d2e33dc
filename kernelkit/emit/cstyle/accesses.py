"""Arrays: where they lie, and how an element is reached.

In: array symbols and the C texts of indices. Out: C texts of pointers and elements.
Holds: where an access is inside its array, the offset of its element fits the type of indices, so
it is computed in that type, whatever the width of the indices.
"""

from __future__ import annotations

from kernelkit.emit.cstyle.unit import Unit
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import AddressSpace, ArrayType, DType
from kernelkit.records import record


@record(eq=False)
class Placed:
    """An array, or a view of one: a pointer, and the array parameter or allocation whose trailing
    axes it has."""

    pointer: str
    root: ir.ArrayVar
    leaf: int
    #: How many axes of the root stand before the first of this one.
    skipped: int
    readonly: bool

    def root_name(self, unit: Unit) -> str:
        return unit.names.of(self.root)


class Accesses:
    """The arrays of a kernel."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._placed: dict[ir.ArrayVar, Placed] = {}
        self._dynamic = ""

    # ------------------------------------------------------------ where arrays are
    def parameter(self, array: ir.ArrayVar, leaf: int) -> None:
        unit = self._unit
        dialect, name = unit.dialect, unit.names.of(array)
        written = array.name in unit.analysis.memory.written
        pointee = ("" if written else "const ") + unit.scalars.memory_type(array.type.dtype)
        kind = dialect.pointer(AddressSpace.GLOBAL, pointee, unit.kernel.options.noalias)
        self._placed[array] = Placed(name, array, leaf, 0, not written)
        if not dialect.buffers:
            unit.signature.use("pointer", kind, name, leaf)
            return
        raw = dialect.pointer(AddressSpace.GLOBAL, "u8")
        buffer = unit.signature.use("pointer", raw, f"{name}_buffer", leaf)
        offset = unit.signature.use("offset", "i64", f"{name}_offset", leaf)
        cast = dialect.pointer(AddressSpace.GLOBAL, pointee).strip()
        unit.head.append(f"{kind}{name} = ({cast})({buffer} + {offset});")

    def allocate(self, stmt: ir.Allocate) -> None:
        array = stmt.array
        if array in self._placed:
            return
        self._placed[array] = Placed(
            self._unit.names.of(array), array, -1, 0, stmt.data is not None
        )
        _ALLOCATE[array.type.space](self, stmt)

    def _shared(self, stmt: ir.Allocate) -> None:
        unit, array = self._unit, stmt.array
        kind, name = unit.scalars.memory_type(array.type.dtype), unit.names.of(array)
        memory = unit.analysis.memory
        carved = memory.static_shared_bytes > unit.dialect.static_shared
        if not carved and not array.is_dynamic:
            unit.head.append(unit.dialect.shared.format(type=kind, name=name, size=_size(array)))
            return
        start = memory.shared_offsets.get(array, memory.static_shared_bytes if carved else 0)
        pointer = unit.dialect.pointer(AddressSpace.SHARED, kind)
        at = f"{self.dynamic()} + {start}" if start else self.dynamic()
        unit.head.append(f"{pointer}{name} = ({pointer.strip()})({at});")

    def _local(self, stmt: ir.Allocate) -> None:
        kind = self._unit.scalars.memory_type(stmt.array.type.dtype)
        name = self._unit.names.of(stmt.array)
        self._unit.head.append(f"{kind} {name}[{_size(stmt.array)}];")

    def _constant(self, stmt: ir.Allocate) -> None:
        unit, dtype = self._unit, stmt.array.type.dtype
        assert stmt.data is not None
        values = [unit.scalars.memory_literal(dtype, value) for value in stmt.data.ravel()] or ["0"]
        text = unit.dialect.constant.format(
            type=unit.scalars.memory_type(dtype), name=unit.names.of(stmt.array),
            size=_size(stmt.array), values=", ".join(values),
        )  # fmt: skip
        unit.outside.append(text)

    def dynamic(self) -> str:
        """The start of dynamic shared memory."""
        if not self._dynamic:
            self._dynamic = "kk_dynamic"
            unit = self._unit
            if unit.dialect.dynamic:
                unit.head.insert(0, unit.dialect.dynamic)
            else:
                pointer = unit.dialect.pointer(AddressSpace.SHARED, "u8")
                unit.signature.use("dynamic", pointer, "kk_dynamic")
        return self._dynamic

    def view(self, stmt: ir.View, element: str) -> str:
        """The statement that makes a view start at an element."""
        base = self._placed[stmt.base]
        unit = self._unit
        name = unit.names.of(stmt.target)
        if stmt.target not in self._placed:
            skipped = base.skipped + len(stmt.indices)
            self._placed[stmt.target] = Placed(name, base.root, base.leaf, skipped, base.readonly)
            unit.head.append(f"{self._pointer_type(base)}{name} = 0;")
        return f"{name} = &{element};"

    def _pointer_type(self, placed: Placed) -> str:
        kind = placed.root.type
        pointee = self._unit.scalars.memory_type(kind.dtype)
        const = "const " if placed.readonly and kind.space is not AddressSpace.CONSTANT else ""
        return self._unit.dialect.pointer(kind.space, const + pointee)

    # ------------------------------------------------------------ extents
    def extent(self, array: ir.ArrayVar, axis: int) -> tuple[str, str]:
        """An extent and its C type."""
        placed = self._placed[array]
        return self._extent(placed, axis + placed.skipped)

    def _extent(self, placed: Placed, place: int) -> tuple[str, str]:
        """The same, by the axis of the root."""
        root = placed.root
        if root.is_dynamic:
            size = root.type.dtype.itemsize
            total = self._unit.signature.use("dynamic_bytes", "i64", "kk_dynamic_bytes")
            return f"({total} / {size})", "i64"
        if placed.leaf < 0:
            return str(root.shape[place]), "i32"
        name = f"{placed.root_name(self._unit)}_n{place}"
        index = self._unit.index
        return self._unit.signature.use("extent", index, name, placed.leaf, place), index

    def _stride(self, placed: Placed, axis: int) -> str:
        name = f"{placed.root_name(self._unit)}_s{axis}"
        return self._unit.signature.use("stride", self._unit.index, name, placed.leaf, axis)

    def offset_type(self, array: ir.ArrayVar) -> str:
        """The type in which offsets of this array are computed."""
        return "i32" if self._placed[array].leaf < 0 else self._unit.index

    # ------------------------------------------------------------ elements
    def element(self, array: ir.ArrayVar, indices: list[str]) -> str:
        """An element as an lvalue; indices are of offset_type and not negative."""
        return self._element(self._placed[array], indices)

    def _element(self, placed: Placed, indices: list[str]) -> str:
        kind: ArrayType = placed.root.type
        if kind.layout != "C" and placed.leaf >= 0:
            return self._strided(placed, kind.dtype, indices)
        if not indices:
            return f"{placed.pointer}[0]"
        offset = indices[0]
        # A view's missing indices are zeros: the axes behind count all the same.
        for axis in range(placed.skipped + 1, kind.ndim):
            own = axis - placed.skipped
            extent = self._extent(placed, axis)[0]
            more = f" + {indices[own]}" if own < len(indices) else ""
            offset = f"({offset} * {extent}{more})"
        return f"{placed.pointer}[{offset}]"

    def _strided(self, placed: Placed, dtype: DType, indices: list[str]) -> str:
        layout, last = placed.root.type.layout, placed.root.type.ndim - 1
        parts = []
        for own, index in enumerate(indices):
            axis = own + placed.skipped
            fixed = axis == last and isinstance(layout, int)
            parts.append(f"{index} * {layout if fixed else self._stride(placed, axis)}")
        dialect = self._unit.dialect
        const = "const " if placed.readonly else ""
        byte = dialect.pointer(AddressSpace.GLOBAL, f"{const}u8").strip()
        pointee = dialect.pointer(
            AddressSpace.GLOBAL, const + self._unit.scalars.memory_type(dtype)
        ).strip()
        at = f"({byte}){placed.pointer}"
        return f"(*({pointee})({at} + ({' + '.join(parts)})))" if parts else f"{placed.pointer}[0]"


_ALLOCATE = {
    AddressSpace.SHARED: Accesses._shared,
    AddressSpace.LOCAL: Accesses._local,
    AddressSpace.CONSTANT: Accesses._constant,
}


def _size(array: ir.ArrayVar) -> int:
    size = 1
    for extent in array.shape:
        size *= extent
    return max(size, 1)
