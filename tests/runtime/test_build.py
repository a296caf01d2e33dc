"""The way through the rooms: what each is given, and that the door for back ends is used as it is."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import registry
from kernelkit.errors import CompileError
from kernelkit.frontend.arguments import ScalarArg
from kernelkit.ir.types import FLOAT32, FLOAT64, ArrayType
from kernelkit.runtime.build import build
from kernelkit.runtime.settings import Settings


def saxpy(a, x, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a * x[i] + out[i]


TYPES = {
    "a": ScalarArg(FLOAT64, weak=True),
    "x": ArrayType(FLOAT32, 1),
    "out": ArrayType(FLOAT32, 1),
}


def test_from_source_to_executable(fake: Any) -> None:
    place = registry.place("fake")
    found = build(saxpy, TYPES, Settings(reproducible=True, wraparound=False), place, (64, 2, 1))
    options = found.kernel.options
    assert (options.reproducible, options.debug, options.wraparound, options.noalias) == (
        True, False, False, True,
    )  # fmt: skip
    assert found.analysis.shape.block == (64, 2, 1)
    assert found.analysis.memory.written == {"out"}
    assert fake.emitted == []
    assert found.artifact().text == "text of saxpy"
    assert found.executable() is fake
    assert fake.emitted == [found.kernel] * 2


def test_the_version_for_overlapping_arrays(fake: Any) -> None:
    found = build(saxpy, TYPES, Settings(), registry.place("fake"), (1, 1, 1))
    aliased = found.promised(noalias=False, small=False)
    assert not aliased.kernel.options.noalias
    assert aliased.analysis.kernel is aliased.kernel
    assert aliased.kernel.body is found.kernel.body


def test_floats_are_rounded_for_back_ends_that_round(fake: Any) -> None:
    place = registry.place("fake")
    plain = build(saxpy, TYPES, Settings(), place, (1, 1, 1))
    assert plain.kernel.params[0].type == FLOAT64
    fake.rounds = True
    found = build(saxpy, TYPES, Settings(), place, (1, 1, 1))
    assert found.kernel.params[0].type == FLOAT32
    assert found.analysis.kernel is found.kernel
    assert found.analysis.requirements.dtypes.isdisjoint({"float64"})
    wide = found.promised(noalias=False, small=False)
    assert wide.kernel.params[0].type == FLOAT32


def test_errors_of_the_language_come_out_as_they_are(fake: Any) -> None:
    def wrong(x):
        x[0] = undefined_name  # noqa: F821

    with pytest.raises(CompileError, match="undefined_name"):
        build(wrong, {"x": TYPES["x"]}, Settings(), registry.place("fake"), (1, 1, 1))
    assert fake.emitted == []


def test_what_the_kernel_takes_from_outside_is_captured(fake: Any) -> None:
    scale = 2

    def scaled(out):
        out[0] = scale

    found = build(scaled, {"out": TYPES["x"]}, Settings(), registry.place("fake"), (1, 1, 1))
    assert all(c.unchanged() for c in found.captures)
    scale = 3
    assert not all(c.unchanged() for c in found.captures)
    scale = 2
    assert all(c.unchanged() for c in found.captures)
    assert np.float32(scale) == 2


def test_what_nests_too_deeply_is_an_error_of_the_language(fake: Any) -> None:
    terms = " + ".join(["x[0]"] * 600)
    source = f"def deep(x):\n    x[0] = {terms}\n"
    linecache.cache["<deep>"] = (len(source), None, source.splitlines(True), "<deep>")
    scope: dict[str, Any] = {}
    exec(compile(source, "<deep>", "exec"), scope)
    with pytest.raises(CompileError, match="nests too deeply; give parts of it names"):
        build(scope["deep"], {"x": TYPES["x"]}, Settings(), registry.place("fake"), (1, 1, 1))
