"""Steps -> operations, each of which one operator of DALI (or one function of PyTorch) does to a batch.

The same cases are told apart as in edits/render, so that both executors give nearly the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asl_fast.edits.geometry import scaling, shift
from asl_fast.edits.render.plan import PlannedStep, StretchedBlur, planned
from asl_fast.edits.render.warping import halvings, shrunk_size, upright_box
from asl_fast.edits.steps import (
    DrawEdges,
    Erase,
    GaussianBlur,
    Matrix,
    MedianFilter,
    Mosaic,
    Onto,
    Recompress,
    Size,
    Step,
    Warp,
)

LEAST_SIGMA = 0.1  # a narrower blur changes nothing
MOST_SIGMA = 4.0  # beyond this the picture is shrunk first: the same look, at a cost that stays flat
_NO_SIGMA = 0.05  # operators refuse 0; this changes nothing
MOST_MEDIAN_PX = 5  # likewise


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


@dataclass(frozen=True)
class Blur:
    sigma_x_px: float
    sigma_y_px: float


@dataclass(frozen=True, eq=False)
class OnHost:
    """A step that is drawn on the CPU wherever the pictures are."""

    step: Step


Move = Cut | Flip | Smooth | Stretch | Look
Operation = Move | Enlarge | Blur | OnHost | Step


def lowered(steps: Sequence[Step], size: Size) -> list[Operation]:
    """What is done to a picture of `size`; `planned` as on the CPU, to fewer and smaller drawings."""
    operations: list[Operation] = []
    for step in planned(steps, size):
        operations += _lowered(step, size)
        size = step.size if isinstance(step, Warp | Onto) else size
    return operations


def stretched(size: Size, new: Size) -> list[Move]:
    """As `resized` on the CPU, in at most two calls.

    An edge that shrinks below half goes to twice its new length first, and is then averaged in pairs; on the
    way to that, one that shrinks below a quarter is smoothed by a triangle where the CPU takes more pairs.
    """
    twice = (halvings(size[0], new[0]), halvings(size[1], new[1]))
    low = (new[0] << min(1, twice[0]), new[1] << min(1, twice[1]))
    moves: list[Move] = [] if low == size else [Smooth(low) if max(twice) > 1 else Stretch(low)]
    return moves if low == new else [*moves, Stretch(new)]


def laid(size: Size, matrix: Matrix, canvas: Size, fill: tuple[int, ...] = (0, 0, 0)) -> list[Move]:
    """A picture of `size` moved onto a canvas: shrunk first, so that no pixel is skipped, then looked up."""
    box = upright_box(size, matrix, canvas)
    if box is not None and not box.transposed:
        flips: list[Move] = [Flip(box.mirrored, box.upside_down)] if box.mirrored or box.upside_down else []
        return [*flips, *stretched(size, box.size), *_placed(box.size, (box.left, box.top), canvas, fill)]
    small = shrunk_size(size, matrix)
    rest = matrix @ scaling(size[0] / small[0], size[1] / small[1])
    return [*stretched(size, small), Look(rest, canvas, fill)]


def _placed(size: Size, place: tuple[int, int], canvas: Size, fill: tuple[int, ...]) -> list[Move]:
    """A picture of `size` put at `place` on a canvas, pixel on pixel."""
    left, top = place
    if (left, top, size) == (0, 0, canvas):
        return []
    if left <= 0 and top <= 0 and left + size[0] >= canvas[0] and top + size[1] >= canvas[1]:
        return [Cut(-left, -top, canvas)]
    return [Look(shift(left, top), canvas, fill)]


def _lowered(step: PlannedStep, size: Size) -> Sequence[Operation]:
    match step:
        case Warp():
            return laid(size, step.matrix, step.size, step.fill)
        case GaussianBlur(sigma_px=sigma):
            return _blurred(sigma, sigma, size)
        case StretchedBlur(sigma_x_px=x, sigma_y_px=y):
            return _blurred(x, y, size)
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


def _blurred(sigma_x_px: float, sigma_y_px: float, size: Size) -> Sequence[Operation]:
    widest = max(sigma_x_px, sigma_y_px)
    if widest < LEAST_SIGMA:
        return []
    share = min(1.0, MOST_SIGMA / widest)
    blur = Blur(*(max(_NO_SIGMA, share * sigma) for sigma in (sigma_x_px, sigma_y_px)))
    return [blur] if share == 1 else _on_small(blur, size, share)


def _on_small(step: Operation, size: Size, share: float) -> list[Operation]:
    """The step done to a smaller picture, which is then brought back."""
    small = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    return [*stretched(size, small), step, *stretched(small, size)]
