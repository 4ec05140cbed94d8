"""Pictures cut, mirrored, resized and moved by homographies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
from numpy.typing import NDArray
from nvidia.dali.types import DALIInterpType

from asl_fast.edits.steps import Size
from asl_fast.views.dali.lowering import Cut, Enlarge, Flip, Look, Smooth, Stretch
from asl_fast.views.dali.station import Batch, Picture, Station, each, parts, size_of

# A repeated pixel is chosen by rounding down: on a border, rounding errors must not choose the one before.
_INSIDE_PX = 1e-3


def cut(pictures: Sequence[Picture], cuts: Sequence[Cut], station: Station) -> list[Picture]:
    start_B2 = each([(cut.top, cut.left) for cut in cuts], np.int32)
    shape_B2 = each([cut.size[::-1] for cut in cuts], np.int32)
    return parts(ndd.slice(station.batch(pictures), start=start_B2, shape=shape_B2, axes=(0, 1)))


def flip(pictures: Sequence[Picture], flips: Sequence[Flip], station: Station) -> list[Picture]:
    across_B = each([flip.across for flip in flips], np.int32)
    down_B = each([flip.down for flip in flips], np.int32)
    return parts(ndd.flip(station.batch(pictures), horizontal=across_B, vertical=down_B))


def smooth(pictures: Sequence[Picture], smooths: Sequence[Smooth], station: Station) -> list[Picture]:
    return parts(_resized(pictures, [one.size for one in smooths], station, antialias=True))


def stretch(pictures: Sequence[Picture], stretches: Sequence[Stretch], station: Station) -> list[Picture]:
    return parts(stretched_batch(pictures, [one.size for one in stretches], station))


def stretched_batch(pictures: Sequence[Picture], sizes: Sequence[Size], station: Station) -> Batch:
    return _resized(pictures, sizes, station, antialias=False)


def enlarge(pictures: Sequence[Picture], enlarges: Sequence[Enlarge], station: Station) -> list[Picture]:
    """As OpenCV: pixel x of the result repeats pixel floor(x * old / new)."""
    matrix_B23 = np.zeros((len(pictures), 2, 3))
    for place, (picture, one) in enumerate(zip(pictures, enlarges, strict=True)):
        for axis, (old, new) in enumerate(zip(size_of(picture), one.size, strict=True)):
            matrix_B23[place, axis, [axis, 2]] = old / new, _INSIDE_PX - 0.5 * old / new
    nearest = DALIInterpType.INTERP_NN
    size_B2 = _heights_widths([one.size for one in enlarges])
    batch = station.batch(pictures)
    return parts(ndd.warp_affine(batch, matrix=each(matrix_B23), size=size_B2, interp_type=nearest))


def look(pictures: Sequence[Picture], looks: Sequence[Look], station: Station) -> list[Picture]:
    """As OpenCV's warps with a constant border: bilinear, the border blended in within one pixel."""
    result: list[Picture] = [None] * len(pictures)
    for is_affine in (True, False):
        for is_black in (True, False):
            places = [
                place
                for place, one in enumerate(looks)
                if (one.matrix[2, :2] == 0).all() == is_affine and (not any(one.fill)) == is_black
            ]
            if not places:
                continue
            some = station.batch([pictures[place] for place in places])
            moves = [looks[place] for place in places]
            moved = _looked_up(some if is_black else opaque(some), moves, is_affine)
            for place, picture in zip(
                places, parts(moved if is_black else _on_fill(moved, moves)), strict=True
            ):
                result[place] = picture
    return result


def opaque(batch: Batch) -> Batch:
    """RGB with an alpha of 255."""
    matrix = np.zeros((4, 4), np.float32)
    matrix[:3, :3] = np.eye(3)
    matrix[3, 3] = 255
    return ndd.coord_transform(batch, MT=each([matrix] * batch.batch_size), dtype=ndd.uint8)


def recoloured(batch: Batch, matrix_BCC: Sequence[NDArray[np.float64]]) -> Batch:
    """Every pixel's (channels, 1) times a matrix, rounded and kept within uint8."""
    return ndd.coord_transform(batch, MT=each(matrix_BCC), dtype=ndd.uint8)


def _on_fill(batch: Batch, looks: Sequence[Look]) -> Batch:
    """RGBA with colours multiplied by alpha, over one colour: rgb + (1 - alpha) fill, linear in RGBA."""
    matrices = []
    for one in looks:
        matrix = np.eye(3, 5)
        matrix[:, 3], matrix[:, 4] = -np.array(one.fill) / 255, one.fill
        matrices.append(matrix)
    return recoloured(batch, matrices)


def _looked_up(batch: Batch, looks: Sequence[Look], is_affine: bool) -> Batch:
    back_B33 = np.linalg.inv(np.stack([one.matrix for one in looks]))
    size_B2 = _heights_widths([one.size for one in looks])
    operator: Callable[..., Batch]
    if is_affine:
        back_B33 = back_B33[:, :2] / back_B33[:, 2:, 2:]
        operator = ndd.warp_affine
    else:
        operator = ndd.experimental.warp_perspective
    return operator(batch, matrix=each(back_B33), size=size_B2, fill_value=0)


def _resized(pictures: Sequence[Picture], sizes: Sequence[Size], station: Station, antialias: bool) -> Batch:
    return ndd.resize(
        station.batch(pictures),
        size=_heights_widths(sizes),
        interp_type=DALIInterpType.INTERP_LINEAR,
        antialias=antialias,
    )


def _heights_widths(sizes: Sequence[Size]) -> Batch:
    return each([size[::-1] for size in sizes])
