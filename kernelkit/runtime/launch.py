"""A kernel with its grid and block: call it, and it runs.

In: the arguments of a call. Out: nothing; the kernel has been launched.
Holds: a launch that is refused has written nothing; a Configured may be kept, shared between
threads and called again and again: what depends on the place is looked up once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol

from kernelkit import registry
from kernelkit.errors import ConfigurationError
from kernelkit.registry import Place
from kernelkit.runtime import selection
from kernelkit.runtime.arguments import quick_key, read
from kernelkit.runtime.configuration import Dim3, check_device
from kernelkit.runtime.refusals import type_name
from kernelkit.runtime.variants import is_small_grid

if TYPE_CHECKING:
    from kernelkit.backend import LaunchConfig
    from kernelkit.runtime.parameters import Parameters
    from kernelkit.runtime.specialise import Specialiser, Table
    from kernelkit.runtime.warm import Warm

P = ParamSpec("P")


class Launchable(Protocol):
    """What a launch needs of its kernel."""

    __name__: str
    specialiser: Specialiser
    #: The back end or device that the kernel is bound to.
    backend: str | None

    @property
    def parameters(self) -> Parameters: ...


class Configured(Generic[P]):
    """A kernel with grid, block, stream and dynamic shared memory; reusable, the fast way to launch.

    A grid with a zero comes from a forall over nothing: arguments are checked, nothing runs.
    """

    __slots__ = (
        "_admitted", "_default", "_empty", "_environment", "_fixed", "_kernel", "_parameters", "_warm",
        "block", "grid", "shared_bytes", "stream",
    )  # fmt: skip

    def __init__(
        self, kernel: Launchable, grid: Dim3, block: Dim3, stream: Any = None, shared_bytes: int = 0
    ) -> None:
        self.grid, self.block, self.stream, self.shared_bytes = grid, block, stream, shared_bytes
        self._kernel = kernel
        self._parameters = kernel.parameters
        self._empty = 0 in grid
        self._environment = os.environ.get(selection.VARIABLE)
        #: What kernel.on chose, and what the environment did, once they were looked up.
        self._fixed: Place | None = None
        self._default: Place | None = None
        #: The last place that a launch went to, and what belongs to it.
        self._admitted: tuple[Place, Table, LaunchConfig, Any] | None = None
        #: The last launch, if it was one of native arrays of a device.
        self._warm: Warm | None = kernel.specialiser.last(self._like()) if stream is None else None

    def _like(self) -> tuple[Dim3, Dim3, int]:
        """What launches have in common that are the same but for their arguments."""
        return self.grid, self.block, self.shared_bytes

    def __repr__(self) -> str:
        return f"<{str(self._kernel)[1:-1]} with grid {self.grid} and block {self.block}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Configured, (self._kernel, self.grid, self.block, self.stream, self.shared_bytes)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Launch the kernel."""
        parameters = self._parameters
        values: Sequence[Any] = args
        if kwargs or len(args) != parameters.plain:
            values = parameters.bind(args, kwargs)
        if parameters.static or self._empty:
            return self._launch(values)
        warm = self._warm
        if warm is not None:
            launched = warm.executable(values)
            if launched is not None and warm.asked is self._place():
                return launched.launch(warm.config, values, warm.stream)
        key = quick_key(values)
        place = self._place() or registry.host_place()
        if key is None or not place.host:
            return self._launch(values)
        _, table, config, stream = self.admit(place)
        found = table.get(key)
        if found is None or config.shared_bytes > found.limit or not found.unchanged():
            return self._launch(values)
        executable = found.find(values)
        if executable is None:
            return self._launch(values)
        executable.launch(config, values, stream)

    def _launch(self, values: Sequence[Any]) -> None:
        """Launch with any arguments, checked one by one."""
        reading = read(self._parameters, values)
        asked = self._place()
        place = selection.place_for(reading, asked)
        if reading.foreign:
            reading.settle(place.memory)
        if self._empty:
            return
        _, table, config, stream = self.admit(place)
        small_grid = is_small_grid(self.grid, self.block)
        found = table.get(reading.key)
        executable = None
        if found is not None and found.unchanged():
            found.check(reading, config.shared_bytes)
            executable = found.found(found.variant(reading.leaves, small_grid))
        if found is None or executable is None:
            found, executable = self._kernel.specialiser.specialise(
                place, self.block, reading, config.shared_bytes, small_grid
            )
        self._warm = None
        if place.host:
            return executable.launch(config, reading.natives(), stream)
        # Imported by those who need it.
        if reading.has_host_arrays():
            from kernelkit.runtime import staging

            in_place = not self._kernel.specialiser.settings.debug
            return staging.launch(
                executable, place, config, reading, found.written, stream, in_place
            )
        if reading.foreign:
            from kernelkit.runtime.warm import warm

            self._warm = warm(
                asked, place, found, reading.leaves, values, small_grid, config, stream
            )
            if self.stream is None and self._warm is not None:
                self._kernel.specialiser.keep_last(self._like(), self._warm)
        executable.launch(config, reading.natives(), stream)

    def _place(self) -> Place | None:
        """Where the caller wants to go: kernel.on, use, the environment, in this order."""
        if self._fixed is not None:
            return self._fixed
        bound = self._kernel.backend
        if bound is not None:
            self._fixed = registry.place(bound)
            return self._fixed
        place = selection.used()
        if place is None and self._environment:
            if self._default is None:
                self._default = selection.from_environment(self._environment)
            return self._default
        return place

    def admit(self, place: Place) -> tuple[Place, Table, LaunchConfig, Any]:
        """What belongs to a place, checked against what it can do."""
        last = self._admitted
        if last is not None and last[0] is place:
            return last
        from kernelkit.backend import LaunchConfig

        config = LaunchConfig(self.grid, self.block, self.shared_bytes)
        name = self._kernel.__name__
        check_device(name, config, place.device.target.capabilities, place.device.name)
        find = _host_stream if place.host else _device_stream
        stream = find(name, place, self.stream)
        table = self._kernel.specialiser.table(place, self.block)
        registry.mark_in_use(place)
        self._admitted = (place, table, config, stream)
        return self._admitted


def _host_stream(kernel: str, place: Place, stream: Any) -> Any:
    """Launches on the host are done when they return; only its own streams make sense there."""
    if stream is None or (type(stream) is int and stream == 0):
        return None
    if isinstance(stream, type(place.memory.stream())):
        return stream
    raise ConfigurationError(
        f"{kernel} goes to {place}, which works on the host, and {stream!r} is no stream of it; "
        f'leave it out, or pass kernelkit.Stream("{place}")'
    )


def _device_stream(kernel: str, place: Place, stream: Any) -> Any:
    """A native stream of the device, whichever library's the caller has."""
    find = getattr(place.memory, "stream_of", None)
    if find is None or stream is None:
        return stream
    try:
        return find(stream)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{kernel} goes to {place}, and {stream!r} ({type_name(stream)}) is no stream of it: "
            f'{error}; leave it out, or pass kernelkit.Stream("{place}")'
        ) from error
