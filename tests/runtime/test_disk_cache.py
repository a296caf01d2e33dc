"""The disk cache: what it keeps, what it refuses, and that nothing which happens to it harms a launch."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import Artifact, Binary, Target
from kernelkit.runtime import disk_cache
from kernelkit.runtime.disk_cache import CacheWarning, DiskCache, compiled, current


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache is while a test runs; nobody has made it yet."""
    chosen = tmp_path / "some" / "cache"
    monkeypatch.setenv(disk_cache.FOLDER_VARIABLE, str(chosen))
    monkeypatch.delenv(disk_cache.SWITCH_VARIABLE, raising=False)
    return chosen


@pytest.fixture
def cache(folder: Path) -> DiskCache:
    return current()


def never() -> bytes:
    raise AssertionError("made anew, although it is in the cache")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.kernel"))


def noise(count: int) -> bytes:
    return np.random.default_rng().bytes(count)


class Maker:
    """A back end that compiles to noise, and counts how often."""

    name, protocol, cached = "maker", 1, True
    cache: Callable[[str, Callable[[], bytes]], bytes] | None = None

    def __init__(self, key: str = "compiler 1", metadata: Any = None) -> None:
        self.key = key
        self.metadata = {"entry": "kernel"} if metadata is None else metadata
        self.compiled = 0

    def cache_key(self) -> str:
        return self.key

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        self.compiled += 1
        return Binary(noise(500), self.metadata)


ARTIFACT = Artifact("define void @kernel()", {"block": [64, 4, 1], "sites": ["a.py:3"]})
TARGET = Target("znver5", features="+avx2,+fma")


# ---------------------------------------------------------------- what it keeps
def test_a_binary_is_compiled_once(folder: Path) -> None:
    maker = Maker()
    first = compiled(maker, ARTIFACT, TARGET)
    second = compiled(maker, ARTIFACT, TARGET)
    third = compiled(Maker(), ARTIFACT, TARGET)
    assert maker.compiled == 1
    assert first == second == third and len(first.data) == 500
    assert len(entries(folder)) == 1


def test_metadata_comes_back_as_json_has_it_also_at_first(folder: Path) -> None:
    maker = Maker(metadata={"b": (1, 2.5, None, "ü"), "a": {"nested": [True]}})
    for _ in range(2):
        assert compiled(maker, ARTIFACT, TARGET).metadata == {
            "a": {"nested": [True]},
            "b": [1, 2.5, None, "ü"],
        }
    assert maker.compiled == 1


@pytest.mark.parametrize(
    "other",
    [
        (Maker(), Artifact("define void @other()", ARTIFACT.metadata), TARGET),
        (Maker(), Artifact(ARTIFACT.text, {"block": [64, 4, 2]}), TARGET),
        (Maker(), ARTIFACT, Target("znver4", features=TARGET.features)),
        (Maker(), ARTIFACT, Target(TARGET.name, features="+avx2")),
        (Maker(), ARTIFACT, Target("znver5+avx2,+fma")),
        (Maker("compiler 2"), ARTIFACT, TARGET),
    ],
)
def test_whatever_decides_the_code_is_part_of_the_key(folder: Path, other: Any) -> None:
    compiled(Maker(), ARTIFACT, TARGET)
    maker, artifact, target = other
    maker.compiled = 0
    compiled(maker, artifact, target)
    assert maker.compiled == 1 and len(entries(folder)) == 2


def test_so_are_the_back_end_and_the_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    compiled(maker, ARTIFACT, TARGET)
    maker.name = "another"
    compiled(maker, ARTIFACT, TARGET)
    maker.protocol = 2
    compiled(maker, ARTIFACT, TARGET)
    monkeypatch.setattr(disk_cache, "__version__", "9999.0")
    compiled(maker, ARTIFACT, TARGET)
    assert maker.compiled == len(entries(folder)) == 4


def test_back_ends_that_do_not_ask_for_it_go_without(folder: Path) -> None:
    maker = Maker()
    maker.cached = False
    compiled(maker, ARTIFACT, TARGET)
    compiled(maker, ARTIFACT, TARGET)
    assert maker.compiled == 2 and not folder.exists() and maker.cache is None


