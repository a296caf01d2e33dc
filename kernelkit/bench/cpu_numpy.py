"""The peers in NumPy and PyWavelets: one thread each.

In: the inputs of a problem. Out: Runners; what NumPy can write into memory it is given, it does.
"""

from __future__ import annotations

import numpy as np
import pywt

from kernelkit.bench.cpu_problems import BINS, Runner, blank


def use_threads(count: int) -> None:
    """What is called here runs on one thread."""


def summation(values: np.ndarray) -> Runner:
    result = blank(1)
    return Runner(lambda: np.sum(values, keepdims=True, out=result), lambda: result)


def _elementwise(function: np.ufunc, src: np.ndarray) -> Runner:
    dst = blank(src.shape)
    return Runner(lambda: function(src, dst), lambda: dst)


def exp(src: np.ndarray) -> Runner:
    return _elementwise(np.exp, src)


def sin(src: np.ndarray) -> Runner:
    return _elementwise(np.sin, src)


def log(src: np.ndarray) -> Runner:
    return _elementwise(np.log, src)


def tanh(src: np.ndarray) -> Runner:
    return _elementwise(np.tanh, src)


def wavelet(src: np.ndarray) -> Runner:
    """PyWavelets allocates its results; the last ones are kept, so that it may use them again."""
    bands = [src, src]

    def run() -> None:
        bands[:] = pywt.dwt(src, "db4", axis=-1)

    return Runner(run, lambda: np.stack(bands))


def histogram(values: np.ndarray) -> Runner:
    counts = [values]

    def run() -> None:
        counts[0] = np.bincount(values, minlength=BINS)

    return Runner(run, lambda: counts[0])


def histogram_of_integers(values: np.ndarray) -> Runner:
    """Values in the type that `bincount` works in, so that it need not convert them."""
    return histogram(values.astype(np.intp))
