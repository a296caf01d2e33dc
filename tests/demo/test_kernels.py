"""The demo's kernels equal their peers on images of every awkward size, and are checked honestly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.demo import run
from kernelkit.demo.cases import CASES

SHAPES = [(1, 1), (1, 7), (5, 1), (2, 3), (16, 16), (17, 33), (40, 31)]
LARGE = [(512, 512), (301, 1027), (1, 5000), (4099, 3)]


@pytest.mark.parametrize(
    ("backend", "shape"),
    [*(("python", shape) for shape in SHAPES), *(("cpu", shape) for shape in SHAPES + LARGE)],
    ids=str,
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernels_equal_their_peers(case, backend, shape):
    image = np.random.default_rng(5).random(shape, np.float32)
    launch = case.prepare(image, backend)
    launch.run()
    result, expected = launch.result(), case.expected(image)
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=case.bound)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bounds_are_tight_enough_to_find_a_wrong_pixel(case):
    """One pixel in 256 steps of grey, seen through the least of the weights, is beyond rounding."""
    assert case.bound < 1 / 256 / 100


@pytest.mark.parametrize("backend", ["cpu", "python"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(case, backend):
    image = np.random.default_rng(5).random((20, 30), np.float32)
    outcome = run.run_case(case, image, backend)
    assert outcome.agrees
    assert 0 < outcome.difference < outcome.tolerance
    assert outcome.pixels_per_second == 20 * 30 / outcome.seconds
    assert outcome.speedup == outcome.peer_seconds / outcome.seconds > 0
    assert outcome.first_seconds > 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e-3])
def test_a_wrong_result_disagrees(wrong):
    case = CASES[0]

    def spoiled(image):
        found = case.call(image)
        found[3, 4] += wrong
        return found

    image = np.random.default_rng(5).random((8, 8), np.float32)
    outcome = run.run_case(dataclasses.replace(case, call=spoiled), image, "python")
    assert not outcome.agrees


@pytest.mark.parametrize("error", [kk.CapabilityError, kk.InternalError])
def test_a_back_end_that_cannot_is_an_outcome(error):
    def failing(image, backend):
        raise error("no gears here")

    outcome = run.run_case(
        dataclasses.replace(CASES[0], prepare=failing), np.ones((4, 4), np.float32), "python"
    )
    assert outcome.error == "no gears here"
    assert not outcome.agrees
    assert outcome.lacking == (error is kk.CapabilityError)
    assert outcome.wrong == (error is kk.InternalError)


def test_crops_suit_the_back_end():
    pixels = np.zeros((600, 700), np.float32)
    assert run.image_for(pixels, "python", None).shape == (128, 128)
    assert run.image_for(pixels, "fast", None).shape == (600, 700)
    assert run.image_for(pixels, "fast", 50).shape == (50, 50)


def test_back_ends_that_are_made_for_speed_come_first():
    assert run.default_backends(["cpu", "python", "odd"]) == ["cpu", "odd"]
    assert run.default_backends(["python"]) == ["python"]
    assert run.default_backends([]) == []
