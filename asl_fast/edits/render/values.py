"""Colours, tables, noise, shade and screens: every pixel in its place."""

from __future__ import annotations

import cv2
import numpy as np

from asl_fast.edits.edit import Pixels, Pool
from asl_fast.edits.render.warping import own
from asl_fast.edits.steps import (
    AddNoise,
    FlattenHistogram,
    Lookup,
    Recolour,
    Screen,
    Shade,
    ShufflePixels,
)

_BYTES_SIGMA = 2 * 73.9  # standard deviation of a sum of four random bytes


def recolour(pixels: Pixels, step: Recolour, pool: Pool) -> Pixels:
    return np.asarray(cv2.transform(pixels, step.matrix))


def lookup(pixels: Pixels, step: Lookup, pool: Pool) -> Pixels:
    table = step.table if step.table.ndim == 1 else step.table[None]
    return np.asarray(cv2.LUT(pixels, np.ascontiguousarray(table)))


def flatten_histogram(pixels: Pixels, step: FlattenHistogram, pool: Pool) -> Pixels:
    shade = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    flat = cv2.equalizeHist(np.ascontiguousarray(shade[:, :, 0]))
    shade[:, :, 0] = cv2.addWeighted(flat, step.share, shade[:, :, 0], 1 - step.share, 0)
    return np.asarray(cv2.cvtColor(shade, cv2.COLOR_YCrCb2RGB))


def add_noise(pixels: Pixels, step: AddNoise, pool: Pool) -> Pixels:
    rng = np.random.default_rng(step.seed)
    if step.sigma > 0:
        # the sum of four bytes is nearly normal, and eight times as fast to draw
        byte_4N = np.frombuffer(rng.bytes(4 * pixels.size), np.uint8).reshape(4, -1)
        sum_N = byte_4N.sum(0, dtype=np.int16).reshape(pixels.shape)
        scaled = (sum_N - np.int16(510)) * np.float32(step.sigma / _BYTES_SIGMA)
        pixels = np.asarray(cv2.add(pixels, scaled, dtype=cv2.CV_8U))
    if step.salt_share > 0:
        pixels = np.ascontiguousarray(own(pixels))
        height, width = pixels.shape[:2]
        number = round(step.salt_share * width * height)
        place_S = rng.integers(0, width * height, number)
        pixels.reshape(-1, 3)[place_S] = 255 * rng.integers(0, 2, (number, 1), np.uint8)
    return pixels


def shuffle_pixels(pixels: Pixels, step: ShufflePixels, pool: Pool) -> Pixels:
    height, width = pixels.shape[:2]
    rng = np.random.default_rng(step.seed)
    place_S = np.flatnonzero(rng.random(width * height, np.float32) < step.share)
    shuffled = np.ascontiguousarray(own(pixels))
    flat = shuffled.reshape(-1, 3)
    flat[place_S] = flat[rng.permutation(place_S)]
    return shuffled


def shade(pixels: Pixels, step: Shade, pool: Pool) -> Pixels:
    height, width = pixels.shape[:2]
    gain = cv2.resize(step.gain, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(pixels, cv2.merge((gain, gain, gain)), dtype=cv2.CV_8U))


def screen(pixels: Pixels, step: Screen, pool: Pool) -> Pixels:
    picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if step.grey else pixels
    height, width = pixels.shape[:2]
    rows, columns = step.tile.shape
    repeated = np.tile(step.tile, (-(-height // rows), -(-width // columns)))[:height, :width]
    most = step.levels - 1
    # floor(value / 255 * most + threshold), in whole numbers: 1/256 steps of a level
    threshold = (repeated * 256).astype(np.uint16)
    level = (picture * np.uint16(most) + _per_channel(threshold, picture.ndim)) >> 8
    screened = (level * (255 / most)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(screened, cv2.COLOR_GRAY2RGB)) if step.grey else screened


def _per_channel(values: np.ndarray, ndim: int) -> np.ndarray:
    return values[:, :, None] if ndim == 3 else values