def test_what_json_cannot_say_is_not_kept(folder: Path) -> None:
    odd = {"function": print}
    maker = Maker()
    for _ in range(2):
        compiled(maker, Artifact("text", odd), TARGET)
    assert maker.compiled == 2
    maker = Maker(metadata=odd)
    for _ in range(2):
        assert compiled(maker, ARTIFACT, TARGET).metadata == odd
    assert maker.compiled == 2 and not entries(folder)


def test_bytes_are_remembered_by_the_text_that_names_them(cache: DiskCache) -> None:
    data = noise(100_000)
    assert cache.remember("pool\x00\udc80", lambda: data) == data
    assert cache.remember("pool\x00\udc80", never) == data
    assert cache.remember("another", lambda: b"") == b""
    assert cache.remember("another", never) == b""


def test_a_back_end_is_given_a_memory_of_its_own(folder: Path) -> None:
    one, same, other = Maker(), Maker(), Maker("compiler 2")
    for maker in (one, same, other):
        compiled(maker, ARTIFACT, TARGET)
    assert one.cache is not None and same.cache is not None and other.cache is not None
    data = noise(50)
    assert one.cache("thread pool", lambda: data) == data
    assert same.cache("thread pool", never) == data
    assert other.cache("thread pool", lambda: b"other") == b"other"


def test_errors_of_the_maker_come_through_and_keep_nothing(cache: DiskCache, folder: Path) -> None:
    for error in (OSError("no compiler"), FileNotFoundError("no compiler"), ValueError("wrong")):

        def fail(error: Exception = error) -> bytes:
            raise error

        with pytest.raises(type(error), match=str(error)):
            cache.remember("failing", fail)
    assert not entries(folder)


def test_launches_of_a_new_process_find_the_binary(
    fake: Any, folder: Path, fake_backend: Callable[..., Any]
) -> None:
    def scale(x):
        x[kk.grid(1)] *= 2

    fake.cached = True
    kk.kernel(scale).on("fake")[1, 8](np.zeros(8))
    again = fake_backend("fake")
    again.cached = True
    kk.kernel(scale).on("fake")[1, 8](np.zeros(8))
    assert (fake.compiled, fake.loaded) == (1, 1)
    assert (again.compiled, again.loaded) == (0, 1)
    for entry in entries(folder):
        entry.write_bytes(entry.read_bytes()[:-1])
    third = fake_backend("fake")
    third.cached = True
    kk.kernel(scale).on("fake")[1, 8](np.zeros(8))
    assert (third.compiled, third.loaded) == (1, 1)


# ---------------------------------------------------------------- where it is
def test_the_folder_is_private(cache: DiskCache, folder: Path) -> None:
    before = os.umask(0)
    try:
        cache.remember("key", lambda: b"data")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in entries(folder)] == [0o600]


