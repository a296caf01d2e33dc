"""NumPy arrays as arguments of a device that does not work on the host's memory.

In: the leaves of a launch, and which of them the kernel writes. Out: native arrays in place of
NumPy's, and, after the launch, in NumPy's what the kernel wrote.
Holds: arrays that overlap are views of one span on the device, so that one sees there what is
written through another; on the host only elements of written arrays change, all of them after the
launch went well, and what lies between the elements of a strided array is neither read nor written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from kernelkit.errors import ArgumentError, ConfigurationError
from kernelkit.records import record
from kernelkit.registry import Place

if TYPE_CHECKING:
    from kernelkit.backend import Executable, LaunchConfig
    from kernelkit.runtime.arguments import Reading

#: What items of any dtype are aligned to, and native arrays at least.
_ALIGNMENT = 16


@record(eq=False)
class _Piece:
    """One array in a span: its elements lie at these byte offsets from the span's beginning."""

    leaf: int
    array: np.ndarray
    strides: tuple[int, ...]
    offset: int

    def copy(self, span: np.ndarray) -> None:
        """From the host into an image of the span."""
        within = np.ndarray(
            self.array.shape, self.array.dtype, span.data, self.offset, self.strides
        )
        _distinct(within, self.strides)[...] = _distinct(self.array, self.strides)

    def copy_back(self, span: np.ndarray) -> None:
        """From an image of the span to the host."""
        within = np.ndarray(
            self.array.shape, self.array.dtype, span.data, self.offset, self.strides
        )
        _distinct(self.array, self.strides)[...] = _distinct(within, self.strides)


def _distinct(array: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The same elements, each of a broadcast axis once."""
    return array[tuple(slice(0, 1) if s == 0 else slice(None) for s in strides)]


@record(eq=False)
class _Span:
    """Bytes of the device: one array's, or those of arrays that overlap on the host."""

    size: int
    pieces: tuple[_Piece, ...]
    #: Where it is on the host; None where its layout there is another one.
    address: int | None = None

    def image(self) -> np.ndarray:
        made = np.empty(self.size, np.uint8)
        for piece in self.pieces:
            piece.copy(made)
        return made


# ---------------------------------------------------------------- what goes where
def _spans(arrays: dict[int, np.ndarray]) -> list[_Span]:
    """All arrays, those whose ranges of addresses overlap together, in the order of arguments."""
    spans = [_span({i: array}) for i, array in arrays.items() if not array.size]
    together: dict[int, np.ndarray] = {}
    end = 0
    full = {i: array for i, array in arrays.items() if array.size}
    for leaf, array in sorted(full.items(), key=lambda each: byte_bounds(each[1])):
        low, high = byte_bounds(array)
        if together and low >= end:
            spans.append(_span(together))
            together, end = {}, 0
        together[leaf] = array
        end = max(end, high)
    if together:
        spans.append(_span(together))
    return sorted(spans, key=lambda span: span.pieces[0].leaf)


def _span(arrays: dict[int, np.ndarray]) -> _Span:
    low = min(byte_bounds(a)[0] for a in arrays.values())
    high = max(byte_bounds(a)[1] for a in arrays.values())
    if len(arrays) == 1:
        ((leaf, array),) = arrays.items()
        if array.size and high - low > 2 * array.nbytes and _is_apart(array):
            return _packed(leaf, array)
    low -= low % _ALIGNMENT
    pieces = tuple(_Piece(i, a, a.strides, _first(a) - low) for i, a in sorted(arrays.items()))
    return _Span(high - low, pieces, low)


def _is_apart(array: np.ndarray) -> bool:
    """Whether no two elements share bytes but those of broadcast axes."""
    reach = array.itemsize
    for step, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True)):
        if step and n > 1:
            if step < reach:
                return False
            reach += step * (n - 1)
    return True


def _packed(leaf: int, array: np.ndarray) -> _Span:
    """A single array with large gaps: rows lie closer on the device, such as those of a column.

    The step along the last axis is kept, for a kernel may be compiled for it.
    """
    kept = abs(array.strides[-1])
    if kept > 4 * array.itemsize:
        kept = array.itemsize
    strides, size = [0] * array.ndim, array.itemsize
    for axis in range(array.ndim - 1, -1, -1):
        if array.strides[axis]:
            step = kept if axis == array.ndim - 1 else size
            strides[axis] = step if array.strides[axis] > 0 else -step
            size = max(size, step * array.shape[axis])
            size += -size % array.itemsize
    offset = sum(-s * (n - 1) for s, n in zip(strides, array.shape, strict=True) if s < 0)
    return _Span(size + array.itemsize, (_Piece(leaf, array, tuple(strides), offset),))


def _first(array: np.ndarray) -> int:
    """The address of the first element."""
    address: int = array.__array_interface__["data"][0]
    return address


