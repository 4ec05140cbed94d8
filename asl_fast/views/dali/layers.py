"""Pictures laid over one another: photos, letters, signs, masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
from numpy.typing import NDArray

from asl_fast.edits.geometry import scaling
from asl_fast.edits.patches import Patch, PhotoPatch, PlainPatch, drawn
from asl_fast.edits.render.layering import fill_polygons
from asl_fast.edits.steps import Erase, Onto, Over
from asl_fast.views.dali.lowering import Move, laid, stretched
from asl_fast.views.dali.moves import opaque
from asl_fast.views.dali.station import Batch, Picture, Station, each, parts, size_of

Others = Mapping[float, Picture]  # PhotoPatch.other -> the photo, RGB
Draw = Callable[[Sequence[Picture], Sequence[Sequence[Move]]], list[Picture]]


def onto(
    pictures: Sequence[Picture], steps: Sequence[Onto], station: Station, others: Others, draw: Draw
) -> list[Picture]:
    below = _rgba([step.patch for step in steps], station, others)
    below = draw(
        below, [stretched(size_of(patch), one.size) for patch, one in zip(below, steps, strict=True)]
    )
    above = parts(opaque(station.batch(pictures)))
    above = draw(
        above, [laid(size_of(one), step.matrix, step.size) for one, step in zip(above, steps, strict=True)]
    )
    colours = ndd.coord_transform(station.batch(below), M=each([np.eye(3, 4)] * len(below)), dtype=ndd.uint8)
    return _mixed(colours, station.batch(above), [step.opacity for step in steps])


def over(
    pictures: Sequence[Picture], steps: Sequence[Over], station: Station, others: Others, draw: Draw
) -> list[Picture]:
    above = _rgba([step.patch for step in steps], station, others)
    moves = []
    for patch, step, picture in zip(above, steps, pictures, strict=True):
        width, height = size_of(patch)
        moves.append(laid((width, height), step.matrix @ scaling(1 / width, 1 / height), size_of(picture)))
    above = draw(above, moves)
    return _mixed(station.batch(pictures), station.batch(above), [step.opacity for step in steps])


def erase(pictures: Sequence[Picture], steps: Sequence[Erase], station: Station) -> list[Picture]:
    """Polygons of one colour. They are drawn on the host, one byte a pixel, and filled on the device."""
    masks = []
    for picture, step in zip(pictures, steps, strict=True):
        width, height = size_of(picture)
        mask_HW1 = np.zeros((height, width, 1), np.uint8)
        fill_polygons(mask_HW1[:, :, 0], step.polygons, (255,))
        masks.append(mask_HW1)
    mask = station.batch(station.sent(masks))
    keep_B31 = np.full((len(steps), 3, 1), -1 / 255)
    add_B31 = np.array([step.fill for step in steps])[:, :, None] / 255
    return _blended(station.batch(pictures), mask, keep_B31, add_B31)


def _rgba(patches: Sequence[Patch], station: Station, others: Others) -> list[Picture]:
    """Patches with alpha, colours multiplied by it."""
    result: list[Picture] = [None] * len(patches)
    photos = [place for place, patch in enumerate(patches) if isinstance(patch, PhotoPatch)]
    drawings = [place for place, patch in enumerate(patches) if not isinstance(patch, PhotoPatch)]
    if photos:
        batch = opaque(station.batch([others[patches[place].other] for place in photos]))  # type: ignore[union-attr]
        for place, picture in zip(photos, parts(batch), strict=True):
            result[place] = picture
    if drawings:
        sent = station.sent([_drawn(patches[place]) for place in drawings])
        for place, picture in zip(drawings, sent, strict=True):
            result[place] = picture
    return result


def _drawn(patch: Patch) -> NDArray[np.uint8]:
    if isinstance(patch, PlainPatch):
        return np.array([[(*patch.fill, 255)]], np.uint8)
    assert not isinstance(patch, PhotoPatch)
    return drawn(patch)


def _mixed(below: Batch, above: Batch, opacity_B: Sequence[float]) -> list[Picture]:
    """RGBA over RGB: below * (1 - opacity * alpha) + opacity * above, colours multiplied by alpha already."""
    keep_B34, add_B34 = np.zeros((2, len(opacity_B), 3, 4))
    keep_B34[:, :, 3] = -np.array(opacity_B)[:, None] / 255
    add_B34[:, :, :3] = np.eye(3) * np.array(opacity_B)[:, None, None]
    return _blended(below, above, keep_B34, add_B34)


def _blended(
    below: Batch, layer: Batch, keep_B3C: NDArray[np.float64], add_B3C: NDArray[np.float64]
) -> list[Picture]:
    """below * (1 + keep @ layer) + add @ layer, in float, rounded at the end."""
    one_B3 = np.ones(keep_B3C.shape[:2])
    keep = ndd.coord_transform(layer, M=each(keep_B3C), T=each(one_B3), dtype=ndd.float32)
    add = ndd.coord_transform(layer, M=each(add_B3C), dtype=ndd.float32)
    return parts(ndd.cast(below * keep + add, dtype=ndd.uint8))
