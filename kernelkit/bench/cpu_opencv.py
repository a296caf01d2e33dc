"""The peer in OpenCV: vector code written by hand.

In: the inputs of a problem. Out: Runners.
"""

from __future__ import annotations

import cv2
import numpy as np

from kernelkit.bench.cpu_problems import Runner, blank


def use_threads(count: int) -> None:
    cv2.setNumThreads(count)


def correlate(src: np.ndarray, weights: np.ndarray) -> Runner:
    dst = blank(src.shape)
    border = cv2.BORDER_REPLICATE
    return Runner(lambda: cv2.filter2D(src, -1, weights, dst, borderType=border), lambda: dst)
