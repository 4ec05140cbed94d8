"""Pictures moved by a homography: exact where pixels fall on pixels, averaged where they shrink."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.geometry import quad, scaling, shift
from asl_fast.edits.steps import Matrix, Size, Warp

_SHRINK_FIRST = 0.6  # a bilinear look-up skips pixels where it shrinks to less than half
_WHOLE = 1e-6  # of a pixel: a box this near to whole pixels is resized and copied, not looked up
_MOST_GROWN = 4  # times canvas or picture: of a larger box little is seen, it is looked up
_MOST_LOOKED_UP_PX = 32_000  # edge of what OpenCV's warps take
_CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # of OpenCV's first pixel, whose centre is (0, 0)
_CORNER = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])


def warp(pixels: Pixels, step: Warp, pool: Pool) -> Pixels:
    return warped(pixels, step.matrix, step.size, step.fill)


def warped(pixels: Pixels, matrix: Matrix, size: Size, fill: tuple[int, ...]) -> Pixels:
    """The picture, of any number of channels, moved onto a canvas of (width, height) filled with `fill`."""
    upright = _upright(pixels, matrix, size)
    if upright is not None:
        return _framed(*upright, size, fill)
    pixels, matrix = _shrunk_first(pixels, matrix)
    if pixels.ndim == 3 and pixels.shape[2] == 3:  # OpenCV looks up four channels twice as fast as three
        four = _looked_up(_with_alpha(pixels), matrix, size, cv2.BORDER_CONSTANT, (*fill, 255), None)
        return _uint8(cv2.cvtColor(four, cv2.COLOR_RGBA2RGB))
    return _looked_up(pixels, matrix, size, cv2.BORDER_CONSTANT, fill, None)


def warped_into(canvas: Pixels, pixels: Pixels, matrix: Matrix) -> None:
    """The picture moved onto an RGB canvas, in place; where it doesn't reach, the canvas is as it was."""
    height, width = canvas.shape[:2]
    upright = _upright(pixels, matrix, (width, height))
    if upright is not None:
        _copy_to(canvas, *upright)
        return
    window = touched(matrix, (pixels.shape[1], pixels.shape[0]), (width, height))
    if window is None:
        return
    left, top, right, bottom = window
    pixels, matrix = _shrunk_first(pixels, matrix)
    under = canvas[top:bottom, left:right]
    size = (right - left, bottom - top)
    matrix = shift(-left, -top) @ matrix
    four = _looked_up(
        _with_alpha(pixels), matrix, size, cv2.BORDER_TRANSPARENT, (0, 0, 0, 0), _with_alpha(under)
    )
    cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, under)


def touched(matrix: Matrix, size: Size, canvas: Size) -> tuple[int, int, int, int] | None:
    """The part (left, top, right, bottom) of a canvas that a picture of `size` can reach, None if none."""
    corner_4 = quad(matrix, size)
    left = max(0, math.floor(min(x for x, _ in corner_4)))
    top = max(0, math.floor(min(y for _, y in corner_4)))
    right = min(canvas[0], math.ceil(max(x for x, _ in corner_4)))
    bottom = min(canvas[1], math.ceil(max(y for _, y in corner_4)))
    return (left, top, right, bottom) if right > left and bottom > top else None


def plain(size: Size, fill: tuple[int, ...]) -> Pixels:
    """A canvas of one colour; (height, width) of one value."""
    shape = (size[1], size[0], len(fill))
    if len(set(fill)) == 1:
        return np.full(shape[: 1 + min(2, len(fill))], fill[0], np.uint8)
    canvas = np.empty(shape, np.uint8)
    cv2.rectangle(canvas, (0, 0), size, fill, cv2.FILLED)  # ten times as fast as NumPy's broadcast
    return canvas


def own(pixels: Pixels) -> Pixels:
    """The picture itself where nobody else holds it, else a copy: what may be drawn on."""
    return pixels if pixels.flags.owndata else pixels.copy()


def resized(pixels: Pixels, size: Size) -> Pixels:
    """Stretched to (width, height): bilinear to the size times a power of two, then averaged in pairs.

    So an edge that shrinks below half is averaged down, as INTER_AREA does in three times the time.
    """
    width, height = size
    twice_x, twice_y = halvings(pixels.shape[1], width), halvings(pixels.shape[0], height)
    while True:
        step = (width << twice_x, height << twice_y)
        if (pixels.shape[1], pixels.shape[0]) != step:
            pixels = _uint8(cv2.resize(pixels, step, interpolation=cv2.INTER_LINEAR))
        if twice_x == twice_y == 0:
            return pixels
        twice_x, twice_y = max(0, twice_x - 1), max(0, twice_y - 1)


