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

GOOD = Outcome("python", "blur", "SciPy", (8, 12), 0.5, 1e-7, 1e-6, result=np.full((8, 12), 0.5))
BAD = Outcome("fast", "wavelet", "PyWavelets", (8, 12), 2e-4, float("nan"), 1e-6,
              is_transform=True, result=np.full((8, 12), 2.0))  # fmt: skip
FAILED = Outcome(
    "odd", "blur", "SciPy", (8, 12), float("nan"), float("nan"), 1e-6, error="no gears"
)

LACKING = dataclasses.replace(FAILED, lacking=True)


def shown(outcomes, width=80):
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(report.table(outcomes))
    return text.getvalue()


def test_table_fits_eighty_columns():
    text = shown([GOOD, BAD, FAILED, LACKING])
    rows = [line.split() for line in text.splitlines()]
    assert ["python", "blur", "12x8", "500", "ms", "192", "1.0e-07", "SciPy"] in rows
    assert ["fast", "wavelet", "12x8", "200", "us", "480", "k", "nan", "PyWavelets"] in rows
    assert ["odd", "blur", "12x8", "-", "-", "failed", "SciPy"] in rows
    assert ["odd", "blur", "12x8", "-", "-", "lacking", "SciPy"] in rows


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
    assert read["agrees"] is False


@pytest.mark.parametrize("shape", [(8, 12), (1, 1), (200, 2), (3, 300)])
def test_picture(tmp_path, shape):
    path = tmp_path / "picture.png"
    result = np.random.default_rng(1).random(shape)
    outcomes = [Outcome("python", name, "SciPy", shape, 1, 0, 1, result=result) for name in "abc"]
    report.draw(result, outcomes, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > 1500
        values = np.asarray(image.convert("L"))
    assert values.std() > 0


def test_transform_is_drawn_as_relief():
    bands = np.block([[np.full((4, 6), 1.5), np.zeros((4, 6))], [np.zeros((4, 12))]])
    made = report._shown(Outcome("a", "b", "c", (8, 12), 1, 0, 1, is_transform=True, result=bands))
    assert (made[:4, :6] == 0.75).all()
    assert (made[4:] == 0.5).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4e-6, "4 us"), (5e-9, "5 ns"), (float("nan"), "-")],
)
def test_seconds(value, text):
    assert report.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12"), (4.1e4, "41 k"), (2e6, "2 M"), (3.5e9, "3.5 G")]
)
def test_quantity(value, text):
    assert report.quantity(value) == text
