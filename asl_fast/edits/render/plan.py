"""The same picture from fewer and smaller drawings.

A chain ends with its picture shrunk to a model's input, and much of what comes before would be drawn at a
size that nobody sees. So a shrinking is moved towards the photo, as far as steps look alike at every size:
places, polygons and blurs shrink with it. Then neighbouring warps become one look-up. What is hidden, where
every pixel comes from, and which colours are mixed stays the same; how an edge is smoothed may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl_fast.edits.geometry import box, scaling
from asl_fast.edits.steps import (
    AddNoise,
    Convolve,
    Erase,
    GaussianBlur,
    Lookup,
    Matrix,
    Onto,
    Over,
    Recolour,
    Screen,
    Shade,
    ShufflePixels,
    Size,
    Step,
    Warp,
)

_SAME = 1e-6  # of a pixel
_LEAST_GAIN = 0.9  # a shrinking that leaves more of the edges isn't worth a look-up between pixels
_STAYS = np.eye(3)
_MOVES = (Warp, Onto)
_POINTWISE = (Recolour, Lookup, Shade)
_GRAINY = (AddNoise, ShufflePixels, Screen, Convolve)


@dataclass(frozen=True)
class StretchedBlur:
    """A Gaussian blur of a picture whose edges were shrunk unequally."""

    sigma_x_px: float
    sigma_y_px: float


PlannedStep = Step | StretchedBlur


def planned(steps: Sequence[Step], size: Size) -> list[PlannedStep]:
    """Steps that give the view of `steps` from a photo of this (width, height), in the same size."""
    return _joined(_shrunk_early(steps, size), size)


def _shrunk_early(steps: Sequence[Step], size: Size) -> list[PlannedStep]:
    sizes = [size]
    grains = [False]  # in a picture with grain values are clipped that are not in its means
    for step in steps:
        sizes.append(step.size if isinstance(step, _MOVES) else sizes[-1])
        grains.append(grains[-1] or isinstance(step, _GRAINY))
    grains.pop()
    late_first: list[PlannedStep] = []
    after = sizes.pop()
    wanted = after  # what the canvas after this step is to be shrunk to
    for step, before, grain in zip(reversed(steps), reversed(sizes), reversed(grains), strict=True):
        x, y = wanted[0] / after[0], wanted[1] / after[1]
        if isinstance(step, _MOVES):
            wanted = _moved(late_first, step, before, wanted, (x, y))
        elif wanted == after:
            late_first.append(step)
        elif (smaller := _at_scale(step, x, y, grain)) is not None:
            late_first.append(smaller)
        else:
            late_first += [Warp(scaling(x, y), wanted), step]
            wanted = before
        after = before
    if wanted != after:
        late_first.append(Warp(scaling(wanted[0] / after[0], wanted[1] / after[1]), wanted))
    return late_first[::-1]


def _moved(
    late_first: list[PlannedStep], step: Warp | Onto, before: Size, wanted: Size, scale: tuple[float, float]
) -> Size:
    """A step that moves the picture, drawn onto a canvas of `wanted`; what its input is to be shrunk to."""
    matrix = step.matrix if wanted == step.size else scaling(*scale).dot(step.matrix)
    turn = _whole_canvas(step.matrix, before, step.size) if isinstance(step, Warp) else None
    if turn == "resize" or (isinstance(step, Onto) and _stays(step, before)):
        if isinstance(step, Onto):
            late_first.append(Onto(step.patch, _STAYS, wanted, step.opacity))
        elif wanted[0] * wanted[1] > _LEAST_GAIN**2 * before[0] * before[1]:
            late_first.append(Warp(matrix, wanted))
            return before
        return wanted
    if turn is not None:
        below = wanted if turn == "mirror" else wanted[::-1]
        rest = matrix.dot(scaling(before[0] / below[0], before[1] / below[1]))
        late_first.append(Warp(np.rint(rest), wanted))
        return below
    if isinstance(step, Warp) and _is_crop(step, before):
        if wanted != step.size:
            late_first.append(Warp(scaling(*scale), wanted))
        late_first.append(step)
        return before
    below = _input_size(matrix, before, scale)
    if below != before:
        matrix = matrix.dot(scaling(before[0] / below[0], before[1] / below[1]))
    late_first.append(
        Warp(matrix, wanted, step.fill)
        if isinstance(step, Warp)
        else Onto(step.patch, matrix, wanted, step.opacity)
    )
    return below


def _input_size(matrix: Matrix, before: Size, scale: tuple[float, float]) -> Size:
    upright = matrix[0, 1] == matrix[1, 0] == matrix[2, 0] == matrix[2, 1] == 0
    x, y = scale if upright else (max(scale), max(scale))
    if max(x, y) > _LEAST_GAIN:
        return before
    return (max(1, round(x * before[0])), max(1, round(y * before[1])))


def _at_scale(step: Step, x: float, y: float, grain: bool) -> PlannedStep | None:
    """The step on a picture whose edges are x and y times as long; None if it would not look the same."""
    if isinstance(step, _POINTWISE):
        return None if grain else step
    if isinstance(step, GaussianBlur):
        return StretchedBlur(x * step.sigma_px, y * step.sigma_px)
    if isinstance(step, Over):
        return Over(step.patch, _on_whole_pixels(scaling(x, y).dot(step.matrix)), step.opacity)
    if isinstance(step, Erase):
        polygons = []
        for corner_C2 in step.polygons:
            smaller_C2 = corner_C2 * (x, y)
            # what stood on whole pixels still does, else it would cover all that it touches
            polygons.append(np.rint(smaller_C2) if (corner_C2 == np.rint(corner_C2)).all() else smaller_C2)
        return Erase(tuple(polygons), step.fill, step.noise_seed)
    return None


def _on_whole_pixels(matrix: Matrix) -> Matrix:
    """An upright box with its edges between pixels, where it can be copied; others as they are."""
    (a, b, left), (c, d, top), last = matrix.tolist()
    if b != 0 or c != 0 or last != [0, 0, 1]:
        return matrix
    x, y = round(left), round(top)
    return box(x, y, max(1, round(left + a) - x), max(1, round(top + d) - y))


def _joined(steps: Sequence[PlannedStep], size: Size) -> list[PlannedStep]:
    """Neighbouring warps made one where no picture is cut off between them."""
    joined: list[PlannedStep] = []
    sizes: list[Size] = []
    for step in steps:
        while joined and isinstance(step, _MOVES) and isinstance(last := joined[-1], Warp):
            both = step.matrix.dot(last.matrix)
            if _whole_canvas(last.matrix, sizes[-1], last.size):
                fill = step.fill if isinstance(step, Warp) else last.fill
            elif (
                isinstance(step, Warp)
                and not _is_crop(last, sizes[-1])
                and (_whole_canvas(step.matrix, last.size, step.size) or _is_crop(step, last.size))
            ):
                fill = last.fill
            else:
                break
            step = (
                Warp(both, step.size, fill)
                if isinstance(step, Warp)
                else Onto(step.patch, both, step.size, step.opacity)
            )
            joined.pop()
            size = sizes.pop()
        sizes.append(size)
        joined.append(step)
        size = step.size if isinstance(step, _MOVES) else size
    return joined


def _whole_canvas(matrix: Matrix, before: Size, after: Size) -> str | None:
    """How the matrix takes the whole picture to the whole canvas: "resize", "mirror", "quarter", or not."""
    (a, b, left), (c, d, top), last = matrix.tolist()
    if last != [0, 0, 1]:
        return None
    if b == c == 0:
        across, down, kind = a * before[0], d * before[1], "resize" if a > 0 < d else "mirror"
    elif a == d == 0:
        across, down, kind = b * before[1], c * before[0], "quarter"
    else:
        return None
    off_x = abs(abs(across) - after[0]) + abs(left - (after[0] if across < 0 else 0))
    off_y = abs(abs(down) - after[1]) + abs(top - (after[1] if down < 0 else 0))
    return kind if max(off_x, off_y) < _SAME else None


def _is_crop(step: Warp, before: Size) -> bool:
    """Whether the step cuts out whole pixels and adds none."""
    (a, b, left), (c, d, top), last = step.matrix.tolist()
    return (
        (a, b, c, d, last) == (1, 0, 0, 1, [0, 0, 1])
        and left == int(left) <= 0
        and top == int(top) <= 0
        and left + before[0] >= step.size[0]
        and top + before[1] >= step.size[1]
    )


def _stays(step: Onto, before: Size) -> bool:
    return step.size == before and bool((step.matrix == _STAYS).all())
