"""Pictures of every kind come in as grey pixels between 0 and 1, and odd files with a reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from kernelkit.demo.images import ImageError, crop, read_picture

RAMP = np.linspace(0, 255, 12, dtype=np.uint8).reshape(3, 4)


def saved(tmp_path, image, name="picture.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def test_default_is_a_photograph():
    picture = read_picture(None)
    assert picture.pixels.shape == (512, 512)
    assert picture.pixels.dtype == np.float32
    assert 0 <= picture.pixels.min() < 0.1 and 0.9 < picture.pixels.max() <= 1


def test_grey(tmp_path):
    picture = read_picture(saved(tmp_path, Image.fromarray(RAMP)))
    assert picture.name == "picture.png"
    np.testing.assert_allclose(picture.pixels, RAMP / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "a.png"), ("P", "a.png"), ("RGB", "a.png"), ("RGBA", "a.png"), ("LA", "a.png"),
        ("CMYK", "a.tif"), ("YCbCr", "a.tif"), ("LAB", "a.tif"), ("I", "a.tif"), ("F", "a.tif"),
        ("RGB", "a.jpg"), ("RGB", "a.webp"), ("P", "a.gif"),
    ],
)  # fmt: skip
def test_modes(tmp_path, mode, name):
    source = Image.new("RGB", (5, 3), "white")
    image = Image.new("LAB", (5, 3), (255, 128, 128)) if mode == "LAB" else source.convert(mode)
    pixels = read_picture(saved(tmp_path, image, name)).pixels
    assert pixels.shape == (3, 5)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    # 32-bit and float pixels of 255 have no white of their own; they only must stay in range.
    expected = 255 / 65535 if mode == "I" else 0.5 if mode == "F" else 1
    np.testing.assert_allclose(pixels, expected, atol=0.01)


def test_sixteen_bits(tmp_path):
    deep = np.array([[0, 1, 32768, 65535]], np.uint16)
    pixels = read_picture(saved(tmp_path, Image.fromarray(deep))).pixels
    np.testing.assert_allclose(pixels, deep / 65535, rtol=1e-6)


def test_float_pixels_beyond_one_are_stretched(tmp_path):
    values = np.array([[-3.0, 0.0, 5.0], [np.nan, np.inf, 1.0]], np.float32)
    pixels = read_picture(saved(tmp_path, Image.fromarray(values), "a.tif")).pixels
    np.testing.assert_allclose(pixels, [[0, 3 / 8, 1], [0, 0, 0.5]], rtol=1e-6)


def test_float_pixels_without_a_finite_value(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.full((2, 2), np.nan, np.float32)), "a.tif")
    with pytest.raises(ImageError, match="no pixel has a finite value"):
        read_picture(path)


def test_transparent_pixels_are_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    assert read_picture(saved(tmp_path, image)).pixels.tolist() == [[1, 0]]


def test_transparent_palette(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 10, 10, 10])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path, image, "a.gif", transparency=0)
    np.testing.assert_allclose(read_picture(path).pixels, [[1, 10 / 255]], rtol=1e-5)


def test_camera_orientation_is_followed(tmp_path):
    image = Image.fromarray(RAMP)
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    pixels = read_picture(saved(tmp_path, image, exif=exif)).pixels
    np.testing.assert_allclose(pixels, np.rot90(RAMP, -1) / 255, rtol=1e-6)


def test_missing_file(tmp_path):
    with pytest.raises(ImageError, match="there is no such file"):
        read_picture(tmp_path / "none.png")


def test_directory(tmp_path):
    with pytest.raises(ImageError, match="directory"):
        read_picture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_files_that_are_no_images(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="not an image|cannot be read"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "tiff", "bmp"])
def test_truncated_files(tmp_path, kind):
    whole = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(whole, kind)
    path = tmp_path / f"half.{kind}"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(ImageError, match=r"half\.\w+: (this is not|the image cannot)"):
        read_picture(path)


def test_images_that_are_bombs(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("L", (100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="exceeds limit"):
        read_picture(path)


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [((9, 6), 4, (4, 4)), ((9, 6), 8, (8, 6)), ((3, 3), 4, (3, 3)), ((9, 6), None, (9, 6))],
)
def test_crop(shape, side, expected):
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    part = crop(pixels, side)
    assert part.shape == expected
    assert part.flags.c_contiguous
    assert set(part.ravel()) <= set(pixels.ravel())


def test_crop_is_in_the_middle_and_above():
    pixels = np.arange(100).reshape(10, 10)
    assert crop(pixels, 4)[0, 0] == 10 * 2 + 3
