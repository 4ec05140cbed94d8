"""Two views of one photo: which point, box and patch of one is which of the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.geometry import inverse, moved, scaling
from asl_fast.edits.steps import Matrix, Size
from asl_fast.edits.trace.polygons import area, common, corners_of, sides
from asl_fast.edits.trace.trace import Trace
from asl_fast.kernels.patch_overlap import patch_overlap


class PatchPairs(NamedTuple):
    """Pairs of patches that show a common piece of the photo, sorted by a, then b.

    a_M, b_M: numbers of the patches, row by row.  share_M: of patch a's area that lies in patch b, covered
    or not.  visible_M: the same, times what is visible of the photo in both patches, taken as independent.
    """

    a_M: NDArray[np.int64]
    b_M: NDArray[np.int64]
    share_M: NDArray[np.float64]
    visible_M: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Alignment:
    """From view a to view b, both of one photo. `Alignment(b, a)` is the way back."""

    a: Trace
    b: Trace

    def __post_init__(self) -> None:
        if self.a.photo_size != self.b.photo_size:
            raise ValueError(
                f"alignment: both views must be of one photo, got photos of {self.a.photo_size} and "
                f"{self.b.photo_size}"
            )

    @cached_property
    def matrix(self) -> Matrix:
        """Takes points of a to b."""
        return self.b.matrix @ self.a.to_photo

    @cached_property
    def back(self) -> Matrix:
        """Takes points of b to a."""
        return self.a.matrix @ self.b.to_photo

    @cached_property
    def region(self) -> NDArray[np.float64]:
        """(corners, 2): the convex part of the photo that lies in both views; no corners = none."""
        if len(self.a.region) == 0 or len(self.b.region) == 0:
            return np.empty((0, 2))
        both = common(corners_of(self.a.region), sides(corners_of(self.b.region)))
        return np.array(both, np.float64).reshape(-1, 2)

    @property
    def overlap(self) -> float:
        """Share of the photo that lies in both views, covered or not."""
        width, height = self.a.photo_size
        return area(corners_of(self.region)) / (width * height)

    @property
    def boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """(left, top, right, bottom) of the common part in a and in b; None if there is none."""
        if len(self.region) == 0:
            return None
        in_a_C2, in_b_C2 = moved(self.a.matrix, self.region), moved(self.b.matrix, self.region)
        box_a, box_b = (np.concatenate([one.min(0), one.max(0)]) for one in (in_a_C2, in_b_C2))
        return box_a, box_b

    def points(self, point_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of a in b; NaN where they don't show the photo, or where b doesn't hold it. Covers are not
        looked at: `Trace.mask` knows them."""
        photo_N3 = point_N2 @ self.a.to_photo[:, :2].T + self.a.to_photo[:, 2]
        inside_N = _inside(photo_N3, self.region)
        result_N2 = np.full(point_N2.shape, np.nan)
        result_N2[inside_N] = moved(self.matrix, point_N2[inside_N])
        return result_N2

    def patch_pairs(self, patches: Size) -> PatchPairs:
        """All pairs of patches of both views cut into (columns, rows) patches, areas exact."""
        if len(self.region) == 0:
            none = np.empty(0, np.int64)
            return PatchPairs(none, none, np.empty(0), np.empty(0))
        in_patches_a, in_patches_b = (
            scaling(patches[0] / view.view_size[0], patches[1] / view.view_size[1])
            for view in (self.a, self.b)
        )
        region_C2 = moved(in_patches_b @ self.b.matrix, self.region)
        matrix = in_patches_a @ self.back @ inverse(in_patches_b)
        a_M, b_M, share_M = patch_overlap(matrix, region_C2, patches, patches)
        visible_M = share_M * _seen(self.a, patches)[a_M] * _seen(self.b, patches)[b_M]
        return PatchPairs(a_M, b_M, share_M, visible_M)


def _inside(point_N3: NDArray[np.float64], region: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether homogeneous points lie in a convex region."""
    if len(region) == 0:
        return np.zeros(len(point_N3), np.bool_)
    line_S3 = np.array(sides(corners_of(region)))
    with np.errstate(divide="ignore", invalid="ignore"):
        point_N2 = point_N3[:, :2] / point_N3[:, 2:]
        return np.asarray((point_N2 @ line_S3[:, :2].T + line_S3[:, 2] >= 0).all(1))


def _seen(trace: Trace, patches: Size) -> NDArray[np.float64]:
    """What is visible of the photo in each patch, of the part that the photo lies on."""
    if not trace.covers:
        return np.full(patches[0] * patches[1], trace.clear)
    shows, covers = trace.mask(patches).ravel(), trace.coverage(patches).ravel()
    return np.divide(shows, covers, out=np.zeros(len(shows)), where=covers > 0)