def halvings(old: int, new: int) -> int:
    """How often an edge is averaged in pairs on the way."""
    return max(0, (old // new).bit_length() - 1)


def _upright(pixels: Pixels, matrix: Matrix, canvas: Size) -> tuple[Pixels, int, int] | None:
    """The picture turned by quarters, mirrored and resized, and its (left, top) on the canvas.

    None where the matrix does more, or puts it between pixels.
    """
    size = (pixels.shape[1], pixels.shape[0])
    box = upright_box(size, matrix, canvas)
    if box is None:
        return None
    turned = (box.transposed, box.mirrored, box.upside_down)
    if box.size[0] * box.size[1] < size[0] * size[1]:  # turn the smaller one
        pixels = _turned(resized(pixels, box.size[::-1] if box.transposed else box.size), *turned)
    else:
        pixels = resized(_turned(pixels, *turned), box.size)
    return pixels, box.left, box.top


class UprightBox(NamedTuple):
    """Where an upright picture lies on a canvas; it is transposed first, then mirrored."""

    transposed: bool
    mirrored: bool
    upside_down: bool
    size: Size
    left: int
    top: int


def upright_box(size: Size, matrix: Matrix, canvas: Size) -> UprightBox | None:
    """None where the matrix does more with a picture of `size`, or puts it between pixels."""
    (a, b, x0), (c, d, y0), last = matrix.tolist()
    if last != [0, 0, 1]:
        return None
    width, height = size
    if b == c == 0:
        across, down = a * width, d * height
    elif a == d == 0:
        across, down = b * height, c * width
    else:
        return None
    left, right, top, bottom = round(x0), round(x0 + across), round(y0), round(y0 + down)
    off = max(abs(left - x0), abs(right - x0 - across), abs(top - y0), abs(bottom - y0 - down))
    new = (abs(right - left), abs(bottom - top))
    too_large = new[0] * new[1] > _MOST_GROWN * max(canvas[0] * canvas[1], width * height)
    if off > _WHOLE or 0 in new or too_large:
        return None
    return UprightBox(a == 0, right < left, bottom < top, new, min(left, right), min(top, bottom))


def _turned(pixels: Pixels, transposed: bool, mirrored: bool, upside_down: bool) -> Pixels:
    if transposed and mirrored != upside_down:
        quarter = cv2.ROTATE_90_CLOCKWISE if mirrored else cv2.ROTATE_90_COUNTERCLOCKWISE
        return _uint8(cv2.rotate(pixels, quarter))
    if transposed:
        pixels = _uint8(cv2.transpose(pixels))
    if mirrored or upside_down:
        pixels = _uint8(cv2.flip(pixels, -1 if mirrored and upside_down else int(mirrored)))
    return pixels


def _framed(pixels: Pixels, left: int, top: int, size: Size, fill: tuple[int, ...]) -> Pixels:
    height, width = pixels.shape[:2]
    if left <= 0 and top <= 0 and left + width >= size[0] and top + height >= size[1]:
        whole = left == top == 0 and (width, height) == size
        return pixels if whole else pixels[-top : size[1] - top, -left : size[0] - left]
    right, bottom = size[0] - left - width, size[1] - top - height
    if min(left, top, right, bottom) >= 0:
        border = (top, bottom, left, right, cv2.BORDER_CONSTANT)
        return _uint8(cv2.copyMakeBorder(pixels, *border, None, fill))
    result = plain(size, fill)
    _copy_to(result, pixels, left, top)
    return result


def _copy_to(canvas: Pixels, pixels: Pixels, left: int, top: int) -> None:
    rows = slice(max(0, top), max(0, min(canvas.shape[0], top + pixels.shape[0])))
    columns = slice(max(0, left), max(0, min(canvas.shape[1], left + pixels.shape[1])))
    if rows.stop > rows.start and columns.stop > columns.start:
        canvas[rows, columns] = pixels[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


def _shrunk_first(pixels: Pixels, matrix: Matrix) -> tuple[Pixels, Matrix]:
    """The picture averaged down along the edges that the matrix shrinks, and the rest of the matrix."""
    height, width = pixels.shape[:2]
    size = shrunk_size((width, height), matrix)
    if size == (width, height):
        return pixels, matrix
    return resized(pixels, size), matrix @ scaling(width / size[0], height / size[1])


def shrunk_size(size: Size, matrix: Matrix) -> Size:
    """What a picture of `size` is averaged down to before it is looked up; `size` if it need not be."""
    width, height = size
    top_left, top_right, bottom_right, bottom_left = quad(matrix, size)
    across = max(math.dist(top_left, top_right), math.dist(bottom_left, bottom_right)) / width
    down = max(math.dist(top_left, bottom_left), math.dist(top_right, bottom_right)) / height
    if min(across, down) >= _SHRINK_FIRST and max(size) < _MOST_LOOKED_UP_PX:
        return size
    return (max(1, round(width * min(1, across))), max(1, round(height * min(1, down))))


def _looked_up(
    pixels: Pixels, matrix: Matrix, size: Size, border: int, fill: tuple[int, ...], canvas: Pixels | None
) -> Pixels:
    centred = _CORNER @ matrix @ _CENTRE
    if centred[2, 0] == 0 and centred[2, 1] == 0:
        result = cv2.warpAffine(
            pixels, centred[:2] / centred[2, 2], size, canvas, cv2.INTER_LINEAR, border, fill
        )
    else:
        result = cv2.warpPerspective(pixels, centred, size, canvas, cv2.INTER_LINEAR, border, fill)
    return _uint8(result)


def _with_alpha(pixels: Pixels) -> Pixels:
    return _uint8(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA))


def _uint8(pixels: object) -> Pixels:
    return np.asarray(pixels, np.uint8)
