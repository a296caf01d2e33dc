"""Instrumented access to arrays: `_k_load2f(array, site, i, j)` and its kin.

In: the name of such a function. Out: the function, made for that number of indices and that kind
of dtype.
Holds: an element comes out in the representation of the scalar table (bool, int, NumPy float or
complex scalar); an index outside the array is a Trap; NumPy's own bounds check is the check, and
its rule for negative indices is ours: they wrap once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np

from kernelkit.emit.fault_text import outside
from kernelkit.errors import OutOfBoundsError
from kernelkit_python.traps import Trap

#: operation, number of indices, kind of the dtype, "n" where a negative index does not wrap.
NAME: Final = re.compile(r"_k_(load|store|view|atomic)(\d+)([biufc])(n?)")

_TEMPLATES: Final = {
    "load": """
def {name}(array, site{indices}):
    try:{check}
        return {element}
    except (IndexError, OverflowError) as error:
        raise outside(array, site, ({tuple}), error) from None
""",
    "store": """
def {name}(array, site{indices}, value):
    try:{check}
        array[{index}] = value
    except (IndexError, OverflowError) as error:
        raise outside(array, site, ({tuple}), error) from None
""",
    "view": """
def {name}(array, site{indices}):
    try:{check}
        return array[{index}]
    except (IndexError, OverflowError) as error:
        raise outside(array, site, ({tuple}), error) from None
""",
    "atomic": """
def {name}(array, site{indices}, update, *operands):
    try:{check}
        old = {element}
    except (IndexError, OverflowError) as error:
        raise outside(array, site, ({tuple}), error) from None
    array[{index}] = update(old, *operands)
    return old
""",
}


def _outside(array: np.ndarray, site: int, indices: tuple[int, ...], error: Exception) -> Exception:
    """The fault of an index outside its array; an error of another cause stays what it is."""
    wraps = not isinstance(error, NegativeIndex)
    extents = array.shape[: len(indices)]
    if all((-n if wraps else 0) <= i < n for i, n in zip(indices, extents, strict=True)):
        return error
    return Trap(OutOfBoundsError, site, outside("{name}", indices, array.shape))


class NegativeIndex(IndexError):
    """A negative index in a kernel where none wraps."""


@cache
def access(name: str) -> Callable[..., Any] | None:
    """The function of that name; None where the name is of no such function."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    operation, rank, kind, unwrapped = found.groups()
    names = [f"i{axis}" for axis in range(int(rank))]
    index = ", ".join(names) or "()"
    negative = " or ".join(f"{i} < 0" for i in names)
    source = _TEMPLATES[operation].format(
        name=name,
        indices="".join(f", {i}" for i in names),
        index=index,
        tuple="".join(f"{i}, " for i in names),
        # NumPy's integers would not wrap silently, and its bools are not Python's.
        element=f"array.item({', '.join(names)})" if kind in "biu" else f"array[{index}]",
        check=f"\n        if {negative}: raise negative_index" if unwrapped and names else "",
    )
    module: dict[str, Any] = {"outside": _outside, "negative_index": NegativeIndex}
    exec(compile(source, f"<kernelkit {name}>", "exec"), module)
    function: Callable[..., Any] = module[name]
    return function