def test_the_folder_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (disk_cache.FOLDER_VARIABLE, disk_cache.SWITCH_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert current().folder == "/home/someone/.cache/kernelkit"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert current().folder == "/home/someone/.cache/kernelkit"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert current().folder == "/var/xdg/kernelkit"
    monkeypatch.setenv(disk_cache.FOLDER_VARIABLE, "~/mine")
    assert current().folder == "/home/someone/mine"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(disk_cache.FOLDER_VARIABLE, "here")
    assert current().folder == str(tmp_path / "here")


@pytest.mark.parametrize(
    ("name", "value"), [(disk_cache.FOLDER_VARIABLE, ""), (disk_cache.SWITCH_VARIABLE, "0")]
)
def test_it_can_be_turned_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    maker = Maker()
    for _ in range(2):
        compiled(maker, ARTIFACT, TARGET)
    assert maker.compiled == 2 and current().folder == ""
    assert maker.cache is not None and maker.cache("key", lambda: b"made") == b"made"
    assert not folder.parent.exists()


def test_a_folder_that_goes_away_comes_back(cache: DiskCache, folder: Path) -> None:
    cache.remember("key", lambda: b"data")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert cache.remember("key", lambda: b"again") == b"again"
    assert cache.remember("key", never) == b"again"


# ---------------------------------------------------------------- what it refuses
@pytest.fixture
def refused(cache: DiskCache, folder: Path) -> Iterator[Callable[[str], None]]:
    """refused(why): checks that the cache is not used, that this is said once, and that all works."""
    files: list[Path] = []

    def check(why: str) -> None:
        files.extend(folder.iterdir() if folder.is_dir() else ())
        with pytest.warns(CacheWarning, match=why) as said:
            assert cache.remember("refused", lambda: b"first") == b"first"
        assert len(said) == 1
        assert f"the cache {folder} " in str(said[0].message)
        assert "set KERNELKIT_CACHE_DIR to a folder of your own" in str(said[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert cache.remember("refused", lambda: b"second") == b"second"
        if folder.is_dir():
            assert sorted(folder.iterdir()) == sorted(files)

    yield check
    disk_cache._said.discard(str(folder))


def test_a_folder_of_another_user(
    cache: DiskCache,
    folder: Path,
    refused: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache.remember("refused", lambda: b"planted")
    someone = os.geteuid() + 1
    if os.geteuid() == 0:
        os.chown(folder, someone, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: someone)
    refused("is not used: it belongs to another user")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to(
    cache: DiskCache, folder: Path, refused: Callable[[str], None], mode: int
) -> None:
    cache.remember("refused", lambda: b"planted")
    folder.chmod(mode)
    refused(r"is not used: it can be written to by other users \(chmod go-w would mend that\)")


def test_a_link_of_ours_is_followed_and_its_end_is_checked(
    cache: DiskCache, folder: Path, tmp_path: Path, refused: Callable[[str], None]
) -> None:
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir(mode=0o700)
    folder.parent.mkdir()
    folder.symlink_to(elsewhere)
    cache.remember("key", lambda: b"data")
    assert cache.remember("key", never) == b"data" and len(entries(elsewhere)) == 1
    elsewhere.chmod(0o777)
    refused("is not used: it can be written to by other users")


def test_a_link_of_another_user(
    cache: DiskCache, folder: Path, tmp_path: Path, refused: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir(mode=0o700)
    folder.parent.mkdir()
    folder.symlink_to(elsewhere)
    someone = os.geteuid() + 1
    if os.geteuid() == 0:
        os.lchown(folder, someone, -1)
    else:
        real = os.lstat
        lifted = os.stat_result((*real(folder)[:4], someone, *real(folder)[5:]))
        monkeypatch.setattr(os, "lstat", lambda path: lifted if path == str(folder) else real(path))
    refused("is not used: it is a link that another user made")
    assert not list(elsewhere.iterdir())


def test_a_file_in_the_place_of_the_folder(folder: Path, refused: Callable[[str], None]) -> None:
    folder.parent.mkdir()
    folder.write_text("something else")
    refused("cannot be used: (File exists|Not a directory)")
    assert folder.read_text() == "something else"


def entry_of(cache: DiskCache, folder: Path) -> Path:
    cache.remember("key", lambda: b"data" * 1000)
    [entry] = entries(folder)
    return entry


def mended(cache: DiskCache, entry: Path) -> bool:
    """Whether a wrong entry is made anew, quietly and for good."""
    data = noise(300)
    assert cache.remember("key", lambda: data) == data
    return cache.remember("key", never) == data and entry.is_file() and not entry.is_symlink()


def test_cut_entries_are_made_anew(cache: DiskCache, folder: Path) -> None:
    entry = entry_of(cache, folder)
    whole = entry.read_bytes()
    assert len(whole) > 4000
    for length in (0, 1, 17, 18, 40, 50, 53, 54, 1000, len(whole) - 1):
        entry.write_bytes(whole[:length])
        assert mended(cache, entry)
    entry.write_bytes(whole + b"\0")
    assert mended(cache, entry)


def test_corrupt_entries_are_made_anew(cache: DiskCache, folder: Path) -> None:
    entry = entry_of(cache, folder)
    rng = np.random.default_rng()
    for _ in range(60):
        damaged = bytearray(entry.read_bytes())
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        entry.write_bytes(damaged)
        assert mended(cache, entry)


def test_an_entry_under_the_name_of_another_is_made_anew(cache: DiskCache, folder: Path) -> None:
    entry = entry_of(cache, folder)
    cache.remember("another", lambda: b"not what was asked for")
    [another] = set(entries(folder)) - {entry}
    entry.write_bytes(another.read_bytes())
    assert mended(cache, entry)


def test_files_that_others_could_have_written_are_made_anew(
    cache: DiskCache, folder: Path, tmp_path: Path
) -> None:
    entry = entry_of(cache, folder)
    entry.chmod(0o666)
    assert mended(cache, entry) and entry.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        os.chown(entry, 12345, -1)
        assert mended(cache, entry) and entry.stat().st_uid == 0
    whole = tmp_path / "whole"
    entry.rename(whole)
    entry.symlink_to(whole)
    assert mended(cache, entry) and whole.exists()
    entry.unlink()
    os.mkfifo(entry)
    assert mended(cache, entry)


def test_a_folder_in_the_place_of_an_entry(
    cache: DiskCache, folder: Path, refused: Callable[[str], None]
) -> None:
    entry = entry_of(cache, folder)
    entry.unlink()
    (entry / "inner").mkdir(parents=True)
    with pytest.warns(CacheWarning, match="cannot be used: Is a directory"):
        assert cache.remember("key", lambda: b"made") == b"made"
    assert (entry / "inner").is_dir()


# ---------------------------------------------------------------- disks
def test_a_full_disk(
    folder: Path, refused: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.write, []

    def write(file: int, data: Any) -> int:
        calls.append(len(data))
        if len(calls) % 2:
            return real(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "write", write)
    refused("cannot be used: No space left on device")
    assert len(calls) == 4 and not list(folder.iterdir())


IN_A_CHILD = """
import os, warnings
from kernelkit.runtime.disk_cache import CacheWarning, current
cache = current()
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for n in range(3):
        assert cache.remember(f"key {n}", lambda: b"x" * 100_000) == b"x" * 100_000
assert [w.category for w in said] == [CacheWarning], said
print(said[0].message)
"""


def in_a_child(before: str, folder: Path) -> str:
    """What a cache says that is used in another process, after some preparation there."""
    done = subprocess.run(
        # Without -B, Python itself would leave half a file of its bytecode.
        [sys.executable, "-B", "-c", before + IN_A_CHILD],
        capture_output=True, text=True, timeout=60,
        env=os.environ | {disk_cache.FOLDER_VARIABLE: str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_more_room_for_files(folder: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
    assert "cannot be used: File too large" in in_a_child(limit, folder)
    assert folder.is_dir() and not list(folder.iterdir())


def test_no_more_files(folder: Path) -> None:
    limit = (
        "import resource, kernelkit.runtime.disk_cache, warnings, hashlib, json\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
    )
    assert "cannot be used: Too many open files" in in_a_child(limit, folder)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Root may write anywhere, so the child is somebody else then."""
    folder = tmp_path / "cache"
    folder.mkdir()
    lower = ""
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        for parent in folder.parents:
            if parent.stat().st_mode & 0o011 == 0:
                parent.chmod(0o711)
        lower = "import kernelkit.runtime.disk_cache, hashlib, json, os; os.setuid(65534)\n"
    folder.chmod(0o500)
    assert "cannot be used: Permission denied" in in_a_child(lower, folder)


def test_a_home_that_cannot_be_made() -> None:
    assert "is not used: it cannot be made" in in_a_child("", Path("/proc/no/such/home"))


# ---------------------------------------------------------------- crowds and crashes
#: Each child reads and writes the same entries, and checks all that it gets.
CROWD = """
import json, os, sys
from hashlib import sha256
from kernelkit.runtime import disk_cache

disk_cache.LIMIT_BYTES = int(sys.argv[2])
disk_cache._SWEEP_SECONDS = 0
cache = disk_cache.current()

def content(n):
    return sha256(str(n).encode()).digest() * (500 + 300 * n)

def work(me):
    os.read(gate, 1)
    for step in range(8):
        n = (me + step) % 10
        if cache.remember(f"key {n}", lambda: content(n)) != content(n):
            os._exit(1)
        if step == 4 and me % 50 == 0:
            cache.clear()
    os._exit(0)

gate, opener = os.pipe()
children = []
for me in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.close(opener)
        try:
            work(me)
        finally:
            os._exit(2)
    children.append(child)
os.close(opener)
ended = [os.waitpid(child, 0)[1] for child in children]
assert not any(ended), ended
"""


@pytest.mark.parametrize("limit", [disk_cache.LIMIT_BYTES, 200_000])
def test_two_hundred_processes_at_once(folder: Path, limit: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CROWD, "200", str(limit)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = {file.suffix for file in folder.iterdir()}
    assert left <= {".kernel", ""}
    assert current().usage().bytes <= limit + 100_000


CUT_DOWN = """
import os, signal
from kernelkit.runtime.disk_cache import current
real = os.write
def write(file, data):
    real(file, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = write
current().remember("key", lambda: b"new" * 1000)
"""


def test_a_process_killed_in_mid_write(cache: DiskCache, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CUT_DOWN], timeout=60)
    assert done.returncode == -9
    [left] = folder.iterdir()
    assert left.suffix == ".unfinished" and left.stat().st_size > 1000
    assert cache.remember("key", lambda: b"whole") == b"whole"
    assert cache.remember("key", never) == b"whole"
    assert left.exists(), "its writer might still be at work"
    os.utime(left, (0, 0))
    os.utime(folder / "swept", (0, 0))
    cache.remember("next", lambda: b"next")
    assert not left.exists()
    assert len(entries(folder)) == 2


KILLED = """
import json, os, random, signal, time
from hashlib import sha256
from kernelkit.runtime.disk_cache import current
cache = current()

def write():
    numbers = random.Random(os.getpid())
    while True:
        n = numbers.randrange(7)
        content = sha256(str(n).encode()).digest() * 20_000
        if cache.remember(f"key {n}", lambda: content) != content:
            os._exit(1)
        if n == 0:
            cache.clear()

for _ in range(50):
    child = os.fork()
    if child == 0:
        try:
            write()
        finally:
            os._exit(2)
    time.sleep(random.uniform(0.001, 0.02))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_processes_killed_at_any_moment(cache: DiskCache, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for n in range(7):
        content = sha256(str(n).encode()).digest() * 20_000
        assert cache.remember(f"key {n}", lambda content=content: content) == content
        assert cache.remember(f"key {n}", never) == content


# ---------------------------------------------------------------- how much it keeps
def test_the_entries_longest_unused_go_first(
    cache: DiskCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "LIMIT_BYTES", 10_000)
    (folder.parent).mkdir()
    folder.mkdir(mode=0o700)
    (folder / "notes.txt").write_text("mine" * 10_000)
    now = time.time()
    for n in range(9):
        before = set(entries(folder))
        cache.remember(f"key {n}", lambda: bytes(1000))
        [new] = set(entries(folder)) - before
        os.utime(new, (now - 1e6 + n, now - 1e6 + n))
    assert cache.remember("key 0", never) == bytes(1000)  # which makes it new again
    cache.remember("big", lambda: bytes(3000))
    kept = []
    for n in range(9):
        made = []
        cache.remember(f"key {n}", lambda made=made: made.append(1) or b"")
        kept.append(not made)
    assert kept[0] and kept[-1] and not kept[1] and not kept[2]
    assert kept[1:] == sorted(kept[1:])
    assert (folder / "notes.txt").exists()


def test_usage_and_clear(cache: DiskCache, folder: Path) -> None:
    assert cache.usage() == (0, 0) and cache.clear() == (0, 0)
    for n in range(3):
        cache.remember(f"key {n}", lambda: noise(1000))
    (folder / "notes.txt").write_text("mine")
    (folder / "1-2.unfinished").write_text("half")
    usage = cache.usage()
    assert usage.entries == 3 and 3000 < usage.bytes < 3500
    assert cache.clear() == usage and cache.usage() == (0, 0)
    assert {file.name for file in folder.iterdir()} == {"notes.txt", "swept"}
    folder.chmod(0o777)
    for ask in (cache.usage, cache.clear):
        with pytest.raises(PermissionError, match="is not used: it can be written to by other"):
            ask()
