"""The command `kernelkit`: demo, devices, inspect, cache.

In: a command line. Out: text or JSON on standard output, everything else on standard error.
Holds: a failure is one clear line and exit status 1, a wrong command line 2, Ctrl-C 130; nothing
is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from kernelkit.registry import DeviceRow

PICTURE = "kernelkit-demo.png"
#: import name -> what people call it, for each module of the extra `demo`.
DEMO_EXTRAS = {"scipy": "SciPy", "PIL": "Pillow", "matplotlib": "Matplotlib"}


class Failure(Exception):
    """What a command cannot do, in one line."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; its exit status."""
    try:
        status = _run(argv)
        sys.stdout.flush()
    except Failure as failure:
        print(f"kernelkit: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kernelkit: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _silence_output()
        return 141
    except OSError as error:
        print(f"kernelkit: {error}", file=sys.stderr)
        _silence_output()
        return 1
    return status


def _silence_output() -> None:
    """Standard output cannot be written: let what is still buffered go nowhere at exit."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse is done: --help, --version, a wrong command line
        return int(stop.code or 0)
    if options.command is None:
        parser.print_help()
        return 0
    status: int = options.command(options)
    return status


# ---------------------------------------------------------------- the command line
def _parser() -> _Parser:
    parser = _Parser(
        prog="kernelkit",
        description="GPU kernels written once, in CUDA-style Python, that run on any back end.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say the version and stop")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(commands)
    _add_devices(commands)
    _add_inspect(commands)
    _add_cache(commands)
    return parser


class _Version(argparse.Action):
    """Reads the version only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from kernelkit.version import __version__

        print(f"kernelkit {__version__}")
        parser.exit()


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="run kernels on a real image and check them against SciPy and PyWavelets",
        description="Sharpen, blur and transform an image, time that and SciPy and PyWavelets, check "
        "the results against theirs, and draw them. Exit status 1 if any disagrees.",
    )
    parser.add_argument(
        "image", nargs="?", type=Path, help="an image file (default: PyWavelets' photograph)"
    )
    parser.add_argument(
        "--backend", action="append", metavar="NAME",
        help="a back end to run on; may be repeated (default: every device of those made for speed)",
    )  # fmt: skip
    parser.add_argument(
        "--crop", type=_positive, metavar="N",
        help="work on at most N x N pixels (default: what the back end does in seconds)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="PNG",
        help=f"where the picture of the results goes (default: {PICTURE}; with --json, none)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(command=_demo)


def _add_devices(commands: Any) -> None:
    parser = commands.add_parser(
        "devices",
        help="list the devices that kernels can run on",
        description="List the devices that kernels can run on, and why other back ends have none.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(command=_devices)


def _add_inspect(commands: Any) -> None:
    parser = commands.add_parser(
        "inspect",
        help="show what a kernel becomes for given argument types",
        description="Show the typed IR of a kernel, or the source that a back end makes of it.",
        epilog="An ARGUMENT is a scalar type (int64), an array type with a ':' for each axis and "
        "a step where it is strided ('float32[:,:]', 'uint8[:,::2]'), or a value (3, 0.5, None, "
        "'(1, 2)'). Example: kernelkit inspect examples/hello.py:saxpy float32 'float32[:]' "
        "'float32[:]' --block 256",
    )
    parser.add_argument(
        "kernel", metavar="FILE.py:KERNEL", help="the kernel; package.module:KERNEL works as well"
    )
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="see below")
    parser.add_argument(
        "--block", type=_extents, default=(256,), metavar="X[,Y[,Z]]",
        help="threads of a block (default: 256)",
    )  # fmt: skip
    parser.add_argument(
        "--grid", type=_extents, default=(1,), metavar="X[,Y[,Z]]",
        help="blocks of the grid (default: 1)",
    )  # fmt: skip
    parser.add_argument("--backend", metavar="NAME", help="the back end (default: NumPy's)")
    views = parser.add_mutually_exclusive_group()
    views.add_argument(
        "--what",
        default="ir",
        metavar="VIEW",
        help="ir (default), source, or what the back end adds",
    )
    views.add_argument(
        "--resources", action="store_true",
        help="the registers, spills, stack and shared memory that the kernel takes of a GPU "
        "(--backend: cuda by default); no GPU is needed",
    )  # fmt: skip
    parser.add_argument(
        "--arch", metavar="NAME",
        help="compile for this architecture (--backend: cuda by default), such as sm_90, whatever "
        "is at hand",
    )  # fmt: skip
    parser.set_defaults(command=_inspect)


def _add_cache(commands: Any) -> None:
    parser = commands.add_parser(
        "cache",
        help="show or clear what back ends have compiled and keep on disk",
        description="Show where compiled kernels are kept and how much there is, or remove them.",
    )
    parser.add_argument(
        "action",
        nargs="?",
        default="size",
        choices=("path", "size", "clear"),
        help="path: where it is; size (default): what it holds; clear: remove that",
    )
    parser.set_defaults(command=_cache)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


def _extents(text: str) -> tuple[int, ...]:
    extents = tuple(_positive(part.strip()) for part in text.split(","))
    if len(extents) > 3:
        raise argparse.ArgumentTypeError(f"{text!r} has more than three extents")
    return extents


# ---------------------------------------------------------------- demo
def _demo(options: argparse.Namespace) -> int:
    output = options.output or (None if options.json else Path(PICTURE))
    needed = {"scipy"}
    needed |= {"PIL"} if options.image is not None else set()
    needed |= {"matplotlib"} if output is not None else set()
    _require(needed)
    if output is not None and not output.absolute().parent.is_dir():
        raise Failure(f"{output}: there is no directory {output.absolute().parent}")
    if output is not None and options.image is not None and _same_file(options.image, output):
        raise Failure(f"{output} is the image itself; name another file for the drawing: --output")

    from kernelkit.demo.images import ImageError, read_picture
    from kernelkit.demo.report import as_json, complaint, succeeded

    try:
        picture = read_picture(options.image)
    except ImageError as error:
        raise Failure(str(error)) from None
    outcomes = _run_demo(picture, _usable(options.backend), options.crop)
    drawn = _draw(picture, outcomes, options.crop, output)
    if options.json:
        print(json.dumps(as_json(picture, outcomes, drawn), indent=2))
    else:
        _show(picture, outcomes, drawn)
    for outcome in outcomes:
        if outcome.wrong:
            print(f"kernelkit: {complaint(outcome)}", file=sys.stderr)
    return 0 if succeeded(outcomes) else 1


def _same_file(image: Path, output: Path) -> bool:
    return output.exists() and image.exists() and output.samefile(image)


def _require(modules: Iterable[str]) -> None:
    """Fails if one of the demo's extras is not installed."""
    from importlib.util import find_spec

    missing = [DEMO_EXTRAS[name] for name in sorted(modules) if find_spec(name) is None]
    if missing:
        raise Failure(
            f"the demo needs {' and '.join(missing)}: pip install 'kernelkit[demo]' (in a clone: pip install -e '.[demo]')"
        )


def _place(row: DeviceRow) -> str:
    """A device's name, without its number for the first one of a back end."""
    return f"{row.backend}:{row.index}" if row.index else row.backend


def _usable(wanted: list[str] | None) -> list[str]:
    """Where to run: where one was asked to, or on every device that is fast."""
    import kernelkit as kk
    from kernelkit.demo.run import CROPS, default_backends

    if not wanted:
        rows = kk.devices()
        found = default_backends([_place(row) for row in rows if row.usable])
        if not found:
            raise Failure("no back end is usable here; `kernelkit devices` says why")
        if set(found) <= set(CROPS):
            for row in rows:
                if not row.usable:
                    print(f"kernelkit: {row.backend} is not usable: {row.why}", file=sys.stderr)
        return found
    for name in wanted:
        try:
            with kk.use(name):
                pass
        except kk.BackendError as error:
            raise Failure(str(error)) from None
    return list(dict.fromkeys(wanted))


def _run_demo(picture: Any, backends: list[str], side: int | None) -> list[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    from kernelkit.demo.cases import CASES
    from kernelkit.demo.run import run_all

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("starting", total=len(backends) * len(CASES))
        done = -1

        def step(backend: str, kernel: str) -> None:
            nonlocal done
            done += 1
            progress.update(task, description=f"{backend}: {kernel}", completed=done)

        return run_all(picture.pixels, backends, side, step)


def _draw(picture: Any, outcomes: list[Any], side: int | None, path: Path | None) -> Path | None:
    """Draws the results of the back end that did the most pixels."""
    whole = {o.backend: o.shape[0] * o.shape[1] for o in outcomes}
    for o in outcomes:
        if o.error:
            whole.pop(o.backend, None)
    if path is None or not whole:
        return None
    from kernelkit.demo.report import draw
    from kernelkit.demo.run import image_for

    best = max(whole, key=whole.__getitem__)
    shown = [o for o in outcomes if o.backend == best]
    try:
        draw(image_for(picture.pixels, best, side), shown, path)
    except OSError as error:
        raise Failure(f"{path}: the picture cannot be written: {error.strerror}") from None
    return path


def _show(picture: Any, outcomes: list[Any], drawn: Path | None) -> None:
    from itertools import groupby

    from rich.console import Console

    import kernelkit as kk
    from kernelkit.demo.report import heading, succeeded, table

    console = Console(highlight=False)
    height, width = picture.pixels.shape
    console.print(f"{picture.name}, {width} x {height} pixels", markup=False)
    for backend, group in groupby(outcomes, lambda outcome: outcome.backend):
        found = list(group)
        with kk.use(backend):
            device = kk.current_device().name
        console.print(heading(backend, device, found), markup=False)
        console.print(table(found))
    if succeeded(outcomes):
        console.print("Every result is its peer's, but for the rounding of float32.")
    if drawn is not None:
        print(f"The results are drawn in {drawn}")


# ---------------------------------------------------------------- devices
def _devices(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    import kernelkit as kk

    rows = kk.devices()
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table("back end", "device", "name", header_style="bold")
    for row in rows:
        if row.usable:
            made.add_row(row.backend, f"{row.backend}:{row.index}", Text(row.name))
        else:
            made.add_row(row.backend, "-", Text(f"not usable: {row.why}", "dim"))
    Console(highlight=False).print(made)
    return 0


# ---------------------------------------------------------------- inspect
def _inspect(options: argparse.Namespace) -> int:
    import kernelkit as kk
    from kernelkit import inspection

    try:
        kernel = inspection.find_kernel(options.kernel)
        arguments = [inspection.sample_argument(text) for text in options.arguments]
        backend = options.backend
        if options.resources or options.arch is not None:
            backend = inspection.compiling_place(backend, options.arch or "")
        text = kernel.inspect(
            *arguments,
            grid=options.grid,
            block=options.block,
            backend=backend,
            what="resources" if options.resources else options.what,
        )
    except (inspection.InspectionError, kk.KernelError) as error:
        raise Failure(str(error)) from None
    print(text.rstrip("\n"))
    return 0


# ---------------------------------------------------------------- cache
def _cache(options: argparse.Namespace) -> int:
    from kernelkit.runtime import disk_cache

    cache = disk_cache.current()
    if not cache.folder:
        names = f"{disk_cache.SWITCH_VARIABLE} or {disk_cache.FOLDER_VARIABLE}"
        raise Failure(f"there is no disk cache: {names} turns it off, or there is no home folder")
    if options.action == "path":
        print(cache.folder)
        return 0
    try:
        found = cache.clear() if options.action == "clear" else cache.usage()
    except OSError as error:
        raise Failure(str(error)) from None
    what = f"{found.entries} {'entry' if found.entries == 1 else 'entries'}, {_amount(found.bytes)}"
    print(f"removed {what}" if options.action == "clear" else f"{cache.folder}: {what}")
    return 0


def _amount(count: float) -> str:
    """A number of bytes for a person."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"
