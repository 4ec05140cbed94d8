"""Photos decoded once, kept small in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asl_fast.images import Failure, ImageError, ImageFile, decode
from asl_fast.kernels.resize import resize

_KEPT_BYTES = 4 << 30  # beyond this a photo is decoded again whenever it is asked for


class Photos:
    """RGB photos by number. Their short edge is at most short_edge_px: views are smaller anyway."""

    def __init__(self, files: Sequence[ImageFile], short_edge_px: int, kept_bytes: int = _KEPT_BYTES) -> None:
        """files: those that `read_photos` found to decode."""
        self.files = list(files)
        self._short_edge_px = short_edge_px
        self._room = kept_bytes
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._sizes: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3), not to be written to."""
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        pixels = self._decoded(self.files[number])
        self.keep(number, pixels)
        return pixels

    def keep(self, number: int, pixels: NDArray[np.uint8]) -> None:
        self._sizes[number] = (pixels.shape[1], pixels.shape[0])
        if pixels.nbytes <= self._room and number not in self._kept:
            self._room -= pixels.nbytes
            self._kept[number] = pixels

    def size(self, number: int) -> tuple[int, int]:
        """(width, height) as kept in memory."""
        if number not in self._sizes:
            height, width = self[number].shape[:2]
            self._sizes[number] = (width, height)
        return self._sizes[number]

    def subset(self, numbers: Sequence[int]) -> Photos:
        """The photos of these numbers, renumbered from 0; what is decoded already is not decoded again."""
        part = Photos([self.files[number] for number in numbers], self._short_edge_px, self._room)
        part._kept = {new: self._kept[old] for new, old in enumerate(numbers) if old in self._kept}
        part._sizes = {new: self._sizes[old] for new, old in enumerate(numbers) if old in self._sizes}
        return part

    def _decoded(self, file: ImageFile) -> NDArray[np.uint8]:
        photo = decode(file.read(), edge_px_hint=self._short_edge_px)
        height, width, _ = photo.shape
        shrink = self._short_edge_px / min(height, width)
        return resize(photo, round(height * shrink), round(width * shrink)) if shrink < 1 else photo


def read_photos(
    files: Sequence[ImageFile], short_edge_px: int, *, num_threads: int, progress: bool
) -> tuple[Photos, list[Failure]]:
    """Decode every file once; photos that failed are left out and told."""
    everything = Photos(files, short_edge_px)
    good, failures = [], []
    for number, result in enumerate(_decode_all(everything, num_threads, progress)):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            everything.keep(number, result)
            good.append(number)
    return everything.subset(good), failures


def _decode_all(photos: Photos, num_threads: int, progress: bool) -> Iterator[NDArray[np.uint8] | Failure]:
    def decoded(file: ImageFile) -> NDArray[np.uint8] | Failure:
        try:
            return photos._decoded(file)
        except ImageError as error:
            return Failure(id=file.id, path=file.shown_path, reason=str(error))
        except OSError as error:
            return Failure(id=file.id, path=file.shown_path, reason=error.strerror or str(error))

    with (
        ThreadPoolExecutor(num_threads) as pool,
        tqdm(total=len(photos), desc="photos", unit="photo", disable=not progress) as bar,
    ):
        chunk = 64 * num_threads
        for first in range(0, len(photos), chunk):
            for result in pool.map(decoded, photos.files[first : first + chunk]):
                bar.update()
                yield result
