"""The casts of the scalar table.

In: a value's registers and its type. Out: those of the value as another type. Holds: integers wrap,
floats saturate on the way to integers (NaN gives 0), what becomes a float is rounded once, to bool
is `!= 0`.
"""

from __future__ import annotations

import math
from typing import Final

from kernelkit.ir.types import DType
from kernelkit_cpu.halves import narrow, narrow_double, widen
from kernelkit_cpu.instructions import Code
from kernelkit_cpu.rounding import rounded
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import Parts, register, suffix
from kernelkit_cpu.wide import by_halves, double_of_wide, wide_of_double, word_of_double

#: The largest integer that a float16 rounds to something finite.
_BELOW_INFINITY: Final = 65519


def cast(code: Code, source: DType, target: DType, value: Parts) -> Parts:
    """A cast between any two types that the table has one for."""
    if source == target:
        return value
    if target.kind == "b":
        return (_to_bool(code, source, value),)
    if target.is_complex:
        component = target.component
        if source.is_complex:
            return tuple(_real(code, source.component, component, part) for part in value)
        real = _real(code, source, component, value[0])
        return real, code.number(register(component), 0.0)
    if source.is_complex:
        raise ValueError(f"no cast from {source} to {target}; take .real or abs()")
    return (_real(code, source, target, value[0]),)


def _to_bool(code: Code, source: DType, value: Parts) -> Operand:
    if source.is_complex:
        real, imaginary = (_to_bool(code, source.component, (part,)) for part in value)
        return code.op("or", "i1", real, imaginary)
    kind = register(source)
    if source.is_integer:
        return code.icmp("ne", kind, value[0], code.number(kind, 0))
    number = value[0]
    if source.bits == 16:
        # Not by its bits: LLVM would make that a comparison of float16 again.
        number, kind = widen(code, number), "float"
    return code.fcmp("une", kind, number, code.number(kind, 0.0))


def _real(code: Code, source: DType, target: DType, value: Operand) -> Operand:
    """Between numbers that are not complex; from bool too."""
    if source == target:
        return value
    if target.is_float:
        return _to_float(code, source, target, value)
    kind = register(target)
    if source.is_float:
        return _saturated(code, source, target, value)
    return code.resized(register(source), value, kind, source.is_signed)


# ---------------------------------------------------------------- to floats
def _to_float(code: Code, source: DType, target: DType, value: Operand) -> Operand:
    kind = register(target)
    if source.kind == "b":
        return code.select(kind, value, code.number(kind, 1.0), code.number(kind, 0.0))
    if source.is_float:
        return _resized(code, source, target, value)
    if target.bits == 16:
        return _integer_to_half(code, source, value)
    if source.bits == target.bits == 64:
        return double_of_wide(code, source.is_signed, value)
    name = "sitofp" if source.is_signed else "uitofp"
    return code.convert(name, register(source), value, kind)


def _resized(code: Code, source: DType, target: DType, value: Operand) -> Operand:
    if source.bits == 16:
        value = widen(code, value)
        return value if target.bits == 32 else code.convert("fpext", "float", value, "double")
    if target.bits == 16:
        return (narrow if source.bits == 32 else narrow_double)(code, value)
    name = "fpext" if target.bits > source.bits else "fptrunc"
    return code.convert(name, register(source), value, register(target))


def _integer_to_half(code: Code, source: DType, value: Operand) -> Operand:
    """From 65520 on all is infinite. What is smaller is exact in float32, so it is rounded once. LLVM
    must not see a conversion that overflows: it takes one for exact where the low bits are known to
    be 0."""
    kind, cut = register(source), value
    if source.bits > 16:
        limit = code.number(kind, _BELOW_INFINITY)
        least = code.number(kind, -_BELOW_INFINITY)
        if source.is_signed:
            cut = code.intrinsic("smax", kind, cut, least)
        cut = code.intrinsic("smin" if source.is_signed else "umin", kind, cut, limit)
    signed = source.is_signed or source.bits < 32
    wide = code.resized(kind, cut, "i32", source.is_signed)
    made = narrow(code, code.convert("sitofp" if signed else "uitofp", "i32", wide, "float"))
    if source.bits > 16:
        great = code.icmp("sgt" if source.is_signed else "ugt", kind, value, limit)
        made = code.select("half", great, code.number("half", math.inf), made)
        if source.is_signed:
            low = code.icmp("slt", kind, value, least)
            made = code.select("half", low, code.number("half", -math.inf), made)
    return made


# ---------------------------------------------------------------- floats to integers
def _saturated(code: Code, source: DType, target: DType, value: Operand) -> Operand:
    kind, result = register(source), register(target)
    if source.bits == 16:
        value, kind = widen(code, value), "float"
    if code.target.is_x86 and code.lanes > 1:
        return _saturated_vector(code, kind, target, value)
    name = "fptosi" if target.is_signed else "fptoui"
    full = f"llvm.{name}.sat.{suffix(result, code.lanes)}.{suffix(kind, code.lanes)}"
    return code.text.call(full, code.kind(result), [(code.kind(kind), value)])


def _saturated_vector(code: Code, kind: str, target: DType, x: Operand) -> Operand:
    """What LLVM's saturating conversion gives, which on x86 takes vectors apart.

    A conversion out of range is poison: it stands in selects that leave it.
    """
    signed, result = target.is_signed, register(target)
    low = code.number(kind, float(target.minimum))
    size = code.select(kind, code.fcmp("ogt", kind, x, low), x, low)  # the low end for NaN
    if target.bits < (24 if kind == "float" else 53):
        high = code.number(kind, float(target.maximum))
        size = code.select(kind, code.fcmp("olt", kind, size, high), size, high)
        if target.maximum < 1 << 31:
            found = code.convert("fptosi", kind, size, "i32")
        else:
            found = word_of_double(code, rounded(code, "trunc", "double", size))
        if signed:
            ordered = code.fcmp("ord", kind, x, x)
            found = code.select("i32", ordered, found, code.number("i32", 0))
        return code.resized("i32", found, result, False)
    # The greatest value is no float, but the first beyond it is one.
    beyond = code.number(kind, 2.0 ** (target.bits - signed))
    if target.bits == 64 and by_halves(code):
        wide = size if kind == "double" else code.convert("fpext", kind, size, "double")
        found = wide_of_double(code, signed, wide)
    else:
        found = code.convert("fptosi" if signed else "fptoui", kind, size, result)
    if signed:
        inside = code.fcmp("olt", kind, x, beyond)
        found = code.select(result, inside, found, code.number(result, 0))
    above = code.fcmp("oge", kind, x, beyond)
    return code.select(result, above, code.number(result, target.maximum), found)
