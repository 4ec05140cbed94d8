"""Steps -> operations, each of which one operator of DALI (or one function of PyTorch) does to a batch.

The same cases are told apart as in edits/render, so that both executors give nearly the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl_fast.edits.geometry import corners, moved, scaling
from asl_fast.edits.render.filters import LEAST_SIGMA, MOST_MEDIAN_PX, MOST_SIGMA
from asl_fast.edits.render.warping import shrunk_size, whole_place
from asl_fast.edits.steps import (
    DrawEdges,
    Erase,
    GaussianBlur,
    Matrix,
    MedianFilter,
    Mosaic,
    Recompress,
    Size,
    Step,
    Warp,
    size_after,
)

_NEAR = 1e-6


@dataclass(frozen=True)
class Cut:
    """The box of `size` from (left, top) on."""

    left: int
    top: int
    size: Size


@dataclass(frozen=True)
class Flip:
    across: bool
    down: bool


@dataclass(frozen=True)
class Smooth:
    """Shrunk to `size` with a triangle filter as wide as two pixels of the result."""

    size: Size


@dataclass(frozen=True)
class Stretch:
    """To `size` by looking between the four nearest pixels."""

    size: Size


@dataclass(frozen=True)
class Enlarge:
    """To `size` by repeating pixels."""

    size: Size


@dataclass(frozen=True, eq=False)
class Look:
    """As Warp, but every pixel is looked up between the four nearest."""

    matrix: Matrix
    size: Size
    fill: tuple[int, ...] = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class OnHost:
    """A step that is drawn on the CPU wherever the pictures are."""

    step: Step


Move = Cut | Flip | Smooth | Stretch | Look
Operation = Move | Enlarge | OnHost | Step


def lowered(steps: Sequence[Step], size: Size) -> list[Operation]:
    """What is done to a picture of `size`."""
    operations: list[Operation] = []
    for step in steps:
        operations += _lowered(step, size)
        size = size_after([step], size)
    return operations


def stretched(size: Size, new: Size) -> list[Move]:
    """As OpenCV's area average along an edge that shrinks below half, linear along the other.

    The average is a triangle filter down to twice the edge, and then pairs of pixels: their product is
    within a few grey levels of the box.
    """
    low = (2 * new[0] if 2 * new[0] < size[0] else size[0], 2 * new[1] if 2 * new[1] < size[1] else size[1])
    moves: list[Move] = [] if low == size else [Smooth(low)]
    return moves if low == new else [*moves, Stretch(new)]


def laid(size: Size, matrix: Matrix, canvas: Size, fill: tuple[int, ...] = (0, 0, 0)) -> list[Move]:
    """A picture of `size` moved onto a canvas: shrunk first, so that no pixel is skipped, then looked up."""
    small = shrunk_size(size, matrix)
    moves = stretched(size, small)
    rest = matrix @ scaling(size[0] / small[0], size[1] / small[1])
    near = np.rint(rest)
    rest = near if abs(rest - near).max() < 1e-9 else rest
    place = whole_place(rest)
    if place is not None and _covers(small, place, canvas):
        return moves if small == canvas else [*moves, Cut(-place[0], -place[1], canvas)]
    return [*moves, Look(rest, canvas, fill)]


def _lowered(step: Step, size: Size) -> Sequence[Operation]:
    match step:
        case Warp():
            return _warped(step, size)
        case GaussianBlur(sigma_px=sigma):
            if sigma < LEAST_SIGMA:
                return []
            if sigma <= MOST_SIGMA:
                return [step]
            return _on_small(GaussianBlur(MOST_SIGMA), size, MOST_SIGMA / sigma)
        case MedianFilter(edge_px=edge):
            if edge <= MOST_MEDIAN_PX:
                return [step]
            return _on_small(MedianFilter(MOST_MEDIAN_PX), size, MOST_MEDIAN_PX / edge)
        case Mosaic(cells=cells):
            return [*stretched(size, cells), Enlarge(size)]
        case Erase(polygons=()):
            return []
        case Erase(noise_seed=int()) | Recompress(codec="webp") | DrawEdges():
            return [OnHost(step)]
        case _:
            return [step]


def _warped(step: Warp, size: Size) -> Sequence[Move]:
    matrix = step.matrix
    place = whole_place(matrix)
    if place is not None and _covers(size, place, step.size):
        return [] if size == step.size else [Cut(-place[0], -place[1], step.size)]
    if matrix[2].tolist() == [0, 0, 1] and place is None:
        reached_42 = moved(matrix, corners(size))
        if abs(reached_42.min(0)).max() <= _NEAR and abs(reached_42.max(0) - step.size).max() <= _NEAR:
            a, b, c, d = matrix[:2, :2].ravel().tolist()
            if (abs(a), b, c, abs(d)) == (1, 0, 0, 1):
                return [Flip(across=a < 0, down=d < 0)]
            if b == c == 0 and a > 0 and d > 0:
                return stretched(size, step.size)
    return laid(size, matrix, step.size, step.fill)


def _on_small(step: Step, size: Size, share: float) -> list[Operation]:
    """The step done to a smaller picture, which is then brought back."""
    small = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    return [*stretched(size, small), step, *stretched(small, size)]


def _covers(size: Size, place: tuple[int, int], canvas: Size) -> bool:
    left, top = place
    return left <= 0 and top <= 0 and left + size[0] >= canvas[0] and top + size[1] >= canvas[1]
