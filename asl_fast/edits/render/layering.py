"""Patches over and under the picture, and polygons filled."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.geometry import scaling, shift
from asl_fast.edits.patches import (
    Colour3,
    Patch,
    PhotoPatch,
    PlainPatch,
    SignPatch,
    TextPatch,
    colours,
    drawn,
    masks,
)
from asl_fast.edits.render.values import random_bytes
from asl_fast.edits.render.warping import own, plain, resized, touched, warped, warped_into
from asl_fast.edits.steps import Erase, Matrix, Onto, Over

_STAYS = np.eye(3)
_FRACTION_BITS = 4  # OpenCV's polygons: corners in sixteenths of a pixel


def onto(pixels: Pixels, step: Onto, pool: Pool) -> Pixels:
    if isinstance(step.patch, PlainPatch):
        below = plain(step.size, step.patch.fill)
    else:
        below = resized(_opaque(step.patch, pool), step.size)
    if step.opacity == 1:
        laid = own(below)
        warped_into(laid, pixels, step.matrix)
        return laid
    if (step.matrix == _STAYS).all() and step.size == (pixels.shape[1], pixels.shape[0]):
        return _mixed(below, pixels, step.opacity)
    laid = below.copy()
    warped_into(laid, pixels, step.matrix)
    return _mixed(below, laid, step.opacity)


def over(pixels: Pixels, step: Over, pool: Pool) -> Pixels:
    window = touched(step.matrix, (1, 1), (pixels.shape[1], pixels.shape[0]))
    if window is None:
        return pixels
    left, top, right, bottom = window
    result = own(pixels)
    under = result[top:bottom, left:right]
    matrix = shift(-left, -top) @ step.matrix
    if isinstance(step.patch, TextPatch | SignPatch):
        under[:] = _lettered(under, step.patch, matrix, step.opacity)
        return result
    patch = _opaque(step.patch, pool)
    laid = under if step.opacity == 1 else under.copy()
    warped_into(laid, patch, matrix @ scaling(1 / patch.shape[1], 1 / patch.shape[0]))
    if step.opacity < 1:
        under[:] = _mixed(under, laid, step.opacity)
    return result


def erase(pixels: Pixels, step: Erase, pool: Pool) -> Pixels:
    if not step.polygons:
        return pixels
    result = own(pixels)
    if step.noise_seed is None:
        fill_polygons(result, step.polygons, step.fill)
        return result
    left, top = np.maximum(0, np.floor(np.min([one.min(0) for one in step.polygons], 0) - 1)).astype(int)
    right, bottom = np.ceil(np.max([one.max(0) for one in step.polygons], 0) + 1).astype(int)
    under = result[top:bottom, left:right]
    mask_HW = np.zeros(under.shape[:2], np.uint8)
    fill_polygons(mask_HW, tuple(one - (left, top) for one in step.polygons), (255, 255, 255))
    noise = random_bytes(step.noise_seed, under.size)
    cv2.copyTo(noise.reshape(under.shape), mask_HW, under)
    return result


def fill_polygons(
    canvas: NDArray[np.uint8], polygons: tuple[NDArray[np.float64], ...], fill: tuple[int, ...]
) -> None:
    """Fill in place. A box on whole pixels takes exactly its pixels, other polygons all that they touch."""
    for corner_C2 in polygons:
        low, high = corner_C2.min(0), corner_C2.max(0)
        if len(corner_C2) == 4 and (corner_C2 == np.rint(corner_C2)).all() and _is_box(corner_C2, low, high):
            left, top, right, bottom = (int(edge) for edge in (*low, *high))
            if right > left and bottom > top:
                # fifteen times as fast as NumPy's broadcast; OpenCV's corners belong to the box
                cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), fill, cv2.FILLED)
        else:
            fixed = np.rint((corner_C2 - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], fill, shift=_FRACTION_BITS)


def _is_box(corner_C2: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    return bool(((corner_C2 == low) | (corner_C2 == high)).all()) and bool(
        (corner_C2[0] != corner_C2[2]).all()
    )


def _opaque(patch: Patch, pool: Pool) -> Pixels:
    if isinstance(patch, PhotoPatch):
        return pool[min(len(pool) - 1, int(patch.other * len(pool)))].view()  # a view: nobody may draw on it
    if isinstance(patch, PlainPatch):
        return plain((1, 1), patch.fill)
    return np.ascontiguousarray(drawn(patch)[:, :, :3])


def _mixed(below: Pixels, above: Pixels, opacity: float) -> Pixels:
    return np.asarray(cv2.addWeighted(above, opacity, below, 1 - opacity, 0))


def _lettered(under: Pixels, patch: TextPatch | SignPatch, matrix: Matrix, opacity: float) -> Pixels:
    """A window with letters or a sign over it."""
    ink_HW, behind_HW = masks(patch)
    ink, behind = colours(patch)
    size = (under.shape[1], under.shape[0])
    matrix = matrix @ scaling(1 / ink_HW.shape[1], 1 / ink_HW.shape[0])
    result = under
    if behind_HW is not ink_HW:
        result = _tinted(result, warped(behind_HW, matrix, size, (0,)), behind)
    result = _tinted(result, warped(ink_HW, matrix, size, (0,)), ink)
    return result if opacity == 1 else _mixed(under, result, opacity)


def _tinted(under: Pixels, mask_HW: NDArray[np.uint8], colour: Colour3) -> Pixels:
    mask = cv2.cvtColor(mask_HW, cv2.COLOR_GRAY2RGB)
    clear = cv2.multiply(under, cv2.bitwise_not(mask), None, 1 / 255)
    return np.asarray(cv2.add(clear, cv2.LUT(mask, _shares_of(colour))), np.uint8)


@functools.lru_cache(maxsize=256)
def _shares_of(colour: Colour3) -> NDArray[np.uint8]:
    """(1, 256, 3): the colour times 0 to 255 / 255."""
    return np.asarray(np.rint(np.outer(np.arange(256) / 255, colour))[None], np.uint8)
