"""Blurs, mosaics, recompression and edges."""

from __future__ import annotations

import functools
import io
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.render.plan import StretchedBlur
from asl_fast.edits.render.warping import resized
from asl_fast.edits.steps import Convolve, DrawEdges, GaussianBlur, MedianFilter, Mosaic, Recompress

_LEAST_SIGMA = 0.1  # a narrower blur changes nothing
_MOST_SIGMA = 2.0  # beyond this the picture is shrunk first: the same look, at a cost that stays flat
_BOX_VARIANCE = 2.0  # of the mean of five pixels
_LEAST_VARIANCE = 0.3  # of five taps: three do below
_MOST_MEDIAN_PX = 5  # likewise; OpenCV takes thirty times as long for the next size
_WEBP_METHOD = 0  # the fastest encoder
_MOST_WEBP_EDGE = 16_383
_MOST_EDGE_SIGMA = 8.0


def gaussian_blur(pixels: Pixels, step: GaussianBlur, pool: Pool) -> Pixels:
    return blurred(pixels, step.sigma_px, step.sigma_px)


def stretched_blur(pixels: Pixels, step: StretchedBlur, pool: Pool) -> Pixels:
    return blurred(pixels, step.sigma_x_px, step.sigma_y_px)


def blurred(pixels: Pixels, sigma_x_px: float, sigma_y_px: float) -> Pixels:
    """Nearly Gaussian, of this standard deviation along each axis: cheap filters of the same variance."""
    widest = max(sigma_x_px, sigma_y_px)
    if widest < _LEAST_SIGMA:
        return pixels
    variances = sigma_x_px**2, sigma_y_px**2
    if widest <= _MOST_SIGMA:
        return _smoothed(pixels, *variances)
    times = math.ceil(math.log2(widest / _MOST_SIGMA))
    cell = 1 << times
    # the mean of a cell blurs, and so does growing
    already = (cell**2 - 1) / 12 + cell**2 / 6
    rest_x, rest_y = (max(0.0, variance - already) / cell**2 for variance in variances)
    # a last row or column that fills no cell is made of the one before: halves of whole pixels are fast
    height, width = pixels.shape[:2]
    whole = (width // cell * cell or width, height // cell * cell or height)
    small = resized(pixels[: whole[1], : whole[0]], (max(1, width // cell), max(1, height // cell)))
    grown = resized(_smoothed(small, rest_x, rest_y), whole)
    if whole == (width, height):
        return grown
    margins = (0, height - whole[1], 0, width - whole[0])
    return np.asarray(cv2.copyMakeBorder(grown, *margins, cv2.BORDER_REPLICATE), np.uint8)


def _smoothed(pixels: Pixels, variance_x: float, variance_y: float) -> Pixels:
    """Means of five pixels while the variance has room for them, then weighted taps for the rest."""
    boxes = int(min(variance_x, variance_y) / _BOX_VARIANCE)
    for _ in range(boxes):
        pixels = np.asarray(cv2.blur(pixels, (5, 5), borderType=cv2.BORDER_REFLECT_101), np.uint8)
    rest_x, rest_y = variance_x - boxes * _BOX_VARIANCE, variance_y - boxes * _BOX_VARIANCE
    if max(rest_x, rest_y) < _LEAST_SIGMA**2:
        return pixels
    smooth = cv2.sepFilter2D(pixels, -1, _taps(rest_x), _taps(rest_y), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(smooth, np.uint8)


def _taps(variance: float) -> NDArray[np.float32]:
    """Three or five weights of this variance."""
    if variance < _LEAST_VARIANCE:
        return np.array([variance / 2, 1 - variance, variance / 2], np.float32)
    sigma_S, variance_S = _sigmas_of_five_taps()
    return _five_taps(float(np.interp(variance, variance_S, sigma_S)))


@functools.cache
def _sigmas_of_five_taps() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sigma that five samples of the bell are taken with, and the variance they then have."""
    sigma_S = np.geomspace(0.5, 20, 200)
    taps_S5 = np.stack([_five_taps(sigma) for sigma in sigma_S])
    return sigma_S, taps_S5 @ np.array([4.0, 1, 0, 1, 4])


def _five_taps(sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.getGaussianKernel(5, sigma, cv2.CV_32F)[:, 0], np.float32)


def convolve(pixels: Pixels, step: Convolve, pool: Pool) -> Pixels:
    return np.asarray(cv2.filter2D(pixels, -1, step.kernel))


def median_filter(pixels: Pixels, step: MedianFilter, pool: Pool) -> Pixels:
    if step.edge_px <= _MOST_MEDIAN_PX:
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(pixels), step.edge_px))
    small = _shrunk(pixels, _MOST_MEDIAN_PX / step.edge_px)
    return _like(pixels, cv2.medianBlur(small, _MOST_MEDIAN_PX))


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
    # OpenCV's encoder is slow and takes no method; its decoder is fast
    return np.asarray(cv2.imdecode(np.frombuffer(packed.getbuffer(), np.uint8), cv2.IMREAD_COLOR_RGB))


def _shrunk(pixels: Pixels, share: float) -> Pixels:
    height, width = pixels.shape[:2]
    return resized(pixels, (max(1, round(width * share)), max(1, round(height * share))))


def _like(pixels: Pixels, small: object) -> Pixels:
    return resized(np.asarray(small, np.uint8), (pixels.shape[1], pixels.shape[0]))


def draw_edges(pixels: Pixels, step: DrawEdges, pool: Pool) -> Pixels:
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    sigma = max(0.5, min(_MOST_EDGE_SIGMA, step.sigma_px))
    smooth = blurred(grey, sigma, sigma)
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
    table = np.tile(np.array(step.paper, np.uint8), (256, 1))
    table[255] = step.ink
    return np.asarray(cv2.LUT(cv2.cvtColor(edge, cv2.COLOR_GRAY2RGB), table[None]), np.uint8)


def _hysteresis(steep_HW: NDArray[np.uint8], low: float, high: float) -> NDArray[np.uint8]:
    """255 in connected parts above `low` that somewhere pass `high`."""
    num_parts, part_HW = cv2.connectedComponents((steep_HW > low).astype(np.uint8))
    strong = np.zeros(num_parts, np.uint8)
    strong[part_HW[steep_HW > high]] = 255
    strong[0] = 0
    return np.asarray(strong[part_HW])
