"""Where the demo's pixels come from: PyWavelets' photograph, or a file of the user's.

In: a path or None. Out: a float32 image between 0 (black) and 1 (white), with a name.
Holds: whatever a decoder makes of an odd file, the caller sees an image or an ImageError.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]


class ImageError(Exception):
    """A file that gives no picture; the text says why."""


@dataclass(frozen=True)
class Picture:
    """Greyscale pixels and what a person calls them."""

    name: str
    pixels: Pixels


def read_picture(path: Path | None) -> Picture:
    """The picture in a file, or the photograph that PyWavelets ships."""
    if path is None:
        import pywt

        return Picture("camera (PyWavelets)", _scaled(pywt.data.camera(), 255))
    return Picture(path.name, _read_file(path))


def crop(pixels: Pixels, side: int | None) -> Pixels:
    """At most side x side pixels: from the middle across and, as photographs have their subject
    there, a third of the way down."""
    if side is None:
        return pixels
    height, width = pixels.shape
    top, left = max(height - side, 0) // 3, max(width - side, 0) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _read_file(path: Path) -> Pixels:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            return _to_grey(upright)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: this is a directory; name an image file") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: this is not an image that Pillow can read") from None
    except MemoryError:
        raise ImageError(f"{path}: the image does not fit into memory") from None
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error, ...
        reason = str(error) or type(error).__name__
        raise ImageError(f"{path}: the image cannot be read: {reason}") from error


def _to_grey(image: Any) -> Pixels:
    """A Pillow image of any mode as grey pixels between 0 and 1; what is transparent is white."""
    if image.mode.startswith("I;16"):
        return _scaled(np.asarray(image), 65535)
    if image.mode in ("I", "F"):
        return _stretched(np.asarray(image))
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        from PIL import Image

        opaque = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    if image.mode == "LAB":
        return _scaled(np.asarray(image.getchannel("L")), 255)
    if image.mode == "HSV":
        image = image.convert("RGB")
    return _scaled(np.asarray(image.convert("L")), 255)


def _scaled(values: Pixels, white: float) -> Pixels:
    return np.ascontiguousarray(values, np.float32) / np.float32(white)


def _stretched(values: Pixels) -> Pixels:
    """Pixels whose white is unknown: 16 bits of integers, [0, 1] of floats, else what is there."""
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError("no pixel has a finite value")
    low, high = float(values[finite].min()), float(values[finite].max())
    exact = np.where(finite, values, low).astype(np.float64)
    white = 65535 if values.dtype.kind == "i" else 1
    if 0 <= low and high <= white:
        return _scaled(exact, white)
    if low == high:
        return np.full(values.shape, 0.5, np.float32)
    return ((exact - low) / (high - low)).astype(np.float32)
