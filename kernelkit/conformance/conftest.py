"""The fixtures of the conformance suite: `run` launches on the device under test, `rng` draws."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import Capabilities, Device
from kernelkit.conformance.launching import Runner


@pytest.fixture(autouse=True)
def _on_backend(backend_name: str, backend_device: Device) -> Iterator[None]:
    """Every test here launches on the back end under test, or is skipped for what it lacks."""
    with kk.use(backend_name):
        yield


@pytest.fixture
def run() -> Runner:
    return Runner()


@pytest.fixture
def capabilities(backend_device: Device) -> Capabilities:
    return backend_device.target.capabilities


@pytest.fixture(scope="session")
def session_seed(pytestconfig: pytest.Config) -> int:
    given: int | None = pytestconfig.getoption("kernelkit_seed")
    return secrets.randbits(32) if given is None else given


@pytest.fixture
def rng(session_seed: int, request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers, other ones for each test; pytest shows the seed of a test that fails."""
    print(f"random inputs of --kernelkit-seed={session_seed}")
    return np.random.default_rng([session_seed, zlib.crc32(request.node.name.encode())])
