"""3 x 3 homographies and convex polygons, in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.steps import Colour3, Matrix, Size, Warp

MAX_EDGE_PX = 16_000  # OpenCV's warps stop at 32,767
MAX_PIXELS = 1 << 25


def scaling(x: float, y: float) -> Matrix:
    return np.array([[x, 0, 0], [0, y, 0], [0, 0, 1]], np.float64)


def shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def box(left: float, top: float, width: float, height: float) -> Matrix:
    """Takes the unit square to a box."""
    return np.array([[width, 0, left], [0, height, top], [0, 0, 1]], np.float64)


def turn(degrees: float) -> Matrix:
    """Counter-clockwise as seen, about the corner; quarter turns without rounding."""
    quarter, rest = divmod(degrees, 90)
    cos, sin = (
        [(1, 0), (0, 1), (-1, 0), (0, -1)][int(quarter) % 4]
        if rest == 0
        else (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    )
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float64)


def corners(size: tuple[float, float]) -> NDArray[np.float64]:
    """(4, 2), in order round the picture."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def quad(matrix: Matrix, size: tuple[float, float]) -> list[tuple[float, float]]:
    """Where the matrix takes a picture's corners, in `corners` order."""
    width, height = size
    return moved_corners(matrix, [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)])


def moved_corners(matrix: Matrix, polygon: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A few points through a homography: as plain numbers, faster than arrays."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    if g == h == 0 and i == 1:
        return [(a * x + b * y + c, d * x + e * y + f) for x, y in polygon]
    points = []
    for x, y in polygon:
        last = g * x + h * y + i
        points.append(((a * x + b * y + c) / last, (d * x + e * y + f) / last))
    return points


def inverse(matrix: Matrix) -> Matrix:
    """By cofactors: three times as fast as LAPACK for three rows."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    x, y, z = e * i - f * h, f * g - d * i, d * h - e * g
    whole = a * x + b * y + c * z
    if whole == 0:
        raise ValueError(f"inverse: the matrix must have one, got {matrix.tolist()}")
    return np.array(
        [
            [x / whole, (c * h - b * i) / whole, (b * f - c * e) / whole],
            [y / whole, (a * i - c * g) / whole, (c * d - a * f) / whole],
            [z / whole, (b * g - a * h) / whole, (a * e - b * d) / whole],
        ]
    )


def moved(matrix: Matrix, point_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (..., 2) through a homography."""
    point_N3 = point_N2 @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(point_N3[..., :2] / point_N3[..., 2:])


def to_quad(quad_42: NDArray[np.float64]) -> Matrix:
    """Takes the unit square's corners, in `corners` order, to four points (Heckbert 1989)."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad_42.tolist()
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    whole = ax * by - bx * ay
    g, h = (sx * by - bx * sy) / whole, (ax * sy - sx * ay) / whole
    return np.array(
        [[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1]],
        np.float64,
    )


def onto_whole_canvas(matrix: Matrix, size: Size) -> tuple[Matrix, Size]:
    """The matrix and canvas that show all of a moved picture of `size`, no larger than can be drawn."""
    x_4, y_4 = zip(*quad(matrix, size), strict=True)
    left, top = min(x_4), min(y_4)
    return canvas(shift(-left, -top) @ matrix, (max(x_4) - left, max(y_4) - top))


def canvas(matrix: Matrix, edges: tuple[float, float]) -> tuple[Matrix, Size]:
    """The matrix with its canvas in whole pixels, both shrunk if the canvas is beyond what can be drawn.

    Edges are stretched to whole pixels, by less than half a pixel, so that no seam is left.
    """
    width, height = edges
    shrink = min(1.0, MAX_EDGE_PX / max(edges), math.sqrt(MAX_PIXELS / (width * height)))
    size = (max(1, round(shrink * width)), max(1, round(shrink * height)))
    if size == (width, height):
        return matrix, size
    return scaling(size[0] / width, size[1] / height) @ matrix, size


def resized(size: Size, new: Size) -> Warp:
    """The picture stretched to another size."""
    return Warp(scaling(new[0] / size[0], new[1] / size[1]), new)


def framed(size: Size, left: int, top: int, right: int, bottom: int, fill: Colour3) -> Warp:
    """The picture with margins of these pixels."""
    matrix, new = canvas(shift(left, top), (size[0] + left + right, size[1] + top + bottom))
    return Warp(matrix, new, fill)
