"""(3, 4) colour matrices: what a pixel's (red, green, blue, 1) is multiplied by."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

LUMA_3 = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
ColourMatrix = NDArray[np.float64]  # (4, 4), so that they can be multiplied; the last row is (0, 0, 0, 1)
_UNCHANGED = np.eye(4)
_GREY = np.zeros((4, 4))
_GREY[:3, :3] = LUMA_3
_GREY[3, 3] = 1
_MEAN = np.zeros((4, 4))
_MEAN[:3, :3] = 1 / 3
_CROSS = np.zeros((4, 4))
_CROSS[:3, :3] = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)


def brighter(factor: float, plus: float) -> ColourMatrix:
    """Every value times `factor`, plus `plus` grey levels."""
    return np.array([[factor, 0, 0, plus], [0, factor, 0, plus], [0, 0, factor, plus], [0, 0, 0, 1]])


def saturated(factor: float) -> ColourMatrix:
    """Between grey (0) and the colours as they are (1), or beyond."""
    return factor * _UNCHANGED + (1 - factor) * _GREY


def hue_turned(degrees: float) -> ColourMatrix:
    """Colours turned about the grey axis (Rodrigues)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = cos * _UNCHANGED + (1 - cos) * _MEAN + sin * _CROSS
    turned[3, 3] = 1
    return turned


def together(*matrices: ColourMatrix) -> NDArray[np.float32]:
    """(3, 4) of all, the first applied first."""
    return functools.reduce(lambda before, matrix: matrix.dot(before), matrices)[:3].astype(np.float32)
