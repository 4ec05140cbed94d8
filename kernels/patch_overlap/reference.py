"""The formula of patch_overlap in NumPy: b's patches cut to the region, moved, cut along lines of a."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grid = tuple[int, int]  # columns, rows
_EMPTY = 1e-9  # of a patch: less is rounding


def patch_overlap(
    matrix: NDArray[np.float64], region_C2: NDArray[np.float64], a_grid: Grid, b_grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """a_M, b_M, share_M."""
    columns, rows = b_grid
    corner_42 = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    place_P2 = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), 2).reshape(-1, 1, 2)
    piece_PV2 = place_P2 + corner_42
    middle_2 = region_C2.mean(0) if len(region_C2) else np.zeros(2)
    for corner, after in zip(region_C2, np.roll(region_C2, -1, axis=0), strict=True):
        normal = np.array([corner[1] - after[1], after[0] - corner[0]])
        normal *= 1 if normal @ (middle_2 - corner) >= 0 else -1
        line = np.array([*normal, -normal @ corner])
        piece_PV2 = _cut(piece_PV2, np.broadcast_to(line, (len(piece_PV2), 3)))
    is_empty = len(region_C2) < 3 or _areas(region_C2[None])[0] == 0
    b_P = np.empty(0, np.int64) if is_empty else np.flatnonzero(_areas(piece_PV2) > 0)
    moved_PV3 = piece_PV2[b_P] @ matrix[:, :2].T + matrix[:, 2]
    column_Q, source_Q, slab_QV2 = _into_slabs(moved_PV3[..., :2] / moved_PV3[..., 2:], 0, a_grid[0])
    row_M, slab_M, cell_MV2 = _into_slabs(slab_QV2, 1, a_grid[1])
    a_M, b_M, share_M = row_M * a_grid[0] + column_Q[slab_M], b_P[source_Q[slab_M]], _areas(cell_MV2)
    order_M = np.lexsort((b_M, a_M))
    order_M = order_M[share_M[order_M] > _EMPTY]
    return a_M[order_M], b_M[order_M], share_M[order_M]


def _into_slabs(
    polygon_NV2: NDArray[np.float64], axis: int, num_slabs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Convex polygons cut into slabs k <= coordinate <= k + 1: (slab, polygon it is a piece of, corners)."""
    value_NV = polygon_NV2[:, :, axis]
    first_N = np.clip(np.floor(value_NV.min(1)), 0, num_slabs - 1).astype(np.int64)
    last_N = np.clip(np.ceil(value_NV.max(1)), first_N + 1, num_slabs).astype(np.int64)
    count_N = last_N - first_N
    source_M = np.repeat(np.arange(len(polygon_NV2)), count_N)
    slab_M = first_N[source_M] + np.arange(len(source_M)) - np.repeat(np.cumsum(count_N) - count_N, count_N)
    line_M3 = np.zeros((len(source_M), 3))
    line_M3[:, axis] = 1
    line_M3[:, 2] = -slab_M
    piece_MV2 = _cut(polygon_NV2[source_M], line_M3)
    line_M3[:, axis] = -1
    line_M3[:, 2] = slab_M + 1
    return slab_M, source_M, _cut(piece_MV2, line_M3)


def _cut(polygon_NV2: NDArray[np.float64], line_N3: NDArray[np.float64]) -> NDArray[np.float64]:
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


def _areas(polygon_NV2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shoelace formula of each."""
    from_first_NV2 = polygon_NV2 - polygon_NV2[:, :1]
    x_NV, y_NV = from_first_NV2[:, :, 0], from_first_NV2[:, :, 1]
    return np.asarray(abs((x_NV[:, :-1] * y_NV[:, 1:] - x_NV[:, 1:] * y_NV[:, :-1]).sum(1)) / 2)
