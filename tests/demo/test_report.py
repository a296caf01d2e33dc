"""The demo's table, JSON and picture say what was found."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kernelkit.demo import report
from kernelkit.demo.images import Picture
from kernelkit.demo.run import Outcome

NAN = float("nan")
GOOD = Outcome(
    "python", "blur", "SciPy", (8, 12), first_seconds=1.5, seconds=0.5, peer_seconds=1e-3,
    difference=1e-7, tolerance=1e-6, result=np.full((8, 12), 0.5),
)  # fmt: skip
BAD = Outcome(
    "fast", "wavelet", "PyWavelets", (8, 12), first_seconds=0.12, seconds=2e-4, peer_seconds=0.02,
    difference=NAN, tolerance=1e-6, is_transform=True, result=np.full((8, 12), 2.0),
)  # fmt: skip
FAILED = Outcome("odd", "blur", "SciPy", (8, 12), NAN, NAN, NAN, NAN, 1e-6, error="no gears")
LACKING = dataclasses.replace(FAILED, lacking=True)


def shown(outcomes, width=80):
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(report.table(outcomes))
    return text.getvalue()


def test_table_fits_eighty_columns():
    longest = dataclasses.replace(
        GOOD, kernel="5x5 sharpening", first_seconds=0.123, seconds=1.23e-4, peer="PyWavelets",
        peer_seconds=1.23e-4 / 123_456,
    )  # fmt: skip
    text = shown([GOOD, BAD, FAILED, LACKING, longest])
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "blur 1.5 s 500 ms SciPy 1 ms 1/500x 1.0e-07" in rows
    assert "wavelet 120 ms 200 us PyWavelets 20 ms 100x nan" in rows
    assert "blur - - SciPy - - failed" in rows
    assert "blur - - SciPy - - lacking" in rows
    assert "5x5 sharpening 123 ms 123 us PyWavelets 0.996 ns 1/120,000x 1.0e-07" in rows


def test_heading():
    assert report.heading("fast", "a card", [BAD]) == "on fast (a card), 12 x 8 pixels:"


def test_complaints():
    assert report.complaint(BAD) == (
        "wavelet on fast differs from PyWavelets by nan, more than the 1.00e-06 that rounding "
        "explains"
    )
    assert report.complaint(FAILED) == "blur on odd failed: no gears"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([GOOD], True), ([GOOD, LACKING], True), ([LACKING], False), ([], False),
        ([GOOD, BAD], False), ([GOOD, FAILED], False),
    ],
)  # fmt: skip
def test_success(outcomes, expected):
    assert report.succeeded(outcomes) is expected


def test_json_is_strict():
    picture = Picture("camera", np.zeros((8, 12), np.float32))
    made = report.as_json(picture, [GOOD, BAD, FAILED], None)
    read = json.loads(json.dumps(made, allow_nan=False))
    assert [r["agrees"] for r in read["results"]] == [True, False, False]
    assert [r["error"] for r in read["results"]] == [None, None, "no gears"]
    assert read["results"][1]["difference"] is None
    assert read["results"][1]["speedup"] == pytest.approx(100)
    assert read["results"][2]["speedup"] is None
    assert read["agrees"] is False


@pytest.mark.parametrize("shape", [(8, 12), (1, 1), (200, 2), (3, 300)])
def test_picture(tmp_path, shape):
    path = tmp_path / "picture.png"
    result = np.random.default_rng(1).random(shape)
    outcomes = [
        dataclasses.replace(GOOD, kernel=name, shape=shape, result=result) for name in "abc"
    ]
    report.draw(result, outcomes, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > 1500
        values = np.asarray(image.convert("L"))
    assert values.std() > 0


def test_transform_is_drawn_as_relief():
    bands = np.block([[np.full((4, 6), 1.5), np.zeros((4, 6))], [np.zeros((4, 12))]])
    made = report._shown(dataclasses.replace(BAD, result=bands))
    assert (made[:4, :6] == 0.75).all()
    assert (made[4:] == 0.5).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4e-6, "4 us"), (5e-9, "5 ns"), (float("nan"), "-")],
)
def test_seconds(value, text):
    assert report.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (26.4, "26x"), (1234, "1,200x"), (3.26, "3.3x"), (1, "1x"), (0.667, "0.67x"),
        (1 / 12_345, "1/12,000x"), (float("nan"), "-"), (0.0, "-"), (float("inf"), "-"),
    ],
)  # fmt: skip
def test_times(value, text):
    assert report.times(value) == text
