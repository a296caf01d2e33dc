"""Intel's CPU runtime from PyPI, which pip leaves unregistered.

In: nothing. Out: a block in which the loader of OpenCL finds that runtime besides all others.
Holds: without it nothing is changed, and neither is anything that the user has set; the
environment and the disk are afterwards as they were.

`pip install intel-opencl-rt intel-cmplr-lib-rt` puts a file into etc/OpenCL/vendors of the
environment that names a library in a folder of whoever built the package. conda corrects such
names, pip does not. The library itself is in lib of the environment and finds all it needs there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SYSTEM: Final = Path("/etc/OpenCL/vendors")
#: What loaders of OpenCL read; ocl-icd, which is in pyopencl's wheels, has both.
_VARIABLES: Final = ("OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH", "OCL_ICD_FILENAMES")


def unregistered(prefix: Path) -> list[Path]:
    """The libraries in an environment whose registration names a file that is not there."""
    found = []
    for registration in sorted((prefix / "etc/OpenCL/vendors").glob("*.icd")):
        try:
            named = Path(registration.read_text().strip())
        except (OSError, UnicodeDecodeError):
            continue
        library = prefix / "lib" / named.name
        if named.is_absolute() and not named.exists() and library.exists():
            found.append(library)
    return found


@contextmanager
def registered(prefix: Path | None = None) -> Iterator[None]:
    """Inside, the loader finds those libraries if it looks for the first time in this process."""
    libraries = unregistered(prefix or Path(sys.prefix))
    if sys.platform != "linux" or not libraries or any(map(os.environ.get, _VARIABLES)):
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="kernelkit-opencl-"))
    try:
        for number, library in enumerate(libraries):
            (folder / f"kernelkit-{number}.icd").write_text(f"{library}\n")
        if SYSTEM.is_dir():
            for other in SYSTEM.glob("*.icd"):
                (folder / other.name).symlink_to(other)
        os.environ["OCL_ICD_VENDORS"] = str(folder)
        yield
    finally:
        os.environ.pop("OCL_ICD_VENDORS", None)
        shutil.rmtree(folder, ignore_errors=True)
