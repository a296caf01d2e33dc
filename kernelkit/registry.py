"""Which back ends there are, loaded only when one is asked for.

In: the entry-point group `kernelkit.backends`, and `register()` for a back end made in this
process. Out: places: a device together with its back end and its memory.
Holds: a back end is imported and probed at most once; one that cannot be imported or speaks
another protocol is reported by `rows()` and refused by `place()`, and harms no other.
"""

from __future__ import annotations

import difflib
import importlib
import os
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernelkit.errors import BackendError
from kernelkit.records import record

if TYPE_CHECKING:
    from kernelkit.backend import Backend, Device, Memory

GROUP = "kernelkit.backends"
#: For arrays of the host: the first of these that is registered and usable.
HOST_PREFERENCE = ("cpu", "python")
#: For arrays of a package's own types: who is asked first whether it works on them, in this order.
#: Nobody else need be imported then.
LIKELY = {
    "cupy": ("cuda",),
    "torch": ("cuda",),
    "numba": ("cuda", "numba"),
    "pyopencl": ("opencl",),
}


class BackendWarning(RuntimeWarning):
    """Kernels run, and not where they should."""


@record(eq=False)
class Place:
    """Where a launch can go. `host`: it works on the host's arrays."""

    backend: Backend
    device: Device
    memory: Memory
    host: bool

    def __str__(self) -> str:
        return f"{self.device.backend}:{self.device.index}"


@record
class DeviceRow:
    """A device, or a back end that has none here; `why` says what is missing."""

    backend: str
    index: int | None
    name: str
    usable: bool
    why: str = ""


