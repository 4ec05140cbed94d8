"""Pictures moved by a homography: exact where pixels fall on pixels, averaged where they shrink."""

from __future__ import annotations

import cv2
import numpy as np

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.geometry import corners, moved, scaling
from asl_fast.edits.steps import Matrix, Size, Warp

_SHRINK_FIRST = 0.6  # a bilinear look-up skips pixels where it shrinks to less than half
_CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # of OpenCV's first pixel, whose centre is (0, 0)
_CORNER = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_QUARTERS: dict[tuple[float, ...], int] = {
    (0, 1, -1, 0): cv2.ROTATE_90_COUNTERCLOCKWISE,
    (-1, 0, 0, -1): cv2.ROTATE_180,
    (0, -1, 1, 0): cv2.ROTATE_90_CLOCKWISE,
}
_FLIPS: dict[tuple[float, ...], int] = {(-1, 0, 0, 1): 1, (1, 0, 0, -1): 0}


def warp(pixels: Pixels, step: Warp, pool: Pool) -> Pixels:
    exact = _on_whole_pixels(pixels, step)
    if exact is not None:
        return exact
    return warped(pixels, step.matrix, step.size, step.fill)


def warped(pixels: Pixels, matrix: Matrix, size: Size, fill: tuple[int, ...]) -> Pixels:
    """The picture, of any number of channels, moved onto a canvas of (width, height) filled with `fill`."""
    pixels, matrix = _shrunk_first(pixels, matrix)
    place = whole_place(matrix)
    if place is not None:
        return _framed(pixels, *place, size, fill)
    return _opencv_warp(pixels, matrix, size, cv2.BORDER_CONSTANT, fill, None)


def warped_into(canvas: Pixels, pixels: Pixels, matrix: Matrix) -> None:
    """The picture moved onto a canvas, in place; where it doesn't reach, the canvas is as it was."""
    pixels, matrix = _shrunk_first(pixels, matrix)
    place = whole_place(matrix)
    if place is not None:
        _copy_to(canvas, pixels, *place)
    else:
        size = (canvas.shape[1], canvas.shape[0])
        _opencv_warp(pixels, matrix, size, cv2.BORDER_TRANSPARENT, (0, 0, 0), canvas)


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
    """Stretched to (width, height): area averages along an edge that shrinks below half, else linear."""
    height, width = pixels.shape[:2]
    low = (size[0] if 2 * size[0] < width else width, size[1] if 2 * size[1] < height else height)
    for new, how in ((low, cv2.INTER_AREA), (size, cv2.INTER_LINEAR)):
        if (pixels.shape[1], pixels.shape[0]) != new:
            pixels = _uint8(cv2.resize(pixels, new, interpolation=how))
    return pixels


def _on_whole_pixels(pixels: Pixels, step: Warp) -> Pixels | None:
    """Crop, frame, mirror, quarter turn or plain resize without a look-up; None if it is none of these."""
    height, width = pixels.shape[:2]
    matrix = step.matrix
    if matrix[2, 0] != 0 or matrix[2, 1] != 0 or matrix[2, 2] != 1:
        return None
    place = whole_place(matrix)
    if place is not None:
        return _framed(pixels, *place, step.size, step.fill)
    reached_42 = moved(matrix, corners((width, height)))
    if abs(reached_42.min(0)).max() > 1e-6 or abs(reached_42.max(0) - step.size).max() > 1e-6:
        return None
    a, b, c, d = matrix[:2, :2].ravel().tolist()
    if (a, b, c, d) in _FLIPS:
        return _uint8(cv2.flip(pixels, _FLIPS[a, b, c, d]))
    if (a, b, c, d) in _QUARTERS:
        return _uint8(cv2.rotate(pixels, _QUARTERS[a, b, c, d]))
    return resized(pixels, step.size) if b == c == 0 and a > 0 and d > 0 else None


def whole_place(matrix: Matrix) -> tuple[int, int] | None:
    """(left, top) if the matrix only moves by whole pixels."""
    a, b, left, c, d, top, g, h, i = matrix.ravel().tolist()
    plain = (a, b, c, d, g, h, i) == (1, 0, 0, 1, 0, 0, 1) and left == int(left) and top == int(top)
    return (int(left), int(top)) if plain else None


def _framed(pixels: Pixels, left: int, top: int, size: Size, fill: tuple[int, ...]) -> Pixels:
    height, width = pixels.shape[:2]
    if left <= 0 and top <= 0 and left + width >= size[0] and top + height >= size[1]:
        return pixels[-top : size[1] - top, -left : size[0] - left]
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
    rest = matrix @ scaling(width / size[0], height / size[1])
    # an upright box ends on whole pixels but for rounding: say so, and it is copied instead of looked up
    near = np.rint(rest)
    return resized(pixels, size), near if abs(rest - near).max() < 1e-9 else rest


def shrunk_size(size: Size, matrix: Matrix) -> Size:
    """What a picture of `size` is averaged down to before the matrix is applied; `size` if it need not be."""
    width, height = size
    top_left, top_right, bottom_right, bottom_left = moved(matrix, corners(size)).tolist()
    across = max(_distance(top_left, top_right), _distance(bottom_left, bottom_right)) / width
    down = max(_distance(top_left, bottom_left), _distance(top_right, bottom_right)) / height
    if min(across, down) >= _SHRINK_FIRST and max(size) < 32_000:
        return size
    return (max(1, round(width * min(1, across))), max(1, round(height * min(1, down))))


def _distance(one: list[float], other: list[float]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _opencv_warp(
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


def _uint8(pixels: object) -> Pixels:
    return np.asarray(pixels, np.uint8)
