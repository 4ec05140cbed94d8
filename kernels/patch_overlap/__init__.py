"""Which patches of two views show a common piece of the photo, and how much of it.

    share(i, j) = area(patch i of a  and  H (patch j of b  and  region)) / area(patch i of a)

H takes points of b to points of a; the region is the convex part of b that a holds too. A homography keeps
lines straight, so every piece is a convex polygon: it is cut by the columns and rows of a, its area is exact.

Why it exists: losses on patches need the pairs that belong together for every pair of views of every step. In
NumPy that takes as long as drawing four views; of all pairs of patches a few hundred are not empty.

What bounds its speed: cutting some six polygons of five corners for each pair that is found, about 0.1 us.

Shapes: matrix (3, 3); region (C, 2) in b's patches; -> a_M, b_M int64, the patches' numbers row by row,
sorted by a, then b; share_M float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C

WHO = "patch_overlap"
Grid = tuple[int, int]  # columns, rows
_MOST_PATCHES = 1 << 20


def patch_overlap(
    matrix: ArrayLike, region_C2: ArrayLike, a_grid: Grid, b_grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """a_M, b_M, share_M of the pairs that overlap. ValueError names the argument that breaks a rule."""
    to_a = np.ascontiguousarray(matrix, np.float64)
    corner_C2 = np.ascontiguousarray(region_C2, np.float64)
    if to_a.shape != (3, 3) or not np.isfinite(to_a).all():
        raise ValueError(f"{WHO}: matrix must be (3, 3) and finite, got {to_a.shape}: {to_a.tolist()!s:.80}")
    if corner_C2.ndim != 2 or corner_C2.shape[1] != 2 or not np.isfinite(corner_C2).all():
        raise ValueError(f"{WHO}: region must be finite corners (C, 2), got {corner_C2.shape}")
    if len(corner_C2) and (corner_C2 @ to_a[2, :2] + to_a[2, 2]).min() <= 0:
        raise ValueError(f"{WHO}: the matrix's last coordinate must be positive all over the region")
    for name, grid in (("a_grid", a_grid), ("b_grid", b_grid)):
        if len(grid) != 2 or min(grid) < 1 or grid[0] * grid[1] > _MOST_PATCHES:
            raise ValueError(
                f"{WHO}: {name} must be (columns, rows), 1 or more and {_MOST_PATCHES} patches at most, "
                f"got {grid}"
            )
    return _C.patch_overlaps(to_a, corner_C2, a_grid, b_grid)