class _Entry:
    """A registered back end and what became of loading it."""

    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name = name
        self._load = load
        self._lock = threading.RLock()
        self._opened: tuple[tuple[Place, ...], str] | None = None

    def unlock(self) -> None:
        """In a forked child: whoever opened it while the parent forked is not there."""
        self._lock = threading.RLock()

    @property
    def opened(self) -> bool:
        return self._opened is not None

    def open(self) -> tuple[tuple[Place, ...], str]:
        """(its places, why there are none)."""
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    self._opened = self._open()
        return self._opened

    def load(self) -> Backend:
        """The back end itself, whether it has devices or not; a BackendError if it cannot be had."""
        try:
            backend = self._load()
        except Exception as error:
            raise BackendError(
                f"back end {self.name!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        wrong = _misfit(self.name, backend)
        if wrong:
            raise BackendError(f"back end {self.name!r}: {wrong}")
        return backend  # type: ignore[return-value]

    def _open(self) -> tuple[tuple[Place, ...], str]:
        try:
            backend = self._load()
        except Exception as error:
            return (), f"it cannot be imported: {type(error).__name__}: {error}"
        wrong = _misfit(self.name, backend)
        if wrong:
            return (), wrong
        try:
            places = _places(backend)  # type: ignore[arg-type]
            why = "" if places else backend.why_unavailable()  # type: ignore[attr-defined]
        except Exception as error:
            return (), f"it failed while looking for devices: {type(error).__name__}: {error}"
        return places, "" if places else why or "it found no device"


def _misfit(name: str, backend: object) -> str:
    """Why an object is no back end of this protocol; '' if it is one."""
    from kernelkit.backend import PROTOCOL, Backend

    spoken = getattr(backend, "protocol", None)
    if spoken != PROTOCOL:
        newer = isinstance(spoken, int) and spoken > PROTOCOL
        return (
            f"it speaks protocol {spoken!r} and this kernelkit speaks {PROTOCOL}: "
            f"update {'kernelkit' if newer else 'the back end'}"
        )
    if not isinstance(backend, Backend):
        lacking = [m for m in _MEMBERS if not hasattr(backend, m)]
        return f"it is no back end: {type(backend).__name__} has no {', '.join(lacking)}"
    if backend.name != name:
        return f"it is registered as {name!r} and calls itself {backend.name!r}"
    return ""


_MEMBERS = (
    "name", "protocol", "probe", "why_unavailable", "shape", "emit", "compile", "load", "memory",
)  # fmt: skip


def _places(backend: Backend) -> tuple[Place, ...]:
    import numpy as np

    sample = np.empty(0)
    places = []
    for device in backend.probe():
        memory = backend.memory(device)
        places.append(Place(backend, device, memory, memory.owns(sample)))
    return tuple(places)


# ---------------------------------------------------------------- the table
def _ours(name: str, module: str) -> _Entry:
    return _Entry(name, lambda: importlib.import_module(module).backend)


#: Our own back ends. They are found without reading what is installed, which takes longer than a
#: launch, and may be out of date: Python reads an old kernelkit.egg-info in a checkout first.
OURS = {
    name: _ours(name, module)
    for name, module in (
        ("cpu", "kernelkit_cpu"),
        ("python", "kernelkit_python"),
        ("cuda", "kernelkit_cuda"),
        ("opencl", "kernelkit_opencl"),
        ("numba", "kernelkit_numba"),
    )
}

_lock = threading.RLock()
_entries: dict[str, _Entry] | None = None
_host: Place | None = None
#: Where something was launched or allocated: `synchronize` waits for these.
_in_use: set[Place] = set()
#: For a table of back ends and the type of an array: whom to ask, in this order.
_orders: tuple[object, dict[type, tuple[str, ...]]] = (None, {})
_ORDERS = 256
#: Another number whenever a back end was registered or unregistered.
generation = 0


def _table() -> dict[str, _Entry]:
    """Every registered back end."""
    global _entries
    if _entries is None:
        with _lock:
            if _entries is None:
                from importlib.metadata import entry_points

                found = entry_points(group=GROUP)
                _entries = {e.name: _Entry(e.name, e.load) for e in found} | OURS
    return _entries


def _entry(name: str) -> _Entry | None:
    """One registered back end."""
    return OURS[name] if _entries is None and name in OURS else _table().get(name)


def register(backend: Backend) -> None:
    """Make a back end of this process known, in place of any other of its name."""
    global _entries, _host
    with _lock:
        _entries = {**_table(), backend.name: _Entry(backend.name, lambda: backend)}
        _retire(backend.name)
        _host = None


def unregister(name: str) -> None:
    """Forget a back end; what is installed under that name comes back into its place."""
    global _entries, _host
    from importlib.metadata import entry_points

    with _lock:
        kept = {n: e for n, e in _table().items() if n != name}
        found = {e.name: _Entry(e.name, e.load) for e in entry_points(group=GROUP, name=name)}
        ours = {name: OURS[name]} if name in OURS else {}
        _entries, _host = kept | found | ours, None
        _retire(name)


def _retire(name: str) -> None:
    """Forget what was found out while another back end had this name, or none."""
    global generation
    generation += 1
    _in_use.difference_update([p for p in _in_use if p.device.backend == name])


def names() -> tuple[str, ...]:
    """The registered back ends, without loading any."""
    return tuple(sorted(_table()))


def check_name(name: object) -> tuple[str, int]:
    """(back end, index) of "cuda" or "cuda:1"; a BackendError if there is none of that name."""
    if not isinstance(name, str):
        raise BackendError(
            f'a back end is named by a string such as "cpu" or "cuda:1", not {name!r}'
        )
    backend, colon, index = name.partition(":")
    if colon and not (index.isascii() and index.isdigit()):
        raise BackendError(f'{name!r} names no device; write it as "{backend}:0"')
    if _entry(backend) is None:
        raise BackendError(_unknown(backend))
    return backend, int(index or 0)


def _unknown(name: str) -> str:
    known = names()
    if not known:
        return (
            f"there is no back end {name!r}, for none is registered; back ends register under the "
            f"entry points {GROUP!r}: reinstall kernelkit (`pip install -e .` in a checkout)"
        )
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"there is no back end {name!r}{hint} Registered: {', '.join(known)}"


def place(name: str) -> Place:
    """The place that "cuda" or "cuda:1" names; a BackendError if it is unknown or not usable."""
    backend, index = check_name(name)
    entry = _entry(backend)
    assert entry is not None  # as check_name found
    places, why = entry.open()
    if not places:
        raise BackendError(
            f"back end {backend!r} is not usable here: {why} (kernelkit.devices() lists all)"
        )
    if index >= len(places):
        there = "only device 0" if len(places) == 1 else f"devices 0 to {len(places) - 1}"
        raise BackendError(f"there is no device {name!r}; back end {backend!r} has {there} here")
    return places[index]


def offline(name: str, arch: str) -> Place:
    """A place to compile for, where no such device is at hand; nothing can be launched there.

    `arch` is in the back end's words, "" for what it thinks best."""
    from kernelkit.backend import Device, HostMemory

    backend, _ = check_name(name)
    entry = _entry(backend)
    assert entry is not None  # as check_name found
    found = entry.load()
    make = getattr(found, "offline", None)
    if make is None:
        raise BackendError(f"back end {backend!r} compiles only for devices that are at hand")
    target = make(arch)
    return Place(found, Device(backend, 0, target.name, target), HostMemory(), False)


def host_place() -> Place:
    """The place for arrays of the host where nobody chose one."""
    global _host
    found = _host
    if found is None:
        found = _host = _find_host()
    return found


def _find_host() -> Place:
    reasons: list[str] = []
    for name in HOST_PREFERENCE:
        entry = _entry(name)
        if entry is None:
            continue
        places, why = entry.open()
        host = next((p for p in places if p.host), None)
        if host is not None:
            if reasons:
                warnings.warn(
                    f"NumPy arrays run on {name!r}, which is much slower: {'; '.join(reasons)}",
                    BackendWarning,
                    stacklevel=2,
                )
            return host
        reasons.append(f"{name!r} is not usable here: {why or 'it does not work on the host'}")
    known = ", ".join(names()) or "none"
    raise BackendError(
        "no back end runs NumPy arrays here: "
        + ("; ".join(reasons) or f"neither {' nor '.join(map(repr, HOST_PREFERENCE))} is installed")
        + f". Registered: {known}; kernelkit.use(name) chooses one"
    )


def mark_in_use(place: Place) -> None:
    """Note that there may be something to wait for."""
    _in_use.add(place)


def in_use() -> tuple[Place, ...]:
    """The places that may have something to do."""
    return tuple(_in_use)


def owner(value: object) -> Place | None:
    """The place whose memory holds an array: that of the back end that is likely by its type, else
    of any other's."""
    for name in _by_likelihood(type(value)):
        for place in _table()[name].open()[0]:
            if place.memory.owns(value):
                return place
    return None


def _by_likelihood(kind: type) -> tuple[str, ...]:
    """All registered back ends; after the likely ones those of others, for they come with arrays of
    their own."""
    global _orders
    table = _table()
    if _orders[0] is not table or len(_orders[1]) > _ORDERS:
        _orders = table, {}
    found = _orders[1].get(kind)
    if found is None:
        packages = {each.__module__.partition(".")[0] for each in kind.__mro__}
        likely = [n for p, them in LIKELY.items() if p in packages for n in them if n in table]
        theirs = [n for n in sorted(table) if n not in likely and n not in OURS]
        ours = [n for n in sorted(table) if n not in likely and n in OURS]
        found = _orders[1][kind] = (*likely, *theirs, *ours)
    return found


def rows() -> list[DeviceRow]:
    """What can run here, and for each back end that cannot, why."""
    found = []
    for name in names():
        places, why = _table()[name].open()
        found += [DeviceRow(name, p.device.index, p.device.name, True) for p in places]
        if not places:
            found.append(DeviceRow(name, None, "", False, why))
    return found


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    for entry in {**OURS, **(_entries or {})}.values():
        entry.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
