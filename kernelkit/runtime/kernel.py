"""The object that `@kk.kernel` makes of a function.

In: brackets, shapes, names of back ends. Out: Configured launches, and the kernel's inner forms.
Holds: it keeps the function's name, text, signature and module, and pickles by reference; it is
compiled for what it is launched with, at the first such launch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec

from kernelkit import registry
from kernelkit.errors import ArgumentError
from kernelkit.runtime import selection
from kernelkit.runtime.arguments import read
from kernelkit.runtime.configuration import cover, read_brackets, read_shape
from kernelkit.runtime.launch import Configured
from kernelkit.runtime.parameters import Parameters, read_signature
from kernelkit.runtime.settings import Settings
from kernelkit.runtime.specialise import Specialiser
from kernelkit.runtime.variants import is_small_grid

if TYPE_CHECKING:
    from kernelkit.analysis.pipeline import Analysis
    from kernelkit.backend import Target
    from kernelkit.runtime.build import Analysed

P = ParamSpec("P")


class Kernel(Generic[P]):
    """A kernel: `kernel[grid, block](...)` launches it. Made by `@kernelkit.kernel`."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, Any]

    def __init__(
        self,
        fn: Callable[P, Any],
        settings: Settings,
        backend: str | None = None,
        origin: Kernel[P] | None = None,
    ) -> None:
        wrapper: Any = self  # not callable, to a type checker
        functools.update_wrapper(wrapper, fn)
        self.__signature__ = read_signature(fn)
        self.settings = settings
        #: What `on` chose.
        self.backend = backend
        self._origin = origin
        self.specialiser: Specialiser = (
            Specialiser(fn, settings) if origin is None else origin.specialiser
        )

    @cached_property
    def parameters(self) -> Parameters:
        """What the caller may pass; read late, for annotations may name what comes further down."""
        return Parameters(self.__wrapped__)

    def __repr__(self) -> str:
        where = "" if self.backend is None else f" on {self.backend}"
        return f"<kernel {self.__module__}.{self.__qualname__}{where}>"

    def __reduce__(self) -> Any:
        if self._origin is not None:
            return Kernel.on, (self._origin, self.backend)
        return self.__qualname__

    if not TYPE_CHECKING:  # so that a type checker refuses the call as well

        def __call__(self, *args: object, **kwargs: object) -> NoReturn:
            """Refused: a kernel needs a grid and a block."""
            name = self.__name__
            raise ArgumentError(
                f"{name} is a kernel and is launched on a grid: write {name}[grid, block](...) or "
                f"{name}.forall(shape)(...); inside a kernel, call a function without @kernel"
            )

    def __getitem__(self, brackets: Any) -> Configured[P]:
        """`kernel[grid, block]`, and if wanted `[grid, block, stream, dynamic_shared_bytes]`."""
        return Configured(self, *read_brackets(self.__name__, brackets))

    def forall(self, shape: int | tuple[int, ...]) -> Configured[P]:
        """At least one thread for each element of a shape of 1 to 3 axes, x along the last one.

        The block is chosen, so threads beyond the shape's end exist: guard them with `if`. A shape
        without elements launches nothing.
        """
        return Configured(self, *cover(read_shape(self.__name__, shape)))

    def on(self, name: str) -> Kernel[P]:
        """This kernel, launched on the back end "cuda", or the device "cuda:1", whatever
        `kk.use` and KERNELKIT_BACKEND say."""
        registry.check_name(name)
        return Kernel(self.__wrapped__, self.settings, name, self._origin or self)

    def inspect(
        self,
        *args: Any,
        grid: Any = 1,
        block: Any = 256,
        backend: str | registry.Place | None = None,
        what: str = "ir",
    ) -> str:
        """What the kernel becomes for a launch with these arguments: "ir", its typed form,
        "source", the text that the back end compiles, or what the back end shows besides (`cpu`:
        "llvm" after LLVM's passes, "asm", and "report", how each source line reads memory and
        uses the lanes). Nothing is launched."""
        configured = self[grid, block]
        name = backend or self.backend
        asked = selection.chosen() if name is None else selection.resolve(name)
        reading = read(self.parameters, self.parameters.bind(args, {}))
        place = selection.place_for(reading, asked)
        configured.admit(place)
        forms = _FORMS | {
            name: _shown_by(form) for name, form in getattr(place.backend, "forms", {}).items()
        }
        if what not in forms:
            known = ", ".join(map(repr, forms))
            raise ArgumentError(f"{self.__name__}.inspect shows {known} on {place}; not {what!r}")
        found = self.specialiser.analyse(place, configured.block, reading)
        reading.settle(place.memory)
        variant = found.variant(reading.leaves, is_small_grid(configured.grid, configured.block))
        return forms[what](found.analysed(variant))


def _show_ir(analysed: Analysed) -> str:
    from kernelkit.ir.printer import format_kernel

    return format_kernel(analysed.kernel)


def _show_source(analysed: Analysed) -> str:
    return analysed.artifact().text


def _shown_by(form: Callable[[Analysis, Target], str]) -> Callable[[Analysed], str]:
    return lambda analysed: form(analysed.analysis, analysed.place.device.target)


_FORMS: dict[str, Callable[[Analysed], str]] = {"ir": _show_ir, "source": _show_source}
