"""What an earlier process compiled is found again, and only where it would be compiled the same."""

from __future__ import annotations

import gc
import json
import linecache
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import Binary, Capabilities
from kernelkit.runtime import disk_cache, recall


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    chosen = tmp_path / "cache"
    monkeypatch.setenv(disk_cache.FOLDER_VARIABLE, str(chosen))
    monkeypatch.delenv(disk_cache.SWITCH_VARIABLE, raising=False)
    return chosen


@pytest.fixture
def kept(fake: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A back end whose kernels are recalled; `emitted` has those that are not."""
    fake.cached = True
    state = recall._state
    monkeypatch.setattr(recall, "_state", lambda package: state(package) or f"{package} as it is")
    return fake


Define = Callable[..., Any]


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """define(text, **globals): a module of this text, as another process would import it."""

    def make(source: str, file: str = "kernels.py", **scope: Any) -> Any:
        path = tmp_path / file
        text = "import kernelkit as kk\nimport numpy as np\n" + textwrap.dedent(source)
        path.write_text(text)
        linecache.cache.pop(str(path), None)
        module = ModuleType("kernels")
        vars(module).update(scope)
        exec(compile(text, str(path), "exec"), vars(module))
        return module

    return make


def launch(module: Any, *args: Any, block: int = 4) -> np.ndarray:
    out = np.zeros(4)
    module.k.on("fake")[1, block](out, *args)
    return out


# ---------------------------------------------------------------- changes
#: What changes -> (module, values of its globals); each is another kernel.
CHANGES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "source": [
        ("@kk.kernel\ndef k(out): out[0] = 1", {}),
        ("@kk.kernel\ndef k(out): out[0] = 2", {}),
        ("@kk.kernel\ndef k(out): out[0] = 1.0", {}),
        ("\n@kk.kernel\ndef k(out): out[0] = 1", {}),
    ],
    "number": [
        ("@kk.kernel\ndef k(out): out[0] = N", {"N": n})
        for n in (1, True, 1.0, 0.0, -0.0, float("nan"), np.float32(1), np.int8(1))
    ],
    "table": [
        ("@kk.kernel\ndef k(out): out[0] = kk.const.array_like(T)[1]", {"T": np.array(t)})
        for t in ([1, 2], [1, 3], [1.0, 2.0], [1, 2, 3])
    ],
    "dtype": [
        ("@kk.kernel\ndef k(out):\n    x: T = 0\n    out[0] = T(x)", {"T": t})
        for t in (np.float32, np.float64, np.int8)
    ],
    "device function": [
        (f"def g(x): return h(x) + {n}\ndef h(x): return x * {m}\n@kk.kernel\ndef k(out): out[0] = g(1)",
         {})
        for n, m in ((1, 1), (2, 1), (1, 2))
    ],
    "closure": [
        ("def make(n):\n    @kk.kernel\n    def k(out): out[0] = n\n    return k\nk = make(N)", {"N": n})
        for n in (1, 2, (3,))
        if n != (3,)
    ],
    "module": [
        ("@kk.kernel\ndef k(out): out[0] = cfg.N", {"cfg": SimpleNamespace(N=n)})
        for n in (1, 2)
    ],
    "hidden builtin": [
        ("@kk.kernel\ndef k(out): out[0] = max(1, 2)", {}),
        ("def max(a, b): return a\n@kk.kernel\ndef k(out): out[0] = max(1, 2)", {}),
        ("def max(a, b): return b\n@kk.kernel\ndef k(out): out[0] = max(1, 2)", {}),
    ],
    "settings": [
        (f"@kk.kernel{options}\ndef k(out): out[0] = 1", {})
        for options in ("", "(debug=True)", "(reproducible=True)", "(wraparound=False)")
    ],
    "settings of one text": [
        ("@kk.kernel(debug=D)\ndef k(out): out[0] = 1", {"D": d}) for d in (True, False)
    ],
    "default": [
        ("def g(x, n=N): return n\n@kk.kernel\ndef k(out): out[0] = g(1)", {"N": n}) for n in (1, 2)
    ],
    "printed": [
        ("@kk.kernel\ndef k(out): print(f'{N} and {out[0]}')", {"N": n}) for n in (1, "one")
    ],
    "message": [
        (f"@kk.kernel\ndef k(out): assert out[0] == 0, '{text}'", {}) for text in ("a", "b")
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_another_kernel(kept: Any, define: Define, what: str) -> None:
    variants = CHANGES[what]
    for number, (source, scope) in enumerate(variants, start=1):
        launch(define(source, **scope))
        assert len(kept.emitted) == number
    for source, scope in variants:
        launch(define(source, **scope))
    assert len(kept.emitted) == len(variants)
    assert len(kept.launches) == 2 * len(variants)


class Point(NamedTuple):
    x: Any
    y: Any


class Pair(NamedTuple):
    x: Any
    y: Any


class Other(NamedTuple):
    y: Any
    x: Any


STATIC: list[Any] = [
    1, True, 1.0, -0.0, 0.0, float("nan"), np.float32(1), None, (1, 2), (1, (2,)), "one", np.float32,
    Point(1, 2), Pair(1, 2), Point(1.0, 2), Other(1, 2), max,
]  # fmt: skip


def test_compile_time_arguments_are_told_apart(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out, n: kk.constexpr):\n    out[0] = 1"
    for _ in range(2):
        module = define(source)
        for value in STATIC:
            launch(module, value)
        assert len(kept.emitted) == len(STATIC)


A = np.zeros((4, 4))
ARGUMENTS: list[Any] = [
    1, 1.0, True, np.int32(1), np.float32(1), A, A[0], A.T, A[:, ::2], A[::2], A.astype("f4"), None,
    (1, A), (2, A), (A, 1), (A, A), Point(1, A), Point(2, A), Pair(1, A), Other(1, A), (),
]  # fmt: skip


def test_arguments_are_told_apart(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out, x): out[0] = 1"
    for _ in range(2):
        module = define(source)
        for value in ARGUMENTS:
            launch(module, value)
        assert len(kept.emitted) == len(ARGUMENTS)


def test_so_are_blocks_but_not_grids(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out): out[0] = 1"
    for _ in range(2):
        module = define(source)
        for block in (1, 2, (1, 2), (2, 1, 1)):
            for grid in (1, (2, 2)):
                module.k.on("fake")[grid, block](np.zeros(4))
        assert len(kept.emitted) == 3


def test_a_changed_argument_function_is_another_kernel(kept: Any, define: Define) -> None:
    source = """
        def g(x): return x + N
        @kk.kernel
        def k(out, g: kk.constexpr): out[0] = g(1)
    """
    for number, n in ((1, 1), (2, 2), (2, 1)):
        module = define(source, N=n)
        launch(module, module.g)
        assert len(kept.emitted) == number
    module.N = 2
    launch(module, module.g)
    assert len(kept.emitted) == 2
    module.N = 3
    launch(module, module.g)
    assert len(kept.emitted) == 3


# ---------------------------------------------------------------- who compiles
KERNEL = "@kk.kernel\ndef k(out):\n    i = kk.grid(1)\n    if i < out.size: out[i] = i"


def test_other_makers_are_told_apart(
    fake_backend: Any, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "_state", lambda package: package)
    fewer = Capabilities(dtypes=frozenset(("bool", "int64", "float64")), threads_per_block=64)
    made = []
    for key, capabilities in (("1", None), ("2", None), ("1", fewer), ("1", None), ("1", fewer)):
        backend = fake_backend("fake", capabilities=capabilities)
        backend.cached, backend.cache_key = True, lambda key=key: f"compiler {key}"
        launch(define(KERNEL))
        made.append(len(backend.emitted))
    assert made == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("package", ["kernelkit", "another"])
def test_edited_packages_compile_anew(
    kept: Any, define: Define, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(type(kept), "__module__", "another.module")
    for number, state in ((1, "before"), (1, "before"), (2, "after"), (2, "before"), (2, "after")):
        found = {"kernelkit": "same", "another": "same"} | {package: state}
        monkeypatch.setattr(recall, "_state", found.__getitem__)
        launch(define(KERNEL))
        assert len(kept.emitted) == number


@pytest.mark.parametrize("module", [sys, np])
def test_so_do_other_versions_of_python_and_numpy(
    kept: Any, define: Define, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    launch(define(KERNEL))
    monkeypatch.setattr(module, "version" if module is sys else "__version__", "9.9")
    launch(define(KERNEL))
    assert len(kept.emitted) == 2


def test_the_state_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_package"
    (package / "inner").mkdir(parents=True)
    one, two = package / "__init__.py", package / "inner" / "two.py"
    one.write_text("x = 1")
    two.write_text("y = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "some_package", ModuleType("some_package"))
    sys.modules["some_package"].__path__ = [str(package)]

    def state() -> str:
        return recall._state.__wrapped__("some_package")

    seen = [state()]
    assert state() == seen[0]
    (package / "notes.txt").write_text("nothing")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.py").write_text("nothing")
    assert state() == seen[0]
    for change in (
        lambda: two.write_text("y = 22"),
        lambda: os.utime(two, ns=(1, 1)),
        lambda: (package / "three.py").write_text("z = 1"),
        lambda: two.rename(package / "two.py"),
        lambda: one.unlink(),
        lambda: (package / ".#lock.py").symlink_to("nowhere"),
    ):
        change()
        assert state() not in seen
        seen.append(state())
    sys.modules["some_package"].__path__ = [str(tmp_path / "archive.zip" / "some_package")]
    assert state() == ""


def test_a_module_alone_is_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "alone.py"
    file.write_text("x = 1")
    (tmp_path / "neighbour.py").write_text("x = 1")
    module = ModuleType("alone")
    monkeypatch.setitem(sys.modules, "alone", module)
    assert recall._state.__wrapped__("alone") == ""
    module.__file__ = str(file)
    before = recall._state.__wrapped__("alone")
    assert str(file) in before and "neighbour" not in before
    file.write_text("x = 11")
    assert recall._state.__wrapped__("alone") != before


def test_code_in_an_archive_is_not_recalled(
    kept: Any, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "_state", lambda package: "")
    for _ in range(2):
        launch(define(KERNEL))
    assert len(kept.emitted) == 2


def test_without_a_cache_nothing_is_recalled(
    kept: Any, define: Define, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv(disk_cache.SWITCH_VARIABLE, "0")
    for number in (1, 2):
        launch(define(KERNEL))
        assert len(kept.emitted) == number
    assert not folder.exists()
    monkeypatch.delenv(disk_cache.SWITCH_VARIABLE)
    kept.cached = False
    launch(define(KERNEL))
    assert len(kept.emitted) == 3 and not folder.exists()


def test_damaged_entries_are_compiled_anew(kept: Any, define: Define, folder: Path) -> None:
    launch(define(KERNEL))
    for entry in folder.glob("*.kernel"):
        entry.write_bytes(entry.read_bytes()[:-1])
    for _ in range(2):
        launch(define(KERNEL))
        assert len(kept.emitted) == 2


def test_metadata_beyond_json_is_launched_and_not_kept(kept: Any, define: Define) -> None:
    kept.compile = lambda artifact, target: Binary(b"data", {"odd": print})
    for number in (1, 2):
        launch(define(KERNEL))
        assert len(kept.emitted) == len(kept.launches) == number


def test_a_global_that_changes_while_it_is_compiled_is_not_kept(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out): out[0] = N"
    module = define(source, N=1)
    kept.on_compile = lambda: setattr(module, "N", 2)
    launch(module)
    kept.on_compile = lambda: None
    launch(define(source, N=1))
    assert len(kept.emitted) == 2


# ---------------------------------------------------------------- after a recall
def recalled(kept: Any, define: Define, source: str, *args: Any, **scope: Any) -> Any:
    """A module whose kernel `k` was recalled; what is compiled from now on is counted from 0."""
    launch(define(source, **scope), *args)
    kept.emitted.clear()
    module = define(source, **scope)
    launch(module, *args)
    assert kept.emitted == []
    return module


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("N = 1\n@kk.kernel\ndef k(out): out[0] = N", "module.N = 2"),
        ("N = True\n@kk.kernel\ndef k(out): out[0] = N", "module.N = False"),
        ("N = None\n@kk.kernel\ndef k(out): out[0] = 1 if N is None else 2", "module.N = 1"),
        ("T = np.arange(3.)\n@kk.kernel\ndef k(out): out[0] = kk.const.array_like(T)[1]", "module.T[1] = 5"),
        ("def g(): return 1\n@kk.kernel\ndef k(out): out[0] = g()", "def g(): return 1\nmodule.g = g"),
        ("N = 1\ndef g(): return N\n@kk.kernel\ndef k(out): out[0] = g()", "module.N = 2"),
        ("@kk.kernel\ndef k(out): out[0] = max(1, 2)", "def max(a, b): return a\nmodule.max = max"),
        ("from kernelkit import grid\n@kk.kernel\ndef k(out): out[0] = grid(1)",
         "def grid(n): return n\nmodule.grid = grid"),
    ],
)  # fmt: skip
def test_a_change_is_noticed_and_an_earlier_version_kept(
    kept: Any, define: Define, source: str, change: str
) -> None:
    module = recalled(kept, define, source)
    launch(module)
    assert kept.emitted == []
    define(change, "changes.py", module=module)
    for _ in range(2):
        launch(module)
        assert len(kept.emitted) == 1


def test_going_back_needs_no_compilation(kept: Any, define: Define) -> None:
    module = recalled(kept, define, "@kk.kernel\ndef k(out): out[0] = N", N=1)
    for value, compiled in ((2, 1), (1, 1), (2, 1), (3, 2), (1, 2)):
        module.N = value
        launch(module)
        assert len(kept.emitted) == compiled


def test_overlap_is_compiled_when_it_comes_and_recalled_after(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out, x): out[kk.grid(1)] = x[kk.grid(1)]"
    module = recalled(kept, define, source, np.zeros(4))
    for _ in range(2):
        out = np.zeros(8)
        module.k.on("fake")[1, 4](out[:4], out[2:6])
        assert [kernel.options.noalias for kernel in kept.emitted] == [False]
    again = define(source)
    again.k.on("fake")[1, 4](out[:4], out[2:6])
    launch(again, np.zeros(4))
    assert len(kept.emitted) == 1


def test_only_the_overlapping_one_was_compiled(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out, x): out[kk.grid(1)] = x[kk.grid(1)]"
    out = np.zeros(8)
    for _ in range(2):
        module = define(source)
        module.k.on("fake")[1, 4](out[:4], out[2:6])
    assert len(kept.emitted) == 1
    launch(module, np.zeros(4))
    assert [kernel.options.noalias for kernel in kept.emitted] == [False, True]


def test_inspection_after_a_recall(kept: Any, define: Define) -> None:
    source = "@kk.kernel\ndef k(out): out[kk.grid(1)] = 3"
    fresh = define(source).k.on("fake").inspect(np.zeros(4), block=4)
    module = recalled(kept, define, source)
    assert module.k.on("fake").inspect(np.zeros(4), block=4) == fresh
    assert len(kept.emitted) == 0


def test_nothing_keeps_the_callers_arrays(kept: Any, define: Define) -> None:
    class Array(np.ndarray):  # unlike its parent, it can be referred to weakly
        pass

    source = "@kk.kernel\ndef k(out, x, t): out[0] = x[0] + t[1][0]"
    arrays = [np.zeros(4).view(Array) for _ in range(3)]
    launch(define(source), arrays[0], (1, arrays[1]))
    module = define(source)
    module.k.on("fake")[1, 4](arrays[2], arrays[0], (1, arrays[1]))
    assert len(kept.emitted) == 1
    kept.launches.clear()
    alive = [weakref.ref(array) for array in arrays]
    del arrays
    gc.collect()
    assert [reference() for reference in alive] == [None] * 3


def test_refusals_are_the_same(kept: Any, define: Define) -> None:
    source = """
        @kk.kernel
        def k(out, x):
            t = kk.shared.array((6000,), np.float64)
            i = kk.grid(1)
            t[i] = x[i]
            out[i] = t[i]
    """
    locked = np.zeros(4)
    locked.setflags(write=False)

    def refusals(module: Any) -> list[str]:
        found = []
        for grid, args in (
            ((1, 4), (locked, np.zeros(4))),
            ((1, 4, None, 40_000), (np.zeros(4), locked)),
            ((1, 2048), (np.zeros(4), locked)),
            ((1, 4), (np.zeros(4), "no array")),
            ((1, 4), (np.zeros(4),)),
        ):
            with pytest.raises(kk.LaunchError) as caught:
                module.k.on("fake")[grid](*args)
            found.append(f"{type(caught.value).__name__}: {caught.value}")
        return found

    fresh = refusals(define(source))
    assert len(kept.emitted) == 0
    module = recalled(kept, define, source, locked)
    assert refusals(module) == refusals(define(source)) == fresh
    assert len(kept.emitted) == 0


def test_what_a_device_lacks_is_refused_again(fake_backend: Any, define: Define) -> None:
    backend = fake_backend("fake", capabilities=Capabilities(barriers=False))
    backend.cached = True
    source = "@kk.kernel\ndef k(out):\n    kk.syncthreads()\n    out[0] = 1"
    found = []
    for _ in range(2):
        with pytest.raises(kk.CapabilityError) as caught:
            launch(define(source))
        found.append(str(caught.value))
    assert found[0] == found[1] and backend.compiled == 0


def test_cells_of_one_name(kept: Any) -> None:
    name = "<ipython-input-3-0123456789ab>"
    for number, value in ((1, 1), (2, 2), (2, 1)):
        source = f"import kernelkit as kk\n@kk.kernel\ndef k(out):\n    out[0] = {value}\n"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        scope: dict[str, Any] = {}
        exec(compile(source, name, "exec"), scope)
        scope["k"].on("fake")[1, 1](np.zeros(1))
        assert len(kept.emitted) == number
    del linecache.cache[name]


def test_what_cannot_be_told_apart_is_parsed_each_time(kept: Any, define: Define) -> None:
    class Odd:
        def __getattr__(self, name: str) -> int:
            if name.startswith("__"):
                raise AttributeError(name)
            raise RuntimeError("not ready")

    source = "@kk.kernel\ndef k(out):\n    if N is None: out[0] = 1\n    else: out[0] = 2"
    for number in (1, 2):
        launch(define(source, N=Odd()))
        assert len(kept.emitted) == number


# ---------------------------------------------------------------- other processes
SCRIPT = """
import sys
import numpy as np
import kernelkit as kk
from kernelkit import blockDim, blockIdx, threadIdx
from settings import cfg, helper

T = np.float32

@kk.kernel
def k(src, out):
    i = blockIdx.x * blockDim.x + threadIdx.x
    t = kk.shared.array(8, T)
    t[threadIdx.x] = src[i]
    kk.syncthreads()
    out[i] = helper(t[7 - threadIdx.x]) + cfg.N

src, out = np.arange(16, dtype=np.float32), np.zeros(16, np.float32)
k.on("cpu")[2, 8](src, out)
loaded = [m for m in sys.modules if m.startswith(("kernelkit", "hashlib", "importlib.metadata"))]
import json
print(json.dumps({"out": out.tolist(), "loaded": loaded}))
"""
SETTINGS = """
import kernelkit as kk
class cfg:
    N = {}
@kk.device
def helper(x): return x * inner(x)
def inner(x): return x + {}
"""
#: What a launch that was compiled before does not need.
HEAVY = {
    "kernelkit.frontend.parser", "kernelkit.frontend.context", "kernelkit.ir.nodes",
    "kernelkit.analysis", "kernelkit.analysis.pipeline", "kernelkit.runtime.build",
    "kernelkit_cpu.emit", "kernelkit_cpu.frame", "importlib.metadata",
}  # fmt: skip


def test_another_process_launches_without_parsing(tmp_path: Path, folder: Path) -> None:
    script, settings = tmp_path / "script.py", tmp_path / "settings.py"
    script.write_text(SCRIPT)
    environment = os.environ | {
        "KERNELKIT_CACHE_DIR": str(folder),
        "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, *sys.path))),
    }

    def run(n: int, m: int) -> set[str]:
        settings.write_text(SETTINGS.format(n, m))
        done = subprocess.run(
            [sys.executable, "-B", str(script)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        x = np.arange(16.0).reshape(2, 8)[:, ::-1].ravel()
        np.testing.assert_array_equal(found["out"], x * (x + m) + n)
        return set(found["loaded"])

    assert run(1, 2) >= HEAVY - {"importlib.metadata"}
    assert not run(1, 2) & HEAVY
    assert run(1, 3) & HEAVY
    assert run(2, 3) & HEAVY
    assert not run(1, 3) & HEAVY
    assert not run(1, 2) & HEAVY
