"""Convex polygons cut by half planes, in plain numbers: faster than arrays for a few corners."""

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
