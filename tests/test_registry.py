"""Back ends are found by name, loaded once and late, and harm no other when they are broken."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelkit import registry
from kernelkit.backend import PROTOCOL, Capabilities, Device, HostMemory, Target
from kernelkit.errors import BackendError


class Minimal:
    """As little as a back end can be."""

    protocol = PROTOCOL

    def __init__(self, name: str, count: int = 1, memory: Any = None, why: str = "") -> None:
        self.name, self.count, self.why = name, count, why
        self._memory = HostMemory() if memory is None else memory
        self.probed = 0

    def probe(self) -> tuple[Device, ...]:
        self.probed += 1
        target = Target("nothing", Capabilities())
        return tuple(Device(self.name, i, f"no. {i}", target) for i in range(self.count))

    def why_unavailable(self) -> str:
        return self.why

    def memory(self, device: Device) -> Any:
        return self._memory

    def shape(self, *_: Any) -> Any: ...
    def emit(self, *_: Any) -> Any: ...
    def compile(self, *_: Any) -> Any: ...
    def load(self, *_: Any) -> Any: ...


class Elsewhere(HostMemory):
    """Memory that the host cannot reach."""

    def owns(self, value: object) -> bool:
        return isinstance(value, list)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """only(*back ends): no others are registered while the test runs."""

    def install(*backends: Any) -> None:
        monkeypatch.setattr(registry, "_entries", {})
        monkeypatch.setattr(registry, "_host", None)
        for backend in backends:
            registry.register(backend)

    install()
    return install


def test_our_own_are_found_whatever_the_installed_metadata_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where an old kernelkit.egg-info lies in the checkout."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([]))
    monkeypatch.setattr(registry, "_entries", None)
    monkeypatch.setattr(registry, "_host", None)
    assert registry.host_place().device.backend == "cpu"
    assert registry.names() == ("cpu", "cuda", "numba", "opencl", "python")


def test_the_wheel_registers_our_own_like_anyone_else() -> None:
    declared = {e.name: e.value for e in entry_points(group=registry.GROUP)}
    assert {"cpu": "kernelkit_cpu:backend", "python": "kernelkit_python:backend"}.items() <= (
        declared.items()
    )


def test_the_reference_is_found() -> None:
    assert "python" in registry.names()
    place = registry.place("python")
    assert (place.device.backend, place.device.index, place.host) == ("python", 0, True)
    assert str(place) == "python:0"
    assert registry.place("python:0") is place


def test_entry_points_are_imported_late_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    class Point:
        name = "late"

        def load(self) -> object:
            loaded.append(self.name)
            return Minimal("late")

    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [Point()])
    monkeypatch.setattr(registry, "_entries", None)
    assert registry.names() == tuple(sorted(("late", *registry.OURS)))
    assert loaded == []
    assert registry.place("late") is registry.place("late:0")
    assert loaded == ["late"]


def test_a_back_end_is_probed_once(only: Callable[..., None]) -> None:
    backend = Minimal("one", count=2)
    only(backend)
    assert registry.place("one:1").device.index == 1
    assert [row.index for row in registry.rows()] == [0, 1]
    assert backend.probed == 1


def test_an_import_that_fails_is_reported_and_harms_no_other(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("broken", "kernelkit_that_is_not_there:backend", registry.GROUP)
    good = Minimal("good")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([broken]))
    monkeypatch.setattr(registry, "_entries", None)
    registry.register(good)
    bad, fine = (row for row in registry.rows() if row.backend in ("broken", "good"))
    assert (bad.backend, bad.usable, bad.index, bad.name) == ("broken", False, None, "")
    assert bad.why == (
        "it cannot be imported: ModuleNotFoundError: No module named 'kernelkit_that_is_not_there'"
    )
    assert (fine.backend, fine.usable, fine.why) == ("good", True, "")
    with pytest.raises(BackendError, match="'broken' is not usable here: it cannot be imported"):
        registry.place("broken")
    assert registry.place("good").backend is good


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (PROTOCOL + 1, rf"speaks protocol {PROTOCOL + 1} .* speaks {PROTOCOL}: update kernelkit"),
        (0, r"speaks protocol 0 .*: update the back end"),
        (None, r"speaks protocol None .*: update the back end"),
    ],
)
def test_another_protocol_is_refused(
    only: Callable[..., None], protocol: object, words: str
) -> None:
    backend: Any = Minimal("other")
    backend.protocol = protocol
    only(backend)
    with pytest.raises(BackendError, match=words):
        registry.place("other")
    (row,) = registry.rows()
    assert not row.usable
    assert "protocol" in row.why


def test_what_is_no_back_end_is_refused(only: Callable[..., None]) -> None:
    class Half:
        name, protocol = "half", PROTOCOL

        def probe(self) -> tuple[()]:
            return ()

    half: Any = Half()
    only(half)
    with pytest.raises(BackendError, match=r"no back end: Half has no why_unavailable, shape"):
        registry.place("half")


def test_a_back_end_under_another_name_is_refused(only: Callable[..., None]) -> None:
    backend = Minimal("first")
    only(backend)
    backend.name = "second"
    with pytest.raises(BackendError, match="registered as 'first' and calls itself 'second'"):
        registry.place("first")


def test_a_back_end_that_fails_while_probing_is_reported(only: Callable[..., None]) -> None:
    class Failing(Minimal):
        def probe(self) -> tuple[Device, ...]:
            raise OSError("driver too old")

    only(Failing("failing"))
    (row,) = registry.rows()
    assert row.why == "it failed while looking for devices: OSError: driver too old"


def test_no_device_says_why(only: Callable[..., None]) -> None:
    only(Minimal("gpu", count=0, why="no driver; install one"), Minimal("mute", count=0))
    with pytest.raises(BackendError, match="'gpu' is not usable here: no driver; install one"):
        registry.place("gpu")
    with pytest.raises(BackendError, match="it found no device"):
        registry.place("mute")


class Compiling(Minimal):
    """Compiles for what is not at hand."""

    def offline(self, arch: str) -> Target:
        return Target(arch or "best", Capabilities(threads_per_block=7))


def test_places_of_devices_that_are_not_at_hand(only: Callable[..., None]) -> None:
    only(Compiling("far", 0), Minimal("near"))
    for arch in ("sm_1", ""):
        place = registry.offline("far", arch)
        assert place.device.target.name == (arch or "best")
        assert place.device.target.capabilities.threads_per_block == 7
        assert not place.host
    assert place not in registry.in_use()
    with pytest.raises(BackendError, match="'near' compiles only for devices that are at hand"):
        registry.offline("near", "sm_1")


def test_what_cannot_be_loaded_has_no_such_places(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("broken", "kernelkit_that_is_not_there:backend", registry.GROUP)
    other: Any = Minimal("other")
    other.protocol = 0
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([broken]))
    monkeypatch.setattr(registry, "_entries", None)
    registry.register(other)
    with pytest.raises(BackendError, match="'broken' cannot be imported: ModuleNotFoundError"):
        registry.offline("broken", "")
    with pytest.raises(BackendError, match="'other': it speaks protocol 0"):
        registry.offline("other", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pyton", r"no back end 'pyton'; did you mean 'python'\? Registered: .*python"),
        ("zzz", r"no back end 'zzz'\. Registered: .*python"),
        ("", r"no back end ''\. Registered"),
        ("python:x", r"'python:x' names no device; write it as \"python:0\""),
        ("python:-1", r"names no device"),
        ("python:", r"names no device"),
        ("python:7", r"no device 'python:7'; back end 'python' has only device 0 here"),
        (3, r"named by a string such as \"cpu\" or \"cuda:1\", not 3"),
        (None, r"named by a string"),
    ],
)
def test_unknown_names_are_refused(name: Any, words: str) -> None:
    with pytest.raises(BackendError, match=words):
        registry.place(name)


def test_an_index_beyond_the_devices(only: Callable[..., None]) -> None:
    only(Minimal("many", count=3))
    with pytest.raises(BackendError, match="has devices 0 to 2 here"):
        registry.place("many:3")


def test_nothing_registered_says_how_to_install(only: Callable[..., None]) -> None:
    with pytest.raises(BackendError, match=r"none is registered; .*'kernelkit\.backends'"):
        registry.place("cpu")
    with pytest.raises(BackendError, match="neither 'cpu' nor 'python' is installed"):
        registry.host_place()


def test_arrays_of_the_host_prefer_cpu(only: Callable[..., None]) -> None:
    only(Minimal("other"), Minimal("python"))
    assert registry.host_place().device.backend == "python"
    registry.register(Minimal("cpu"))
    assert registry.host_place().device.backend == "cpu"
    registry.register(Minimal("cpu", count=0, why="no compiler"))
    with pytest.warns(
        registry.BackendWarning,
        match="run on 'python', which is much slower: 'cpu' is not usable here: no compiler",
    ):
        assert registry.host_place().device.backend == "python"
    assert registry.host_place().device.backend == "python"  # said once


def test_no_back_end_for_the_host_says_why_each(only: Callable[..., None]) -> None:
    only(Minimal("cpu", count=0, why="no compiler"), Minimal("python", memory=Elsewhere()))
    with pytest.raises(BackendError) as caught:
        registry.host_place()
    assert str(caught.value) == (
        "no back end runs NumPy arrays here: 'cpu' is not usable here: no compiler; 'python' is "
        "not usable here: it does not work on the host. Registered: cpu, python; "
        "kernelkit.use(name) chooses one"
    )


def test_the_owner_of_an_array(only: Callable[..., None]) -> None:
    only(Minimal("host"), Minimal("lists", memory=Elsewhere()))
    owner = registry.owner([1])
    assert owner is registry.place("lists")
    assert not owner.host
    assert registry.owner(np.empty(1)) is registry.place("host")
    assert registry.owner("text") is None


def test_what_is_in_use_is_noted(only: Callable[..., None]) -> None:
    asleep, awake = Minimal("asleep"), Minimal("awake")
    only(asleep, awake)
    registry.mark_in_use(registry.place("awake"))
    assert "awake:0" in map(str, registry.in_use())
    assert asleep.probed == 0
    registry.register(Minimal("awake"))
    assert "awake:0" not in map(str, registry.in_use())


class Ours:
    """An array of a package that back ends of ours are made for."""


@pytest.mark.parametrize(
    ("package", "owners", "expected", "probed"),
    [
        ("cupy._core.core", ("cuda", "numba"), "cuda", ["cuda"]),
        ("torch", ("cuda", "numba"), "cuda", ["cuda"]),
        ("numba.cuda.cudadrv", ("cuda", "numba"), "cuda", ["cuda"]),
        ("numba.cuda.cudadrv", ("numba",), "numba", ["cuda", "numba"]),
        ("pyopencl.array", ("opencl",), "opencl", ["opencl"]),
        ("someone.elses", ("numba", "theirs"), "theirs", ["theirs"]),
        ("someone.elses", ("numba",), "numba", ["theirs", "cuda", "numba"]),
    ],
)
def test_likely_owners_are_asked_first(
    only: Callable[..., None], package: str, owners: tuple[str, ...], expected: str, probed: Any
) -> None:
    class Mine(HostMemory):
        def owns(self, value: object) -> bool:
            return isinstance(value, Ours)

    backends = [
        Minimal(name, memory=Mine() if name in owners else HostMemory())
        for name in ("cuda", "numba", "opencl", "theirs")
    ]
    only(*backends)
    kind = type("Array", (Ours,), {"__module__": package})
    found = registry.owner(kind())
    assert found is not None
    assert found.device.backend == expected
    assert sorted(b.name for b in backends if b.probed) == sorted(probed)


def test_a_lock_held_while_the_parent_forked_does_not_stop_the_child() -> None:
    script = """
