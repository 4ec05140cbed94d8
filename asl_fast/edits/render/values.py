"""Colours, tables, noise, shade and screens: every pixel in its place."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

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

_NOISE_LEVELS = 32  # standard deviation of the table of noise, in its own levels
_NOISE_VALUES = 1 << 20


def recolour(pixels: Pixels, step: Recolour, pool: Pool) -> Pixels:
    return np.asarray(cv2.transform(pixels, step.matrix))


def lookup(pixels: Pixels, step: Lookup, pool: Pool) -> Pixels:
    table = step.table if step.table.ndim == 1 else step.table[None]
    return np.asarray(cv2.LUT(pixels, np.ascontiguousarray(table)))


def flatten_histogram(pixels: Pixels, step: FlattenHistogram, pool: Pool) -> Pixels:
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    light = cv2.extractChannel(colours, 0)
    cv2.insertChannel(
        cv2.addWeighted(cv2.equalizeHist(light), step.share, light, 1 - step.share, 0), colours, 0
    )
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_YCrCb2RGB))


def add_noise(pixels: Pixels, step: AddNoise, pool: Pool) -> Pixels:
    rng = np.random.default_rng(step.seed)
    height, width = pixels.shape[:2]
    if step.sigma > 0:
        # every row begins at another place of the table
        first_H = rng.integers(0, _NOISE_VALUES - 3 * width, height)
        noise = _noise_rows(3 * width)[first_H].reshape(pixels.shape)
        gain = step.sigma / _NOISE_LEVELS
        pixels = np.asarray(cv2.addWeighted(pixels, 1, noise, gain, -128 * gain), np.uint8)
    if step.salt_share > 0:
        pixels = np.ascontiguousarray(own(pixels))
        number = round(step.salt_share * width * height)
        place_S = rng.integers(0, width * height, number)
        pixels.reshape(-1, 3)[place_S] = 255 * rng.integers(0, 2, (number, 1), np.uint8)
    return pixels


def _noise_rows(width: int) -> NDArray[np.uint8]:
    """(places, width): the table of noise from each of its places on; nothing is copied."""
    table = _noise_table()
    rows = np.lib.stride_tricks.as_strided(table, (_NOISE_VALUES - width, width), (1, 1), writeable=False)
    return np.asarray(rows, np.uint8)


@functools.cache
def _noise_table() -> NDArray[np.uint8]:
    """Nearly normal values about 128, the same on every machine: each is a sum of eight random bytes."""
    byte_N8 = random_bytes(0, 8 * _NOISE_VALUES).reshape(-1, 8)
    sigma = math.sqrt(8 * (256**2 - 1) / 12)
    level_N = (byte_N8.sum(1, dtype=np.int32) - 8 * 127.5) * (_NOISE_LEVELS / sigma)
    return np.asarray(np.clip(np.rint(level_N) + 128, 0, 255), np.uint8)


def random_bytes(seed: int, number: int) -> NDArray[np.uint8]:
    words = np.random.SFC64(seed).random_raw((number + 7) // 8).astype("<u8", copy=False)
    return np.asarray(words.view(np.uint8)[:number], np.uint8)


def shuffle_pixels(pixels: Pixels, step: ShufflePixels, pool: Pool) -> Pixels:
    """Each of the chosen pixels goes to the place of the next, in an order without rhyme or reason."""
    colour_N = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA).view(np.uint32).reshape(-1)
    place_S = _scattered(len(colour_N), step.share, step.seed)
    colour_N[place_S] = colour_N[np.roll(place_S, 1)]
    shuffled = colour_N.view(np.uint8).reshape(*pixels.shape[:2], 4)
    return np.asarray(cv2.cvtColor(shuffled, cv2.COLOR_RGBA2RGB), np.uint8)


def _scattered(number: int, share: float, seed: int) -> NDArray[np.uint32]:
    """A share of 0 .. number - 1, none twice, scattered by a hash: multiply and xor-shift are one to one."""
    bits = max(2, (number - 1).bit_length())
    below = np.uint32((1 << bits) - 1)
    half = np.uint32((bits + 1) // 2)
    plus, *odd = (int(key) | 1 for key in np.random.default_rng(seed).integers(0, 1 << 32, 4, np.uint32))
    place_S = np.arange(round(share * (1 << bits)), dtype=np.uint32)
    place_S += np.uint32(plus)
    for factor in odd:
        place_S *= np.uint32(factor)
        place_S &= below
        place_S ^= place_S >> half
    return place_S[place_S < number]


def shade(pixels: Pixels, step: Shade, pool: Pool) -> Pixels:
    height, width = pixels.shape[:2]
    most = max(1.0, float(step.gain.max()))
    coarse = np.rint(step.gain * (255 / most)).astype(np.uint8)  # bytes: four times less than floats to move
    gain = cv2.cvtColor(cv2.resize(coarse, (width, height)), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(pixels, gain, None, most / 255), np.uint8)


def screen(pixels: Pixels, step: Screen, pool: Pool) -> Pixels:
    picture = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if step.grey else pixels, np.uint8)
    height, width = pixels.shape[:2]
    rows, columns = step.tile.shape
    most = step.levels - 1
    # floor(value / 255 * most + threshold): the threshold is added as a share of a level's 255 / most values
    threshold = np.rint(step.tile * (255 / most) - 0.5).astype(np.uint8)
    repeated = np.tile(threshold, (-(-height // rows), -(-width // columns)))[:height, :width]
    if not step.grey:
        repeated = np.asarray(cv2.cvtColor(repeated, cv2.COLOR_GRAY2RGB), np.uint8)
    level_256 = np.arange(256) * most // 255
    screened = cv2.LUT(cv2.add(picture, repeated), (level_256 * 255 // most).astype(np.uint8))
    return np.asarray(cv2.cvtColor(screened, cv2.COLOR_GRAY2RGB) if step.grey else screened, np.uint8)
