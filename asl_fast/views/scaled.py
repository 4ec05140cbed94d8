"""A photo decoded at the scale that its chains need, and traces told in the whole photo's pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from asl_fast.edits import Chain, Crop, Fit, Pixels, Trace
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometry import scaling, shift
from asl_fast.edits.steps import Matrix, Size
from asl_fast.edits.trace.polygons import Polygon, cut
from asl_fast.images import decode, decode_as_needed

_SCALES = (8, 4, 2)
_LEAST_PX = 32  # a decoder rounds edges up to whole pixels: of a sliver there would be little else
_STORED_RIGHT_IS_LEFT = (2, 3, 6, 7)  # orientations in which a picture is stored with its left at the end
_STORED_BOTTOM_IS_TOP = (3, 4, 7, 8)


class ScaledPhoto(NamedTuple):
    """pixels: decoded.  size: (width, height) of the whole photo.  matrix: takes its points to `pixels`."""

    pixels: Pixels
    size: Size
    matrix: Matrix


class Need(NamedTuple):
    """Shares of a photo's width and height, and how many pixels the shorter edge of that box must keep."""

    width: float
    height: float
    edge_px: int


def needs_of(chains: Iterable[Chain]) -> list[Need] | None:
    """What chains need of their photo for no view to lose sharpness; None: all of it.

    A chain that crops and mirrors and then fits needs no more than the fitted edge in its crop. What edits
    before a Fit do may depend on the size, so they get the photo as it is.
    """
    needs = [_need_of(chain) for chain in chains]
    return None if None in needs else [need for need in needs if need is not None]


def _need_of(chain: Chain) -> Need | None:
    width = height = 1.0
    for edit in chain.edits:
        if isinstance(edit, Crop):
            width, height = width * edit.width, height * edit.height
        elif isinstance(edit, Fit):
            return Need(width, height, edit.edge_px)
        elif not isinstance(edit, Flip):
            return None
    return None


def edge_needed(needs: Iterable[Need], size: Size) -> int:
    """How many pixels the shorter edge of a photo of this (width, height) must keep."""
    short = min(size)
    edges = (
        math.ceil(need.edge_px * short / min(need.width * size[0], need.height * size[1])) for need in needs
    )
    return max(_LEAST_PX, *edges)


def decode_scaled(data: bytes, needs: Sequence[Need] | None) -> ScaledPhoto:
    """A JPEG at 1/2, 1/4 or 1/8 where that keeps what is needed; anything else whole. ImageError."""
    if needs is None:
        pixels = decode(data)
        return ScaledPhoto(pixels, (pixels.shape[1], pixels.shape[0]), np.eye(3))
    # the decoder keeps twice its hint
    header, pixels = decode_as_needed(data, lambda header: -(-edge_needed(needs, header.size) // 2))
    return ScaledPhoto(pixels, header.size, _to_scaled(pixels, header.size, header.orientation))


def _to_scaled(pixels: Pixels, size: Size, orientation: int) -> Matrix:
    """A pixel decoded is a square of `scale` pixels; the last may stick out of the stored picture."""
    decoded = (pixels.shape[1], pixels.shape[0])
    if decoded == size:
        return np.eye(3)
    scale = next(s for s in _SCALES if decoded == (-(-size[0] // s), -(-size[1] // s)))
    left = scale * decoded[0] - size[0] if orientation in _STORED_RIGHT_IS_LEFT else 0
    top = scale * decoded[1] - size[1] if orientation in _STORED_BOTTOM_IS_TOP else 0
    return scaling(1 / scale, 1 / scale) @ shift(left, top)


def in_whole_photo(trace: Trace, photo: ScaledPhoto) -> Trace:
    """The trace of a view of `photo.pixels`, told in the whole photo's pixels."""
    if trace.photo_size == photo.size:
        return trace
    (shrink, _, left), (_, _, top), _ = photo.matrix.tolist()
    region: Polygon = [((x - left) / shrink, (y - top) / shrink) for x, y in trace.region.tolist()]
    width, height = photo.size
    for line in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 0.0, width), (0.0, -1.0, height)):
        region = cut(region, line)
    return dataclasses.replace(
        trace,
        photo_size=photo.size,
        matrix=trace.matrix @ photo.matrix,
        region=np.array(region, np.float64).reshape(-1, 2),
    )
