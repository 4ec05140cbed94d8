"""Polygons in pixels, from shares of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.geometry import corners
from asl_fast.edits.steps import Size


def rectangle(
    size: Size, left: float, top: float, width: float, height: float
) -> tuple[NDArray[np.float64], ...]:
    """A box on whole pixels: one polygon, or none where it is thinner than half a pixel."""
    x0, x1 = (min(size[0], max(0, round(share * size[0]))) for share in (left, left + width))
    y0, y1 = (min(size[1], max(0, round(share * size[1]))) for share in (top, top + height))
    if x1 <= x0 or y1 <= y0:
        return ()
    return (corners((x1 - x0, y1 - y0)) + np.array([x0, y0]),)
