"""Steps -> Trace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.geometry import corners, inverse, moved_corners
from asl_fast.edits.patches import PhotoPatch, PlainPatch
from asl_fast.edits.steps import Erase, Matrix, Onto, Over, ShufflePixels, Size, Step, Warp, size_after
from asl_fast.edits.trace.polygons import Polygon, common
from asl_fast.edits.trace.trace import Cover, Trace

_UNIT = corners((1, 1))
_STAYS = np.eye(3)
_MOVES = (Warp, Onto)
_BOXES = (PhotoPatch, PlainPatch)
_SLACK = 1e-9  # of a pixel: rounding, nothing is cut off


def trace(steps: Sequence[Step], size: Size) -> Trace:
    """The trace of a photo of this (width, height) through these steps.

    Warps and pastes move it and cut it off at their canvas. What is laid over it or erased covers it. An
    underlaid photo and shuffled pixels dim all of it alike: of a shuffled picture each pixel is still in its
    place with probability 1 - share. All other steps, line drawing among them, leave the trace as it is: the
    content is where it was, in other colours.
    """
    to_view = _STAYS
    covers: list[Cover] = []
    clear = 1.0
    for step in reversed(steps):  # backwards, what comes after each step is known without an inverse
        if isinstance(step, Warp):
            to_view = to_view.dot(step.matrix)
        elif isinstance(step, Over):
            shape = _UNIT if isinstance(step.patch, _BOXES) else step.patch
            covers.append(Cover(shape, to_view.dot(step.matrix), step.opacity))
        elif isinstance(step, Onto):
            to_view = to_view.dot(step.matrix)
            clear *= step.opacity
        elif isinstance(step, Erase):
            covers += [Cover(polygon, to_view, 1.0) for polygon in step.polygons]
        elif isinstance(step, ShufflePixels):
            clear *= 1 - step.share
    left = _left_on_canvases(steps, size)
    return Trace(
        photo_size=size,
        view_size=size_after(steps, size),
        matrix=to_view,
        region=corners(size) if left is None else _in_photo(left, to_view),
        covers=tuple(covers),
        clear=clear,
    )


def _left_on_canvases(steps: Sequence[Step], size: Size) -> Polygon | None:
    """What is left of the photo, in the view's pixels; None if nothing was cut off."""
    width, height = float(size[0]), float(size[1])
    region: Polygon = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    is_whole = True
    for step in steps:
        if isinstance(step, _MOVES) and region:
            region = moved_corners(step.matrix, region)
            width, height = step.size
            most_x, most_y = width + _SLACK, height + _SLACK
            for x, y in region:
                if x < -_SLACK or y < -_SLACK or x > most_x or y > most_y:
                    is_whole = False
                    region = common(region, [(1, 0, 0), (0, 1, 0), (-1, 0, width), (0, -1, height)])
                    break
    return None if is_whole else region


def _in_photo(region: Polygon, to_view: Matrix) -> NDArray[np.float64]:
    if not region:
        return np.empty((0, 2))
    return np.array(moved_corners(inverse(to_view), region), np.float64)
