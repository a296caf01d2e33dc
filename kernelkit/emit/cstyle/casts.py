"""The casts of the scalar table in C, and values between registers and memory.

Holds: integers wrap, floats saturate on the way to integers (NaN gives 0), what becomes a float is
rounded once, to bool is `!= 0`.
"""

from __future__ import annotations

from kernelkit.emit.cstyle.code import Code, computed, register, short
from kernelkit.emit.cstyle.literals import complex_maker, literal
from kernelkit.ir.types import FLOAT16, FLOAT32, DType

#: The least integer that a float16 rounds to infinity.
_INFINITE = 65520


def cast(code: Code, source: DType, target: DType, arg: str) -> str:
    if source == target:
        return arg
    if target.kind == "b":
        return _to_bool(code, source, arg)
    if target.is_complex:
        return _to_complex(code, source, target, arg)
    if target.is_integer:
        return (
            _saturated(code, source, target, arg)
            if source.is_float
            else f"(({short(target)}){arg})"
        )
    if source.kind == "b":
        return f"(({register(target)}){arg})"
    if target == FLOAT16:
        return _to_half(code, source, arg)
    if source == FLOAT16 and target == FLOAT32:
        return arg
    return f"(({short(target)}){arg})"


def _to_bool(code: Code, source: DType, arg: str) -> str:
    if source.is_complex:
        body = "return a.re != 0 || a.im != 0;"
        return code.call(f"bool_{short(source)}", "bool", [short(source)], body, [arg])
    zero = literal(code, computed(source), 0) if source.is_float else "0"
    return f"({arg} != {zero})"


def _to_complex(code: Code, source: DType, target: DType, arg: str) -> str:
    if not source.is_complex:
        part = cast(code, source, target.component, arg)
        return f"{complex_maker(code, target)}({part}, {literal(code, target.component, 0)})"
    kind, part = short(target), short(target.component)
    body = f"return {complex_maker(code, target)}(({part})a.re, ({part})a.im);"
    return code.call(f"{kind}_{short(source)}", kind, [short(source)], body, [arg])


def _saturated(code: Code, source: DType, target: DType, arg: str) -> str:
    kind, real = short(target), register(source)
    direct = code.spelling.saturating.get(f"{kind}_{real}")
    if direct is not None:
        return code.call(f"{kind}_{real}", kind, [real], direct, [arg])
    float_type = computed(source)
    # The greatest value may be no float; the first beyond it always is.
    beyond = literal(code, float_type, float(target.maximum + 1))
    least = literal(code, float_type, float(target.minimum))
    low, high = literal(code, target, target.minimum), literal(code, target, target.maximum)
    body = f"""
if (a >= {beyond}) return {high};
if (a >= {least}) return ({kind})a;
return a == a ? {low} : ({kind})0;"""
    return code.call(f"{kind}_{real}", kind, [real], body, [arg])


# ---------------------------------------------------------------- float16
def rounded_to_half(code: Code, arg: str, source: DType = FLOAT32) -> str:
    """A float32 or float64 as the float32 that is the nearest float16."""
    kind = short(source)
    body = f"return {half_value(code, f'{half_bits(code, source)}(x)')};"
    return f"{code.function(f'f16_{kind}', 'f32', f'{kind} x', body)}({arg})"


def half_bits(code: Code, source: DType = FLOAT32) -> str:
    """The function that gives a float32's or float64's bits as a float16."""
    kind = short(source)
    body = code.spelling.halves[f"u16_{kind}"]
    return code.function(f"half_bits_{kind}", "u16", f"{kind} x", body)


def half_value(code: Code, bits: str) -> str:
    """The float32 of a float16's bits."""
    name = code.function("half_value", "f32", "u16 x", code.spelling.halves["f32_u16"])
    return f"{name}({bits})"


def _to_half(code: Code, source: DType, arg: str) -> str:
    if source.is_float:
        return rounded_to_half(code, arg, source)
    kind = short(source)
    # What is not cut off is exact in float32.
    low = f"a < -{_INFINITE} ? -{_INFINITE} : " if source.is_signed else ""
    cut = f"a > {_INFINITE} ? {_INFINITE} : " if source.maximum > _INFINITE else ""
    value = f"{cut}{low}({'i32' if source.is_signed else 'u32'})a" if cut else "a"
    body = f"return {rounded_to_half(code, f'(f32)({value})')};"
    return code.call(f"f16_{kind}", "f32", [kind], body, [arg])


# ---------------------------------------------------------------- memory
def load(code: Code, dtype: DType, lvalue: str) -> str:
    """From memory to a register."""
    if dtype.kind == "b":
        return f"({lvalue} != 0)"
    return half_value(code, lvalue) if dtype == FLOAT16 else lvalue


def store(code: Code, dtype: DType, value: str) -> str:
    """From a register to memory."""
    if dtype.kind == "b":
        return f"((u8){value})"
    return f"{half_bits(code)}({value})" if dtype == FLOAT16 else value


def bits(code: Code, dtype: DType, arg: str) -> list[str]:
    """The bits of a value as u64; of a complex number both parts'."""
    if dtype.is_complex:
        return [bits(code, dtype.component, f"{arg}.{part}")[0] for part in ("re", "im")]
    if dtype.is_float:
        found = f"{half_bits(code)}({arg})" if dtype == FLOAT16 else code.bits(dtype, arg)
        return [f"((u64){found})"]
    return [f"((u64)(u{dtype.bits}){arg})" if dtype.is_signed else f"((u64){arg})"]
