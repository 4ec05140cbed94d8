"""The photos that can be used: those that decode, are large enough, and aren't there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.cores import num_cores
from asl_fast.images import ImageError, ImageFile, decode, printable

LEAST_EDGE_PX = 64
_KEPT = 64  # decoded photos: backgrounds come again and again

Pixels = NDArray[np.uint8]
T = TypeVar("T")
R = TypeVar("R")


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
    for file, (digest, reason) in zip(files, on_every_core(_seen, files), strict=True):
        progress()
        first = file if reason else first_with.setdefault(digest, file)
        if first is not file:
            reason = f"the same pixels as {first.id}"
        if reason:
            left_out.append((file.id, reason))
        else:
            usable.append(file)
    return Photos(usable, edge_px), left_out


def _seen(file: ImageFile) -> tuple[bytes, str]:
    """(digest of its pixels, what is against it)."""
    try:
        pixels = decode(file.read())
    except (ImageError, OSError) as error:
        return b"", printable(str(error))
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_EDGE_PX:
        return b"", f"{width} x {height} px, its shorter edge must be {LEAST_EDGE_PX} px or more"
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest(), ""


def on_every_core(work: Callable[[T], R], given: Iterable[T]) -> Iterator[R]:
    """map, by threads; what waits is given up when one of them fails or the caller does."""
    pool = ThreadPoolExecutor(num_cores())
    try:
        yield from pool.map(work, given)
    finally:
        pool.shutdown(cancel_futures=True)
