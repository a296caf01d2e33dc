"""What the demo runs: three kernels with their launches, and the peers' word on each result.

In: a float32 image and the name of a back end. Out: the result, and what it must equal, with the
bound that float32 rounding allows; the peers' own calls, to be timed on the same image.
Holds: what a result is held against is computed in float64, so that the difference is ours alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pywt

import kernelkit as kk
from kernelkit.demo import kernels

Image = np.ndarray[Any, np.dtype[Any]]
#: cA, (cH, cV, cD)
Bands = tuple[Image, tuple[Image, Image, Image]]

SIGMA = 1.5
#: The largest rounding error of one float32 operation, relative to its result.
ROUNDING = float(np.finfo(np.float32).eps) / 2


def _binomial(order: int) -> Image:
    row = np.array([1.0])
    for _ in range(order):
        row = np.convolve(row, [0.5, 0.5])
    return row


def _sharpening() -> Image:
    """Unsharp masking: three times the image less twice its blurred self."""
    weights = -2 * np.outer(_binomial(4), _binomial(4))
    weights[2, 2] += 3
    return weights.astype(np.float32)


def _gaussian() -> Image:
    offsets = np.arange(-kernels.RADIUS, kernels.RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    return (weights / weights.sum()).astype(np.float32)


SHARPENING = _sharpening()
GAUSSIAN = _gaussian()


def _blocks(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape
    return -(-width // kernels.SIDE), -(-height // kernels.SIDE)


def prepare_sharpen(image: Image, backend: str) -> Launch:
    src, weights = kk.asarray(image, backend), kk.asarray(SHARPENING, backend)
    dst = kk.empty(image.shape, np.float32, backend)
    configured = kernels.correlate.on(backend).forall(image.shape)
    return Launch(lambda: configured(src, dst, weights), lambda: kk.to_numpy(dst))


def prepare_blur(image: Image, backend: str) -> Launch:
    src, weights = kk.asarray(image, backend), kk.asarray(GAUSSIAN, backend)
    dst = kk.empty(image.shape, np.float32, backend)
    configured = kernels.blur.on(backend)[_blocks(image.shape), (kernels.SIDE, kernels.SIDE)]
    return Launch(lambda: configured(src, dst, weights), lambda: kk.to_numpy(dst))


def prepare_wavelet(image: Image, backend: str) -> Launch:
    src = kk.asarray(image, backend)
    half = tuple(-(-n // 2) for n in image.shape)
    bands = [kk.empty(half, np.float32, backend) for _ in range(4)]
    configured = kernels.wavelet.on(backend)[_blocks(half), (kernels.SIDE, kernels.SIDE)]
    return Launch(lambda: configured(src, *bands), lambda: mosaic(*map(kk.to_numpy, bands)))


def mosaic(cA: Image, cH: Image, cV: Image, cD: Image) -> Image:
    """The four bands of a transform as one picture."""
    return np.block([[cA, cH], [cV, cD]])


def scipy_sharpen(image: Image) -> Image:
    from scipy import ndimage

    return ndimage.correlate(image, SHARPENING, mode="nearest")


def scipy_blur(image: Image) -> Image:
    from scipy import ndimage

    truncate = kernels.RADIUS / SIGMA
    return ndimage.gaussian_filter(image, SIGMA, mode="nearest", truncate=truncate)


def pywt_wavelet(image: Image) -> Bands:
    return pywt.dwt2(image, "db4", mode="periodization")


def _bound(taps: int, gain: float, passes: int = 1) -> float:
    """How far `passes` sums of `taps` float32 products may stray, for pixels up to 1: each product
    is rounded, its weight was, and so is every sum."""
    return passes * (taps + 2) * ROUNDING * gain**passes


@dataclass(frozen=True)
class Launch:
    """A launch that is ready to be repeated, and its result on the host."""

    run: Callable[[], None]
    result: Callable[[], Image]


@dataclass(frozen=True)
class Case:
    """A kernel on show: how it is launched, whose result it must equal, and how closely."""

    name: str
    prepare: Callable[[Image, str], Launch]
    peer: str
    #: What a user of the peer would call, on an image of either float dtype.
    call: Callable[[Image], Any]
    #: The largest difference that rounding explains, for pixels between -1 and 1.
    bound: float
    #: Whether the result is four bands and not an image.
    is_transform: bool = False

    def expected(self, image: Image) -> Image:
        """The peer's result in float64, as one picture."""
        found = self.call(image.astype(np.float64))
        if not self.is_transform:
            return found
        cA, details = found
        return mosaic(cA, *details)


def _gain(*weights: Image) -> float:
    """By how much weights can enlarge a pixel."""
    return max(float(np.abs(w).sum()) for w in weights)


CASES = (
    Case(
        name="5x5 sharpening",
        prepare=prepare_sharpen,
        peer="SciPy",
        call=scipy_sharpen,
        bound=_bound(SHARPENING.size, _gain(SHARPENING)),
    ),
    Case(
        name="tiled blur",
        prepare=prepare_blur,
        peer="SciPy",
        call=scipy_blur,
        bound=_bound(GAUSSIAN.size, _gain(GAUSSIAN), passes=2),
    ),
    Case(
        name="db4 wavelet",
        prepare=prepare_wavelet,
        peer="PyWavelets",
        call=pywt_wavelet,
        bound=_bound(kernels.TAPS, _gain(kernels.LOW, kernels.HIGH), passes=2),
        is_transform=True,
    ),
)
