"""How the types of the IR look in LLVM: in registers and in memory.

Holds: a value of a complex type is two registers, its parts; every other one is one. `lanes` 0 is a
scalar, else a vector of so many.
"""

from __future__ import annotations

import struct

from kernelkit.ir.types import DType
from kernelkit_cpu.text import Operand, Text

#: The registers of one value: one operand or, for complex types, (real, imaginary).
Parts = tuple[Operand, ...]

_FLOATS = {16: "half", 32: "float", 64: "double"}


def register(dtype: DType, lanes: int = 0) -> str:
    """The LLVM type of one part in a register; bool is i1."""
    part = dtype.component
    if part.kind == "b":
        name = "i1"
    else:
        name = _FLOATS[part.bits] if part.is_float else f"i{part.bits}"
    return vector(name, lanes)


def memory(dtype: DType, lanes: int = 0) -> str:
    """The LLVM type of one part in memory; bool is i8."""
    return vector("i8", lanes) if dtype.kind == "b" else register(dtype, lanes)


def vector(name: str, lanes: int) -> str:
    return f"<{lanes} x {name}>" if lanes else name


def suffix(name: str, lanes: int = 0) -> str:
    """A type in the name of an LLVM intrinsic: f32, v16i1."""
    short = {"half": "f16", "float": "f32", "double": "f64"}.get(name, name)
    return f"v{lanes}{short}" if lanes else short


def parts(dtype: DType) -> int:
    """How many registers a value takes."""
    return 2 if dtype.is_complex else 1


def literal(dtype: DType, value: bool | int | float | complex, lanes: int = 0) -> Parts:
    """The operands of a constant."""
    if dtype.is_complex:
        number = complex(value)
        return tuple(
            x for part in (number.real, number.imag) for x in literal(dtype.component, part, lanes)
        )
    if dtype.kind == "b":
        text = "true" if value else "false"
    elif dtype.is_float:
        text = _float(dtype, float(value.real))
    else:
        text = str(int(value.real))
    return (f"splat ({register(dtype)} {text})" if lanes else text,)


def _float(dtype: DType, value: float) -> str:
    if dtype.bits == 16:
        try:
            bits = struct.pack(">e", value)
        except OverflowError:
            bits = struct.pack(">e", float("inf") if value > 0 else float("-inf"))
        return f"0xH{bits.hex().upper()}"
    if dtype.bits == 32:
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = float("inf") if value > 0 else float("-inf")
    return f"0x{struct.pack('>d', value).hex().upper()}"


def splat(text: Text, dtype: DType, operands: Parts, lanes: int) -> Parts:
    """A scalar in every lane."""
    return tuple(_splat(text, register(dtype), operand, lanes) for operand in operands)


def _splat(text: Text, kind: str, operand: Operand, lanes: int) -> Operand:
    if operand == "poison" or not lanes:
        return operand
    if not operand.startswith(("%", "@")):
        return f"splat ({kind} {operand})"
    first = text.let(f"insertelement <{lanes} x {kind}> poison, {kind} {operand}, i64 0")
    return text.let(
        f"shufflevector <{lanes} x {kind}> {first}, <{lanes} x {kind}> poison, "
        f"<{lanes} x i32> zeroinitializer"
    )
