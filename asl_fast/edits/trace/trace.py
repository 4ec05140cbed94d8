"""One view's trace: a homography, the part of the photo that is left, and what hides it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.geometry import corners, inverse, moved, moved_corners, scaling
from asl_fast.edits.patches import SignPatch, TextPatch, coarse_ink, ink_share, masks
from asl_fast.edits.render.warping import warped
from asl_fast.edits.steps import Matrix, Size
from asl_fast.edits.trace.polygons import Limits, Polygon, area, common, corners_of, limits, sides

_FINE = 4  # a cell of a mask is the mean of 4 x 4 points
_FRACTION_BITS = 4
_SAME = 1e-6  # of a cell
_UNIT = corners((1, 1))
_UNIT_CORNERS = corners_of(_UNIT)
_CELL_PX = 8
_MOST_CELLS = 64
_MOST_SHADES = 8  # more, all over each other, are counted on a mask


@dataclass(frozen=True, eq=False)
class Cover:
    """What lies over the photo: a polygon, or a patch with its own alpha in the unit square.

    to_view: takes the shape to the view.
    """

    shape: NDArray[np.float64] | TextPatch | SignPatch
    to_view: Matrix
    opacity: float


class _Shade(NamedTuple):
    """A cover's part in the region.  is_whole: the part is all of it."""

    cover: Cover
    polygon: Polygon
    limits: Limits
    is_whole: bool

    def dark(self, part: Polygon) -> float:
        """How much of the light it takes in a part of its polygon."""
        patch = self.cover.shape
        if isinstance(patch, np.ndarray):
            return self.cover.opacity
        if self.is_whole and part is self.polygon:
            return self.cover.opacity * ink_share(patch)
        return self.cover.opacity * _ink_in(patch, moved_corners(inverse(self.cover.to_view), part))


