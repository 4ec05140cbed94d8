"""Patches over and under the picture, and polygons filled."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.geometry import corners, moved, scaling, shift
from asl_fast.edits.patches import Patch, PhotoPatch, PlainPatch, SignPatch, TextPatch, drawn
from asl_fast.edits.render.warping import own, plain, resized, warped, warped_into
from asl_fast.edits.steps import Erase, Matrix, Onto, Over

_FRACTION_BITS = 4  # OpenCV's polygons: corners in sixteenths of a pixel


def onto(pixels: Pixels, step: Onto, pool: Pool) -> Pixels:
    if isinstance(step.patch, PlainPatch):
        laid = plain(step.size, step.patch.fill)
    else:
        laid = resized(_opaque(step.patch, pool), step.size)
    below = laid
    laid = own(laid) if step.opacity == 1 else laid.copy()
    warped_into(laid, pixels, step.matrix)
    return laid if step.opacity == 1 else _mixed(below, laid, step.opacity)


def over(pixels: Pixels, step: Over, pool: Pool) -> Pixels:
    window = _window(step.matrix, pixels)
    if window is None:
        return pixels
    left, top, right, bottom = window
    result = own(pixels)
    under = result[top:bottom, left:right]
    matrix = shift(-left, -top) @ step.matrix
    if isinstance(step.patch, TextPatch | SignPatch):
        _ink(under, drawn(step.patch), matrix, step.opacity)
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
    mask_HW = np.zeros(pixels.shape[:2], np.uint8)
    fill_polygons(mask_HW, step.polygons, (255, 255, 255))
    noise = np.random.default_rng(step.noise_seed).integers(0, 256, pixels.shape, np.uint8)
    cv2.copyTo(noise, mask_HW, result)
    return result


def fill_polygons(
    canvas: NDArray[np.uint8], polygons: tuple[NDArray[np.float64], ...], fill: tuple[int, ...]
) -> None:
    """Fill in place. A box on whole pixels takes exactly its pixels, other polygons all that they touch."""
    for corner_C2 in polygons:
        low, high = corner_C2.min(0), corner_C2.max(0)
        if len(corner_C2) == 4 and (corner_C2 == np.rint(corner_C2)).all() and _is_box(corner_C2, low, high):
            (left, top), (right, bottom) = np.maximum(low, 0).astype(int), np.maximum(high, 0).astype(int)
            canvas[top:bottom, left:right] = fill if canvas.ndim == 3 else fill[0]
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


def _window(matrix: Matrix, pixels: Pixels) -> tuple[int, int, int, int] | None:
    """The part of the picture (left, top, right, bottom) that a patch can touch, None if it is off it."""
    corner_42 = moved(matrix, corners((1, 1)))
    (x0, y0), (x1, y1) = corner_42.min(0).tolist(), corner_42.max(0).tolist()
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    right, bottom = min(pixels.shape[1], math.ceil(x1)), min(pixels.shape[0], math.ceil(y1))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _mixed(below: Pixels, above: Pixels, opacity: float) -> Pixels:
    return np.asarray(cv2.addWeighted(above, opacity, below, 1 - opacity, 0))


def _ink(under: Pixels, rgba: NDArray[np.uint8], matrix: Matrix, opacity: float) -> None:
    """Letters or a sign over a window, in place; their colours are multiplied by their alpha already."""
    height, width = under.shape[:2]
    matrix = matrix @ scaling(1 / rgba.shape[1], 1 / rgba.shape[0])
    ink = warped(rgba, matrix, (width, height), (0, 0, 0, 0))
    if opacity < 1:
        ink = np.asarray(cv2.convertScaleAbs(ink, None, opacity, 0))
    clear = cv2.cvtColor(255 - ink[:, :, 3], cv2.COLOR_GRAY2RGB)
    under[:] = cv2.add(cv2.multiply(under, clear, None, 1 / 255), ink[:, :, :3])
