"""Convex polygons cut by half planes: one in plain Python, many at once in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Polygon = list[tuple[float, float]]
Line = tuple[float, float, float]  # (a, b, c): the half plane a x + b y + c >= 0
Limits = tuple[float, float, float, float]  # left, top, right, bottom
_SLACK = 1e-9  # of a pixel: a corner this near to a line is on its right side


def cut(polygon: Polygon, line: Line) -> Polygon:
    """The part in the half plane (Sutherland and Hodgman 1974); fewer than three corners = nothing left."""
    a, b, c = line
    slack = -_SLACK * (abs(a) + abs(b))
    depths = [a * x + b * y + c for x, y in polygon]
    if min(depths, default=0.0) >= slack:
        return polygon
    kept: Polygon = []
    for number, (depth, (x, y)) in enumerate(zip(depths, polygon, strict=True)):
        before = depths[number - 1]
        if (before > 0) != (depth > 0) and before != depth:
            share = before / (before - depth)
            last_x, last_y = polygon[number - 1]
            kept.append((last_x + share * (x - last_x), last_y + share * (y - last_y)))
        if depth > 0:
            kept.append((x, y))
    return kept if len(kept) > 2 else []


def area(polygon: Polygon) -> float:
    """Shoelace formula; never negative."""
    twice = 0.0
    last_x, last_y = polygon[-1] if polygon else (0.0, 0.0)
    for x, y in polygon:
        twice += last_x * y - x * last_y
        last_x, last_y = x, y
    return abs(twice) / 2


def corners_of(corner_C2: NDArray[np.float64]) -> Polygon:
    return [(x, y) for x, y in corner_C2.tolist()]


def common(polygon: Polygon, lines: list[Line]) -> Polygon:
    """The part in all half planes."""
    for line in lines:
        if not polygon:
            break
        polygon = cut(polygon, line)
    return polygon


def sides(polygon: Polygon) -> list[Line]:
    """The half planes whose common part is a convex polygon, whichever way round it is told."""
    middle_x = sum(x for x, _ in polygon) / max(1, len(polygon))
    middle_y = sum(y for _, y in polygon) / max(1, len(polygon))
    lines: list[Line] = []
    for number, (x, y) in enumerate(polygon):
        before_x, before_y = polygon[number - 1]
        a, b = before_y - y, x - before_x
        if a * (middle_x - x) + b * (middle_y - y) < 0:
            a, b = -a, -b
        if a or b:
            lines.append((a, b, -(a * x + b * y)))
    return lines


def limits(polygon: Polygon) -> Limits:
    """Of a polygon that has corners."""
    xs, ys = zip(*polygon, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def cut_many(polygon_NV2: NDArray[np.float64], line_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each convex polygon cut by its own line; (N, V + 1, 2) at most.

    Polygons have fewer corners than V where corners stand twice. Nothing left = all corners in one place.
    """
    depth_NV = (polygon_NV2 * line_N3[:, None, :2]).sum(2) + line_N3[:, 2:]
    inside_NV = depth_NV >= 0
    if inside_NV.all():
        return polygon_NV2
    next_NV2 = np.roll(polygon_NV2, -1, axis=1)
    next_depth_NV = np.roll(depth_NV, -1, axis=1)
    crosses_NV = inside_NV != np.roll(inside_NV, -1, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share_NV = np.where(crosses_NV, depth_NV / (depth_NV - next_depth_NV), 0.0)
    crossing_NV2 = polygon_NV2 + share_NV[:, :, None] * (next_NV2 - polygon_NV2)
    # corner, crossing, corner, crossing ...; those that are kept move to the front in order
    num, corners = depth_NV.shape
    both_N2V2 = np.stack([polygon_NV2, crossing_NV2], 2).reshape(num, 2 * corners, 2)
    keep_N2V = np.stack([inside_NV, crosses_NV], 2).reshape(num, 2 * corners)
    order_N2V = np.argsort(~keep_N2V, axis=1, kind="stable")[:, : corners + 1]
    kept_NV2 = np.take_along_axis(both_N2V2, order_N2V[:, :, None], axis=1)
    is_kept_NV = np.take_along_axis(keep_N2V, order_N2V, axis=1)
    return np.where(is_kept_NV[:, :, None], kept_NV2, kept_NV2[:, :1])


def areas(polygon_NV2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shoelace formula of each."""
    from_first_NV2 = polygon_NV2 - polygon_NV2[:, :1]
    x_NV, y_NV = from_first_NV2[:, :, 0], from_first_NV2[:, :, 1]
    return np.asarray(abs((x_NV[:, :-1] * y_NV[:, 1:] - x_NV[:, 1:] * y_NV[:, :-1]).sum(1)) / 2)
