"""One view's trace: a homography, the part of the photo that is left, and what hides it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.geometry import moved, scaling
from asl_fast.edits.patches import SignPatch, TextPatch, drawn
from asl_fast.edits.render.warping import warped
from asl_fast.edits.steps import Matrix, Size
from asl_fast.edits.trace.polygons import Polygon, area

_FINE = 4  # a cell of a mask is the mean of 4 x 4 points
_FRACTION_BITS = 4
_SAME = 1e-6  # of a point
_CELL_PX = 8
_MOST_CELLS = 64


@dataclass(frozen=True, eq=False)
class Cover:
    """What lies over the photo: a polygon, or a patch with its own alpha in the unit square.

    to_view: takes the shape to the view.
    """

    shape: NDArray[np.float64] | TextPatch | SignPatch
    to_view: Matrix
    opacity: float


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
        return np.asarray(np.linalg.inv(self.matrix), np.float64)

    @cached_property
    def region_in_view(self) -> NDArray[np.float64]:
        """The region's corners (corners, 2) in the view's pixels."""
        return moved(self.matrix, self.region)

    @property
    def area(self) -> float:
        """Share of the photo that lies in the view, covered or not."""
        return self._region_area / (self.photo_size[0] * self.photo_size[1])

    @property
    def shown(self) -> float:
        """Share of the view's pixels that the photo lies on, covered or not."""
        corners: Polygon = [(x, y) for x, y in self.region_in_view.tolist()]
        return area(corners) / (self.view_size[0] * self.view_size[1])

    @cached_property
    def visible(self) -> float:
        """Share of the region that is not hidden, measured in the photo's pixels, to within the cells."""
        if not self.covers or len(self.region) == 0:
            return self.clear
        grid = self.cells
        weight_HW = self.coverage(grid) * self._photo_area_per_cell(grid)
        whole = float(weight_HW.sum())
        if whole == 0:  # a region thinner than a cell's points
            return self.clear
        return float((weight_HW * self._uncovered(grid)).sum()) / whole

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
        return self.coverage(grid) * self._uncovered(grid)

    def coverage(self, cells: Size | None = None) -> NDArray[np.float32]:
        """(rows, columns): how much of each cell of the view the photo lies on, covered or not, 0 to 1."""
        grid = cells or self.cells
        if len(self.region) == 0:
            return np.zeros((grid[1], grid[0]), np.float32)
        return _mean(_filled(grid, self.region_in_view @ self._to_fine(grid)[:2, :2]), grid)

    def _uncovered(self, grid: Size) -> NDArray[np.float32]:
        """What shines through of each cell."""
        fine_HW = np.full((_FINE * grid[1], _FINE * grid[0]), 255, np.uint8)
        for cover in self.covers:
            hidden_HW = _hidden(grid, cover, self._to_fine(grid) @ cover.to_view)
            shows_HW = cv2.convertScaleAbs(hidden_HW, None, -cover.opacity, 255)
            cv2.multiply(fine_HW, shows_HW, fine_HW, 1 / 255)
        return _mean(fine_HW, grid) * np.float32(self.clear)

    def _to_fine(self, grid: Size) -> Matrix:
        return scaling(_FINE * grid[0] / self.view_size[0], _FINE * grid[1] / self.view_size[1])

    def _photo_area_per_cell(self, grid: Size) -> NDArray[np.float64] | float:
        """The photo's pixels per pixel of the view at each cell's middle, but for a common factor."""
        inverse = self.to_photo
        if inverse[2, 0] == 0 and inverse[2, 1] == 0:
            return 1.0
        x_W = (np.arange(grid[0]) + 0.5) * (self.view_size[0] / grid[0])
        y_H = (np.arange(grid[1]) + 0.5) * (self.view_size[1] / grid[1])
        scale_HW = inverse[2, 0] * x_W + inverse[2, 1] * y_H[:, None] + inverse[2, 2]
        return np.asarray(abs(scale_HW) ** -3)

    @cached_property
    def _region_area(self) -> float:
        return area([(x, y) for x, y in self.region.tolist()])


def _mean(fine_HW: NDArray[np.uint8], grid: Size) -> NDArray[np.float32]:
    mean_HW = cv2.resize(fine_HW.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    return np.asarray(mean_HW.reshape(grid[1], grid[0]) * np.float32(1 / 255))


def _filled(grid: Size, corner_C2: NDArray[np.float64]) -> NDArray[np.uint8]:
    """255 in a convex polygon: boxes exactly, others to within half a point at the outline."""
    size = np.array([_FINE * grid[0], _FINE * grid[1]])
    low, high = corner_C2.min(0), corner_C2.max(0)
    if len(corner_C2) == 4 and ((abs(corner_C2 - low) < _SAME) | (abs(corner_C2 - high) < _SAME)).all():
        low, high = np.clip(low, 0, size), np.clip(high, 0, size)
        x_W, y_H = (
            np.clip(np.minimum(high[axis], at + 1) - np.maximum(low[axis], at), 0, 1)
            for axis, at in ((0, np.arange(size[0])), (1, np.arange(size[1])))
        )
        return np.rint(np.outer(y_H, 255 * x_W)).astype(np.uint8)
    fine_HW = np.zeros(size[::-1], np.uint8)
    fixed = np.rint(np.clip(corner_C2 - 0.5, -30_000, 30_000) * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(fine_HW, [fixed], (255,), shift=_FRACTION_BITS)
    # OpenCV fills what the outline touches, half a point too much on every side
    cv2.polylines(fine_HW, [fixed], True, (128,), shift=_FRACTION_BITS)
    return fine_HW


def _hidden(grid: Size, cover: Cover, to_fine: Matrix) -> NDArray[np.uint8]:
    """How much of each point is under the cover, its opacity apart."""
    if isinstance(cover.shape, np.ndarray):
        return _filled(grid, moved(to_fine, cover.shape))
    alpha = drawn(cover.shape)[:, :, 3]
    to_fine = to_fine @ scaling(1 / alpha.shape[1], 1 / alpha.shape[0])
    return warped(alpha, to_fine, (_FINE * grid[0], _FINE * grid[1]), (0,))
