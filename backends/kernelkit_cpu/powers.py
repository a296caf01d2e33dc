"""x ** n of integers, by squarings.

Holds: they wrap, and to a negative power are 0.
"""

from __future__ import annotations

from kernelkit.ir.types import DType
from kernelkit_cpu.instructions import Code, constant
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register


def integer_power(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind, exponent = register(dtype), constant(b)
    if exponent is None:
        # What ends a loop may not be poison.
        arguments = (a, code.freeze(kind, b))
        return code.internal(f"pow.{dtype}", kind, arguments, lambda to: _squarings(to, dtype))
    if dtype.is_signed and exponent < 0:
        return code.number(kind, 0)
    return _unrolled(code, "mul", kind, a, exponent % (1 << dtype.bits))


def _unrolled(code: Code, times: str, kind: str, square: Operand, exponent: int) -> Operand:
    """A product of squares. An exponent of 0 gives 1."""
    result = ""
    while exponent:
        if exponent & 1:
            result = code.op(times, kind, result, square) if result else square
        exponent >>= 1
        if exponent:
            square = code.op(times, kind, square, square)
    return result or code.number(kind, 1)


def _squarings(code: Code, dtype: DType) -> None:
    """The body of a function: %a0 ** %a1, 0 for a negative exponent."""
    text, kind = code.text, register(dtype)
    full, zero = code.kind(kind), code.number(kind, 0)
    result, square, left = (text.alloca(full) for _ in range(3))
    exponent, first = "%a1", code.number(kind, 1)
    if dtype.is_signed:
        negative = code.icmp("slt", kind, "%a1", zero)
        exponent = code.select(kind, negative, zero, "%a1")
        first = code.select(kind, negative, zero, first)
    for value, address in ((first, result), ("%a0", square), (exponent, left)):
        text.store(full, value, address)
    test, body, end = (text.label(hint) for hint in ("test", "body", "end"))
    text.start(test)
    exponent = text.load(full, left)
    text.branch(code.any_bit(kind, exponent), body, end)
    text.start(body)
    odd = code.convert("trunc", kind, exponent, "i1")
    old, factor = text.load(full, result), text.load(full, square)
    product = code.op("mul", kind, old, factor)
    text.store(full, code.select(kind, odd, product, old), result)
    text.store(full, code.op("mul", kind, factor, factor), square)
    text.store(full, code.op("lshr", kind, exponent, code.number(kind, 1)), left)
    text.jump(test)
    text.start(end)
    text.finish(f"ret {full} {text.load(full, result)}")
