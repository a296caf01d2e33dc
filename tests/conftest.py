"""Tests keep what they compile to themselves: a disk cache of their own, which goes when they end."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "KERNELKIT_CACHE_DIR" not in os.environ:  # worker processes inherit it
    os.environ["KERNELKIT_CACHE_DIR"] = tempfile.mkdtemp(prefix="kernelkit-tests-")
    atexit.register(shutil.rmtree, os.environ["KERNELKIT_CACHE_DIR"], ignore_errors=True)
