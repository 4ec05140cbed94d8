"""Steps -> Trace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.patches import PhotoPatch, PlainPatch
from asl_fast.edits.steps import Erase, Onto, Over, ShufflePixels, Size, Step, Warp, size_after
from asl_fast.edits.trace.polygons import Polygon, cut
from asl_fast.edits.trace.trace import Cover, Trace

_UNIT = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)


def trace(steps: Sequence[Step], size: Size) -> Trace:
    """The trace of a photo of this (width, height) through these steps.

    Warps and pastes move it and cut it off at their canvas. What is laid over it or erased covers it. An
    underlaid photo and shuffled pixels dim all of it alike: of a shuffled picture each pixel is still in its
    place with probability 1 - share. All other steps, line drawing among them, leave the trace as it is: the
    content is where it was, in other colours.
    """
    to_view = np.eye(3)
    covers: list[Cover] = []
    clear = 1.0
    for step in reversed(steps):  # backwards, what comes after each step is known without an inverse
        if isinstance(step, Warp | Onto):
            to_view = to_view @ step.matrix
            clear *= step.opacity if isinstance(step, Onto) else 1.0
        elif isinstance(step, Over):
            shape = _UNIT if isinstance(step.patch, PhotoPatch | PlainPatch) else step.patch
            covers.append(Cover(shape, to_view @ step.matrix, step.opacity))
        elif isinstance(step, Erase):
            covers += [Cover(polygon, to_view, 1.0) for polygon in step.polygons]
        elif isinstance(step, ShufflePixels):
            clear *= 1 - step.share
    return Trace(
        photo_size=size,
        view_size=size_after(steps, size),
        matrix=to_view,
        region=_region(steps, size),
        covers=tuple(covers),
        clear=clear,
    )


def _region(steps: Sequence[Step], size: Size) -> NDArray[np.float64]:
    """The part of the photo that lies on every canvas."""
    matrix = np.eye(3)
    width, height = float(size[0]), float(size[1])
    region: Polygon = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    for step in steps:
        if isinstance(step, Warp | Onto):
            matrix = step.matrix @ matrix
            region = _on_canvas(region, matrix, step.size)
    return np.array(region, np.float64).reshape(-1, 2)


def _on_canvas(region: Polygon, matrix: np.ndarray, size: Size) -> Polygon:
    """The part of the photo that lands on a canvas: its four sides, seen from the photo, cut the region."""
    (xa, xb, xc), (ya, yb, yc), (wa, wb, wc) = matrix.tolist()
    width, height = size
    for line in (
        (xa, xb, xc),
        (ya, yb, yc),
        (width * wa - xa, width * wb - xb, width * wc - xc),
        (height * wa - ya, height * wb - yb, height * wc - yc),
    ):
        region = cut(region, line)
    return region