# ---------------------------------------------------------------- there and back
@record(frozen=False)
class _Staged:
    """Native arrays for a launch, and what is to be done after it."""

    memory: Any
    #: The memory's own, if it is to be used.
    borrow: Any
    natives: list[Any]
    #: Native arrays and the pieces to be fetched from them: whole arrays, and spans.
    arrays: list[tuple[Any, np.ndarray]] = field(default_factory=list)
    spans: list[tuple[Any, list[_Piece]]] = field(default_factory=list)
    #: Native arrays, spans in the host's memory, and whether these are written.
    borrowed: list[tuple[Any, np.ndarray, bool]] = field(default_factory=list)

    def add(self, span: _Span, written: frozenset[int]) -> None:
        changed = [p for p in span.pieces if p.leaf in written]
        first = span.pieces[0]
        if len(span.pieces) == 1 and not first.array.size:
            self.natives[first.leaf] = self.memory.copy_in(np.empty_like(first.array, order="C"))
        elif self._borrow(span, bool(changed)):
            return
        elif len(span.pieces) == 1 and first.array.flags.c_contiguous:
            native = self.natives[first.leaf] = self.memory.copy_in(first.array)
            self.arrays += [(native, p.array) for p in changed]
        else:
            base = self.memory.copy_in(span.image())
            self._view(base, span.pieces)
            if changed:
                self.spans.append((base, changed))

    def _borrow(self, span: _Span, written: bool) -> bool:
        if self.borrow is None or span.address is None:
            return False
        start = min(byte_bounds(p.array)[0] for p in span.pieces)
        bytes_there = _host_bytes(start, span.address + span.size - start, written)
        base = self.borrow(bytes_there)
        if base is None:
            return False
        self.borrowed.append((base, bytes_there, written))
        self._view(base, span.pieces, start - span.address)
        return True

    def _view(self, base: Any, pieces: Iterable[_Piece], skipped: int = 0) -> None:
        for p in pieces:
            self.natives[p.leaf] = self.memory.view(
                base, p.array.dtype, p.array.shape, p.strides, p.offset - skipped
            )

    def collect(self) -> None:
        """Bring back what was written, after the launch. First all of it, for that may fail."""
        self.memory.synchronize()
        arrays = [(array, self.memory.copy_out(native)) for native, array in self.arrays]
        spans = [(pieces, self.memory.copy_out(base)) for base, pieces in self.spans]
        for array, found in arrays:
            array[...] = found.reshape(array.shape)
        for pieces, image in spans:
            for piece in pieces:
                piece.copy_back(image)

    def give_back(self) -> None:
        """End every borrow, whatever became of the launch."""
        while self.borrowed:
            base, span, written = self.borrowed.pop()
            self.memory.give_back(base, span, written)


class _Bytes:
    """Memory of the host, as NumPy takes it."""

    def __init__(self, address: int, size: int, writeable: bool) -> None:
        self.__array_interface__ = {
            "data": (address, not writeable),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }


def _host_bytes(address: int, size: int, writeable: bool) -> np.ndarray:
    return np.asarray(_Bytes(address, size, writeable))


# ---------------------------------------------------------------- the launch
def launch(
    executable: Executable,
    place: Place,
    config: LaunchConfig,
    reading: Reading,
    written: Sequence[int],
    stream: Any,
    in_place: bool,
) -> None:
    """Launch on a device with arguments some of which are NumPy arrays, and wait for it.

    in_place: the device may work on the host's memory itself, where it can; not for kernels that
    may raise half-way.
    """
    arrays = {i: x for i, x in enumerate(reading.leaves) if type(x) is np.ndarray}
    _check(reading, place, arrays, stream)
    borrow = getattr(place.memory, "borrow", None) if in_place else None
    staged = _Staged(place.memory, borrow, reading.natives())
    try:
        for span in _spans(arrays):
            _add(staged, span, frozenset(written), reading, place)
        if stream is not None:  # which may not wait for copies
            place.memory.synchronize()
        executable.launch(config, staged.natives, stream)
        staged.collect()
    finally:
        staged.give_back()


def _check(reading: Reading, place: Place, arrays: dict[int, np.ndarray], stream: Any) -> None:
    names = ", ".join(repr(reading.labels[i]) for i in arrays)
    capturing = getattr(place.memory, "capturing", None)
    if capturing is not None and capturing(stream):
        raise ConfigurationError(
            f"{names} of {reading.kernel} would have to be copied to {place}, which cannot be while "
            f'launches there are being captured; pass kernelkit.asarray(..., "{place}"), made before'
        )
    if hasattr(place.memory, "view"):
        return
    for span in _spans(arrays):
        first = span.pieces[0]
        if len(span.pieces) > 1 or not first.array.flags.c_contiguous:
            label = reading.labels[first.leaf]
            raise ArgumentError(
                f"{label!r} of {reading.kernel} has gaps or overlaps another argument, and {place} "
                f"takes only whole arrays from the host; pass {label}.copy()"
            )


def _add(
    staged: _Staged, span: _Span, written: frozenset[int], reading: Reading, place: Place
) -> None:
    try:
        staged.add(span, written)
    except MemoryError as error:
        names = ", ".join(repr(reading.labels[p.leaf]) for p in span.pieces)
        raise MemoryError(
            f"there is no room on {place} ({place.device.name}) for {names} of {reading.kernel}, "
            f"{span.size} bytes ({error}); nothing was launched or written: free arrays of that "
            "device, or launch on parts"
        ) from error
