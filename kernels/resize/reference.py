"""The formula of resize in NumPy float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_SCALE = 16.0


def resize(pixels_HWC: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Boxes where the scale is above MOST_SCALE, then along rows, then along columns; 8 bits in between."""
    boxes = [_box_edge(*pair) for pair in zip(pixels_HWC.shape[:2], (height, width), strict=True)]
    from_HWC = _boxed(pixels_HWC, *boxes)
    down_HH = _weights(pixels_HWC.shape[0] / boxes[0], from_HWC.shape[0], height)
    across_WW = _weights(pixels_HWC.shape[1] / boxes[1], from_HWC.shape[1], width)
    narrow_HWC = _levels(np.einsum("ow,hwc->hoc", across_WW, from_HWC.astype(np.float64)))
    return _levels(np.einsum("oh,hwc->owc", down_HH, narrow_HWC.astype(np.float64)))


def _weights(length: float, num_in: int, num_out: int) -> NDArray[np.float64]:
    """(num_out, num_in): bicubic, a = -1/2, as wide as the scale where it is above 1; rows sum to 1.

    Keys, Cubic convolution interpolation for digital image processing, 1981; taps are cut as in Pillow.
    """
    scale = length / num_out
    widened = max(scale, 1.0)
    center_O1 = (np.arange(num_out)[:, None] + 0.5) * scale
    place_I = np.arange(num_in)
    low_O1 = np.minimum(np.floor(center_O1 - 2 * widened + 0.5), num_in - 1)
    inside_OI = (place_I >= low_O1) & (place_I < np.maximum(np.floor(center_O1 + 2 * widened + 0.5), 1))
    share_I = np.minimum(1.0, length - place_I)  # the last sample may be a part of a box
    weight_OI: NDArray[np.float64] = (
        _bicubic((place_I + 0.5 * share_I - center_O1) / widened) * share_I * inside_OI
    )
    weight_OI /= weight_OI.sum(axis=1, keepdims=True)
    return weight_OI


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, -0.5 * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _box_edge(num_in: int, num_out: int) -> int:
    scale = num_in / num_out
    return math.floor(scale / (MOST_SCALE / 2)) if scale > MOST_SCALE else 1


def _boxed(pixels_HWC: NDArray[np.uint8], box_height: int, box_width: int) -> NDArray[np.uint8]:
    tops = np.arange(0, pixels_HWC.shape[0], box_height)
    lefts = np.arange(0, pixels_HWC.shape[1], box_width)
    sum_HWC = np.add.reduceat(np.add.reduceat(pixels_HWC.astype(np.int64), tops, axis=0), lefts, axis=1)
    rows_H = np.diff(np.append(tops, pixels_HWC.shape[0]))
    columns_W = np.diff(np.append(lefts, pixels_HWC.shape[1]))
    area_HW1 = (rows_H[:, None] * columns_W)[:, :, None]
    return np.asarray((sum_HWC + area_HW1 // 2) // area_HW1, np.uint8)


def _levels(value_HWC: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.floor(value_HWC + 0.5), 0, 255), np.uint8)
