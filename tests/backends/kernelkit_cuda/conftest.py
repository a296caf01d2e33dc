"""What lies beside the tests: a CuPy without a GPU, and many kernels compiled at once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    full = f"kernelkit_cuda_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def programs() -> Any:
    """programs.compiled(recorded kernels, architecture)."""
    return _beside("programs")


@pytest.fixture
def cupy() -> Any:
    """A CuPy with one device, whose memory is the host's and whose kernels are Python functions."""
    return _beside("fake_cupy").FakeCupy()
