"""The truth about a view, found by pushing pictures through the real executor.

Ramps of x and of y, one level a pixel, arrive with their coordinates in their colours. A black and a white
picture tell what of it is seen: all that these steps do is linear, so a pixel of the view is
hidden + seen * photo, and `seen` is the difference of the two.
"""

from typing import NamedTuple

import numpy as np

from asl_fast.edits import render

SIZE = (200, 150)
_FIRST = 20  # levels below and above are left for rounding


class Truth(NamedTuple):
    """photo_HW2: where each pixel of the view came from, in pixels.  seen_HW: how much is seen, 0 to 1."""

    photo_HW2: np.ndarray
    seen_HW: np.ndarray


def truth_of(chain, pool, size=SIZE):
    steps = chain.steps(size)
    black, white = (
        render(steps, np.full((size[1], size[0], 3), value, np.uint8), pool).astype(float)
        for value in (0, 255)
    )
    seen_HW = (white - black).mean(2) / 255
    rising = np.zeros((size[1], size[0], 3), np.uint8)
    rising[:, :, 0] = _FIRST + np.arange(size[0])
    rising[:, :, 1] = _FIRST + np.arange(size[1])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        up_HW2, down_HW2 = (
            (render(steps, ramp, pool) - black)[:, :, :2] / ((white - black)[:, :, :2] / 255)
            for ramp in (rising, 255 - rising)
        )
    # OpenCV's resize rounds levels down a little: in the mean of both ramps that is gone
    return Truth((up_HW2 + 255 - down_HW2) / 2 - _FIRST + 0.5, seen_HW)


def pixel_centres(size):
    """(height, width, 2)"""
    return np.stack(np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5), 2)
