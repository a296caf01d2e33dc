"""The pytest plugin: which back end tests run on, and skipping what its device cannot do.

In: `--kernelkit-backend=NAME`, and `@pytest.mark.needs(...)` on tests. Out: the fixtures
`backend_name` and `backend_device`.
Holds: a run that uses none of these is not touched: nothing of kernelkit is asked before a fixture
or the option wants it, and the marker is looked at only by `backend_device`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kernelkit.backend import Capabilities, Device

_MARKER = (
    "needs(dtypes=, atomics=, warp_operations=, divergent_warps=, barriers=, shared_memory=, "
    "printing=, assertions=, reproducible=, threads_per_block=, shared_bytes=): what a kernelkit "
    "device must be able to do; the test is skipped where it cannot"
)

#: Fields of Capabilities that say yes or no, with what a skip calls them.
_ABILITIES = {
    "warp_operations": "warp operations",
    "divergent_warps": "warp operations in divergent control flow",
    "barriers": "barriers",
    "shared_memory": "shared memory",
    "printing": "printing from kernels",
    "assertions": "reports of failed assertions",
    "reproducible": "reproducible kernels",
}
#: Fields of Capabilities that are a limit.
_LIMITS = {
    "threads_per_block": "threads in a block",
    "shared_bytes": "bytes of shared memory",
}
_SETS = {"dtypes": "", "atomics": "atomics on "}


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def missing(capabilities: Capabilities, needs: Mapping[str, Any]) -> str:
    """What a device with these capabilities lacks of what a test needs; '' if nothing."""
    lacks = []
    for field, wanted in needs.items():
        if field in _SETS:
            absent = [n for n in _names(wanted) if n not in getattr(capabilities, field)]
            lacks += [f"{_SETS[field]}{name}" for name in absent]
        elif field in _ABILITIES:
            if wanted and not getattr(capabilities, field):
                lacks.append(_ABILITIES[field])
        elif field in _LIMITS:
            if wanted > getattr(capabilities, field):
                lacks.append(f"{wanted} {_LIMITS[field]}")
        else:
            known = ", ".join((*_SETS, *_ABILITIES, *_LIMITS))
            raise pytest.UsageError(f"the marker needs knows {known}; not {field!r}")
    return ", ".join(lacks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernelkit")
    group.addoption(
        "--kernelkit-backend",
        metavar="NAME",
        default=None,
        help="the kernelkit back end, or device such as opencl:1, that tests run on (default: "
        "$KERNELKIT_BACKEND, or the one that runs NumPy arrays)",
    )
    group.addoption(
        "--kernelkit-seed",
        metavar="SEED",
        type=int,
        default=None,
        help="the seed of random inputs (default: a fresh one; a failing test shows it)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    name = config.getoption("kernelkit_backend")
    if name is not None:
        _find(name)


def pytest_report_header(config: pytest.Config) -> str | None:
    name = config.getoption("kernelkit_backend")
    return None if name is None else f"kernelkit: on {_find(name).name} (back end {name})"


def _find(name: str | None) -> Device:
    """The device of that back end (of the host's default for None), or a UsageError."""
    import kernelkit

    try:
        with kernelkit.use(name):
            return kernelkit.current_device()
    except kernelkit.BackendError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def backend_name(pytestconfig: pytest.Config) -> str:
    """The back end that tests run on, with the device's number if that is not 0."""
    device = _find(pytestconfig.getoption("kernelkit_backend"))
    return f"{device.backend}:{device.index}" if device.index else device.backend


@pytest.fixture
def backend_device(request: pytest.FixtureRequest, backend_name: str) -> Device:
    """The device that tests run on; skips a test whose `needs` it cannot meet."""
    device = _find(backend_name)
    found = [
        missing(device.target.capabilities, marker.kwargs)
        for marker in request.node.iter_markers("needs")
    ]
    lacks = dict.fromkeys(part for text in found if text for part in text.split(", "))
    if lacks:
        pytest.skip(f"{device.name} does not have {', '.join(lacks)}")
    return device
