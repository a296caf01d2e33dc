"""The disk cache: what back ends compiled, kept for the next process.

In: an artifact and a back end whose `cached` is true. Out: its binary, from the disk or made anew.
Holds: nothing from the disk is used before its checksum is found right; an entry appears under its
name whole or not at all; only a folder that no other user can write to is used; whatever is wrong
with folder or disk is said once, and kernels are then compiled as if there were no cache.
"""

from __future__ import annotations

import functools
import os
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from kernelkit.version import __version__

if TYPE_CHECKING:
    from kernelkit.backend import Artifact, Backend, Binary, Target

#: Where the cache is; "" turns it off.
FOLDER_VARIABLE = "KERNELKIT_CACHE_DIR"
#: "0" turns the cache off.
SWITCH_VARIABLE = "KERNELKIT_CACHE"
#: The entries together; when they are more, the oldest go until there is room again.
LIMIT_BYTES = 512 << 20
_ROOM = 0.8

_FORMAT = b"kernelkit cache 1\n"
_CHECKSUM_BYTES = 32
_ENTRY, _UNFINISHED, _SWEPT = ".kernel", ".unfinished", "swept"
#: A file that nobody finished for so long never will be.
_ABANDONED_SECONDS = 600
_SWEEP_SECONDS = 3600
#: Entries that are used count as new again, with this precision.
_FRESH_SECONDS = 24 * 3600


class CacheWarning(RuntimeWarning):
    """The disk cache cannot be used; kernels run all the same."""


class Usage(NamedTuple):
    """What a cache holds."""

    entries: int
    bytes: int


class _Refused(Exception):
    """Why a folder is not used."""


# ---------------------------------------------------------------- which cache
def compiled(backend: Backend, artifact: Artifact, target: Target) -> Binary:
    """What `backend.compile` makes of an artifact, from the disk if it is there.

    A back end that has an attribute `cache` is given a function there: `cache(key_text, make)` is
    DiskCache.remember, for other code that it compiles.
    """
    if not getattr(backend, "cached", False):
        return backend.compile(artifact, target)
    attach(backend)
    described = _json(artifact.metadata)
    if described is None:
        return backend.compile(artifact, target)
    fields = (maker(backend), target.name, target.features, described, artifact.text)
    return current().binary(fields, lambda: backend.compile(artifact, target))


def attach(backend: Backend) -> None:
    """Gives a back end that wants it the cache, for other code that it compiles."""
    if hasattr(backend, "cache"):
        cache, prefix = current(), maker(backend)
        cast(Any, backend).cache = lambda text, make: cache.remember(f"{prefix}\0{text}", make)


def maker(backend: Backend) -> str:
    """What besides artifact and target decides what a back end compiles; its compiler above all."""
    asked = getattr(backend, "cache_key", None)
    return f"{backend.name}\0{backend.protocol}\0{'' if asked is None else asked()}"


def current() -> DiskCache:
    """The cache that the environment asks for."""
    return _cache(_folder())


@functools.lru_cache(maxsize=16)
def _cache(folder: str) -> DiskCache:
    return DiskCache(folder)


def _folder() -> str:
    """Where the cache belongs; "" for none."""
    if os.environ.get(SWITCH_VARIABLE) == "0" or os.name != "posix":
        return ""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen is None:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # as its specification has it
            base = os.path.expanduser("~/.cache")
        chosen = os.path.join(base, "kernelkit") if os.path.isabs(base) else ""
    return os.path.abspath(os.path.expanduser(chosen)) if chosen else ""


