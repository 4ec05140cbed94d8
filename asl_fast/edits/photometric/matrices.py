"""(3, 4) colour matrices: what a pixel's (red, green, blue, 1) is multiplied by."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LUMA_3 = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
ColourMatrix = NDArray[np.float64]


def brighter(factor: float, plus: float) -> ColourMatrix:
    """Every value times `factor`, plus `plus` grey levels."""
    return np.hstack([factor * np.eye(3), np.full((3, 1), float(plus))])


def saturated(factor: float) -> ColourMatrix:
    """Between grey (0) and the colours as they are (1), or beyond."""
    return np.hstack([factor * np.eye(3) + (1 - factor) * np.tile(LUMA_3, (3, 1)), np.zeros((3, 1))])


def hue_turned(degrees: float) -> ColourMatrix:
    """Colours turned about the grey axis (Rodrigues)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return np.hstack([cos * np.eye(3) + (1 - cos) / 3 + sin * cross, np.zeros((3, 1))])


def together(*matrices: ColourMatrix) -> NDArray[np.float32]:
    """The first is applied first."""
    square = np.eye(4)
    for matrix in matrices:
        square = np.vstack([matrix, [0, 0, 0, 1]]) @ square
    return square[:3].astype(np.float32)
