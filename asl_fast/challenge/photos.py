"""The photos that can be used: those that decode, are large enough, and aren't there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.images import ImageError, ImageFile, decode, printable

LEAST_EDGE_PX = 64
_KEPT = 64  # decoded photos: backgrounds come again and again

Pixels = NDArray[np.uint8]


class Photos:
    """Photos by number, decoded when asked for, upright RGB, the longer edge at most `edge_px`."""

    def __init__(self, files: Sequence[ImageFile], edge_px: int) -> None:
        self.files = tuple(files)
        self._edge_px = edge_px
        self._kept = lru_cache(maxsize=_KEPT)(self._decoded)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Pixels:
        return self._kept(number)

    def _decoded(self, number: int) -> Pixels:
        return within(decode(self.files[number].read()), self._edge_px)


def within(pixels: Pixels, edge_px: int) -> Pixels:
    """The picture, shrunk where its longer edge is above `edge_px`."""
    height, width = pixels.shape[:2]
    scale = edge_px / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def usable_photos(
    files: Sequence[ImageFile], edge_px: int, progress: Callable[[], object]
) -> tuple[Photos, list[tuple[str, str]]]:
    """(the usable ones, (photo, reason) of the others). Of photos with the same pixels the first is used."""
    usable: list[ImageFile] = []
    left_out: list[tuple[str, str]] = []
    first_with: dict[bytes, ImageFile] = {}
    for file in files:
        progress()
        try:
            pixels = decode(file.read())
        except (ImageError, OSError) as error:
            left_out.append((file.id, printable(str(error))))
            continue
        if min(pixels.shape[:2]) < LEAST_EDGE_PX:
            height, width = pixels.shape[:2]
            left_out.append((file.id, f"{width} x {height} px, below {LEAST_EDGE_PX} px"))
            continue
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        first = first_with.setdefault(digest, file)
        if first is not file:
            left_out.append((file.id, f"the same pixels as {first.id}"))
            continue
        usable.append(file)
    return Photos(usable, edge_px), left_out
