"""Steps drawn on the CPU, with OpenCV and NumPy: RGB uint8 in and out.

plan.py      the same view from less drawing
warping.py   pictures moved by a homography     filters.py   blurs, edges, recompression
layering.py  patches over and under             values.py    colours, noise, screens
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.render import filters, layering, values, warping
from asl_fast.edits.render.plan import PlannedStep, StretchedBlur, planned
from asl_fast.edits.steps import (
    AddNoise,
    Convolve,
    DrawEdges,
    Erase,
    FlattenHistogram,
    GaussianBlur,
    Lookup,
    MedianFilter,
    Mosaic,
    Onto,
    Over,
    Recolour,
    Recompress,
    Screen,
    Shade,
    ShufflePixels,
    Step,
    Warp,
)

# A view has some 50,000 pixels: sharing one between OpenCV's threads costs more than it saves.
cv2.setNumThreads(1)

_DRAW: dict[type[PlannedStep], Callable[[Pixels, Any, Pool], Pixels]] = {
    Warp: warping.warp,
    Onto: layering.onto,
    Over: layering.over,
    Erase: layering.erase,
    Recolour: values.recolour,
    Lookup: values.lookup,
    FlattenHistogram: values.flatten_histogram,
    AddNoise: values.add_noise,
    ShufflePixels: values.shuffle_pixels,
    Shade: values.shade,
    Screen: values.screen,
    GaussianBlur: filters.gaussian_blur,
    StretchedBlur: filters.stretched_blur,
    Convolve: filters.convolve,
    MedianFilter: filters.median_filter,
    Mosaic: filters.mosaic,
    Recompress: filters.recompress,
    DrawEdges: filters.draw_edges,
}


def render(steps: Sequence[Step], pixels: Pixels, pool: Pool) -> Pixels:
    """The picture after all steps. `pixels` (height, width, 3) is not changed."""
    if pixels.ndim != 3:
        return draw([], pixels, pool)
    return draw(planned(steps, (pixels.shape[1], pixels.shape[0])), pixels, pool)


def draw(plan: Sequence[PlannedStep], pixels: Pixels, pool: Pool) -> Pixels:
    """The picture after a plan that was made for its size."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"render: pixels must be uint8 RGB (height, width, 3), got {pixels.dtype} {pixels.shape}"
        )
    if not plan:
        return pixels
    pixels = pixels.view()  # not its own data: steps draw on a copy
    for step in plan:
        pixels = _DRAW[type(step)](pixels, step, pool)
    return pixels
