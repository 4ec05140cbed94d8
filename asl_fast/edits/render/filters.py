"""Blurs, mosaics, recompression and edges."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.render.warping import resized
from asl_fast.edits.steps import Convolve, DrawEdges, GaussianBlur, MedianFilter, Mosaic, Recompress

LEAST_SIGMA = 0.1  # a narrower blur changes nothing
MOST_SIGMA = 2.5  # beyond this the picture is shrunk first: the same look, at a cost that stays flat
MOST_MEDIAN_PX = 5  # likewise; OpenCV takes thirty times as long for the next size
_WEBP_METHOD = 0  # the fastest encoder
_MOST_WEBP_EDGE = 16_383
_MOST_EDGE_SIGMA = 8.0


def gaussian_blur(pixels: Pixels, step: GaussianBlur, pool: Pool) -> Pixels:
    if step.sigma_px < LEAST_SIGMA:
        return pixels
    if step.sigma_px <= MOST_SIGMA:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), step.sigma_px, borderType=cv2.BORDER_REFLECT_101))
    small = _shrunk(pixels, MOST_SIGMA / step.sigma_px)
    return _like(pixels, cv2.GaussianBlur(small, (0, 0), MOST_SIGMA, borderType=cv2.BORDER_REFLECT_101))


def convolve(pixels: Pixels, step: Convolve, pool: Pool) -> Pixels:
    return np.asarray(cv2.filter2D(pixels, -1, step.kernel))


def median_filter(pixels: Pixels, step: MedianFilter, pool: Pool) -> Pixels:
    if step.edge_px <= MOST_MEDIAN_PX:
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(pixels), step.edge_px))
    small = _shrunk(pixels, MOST_MEDIAN_PX / step.edge_px)
    return _like(pixels, cv2.medianBlur(small, MOST_MEDIAN_PX))


def mosaic(pixels: Pixels, step: Mosaic, pool: Pool) -> Pixels:
    height, width = pixels.shape[:2]
    cells = resized(pixels, step.cells)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST))


def recompress(pixels: Pixels, step: Recompress, pool: Pool) -> Pixels:
    if step.codec == "webp":
        return _through_webp(pixels, step.quality)
    # OpenCV takes the channels for blue, green, red
    quality = [cv2.IMWRITE_JPEG_QUALITY, step.quality]
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB))


def _through_webp(pixels: Pixels, quality: int) -> Pixels:
    if max(pixels.shape[:2]) > _MOST_WEBP_EDGE:
        return pixels  # the format has no room for more: nobody can have saved it so
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "WEBP", quality=quality, method=_WEBP_METHOD)
    with Image.open(packed) as again:
        return np.asarray(again.convert("RGB")).copy()


def _shrunk(pixels: Pixels, share: float) -> Pixels:
    height, width = pixels.shape[:2]
    return resized(pixels, (max(1, round(width * share)), max(1, round(height * share))))


def _like(pixels: Pixels, small: object) -> Pixels:
    return resized(np.asarray(small, np.uint8), (pixels.shape[1], pixels.shape[0]))


def draw_edges(pixels: Pixels, step: DrawEdges, pool: Pool) -> Pixels:
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    sigma = max(0.5, min(_MOST_EDGE_SIGMA, step.sigma_px))
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.uint8)
    across, down = cv2.Sobel(smooth, cv2.CV_16S, 1, 0), cv2.Sobel(smooth, cv2.CV_16S, 0, 1)
    steep = np.asarray(
        cv2.addWeighted(cv2.convertScaleAbs(across), 0.5, cv2.convertScaleAbs(down), 0.5, 0), np.uint8
    )
    strongest = float(np.percentile(steep[::3, ::3], 99.5))
    if step.detector == "canny":
        edge = cv2.Canny(across, down, 2 * step.low * strongest, 2 * step.high * strongest)
    else:
        edge = _hysteresis(steep, step.low * strongest, step.high * strongest)
    if step.thickness_px > 1:
        edge = cv2.dilate(
            edge, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (step.thickness_px, step.thickness_px))
        )
    return np.where(edge[:, :, None] > 0, np.array(step.ink, np.uint8), np.array(step.paper, np.uint8))


def _hysteresis(steep_HW: NDArray[np.uint8], low: float, high: float) -> NDArray[np.uint8]:
    """255 in connected parts above `low` that somewhere pass `high`."""
    num_parts, part_HW = cv2.connectedComponents((steep_HW > low).astype(np.uint8))
    strong = np.zeros(num_parts, np.uint8)
    strong[part_HW[steep_HW > high]] = 255
    strong[0] = 0
    return np.asarray(strong[part_HW])
