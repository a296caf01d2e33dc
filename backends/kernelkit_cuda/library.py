"""CuPy: imported when a device is first asked for, never before.

In: nothing. Out: the module `cupy`, or one line that says why there is none and what would help.
Holds: no question here raises.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from typing import Any, Final

#: The first release that speaks NumPy 2.
MINIMUM: Final = (13, 2)
INSTALL: Final = "pip install cupy-cuda13x (cupy-cuda12x where the driver is older than 580)"


def find_cupy() -> tuple[Any, str]:
    """(CuPy, "") or (None, why not)."""
    if "cupy" not in sys.modules and importlib.util.find_spec("cupy") is None:
        return None, f"CuPy is not installed: {INSTALL}"
    try:
        with warnings.catch_warnings():
            # CuPy warns of a missing toolkit, which we do not need.
            warnings.simplefilter("ignore")
            import cupy
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        return None, f"CuPy cannot be imported ({said[0]}); install it anew: {INSTALL}"
    version = str(getattr(cupy, "__version__", "0"))
    if _numbers(version) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        return None, f"CuPy {version} is too old, it takes {least} or later: {INSTALL}"
    return cupy, ""


def _numbers(version: str) -> tuple[int, ...]:
    """(13, 2) for "13.2.0rc1"."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])
