"""How a launch is written: grid, block and dynamic shared memory, checked.

In: what stands in `kernel[grid, block, stream, dynamic_shared_bytes]`, or the shape of a forall.
Out: (x, y, z) triples, and ConfigurationErrors that say what to write instead.
Holds: what no device can do is refused when a launch is configured; what this device cannot do,
before anything runs on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import ConfigurationError

if TYPE_CHECKING:
    from kernelkit.backend import Capabilities, LaunchConfig

Dim3 = tuple[int, int, int]

#: The block of a forall over 1, 2 and 3 axes, as (x, y, z).
FORALL_BLOCKS: dict[int, Dim3] = {1: (256, 1, 1), 2: (32, 8, 1), 3: (32, 4, 2)}
_AXES = "xyz"


def read_brackets(kernel: str, brackets: object) -> tuple[Dim3, Dim3, Any, int]:
    """(grid, block, stream, dynamic bytes) of what stands between the brackets of a launch."""
    if not isinstance(brackets, tuple) or not 2 <= len(brackets) <= 4:
        raise ConfigurationError(
            f"{kernel}[...] takes grid and block, and then, if wanted, a stream and the bytes of "
            f"dynamic shared memory: write {kernel}[grid, block](...)"
        )
    grid, block = (
        read_extent(kernel, name, value)
        for name, value in zip(("grid", "block"), brackets, strict=False)
    )
    stream = brackets[2] if len(brackets) > 2 else None
    return grid, block, stream, _read_bytes(kernel, brackets[3] if len(brackets) > 3 else 0)


def read_extent(kernel: str, what: str, value: object) -> Dim3:
    """A grid or block as (x, y, z), from an int or a tuple of 1 to 3."""
    axes = value if isinstance(value, (tuple, list)) else (value,)
    if not 1 <= len(axes) <= 3:
        raise ConfigurationError(
            f"the {what} of {kernel} is an int or a tuple of 1 to 3 ints (x, y, z); "
            f"{value!r} has {len(axes)} axes"
        )
    full = (*(_read_axis(kernel, what, value, axis) for axis in axes), 1, 1)
    return full[0], full[1], full[2]


def _read_axis(kernel: str, what: str, value: object, axis: object) -> int:
    if type(axis) is not int:
        if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
            instead = "; write int(...), or -(-n // block) to round up" if _is_real(axis) else ""
            raise ConfigurationError(
                f"the {what} of {kernel} must be an int or a tuple of 1 to 3 ints, not "
                f"{value!r} ({type(axis).__name__}){instead}"
            )
        axis = int(axis)
    if axis < 1:
        nothing = "; to launch nothing for empty data, call forall or skip the launch"
        raise ConfigurationError(
            f"every axis of the {what} of {kernel} must be at least 1, and {value!r} is not"
            f"{nothing if axis == 0 else ''}"
        )
    return axis


def _is_real(value: object) -> bool:
    return isinstance(value, (float, np.floating))


def _read_bytes(kernel: str, value: object) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 0:
        return int(value)
    raise ConfigurationError(
        f"the dynamic shared memory of {kernel} is a number of bytes, an int of at least 0, "
        f"not {value!r}"
    )


def read_shape(kernel: str, value: object) -> tuple[int, ...]:
    """The shape of a forall: an int or a tuple of 1 to 3, zeros allowed."""
    axes = value if isinstance(value, (tuple, list)) else (value,)
    good = [isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in axes]
    if not 1 <= len(axes) <= 3 or not all(good):
        raise ConfigurationError(
            f"{kernel}.forall takes an int or a tuple of 1 to 3 ints of at least 0 (an array's "
            f"shape), not {value!r}"
        )
    return tuple(map(int, axes))


def cover(shape: tuple[int, ...]) -> tuple[Dim3, Dim3]:
    """The grid and the block that cover a shape, x along its last axis."""
    block = FORALL_BLOCKS[len(shape)]
    sizes = (*reversed(shape), 1, 1)
    x, y, z = (-(-size // b) for size, b in zip(sizes, block, strict=False))
    return (x, y, z), block


# ---------------------------------------------------------------- against a device
def check_device(kernel: str, config: LaunchConfig, can: Capabilities, where: str) -> None:
    """Refuse a launch that is too large for a device."""
    x, y, z = config.block
    threads = x * y * z
    if threads > can.threads_per_block:
        raise ConfigurationError(
            f"a block of {kernel} has {_product(config.block)} = {threads} threads, and {where} "
            f"takes at most {can.threads_per_block}; use a smaller block and a larger grid"
        )
    for what, sizes, limits in (
        ("block", config.block, can.block),
        ("grid", config.grid, can.grid),
    ):
        for axis, size, limit in zip(_AXES, sizes, limits, strict=True):
            if size > limit:
                raise ConfigurationError(
                    f"the {what} of {kernel} has {size} along {axis}, and {where} takes at most "
                    f"{limit} there; {_INSTEAD[what]}"
                )
    if config.shared_bytes > can.shared_bytes:
        raise too_much_shared(kernel, 0, config.shared_bytes, can, where)


_INSTEAD = {
    "block": "use a smaller block and a larger grid",
    "grid": "put the longest axis on x, use a larger block, or loop in the kernel",
}


def _product(sizes: Dim3) -> str:
    return " x ".join(map(str, sizes))


def too_much_shared(
    kernel: str, static: int, dynamic: int, can: Capabilities, where: str
) -> ConfigurationError:
    """What is raised where a block's shared memory does not fit."""
    return ConfigurationError(
        f"a block of {kernel} uses {static + dynamic} bytes of shared memory ({static} static + "
        f"{dynamic} dynamic), and {where} has {can.shared_bytes}; use smaller tiles or dtypes"
    )
