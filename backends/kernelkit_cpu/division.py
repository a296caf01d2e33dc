"""Floor division and modulo of integers.

Holds: anything // 0 and % 0 is 0, the least value // -1 is itself; no lane traps, whatever it
holds. Vectors divide in floating point, since processors have no vector division of integers.
"""

from __future__ import annotations

from kernelkit.ir.types import DType
from kernelkit_cpu import float_division, processor_division
from kernelkit_cpu.instructions import Code, constant
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register


def floordiv(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    divisor = _constant(dtype, b)
    if divisor is None:
        return _divide(code, dtype, a, b, False)
    kind = register(dtype)
    if divisor in (0, 1):
        return a if divisor else code.number(kind, 0)
    if divisor == -1:
        return code.op("sub", kind, code.number(kind, 0), a)
    if _power_of_two(divisor):
        shift = "ashr" if dtype.is_signed else "lshr"
        return code.op(shift, kind, a, code.number(kind, divisor.bit_length() - 1))
    return _by_constant(code, dtype, a, divisor, False)


def mod(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    divisor = _constant(dtype, b)
    if divisor is None:
        return _divide(code, dtype, a, b, True)
    kind = register(dtype)
    if divisor in (0, 1, -1):
        return code.number(kind, 0)
    if _power_of_two(divisor):
        return code.op("and", kind, a, code.number(kind, divisor - 1))
    return _by_constant(code, dtype, a, divisor, True)


def _constant(dtype: DType, b: Operand) -> int | None:
    """A constant divisor as a number of the type: text may write a great unsigned one negative."""
    found = constant(b)
    if found is None:
        return None
    return (found - dtype.minimum) % (1 << dtype.bits) + dtype.minimum


def _power_of_two(divisor: int) -> bool:
    return divisor > 0 and not divisor & (divisor - 1)


def _divide(code: Code, dtype: DType, a: Operand, b: Operand, remainder: bool) -> Operand:
    """a // b or a % b, with 0 where b is 0."""
    kind = register(dtype)
    if dtype.bits == 64:
        in_floats, divide = float_division.takes_wide(code), float_division.divide_wide
    else:
        in_floats, divide = float_division.takes(code), float_division.divide
    if not in_floats:
        return processor_division.divide(code, dtype, a, b, remainder)
    zero, found = code.number(kind, 0), divide(code, dtype, a, b, remainder)
    return code.select(kind, code.icmp("eq", kind, b, zero), zero, found)


def _by_constant(code: Code, dtype: DType, a: Operand, divisor: int, remainder: bool) -> Operand:
    """Neither 0, 1, -1 nor a power of two."""
    by = code.number(register(dtype), divisor)
    # LLVM multiplies and shifts, but takes vectors of 64-bit integers apart for it.
    if dtype.bits == 64 and float_division.takes_wide(code, divisor):
        return float_division.divide_wide(code, dtype, a, by, remainder)
    return processor_division.divide_by_constant(code, dtype, a, divisor, remainder)