# ---------------------------------------------------------------- the cache
class DiskCache:
    """The entries in one folder. Any number of threads and processes may use it at once."""

    def __init__(self, folder: str) -> None:
        #: Where it is; "" for a cache that keeps nothing.
        self.folder = folder
        self._written = 0

    def binary(self, fields: tuple[str, ...], make: Callable[[], Binary]) -> Binary:
        """The binary that `make` gives, which `fields` determine, its metadata as JSON gives it
        back."""
        from kernelkit.backend import Binary

        if not self.folder:
            return make()
        key = _key("binary", *fields)
        found = self._read(key)
        if found is None:
            made = make()
            metadata = _json(made.metadata)
            if metadata is None:
                return made
            found = metadata, made.data
            self._write(key, *found)
        return Binary(found[1], _from_json(found[0]))

    def remember(self, key_text: str, make: Callable[[], bytes]) -> bytes:
        """The bytes that `make` gives, which `key_text` determines, made once for all processes."""
        if not self.folder:
            return make()
        key = _key("bytes", key_text)
        found = self._read(key)
        if found is None:
            found = "", make()
            self._write(key, *found)
        return found[1]

    def find(self, *fields: str) -> tuple[str, bytes] | None:
        """(metadata, data) of what was kept under these fields."""
        return self._read(_key("kept", *fields)) if self.folder else None

    def keep(self, fields: tuple[str, ...], metadata: str, data: bytes) -> None:
        """Keeps something under fields that determine it."""
        if self.folder:
            self._write(_key("kept", *fields), metadata, data)

    def usage(self) -> Usage:
        """How many entries there are and how much they take on the disk; an OSError or, for a
        folder that is not used, a PermissionError says why that cannot be known."""
        with self._complaining(), self._opened() as folder:
            sizes = [seen.st_size for name, seen in _files(folder) if name.endswith(_ENTRY)]
            return Usage(len(sizes), sum(sizes))
        return Usage(0, 0)

    def clear(self) -> Usage:
        """Removes every entry, and says what was removed; raises as `usage` does."""
        removed = Usage(0, 0)
        with self._complaining(), self._opened() as folder:
            for name, seen in _files(folder):
                _remove(folder, name)
                if name.endswith(_ENTRY):
                    removed = Usage(removed.entries + 1, removed.bytes + seen.st_size)
        return removed

    # ------------------------------------------------------------ the disk
    def _read(self, key: str) -> tuple[str, bytes] | None:
        """(metadata, data) of an entry; None where there is none that is whole and ours."""
        with self._saying_once(), self._opened() as folder:
            return _unpacked(key, _content(folder, key + _ENTRY))
        return None

    def _write(self, key: str, metadata: str, data: bytes) -> None:
        entry = _packed(key, metadata, data)
        with self._saying_once(), self._opened(make=True) as folder:
            _place(folder, key + _ENTRY, entry)
            self._written += len(entry)
            if self._written > LIMIT_BYTES // 16 or _since(folder, _SWEPT) > _SWEEP_SECONDS:
                self._written = 0
                _sweep(folder)

    @contextmanager
    def _opened(self, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder, once it is found safe."""
        if make:
            try:
                os.makedirs(self.folder, 0o700, exist_ok=True)
            except FileNotFoundError:
                raise _Refused("cannot be made") from None
        link = os.lstat(self.folder)
        if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, os.geteuid()):
            raise _Refused("is a link that another user made")
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            seen = os.fstat(folder)
            if seen.st_uid != os.geteuid():
                raise _Refused("belongs to another user")
            if seen.st_mode & 0o022:
                raise _Refused("can be written to by other users (chmod go-w would mend that)")
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _saying_once(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass  # nothing there yet, or cleared away meanwhile
        except OSError as error:
            self._say(f"cannot be used: {error.strerror or error}")
        except _Refused as refused:
            self._say(f"is not used: it {refused}")

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass
        except _Refused as refused:
            raise PermissionError(f"the cache {self.folder} is not used: it {refused}") from None

    def _say(self, what: str) -> None:
        with _said_lock:
            if self.folder in _said:
                return
            _said.add(self.folder)
        message = (
            f"kernels are compiled anew by each process: the cache {self.folder} {what}; set "
            f"{FOLDER_VARIABLE} to a folder of your own, or to nothing to go without a cache"
        )
        warnings.warn(message, CacheWarning, stacklevel=2)


_said: set[str] = set()
_said_lock = threading.Lock()


# ---------------------------------------------------------------- entries
def _key(*fields: str) -> str:
    """The name of what some texts determine, with this version of kernelkit."""
    sum_of_all = digest(_FORMAT)
    for field in (__version__, *fields):
        encoded = field.encode("utf-8", "surrogatepass")
        sum_of_all.update(len(encoded).to_bytes(8, "little") + encoded)
    return sum_of_all.hexdigest()


def _json(metadata: object) -> str | None:
    """Metadata as text; None where it is more than JSON can say."""
    import json

    try:
        return json.dumps(metadata, sort_keys=True)
    except (TypeError, ValueError):
        return None


def _from_json(text: str) -> Any:
    import json

    return json.loads(text)


def _packed(key: str, metadata: str, data: bytes) -> bytes:
    described = metadata.encode()
    body = len(described).to_bytes(4, "little") + described + data
    return _FORMAT + _checksum(key, body) + body


def _unpacked(key: str, entry: bytes) -> tuple[str, bytes] | None:
    start = len(_FORMAT) + _CHECKSUM_BYTES
    body = entry[start:]
    if entry[:start] != _FORMAT + _checksum(key, body):
        return None
    end = 4 + int.from_bytes(body[:4], "little")
    return body[4:end].decode(), body[end:]


def _checksum(key: str, body: bytes) -> bytes:
    """Over the key as well: an entry under another's name is no entry."""
    return digest(key.encode() + body).digest()


def digest(data: bytes) -> Any:
    """BLAKE2b of 32 bytes, as hashlib would have it."""
    try:
        # What hashlib has, without the milliseconds that it takes to load OpenSSL.
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    return blake2b(data, digest_size=_CHECKSUM_BYTES)


# ---------------------------------------------------------------- files of a folder
def _content(folder: int, name: str) -> bytes:
    """What is in a file of ours; b"" where that cannot be had."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return b""
    try:
        seen = os.fstat(file)
        ours = stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid()
        if not ours or seen.st_mode & 0o022 or seen.st_size > LIMIT_BYTES:
            return b""
        if time.time() - seen.st_mtime > _FRESH_SECONDS:
            with suppress(OSError):
                os.utime(file)
        with open(file, "rb", buffering=0, closefd=False) as opened:
            return opened.read()
    except OSError:
        return b""
    finally:
        os.close(file)


def _place(folder: int, name: str, content: bytes) -> None:
    """Gives a file this content, at one stroke."""
    unfinished = f"{os.getpid()}-{os.urandom(8).hex()}{_UNFINISHED}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    file = os.open(unfinished, flags, 0o600, dir_fd=folder)
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise


def _files(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    """The cache's own files, finished or not; others in the folder are no business of ours."""
    with os.scandir(folder) as found:
        names = [each.name for each in found if each.name.endswith((_ENTRY, _UNFINISHED))]
    for name in names:
        with suppress(FileNotFoundError):  # another process clears up, too
            yield name, os.stat(name, dir_fd=folder, follow_symlinks=False)


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _since(folder: int, name: str) -> float:
    """Seconds since a file was written."""
    try:
        return time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")


def _sweep(folder: int) -> None:
    """Removes what dead writers left and, where there is too much, the entries longest unused."""
    _place(folder, _SWEPT, b"")
    now = time.time()
    entries = []
    for name, seen in _files(folder):
        if name.endswith(_ENTRY):
            entries.append((seen.st_mtime, seen.st_size, name))
        elif now - seen.st_mtime > _ABANDONED_SECONDS:
            _remove(folder, name)
    total = sum(size for _, size, _ in entries)
    if total <= LIMIT_BYTES:
        return
    for _, size, name in sorted(entries):
        _remove(folder, name)
        total -= size
        if total <= LIMIT_BYTES * _ROOM:
            return