@dataclass(frozen=True, eq=False)
class Trace:
    """photo_size, view_size: (width, height).  matrix: takes points of the photo to the view.

    Points have the corner at (0, 0) and the centre of the first pixel at (0.5, 0.5).
    region: (corners, 2), the convex part of the photo that lies in the view, in the photo's pixels; no
    corners = none of it.  covers: what lies over it.  clear: what shines through of all of it, in [0, 1].
    """

    photo_size: Size
    view_size: Size
    matrix: Matrix
    region: NDArray[np.float64]
    covers: tuple[Cover, ...]
    clear: float

    @cached_property
    def to_photo(self) -> Matrix:
        """Takes points of the view to the photo."""
        return inverse(self.matrix)

    @cached_property
    def region_in_view(self) -> NDArray[np.float64]:
        """The region's corners (corners, 2) in the view's pixels."""
        return np.array(self._outline, np.float64).reshape(-1, 2)

    @cached_property
    def _outline(self) -> Polygon:
        return moved_corners(self.matrix, corners_of(self.region))

    @property
    def _is_affine(self) -> bool:
        return bool(self.matrix[2, 0] == 0 and self.matrix[2, 1] == 0)

    @property
    def area(self) -> float:
        """Share of the photo that lies in the view, covered or not."""
        return self._region_area / (self.photo_size[0] * self.photo_size[1])

    @property
    def shown(self) -> float:
        """Share of the view's pixels that the photo lies on, covered or not."""
        return area(self._outline) / (self.view_size[0] * self.view_size[1])

    @cached_property
    def visible(self) -> float:
        """Share of the region that is not hidden, measured in the photo's pixels.

        Exact for polygons, however they overlap; to within a cell of a coarse mask for letters.
        """
        shades = self._shades
        if not shades:
            return self.clear
        if len(shades) <= _MOST_SHADES:
            whole = self._photo_px(self._outline)
            seen = whole - sum(
                shade.dark(shade.polygon) * self._lit(shade.polygon, shades[number:])
                for number, shade in enumerate(shades, 1)
            )
            return self.clear * max(0.0, seen / whole)
        grid = self.cells
        weight_HW = self.coverage(grid) * self._photo_area_per_cell(grid)
        whole = float(weight_HW.sum())
        if whole == 0:  # a region thinner than a cell's points
            return self.clear
        return float((weight_HW * self._uncovered(grid)).sum()) / whole

    @property
    def least_visible(self) -> float:
        """A bound below `visible` for which no letter is drawn: they count as solid, and covers as apart."""
        if not self._shades:
            return self.clear
        dark = sum(shade.cover.opacity * self._photo_px(shade.polygon) for shade in self._shades)
        return self.clear * max(0.0, 1 - dark / self._photo_px(self._outline))

    @cached_property
    def _shades(self) -> list[_Shade]:
        """What each cover hides of the region; those beside it are left out."""
        if not self.covers or self._region_area == 0:
            return []
        # cut in the view: beside the region a homography may have no way back to the photo
        around, lines = limits(self._outline), sides(self._outline)
        is_box = all(x in around[::2] and y in around[1::2] for x, y in self._outline)
        shades = []
        for cover in self.covers:
            corner_C = corners_of(cover.shape) if isinstance(cover.shape, np.ndarray) else _UNIT_CORNERS
            polygon = moved_corners(cover.to_view, corner_C)
            reach = limits(polygon)
            if _are_apart(reach, around):
                continue
            if is_box and _lies_in(reach, around):
                shades.append(_Shade(cover, polygon, reach, True))
            elif inside := common(polygon, lines):
                shades.append(_Shade(cover, inside, limits(inside), inside is polygon))
        # letters last: of them it is known how dark they are in any part that another cover leaves
        return sorted(shades, key=lambda shade: not isinstance(shade.cover.shape, np.ndarray))

    def _lit(self, polygon: Polygon, shades: list[_Shade]) -> float:
        """The photo's pixels in a polygon of the view, times what these shades leave of them."""
        lit = self._photo_px(polygon)
        around = limits(polygon)
        for number, shade in enumerate(shades, 1):
            if not _are_apart(shade.limits, around):
                part = common(shade.polygon, sides(polygon))
                lit -= shade.dark(part) * self._lit(part, shades[number:]) if part else 0.0
        return lit

    def _photo_px(self, polygon: Polygon) -> float:
        """Its area in the photo, but for a common factor."""
        return area(polygon if self._is_affine else moved_corners(self.to_photo, polygon))

    @property
    def content(self) -> float:
        """Share of the photo's content that survives: area x visible. The natural order of norms."""
        return self.area * self.visible

    @property
    def cells(self) -> Size:
        """(columns, rows) of the mask that is kept by default: one cell for 8 x 8 pixels, 64 at most."""
        columns, rows = (min(_MOST_CELLS, max(1, -(-edge // _CELL_PX))) for edge in self.view_size)
        return (columns, rows)

    def mask(self, cells: Size | None = None) -> NDArray[np.float32]:
        """(rows, columns): how much of each cell of the view shows the photo, 0 to 1."""
        grid = cells or self.cells
        covered_HW = self.coverage(grid)
        return covered_HW * self._uncovered(grid) if len(self.region) else covered_HW

    def coverage(self, cells: Size | None = None) -> NDArray[np.float32]:
        """(rows, columns): how much of each cell of the view the photo lies on, covered or not, 0 to 1."""
        grid = cells or self.cells
        if len(self.region) == 0:
            return np.zeros((grid[1], grid[0]), np.float32)
        return _covered(grid, self.region_in_view * self._cells_per_px(grid))

    def _uncovered(self, grid: Size) -> NDArray[np.float32]:
        """What shines through of each cell, as if covers that share a cell lay there independently."""
        shows_HW = np.full((grid[1], grid[0]), self.clear, np.float32)
        per_px_2 = self._cells_per_px(grid)
        low, high = self.region_in_view.min(0), self.region_in_view.max(0)
        for cover in self.covers:
            polygon = cover.shape if isinstance(cover.shape, np.ndarray) else _UNIT
            corner_C2 = moved(cover.to_view, polygon)
            if (corner_C2 >= high).all(0).any() or (corner_C2 <= low).all(0).any():
                continue  # letters on a bar beside the photo, as screenshots have them
            if isinstance(cover.shape, np.ndarray):
                hidden_HW = _covered(grid, corner_C2 * per_px_2)
            else:
                hidden_HW = _inked(grid, masks(cover.shape).behind_HW, scaling(*per_px_2) @ cover.to_view)
            shows_HW *= 1 - np.float32(cover.opacity) * hidden_HW
        return shows_HW

    def _cells_per_px(self, grid: Size) -> NDArray[np.float64]:
        return np.array([grid[0] / self.view_size[0], grid[1] / self.view_size[1]])

    def _photo_area_per_cell(self, grid: Size) -> NDArray[np.float64] | float:
        """The photo's pixels per pixel of the view at each cell's middle, but for a common factor."""
        to_photo = self.to_photo
        if self._is_affine:
            return 1.0
        x_W = (np.arange(grid[0]) + 0.5) * (self.view_size[0] / grid[0])
        y_H = (np.arange(grid[1]) + 0.5) * (self.view_size[1] / grid[1])
        scale_HW = to_photo[2, 0] * x_W + to_photo[2, 1] * y_H[:, None] + to_photo[2, 2]
        return np.asarray(abs(scale_HW) ** -3)

    @cached_property
    def _region_area(self) -> float:
        return area(corners_of(self.region))


def _lies_in(one: Limits, other: Limits) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] and one[3] <= other[3]


def _are_apart(one: Limits, other: Limits) -> bool:
    """Whether two boxes don't overlap."""
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def _ink_in(patch: TextPatch | SignPatch, polygon: Polygon) -> float:
    """Mean alpha in a polygon of the unit square."""
    ink_GG = coarse_ink(patch)
    inside_GG = np.zeros_like(ink_GG)
    edge = len(ink_GG) << _FRACTION_BITS
    fixed = np.rint(np.array(polygon) * edge - (1 << _FRACTION_BITS) / 2).astype(np.int32)
    cv2.fillConvexPoly(inside_GG, fixed, (1,), shift=_FRACTION_BITS)
    cells = int(cv2.countNonZero(inside_GG))
    return cv2.mean(ink_GG, inside_GG)[0] / 255 if cells else ink_share(patch)


def _covered(grid: Size, corner_C2: NDArray[np.float64]) -> NDArray[np.float32]:
    """Share of each cell inside a convex polygon: of boxes exactly, of others from a finer drawing."""
    low, high = corner_C2.min(0), corner_C2.max(0)
    if len(corner_C2) == 4 and ((corner_C2 - low < _SAME) | (high - corner_C2 < _SAME)).all():
        x_W, y_H = (
            np.diff(np.clip(np.arange(edge + 1.0), low[axis], high[axis])) for axis, edge in enumerate(grid)
        )
        return np.asarray(y_H[:, None] * x_W, np.float32)
    fine_HW = np.zeros((_FINE * grid[1], _FINE * grid[0]), np.uint8)
    at_most = np.clip(_FINE * corner_C2 - 0.5, -30_000, 30_000)
    fixed = np.rint(at_most * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(fine_HW, [fixed], (255,), shift=_FRACTION_BITS)
    # OpenCV fills what the outline touches, half a point too much on every side
    cv2.polylines(fine_HW, [fixed], True, (128,), shift=_FRACTION_BITS)
    return _mean(fine_HW, grid)


def _inked(grid: Size, alpha_HW: NDArray[np.uint8], to_grid: Matrix) -> NDArray[np.float32]:
    """Mean alpha of each cell under a patch."""
    matrix = scaling(_FINE, _FINE) @ to_grid @ scaling(1 / alpha_HW.shape[1], 1 / alpha_HW.shape[0])
    return _mean(warped(alpha_HW, matrix, (_FINE * grid[0], _FINE * grid[1]), (0,)), grid)


def _mean(fine_HW: NDArray[np.uint8], grid: Size) -> NDArray[np.float32]:
    mean_HW = np.asarray(cv2.resize(fine_HW, grid, interpolation=cv2.INTER_AREA))
    return np.asarray(mean_HW.reshape(grid[1], grid[0]) * np.float32(1 / 255), np.float32)