import os, threading
from kernelkit import registry
held, free = threading.Event(), threading.Event()
def hold():
    with registry._lock, registry.OURS["python"]._lock:
        held.set()
        free.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    registry.unregister("nobody")
    os._exit(0 if registry.place("python").host else 1)
code = os.waitpid(child, 0)[1]
free.set()
raise SystemExit(os.waitstatus_to_exitcode(code))
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == 0


def test_launching_on_the_host_loads_no_back_end_of_a_device() -> None:
    script = """
import sys
import numpy as np
import kernelkit as kk
@kk.kernel
def one(a):
    a[0] = 1
a = np.zeros(1)
one[1, 1](a)
assert a[0] == 1
loaded = [n for n in ("kernelkit_cuda", "kernelkit_opencl", "kernelkit_numba") if n in sys.modules]
assert not loaded, loaded
"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "script.py")
        file.write_text(script)
        subprocess.run([sys.executable, str(file)], timeout=60, check=True)


def test_unregistering_gives_what_is_installed_its_place_back() -> None:
    installed = registry.place("python").backend
    mine = Minimal("python")
    registry.register(mine)
    try:
        assert registry.place("python").backend is mine
    finally:
        registry.unregister("python")
    assert registry.place("python").backend is installed
    registry.unregister("never there")
